"""Tables as machine code sees them: written whenever a table changes, read back for what was counted."""

import ctypes
from collections.abc import Callable
from typing import TYPE_CHECKING

from p4pmip.softswitch.ir import Program
from p4pmip.softswitch.native.layout import (
    ACTION,
    ARGUMENTS,
    CAPACITY_MASK,
    EMPTY,
    FLAGS,
    GONE,
    GROUP_WORDS,
    LAST_HIT,
    MOST,
    OCTETS,
    PACKETS,
    PRIORITY,
    SEQUENCE,
    SLOTS,
    SLOW,
    WORD,
    TableLayout,
    hashed,
    split,
)
from p4pmip.softswitch.tables import Entry, MatchTable, patterns

if TYPE_CHECKING:
    Words = ctypes.Array[ctypes.c_uint64]

SMALLEST = 16
"""Slots of a new group."""


class Group:
    """The entries of one mask: a hash table of addresses, open addressing."""

    def __init__(self, mask: tuple[int, ...]) -> None:
        self.mask = mask
        self.held: dict[tuple[int, ...], list[tuple[Entry, Words]]] = {}
        self.most = 0
        self._used = 0
        self._allocate(SMALLEST)

    def _allocate(self, capacity: int) -> None:
        self.capacity = capacity
        self.slots = (ctypes.c_uint64 * capacity)()
        self._used = 0
        for key, entries in self.held.items():
            self._place(key, ctypes.addressof(entries[0][1]))

    def _place(self, key: tuple[int, ...], address: int) -> None:
        at = hashed(key) & self.capacity - 1
        while self.slots[at] not in (EMPTY, GONE):
            at = at + 1 & self.capacity - 1
        self._used += self.slots[at] == EMPTY
        self.slots[at] = address

    def _where(self, address: int, key: tuple[int, ...]) -> int:
        at = hashed(key) & self.capacity - 1
        while self.slots[at] != address:
            at = at + 1 & self.capacity - 1
        return at

    def insert(self, key: tuple[int, ...], entry: Entry, words: "Words") -> bool:
        """Add an entry; whether the slots moved."""
        entries = self.held.get(key)
        if entries is not None:
            at = self._where(ctypes.addressof(entries[0][1]), key)
            entries.append((entry, words))
            entries.sort(key=lambda one: (one[0].priority, -one[0].sequence), reverse=True)
            self.slots[at] = ctypes.addressof(entries[0][1])
            return False
        self.held[key] = [(entry, words)]
        if 2 * (self._used + 1) > self.capacity:
            self._allocate(max(SMALLEST, 1 << (4 * len(self.held)).bit_length()))
            return True
        self._place(key, ctypes.addressof(words))
        return False

    def remove(self, key: tuple[int, ...], entry: Entry) -> None:
        """Take an entry out."""
        entries = self.held[key]
        at = self._where(ctypes.addressof(entries[0][1]), key)
        entries[:] = [one for one in entries if one[0] is not entry]
        if entries:
            self.slots[at] = ctypes.addressof(entries[0][1])
        else:
            self.slots[at] = GONE
            del self.held[key]


