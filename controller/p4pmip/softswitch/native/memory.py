"""Tables as machine code sees them, changed while it runs; and what it has counted.

A record is never changed while machine code can find it. A change writes a fresh record, puts its address into the
hash slot with one store, and retires the old one until every packet has left it (`Epoch`), so that no packet sees a
half-written entry and none waits. What is counted stands in a cell of its own, which a changed entry keeps; only
machine code writes it, and it only grows: what was read before is subtracted.
"""

import ctypes
from collections.abc import Callable
from struct import Struct
from typing import TYPE_CHECKING

from p4pmip.softswitch.ir import Program
from p4pmip.softswitch.native.layout import (
    CAPACITY_MASK,
    CELL_WORDS,
    GONE,
    GROUP_WORDS,
    MOST,
    SLOTS,
    SLOW,
    WORD,
    WORD_MASK,
    TableLayout,
    argument_words,
    split,
)
from p4pmip.softswitch.native.slab import Epoch, Record, Slab
from p4pmip.softswitch.native.slots import slots
from p4pmip.softswitch.tables import Entry, MatchTable

if TYPE_CHECKING:
    Words = ctypes.Array[ctypes.c_uint64]

SMALLEST = 16
"""Slots of a new group."""

CELL_FORMAT = Struct(f"={CELL_WORDS}Q")


class Held:
    """What belongs to one entry: a record for each of its patterns, its cell, and what was read of the cell."""

    __slots__ = ("cell", "octets", "packets", "records", "slow")

    def __init__(self, cell: Record) -> None:
        self.cell = cell
        self.records: list[Record] = []
        self.packets = self.octets = 0
        self.slow = False


class Group:
    """The entries of one mask: a hash table of addresses, open addressing."""

    def __init__(self, mask: int, words: int, epoch: Epoch, shared: bool) -> None:
        self.mask = mask
        self.most = 0
        self.live = 0
        self._words = words
        self._epoch = epoch
        self._shared: dict[int, list[tuple[Entry, int]]] | None = {} if shared else None
        """By masked key, where several entries may have one: the address of each, the best one first."""
        self._allocate(SMALLEST)

    def _allocate(self, capacity: int) -> None:
        self.capacity = capacity
        self._used = 0
        self._slots = (ctypes.c_uint64 * capacity)()
        self.address = ctypes.addressof(self._slots)

    def insert(self, key: int, entry: Entry, address: int) -> bool:
        """Add an entry; whether the slots moved."""
        if self._shared is not None:
            others = self._shared.setdefault(key, [])
            others.append((entry, address))
            if len(others) > 1:
                self._resort(others, others[0][1])
                return False
        self.live += 1
        moved = 2 * (self._used + 1) > self.capacity
        if moved:
            self._grow()
        self._used += slots().place(self.address, self.capacity - 1, address, self._words)
        return moved

    def _resort(self, others: list[tuple[Entry, int]], top: int) -> None:
        others.sort(key=lambda one: (one[0].priority, -one[0].sequence), reverse=True)
        if others[0][1] != top:
            self._store(top, others[0][1])

    def _grow(self) -> None:
        """Into other slots, without what is gone."""
        old, address, capacity = self._slots, self.address, self.capacity
        self._allocate(max(SMALLEST, 1 << (4 * self.live).bit_length()))
        self._used = slots().move(address, capacity, self.address, self.capacity - 1, self._words)
        self._epoch.retire(old)

    def _store(self, old: int, new: int) -> None:
        slots().replace(self.address, self.capacity - 1, old, new, self._words)

    def replace(self, key: int, entry: Entry, old: int, new: int) -> None:
        """An entry has another record."""
        if self._shared is not None:
            others = self._shared[key]
            top = others[0][0] is entry
            others[:] = [(one, new if one is entry else address) for one, address in others]
            if not top:
                return
        self._store(old, new)

    def remove(self, key: int, entry: Entry, address: int) -> None:
        """Take an entry out."""
        if self._shared is not None:
            others = self._shared[key]
            top = others[0][1]
            others[:] = [one for one in others if one[0] is not entry]
            if others:
                if others[0][1] != top:
                    self._store(top, others[0][1])
                return
            del self._shared[key]
        self.live -= 1
        self._store(address, GONE)

    def retire(self) -> None:
        """The group has gone."""
        self._epoch.retire(self._slots)


