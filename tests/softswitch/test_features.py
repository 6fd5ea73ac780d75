"""One packet for each feature of v1model: what goes in, what must come out. The program is programs/features.p4."""

from collections.abc import Callable
from typing import Any

import pytest
from google.protobuf import text_format

from p4pmip.softswitch.target.config import load
from p4pmip.softswitch.target.refusal import Code, Refusal
from p4pmip.softswitch.target.running import Running
from p4pmip.softswitch.target.stubs import p4runtime

Programs = Callable[[str], "p4runtime.ForwardingPipelineConfig"]

DROP_PORT = 511

CASES = [
    ("nothing", "00 00 0000 aa", [(0, "00000000aa")]),
    ("stack: pop one, push two, set the first", "01 09 0000 04aa 06bb 09cc dd", [(0, "010900000a0906bb09ccdd")]),
    ("stack: an element that is too many", "01 09 0000 0401 0402 0404 0408 0510", [(0, "010900000a09040204040510")]),
    ("union: the other member goes", "02 00 0000 77 ee", [(0, "0200000012340000ee")]),
    ("union: too short to extract", "03 00 0000 77", [(0, "0300000077")]),
    ("varbit: three octets", "04 03 0000 010203 ff", [(0, "04030000010203ff")]),
    ("varbit: longer than it may be", "04 ff 0000 010203 ff", [(0, "04ff0000010203ff")]),
    ("lookahead and advance", "05 01 0000 abcd ef", [(0, "0501abcdcdef")]),
    ("lookahead: too short", "05 00 0000 ab", [(0, "05000000ab")]),
    ("verify holds", "06 01 0000", [(0, "06010000")]),
    ("verify fails", "06 00 0000", [(0, "0600eeee")]),
    ("register: first value", "07 03 0005", [(0, "07030000")]),
    ("register: outside the array", "07 09 0005", [(0, "07090000")]),
    ("meter without a configuration is green", "08 01 1111", [(0, "08010000")]),
    ("hash: crc32", "09 01 0203", [(0, "0901801d")]),
    ("signed shift and saturating addition", "12 82 0200", [(0, "12c1ffff")]),
    ("exit leaves ingress", "13 00 0000", [(0, "13000000")]),
    ("assert holds", "14 01 0000", [(0, "14010000")]),
    ("assert fails", "14 00 0000", []),
    ("shift by more than the width", "15 20 ffff", [(0, "15200000")]),
    ("shift within the width", "15 04 ffff", [(0, "1504fff0")]),
    ("truncate", "16 03 0000 0000", [(0, "160300")]),
    ("packet length", "17 00 0000 00", [(0, "1700000500")]),
    ("checksum with payload", "19 01 0000 0102 03", [(0, "1901e2fc010203")]),
    ("resubmit keeps the field list, sets the rest again", "0d 00 0100", [(1, "0d0000fa")]),
    ("recirculate keeps the field list only", "0e 00 0100", [(1, "00000101")]),
    ("const entries: the first that matches", "11 1c 0000", [(0, "111c0001")]),
    ("const entries: exact one", "11 20 0000", [(0, "11200003")]),
    ("const entries: none", "11 30 0000", [(0, "11300000")]),
]


@pytest.fixture
def running(program: Programs) -> Running:
    """The program with no entries."""
    return Running(load(program("features"), DROP_PORT))


def run(running: Running, frame: str, port: int = 1, now: float = 0.0) -> list[tuple[int, str]]:
    """What comes out for one packet."""
    out: list[tuple[int, str]] = []
    running.pipeline.process(port, bytes.fromhex(frame), now, lambda to, data: out.append((to, data.hex())))
    return out


@pytest.mark.parametrize(("frame", "expected"), [(one[1], one[2]) for one in CASES], ids=[one[0] for one in CASES])
def test_feature(running: Running, frame: str, expected: list[tuple[int, str]]) -> None:
    assert run(running, frame) == expected


def write(running: Running, text: str, kind: str = "INSERT") -> None:
    """One entity, in protobuf's text format; names in angle brackets become ids."""
    info = running.schema.info
    named: list[Any] = [
        *info.tables,
        *info.actions,
        *info.meters,
        *info.registers,
        *info.action_profiles,
        *info.value_sets,
    ]
    for one in [*named, *info.digests]:
        text = text.replace(f"<{one.preamble.alias}>", str(one.preamble.id))
    update = p4runtime.Update(type=p4runtime.Update.Type.Value(kind))
    text_format.Parse(text, update.entity)
    running.write(update, 0.0)