class NativeTable:
    """One table's mirror. It hears of every change of its `MatchTable`."""

    def __init__(self, program: Program, table: MatchTable, layout: TableLayout) -> None:
        self._program = program
        self._table = table
        self._layout = layout
        # Until a machine is bound, the addresses go nowhere.
        self._view_address, self._default_address = ctypes.c_uint64(), ctypes.c_uint64()
        self._groups: dict[tuple[int, ...], Group] = {}
        self._words: dict[Entry, list[Words]] = {}
        self._view: Words = (ctypes.c_uint64 * 1)()
        self._view_address.value = ctypes.addressof(self._view)
        self._argument_words = [
            tuple(-(-width // WORD) for _, width in program.actions[one].parameters) if one in program.actions else ()
            for one in range(max(program.actions, default=-1) + 1)
        ]
        self._default_words = self._write(table.default, 0)
        self.changed(table.default)
        for entry in table.by_key.values():
            self.inserted(entry)

    def bind(self, view: int, default: int) -> None:
        """Machine code will look for the view and the default entry at these addresses."""
        addresses = self._view_address.value, self._default_address.value
        self._view_address = ctypes.c_uint64.from_address(view)
        self._default_address = ctypes.c_uint64.from_address(default)
        self._view_address.value, self._default_address.value = addresses

    def _write(self, entry: Entry, value: int) -> "Words":
        layout = self._layout
        words = (ctypes.c_uint64 * layout.entry_words)(*split(value, layout.words))
        self._fill(entry, words)
        return words

    def _fill(self, entry: Entry, words: "Words") -> None:
        base = self._layout.words
        words[base + ACTION] = entry.action & (1 << 64) - 1
        slow = (entry.meter is not None and entry.meter.config is not None) or entry.choice is not None
        words[base + FLAGS] = SLOW if slow else 0
        words[base + PRIORITY] = entry.priority
        words[base + SEQUENCE] = entry.sequence
        at = base + ARGUMENTS
        if entry.action < 0:
            return
        for value, count in zip(entry.arguments, self._argument_words[entry.action], strict=True):
            if count == 1:
                words[at] = value
            else:
                for offset, word in enumerate(split(value, count)):
                    words[at + offset] = word
            at += count

    def inserted(self, entry: Entry) -> None:
        """An entry has come."""
        rebuild = False
        held = []
        for value, mask in self._patterns(entry):
            masks = split(mask, self._layout.words)
            group = self._groups.get(masks)
            if group is None:
                group = self._groups[masks] = Group(masks)
                rebuild = True
            words = self._write(entry, value)
            held.append(words)
            rebuild |= group.insert(split(value, self._layout.words), entry, words)
            if entry.priority > group.most:
                group.most = entry.priority
                rebuild |= self._table.needs_priority
        self._words[entry] = held
        if rebuild:
            self._rebuild()

    def removed(self, entry: Entry) -> None:
        """An entry has gone; what it counted stays in it."""
        self.collect(entry)
        rebuild = False
        for value, mask in self._patterns(entry):
            masks = split(mask, self._layout.words)
            group = self._groups[masks]
            group.remove(split(value, self._layout.words), entry)
            if not group.held:
                del self._groups[masks]
                rebuild = True
        del self._words[entry]
        if rebuild:
            self._rebuild()

    def cleared(self) -> None:
        """All entries have gone."""
        self._groups.clear()
        self._words.clear()
        self._rebuild()

    def changed(self, entry: Entry) -> None:
        """An entry's action, arguments or meter are others now: no packet runs meanwhile."""
        if entry is self._table.default:
            self._default_words = self._write(entry, 0)
            self._default_address.value = ctypes.addressof(self._default_words)
            return
        for words in self._words.get(entry, ()):
            self._fill(entry, words)

    def is_slow(self, entry: Entry) -> bool:
        """Whether packets that hit the entry are the interpreter's."""
        return any(words[self._layout.words + FLAGS] == SLOW for words in self._words[entry])

    def collect(self, entry: Entry) -> None:
        """Add to the entry what machine code counted for it."""
        base = self._layout.words
        for words in [self._default_words] if entry is self._table.default else self._words.get(entry, ()):
            entry.packets += words[base + PACKETS]
            entry.octets += words[base + OCTETS]
            words[base + PACKETS] = words[base + OCTETS] = 0
            if words[base + LAST_HIT]:
                entry.last_hit = max(entry.last_hit, words[base + LAST_HIT] / 1e6)
                entry.notified = False
                words[base + LAST_HIT] = 0

    def _patterns(self, entry: Entry) -> list[tuple[int, int]]:
        if self._table.is_exact:
            return [(self._table.exact_key(entry), (1 << self._layout.width) - 1)]
        return [(one.value, one.mask) for one in patterns(self._table.table.key, entry.match)]

    def _rebuild(self) -> None:
        """The view again: which groups there are, in the order of search."""
        rank: Callable[[Group], int]
        rank = (lambda one: one.most) if self._table.needs_priority else _prefix
        ordered = sorted(self._groups.values(), key=rank, reverse=True)
        words = self._layout.words
        view = (ctypes.c_uint64 * (1 + len(ordered) * (words + GROUP_WORDS)))()
        view[0] = len(ordered)
        at = 1
        for group in ordered:
            view[at : at + words] = list(group.mask)
            view[at + words + CAPACITY_MASK] = group.capacity - 1
            view[at + words + MOST] = group.most
            view[at + words + SLOTS] = ctypes.addressof(group.slots)
            at += words + GROUP_WORDS
        self._view = view
        self._view_address.value = ctypes.addressof(view)


def _prefix(group: Group) -> int:
    return sum(word.bit_count() for word in group.mask)


class NativeCounter:
    """An indirect counter's cells in memory."""

    def __init__(self, size: int) -> None:
        self.cells = (ctypes.c_uint64 * (2 * max(size, 1)))()

    def bind(self, pointer: int) -> None:
        """Machine code will look for the cells at this address."""
        ctypes.c_uint64.from_address(pointer).value = ctypes.addressof(self.cells)

    def collect(self, packets: list[int], octets: list[int], index: int) -> None:
        """Move what machine code counted in one cell."""
        if self.cells[2 * index]:
            packets[index] += self.cells[2 * index]
            octets[index] += self.cells[2 * index + 1]
            self.cells[2 * index] = self.cells[2 * index + 1] = 0
