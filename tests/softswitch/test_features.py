"""One packet for each feature of v1model: what goes in, what must come out, from both executors.

The program is programs/features.p4. What needs nothing but packets and entries is in the STF files beside it.
"""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import text_format

from p4pmip.softswitch.target.config import load
from p4pmip.softswitch.target.refusal import Code, Refusal
from p4pmip.softswitch.target.running import Running
from p4pmip.softswitch.target.stubs import p4runtime
from p4pmip.softswitch.trace import Recorder

Programs = Callable[[str], "p4runtime.ForwardingPipelineConfig"]

DROP_PORT, CPU_PORT = 511, 510

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


@pytest.fixture(params=["interpreter", "native"])
def start(request: pytest.FixtureRequest, program: Programs) -> Callable[[str], Running]:
    """Starts a program with no entries, in one of the executors."""

    def started(name: str) -> Running:
        made = Running(load(program(name), DROP_PORT))
        if request.param == "native":
            assert made.pipeline.use_native(CPU_PORT) is not None
        return made

    return started


@pytest.fixture
def running(start: Callable[[str], Running]) -> Running:
    """The program of this module."""
    return start("features")


def run(running: Running, frame: str, port: int = 1, now: float = 0.0) -> list[tuple[int, str]]:
    """What comes out for one packet."""
    out: list[tuple[int, str]] = []
    running.pipeline.process(port, bytes.fromhex(frame), now, lambda to, data: out.append((to, data.hex())))
    return out


@pytest.mark.parametrize("executor", ["interpreter", "native"])
def test_feature(program: Programs, executor: str) -> None:
    """Every case, one after the other."""
    made = Running(load(program("features"), DROP_PORT))
    if executor == "native":
        assert made.pipeline.use_native(CPU_PORT) is not None
    assert {name: run(made, frame) for name, frame, _ in CASES} == {name: expected for name, _, expected in CASES}


