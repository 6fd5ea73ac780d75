"""Table entries as plain values: what `forwarding` derives and `p4runtime` writes.

Names are the P4Info aliases; values are unsigned integers, whatever their width, so that entries compare, hash and
sort without a schema.

An entry is one flat tuple: a form that says table and key fields, the values of these, a form that says the action and
its parameters, the values of these. A node has a few dozen forms and a million entries: making an entry, hashing its
key and finding the way to encode it cost a small part of what they would with names in each.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple
from weakref import WeakValueDictionary


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


class KeyForm:
    """Which table, which of its key fields in which order, which priority: what entries of one form share.

    There is one object for each form (`key_form`), so identity is equality.
    """

    __slots__ = ("__weakref__", "end", "fields", "priority", "table")

    def __init__(self, table: str, fields: tuple[str, ...], priority: int) -> None:
        self.table = table
        self.fields = fields
        self.priority = priority
        self.end = 1 + len(fields)
        """Where in an entry the key is over and the action begins."""

    def __repr__(self) -> str:
        return f"key_form({self.table!r}, {self.fields!r}, {self.priority!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return key_form, (self.table, self.fields, self.priority)


class ActionForm:
    """Which action, with which parameters in which order. One object for each (`action_form`)."""

    __slots__ = ("__weakref__", "name", "params")

    def __init__(self, name: str, params: tuple[str, ...]) -> None:
        self.name = name
        self.params = params

    def __repr__(self) -> str:
        return f"action_form({self.name!r}, {self.params!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return action_form, (self.name, self.params)


_KEY_FORMS: WeakValueDictionary[tuple[Any, ...], KeyForm] = WeakValueDictionary()
_ACTION_FORMS: WeakValueDictionary[tuple[Any, ...], ActionForm] = WeakValueDictionary()


def key_form(table: str, fields: tuple[str, ...], priority: int = 0) -> KeyForm:
    """The form of keys with these fields, in the table's own order, and this priority."""
    name = (table, fields, priority)
    known = _KEY_FORMS.get(name)
    return _KEY_FORMS.setdefault(name, KeyForm(*name)) if known is None else known


def action_form(name: str, params: tuple[str, ...] = ()) -> ActionForm:
    """The form of an action with these parameters."""
    known = _ACTION_FORMS.get((name, params))
    return _ACTION_FORMS.setdefault((name, params), ActionForm(name, params)) if known is None else known


EntryKey = tuple[Any, ...]
"""The first part of an entry: its key form and the values of the key fields. It identifies the entry in a target."""


class Entry(tuple[Any, ...]):
    """One desired entry of one table: (key form, match…, action form, parameter…)."""

    __slots__ = ()

    def __new__(
        cls,
        table: str,
        match: tuple[tuple[str, Match], ...],
        action: str,
        params: tuple[tuple[str, int], ...] = (),
        priority: int = 0,
    ) -> "Entry":
        """An entry by names.

        Args:
            table: Alias.
            match: In the table's own key order; don't-care fields are left out.
            action: Alias.
            params: In the action's own order.
            priority: Above 0 for tables with ternary, range or optional keys, 0 otherwise.
        """
        return tuple.__new__(
            cls,
            (
                key_form(table, tuple([name for name, _ in match]), priority),
                *[value for _, value in match],
                action_form(action, tuple([name for name, _ in params])),
                *[value for _, value in params],
            ),
        )

    def __reduce__(self) -> tuple[Any, ...]:
        return make_entry, (tuple(self),)

    @property
    def key(self) -> EntryKey:
        """What identifies the entry in a target, its action apart."""
        return self[: self[0].end]

    @property
    def table(self) -> str:
        """Alias of its table."""
        return self[0].table  # type: ignore[no-any-return]

    @property
    def match(self) -> tuple[tuple[str, Match], ...]:
        """The key fields that are given, by name."""
        form: KeyForm = self[0]
        return tuple(zip(form.fields, self[1 : form.end], strict=True))

    @property
    def action(self) -> str:
        """Alias of its action."""
        return self[self[0].end].name  # type: ignore[no-any-return]

    @property
    def params(self) -> tuple[tuple[str, int], ...]:
        """The action's parameters, by name."""
        end = self[0].end
        return tuple(zip(self[end].params, self[end + 1 :], strict=True))

    @property
    def priority(self) -> int:
        """Above 0 for tables with ternary, range or optional keys, 0 otherwise."""
        return self[0].priority  # type: ignore[no-any-return]

    def __repr__(self) -> str:
        given = (self.table, self.match, self.action, self.params, self.priority)
        return f"Entry({', '.join(map(repr, given))})"


make_entry: Callable[[tuple[Any, ...]], Entry] = partial(tuple.__new__, Entry)
"""An entry from its forms and values, for where many are made; nothing is checked."""
