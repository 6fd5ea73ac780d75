"""Entries as people read them: addresses as addresses, GRE keys in hexadecimal, sessions by their mobile node."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any

from p4pmip.errors import P4pmipError
from p4pmip.forwarding.entry import Entry, Lpm, Match, Ternary
from p4pmip.forwarding.session import NEXTHOP_OF_SESSION
from p4pmip.p4runtime.codec import Range
from p4pmip.p4runtime.reader import Count, TableRow
from p4pmip.p4runtime.schema import Format, Schema, Table, Variable

GRE_KEY = "gre_key"
"""The name of such a field or parameter in the program."""

Json = dict[str, Any]
Shown = int | str


@dataclass(frozen=True, slots=True)
class View:
    """How to show entries of one P4Info."""

    schema: Schema
    sessions: Mapping[int, Mapping[str, Any]]
    """What is known of each session id."""
    raw: bool = False
    """Show values as the plain numbers that are in the target."""

    def value(self, variable: Variable, value: int) -> Shown:
        """One value."""
        if self.raw:
            return value
        if variable.enumeration is not None and value in variable.enumeration.names:
            return variable.enumeration.names[value]
        match variable.format:
            case Format.IPV4 if value < 1 << 32:
                return str(IPv4Address(value))
            case Format.IPV6 if value < 1 << 128:
                return str(IPv6Address(value))
            case Format.MAC if value < 1 << 48:
                return value.to_bytes(6, "big").hex(":")
            case Format.TEXT:
                return value.to_bytes((value.bit_length() + 7) // 8, "big").decode(errors="replace")
            case _:
                return value

    def match(self, variable: Variable, match: Match | Range) -> Shown:
        """One key field of an entry."""
        match match:
            case Lpm(value, length):
                return f"{self.value(variable, value)}/{length}"
            case Ternary(value, mask):
                if mask == (1 << variable.width) - 1:
                    return self.value(variable, value)
                return f"{self.value(variable, value)} &&& {mask:#x}"
            case Range(low, high):
                return f"{self.value(variable, low)}..{self.value(variable, high)}"
            case int(value):
                return self.value(variable, value)

    def key(self, entry: Entry) -> dict[str, Shown]:
        """The key fields that an entry gives, and its priority if it has one."""
        fields = self.schema.tables[entry.table].fields
        shown = {name: self.match(fields[name], match) for name, match in entry.match}
        if entry.priority:
            shown["priority"] = entry.priority
        return shown

    def params(self, entry: Entry) -> dict[str, Shown]:
        """The action's parameters."""
        action = self.schema.tables[entry.table].actions.get(entry.action)
        if action is None:
            return dict(entry.params)
        return {name: self.value(action.params[name], value) for name, value in entry.params}

    def json(self, row: TableRow, rates: tuple[float, float] | None = None) -> Json:
        """An entry of a table, as `p4pmip tables --json` has it."""
        session_id = session_of(row.entry)
        shown: Json = {
            "key": self.key(row.entry),
            "action": row.entry.action,
            "params": self.params(row.entry),
            "counter": _counter(row.counter, rates),
            "session": session_id,
        }
        if session_id is not None and session_id in self.sessions:
            shown["mn"] = self.sessions[session_id].get("mn")
        return shown

    def line(self, entry: Entry, counter: Count | None = None, rates: tuple[float, float] | None = None) -> str:
        """An entry on one line."""
        key = " ".join(self._words(self.key(entry))) or "any"
        params = ", ".join(self._words(self.params(entry)))
        text = f"{key} -> {entry.action}({params})" if entry.action else key
        if counter is not None:
            text += f"  [{counter.packets} packets, {counter.octets} octets"
            text += f"; {rates[0]:.1f}/s, {rates[1] * 8 / 1000:.1f} kbit/s]" if rates is not None else "]"
        session_id = session_of(entry)
        if session_id is not None and session_id in self.sessions:
            text += f"  ({self.sessions[session_id].get('mn')})"
        return text

    def _words(self, values: Mapping[str, Shown]) -> Iterator[str]:
        """`name=value`; GRE keys as other tools write them, unless numbers were asked for. JSON has decimal ones."""
        for name, value in values.items():
            key = name == GRE_KEY and isinstance(value, int) and not self.raw
            yield f"{name}={value:#010x}" if key else f"{name}={value}"


