"""The commands that deploy to targets and look at them, and the inventory they share."""

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import UnixStreamServer
from typing import Any

import pytest

from p4pmip.cli.main import main
from p4pmip.cli.shell import arguments
from p4pmip.demo.targets import softswitch
from p4pmip.errors import P4pmipError
from p4pmip.forwarding.entry import Entry, Lpm, Ternary
from p4pmip.forwarding.update import Operation, Update
from p4pmip.p4runtime.desired import desired_json, read_desired
from p4pmip.p4runtime.pipeline import Pipeline
from p4pmip.p4runtime.session import Session
from p4pmip.p4runtime.target import Target, Tls, load_inventory, parse_target

SESSION = Entry(
    "session", (("session_id", 7), ("direction", 2)), "to_tunnel_keyed", (("tunnel_id", 1), ("gre_key", 99))
)
PREFIX = Entry("sess_dst_v4", (("vrf", 1), ("address", 0x0A010005)), "dl_session", (("session_id", 7),))
ROUTE = Entry("route_v4", (("vrf", 1), ("dst", Lpm(0x0A010000, 16))), "stop", (("reason", 37),))
ENTRIES = (SESSION, PREFIX, ROUTE)
Run = Callable[..., tuple[int, Any]]


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A softswitch in a thread of its own, with three entries; its name on the command line."""
    folder = tmp_path_factory.mktemp("box")
    ready, loops = threading.Event(), []
    done: list[asyncio.Event] = []

    async def serve() -> None:
        loops.append(asyncio.get_running_loop())
        done.append(asyncio.Event())
        async with softswitch("box", 3, folder) as running:
            async with await Session.open(running.target, Pipeline.packaged()) as session:
                await session.writer.apply([[Update(Operation.INSERT, entry) for entry in ENTRIES]])
            ready.set()
            await done[0].wait()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    assert ready.wait(30)
    yield f"unix:{folder / 'box'}.sock/3"
    loops[0].call_soon_threadsafe(done[0].set)
    thread.join(30)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a command with --json: its exit status and what it printed."""

    def run(*words: str) -> tuple[int, Any]:
        status = main([*words, "--json"])
        return status, json.loads(capsys.readouterr().out)

    return run