def test_register_keeps_what_was_written(running: Running) -> None:
    assert run(running, "07 03 0005") == [(0, "07030000")]
    assert run(running, "07 03 0002") == [(0, "07030005")]
    assert run(running, "07 03 0000") == [(0, "07030007")]


def test_register_is_written_by_the_controller(running: Running) -> None:
    write(
        running, 'register_entry { register_id: <cells> index { index: 2 } data { bitstring: "\\x12\\x34" } }', "MODIFY"
    )
    assert run(running, "07 02 0000") == [(0, "07021234")]


def test_meter_colours_by_octets(running: Running) -> None:
    write(running, "meter_entry { meter_id: <limits> index { index: 1 } "
          "config { cir: 10 cburst: 8 pir: 20 pburst: 16 } }", "MODIFY")  # fmt: skip
    colours = [run(running, "08 01 0000")[0][1][-4:] for _ in range(6)]
    assert colours == ["0000", "0000", "0001", "0001", "0002", "0002"]
    assert run(running, "08 01 0000", now=1.0) == [(0, "08010000")]
    assert run(running, "08 02 0000") == [(0, "08020000")], "the other cells are not configured"


def test_clone_session_keeps_the_field_list(running: Running) -> None:
    write(running, "packet_replication_engine_entry { clone_session_entry { session_id: 9 "
          "replicas { egress_port: 5 instance: 1 } } }")  # fmt: skip
    out = run(running, "0b 09 00aa ff")
    assert sorted(out) == [(0, "0b0900aaff"), (5, "0bc100aaff")], "`lost` is 0 in the clone"


def test_clone_session_cuts_its_copies(running: Running) -> None:
    write(running, "packet_replication_engine_entry { clone_session_entry { session_id: 9 "
          "replicas { egress_port: 5 instance: 1 } packet_length_bytes: 3 } }")  # fmt: skip
    assert (5, "0bc100") in run(running, "0b 09 00aa ff")


def test_clone_to_an_unknown_session_is_counted(running: Running) -> None:
    assert run(running, "0b 09 00aa") == [(0, "0b0900aa")]
    assert running.pipeline.drops["clone_session_unknown"] == 1


def test_egress_clone_carries_the_headers_as_they_are(running: Running) -> None:
    write(running, "packet_replication_engine_entry { clone_session_entry { session_id: 3 "
          "replicas { egress_port: 6 instance: 0 } } }")  # fmt: skip
    assert sorted(run(running, "18 03 0000")) == [(0, "18032222"), (6, "18032222")]


def test_multicast_makes_a_copy_for_each_replica(running: Running) -> None:
    write(running, "packet_replication_engine_entry { multicast_group_entry { multicast_group_id: 4 "
          "replicas { egress_port: 5 instance: 1 } replicas { egress_port: 6 instance: 2 } "
          "replicas { egress_port: 6 instance: 3 } } }")  # fmt: skip
    assert run(running, "0c 04 0000") == [(5, "0c040001"), (6, "0c040002"), (6, "0c040003")]


def test_multicast_to_an_unknown_group_is_counted(running: Running) -> None:
    assert run(running, "0c 05 0000") == []
    assert running.pipeline.drops["no_replicas"] == 1


def member(number: int, port: int) -> str:
    """A member of the selector that sends to a port."""
    return (
        f"action_profile_member {{ action_profile_id: <ecmp> member_id: {number} "
        f'action {{ action_id: <send> params {{ param_id: 1 value: "\\{port:03o}" }} }} }}'
    )


def test_selector_spreads_over_the_members_of_a_group(running: Running) -> None:
    for number in (1, 2, 3):
        write(running, member(number, 10 + number))
    write(running, "action_profile_group { action_profile_id: <ecmp> group_id: 1 "
          "members { member_id: 1 weight: 1 } members { member_id: 2 weight: 3 } }")  # fmt: skip
    write(running, 'table_entry { table_id: <spread> match { field_id: 1 exact { value: "\\017" } } '
          "action { action_profile_group_id: 1 } }")  # fmt: skip
    ports = [run(running, f"0f 00 {word:04x}")[0][0] for word in range(0, 65536, 163)]
    assert set(ports) == {11, 12}
    assert ports == [run(running, f"0f 00 {word:04x}")[0][0] for word in range(0, 65536, 163)], (
        "a flow stays where it is"
    )
    assert 200 < ports.count(12) < len(ports)