def session_of(entry: Entry) -> int | None:
    """The session that an entry belongs to; None for what sessions share."""
    for name, value in (*entry.match, *entry.params):
        if name == "session_id" and isinstance(value, int):
            return value
        if name == "nexthop_id" and isinstance(value, int) and value & NEXTHOP_OF_SESSION:
            return value & ~NEXTHOP_OF_SESSION
    return None


def _counter(counter: Count | None, rates: tuple[float, float] | None) -> Json | None:
    if counter is None:
        return None
    shown: Json = {"packets": counter.packets, "octets": counter.octets}
    if rates is not None:
        shown |= {"packets_per_second": round(rates[0], 3), "octets_per_second": round(rates[1], 3)}
    return shown


@dataclass(frozen=True, slots=True)
class Condition:
    """`field=value` of `--where`: a key field, a parameter, `action` or `mn`."""

    name: str
    text: str

    def accepts(self, view: View, entry: Entry) -> bool:
        """The entry has that value: as it is shown, as a number, or as an address inside a prefix."""
        if self.name == "action":
            return entry.action == self.text
        if self.name == "mn":
            about = view.sessions.get(session_of(entry) or 0)
            return about is not None and str(about.get("mn")) == self.text
        number = _number(self.text)
        table = view.schema.tables[entry.table]
        for name, match in entry.match:
            if name == self.name:
                shown = str(view.match(table.fields[name], match))
                return shown == self.text or (number is not None and _covers(match, number, table.fields[name].width))
        for name, value in entry.params:
            if name == self.name:
                return str(view.params(entry)[name]) == self.text or value == number
        return False


def parse_conditions(texts: Iterable[str], tables: Sequence[Table]) -> list[Condition]:
    """Conditions of `--where`; P4pmipError lists the names that the tables have."""
    names = {"action", "mn"}
    for table in tables:
        names.update(table.fields)
        names.update(name for action in table.actions.values() for name in action.params)
    found = []
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            raise P4pmipError("--where", text, "not FIELD=VALUE")
        if name not in names:
            raise P4pmipError("--where", name, "no such key field or parameter", sorted(names))
        actions = sorted({action for table in tables for action in table.actions})
        if name == "action" and value not in actions:
            raise P4pmipError("--where action", value, "no such action", actions)
        found.append(Condition(name, value))
    return found


def exact_key(table: Table, conditions: Sequence[Condition]) -> tuple[tuple[str, Match], ...] | None:
    """The whole key, if the conditions give every field of an all-exact table: one entry is read then."""
    given = {condition.name: _number(condition.text) for condition in conditions}
    key = []
    for name, field in table.fields.items():
        number = given.get(name)
        if number is None or field.kind.value != "exact" or number >= 1 << field.width:
            return None
        key.append((name, number))
    return tuple(key) or None


def _number(text: str) -> int | None:
    """A decimal or hexadecimal number, an address, or a link-layer address."""
    if text.count(":") == 5 and all(len(octet) == 2 for octet in text.split(":")):
        text = "0x" + text.replace(":", "")
    try:
        return int(text, 0) if not text.isdecimal() else int(text)
    except ValueError:
        pass
    try:
        return int(ip_address(text))
    except ValueError:
        return None


def _covers(match: Match | Range, number: int, width: int) -> bool:
    match match:
        case Lpm(value, length):
            return value == number >> (width - length) << (width - length)
        case Ternary(value, mask):
            return value == number & mask
        case Range(low, high):
            return low <= number <= high
        case int(value):
            return value == number
