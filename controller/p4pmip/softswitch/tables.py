"""Match tables: entries found by hashing, whatever the match kinds.

An exact table is one dictionary. Every other table is a list of dictionaries, one for each mask that some entry uses
(tuple-space search): longest prefix first, or highest priority first. A range becomes the prefixes that cover it.
"""

import itertools
from collections.abc import Callable, Iterator
from typing import NamedTuple, Protocol

from p4pmip.softswitch.ir import KeyField, MatchKind, Table
from p4pmip.softswitch.state import Meter

Match = tuple[tuple[int, int] | None, ...]
"""For each key field: (value, mask), (value, prefix length), (low, high) by its kind; None where anything fits."""


class Pattern(NamedTuple):
    """One (value, mask) of a whole key that an entry matches."""

    value: int
    mask: int


class Member:
    """A member of an action profile, or of a one-shot action set."""

    __slots__ = ("action", "arguments", "id", "users")

    def __init__(self, member_id: int, action: int, arguments: tuple[int, ...]) -> None:
        self.id = member_id
        self.action = action
        self.arguments = arguments
        self.users = 0


class Group:
    """A group of an action selector: a member is chosen by a hash, in proportion to its weight."""

    __slots__ = ("id", "members", "most", "slots", "source", "users")

    def __init__(self, group_id: int, most: int = 0) -> None:
        self.id = group_id
        self.most = most
        self.users = 0
        self.source: object = None
        self.members: list[tuple[Member, int]] = []
        self.slots: list[Member] = []

    def set(self, members: list[tuple[Member, int]]) -> None:
        """Replace its members and their weights."""
        self.members = members
        self.slots = [member for member, weight in members for _ in range(weight)]

    def pick(self, value: int) -> Member | None:
        """The member for a hash; None from an empty group."""
        return self.slots[value % len(self.slots)] if self.slots else None


class Entry:
    """One table entry, with what it has counted."""

    __slots__ = (
        "action", "arguments", "choice", "const", "controller", "idle_timeout", "last_hit", "match", "metadata",
        "meter", "octets", "packets", "patterns", "priority", "sequence", "source", "told",
    )  # fmt: skip

    def __init__(self, match: Match, priority: int, action: int, arguments: tuple[int, ...]) -> None:
        self.match = match
        self.priority = priority
        self.action = action
        self.arguments = arguments
        self.patterns: tuple[Pattern, ...] = ()
        """What of the whole key it matches, while it is in a table."""
        self.choice: Member | Group | None = None
        """What an action profile resolves: a member, a group, or a one-shot set."""
        self.packets = 0
        self.octets = 0
        self.meter: Meter | None = None
        self.last_hit = 0.0
        self.idle_timeout = 0
        self.told = 0.0
        """When its idling was last told about."""
        self.metadata = b""
        self.controller = 0
        self.const = False
        self.sequence = 0
        self.source: object = None
        """The P4Runtime action as written, for reading back what the action alone does not tell."""


class Mirror(Protocol):
    """An executor's own form of a table: it hears of every change."""

    def inserted(self, entry: Entry) -> None:
        """An entry has come."""

    def removed(self, entry: Entry) -> None:
        """An entry has gone."""

    def changed(self, entry: Entry) -> None:
        """An entry's action, arguments or meter are others now."""

    def collect(self, entry: Entry) -> None:
        """Add to the entry what was counted for it elsewhere."""

    def cleared(self) -> None:
        """All entries have gone."""