def write(running: Running, text: str, kind: str = "INSERT") -> None:
    """One entity, in protobuf's text format; names in angle brackets become ids."""
    info = running.schema.info
    named: list[Any] = [
        *info.tables,
        *info.actions,
        *info.meters,
        *info.counters,
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


def test_a_packet_that_never_stops_recirculating_is_dropped(start: Callable[[str], Running]) -> None:
    looping = start("loop")
    looping.pipeline.process(1, b"\0" * 20, 0.0, lambda *_: None)
    assert looping.pipeline.drops == {"passes_limit": 1}


def test_a_select_that_nothing_fits_leaves_the_parser(start: Callable[[str], Running]) -> None:
    """With error.NoMatch, which the program makes 0xaa of (P4-16, 12.6). BMv2 knows no such error."""
    flow = start("flow")
    assert run(flow, "f0 01 20 00", port=0) == [(1, "f08120aa")]
    assert run(flow, "f0 05 00 00", port=0) == [(1, "f08500aa")]


def test_random_keeps_to_its_bounds(start: Callable[[str], Running]) -> None:
    flow = start("flow")
    assert {run(flow, "07 00 00 00", port=0)[0][1] for _ in range(200)} == {f"878000{one:02x}" for one in (3, 4, 5, 6)}


def test_assert_and_assume_that_fail_drop_and_are_counted(start: Callable[[str], Running]) -> None:
    flow = start("flow")
    assert run(flow, "06 01 00 00") == run(flow, "06 02 00 00") == []
    assert [(why.split(":")[0], count) for why, count in flow.pipeline.drops.items()] == 2 * [
        ("assertion failed at flow.p4", 1)
    ]


def test_messages_are_in_the_trace(start: Callable[[str], Running]) -> None:
    flow = start("flow")
    recorder = Recorder(flow.pipeline.program)
    recorder.run(flow.pipeline, 0, bytes.fromhex("06030000"), 0.0)
    assert recorder.result()["messages"] == ["key 3 of 6", "plain"]


def test_a_hash_with_a_maximum_of_0_is_its_base(start: Callable[[str], Running]) -> None:
    assert run(start("hashing"), "0e 12 3456 789abcde 0000 00000000", port=0) == [(1, "0e123456789abcde000000000009")]


@pytest.mark.parametrize(
    ("frame", "expected"),
    [
        ("10 00 ff 77 0011 8022", "1000ff000011" "8022"),
        ("11 ff 00 99 0011 8022", "11ff0099" "00118022"),
        ("12 00 ff 00 0011 8022", "1200ff00" "8022"),
        ("12 ff 00 00 0011 8022", "12ff0000" "00118022"),
        ("13 ff 00 00 0011 8022", "13ff0000" "00118022"),
        ("1a ff 00 00 0011 8022", "1aff0000" "00118022"),
    ],
)  # fmt: skip
def test_an_element_outside_its_stack(start: Callable[[str], Running], frame: str, expected: str) -> None:
    """Reads as an invalid header of zeros, and takes nothing. (BMv2 stops.)"""
    assert run(start("stacks"), frame, port=0) == [(1, expected)]


def test_members_of_an_action_profile(start: Callable[[str], Running]) -> None:
    """Two entries share a member: what is changed in it is changed for both."""
    states = start("states")
    member_text = (
        "action_profile_member { action_profile_id: <shared_actions> member_id: 5 action { action_id: <set> "
        'params { param_id: 1 value: "%s" } } }'
    )
    write(states, member_text % "\\022\\064")
    for key in ("\\001", "\\002"):
        write(states, f'table_entry {{ table_id: <by_profile> match {{ field_id: 1 exact {{ value: "{key}" }} }} '
              "action { action_profile_member_id: 5 } }")  # fmt: skip
    rest = "0000000000000000"
    assert run(states, f"0001 0000 {rest}", port=0) == [(1, f"00011234{rest}")]
    write(states, member_text % "\\253\\315", "MODIFY")
    assert run(states, f"0001 0000 {rest}", port=0) == [(1, f"0001abcd{rest}")]
    assert run(states, f"0002 0000 {rest}", port=0) == [(1, f"0002abcd{rest}")]
    assert run(states, f"0003 0000 {rest}", port=0) == [(1, f"00030000{rest}")]


def test_direct_meter_colours_the_packets_of_its_entry(start: Callable[[str], Running]) -> None:
    """By packets: a committed burst of 2 is green, a peak burst of 3 yellow, the others red, until time has passed."""
    matching = start("matching")
    key = 'match { field_id: 2 optional { value: "%s" } } '
    then = 'action { action { action_id: <police> params { param_id: 1 value: "w" } } } '
    rates = "meter_config { cir: 1 cburst: 2 pir: 2 pburst: 3 } "
    write(matching, "table_entry { table_id: <policed> priority: 1 " + key % "\\001" + then + rates + "}")
    write(matching, "table_entry { table_id: <policed> priority: 1 " + key % "\\002" + then + "}")

    def colour(a: str, now: float) -> str:
        ((_, out),) = run(matching, f"08{a}ffff" + 20 * "00", port=0, now=now)
        assert out[2:4] == "77"
        return out[4:8]

    assert [colour("01", 10.0) for _ in range(5)] == ["0000", "0000", "0001", "0002", "0002"]
    assert [colour("01", 11.0) for _ in range(3)] == ["0000", "0001", "0002"]
    assert [colour("02", 11.0) for _ in range(5)] == 5 * ["0000"], "no rates"


def test_meter_colours_by_packets(start: Callable[[str], Running]) -> None:
    states = start("states")
    write(states, "meter_entry { meter_id: <limits> index { index: 3 } "
          "config { cir: 1 cburst: 1 pir: 1 pburst: 2 } }", "MODIFY")  # fmt: skip
    frame = "0403 0000" + 8 * "00" + 500 * "00"
    assert [run(states, frame, port=0)[0][1][4:8] for _ in range(4)] == ["0000", "0001", "0002", "0002"]


def test_counters_are_set_by_the_controller(start: Callable[[str], Running]) -> None:
    states = start("states")
    write(states, "counter_entry { counter_id: <hits> index { index: 5 } data { packet_count: 7 byte_count: 100 } }",
          "MODIFY")  # fmt: skip
    assert run(states, "05" + 11 * "00") == []
    wanted = p4runtime.Entity()
    wanted.counter_entry.counter_id = next(iter(states.schema.counters))
    wanted.counter_entry.index.index = 5
    (read,) = states.read(wanted, 0.0)
    assert (read.counter_entry.data.packet_count, read.counter_entry.data.byte_count) == (8, 112)


def test_the_table_of_features_names_tests_that_are_there() -> None:
    """docs/softswitch.md says where each feature is tested."""
    here = Path(__file__).parent
    text = (here.parents[1] / "docs" / "softswitch.md").read_text(encoding="utf-8")
    table = text.split("### Features and their tests")[1].split("\n#")[0]
    rows = [line for line in table.splitlines() if line.startswith("| ") and not line.startswith("| feature")]
    assert len(rows) > 20
    for row in rows:
        named = re.findall(r"`([^`]+)`", row.split("|")[2])
        assert named, row
        for one in named:
            file, _, function = one.partition("::")
            assert (here / ("programs" if file.endswith(".stf") else ".") / file).exists(), one
            assert not function or f"def {function}(" in (here / file).read_text(encoding="utf-8"), one
