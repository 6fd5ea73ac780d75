"""The small ids of sessions: what entries of a switch and rows of a journal call a session by."""

from collections import deque


class SessionIds:
    """The ids of one end point, each held at most once.

    New ones come first, then those that were given back, longest ago first.

    Args:
        first: The lowest id; 0 is never used.
        last: The highest one.
    """

    def __init__(self, first: int, last: int) -> None:
        self._first = first
        self._last = last
        self._next = first
        """Ids from here on were never taken, the claimed ones apart."""
        self._claimed: set[int] = set()
        self._returned: deque[int] = deque()

    def take(self) -> int | None:
        """An id that nobody holds, or None when there is none."""
        while self._next <= self._last:
            number = self._next
            self._next += 1
            if number not in self._claimed:
                return number
            self._claimed.remove(number)
        return self._returned.popleft() if self._returned else None

    def claim(self, number: int) -> None:
        """Take an id that a journal says is in use; at a restart, before any is taken."""
        if self._first <= number <= self._last:
            self._claimed.add(number)

    def give_back(self, number: int) -> None:
        """An id that switch and journal know no longer."""
        if number in self._claimed:
            self._claimed.remove(number)
        elif self._first <= number <= self._last:
            self._returned.append(number)
