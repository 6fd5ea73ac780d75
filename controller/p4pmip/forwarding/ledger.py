"""Who needs which entry: a multiset counted by key, so that a shared entry leaves with its last user."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from p4pmip.forwarding.entry import Entry, EntryKey


@dataclass(frozen=True, slots=True)
class Delta:
    """What turns what a switch holds into what it should hold."""

    insert: tuple[Entry, ...] = ()
    modify: tuple[Entry, ...] = ()
    delete: tuple[Entry, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.insert or self.modify or self.delete)


class _Use:
    __slots__ = ("count", "entry")

    def __init__(self, entry: Entry) -> None:
        self.entry = entry
        self.count = 1


class Ledger:
    """The entries of one switch with the number of their users.

    Where users of one key differ in action or parameters, the last one to ask has its way: that is how a binding's
    entry changes while its old and its new state overlap.
    """

    def __init__(self) -> None:
        self._uses: dict[EntryKey, _Use] = {}

    def change(self, old: Iterable[Entry], new: Iterable[Entry]) -> Delta:
        """One user goes from `old` (as given before) to `new`: the smallest delta."""
        before = {entry.key for entry in old}
        insert: list[Entry] = []
        modify: list[Entry] = []
        uses = self._uses
        for entry in new:
            key = entry.key
            use = uses.get(key)
            if use is None:
                uses[key] = _Use(entry)
                insert.append(entry)
                continue
            if key in before:
                before.discard(key)
            else:
                use.count += 1
            if use.entry != entry:
                use.entry = entry
                modify.append(entry)
        return Delta(tuple(insert), tuple(modify), self._release(before))

    def acquire(self, entries: Iterable[Entry]) -> Delta:
        """A user asks for entries; with `release` of its former ones later, a change with a drain time between."""
        return self.change((), entries)

    def release(self, entries: Iterable[Entry]) -> Delta:
        """A user no longer needs entries that it asked for."""
        return Delta(delete=self._release(entry.key for entry in entries))

    def desired(self) -> Mapping[EntryKey, Entry]:
        """Every entry that somebody needs, by key."""
        return {key: use.entry for key, use in self._uses.items()}

    def users(self, key: EntryKey) -> int:
        """How many need the entry of this key."""
        use = self._uses.get(key)
        return 0 if use is None else use.count

    def __len__(self) -> int:
        return len(self._uses)

    def _release(self, keys: Iterable[EntryKey]) -> tuple[Entry, ...]:
        gone: list[Entry] = []
        for key in keys:
            use = self._uses[key]
            use.count -= 1
            if not use.count:
                gone.append(use.entry)
                del self._uses[key]
        return tuple(gone)
