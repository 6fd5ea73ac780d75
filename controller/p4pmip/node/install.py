"""A change of a session, brought to the switch and to the journal side by side.

Both must have it before the engine may go on. Where one of them refuses, the other goes back to what was before,
unless the change gives something up: that has happened whatever they say.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from p4pmip.errors import P4pmipError
from p4pmip.mobility.effects import Install
from p4pmip.mobility.record import Change
from p4pmip.node.commit import GroupCommit
from p4pmip.node.log import NodeLogger
from p4pmip.node.switch import SwitchControl, gives_up
from p4pmip.p4runtime.writer import WriteRefused
from p4pmip.store.error import JournalError

Answer = Callable[[Install, str], None]
"""(what was asked for, why it was refused: empty if it was not)."""


@dataclass(frozen=True, slots=True)
class Answered:
    """Switch and journal have what an `Install` asked for, or one of them refused: the engine has been told."""

    install: Install
    refused: str = ""


class Installer:
    """Carries out `Install`.

    Attributes:
        counters: What was refused, by reason.
        count: Changes that were answered.
        seconds: How long those took together; `switch` and `journal` overlap, `total` is from asking to answering.
    """

    def __init__(self, switch: SwitchControl, journal: GroupCommit, log: NodeLogger) -> None:
        self._log = log
        self._switch = switch
        self._journal = journal
        self._open: set[_Change] = set()
        self._none_open = asyncio.Event()
        self._none_open.set()
        self.counters: Counter[str] = Counter()
        self.count = 0
        self.seconds = {"switch": 0.0, "journal": 0.0, "total": 0.0}

    def start(self, install: Install, answer: Answer) -> None:
        """Begin; `answer` is called once it is settled, from the event loop."""
        self._open.add(_Change(install, answer, self))
        self._none_open.clear()

    @property
    def idle(self) -> bool:
        """Nothing is under way."""
        return not self._open

    async def drain(self, seconds: float) -> None:
        """Wait for what is under way, but not for ever."""
        try:
            async with asyncio.timeout(seconds):
                await self._none_open.wait()
        except TimeoutError:
            self.counters["abandoned"] += len(self._open)

    def cancel(self) -> None:
        """Nobody waits any more."""
        for one in self._open:
            one.cancel()
        self._open.clear()

    def write(self, install: Install, final: bool) -> "asyncio.Future[None]":
        """The switch's part."""
        if final:
            return self._switch.end(install.old, install.new)
        return self._switch.apply(install.old, install.new)

    def remember(self, change: Change, owed: bool) -> "asyncio.Future[None]":
        """The journal's part."""
        return self._journal.submit([change], owed)

    def settled(self, done: "_Change", reason: str) -> None:
        """One of them is at its end."""
        self._open.discard(done)
        if not self._open:
            self._none_open.set()
        self.count += 1
        self.seconds["total"] += time.perf_counter() - done.began
        done.answer(done.install, reason)

    def reason(self, failure: BaseException) -> str:
        """How a refusal is named, and counted."""
        if isinstance(failure, WriteRefused | JournalError):
            self.counters[f"refused_{failure.reason}"] += 1
            return str(failure.reason)
        if isinstance(failure, P4pmipError):
            self.counters["refused_entry"] += 1
            return str(failure)
        self.counters["alarm_defect"] += 1
        self._log.error("a change failed", exc_info=failure)
        return "defect"


class _Change:
    """One change under way."""

    __slots__ = ("_installer", "_left", "_rows", "_undoing", "_written", "answer", "began", "final", "install")

    def __init__(self, install: Install, answer: Answer, installer: Installer) -> None:
        self.install = install
        self.answer = answer
        self.began = time.perf_counter()
        self.final = gives_up(install.before, install.after)
        self._installer = installer
        self._left = 2
        self._undoing: asyncio.Task[None] | None = None
        self._rows = installer.remember(install.change, self.final)
        self._written = installer.write(install, self.final)
        self._rows.add_done_callback(self._remembered)
        self._written.add_done_callback(self._wrote)

    def cancel(self) -> None:
        for future in (self._rows, self._written, self._undoing):
            if future is not None:
                future.cancel()

    def _remembered(self, _future: "asyncio.Future[None]") -> None:
        self._ended("journal")

    def _wrote(self, _future: "asyncio.Future[None]") -> None:
        self._ended("switch")

    def _ended(self, part: str) -> None:
        self._installer.seconds[part] += time.perf_counter() - self.began
        self._left -= 1
        if self._left or self._rows.cancelled() or self._written.cancelled():
            return
        failures = [error for future in (self._written, self._rows) if (error := future.exception()) is not None]
        if not failures:
            self._installer.settled(self, "")
        elif self.final:
            self._installer.settled(self, self._installer.reason(failures[0]))
        else:
            self._undoing = asyncio.get_running_loop().create_task(self._undo(self._installer.reason(failures[0])))

    async def _undo(self, reason: str) -> None:
        """The one that has taken it goes back; what it says of that is for its own counters and comparisons."""
        install, installer = self.install, self._installer
        back: list[asyncio.Future[None]] = []
        if self._written.exception() is None:
            back.append(installer.write(Install(install.ticket, install.after, install.before), final=False))
        if self._rows.exception() is None:
            back.append(installer.remember(install.undo, True))
        await asyncio.gather(*back, return_exceptions=True)
        installer.settled(self, reason)
