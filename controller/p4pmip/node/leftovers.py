"""What the switch holds and nobody needs any more: deleted soon, and what has gathered meanwhile together.

Nobody waits for a packet that is not forwarded any more, so that many sessions that move or end share a request.
"""

import asyncio
import heapq
import itertools
from collections.abc import Callable, Iterable

from p4pmip.forwarding.entry import Entry
from p4pmip.forwarding.ledger import Delta, Ledger

TOGETHER = 0.05
"""Seconds for which entries wait for others."""


class Leftovers:
    """Takes entries out of the ledger and, with `write`, out of the switch."""

    def __init__(self, ledger: Ledger, write: Callable[[Delta], "asyncio.Future[None]"]) -> None:
        self._ledger = ledger
        self._write = write
        self._numbers = itertools.count()
        self._waiting: list[tuple[float, int, tuple[Entry, ...], asyncio.Future[None]]] = []
        """A heap: when they leave, first come first served, the entries, who asked."""
        self._timer: asyncio.TimerHandle | None = None

    def add(self, entries: Iterable[Entry], seconds: float = 0.0) -> "asyncio.Future[None]":
        """Let go of entries that were asked for, after so many seconds; the future has what came of it."""
        loop = asyncio.get_running_loop()
        outcome: asyncio.Future[None] = loop.create_future()
        heapq.heappush(self._waiting, (loop.time() + seconds + TOGETHER, next(self._numbers), tuple(entries), outcome))
        self._arm()
        return outcome

    def close(self) -> None:
        """The switch keeps what it holds."""
        if self._timer is not None:
            self._timer.cancel()
        for *_, outcome in self._waiting:
            outcome.cancel()
        self._waiting.clear()

    def _arm(self) -> None:
        when = self._waiting[0][0]
        if self._timer is not None:
            if self._timer.when() <= when:
                return
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_at(when, self._delete)

    def _delete(self) -> None:
        self._timer = None
        # Those that will be due in a moment leave with those that are.
        now = asyncio.get_running_loop().time() + TOGETHER
        entries: list[Entry] = []
        asked: list[asyncio.Future[None]] = []
        while self._waiting and self._waiting[0][0] <= now:
            _, _, some, outcome = heapq.heappop(self._waiting)
            entries += some
            asked.append(outcome)
        if self._waiting:
            self._arm()

        def done(written: "asyncio.Future[None]") -> None:
            for outcome in asked:
                if outcome.done():
                    continue
                if written.cancelled():
                    outcome.cancel()
                elif (error := written.exception()) is not None:
                    outcome.set_exception(error)
                else:
                    outcome.set_result(None)

        self._write(self._ledger.release(entries)).add_done_callback(done)
