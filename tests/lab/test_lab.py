"""`make lab`, played by a script: its command line, its directory, and its page in a real browser."""

import asyncio
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from tests.lab.started import LACKING, Started
from tests.view.chromium import BROWSER, browser

from p4pmip.node.client import NodeClient

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(bool(LACKING), reason=LACKING),
    pytest.mark.skipif(BROWSER is None, reason="chromium is not installed (Debian: apt-get install chromium)"),
]

SECONDS = 40.0
MN = "mn1@a.example"
PROMPT = "p4pmip-lab> "
ORDERS = {
    "bindings": f"{MN} ",
    "tables lma": "gre_rx  (",
    "drops mag1": "NO_SESSION",
    "signalling": f"lma: PBA, 0 accepted, {MN}",
    "captures": "lma-eth1.pcap",
    "where": "captures/INTERFACE.pcap",
}
"""The lab's words, as README and docs/lab.md name them, and what each says."""
WITHOUT_MEANING = ("pingall", "pingall 1", "pingallfull", "pingpair", "pingpairfull", "iperf mn1 opa", "iperfudp")
"""Mininet's words that can do nothing in the lab."""


def at(mag: str) -> str:
    """A condition: the page shows mn1 at a MAG, in the picture and in the table."""
    return (
        f"[...document.querySelectorAll('.mobile.active')].some((one) => one.dataset.mn === '{MN}'"
        f" && one.dataset.mag === '{mag}') && [...document.querySelectorAll('#session-rows tr')].some((one) =>"
        f" one.cells[0].textContent === '{MN}' && one.cells[3].textContent === '{mag}')"
    )


class Terminal:
    """The lab's command line."""

    def __init__(self, lab: Started) -> None:
        self._lab = lab
        self.heard = ""

    def order(self, line: str) -> None:
        """Type a line."""
        assert self._lab.process.stdin is not None
        self._lab.process.stdin.write(f"{line}\n")
        self._lab.process.stdin.flush()

    async def until(self, words: str) -> str:
        """The line with these words, when it comes."""
        stdout = self._lab.process.stdout
        assert stdout is not None
        async with asyncio.timeout(SECONDS):
            while line := await asyncio.to_thread(stdout.readline):
                self.heard += line
                if words in line:
                    return line
        raise AssertionError(f"it has not said {words!r}: {self.heard}")

    async def listening(self) -> None:
        """Return once the lab has prompted: what is typed while a host runs something is for that."""
        stdout = self._lab.process.stdout
        assert stdout is not None
        async with asyncio.timeout(SECONDS):
            while not self.heard.endswith(PROMPT):
                self.heard += (letter := await asyncio.to_thread(stdout.read, 1))
                assert letter, self.heard


@asynccontextmanager
async def typed(folder: Path, *options: str) -> AsyncIterator[Terminal]:
    """A lab that is told what to do, and in the end to end; it leaves nothing behind."""
    lab = Started(folder, "lab.py", *options, stdin=subprocess.PIPE)
    terminal = Terminal(lab)
    try:
        yield terminal
        terminal.order("exit")
        await terminal.until("the logs and captures are in")
        status, output, _ = await asyncio.to_thread(lab.end)
        assert status == 0, output
    finally:
        if lab.process.poll() is None:
            lab.process.terminate()
            await asyncio.to_thread(lab.end)
    assert lab.left() == []


async def test_attach_move_and_detach_are_seen(tmp_path: Path) -> None:
    """A host gets its address, moves and is let go, by the lab's commands; the page shows each, with its key."""
    async with typed(tmp_path, "--target", "softswitch") as terminal:
        url = (await terminal.until("The live view is at")).split()[-1]
        directory = Path((await terminal.until("per switch")).split()[1].rstrip(","))
        async with browser(tmp_path) as page:
            await page.open(url)
            await page.until("document.getElementById('connection').textContent === 'live'")
            terminal.order("dhcp mn1")
            await terminal.until("10.0.0.11")
            await page.until(at("mag1"))
            bindings = await asyncio.to_thread(NodeClient(str(directory / "lma" / "admin")).get, "/bindings")
            key = next(row["uplink_key"] for row in bindings["bindings"] if row["mn"] == MN)
            assert await page.evaluate(f"document.body.textContent.includes('0x{key:08x}')")

            terminal.order("move mn1 mag2")
            terminal.order("mn1 ping -c 1 -W 5 10.1.0.2")
            await terminal.until("1 received")
            await terminal.listening()
            await page.until(at("mag2"))
            for order, words in ORDERS.items():
                terminal.order(order)
                await terminal.until(words)

            terminal.order("move mn1")
            await asyncio.to_thread(NodeClient(str(directory / "mag2" / "admin")).post, "/detach", mn=MN)
            await page.until(f"!document.querySelector('#session-rows').textContent.includes('{MN}')")
            assert page.problems == []
        for name in ("switch.log", "node.log", "p4runtime.log"):
            assert (directory / "lma" / "logs" / name).stat().st_size > 0, name
        assert list((directory / "lma" / "pcaps").iterdir())
        assert "type: MODIFY" in (directory / "lma" / "logs" / "p4runtime.log").read_text()
    assert f"the logs and captures are in {directory}" in terminal.heard


async def test_words_that_make_no_sense_are_told(tmp_path: Path) -> None:
    """In one line, and nothing is done then; and what was done is told."""
    async with typed(tmp_path, "--target", "softswitch") as terminal:
        for order, words in (
            ("move mn1 mag2 x", "usage: move mn1|mn2|mn3|mn4 [mag1|mag2]"),
            ("move mn1 mag3", "usage: move mn1|mn2|mn3|mn4 [mag1|mag2]"),
            ("move", "usage: move mn1|mn2|mn3|mn4 [mag1|mag2]"),
            ("move mn1 mag2", "mn1 is in the cell of mag2"),
            ("move mn1", "mn1 is out of every cell"),
            ("dhcp mn1 x", "usage: dhcp mn1|mn2|mn3|mn4"),
            ("where x", "usage: where"),
            ("captures x", "usage: captures"),
            ("bindings x", "no such node: x (valid: lma, mag1, mag2)"),
            ("tables lma nat", "no such node or table: nat (valid: lma, mag1, mag2; "),
            *((word, "no meaning here: Mininet does not know these hosts' addresses") for word in WITHOUT_MEANING),
        ):
            await terminal.listening()
            terminal.order(order)
            assert (await terminal.until("\n")).startswith(words), order
        await terminal.listening()
        before = len(terminal.heard)
        terminal.order("tables mag2 lma gre_rx session")
        await terminal.until("--- lma")
        await terminal.until("--- lma")
        await terminal.listening()
        told = terminal.heard[before:].splitlines()
        assert [line for line in told if line.startswith("---")] == ["--- mag2"] * 2 + ["--- lma"] * 2
        assert [line.split()[0] for line in told if " of " in line] == ["gre_rx", "session"] * 2


async def test_an_executor_may_be_asked_for(tmp_path: Path) -> None:
    """It is the softswitch's, which then needs not be asked for."""
    async with typed(tmp_path, "--executor", "interpreter") as terminal:
        assert "Figure 1 on softswitch (interpreter)" in await terminal.until("The live view is at")
