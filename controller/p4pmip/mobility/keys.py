"""GRE keys: unpredictable, at O(1) whatever the occupancy, and quarantined after release.

The free keys are a virtual array of which only the places that were exchanged are stored (a Fisher-Yates shuffle run
lazily): drawing one is a uniform draw from all that are free, and costs the same for the first key and for the last.
"""

from collections import deque
from collections.abc import Hashable
from random import Random

from p4pmip.mobility.binding import Granularity


class KeyAllocator:
    """The keys of one end point.

    Args:
        first: The lowest key of the range; 0 is legal.
        last: The highest key.
        quarantine: Seconds between a key's release and its next use: late packets of the old session must not enter
            a new one.
        random: The source of randomness; `random.SystemRandom` outside of tests.
    """

    def __init__(self, first: int, last: int, quarantine: float, random: Random) -> None:
        self.first = first
        self.last = last
        self.quarantine = quarantine
        self._random = random
        self._size = last - first + 1
        self._drawn = 0
        """Places [0, _drawn) of the array are not free."""
        self._moved: dict[int, int] = {}
        self._resting: deque[tuple[float, int]] = deque()
        self._claimed: set[int] = set()
        """Keys of a journal that still lie among the free places: dropped when they are drawn."""

    @property
    def free(self) -> int:
        """How many keys can be allocated, those in quarantine apart."""
        return self._size - self._drawn - len(self._claimed)

    @property
    def resting(self) -> int:
        """How many keys are in quarantine."""
        return len(self._resting)

    def allocate(self, now: float) -> int | None:
        """A key nobody uses, or None when there is none."""
        while self._resting and self._resting[0][0] <= now:
            self._give_back(self._resting.popleft()[1])
        while self._drawn < self._size:
            key = self._draw()
            if key not in self._claimed:
                return key
            self._claimed.remove(key)
        return None

    def release(self, key: int, now: float) -> float:
        """Put a key into quarantine; answers when that ends."""
        until = now + self.quarantine
        self._resting.append((until, key))
        return until

    def claim(self, key: int) -> None:
        """Take a key that a journal says is in use; at a restart, before anything is allocated."""
        if self.first <= key <= self.last:
            self._claimed.add(key)

    def rest(self, key: int, until: float) -> None:
        """Put a key of a journal into quarantine until then; in the order of `until`."""
        self.claim(key)
        self._resting.append((until, key))

    def _draw(self) -> int:
        at = self._drawn
        chosen = at + (self._random.getrandbits(64) * (self._size - at) >> 64)
        moved = self._moved
        here = moved.pop(at, at)
        self._drawn = at + 1
        if chosen == at:
            return self.first + here
        key = moved.get(chosen, chosen)
        moved[chosen] = here
        return self.first + key

    def _give_back(self, key: int) -> None:
        if key in self._claimed:
            self._claimed.remove(key)
        elif self.first <= key <= self.last:
            self._drawn -= 1
            place, key = self._drawn, key - self.first
            if place != key:
                self._moved[place] = key


class KeyRing:
    """Keys by what they stand for: one session, or all the sessions of an owner (a realm) together."""

    def __init__(self, allocator: KeyAllocator) -> None:
        self.allocator = allocator
        self._shared: dict[Hashable, tuple[int, int]] = {}
        """Owner: its key and how many hold it."""

    def acquire(self, granularity: Granularity, owner: Hashable, now: float) -> int | None:
        """A key for one more session of `owner`; None when the range is exhausted."""
        if granularity is Granularity.SESSION:
            return self.allocator.allocate(now)
        key, users = self._shared.get(owner, (None, 0))
        if key is None:
            key = self.allocator.allocate(now)
            if key is None:
                return None
        self._shared[owner] = (key, users + 1)
        return key

    def release(self, granularity: Granularity, owner: Hashable, key: int, now: float) -> float | None:
        """Give a session's key back; answers until when it rests, None while others of the owner hold it."""
        if granularity is Granularity.REALM:
            held, users = self._shared[owner]
            assert held == key
            if users > 1:
                self._shared[owner] = (key, users - 1)
                return None
            del self._shared[owner]
        return self.allocator.release(key, now)

    def restore(self, granularity: Granularity, owner: Hashable, key: int) -> None:
        """Take the key of a journalled session."""
        users = 0
        if granularity is Granularity.REALM:
            users = self._shared.get(owner, (key, 0))[1]
            self._shared[owner] = (key, users + 1)
        if not users:
            self.allocator.claim(key)