def test_one_shot_selector(running: Running) -> None:
    sets = "".join(
        "action_profile_actions { weight: 1 "
        f'action {{ action_id: <send> params {{ param_id: 1 value: "\\{port:03o}" }} }} }}'
        for port in (21, 22)
    )
    write(running, 'table_entry { table_id: <spread> match { field_id: 1 exact { value: "\\017" } } '
          f"action {{ action_profile_action_set {{ {sets} }} }} }}")  # fmt: skip
    assert {run(running, f"0f 00 {word:04x}")[0][0] for word in range(50)} == {21, 22}


def test_member_in_use_is_not_deleted(running: Running) -> None:
    write(running, member(1, 11))
    write(running, 'table_entry { table_id: <spread> match { field_id: 1 exact { value: "\\017" } } '
          "action { action_profile_member_id: 1 } }")  # fmt: skip
    with pytest.raises(Refusal, match="is in use by 1") as caught:
        write(running, member(1, 11), "DELETE")
    assert caught.value.code is Code.FAILED_PRECONDITION


def test_value_set_decides_in_the_parser(running: Running) -> None:
    assert run(running, "63 00 0000") == [(0, "63000000")]
    write(running, 'value_set_entry { value_set_id: <special> members { match { field_id: 1 exact { value: "c" } } } }',
          "MODIFY")  # fmt: skip
    assert run(running, "63 00 0000") == [(0, "6300abcd")]


def test_digest_waits_for_its_list_and_its_acknowledgement(running: Running) -> None:
    learnt: list[tuple[int, tuple[int, ...]]] = []
    digests = running.digests

    def learn(number: int, values: tuple[int, ...]) -> None:
        learnt.append((number, values))
        digests.learn(number, values, 0.0)

    running.pipeline.on_digest = learn
    run(running, "0a 33 0000", port=4)
    assert learnt[0][1] == (0x33, 4)
    assert list(digests.due(100.0, 0.0)) == [], "nobody has subscribed"
    write(running, "digest_entry { digest_id: <learnt_t> "
          "config { max_timeout_ns: 1000000000 max_list_size: 2 ack_timeout_ns: 5000000000 } }")  # fmt: skip
    run(running, "0a 33 0000", port=4)
    run(running, "0a 33 0000", port=4)
    assert list(digests.due(0.5, 0.0)) == []
    (message,) = digests.due(1.0, 0.0)
    assert [one.struct.members[0].bitstring for one in message.data] == [b"3"]
    run(running, "0a 33 0000", port=4)
    assert list(digests.due(2.0, 0.0)) == [], "sent and not acknowledged"
    digests.acknowledge(p4runtime.DigestListAck(digest_id=message.digest_id, list_id=message.list_id))
    for value in ("33", "34"):
        run(running, f"0a {value} 0000", port=4)
    assert [len(one.data) for one in digests.due(2.0, 0.0)] == [2], "a full list does not wait"


def test_idle_timeout_is_told_again_after_another_one(running: Running) -> None:
    write(running, 'table_entry { table_id: <aging> match { field_id: 1 exact { value: "\\005" } } '
          "idle_timeout_ns: 2000000000 action { action { action_id: <mark> "
          'params { param_id: 1 value: "\\007" } } } }')  # fmt: skip
    assert list(running.entries.idle(1.9)) == []
    assert run(running, "10 05 0000", now=1.9) == [(0, "10050007")]
    assert list(running.entries.idle(3.8)) == []
    (told,) = running.entries.idle(3.9)
    assert told.idle_timeout_ns == 2_000_000_000
    assert list(running.entries.idle(5.8)) == []
    assert len(list(running.entries.idle(9.0))) == 1
    run(running, "10 05 0000", now=9.0)
    assert len(list(running.entries.idle(11.0))) == 1


def test_a_packet_that_never_stops_recirculating_is_dropped(program: Programs) -> None:
    looping = Running(load(program("loop"), DROP_PORT))
    looping.pipeline.process(1, b"\0" * 20, 0.0, lambda *_: None)
    assert looping.pipeline.drops == {"passes_limit": 1}