class NativeTable:
    """One table's mirror. It hears of every change of its `MatchTable`."""

    def __init__(self, program: Program, table: MatchTable, layout: TableLayout, epoch: Epoch) -> None:
        self._table = table
        self._layout = layout
        self._epoch = epoch
        self._groups: dict[int, Group] = {}
        self._held: dict[Entry, Held] = {}
        self._records, self._cells = Slab(layout.entry_words), Slab(CELL_WORDS)
        counted = table.table.direct_counter or table.table.idle_timeout
        self._nowhere = None if counted else self._cells.take()
        self._formats = {one: self._format(program, one) for one in (-1, *program.actions)}
        # Until a machine is bound, the addresses are published here.
        self._unbound = (ctypes.c_uint64 * 2)()
        self._view_at = ctypes.addressof(self._unbound)
        self._default_at = self._view_at + 8
        self._view: Words = (ctypes.c_uint64 * 1)()
        self._publish_view()
        self.changed(table.default)
        for entry in table.by_key.values():
            self.inserted(entry)

    def _format(self, program: Program, action: int) -> tuple[Struct, tuple[int, ...] | None]:
        """How a record with this action is packed; the words of its arguments, if any has more than one."""
        widths = () if action < 0 else tuple(width for _, width in program.actions[action].parameters)
        counts = tuple(-(-width // WORD) for width in widths)
        fixed = self._layout.entry_words - self._layout.arguments
        total = fixed + (0 if action < 0 else argument_words(program, action))
        return Struct(f"={total}Q"), None if all(one == 1 for one in counts) else counts

    def bind(self, view: int, default: int) -> None:
        """Machine code will look for the view and the default entry at these addresses."""
        self._view_at, self._default_at = view, default
        slots().publish(view, ctypes.addressof(self._view))
        slots().publish(default, self._held[self._table.default].records[0][2])

    def _write(self, entry: Entry, key: int, held: Held) -> Record:
        """A fresh record."""
        record = self._records.take()
        form, counts = self._formats[entry.action]
        arguments = entry.arguments
        if counts is not None:
            arguments = tuple(
                word for value, count in zip(arguments, counts, strict=True) for word in split(value, count)
            )
        words = self._layout.words
        form.pack_into(
            record[0], record[1], *((key,) if words == 1 else split(key, words)), entry.action & WORD_MASK,
            SLOW if held.slow else 0, entry.priority, entry.sequence, held.cell[2], *arguments,
        )  # fmt: skip
        return record

    @staticmethod
    def _is_slow(entry: Entry) -> bool:
        return entry.choice is not None or (entry.meter is not None and entry.meter.config is not None)

    def _new(self, entry: Entry) -> Held:
        cell = self._nowhere
        if cell is None:
            cell = self._cells.take()
            CELL_FORMAT.pack_into(cell[0], cell[1], 0, 0, 0)
        held = self._held[entry] = Held(cell)
        held.slow = self._is_slow(entry)
        return held

    def inserted(self, entry: Entry) -> None:
        """An entry has come."""
        held, rebuild = self._new(entry), False
        for value, mask in entry.patterns:
            group = self._groups.get(mask)
            if group is None:
                shared = self._table.needs_priority
                group = self._groups[mask] = Group(mask, self._layout.words, self._epoch, shared)
                rebuild = True
            record = self._write(entry, value, held)
            held.records.append(record)
            if entry.priority > group.most:
                group.most = entry.priority
                rebuild = True
            rebuild |= group.insert(value, entry, record[2])
        if rebuild:
            self._rebuild()

    def removed(self, entry: Entry) -> None:
        """An entry has gone; what it counted stays in it."""
        self.collect(entry)
        held, rebuild = self._held.pop(entry), False
        for (value, mask), record in zip(entry.patterns, held.records, strict=True):
            group = self._groups[mask]
            group.remove(value, entry, record[2])
            self._epoch.retire(record, self._records.free)
            if not group.live:
                del self._groups[mask]
                group.retire()
                rebuild = True
        if self._nowhere is None:
            self._epoch.retire(held.cell, self._cells.free)
        if rebuild:
            self._rebuild()

    def cleared(self) -> None:
        """All entries have gone."""
        for entry in list(self._held):
            if entry is not self._table.default:
                self.removed(entry)

    def changed(self, entry: Entry) -> None:
        """An entry's action, arguments or meter are others now."""
        if entry is self._table.default:
            self._changed_default(entry)
            return
        held = self._held.get(entry)
        if held is None:
            return
        held.slow = self._is_slow(entry)
        for at, (value, mask) in enumerate(entry.patterns):
            old, new = held.records[at], self._write(entry, value, held)
            self._groups[mask].replace(value, entry, old[2], new[2])
            held.records[at] = new
            self._epoch.retire(old, self._records.free)

    def _changed_default(self, entry: Entry) -> None:
        held = self._held.get(entry) or self._new(entry)
        held.slow = self._is_slow(entry)
        old, held.records = held.records, [self._write(entry, 0, held)]
        slots().publish(self._default_at, held.records[0][2])
        for one in old:
            self._epoch.retire(one, self._records.free)

    def is_slow(self, entry: Entry) -> bool:
        """Whether packets that hit the entry are the interpreter's."""
        return self._held[entry].slow

    def collect(self, entry: Entry) -> None:
        """Add to the entry what machine code counted for it."""
        held = self._held.get(entry)
        if held is None or self._nowhere is not None:
            return
        packets, octets, last_hit = CELL_FORMAT.unpack_from(held.cell[0], held.cell[1])
        entry.packets += packets - held.packets
        entry.octets += octets - held.octets
        held.packets, held.octets = packets, octets
        if last_hit and last_hit / 1e6 > entry.last_hit:
            entry.last_hit = last_hit / 1e6

    def _rebuild(self) -> None:
        """The view again: which groups there are, in the order of search."""
        rank: Callable[[Group], int]
        rank = (lambda one: one.most) if self._table.needs_priority else (lambda one: one.mask.bit_count())
        ordered = sorted(self._groups.values(), key=rank, reverse=True)
        words = self._layout.words
        view = (ctypes.c_uint64 * (1 + len(ordered) * (words + GROUP_WORDS)))()
        view[0] = len(ordered)
        at = 1
        for group in ordered:
            view[at : at + words] = list(split(group.mask, words))
            view[at + words + CAPACITY_MASK] = group.capacity - 1
            view[at + words + MOST] = group.most
            view[at + words + SLOTS] = group.address
            at += words + GROUP_WORDS
        old, self._view = self._view, view
        self._publish_view()
        self._epoch.retire(old)

    def _publish_view(self) -> None:
        slots().publish(self._view_at, ctypes.addressof(self._view))


class NativeCounter:
    """An indirect counter's cells in memory."""

    def __init__(self, size: int) -> None:
        self.cells = (ctypes.c_uint64 * (2 * max(size, 1)))()
        self._read = [0] * (2 * max(size, 1))

    def bind(self, pointer: int) -> None:
        """Machine code will look for the cells at this address."""
        slots().publish(pointer, ctypes.addressof(self.cells))

    def collect(self, packets: list[int], octets: list[int], index: int) -> None:
        """Add what machine code counted in one cell since it was last read."""
        at = 2 * index
        now, read = self.cells[at : at + 2], self._read
        packets[index] += now[0] - read[at]
        octets[index] += now[1] - read[at + 1]
        read[at : at + 2] = now
