"""Deadlines for a million things, without a scan.

A heap holds at most one live entry per thing: moving a deadline later (what every refresh does) touches no heap at
all, the entry finds out when it surfaces. What was superseded is dropped when it surfaces or when it outnumbers the
living.
"""

from collections.abc import Iterator
from heapq import heapify, heappop, heappush
from math import inf


class Timed:
    """Something with a deadline; give `deadline` to `Timers.arm`, never set it."""

    __slots__ = ("armed", "deadline")

    def __init__(self) -> None:
        self.deadline = inf
        self.armed = inf
        """The earliest entry in the heap that is to be believed."""


class Timers:
    """A heap of deadlines in seconds of one monotonic clock."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Timed]] = []
        self._pushed = 0
        self._living = 0

    def arm(self, timed: Timed, deadline: float) -> None:
        """Set or move the deadline of a thing."""
        if timed.deadline == inf:
            self._living += 1
        timed.deadline = deadline
        if deadline < timed.armed:
            self._push(timed, deadline)

    def disarm(self, timed: Timed) -> None:
        """Take the deadline of a thing away; a thing without one is fine."""
        if timed.deadline != inf:
            timed.deadline = inf
            self._living -= 1
            if len(self._heap) > 64 + 2 * self._living:
                self._compact()

    def due(self, now: float) -> Iterator[Timed]:
        """The things whose deadline has come, in its order, each disarmed when its turn comes.

        What becomes of one may disarm another: that has no turn then.
        """
        while (deadline := self.next()) is not None and deadline <= now:
            timed = heappop(self._heap)[2]
            timed.armed = timed.deadline = inf
            self._living -= 1
            yield timed

    def next(self) -> float | None:
        """The earliest deadline."""
        heap = self._heap
        while heap:
            deadline, _, timed = heap[0]
            if deadline == timed.armed == timed.deadline:
                return deadline
            heappop(heap)
            if deadline == timed.armed:
                timed.armed = inf
                if timed.deadline != inf:
                    self._push(timed, timed.deadline)
        return None

    def _push(self, timed: Timed, deadline: float) -> None:
        timed.armed = deadline
        self._pushed += 1
        heappush(self._heap, (deadline, self._pushed, timed))

    def _compact(self) -> None:
        living: dict[int, tuple[float, int, Timed]] = {}
        for _, number, timed in self._heap:
            timed.armed = timed.deadline
            if timed.deadline != inf:
                living[id(timed)] = (timed.deadline, number, timed)
        self._heap = list(living.values())
        heapify(self._heap)
