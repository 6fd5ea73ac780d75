"""`p4pmip top` in front of a node that runs: as text, and in a terminal until q."""

import asyncio
import os
import pty
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from p4pmip.demo import figure1
from p4pmip.demo.lab import SECONDS, Lab, running
from p4pmip.demo.targets import STARTERS
from p4pmip.node.admin import Admin

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
    assert "mag-1" in row
    assert "10.1.0.10" in row
    assert "drops: lma NO_BINDING 1" in output


async def test_in_a_terminal_until_q(command: Command) -> None:
    """The session and the latest signalling are drawn; q ends it with status 0."""
    _, words = command
    near, far = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "LINES": "40", "COLUMNS": "160"}
    process = await asyncio.create_subprocess_exec(*words, stdin=far, stdout=far, env=environment)
    os.close(far)
    seen = bytearray()
    there = asyncio.Event()

    def readable() -> None:
        try:
            seen.extend(os.read(near, 65536))
        except OSError:
            asyncio.get_running_loop().remove_reader(near)
        if b"mn-1@operator-a.example" in seen and b"PBA" in seen:
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
