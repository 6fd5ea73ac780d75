"""`p4pmip trace`: offline from files, and in a live softswitch."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import json_format, text_format

from p4pmip.softswitch import SoftSwitch
from p4pmip.softswitch.explain import live
from p4pmip.softswitch.target.config import load
from p4pmip.softswitch.target.endpoint import EXPLAIN_SERVICE
from p4pmip.softswitch.target.refusal import Code
from p4pmip.softswitch.target.running import Running
from p4pmip.softswitch.target.stubs import p4runtime
from p4pmip.softswitch.trace import Recorder
from p4pmip.wire.capture import Interface, LinkType, header, packet

Programs = Callable[[str], "p4runtime.ForwardingPipelineConfig"]
PROGRAMS = Path(__file__).parent / "programs"
COMMAND = [sys.executable, "-m", "p4pmip.cli.main", "trace"]
FILES = ["--pipeline", str(PROGRAMS / "router.json"), "--p4info", str(PROGRAMS / "router.p4info.txtpb")]
FRAME = (
    "000000000002000000000001080045000021000100000811e4c5c0000202"
    "0a0102030035003c000ded8a68656c6c6f"
)  # fmt: skip
ENTRIES = [
    'table_entry { table_id: 35769601 match { field_id: 1 lpm { value: "\\n\\000\\000\\000" prefix_len: 8 } } '
    'action { action { action_id: 20503519 params { param_id: 1 value: "\\005" } } } }',
    'table_entry { table_id: 43370402 match { field_id: 1 exact { value: "\\005" } } action { action { '
    'action_id: 23601040 params { param_id: 1 value: "\\002" } params { param_id: 2 value: "\\001" } '
    'params { param_id: 3 value: "\\007" } } } }',
]


LISTED = {
    "tables": [
        {
            "table": "route",
            "entries": [{"key": {"dst": "167772160/8"}, "action": "set_nexthop", "params": {"nexthop": 5}}],
        },
        {
            "table": "nexthop",
            "entries": [{"key": {"nexthop": 5}, "action": "forward", "params": {"port": 2, "src": 1, "dst": 7}}],
        },
        {
            "table": "policy",
            "entries": [
                {
                    "key": {"port": 3, "src": "16777216 &&& 0xff000000", "udp_dst": "53..99", "priority": 10},
                    "action": "punt",
                    "params": {"reason": 3},
                }
            ],
        },
    ]
}
"""As `p4pmip tables --raw --json` prints it."""


@pytest.mark.parametrize("listed", [True, False])
def test_offline_with_entries(tmp_path: Path, listed: bool) -> None:
    entities = [json_format.MessageToDict(text_format.Parse(one, p4runtime.Entity())) for one in ENTRIES]
    (tmp_path / "entries.json").write_text(json.dumps(LISTED if listed else entities))
    command = [*COMMAND, *FILES, "--entries", str(tmp_path / "entries.json"), "--port", "1", "--hex", FRAME, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    result = json.loads(done.stdout)
    assert set(result) == {"parser", "tables", "outcome"}
    assert result["parser"] == ["start", "parse_ethernet", "parse_ipv4", "parse_udp"]
    assert result["tables"] == [
        {
            "name": "router_ingress.route",
            "key": {"dst": 0x0A010203},
            "hit": True,
            "action": "router_ingress.set_nexthop",
            "params": {"nexthop": 5},
        },
        {
            "name": "router_ingress.nexthop",
            "key": {"nexthop": 5},
            "hit": True,
            "action": "router_ingress.forward",
            "params": {"port": 2, "src": 1, "dst": 7},
        },
        {
            "name": "router_ingress.policy",
            "key": {"port": 1, "src": 0xC0000202, "udp_dst": 60},
            "hit": False,
            "action": "NoAction",
            "params": {},
        },
    ]
    assert result["outcome"] == {"port": 2}


def test_why_it_was_dropped() -> None:
    done = subprocess.run([*COMMAND, *FILES, "--port", "1", "--hex", FRAME], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[1:] == [
        "table    router_ingress.route(dst=0xa010203) miss: router_ingress.no_route()",
        "dropped  marked by router_ingress.no_route at router.p4:66:24",
    ]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--port", "1", "--hex", "0g"], "--hex: is not hexadecimal octets: '0g'"),
        (["--port", "1", "--hex", "00"], "--pipeline: is needed without --target"),
        ([*FILES, "--port", "512", "--hex", "00"], "--port: is no port number: 512 (valid: 0..511)"),
        ([*FILES, "--port", "-1", "--hex", "00"], "--port: is no port number: -1"),
        (
            [*FILES, "--port", "1", "--pcap", "/dev/null"],
            "--pcap: cannot be read at octet 0 (unknown_format): '/dev/null'",
        ),
        (["--pipeline", "/dev/null", *FILES[2:], "--port", "1", "--hex", "00"], "--pipeline: is not the BMv2 JSON"),
        ([*FILES, "--port", "1", "--pcap", "nowhere.pcap"], "--pcap: No such file or directory: 'nowhere.pcap'"),
        ([*FILES, "--entries", str(PROGRAMS / "router.json"), "--port", "1", "--hex", "00"], "is no list of entries"),
    ],
)
def test_bad_arguments_get_one_line(arguments: list[str], text: str) -> None:
    done = subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert text in done.stderr
    assert done.stderr.count("\n") == 1


async def test_live(served: tuple[SoftSwitch, str], controller: Any, program: Programs) -> None:
    await controller.arbitrate()
    await controller.push(program("router"))
    out: list[bytes] = []
    served[0].attach(2, out.append)
    for text in ENTRIES:
        await controller.write(p4runtime.Update(type=1, entity=text_format.Parse(text, p4runtime.Entity())))  # type: ignore[arg-type]
    async with grpc.aio.insecure_channel(served[1]) as channel:
        call: Any = channel.unary_unary("/p4pmip.softswitch.Explain/Trace")
        result = json.loads(await call(json.dumps({"port": 1, "hex": FRAME}).encode()))
    assert result["outcome"] == {"port": 2}
    assert result["outputs"] == [{"port": 2, "hex": out[0].hex()}]
    assert callable(live(served[1]))


def test_tracing_costs_nothing_while_it_is_off(program: Programs) -> None:
    """The functions that packets run in do not know of it; the others are made for the first packet that is traced."""
    running = Running(load(program("router"), 511))
    assert "trace" not in running.pipeline.source
    assert running.pipeline._traced is None
    Recorder(running.pipeline.program).run(running.pipeline, 1, bytes(60), 0.0)
    assert running.pipeline._traced is not None
    assert "trace" in running.pipeline._traced.text
    assert "trace" not in running.pipeline.source


def test_a_traced_packet_fares_like_any_other(program: Programs) -> None:
    running = Running(load(program("features"), 511))
    for code in range(27):
        for value in (0, 1, 3, 0x1C):
            frame = bytes([code, value, 1, 2, 4, 6, 8, 9])
            plain: list[tuple[int, bytes]] = []
            if code == 7:
                continue  # a register changes between the two

            def leave(port: int, data: bytes, into: list[tuple[int, bytes]] = plain) -> None:
                into.append((port, data))

            running.pipeline.process(1, frame, 0.0, leave)
            recorder = Recorder(running.pipeline.program)
            recorder.run(running.pipeline, 1, frame, 0.0)
            assert recorder.outputs == plain
            assert ("drop" in recorder.result()["outcome"]) == (not plain)


def test_a_target_that_is_not_there_is_a_failure() -> None:
    words = ["--target", "127.0.0.1:1", "--port", "1", "--hex", "00"]
    done = subprocess.run([*COMMAND, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "--target: failed to connect" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"key": {"dst": -1}, "action": "no_route", "params": {}}, "route[0]: is no lpm value"),
        ({"key": {"dst": 1}, "action": "set_nexthop", "params": {"id": -1, "nexthop": -1}}, "is no number: -1"),
        ({"action": "forward"}, "is no list of entries: 'key' is missing"),
    ],
)
def test_entries_that_no_table_can_have(entry: dict[str, Any], said: str, tmp_path: Path) -> None:
    (tmp_path / "entries.json").write_text(json.dumps({"tables": [{"table": "route", "entries": [entry]}]}))
    words = [*FILES, "--entries", str(tmp_path / "entries.json"), "--port", "1", "--hex", "00"]
    done = subprocess.run([*COMMAND, *words], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert said in done.stderr


def test_a_pcapng_is_read_and_what_is_no_frame_left_out(tmp_path: Path) -> None:
    """The demo writes such captures: its signalling is in IP packets beside the frames."""
    interfaces = [Interface("signalling", LinkType.IPV4), Interface("wire", LinkType.ETHERNET)]
    octets = header(interfaces) + b"".join(packet(number, 0, bytes.fromhex(FRAME)) for number in (0, 1))
    (tmp_path / "both.pcapng").write_bytes(octets)
    words = [*FILES, "--port", "1", "--json", "--pcap", str(tmp_path / "both.pcapng")]
    done = subprocess.run([*COMMAND, *words], capture_output=True, text=True, check=True)
    assert len(done.stdout.splitlines()) == 1


@pytest.mark.parametrize(
    "data", [b"", b"{}", b"[]", b'{"port": -1, "hex": "00"}', b'{"port": 1, "hex": "0"}', b"[" * 9999]
)
def test_a_malformed_request_to_trace_is_refused(data: bytes) -> None:
    """And does not end the switch, which is one process for all its controllers."""
    reply = SoftSwitch().endpoint.call(f"/{EXPLAIN_SERVICE}/Trace", data)
    assert reply.code == Code.INVALID_ARGUMENT
