"""`Entry` to TableEntry octets and back, compiled once from a P4Info.

Callers give integers and names; canonical octets, masks and the rules for omitted fields (P4Runtime v1 §"TableEntry")
are kept here, so that no target ever sees an entry that only it would refuse.
"""

from collections.abc import Iterable
from itertools import repeat
from operator import call
from typing import Any, NamedTuple

from p4pmip.errors import P4pmipError
from p4pmip.forwarding.entry import ActionForm, Entry, KeyForm, Lpm, Match, Ternary
from p4pmip.forwarding.update import Operation
from p4pmip.p4runtime import wirecode
from p4pmip.p4runtime.schema import Action, Field, MatchKind, Schema, Table, Variable
from p4pmip.p4runtime.stubs import p4runtime_pb2

NO_ACTION = ""
"""Action of an entry that was read without one (a default action that is not set)."""


class Range(NamedTuple):
    """A range match as read from a target; our own program has none."""

    low: int
    high: int


class _Actions(dict[ActionForm, tuple[tuple[wirecode.Octets, ...], wirecode.ActionHeads]]):
    """The actions of entries of one form: how parameters are encoded, and what stands before them."""

    def __init__(self, table: Table) -> None:
        super().__init__()
        self._table = table

    def __missing__(self, form: ActionForm) -> tuple[tuple[wirecode.Octets, ...], wirecode.ActionHeads]:
        if form.name not in self._table.entry_actions:
            raise KeyError(form.name)
        action = self._table.actions[form.name]
        if sorted(form.params) != sorted(action.params):
            raise KeyError(form.params)
        encoders = tuple(wirecode.param(action.params[name].id, action.params[name].width) for name in form.params)
        self[form] = made = (encoders, wirecode.ActionHeads(action.id))
        return made


class _Keys(dict[KeyForm, tuple[bytes, tuple[wirecode.Octets, ...], bytes, _Actions]]):
    """Of each form of key: the first octets, how fields are encoded, the last octets, and the actions."""

    def __init__(self, schema: Schema) -> None:
        super().__init__()
        self._schema = schema

    def __missing__(self, form: KeyForm) -> tuple[bytes, tuple[wirecode.Octets, ...], bytes, _Actions]:
        table = self._schema.tables[form.table]
        if _key_fault(table, zip(form.fields, repeat(None)), form.priority):
            raise KeyError(form.fields)
        encoders = tuple(_encoder(table.fields[name]) for name in form.fields)
        self[form] = made = (
            wirecode.table_head(table.id), encoders, wirecode.priority(form.priority), _Actions(table)
        )  # fmt: skip
        return made


class Codec:
    """Encodes and decodes the table entries of one P4Info."""

    def __init__(self, schema: Schema) -> None:
        self.schema = schema
        self._keys = _Keys(schema)

    def encode(self, entry: Entry) -> bytes:
        """The octets of the TableEntry; P4pmipError names the table and the field that does not fit the P4Info."""
        form: KeyForm = entry[0]
        end = form.end
        try:
            head, fields, tail, actions = self._keys[form]
            params, heads = actions[entry[end]]
            octets = b"".join(map(call, params, entry[end + 1 :]))
            return b"".join((head, *map(call, fields, entry[1:end]), heads[len(octets)], octets, tail))
        except (KeyError, *wirecode.UNFIT):
            raise self.fault(entry) from None

    def update(self, operation: Operation, entry: Entry) -> bytes:
        """The octets of an Update inside a WriteRequest."""
        return wirecode.update(operation, self.encode(entry))

    def message(self, entry: Entry) -> p4runtime_pb2.TableEntry:
        """The entry as a protobuf message."""
        return p4runtime_pb2.TableEntry.FromString(self.encode(entry))

    def decode(self, message: p4runtime_pb2.TableEntry) -> Entry:
        """The entry in canonical form, match fields in P4Info order; P4pmipError if it is not of this P4Info.

        Octets may be padded (some targets do), and a match that means don't-care is left out. A match of a range is
        a `Range`; an action of an action profile is named `member`, `group` or `set`.
        """
        table = self.schema.tables_by_id.get(message.table_id)
        if table is None:
            raise P4pmipError("table_id", message.table_id, "not in the P4Info", self.schema.tables_by_id)
        given = {match.field_id: match for match in message.match}
        matches = []
        for field in table.fields.values():
            if field.id in given:
                match = _decode_match(field, given.pop(field.id))
                if match is not None:
                    matches.append((field.name, match))
        if given:
            raise P4pmipError(
                f"{table.name} field_id", min(given), "not in the P4Info", (f.id for f in table.fields.values())
            )
        action, params = self._decode_action(message.action)
        return Entry(table.name, tuple(matches), action, params, message.priority)

    def _decode_action(self, message: p4runtime_pb2.TableAction) -> tuple[str, tuple[tuple[str, int], ...]]:
        match message.WhichOneof("type"):
            case "action":
                action = self.schema.actions_by_id.get(message.action.action_id)
                if action is None:
                    raise P4pmipError("action_id", message.action.action_id, "not in the P4Info")
                values = {param.param_id: int.from_bytes(param.value, "big") for param in message.action.params}
                known = [(name, values[p.id]) for name, p in action.params.items() if p.id in values]
                return action.name, tuple(known)
            case "action_profile_member_id":
                return "member", (("member_id", message.action_profile_member_id),)
            case "action_profile_group_id":
                return "group", (("group_id", message.action_profile_group_id),)
            case "action_profile_action_set":
                return "set", (("actions", len(message.action_profile_action_set.action_profile_actions)),)
            case _:
                return NO_ACTION, ()

    def fault(self, entry: Entry) -> P4pmipError:
        """What is wrong with an entry that cannot be encoded."""
        table = self.schema.tables.get(entry.table)
        if table is None:
            return P4pmipError("table", entry.table, "no such table in the P4Info", self.schema.tables)
        if fault := _key_fault(table, entry.match, entry.priority):
            return fault
        for name, match in entry.match:
            if problem := _match_problem(table.fields[name], match):
                return P4pmipError(f"{table.name}.{name}", match, problem)
        if entry.action not in table.actions:
            return P4pmipError(f"{table.name} action", entry.action, "no such action", table.actions)
        if entry.action not in table.entry_actions:
            return P4pmipError(f"{table.name} action", entry.action, "for the default entry only", table.entry_actions)
        return _action_fault(entry, table.actions[entry.action]) or P4pmipError(table.name, entry, "cannot be encoded")