class MatchTable:
    """The entries of one table. The whole key is one number: its fields, first one highest."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self.name = table.name
        self.size = table.size
        self.by_key: dict[tuple[Match, int], Entry] = {}
        self.default = Entry((), 0, -1, ())
        self.exact: dict[int, Entry] = {}
        self._widths = [field.width for field in table.key]
        self._whole = (1 << sum(self._widths)) - 1
        kinds = {field.match for field in table.key}
        self.is_exact = kinds <= {MatchKind.EXACT}
        self.is_lpm = not self.is_exact and kinds <= {MatchKind.EXACT, MatchKind.LPM}
        self.needs_priority = not self.is_exact and not self.is_lpm
        self._groups: dict[int, dict[int, list[Entry]]] = {}
        self._order: list[tuple[int, int, dict[int, list[Entry]]]] = []
        self._sequence = itertools.count(1)
        self.find: Callable[[int], Entry | None] = self._finder()
        self.mirror: Mirror | None = None

    def _finder(self) -> Callable[[int], Entry | None]:
        if self.is_exact:
            return self.exact.get if self.table.key else _nothing
        return self._longest if self.is_lpm else self._highest

    def _longest(self, key: int) -> Entry | None:
        for _, mask, group in self._order:
            found = group.get(key & mask)
            if found:
                return found[0]
        return None

    def _highest(self, key: int) -> Entry | None:
        best: Entry | None = None
        for most, mask, group in self._order:
            if best is not None and best.priority > most:
                break
            found = group.get(key & mask)
            if found and (best is None or _rank(found[0]) > _rank(best)):
                best = found[0]
        return best

    def insert(self, entry: Entry) -> None:
        """Add an entry that is not there yet."""
        entry.sequence = next(self._sequence)
        self.by_key[entry.match, entry.priority] = entry
        if self.is_exact:
            key = self._exact_key(entry)
            entry.patterns = (Pattern(key, self._whole),)
            self.exact[key] = entry
        else:
            entry.patterns = tuple(patterns(self.table.key, entry.match))
        if self.mirror is not None:
            self.mirror.inserted(entry)
        if self.is_exact:
            return
        for pattern in entry.patterns:
            group = self._groups.setdefault(pattern.mask, {})
            found = group.setdefault(pattern.value, [])
            found.append(entry)
            found.sort(key=_rank, reverse=True)
        self._reorder(entry, arrived=True)

    def remove(self, entry: Entry) -> None:
        """Take an entry out."""
        del self.by_key[entry.match, entry.priority]
        if self.mirror is not None:
            self.mirror.removed(entry)
        if self.is_exact:
            del self.exact[entry.patterns[0].value]
            return
        for pattern in entry.patterns:
            group = self._groups[pattern.mask]
            found = group[pattern.value]
            found.remove(entry)
            if not found:
                del group[pattern.value]
            if not group:
                del self._groups[pattern.mask]
        self._reorder(entry, arrived=False)

    def _reorder(self, entry: Entry, arrived: bool) -> None:
        """Keep the masks in the order of search; mostly nothing changes."""
        if len(self._order) == len(self._groups) and self.is_lpm:
            return
        if arrived and len(self._order) == len(self._groups) and not self._raises(entry):
            return
        rank: Callable[[int, dict[int, list[Entry]]], int]
        rank = (lambda mask, _: mask.bit_count()) if self.is_lpm else (lambda _, group: _most(group))
        # A new list: a search that runs keeps its own.
        self._order = sorted(
            ((rank(mask, group), mask, group) for mask, group in self._groups.items()),
            key=lambda item: item[0],
            reverse=True,
        )

    def _raises(self, entry: Entry) -> bool:
        masks = {pattern.mask for pattern in entry.patterns}
        return any(mask in masks and most < entry.priority for most, mask, _ in self._order)

    def _exact_key(self, entry: Entry) -> int:
        key = 0
        for width, part in zip(self._widths, entry.match, strict=True):
            key = key << width | (part[0] if part else 0)
        return key

    def changed(self, entry: Entry) -> None:
        """An entry's action, arguments or meter are others now."""
        if self.mirror is not None:
            self.mirror.changed(entry)

    def collect(self, entry: Entry) -> None:
        """Bring what was counted for an entry up to date."""
        if self.mirror is not None:
            self.mirror.collect(entry)

    def clear(self) -> None:
        """Remove every entry; the default one stays."""
        if self.mirror is not None:
            self.mirror.cleared()
        self.by_key.clear()
        self.exact.clear()
        self._groups.clear()
        self._order = []

    def __len__(self) -> int:
        return len(self.by_key)


def _nothing(_: int) -> Entry | None:
    return None


def _rank(entry: Entry) -> tuple[int, int]:
    """Of two entries that match, the one with the higher priority wins, then the one that came first."""
    return entry.priority, -entry.sequence


def _most(group: dict[int, list[Entry]]) -> int:
    return max(found[0].priority for found in group.values())


def patterns(key: tuple[KeyField, ...], match: Match) -> Iterator[Pattern]:
    """Every (value, mask) of the whole key that an entry stands for: several only for ranges."""
    fields = [list(_field_patterns(field, part)) for field, part in zip(key, match, strict=True)]
    for chosen in itertools.product(*fields):
        value = mask = 0
        for field, (field_value, field_mask) in zip(key, chosen, strict=True):
            value = value << field.width | field_value
            mask = mask << field.width | field_mask
        yield Pattern(value, mask)


def _field_patterns(field: KeyField, part: tuple[int, int] | None) -> Iterator[tuple[int, int]]:
    everything = (1 << field.width) - 1
    if part is None:
        yield 0, 0
        return
    first, second = part
    match field.match:
        case MatchKind.EXACT:
            yield first, everything
        case MatchKind.LPM:
            mask = everything ^ (1 << field.width - second) - 1
            yield first & mask, mask
        case MatchKind.TERNARY | MatchKind.OPTIONAL:
            yield first & second, second
        case MatchKind.RANGE:
            yield from prefixes(first, second, field.width)


def prefixes(low: int, high: int, width: int) -> Iterator[tuple[int, int]]:
    """The fewest (value, mask) prefixes that cover low..high, both included."""
    everything = (1 << width) - 1
    while low <= high:
        size = low & -low or 1 << width
        while size > high - low + 1:
            size >>= 1
        yield low, everything ^ (size - 1)
        low += size
