"""Home network prefixes and IPv4 home addresses of a realm: equally spaced values, each held at most once."""

from collections import deque
from collections.abc import Callable, Collection
from ipaddress import IPv4Network, IPv6Network
from typing import Self

from p4pmip.mobility.session import pack


class Pool:
    """`count` values from `first` on, `step` apart.

    Whether a value is held is known to its user (a binding cache has an index); the pool knows which were never given
    out and which came back, and gives those that came back longest ago last.
    """

    def __init__(self, first: int, step: int, count: int, reserved: Collection[int] = ()) -> None:
        self._first = first
        self._step = step
        self._count = count
        self._reserved = frozenset(reserved)
        self._fresh = 0
        self._returned: deque[int] = deque()

    @classmethod
    def of_prefixes(cls, network: IPv6Network, length: int, reserved: Collection[int] = ()) -> Self:
        """The packed prefixes of `length` in a network."""
        step = 1 << (128 - length) << 8
        return cls(pack(int(network.network_address), length), step, 1 << (length - network.prefixlen), reserved)

    @classmethod
    def of_addresses(cls, network: IPv4Network, reserved: Collection[int] = ()) -> Self:
        """The packed host addresses of a network."""
        skip = 1 if network.prefixlen < 31 else 0
        first = pack(int(network.network_address) + skip, network.prefixlen)
        return cls(first, 1 << 8, network.num_addresses - 2 * skip, reserved)

    def __contains__(self, value: int) -> bool:
        index, rest = divmod(value - self._first, self._step)
        return rest == 0 and 0 <= index < self._count

    def reserved(self, value: int) -> bool:
        """Whether the value belongs to one mobile node by its profile."""
        return value in self._reserved

    def take(self, held: Callable[[int], bool]) -> int | None:
        """A value that is not held and not reserved, or None. What is skipped is not seen again, so this is O(1)."""
        while self._fresh < self._count:
            value = self._first + self._fresh * self._step
            self._fresh += 1
            if value not in self._reserved and not held(value):
                return value
        while self._returned:
            value = self._returned.popleft()
            if not held(value):
                return value
        return None

    def give_back(self, value: int) -> None:
        """A value that nobody holds any more."""
        if value in self and value not in self._reserved and (value - self._first) // self._step < self._fresh:
            self._returned.append(value)
