"""What p4c writes for programs of others: P4Info that says more, or in other widths, than the program itself."""

from collections.abc import Callable
from typing import Any

import pytest
from google.protobuf import text_format

from p4pmip.softswitch.target.config import load
from p4pmip.softswitch.target.packetio import packet_in, packet_out
from p4pmip.softswitch.target.refusal import Code, Refusal
from p4pmip.softswitch.target.running import Running
from p4pmip.softswitch.target.schema import PacketMetadata
from p4pmip.softswitch.target.stubs import p4runtime

Programs = Callable[[str], "p4runtime.ForwardingPipelineConfig"]

DROP_PORT, CPU_PORT = 511, 510


def copy_of(config: "p4runtime.ForwardingPipelineConfig") -> "p4runtime.ForwardingPipelineConfig":
    """One that may be changed."""
    copy = p4runtime.ForwardingPipelineConfig()
    copy.CopyFrom(config)
    return copy


def entity(text: str, config: "p4runtime.ForwardingPipelineConfig") -> "p4runtime.Entity":
    """An entity in protobuf's text format; names in angle brackets become ids."""
    named: list[Any] = [*config.p4info.tables, *config.p4info.actions]
    for one in named:
        text = text.replace(f"<{one.preamble.alias}>", str(one.preamble.id))
    return text_format.Parse(text, p4runtime.Entity())


def frames(running: Running, frame: str) -> list[tuple[int, str]]:
    """What comes out."""
    out: list[tuple[int, str]] = []
    running.pipeline.process(0, bytes.fromhex(frame), 0.0, lambda to, data: out.append((to, data.hex())))
    return out


@pytest.mark.parametrize("executor", ["interpreter", "native"])
def test_parameters_that_only_p4info_has(program: Programs, executor: str) -> None:
    """Of P4-14 actions p4c compiles only the parameters that are used: the others are taken, and read back."""
    config = copy_of(program("entries"))
    (found,) = (one for one in config.p4info.actions if one.preamble.alias == "found")
    used = found.params.pop()
    for number, name, width in ((1, "unused", 8), (2, used.name, used.bitwidth), (3, "wide", 100)):
        found.params.add(id=number, name=name, bitwidth=width)
    running = Running(load(config, DROP_PORT))
    if executor == "native":
        assert running.pipeline.use_native(CPU_PORT) is not None
    given = entity(
        'table_entry { table_id: <mixed> priority: 1 match { field_id: 2 ternary { value: "\\005" mask: "\\377" } } '
        'action { action { action_id: <found> params { param_id: 1 value: "\\007" } '
        'params { param_id: 2 value: "\\0224" } params { param_id: 3 value: "\\0019999999" } } } }',
        config,
    )
    running.write(p4runtime.Update(type=p4runtime.Update.INSERT, entity=given), 0.0)
    assert frames(running, "06050000 00000000") == [(1, "0605123400000000")]
    assert frames(running, "00200000 00000000") == [(1, "0020000300000000")], "entries of the program itself"
    wanted = entity("table_entry { table_id: <mixed> }", config)
    (read,) = running.read(wanted, 0.0)
    key = {one.param_id: one.value for one in read.table_entry.action.action.params}
    assert key == {1: b"\x07", 2: b"\x124", 3: b"\x019999999"}
    (fixed, *_) = running.read(entity("table_entry { table_id: <ordered> }", config), 0.0)
    assert {one.param_id: one.value for one in fixed.table_entry.action.action.params} == {
        1: b"\0", 2: b"\1", 3: b"\0"
    }  # fmt: skip


def test_an_action_profile_without_a_table(program: Programs) -> None:
    config = copy_of(program("entries"))
    config.p4info.action_profiles.add().preamble.name = "nobody.uses.it"
    assert Running(load(config, DROP_PORT)).schema.profiles == {}


def translated(config: "p4runtime.ForwardingPipelineConfig", kind: str) -> "p4runtime.ForwardingPipelineConfig":
    """The key field a of the table maybe with a type that the controller has its own numbers for."""
    copy = copy_of(config)
    (table,) = (one for one in copy.p4info.tables if one.preamble.alias == "maybe")
    table.match_fields[0].type_name.name = "number_t"
    into = copy.p4info.type_info.new_types["number_t"].translated_type
    if kind == "sdn_bitwidth":
        table.match_fields[0].bitwidth = into.sdn_bitwidth = 32
    else:
        table.match_fields[0].bitwidth = 0
        into.sdn_string.SetInParent()
    return copy


def test_numbers_of_another_width_are_taken_as_they_are(program: Programs) -> None:
    """@p4runtime_translation to more bits: what does not fit the program's is refused."""
    config = translated(program("entries"), "sdn_bitwidth")
    running = Running(load(config, DROP_PORT))
    read = list(running.read(entity("table_entry { table_id: <maybe> }", config), 0.0))
    assert any(one.table_entry.match[0].optional.value == b"\x07" for one in read)
    wide = 'table_entry { table_id: <maybe> priority: 9 match { field_id: 1 optional { value: "\\001\\000" } } }'
    with pytest.raises(Refusal, match="8 bits"):
        next(iter(running.read(entity(wide, config), 0.0)))


def test_strings_are_refused_by_name(program: Programs) -> None:
    with pytest.raises(Refusal, match=r"table the_ingress.maybe, hdr.w.a: is translated from a string") as caught:
        load(translated(program("entries"), "sdn_string"), DROP_PORT)
    assert caught.value.code is Code.UNIMPLEMENTED


def test_a_controller_header_that_is_not_whole_octets() -> None:
    """p4c fills it up at its end."""
    header = PacketMetadata(((1, "ingress_port", 9), (2, "target_egress_port", 9)))
    message = packet_in(header, bytes.fromhex("00c080") + b"payload")
    assert message is not None
    assert [one.value for one in message.metadata] == [b"\x01", b"\x01\x02"]
    assert message.payload == b"payload"
    back = p4runtime.PacketOut(payload=message.payload, metadata=message.metadata)
    assert packet_out(header, back).hex() == (bytes.fromhex("00c080") + b"payload").hex()
    assert packet_in(header, b"\0\0") is None
