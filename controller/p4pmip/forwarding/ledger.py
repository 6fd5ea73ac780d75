"""Who needs which entry: a multiset counted by key, so that a shared entry leaves with its last user."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from p4pmip.forwarding.entry import Entry, EntryKey


@dataclass(slots=True)
class Delta:
    """What turns what a switch holds into what it should hold."""

    insert: tuple[Entry, ...] = ()
    modify: tuple[Entry, ...] = ()
    delete: tuple[Entry, ...] = ()
    relied_on: tuple[EntryKey, ...] = field(default=(), compare=False)
    """Keys that were asked for and are desired already: perhaps the switch has not been told yet."""

    def __bool__(self) -> bool:
        return bool(self.insert or self.modify or self.delete)


class Ledger:
    """The entries of one switch with the number of their users.

    Where users of one key differ in action or parameters, the last one to ask has its way: that is how a binding's
    entry changes while its old and its new state overlap.
    """

    def __init__(self) -> None:
        self._entries: dict[EntryKey, Entry] = {}
        self._others: dict[EntryKey, int] = {}
        """Users beside the first, where there are any."""

    def change(self, old: Iterable[Entry], new: Iterable[Entry]) -> Delta:
        """One user goes from `old` (as given before) to `new`: the smallest delta."""
        before = {entry[: entry[0].end] for entry in old}
        insert: list[Entry] = []
        modify: list[Entry] = []
        relied_on: list[EntryKey] = []
        entries = self._entries
        for entry in new:
            key = entry[: entry[0].end]
            known = entries.get(key)
            if known is None:
                entries[key] = entry
                insert.append(entry)
                continue
            relied_on.append(key)
            if key in before:
                before.discard(key)
            else:
                self._others[key] = self._others.get(key, 0) + 1
            if known is not entry and known != entry:
                entries[key] = entry
                modify.append(entry)
        return Delta(tuple(insert), tuple(modify), self._release(before) if before else (), tuple(relied_on))

    def acquire(self, entries: Iterable[Entry]) -> Delta:
        """A user asks for entries; with `release` of its former ones later, a change with a drain time between."""
        return self.change((), entries)

    def release(self, entries: Iterable[Entry]) -> Delta:
        """A user no longer needs entries that it asked for."""
        return Delta(delete=self._release(entry.key for entry in entries))

    def desired(self) -> Mapping[EntryKey, Entry]:
        """Every entry that somebody needs, by key."""
        return dict(self._entries)

    def users(self, key: EntryKey) -> int:
        """How many need the entry of this key."""
        return 1 + self._others.get(key, 0) if key in self._entries else 0

    def __len__(self) -> int:
        return len(self._entries)

    def _release(self, keys: Iterable[EntryKey]) -> tuple[Entry, ...]:
        gone: list[Entry] = []
        others = self._others
        for key in keys:
            left = others.get(key)
            if left is None:
                gone.append(self._entries.pop(key))
            elif left == 1:
                del others[key]
            else:
                others[key] = left - 1
        return tuple(gone)
