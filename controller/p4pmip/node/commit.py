"""Group commit: everything asked for while one commit runs goes into the next one.

The journal blocks on the disk, so it runs in a thread of its own; one fsync then serves every binding that changed
meanwhile. The order of changes is the order in which they were asked for.
"""

import asyncio
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from p4pmip.mobility.record import Change
from p4pmip.store.error import JournalError
from p4pmip.store.journal import Journal


class GroupCommit:
    """Commits changes to one journal."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._thread = ThreadPoolExecutor(1, "journal")
        self._waiting: list[tuple[Sequence[Change], bool, asyncio.Future[None]]] = []
        self._running: asyncio.Task[None] | None = None
        self._owed: dict[tuple[str, str], Change] = {}
        """Refused changes that are true nevertheless: they go first in the next commit."""
        self.counters: Counter[str] = Counter()
        """`commits`, `changes`, `refused`."""

    def submit(self, changes: Sequence[Change], owed: bool = False) -> asyncio.Future[None]:
        """Ask for changes; the future has a `JournalError` if they were not made, nothing if they were.

        What is `owed` is tried again with the next commit: it has happened whether the journal takes it or not.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        self._waiting.append((changes, owed, future))
        if self._running is None:
            self._running = loop.create_task(self._run())
        return future

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while self._waiting:
                group, self._waiting = self._waiting, []
                later = [one for some, _, _ in group for one in some]
                changes = [*self._owed.values(), *later]
                error: JournalError | None = None
                try:
                    await loop.run_in_executor(self._thread, self._journal.commit, changes)
                    self._owed.clear()
                    self.counters["commits"] += 1
                    self.counters["changes"] += len(changes)
                except JournalError as refused:
                    error = refused
                    self.counters["refused"] += 1
                    self._owed.update({(one.kind, one.key): one for some, owed, _ in group if owed for one in some})
                for _, _, future in group:
                    if future.done():
                        continue
                    if error is None:
                        future.set_result(None)
                    else:
                        future.set_exception(error)
        finally:
            self._running = None

    async def close(self) -> None:
        """Finish what was asked for and let go of the journal."""
        while self._running is not None:
            await self._running
        self._thread.shutdown()
        self._journal.close()
