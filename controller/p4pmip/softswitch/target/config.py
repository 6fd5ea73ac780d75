"""Forwarding pipeline configurations: compiled, joined with P4Info, and refused before anything changes."""

import json
from dataclasses import dataclass

from p4pmip.errors import P4pmipError
from p4pmip.softswitch.bmv2 import compile_program
from p4pmip.softswitch.pipeline import Pipeline
from p4pmip.softswitch.target.refusal import Code, Refusal, invalid
from p4pmip.softswitch.target.schema import Schema
from p4pmip.softswitch.target.stubs import p4runtime


@dataclass(frozen=True, slots=True)
class Loaded:
    """One configuration, ready to run."""

    config: "p4runtime.ForwardingPipelineConfig"
    schema: Schema
    pipeline: Pipeline


def load(config: "p4runtime.ForwardingPipelineConfig", drop_port: int) -> Loaded:
    """Compile a configuration.

    Raises:
        Refusal: INVALID_ARGUMENT, naming what in it cannot be used and where in the P4 source it stands.
    """
    try:
        program = json.loads(config.p4_device_config)
    except ValueError as error:
        raise invalid("p4_device_config", str(error), "is not the BMv2 JSON that p4c-bm2-ss writes") from error
    try:
        compiled = compile_program(program, drop_port)
        schema = Schema(config.p4info, compiled)
        return Loaded(_copied(config), schema, Pipeline(compiled, drop_port))
    except Refusal:
        raise
    except P4pmipError as error:
        raise Refusal(Code.INVALID_ARGUMENT, error.place, error.value, error.problem, error.choices) from error


def _copied(config: "p4runtime.ForwardingPipelineConfig") -> "p4runtime.ForwardingPipelineConfig":
    copy = p4runtime.ForwardingPipelineConfig()
    copy.CopyFrom(config)
    return copy
