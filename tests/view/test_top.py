"""`p4pmip top` in front of a node that runs: as text, and in a terminal until q."""

import asyncio
import os
import pty
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from p4pmip.cli.top import lines
from p4pmip.demo import figure1
from p4pmip.demo.lab import SECONDS, Lab, running
from p4pmip.demo.targets import STARTERS
from p4pmip.node.admin import Admin
from p4pmip.view.model import Model

NAMES = ("mn-1@a.example", "<script>alert(1)</script>@a.example", "m" * 120 + "@a.example")


def crowd(mobile_nodes: int) -> Model:
    """What an LMA with so many mobile nodes shows."""
    model = Model()
    model.node("lma", target="127.0.0.1:9559/1", state="ready", reason="")
    rows = []
    for number in range(mobile_nodes):
        name = NAMES[number] if number < len(NAMES) else f"mn-{number}@a.example"
        keys = {"uplink_key": number, "downlink_key": 2**32 - 1 - number}
        rows.append((number, {"mn": name, "realm": "a", "ipv4": "10.0.0.1", "mag": "mag-1", "state": "active", **keys}))
        message = {"name": "Proxy Binding Update", "sequence": number, "lifetime_s": 4, "options": []}
        about = {"source": "mag-1", "destination": "lma", "message": message, "outcome": "accepted"}
        model.event({"id": number + 1, "time": 1.0, "node": "lma", "event": "received", **about})
    model.sessions("lma", rows)
    return model


@pytest.mark.parametrize(("width", "height"), [(80, 24), (79, 24), (200, 50), (40, 10), (20, 5)])
@pytest.mark.parametrize("mobile_nodes", [0, 1, 30])
def test_fits_the_terminal(width: int, height: int, mobile_nodes: int) -> None:
    """Whatever its size, nothing runs over; in an ordinary one names and both keys are there."""
    shown = [line for _, line in lines(crowd(mobile_nodes), width, height)]
    assert len(shown) <= height
    assert max(map(len, shown)) <= width
    assert shown[0].startswith(f"lma: {mobile_nodes} session"[: width - 1])
    if mobile_nodes and width >= 79:
        assert any("0x00000000  0xffffffff" in line for line in shown)
        assert any("PBU" in line for line in shown)


def test_every_session_is_reached_by_the_arrows() -> None:
    """From the first page to the last, each line once."""
    model = crowd(30)
    seen = [line.split()[0] for first in range(30) for _, line in lines(model, 200, 24, first) if "0xffffff" in line]
    assert {f"mn-{number}@a.example" for number in range(3, 30)} < set(seen)


def test_a_name_with_digits_of_other_scripts() -> None:
    """Sorting takes any name."""
    model = crowd(1)
    model.sessions("lma", [(1, {"mn": "mn-²٣@a.example", "realm": "a"}), (2, {"mn": "9" * 5000, "realm": "a"})])
    assert any("mn-²" in line for _, line in lines(model))


Command = tuple[Lab, list[str]]


@pytest.fixture
async def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Command]:
    """The LMA of Figure 1 with one session, and the command that watches it."""
    monkeypatch.chdir(tmp_path)
    async with running(STARTERS["softswitch"], "session", lambda *_: None) as lab:
        node = lab.nodes["lma"]
        admin = Admin(node, lab.events["lma"])
        await admin.start()
        lab.plug(figure1.SUBSCRIBERS[0], "mag-1")
        await lab.mobile_nodes["mn-1"].dhcp(SECONDS)
        target = node.switch.session.target
        words = ["-m", "p4pmip.cli.main", "top", "--node", "lma.sock", "--interval", "0.2"]
        yield lab, [sys.executable, *words, "--target", f"{target.address}/{target.device_id}"]
        await admin.stop()


async def test_once_as_text(command: Command) -> None:
    """Keys, addresses, state and drops are the node's."""
    lab, words = command
    await lab.mobile_nodes["mn-1"].send_udp(figure1.SUBSCRIBERS[3].address, b"nobody")
    process = await asyncio.create_subprocess_exec(*words, "--once", stdout=asyncio.subprocess.PIPE)
    output = (await process.communicate())[0].decode()
    session = lab.session("lma", figure1.SUBSCRIBERS[0])
    assert session is not None
    assert process.returncode == 0
    row = next(line for line in output.splitlines() if line.startswith("mn-1@operator-a.example"))
    assert f"0x{session.uplink_key:08x}  0x{session.downlink_key:08x}" in row
    assert row.split()[3:5] == ["mag-1", "active"]
    assert "10.1.0.10" in row
    assert "drops: lma NO_BINDING 1" in output


@pytest.mark.parametrize("size", [("24", "80"), ("50", "200")])
async def test_in_a_terminal_until_q(command: Command, size: tuple[str, str]) -> None:
    """The session and the latest signalling are drawn; q ends it with status 0."""
    _, words = command
    near, far = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "LINES": size[0], "COLUMNS": size[1]}
    process = await asyncio.create_subprocess_exec(*words, stdin=far, stdout=far, env=environment)
    os.close(far)
    seen = bytearray()
    there = asyncio.Event()

    def readable() -> None:
        try:
            seen.extend(os.read(near, 65536))
        except OSError:
            asyncio.get_running_loop().remove_reader(near)
        if b"mn-1@operator-a" in seen and b"PBA" in seen:
            there.set()

    asyncio.get_running_loop().add_reader(near, readable)
    try:
        async with asyncio.timeout(30):
            await there.wait()
            os.write(near, b"q")
            assert await process.wait() == 0
    finally:
        asyncio.get_running_loop().remove_reader(near)
        os.close(near)
        if process.returncode is None:
            process.kill()


@pytest.mark.parametrize(
    ("term", "words", "said"),
    [
        ("no-such-terminal", [], "TERM: no screen can be drawn"),
        ("xterm", ["--target", "nowhere"], "target: not HOST:PORT"),
    ],
)
async def test_what_it_cannot_use_is_one_line(command: Command, term: str, words: list[str], said: str) -> None:
    _, before = command
    near, far = pty.openpty()
    process = await asyncio.create_subprocess_exec(
        *before, *words, stdin=far, stdout=far, stderr=asyncio.subprocess.PIPE, env={**os.environ, "TERM": term}
    )
    os.close(far)
    _, error = await asyncio.wait_for(process.communicate(), 30)
    os.close(near)
    assert (process.returncode, error.decode().count("\n")) == (2, 1)
    assert said in error.decode()
