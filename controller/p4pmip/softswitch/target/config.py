"""Forwarding pipeline configurations: compiled, joined with P4Info, and refused before anything changes."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace

from p4pmip.errors import P4pmipError
from p4pmip.softswitch.bmv2 import compile_program
from p4pmip.softswitch.ir import Node, Program, Table
from p4pmip.softswitch.ir.check import check
from p4pmip.softswitch.pipeline import Pipeline
from p4pmip.softswitch.target.refusal import Code, Refusal, invalid
from p4pmip.softswitch.target.schema import Schema
from p4pmip.softswitch.target.stubs import p4info, p4runtime

QUOTED, CHOICES = 200, 20
"""Characters of what was given that a refusal repeats, and how many of what it might have been."""


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
    except (ValueError, RecursionError) as error:
        raise invalid("p4_device_config", str(error), "is not the BMv2 JSON that p4c-bm2-ss writes") from error
    try:
        compiled = compile_program(program, drop_port)
        check(compiled)
        compiled = with_unused_parameters(compiled, config.p4info)
        schema = Schema(config.p4info, compiled)
        return Loaded(_copied(config), schema, Pipeline(compiled, drop_port))
    except Refusal as refusal:
        raise _short(refusal, refusal.code) from refusal
    except (RecursionError, SyntaxError, MemoryError) as error:
        problem = "goes deeper, or is larger, than can be executed"
        raise invalid("p4_device_config", f"{type(error).__name__}: {error}", problem) from error
    except P4pmipError as error:
        raise _short(error, Code.INVALID_ARGUMENT) from error


def _short(error: P4pmipError, code: Code) -> Refusal:
    """A refusal that a gRPC status can carry: what a program calls its things may be of any length, and any text."""
    value = error.value if len(repr(error.value)) <= QUOTED else f"{error.value!r}"[:QUOTED] + "…"
    choices = [_text(str(one)) for one in error.choices[:CHOICES]] + ["…"] * (len(error.choices) > CHOICES)
    return Refusal(code, _text(error.place), value, _text(error.problem), choices)


def _text(given: str) -> str:
    return given[:QUOTED].encode("utf-8", "backslashreplace").decode()


def with_unused_parameters(program: Program, info: "p4info.P4Info") -> Program:
    """The program with the action parameters that P4Info alone has: of P4-14, p4c compiles only those that are used.

    They come after the others, and nothing reads them.
    """
    known = {one.preamble.name: one for one in info.actions}
    more: dict[int, tuple[tuple[str, int], ...]] = {}
    for number, action in program.actions.items():
        names = {name for name, _ in action.parameters}
        params = known[action.name].params if action.name in known else ()
        unused = tuple((one.name, one.bitwidth) for one in params if one.name not in names and one.bitwidth)
        if unused and len(params) == len(names) + len(unused):
            more[number] = unused
    if not more:
        return program
    actions = {
        number: replace(action, parameters=action.parameters + more.get(number, ()))
        for number, action in program.actions.items()
    }
    controls = [
        replace(control, nodes={name: _padded(node, more) for name, node in control.nodes.items()})
        for control in (program.ingress, program.egress)
    ]
    return replace(program, actions=actions, ingress=controls[0], egress=controls[1])


def _padded(node: Node, more: Mapping[int, tuple[tuple[str, int], ...]]) -> Node:
    """A table whose own entries have 0 for the parameters that nothing reads."""
    if not isinstance(node, Table):
        return node
    default = node.default_arguments
    if node.default_action is not None:
        default += (0,) * len(more.get(node.default_action, ()))
    entries = tuple(
        replace(one, arguments=one.arguments + (0,) * len(more.get(one.action, ()))) for one in node.entries
    )
    return replace(node, default_arguments=default, entries=entries)


def _copied(config: "p4runtime.ForwardingPipelineConfig") -> "p4runtime.ForwardingPipelineConfig":
    copy = p4runtime.ForwardingPipelineConfig()
    copy.CopyFrom(config)
    return copy