def _encoder(field: Field) -> wirecode.Octets:
    match field.kind:
        case MatchKind.EXACT | MatchKind.OPTIONAL:
            return wirecode.exact(field.id, field.width, optional=field.kind is MatchKind.OPTIONAL)
        case MatchKind.LPM:
            return wirecode.lpm(field.id, field.width)
        case MatchKind.TERNARY | MatchKind.RANGE:
            kind = 3 if field.kind is MatchKind.TERNARY else 6

            def pair(match: Match) -> bytes:
                if _match_problem(field, match):
                    raise ValueError
                return wirecode.pair(field.id, kind, *match)  # type: ignore[misc]

            return pair


def _key_fault(table: Table, match: Iterable[tuple[str, Any]], priority: int) -> P4pmipError | None:
    """What is wrong with the form of a key."""
    given: set[str] = set()
    for name, value in match:
        place = f"{table.name}.{name}"
        if name not in table.fields:
            return P4pmipError(place, value, "no such key field", table.fields)
        if name in given:
            return P4pmipError(place, value, "key field given twice")
        given.add(name)
    for name, field in table.fields.items():
        if field.kind is MatchKind.EXACT and name not in given:
            return P4pmipError(f"{table.name}.{name}", None, "an exact key field must be given")
    if table.prioritised != (0 < priority < 1 << 31):
        wanted = "must be above 0" if table.prioritised else "must be 0"
        return P4pmipError(f"{table.name} priority", priority, wanted)
    return None


def _match_problem(field: Field, match: object) -> str:
    """What is wrong with a match; empty if nothing."""
    limit = (1 << field.width) - 1
    match field.kind:
        case MatchKind.EXACT | MatchKind.OPTIONAL:
            if type(match) is not int and not (isinstance(match, int) and not isinstance(match, bool)):
                return f"an {field.kind.value} key field takes an integer"
            return _width_problem(field, match)
        case MatchKind.LPM:
            if not isinstance(match, Lpm):
                return "an lpm key field takes an Lpm"
            if not 0 < match.length <= field.width:
                return f"prefix length is not in 1..{field.width} (leave a field out to match anything)"
            if match.value & ((1 << field.width - match.length) - 1):
                return "host bits are set"
            return _width_problem(field, match.value)
        case MatchKind.TERNARY:
            if not isinstance(match, Ternary):
                return "a ternary key field takes a Ternary"
            if not 0 < match.mask <= limit:
                return f"mask is not in 1..{limit} (leave a field out to match anything)"
            if match.value & ~match.mask:
                return "bits outside the mask are set"
            return ""
        case MatchKind.RANGE:
            if not isinstance(match, Range):
                return "a range key field takes a Range"
            if not 0 <= match.low <= match.high <= limit or match == (0, limit):
                return f"not a range inside 0..{limit} (leave a field out to match anything)"
            return ""


def _width_problem(variable: Variable, value: int) -> str:
    return "" if 0 <= value < 1 << variable.width else f"does not fit {variable.width} bits"


def _action_fault(entry: Entry, action: Action) -> P4pmipError | None:
    given = dict(entry.params)
    for name, value in given.items():
        place = f"{entry.table} {action.name}.{name}"
        if name not in action.params:
            return P4pmipError(place, value, "no such parameter", action.params)
        if not isinstance(value, int):
            return P4pmipError(place, value, "a parameter is an integer")
        if problem := _width_problem(action.params[name], value):
            return P4pmipError(place, value, problem)
    for name in action.params:
        if name not in given:
            return P4pmipError(f"{entry.table} {action.name}.{name}", None, "a parameter is missing", action.params)
    return None


def _decode_match(field: Field, match: p4runtime_pb2.FieldMatch) -> Match | None:
    """The canonical match, None for don't-care."""
    limit = (1 << field.width) - 1
    match match.WhichOneof("field_match_type"):
        case "exact":
            return int.from_bytes(match.exact.value, "big")
        case "optional":
            return int.from_bytes(match.optional.value, "big")
        case "lpm":
            length = match.lpm.prefix_len
            mask = limit ^ (1 << max(field.width - length, 0)) - 1
            return Lpm(int.from_bytes(match.lpm.value, "big") & mask, length) if length else None
        case "ternary":
            bits = int.from_bytes(match.ternary.mask, "big")
            return Ternary(int.from_bytes(match.ternary.value, "big") & bits, bits) if bits else None
        case "range":
            low, high = int.from_bytes(match.range.low, "big"), int.from_bytes(match.range.high, "big")
            return Range(low, high) if (low, high) != (0, limit) else None  # type: ignore[return-value]
        case _:
            raise P4pmipError(f"field {field.name}", "other", "match kind not known", (k.value for k in MatchKind))
