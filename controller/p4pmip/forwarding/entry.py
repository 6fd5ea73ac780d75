"""Table entries as plain values: what `forwarding` derives and `p4runtime` writes.

Names are the P4Info aliases; values are unsigned integers, whatever their width, so that entries compare, hash and
sort without a schema.
"""

from dataclasses import dataclass
from typing import NamedTuple


class Lpm(NamedTuple):
    """A longest-prefix match; host bits of `value` are zero, `length` is in bits and not 0 (0 is: omit the field)."""

    value: int
    length: int


class Ternary(NamedTuple):
    """A ternary match; `value & ~mask` is zero and `mask` is not 0 (0 is: omit the field)."""

    value: int
    mask: int


Match = int | Lpm | Ternary
"""An integer is an exact match (or an optional one that is given)."""

EntryKey = tuple[str, tuple[tuple[str, Match], ...], int]
"""(table, match fields in key order, priority): what identifies an entry in a target."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One desired entry of one table."""

    table: str
    match: tuple[tuple[str, Match], ...]
    """In the table's own key order; don't-care fields are left out."""
    action: str
    params: tuple[tuple[str, int], ...] = ()
    priority: int = 0
    """Above 0 for tables with ternary, range or optional keys, 0 otherwise."""

    @property
    def key(self) -> EntryKey:
        """What identifies the entry in a target, its action apart."""
        return (self.table, self.match, self.priority)