def test_tables(box: str, run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    status, shown = run("tables", box, "session")
    assert status == 0
    (entry,) = shown["tables"][0]["entries"]
    assert entry == {
        "key": {"session_id": 7, "direction": "DOWNLINK"},
        "action": "to_tunnel_keyed",
        "params": {"tunnel_id": 1, "gre_key": 99},
        "counter": {"packets": 0, "octets": 0},
        "session": 7,
    }
    status, shown = run("tables", box, "--where", "address=10.1.0.5")
    found = {table["table"]: table["entries"] for table in shown["tables"] if table["entries"]}
    assert list(found) == ["sess_dst_v4"]
    assert found["sess_dst_v4"][0]["key"] == {"vrf": 1, "address": "10.1.0.5"}
    status, shown = run("tables", box, "route_v4", "--where", "dst=10.1.2.3")
    assert shown["tables"][0]["entries"][0]["params"] == {"reason": "NO_BINDING"}
    status, shown = run("tables", box, "session", "--raw", "--where", "session_id=7", "--where", "direction=2")
    assert shown["tables"][0]["entries"][0]["key"] == {"session_id": 7, "direction": 2}
    assert main(["tables", box, "session"]) == 0
    assert (
        "session_id=7 direction=DOWNLINK -> to_tunnel_keyed(tunnel_id=1, gre_key=0x00000063)" in capsys.readouterr().out
    )


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["tables", "nowhere"], "target: not HOST:PORT"),
        (["tables", "BOX", "sessions"], "no such table in the P4Info: 'sessions' (valid: port_vlan"),
        (["tables", "BOX", "--where", "colour=red"], "no such key field or parameter: 'colour'"),
        (["tables", "BOX", "--where", "colour"], "not FIELD=VALUE"),
        (["tables", "BOX", "session", "--where", "action=fly"], "no such action: 'fly' (valid: "),
        (["counters", "BOX", "x"], "no such counter"),
        (["deploy"], "names no TARGET"),
        (["deploy", "BOX", "--p4info", "x"], "belong together"),
        (["tables", "BOX", "--kind", "abacus"], "no such kind of target"),
    ],
)
def test_bad_input_is_one_line(box: str, words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([box if word == "BOX" else word for word in words]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


def test_unreachable_target_is_a_failure(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tables", "127.0.0.1:1"]) == 1
    assert "127.0.0.1:1" in capsys.readouterr().err


def test_counters_drops_p4info(box: str, run: Run) -> None:
    status, shown = run("drops", box)
    assert status == 0
    assert {"reason": "TUNNEL_KEY", "packets": 0} in shown["drops"]
    assert "SIGNALLING" not in [drop["reason"] for drop in shown["drops"]]
    status, shown = run("counters", box)
    assert {"table": "session", "entries": 1, "packets": 0, "octets": 0} in shown["tables"]
    assert [counter["counter"] for counter in shown["counters"]] == ["reasons"]
    status, shown = run("p4info", box)
    assert (shown["name"], shown["ours"], shown["differences"]) == ("p4pmip", True, [])
    assert "session" in [table["table"] for table in shown["tables"]]


def test_deploy_takes_every_name_of_an_inventory(box: str, run: Run, tmp_path: Path) -> None:
    """Two names may be one device, reached in two ways."""
    address = box.rsplit("/", 1)[0]
    text = "".join(f'[targets.{name}]\naddress = "{address}"\ndevice_id = 3\n' for name in ("one", "other"))
    (tmp_path / "targets.toml").write_text(text)
    status, shown = run("deploy", "--inventory", str(tmp_path / "targets.toml"))
    assert (status, [target["name"] for target in shown["targets"]]) == (0, ["one", "other"])


def test_deploy(box: str, run: Run) -> None:
    status, shown = run("deploy", box)
    assert (status, shown["targets"][0]["result"]) == (0, "unchanged")
    status, shown = run("deploy", box, box)
    assert (status, len(shown["targets"])) == (0, 1)
    status, shown = run("deploy", box, "127.0.0.1:1")
    assert (status, [target["result"] for target in shown["targets"]]) == (1, ["unchanged", "failed"])


@pytest.fixture
def node(tmp_path: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    """The admin socket of a node, and what it answers."""
    answer: dict[str, Any] = {}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps(answer).encode()
            self.send_response(200)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Nothing."""

        def address_string(self) -> str:
            return "unix"

    server = UnixStreamServer(str(tmp_path / "node"), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield tmp_path / "node", answer
    server.shutdown()
    server.server_close()
    thread.join()


def test_diff(box: str, run: Run, node: tuple[Path, dict[str, Any]]) -> None:
    path, answer = node
    answer.update(desired_json(ENTRIES, {7: {"mn": "mn1@a.example"}}))
    status, shown = run("diff", box, "--node", str(path))
    assert (status, shown) == (0, {"insert": [], "modify": [], "delete": [], "equal": 3})
    changed = Entry(SESSION.table, SESSION.match, SESSION.action, (("tunnel_id", 2), ("gre_key", 99)))
    missing = Entry("sess_dst_v4", (("vrf", 2), ("address", 1)), "dl_session", (("session_id", 8),))
    answer.update(desired_json((changed, missing, ROUTE), {7: {"mn": "mn1@a.example"}}))
    status, shown = run("diff", box, "--node", str(path))
    assert (status, shown["equal"]) == (1, 1)
    assert [table["table"] for kind in ("insert", "modify", "delete") for table in shown[kind]] == [
        "sess_dst_v4", "session", "sess_dst_v4"
    ]  # fmt: skip
    assert shown["modify"][0]["entries"][0]["mn"] == "mn1@a.example"


def test_desired_state_survives_json() -> None:
    acl = Entry("acl", (("protocol", Ternary(4, 4)),), "permit", (), 3)
    document = json.loads(json.dumps(desired_json((*ENTRIES, acl), {7: {"mn": "x"}})))
    assert read_desired(document, "test").entries == (*ENTRIES, acl)
    with pytest.raises(P4pmipError, match="not a desired state"):
        read_desired({"entries": [{}], "sessions": {}}, "test")


def test_inventory(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").touch()
    file = tmp_path / "targets.toml"
    file.write_text(
        '[targets.mag1]\naddress = "127.0.0.1:9559"\ndevice_id = 4\nkind = "bmv2"\nquirks = { max_batch = 7 }\n'
        'tls = { ca = "ca.pem", server_name = "mag1" }\n'
    )
    target = parse_target("mag1", load_inventory(file))
    assert (target.address, target.device_id, target.label) == ("127.0.0.1:9559", 4, "mag1")
    assert target.quirks.max_batch == 7
    assert target.quirks.ordered_batches
    assert target.tls == Tls(tmp_path / "ca.pem", None, None, "mag1")
    assert arguments(target)[-3:] == ["--ssl", "--cacert", str(tmp_path / "ca.pem")]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x", "not TOML"),
        ("[target.a]", "no such key: 'target'"),
        ("[targets.a]\ndevice_id = 1", "has no address"),
        ('[targets.a]\naddress = "h"', "not HOST:PORT"),
        ('[targets.a]\naddress = "h:99999"', "port is not in 1..65535"),
        ('[targets.a]\naddress = "h:1"\nkind = "x"', "no such kind of target"),
        ('[targets.a]\naddress = "h:1"\nquirks = { max = 1 }', "no such quirk"),
        ('[targets.a]\naddress = "h:1"\nquirks = { max_batch = "1" }', "must be int"),
        ('[targets.a]\naddress = "h:1"\ntls = { ca = "none" }', "no such file"),
    ],
)
def test_inventory_faults_are_named(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "targets.toml").write_text(text)
    with pytest.raises(P4pmipError, match=said):
        load_inventory(tmp_path / "targets.toml")


@pytest.mark.parametrize(
    ("text", "address", "device"),
    [
        ("a:1", "a:1", 0),
        ("a:1/7", "a:1", 7),
        ("[::1]:9559/2", "[::1]:9559", 2),
        ("unix:/x/y.sock/3", "unix:/x/y.sock", 3),
    ],
)
def test_targets_by_address(text: str, address: str, device: int) -> None:
    target = parse_target(text)
    assert (target.address, target.device_id) == (address, device)
    assert isinstance(target, Target)
