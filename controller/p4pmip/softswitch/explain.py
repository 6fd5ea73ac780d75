"""Tracing from outside: in a live softswitch over gRPC, or in one that is made of files."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
from google.protobuf import json_format

from p4pmip.errors import P4pmipError
from p4pmip.softswitch import listing
from p4pmip.softswitch.files import load_program, read_octets, read_p4info, read_text
from p4pmip.softswitch.target.endpoint import EXPLAIN_SERVICE
from p4pmip.softswitch.target.refusal import Code, Refusal
from p4pmip.softswitch.target.running import Running
from p4pmip.softswitch.target.schema import Schema
from p4pmip.softswitch.target.stubs import p4runtime
from p4pmip.softswitch.trace import Recorder

DROP_PORT = 511
DEADLINE = 10.0

Tracer = Callable[[int, bytes], dict[str, Any]]


class TraceRefused(P4pmipError):
    """The switch could not be reached, or did not trace the packet."""


def live(target: str) -> Tracer:
    """Traces in the softswitch that serves P4Runtime there.

    Raises:
        TraceRefused: from the tracer: there is none, or it has no pipeline.
    """

    def trace(port: int, frame: bytes) -> dict[str, Any]:
        request = json.dumps({"port": port, "hex": frame.hex()}).encode()
        with grpc.insecure_channel(target) as channel:
            call: Callable[..., bytes] = channel.unary_unary(f"/{EXPLAIN_SERVICE}/Trace")
            try:
                answer: dict[str, Any] = json.loads(call(request, timeout=DEADLINE))
            except grpc.RpcError as error:
                raise TraceRefused("--target", target, _problem(error)) from error
        return answer

    return trace


def _problem(error: grpc.RpcError) -> str:
    if error.code() is grpc.StatusCode.UNIMPLEMENTED:
        return "is not a softswitch: only softswitches trace packets"
    return str(error.details())


def offline(pipeline: Path, info: Path, entries: Path | None) -> Tracer:
    """Traces in a pipeline made of a program, its P4Info and entries (JSON of P4Runtime entities).

    Raises:
        P4pmipError: a file cannot be used; says which and where.
    """
    config = p4runtime.ForwardingPipelineConfig(
        p4_device_config=read_octets("--pipeline", pipeline), p4info=read_p4info("--p4info", info)
    )
    running = Running(load_program("--pipeline", pipeline, config, DROP_PORT))
    for entity in _entities(entries, running.schema) if entries else ():
        _write(running, entity)

    def trace(port: int, frame: bytes) -> dict[str, Any]:
        recorder = Recorder(running.pipeline.program, config.p4info)
        recorder.run(running.pipeline, port, frame, time.monotonic())
        return recorder.result()

    return trace


def _write(running: Running, entity: "p4runtime.Entity") -> None:
    """Write one entity; entries that stand in the program itself are there already."""
    entry = entity.table_entry
    default = entity.WhichOneof("entity") == "table_entry" and entry.is_default_action
    fixed = entity.WhichOneof("entity") in ("counter_entry", "meter_entry", "register_entry", "value_set_entry")
    if entry.is_const or (default and running.schema.table(entry.table_id).const_default):
        return
    if entity.WhichOneof("entity") == "table_entry" and running.schema.table(entry.table_id).const:
        return
    kind = p4runtime.Update.MODIFY if default or fixed else p4runtime.Update.INSERT
    try:
        running.write(p4runtime.Update(type=kind, entity=entity), time.monotonic())
    except Refusal as refusal:
        if refusal.code is not Code.ALREADY_EXISTS:
            raise


def _entities(path: Path, schema: Schema) -> list["p4runtime.Entity"]:
    """What `p4pmip tables --raw --json` prints; or a JSON list of P4Runtime entities."""
    try:
        given = json.loads(read_text("--entries", path))
    except ValueError as error:
        raise P4pmipError("--entries", str(path), f"is not JSON: {error}") from error
    try:
        if isinstance(given, dict):
            return listing.entities(given, schema, str(path))
        return [json_format.ParseDict(one, p4runtime.Entity()) for one in given]
    except (KeyError, TypeError, AttributeError, json_format.ParseError) as error:
        choices = ["`p4pmip tables --raw --json`", "a list of P4Runtime entities"]
        why = f": {error} is missing" if isinstance(error, KeyError) else ""
        raise P4pmipError("--entries", str(path), f"is no list of entries{why}", choices) from error
