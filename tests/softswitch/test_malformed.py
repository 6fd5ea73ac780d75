"""Programs that no compiler makes are refused at the push, by place and value; and a short run of the fuzzer."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import pytest

from p4pmip.softswitch.target.config import load
from p4pmip.softswitch.target.refusal import Code, Refusal
from p4pmip.softswitch.target.running import Running
from p4pmip.softswitch.target.stubs import p4runtime

Programs = Callable[[str], "p4runtime.ForwardingPipelineConfig"]
Change = Callable[[Any], object]

FUZZER = Path(__file__).parents[2] / "fuzz" / "push.py"
DROP_PORT, CPU_PORT = 511, 510
CODE = "0\nraise SystemExit('the program has run')\n#"


def table(program: Any, name: str) -> Any:
    """A table of the JSON."""
    (found,) = (one for one in program["pipelines"][0]["tables"] if one["name"].endswith(f".{name}"))
    return found


def command(program: Any) -> Any:
    """The header that every packet begins with."""
    (found,) = (one for one in program["header_types"] if one["name"] == "command_t")
    return found


def primitive(program: Any, op: str) -> Any:
    """The first call of a primitive."""
    return next(one for action in program["actions"] for one in action["primitives"] if one["op"] == op)


def circle(program: Any) -> None:
    """After the last table comes the first one."""
    pipeline = program["pipelines"][0]
    pipeline["conditionals"][-1]["true_next"] = pipeline["init_table"]


def lookahead(program: Any) -> None:
    """Before the packet."""
    for state in program["parsers"][0]["parse_states"]:
        for one in state["parser_ops"]:
            if one["op"] == "set" and "lookahead" in json.dumps(one):
                one["parameters"][1] = {"type": "lookahead", "value": [-64, 16]}


REFUSED: list[tuple[str, Change, str]] = [
    ("a control in a circle", circle, "ingress: comes back to itself"),
    ("a lookahead before the packet", lookahead, r"parse_peek: is no lookahead: \[-64, 16\]"),
    ("a width that is code", lambda one: one["header_types"][0]["fields"][0].__setitem__(1, CODE), "device config"),
    ("a header that is no octets", lambda one: command(one)["fields"][0].__setitem__(1, 3), "header command"),
    ("a width beyond reason", lambda one: one["header_types"][0]["fields"][0].__setitem__(1, 1 << 20), "width"),
    ("an action whose id is code", lambda one: one["actions"][0].__setitem__("id", CODE), "device config|id"),
    ("a parameter of half a bit", lambda one: table(one, "spread") and one["actions"][0].update(
        runtime_data=[{"name": "x", "bitwidth": 0.5}]), "parameters"),
    ("a next table that is not there", lambda one: table(one, "aging").update(
        next_tables={"feature_ingress.mark": "nowhere", "NoAction": None}),
     "aging: no such table or condition: 'nowhere'"),
    ("an action that is not there", lambda one: table(one, "aging").update(action_ids=[999]), "999"),
    ("a default action of another table", lambda one: table(one, "aging")["default_entry"].update(action_id=0),
     "aging: default action: no such action of it: 0"),
    ("an entry that does not fit", lambda one: table(one, "fixed")["entries"][0]["match_key"][0].update(
        key="0x1234", mask="0xffff"),
     "fixed: entry"),
    ("a register that is not there", lambda one: primitive(one, "register_read")["parameters"][1].update(value="none"),
     "no such register: 'none'"),
    ("a meter that is not there", lambda one: primitive(one, "execute_meter")["parameters"][0].update(value="none"),
     "no such meter: 'none'"),
    ("a register beyond memory", lambda one: one["register_arrays"][0].update(size=1 << 40), "cannot be its size"),
    ("a state that is not there", lambda one: one["parsers"][0]["parse_states"][0]["transitions"][0].update(
        next_state="nowhere"), "no such parser state: 'nowhere'"),
    ("a parser without a beginning", lambda one: one["parsers"][0].update(init_state="nowhere"), "nowhere"),
    ("a hash that is random", lambda one: one["calculations"][0].update(algo="random"),
     r"hash algorithm not supported: 'random' \(valid: .*crc16_custom"),
    ("a list for a header", lambda one: one["headers"].__setitem__(0, []), "device config"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "said"), [one[1:] for one in REFUSED], ids=[one[0] for one in REFUSED])
def test_refused(program: Programs, change: Change, said: str) -> None:
    config = p4runtime.ForwardingPipelineConfig()
    config.CopyFrom(program("features"))
    given = json.loads(config.p4_device_config)
    change(given)
    config.p4_device_config = json.dumps(given).encode()
    with pytest.raises(Refusal, match=said) as caught:
        load(config, DROP_PORT)
    assert caught.value.code is Code.INVALID_ARGUMENT
    assert caught.value.place


@pytest.mark.parametrize("name", ["x" * (1 << 20), "\ud800", "\0", "a\nb"])
@pytest.mark.parametrize("place", ["table", "next", "program"])
async def test_names_of_any_length_and_text(controller: Any, program: Programs, name: str, place: str) -> None:
    """Over gRPC: what is refused is refused in words that a status can carry, and the switch goes on."""
    config = p4runtime.ForwardingPipelineConfig()
    config.CopyFrom(program("features"))
    given = json.loads(config.p4_device_config)
    if place == "table":
        table(given, "aging")["name"] = name
    elif place == "next":
        table(given, "aging")["next_tables"] = {name: name, "NoAction": name, "feature_ingress.mark": name}
    else:
        given["program"] = name
    config.p4_device_config = json.dumps(given).encode()
    await controller.arbitrate()
    if place == "program":
        await controller.push(config)
    else:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await controller.push(config)
        assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert 0 < len(caught.value.details() or "") < 6000
    await controller.push(program("router"))


@pytest.mark.parametrize("levels", [90, 250, 600, 20000])
def test_expressions_that_go_deep(program: Programs, levels: int) -> None:
    """As deep as Python's own are, they are executed; deeper ones are refused."""
    config = p4runtime.ForwardingPipelineConfig()
    config.CopyFrom(program("features"))
    assignment = primitive(json.loads(config.p4_device_config), "assign")
    outer = '{"type": "expression", "value": {"op": "+", "left": {"type": "hexstr", "value": "0x1"}, "right": '
    deep = outer * levels + '{"type": "hexstr", "value": "0x1"}' + "}}" * levels
    given = json.dumps(json.loads(config.p4_device_config))
    assert json.dumps(assignment["parameters"][1]) in given
    config.p4_device_config = given.replace(json.dumps(assignment["parameters"][1]), deep, 1).encode()
    if levels > 100:
        with pytest.raises(Refusal, match=r"p4_device_config|device config"):
            load(config, DROP_PORT)
    else:
        assert Running(load(config, DROP_PORT)).pipeline.use_native(CPU_PORT) is not None


