"""`p4pmip shell` as a person has it: on a terminal, beside a controller that is primary."""

import asyncio
import os
import pty
import re
import sys
from pathlib import Path

import pytest

from p4pmip.cli.main import main
from p4pmip.demo.targets import STARTERS
from p4pmip.forwarding.entry import Entry
from p4pmip.forwarding.update import Operation, Update
from p4pmip.p4runtime.pipeline import Pipeline
from p4pmip.p4runtime.session import Session

SESSION = Entry("session", (("session_id", 7), ("direction", 2)), "to_tunnel", (("tunnel_id", 4711),))
COLOURS = re.compile(rb"\x1b\[[0-9;?]*[a-zA-Z]")


class Terminal:
    """The other side of a program's terminal."""

    def __init__(self, side: int) -> None:
        self._side = side
        self._seen = b""
        self._more = asyncio.Event()
        asyncio.get_running_loop().add_reader(side, self._read)

    def _read(self) -> None:
        try:
            self._seen += os.read(self._side, 65536)
        except OSError:  # the program is gone
            asyncio.get_running_loop().remove_reader(self._side)
        self._more.set()

    async def until(self, word: str) -> str:
        """Everything up to a word, without colours."""
        async with asyncio.timeout(120):
            while word.encode() not in (plain := COLOURS.sub(b"", self._seen)):
                self._more.clear()
                await self._more.wait()
        self._seen = b""
        return plain.decode()

    def type(self, line: str) -> None:
        """A line and Enter."""
        os.write(self._side, f"{line}\r".encode())


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the shell's environment is made, once for both targets."""
    return tmp_path_factory.mktemp("cache")


@pytest.mark.parametrize("target", ["softswitch", pytest.param("bmv2", marks=pytest.mark.bmv2)])
async def test_the_shell_reads_as_a_backup(target: str, cache: Path, tmp_path: Path) -> None:
    async with (
        STARTERS[target]("box", 3, tmp_path) as running,
        await Session.open(running.target, Pipeline.packaged()) as session,
    ):
        await session.writer.apply([[Update(Operation.INSERT, SESSION)]])
        outer, inner = pty.openpty()
        shell = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "p4pmip.cli.main", "shell", f"{running.target.address}/3",
            stdin=inner, stdout=inner, stderr=inner, start_new_session=True,
            env=os.environ | {"XDG_CACHE_HOME": str(cache), "IPYTHONDIR": str(tmp_path / "ipython"), "TERM": "dumb"},
        )  # fmt: skip
        os.close(inner)
        try:
            terminal = Terminal(outer)
            assert "You are not the primary client" in await terminal.until("sh >>>")
            terminal.type("tables")
            assert "PacketIngress.session.session" in await terminal.until("tunnel_rx_v6")
            terminal.type("table_entry['session'].read(lambda entry: print(entry))")
            assert "PacketIngress.session.to_tunnel" in await terminal.until(r'value: "\\x12\\x67"')
            terminal.type("te = table_entry['session'](action='to_tunnel')")
            terminal.type("te.match['session_id'] = '8'; te.match['direction'] = '2'; te.action['tunnel_id'] = '1'")
            terminal.type("te.insert()")
            await terminal.until("PERMISSION_DENIED")
            terminal.type("exit")
            assert await asyncio.wait_for(shell.wait(), 60) == 0
        finally:
            if shell.returncode is None:
                shell.kill()
                await shell.wait()
            asyncio.get_running_loop().remove_reader(outer)
            os.close(outer)
        assert [entry async for entry in session.read_table("session")] == [SESSION]


def test_no_shell_where_nothing_answers(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["shell", "127.0.0.1:1"]) == 1
    assert "127.0.0.1:1" in capsys.readouterr().err
