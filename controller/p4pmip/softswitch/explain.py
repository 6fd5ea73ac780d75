"""Tracing from outside: in a live softswitch over gRPC, or in one that is made of files."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
from google.protobuf import json_format, text_format

from p4pmip.errors import P4pmipError
from p4pmip.softswitch.target.config import load
from p4pmip.softswitch.target.device import Running
from p4pmip.softswitch.target.endpoint import EXPLAIN_SERVICE
from p4pmip.softswitch.target.stubs import p4runtime
from p4pmip.softswitch.trace import Recorder

DROP_PORT = 511
DEADLINE = 10.0

Tracer = Callable[[int, bytes], dict[str, Any]]


def live(target: str) -> Tracer:
    """Traces in the softswitch that serves P4Runtime there.

    Raises:
        P4pmipError: from the tracer: there is none, or it has no pipeline.
    """

    def trace(port: int, frame: bytes) -> dict[str, Any]:
        request = json.dumps({"port": port, "hex": frame.hex()}).encode()
        with grpc.insecure_channel(target) as channel:
            call: Callable[..., bytes] = channel.unary_unary(f"/{EXPLAIN_SERVICE}/Trace")
            try:
                answer: dict[str, Any] = json.loads(call(request, timeout=DEADLINE))
            except grpc.RpcError as error:
                raise P4pmipError("--target", target, _problem(error)) from error
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
    config = p4runtime.ForwardingPipelineConfig(p4_device_config=_read("--pipeline", pipeline).encode())
    try:
        text_format.Parse(_read("--p4info", info), config.p4info)
    except text_format.ParseError as error:
        raise P4pmipError("--p4info", str(info), str(error)) from error
    running = Running(load(config, DROP_PORT))
    now = time.monotonic()
    for entity in _entities(entries) if entries else ():
        default = entity.WhichOneof("entity") == "table_entry" and entity.table_entry.is_default_action
        fixed = entity.WhichOneof("entity") in ("counter_entry", "meter_entry", "register_entry", "value_set_entry")
        if default and running.schema.table(entity.table_entry.table_id).const_default:
            continue
        if entity.table_entry.is_const:
            continue
        kind = p4runtime.Update.MODIFY if default or fixed else p4runtime.Update.INSERT
        running.write(p4runtime.Update(type=kind, entity=entity), now)

    def trace(port: int, frame: bytes) -> dict[str, Any]:
        recorder = Recorder(running.pipeline.program, config.p4info)
        recorder.run(running.pipeline, port, frame, time.monotonic())
        return recorder.result()

    return trace


def _read(option: str, path: Path) -> str:
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise P4pmipError(option, str(path), str(error)) from error


def _entities(path: Path) -> list["p4runtime.Entity"]:
    """A JSON list of P4Runtime entities, or an object with it under `entities`."""
    try:
        given = json.loads(_read("--entries", path))
    except ValueError as error:
        raise P4pmipError("--entries", str(path), f"is not JSON: {error}") from error
    listed = given.get("entities") if isinstance(given, dict) else given
    if not isinstance(listed, list):
        raise P4pmipError("--entries", str(path), "is no list of P4Runtime entities", ["`p4pmip tables --raw`"])
    entities = []
    for index, one in enumerate(listed):
        try:
            entities.append(json_format.ParseDict(one, p4runtime.Entity()))
        except json_format.ParseError as error:
            raise P4pmipError(f"{path}[{index}]", one, str(error)) from error
    return entities