INFO: list[tuple[str, Change, str]] = [
    ("another number of cells", lambda one: setattr(one.meters[0], "size", 99),
     "feature_ingress.limits: cells are not as many as in the program: 99"),
    ("a profile of no table", lambda one: one.action_profiles[0].table_ids.append(7), "ecmp: names a table"),
    ("a value set of another name", lambda one: setattr(one.value_sets[0].preamble, "name", "x"),
     "no such value set: 'x'"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "said"), [one[1:] for one in INFO], ids=[one[0] for one in INFO])
def test_p4info_of_another_program(program: Programs, change: Change, said: str) -> None:
    config = p4runtime.ForwardingPipelineConfig()
    config.CopyFrom(program("features"))
    change(config.p4info)
    with pytest.raises(Refusal, match=said):
        load(config, DROP_PORT)


@pytest.mark.parametrize("executor", ["interpreter", "native"])
def test_names_are_never_code(program: Programs, executor: str) -> None:
    """The interpreter writes Python: what a program is called stands there as a word, whatever it is."""
    config = p4runtime.ForwardingPipelineConfig()
    config.CopyFrom(program("features"))
    given = json.loads(config.p4_device_config)
    given["program"] = CODE
    for one in given["actions"]:
        if not one["runtime_data"] and "." not in one["name"]:
            one["source_info"] = {"filename": CODE, "line": 1, "column": 1, "source_fragment": CODE}
    config.p4_device_config = json.dumps(given).encode()
    running = Running(load(config, DROP_PORT))
    if executor == "native":
        assert running.pipeline.use_native(CPU_PORT) is not None
    out: list[tuple[int, bytes]] = []
    running.pipeline.process(1, bytes.fromhex("00000000aa"), 0.0, lambda *one: out.append(one))
    assert out == [(0, bytes.fromhex("00000000aa"))]


def test_mutated_programs_are_refused_or_work() -> None:
    """The fuzzer, for a short while; `make fuzz-push` is longer."""
    command = [sys.executable, str(FUZZER), "--runs", "120", "--seed", "7"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "120 programs" in done.stdout
