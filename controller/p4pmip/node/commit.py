"""Group commit: everything asked for while one commit runs goes into the next one.

The journal blocks on the disk, so it runs in a thread of its own; one fsync then serves every binding that changed
meanwhile. The order of changes is the order in which they were asked for.
"""

import asyncio
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from p4pmip.mobility.record import Change
from p4pmip.node.log import NodeLogger
from p4pmip.store.error import JournalError
from p4pmip.store.journal import Journal

_Asked = tuple[Sequence[Change], bool, asyncio.Future[None]]


class GroupCommit:
    """Commits changes to one journal."""

    def __init__(self, journal: Journal, log: NodeLogger) -> None:
        self._journal = journal
        self._log = log
        self._thread = ThreadPoolExecutor(1, "journal")
        self._waiting: list[_Asked] = []
        self._idle = asyncio.Event()
        self._idle.set()
        self._owed: dict[tuple[str, str], Change] = {}
        """Refused changes that are true nevertheless: they go first in the next commit."""
        self.counters: Counter[str] = Counter()
        """`commits`, `changes`, `refused`; `alarm_journal`: changes that nobody waited for and that were refused."""

    def submit(self, changes: Sequence[Change], owed: bool = False) -> asyncio.Future[None]:
        """Ask for changes; the future has a `JournalError` if they were not made, nothing if they were.

        What is `owed` is tried again with the next commit: it has happened whether the journal takes it or not.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        self._waiting.append((changes, owed, future))
        if self._idle.is_set():
            # Not at once: what else is ready now shares the commit.
            self._idle.clear()
            loop.call_soon(self._begin)
        return future

    def remember(self, change: Change) -> None:
        """Ask for a change that nothing waits for; a failure is an alarm, since a restart would miss it."""
        self.submit([change], owed=True).add_done_callback(self._remembered)

    def _remembered(self, future: "asyncio.Future[None]") -> None:
        if not future.cancelled() and (error := future.exception()) is not None:
            self.counters["alarm_journal"] += 1
            self._log.warning("journal: %s", error)

    def _begin(self) -> None:
        if not self._waiting:
            self._idle.set()
            return
        group, self._waiting = self._waiting, []
        changes = [*self._owed.values(), *(one for some, _, _ in group for one in some)]
        loop = asyncio.get_running_loop()
        self._thread.submit(self._journal.commit, changes).add_done_callback(
            lambda done: loop.call_soon_threadsafe(self._ended, group, len(changes), done)
        )

    def _ended(self, group: list[_Asked], changes: int, done: "Future[None]") -> None:
        error = done.exception()
        if error is None:
            self._owed.clear()
            self.counters["commits"] += 1
            self.counters["changes"] += changes
        elif isinstance(error, JournalError):
            self.counters["refused"] += 1
            self._owed.update({(one.kind, one.key): one for some, owed, _ in group if owed for one in some})
        self._begin()
        for _, _, future in group:
            if future.done():
                continue
            if error is None:
                future.set_result(None)
            else:
                future.set_exception(error)

    async def close(self) -> None:
        """Finish what was asked for and let go of the journal."""
        await self._idle.wait()
        self._thread.shutdown()
        self._journal.close()
