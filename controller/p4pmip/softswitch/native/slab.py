"""Memory for records that machine code reads, and when it may be used again."""

import ctypes
from collections import deque
from typing import Any

BLOCK = 1024
"""Records in one piece of memory. Blocks never move and are never given back."""

Record = tuple[Any, int, int]
"""The block, the octet in it where the record begins, and the record's address."""


class Epoch:
    """When what a table no longer refers to has been left by every packet.

    `word` is even while packets run in machine code and odd between them; it grows by one each time.
    """

    def __init__(self) -> None:
        self.word = (ctypes.c_uint64 * 1)(1)
        self.address = ctypes.addressof(self.word)
        self._retired: deque[tuple[int, list[Any] | None, Any]] = deque()

    def retire(self, thing: Any, free: list[Any] | None = None) -> None:
        """Put `thing` into `free` (or forget it) once no packet can hold it. Nothing refers to it any more."""
        now = self.word[0]
        self._retired.append((now, free, thing))
        while self._retired and ((when := self._retired[0][0]) & 1 or when != now):
            _, into, what = self._retired.popleft()
            if into is not None:
                into.append(what)

    def __len__(self) -> int:
        return len(self._retired)


class Slab:
    """Records of one size."""

    def __init__(self, words: int) -> None:
        self._octets = 8 * words
        self.free: list[Record] = []

    def take(self) -> Record:
        """A record; what stands in it is left over from its last use."""
        if not self.free:
            block = (ctypes.c_uint64 * (BLOCK * self._octets // 8))()
            start = ctypes.addressof(block)
            offsets = range((BLOCK - 1) * self._octets, -1, -self._octets)
            self.free.extend((block, offset, start + offset) for offset in offsets)
        return self.free.pop()
