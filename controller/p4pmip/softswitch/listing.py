"""Entries as `p4pmip tables --raw --json` lists them, made into P4Runtime entities again."""

from collections.abc import Iterable
from typing import Any

from p4pmip.errors import P4pmipError
from p4pmip.softswitch.ir import MatchKind
from p4pmip.softswitch.target.bytestring import encode
from p4pmip.softswitch.target.match import encode_match
from p4pmip.softswitch.target.schema import MatchField, Schema, TableSchema
from p4pmip.softswitch.target.stubs import p4runtime

Json = Any


def entities(document: Json, schema: Schema, place: str) -> list["p4runtime.Entity"]:
    """The entities of `{"tables": [{"table", "entries": [{"key", "action", "params"}]}]}`.

    Raises:
        P4pmipError: an entry names what the program does not have; says where.
    """
    found = []
    for listed in document["tables"]:
        table = _named(schema.tables.values(), listed["table"], f"{place}: table")
        for index, entry in enumerate(listed["entries"]):
            found.append(_entity(table, entry, f"{place}: {table.alias}[{index}]"))
    return found


def _entity(table: TableSchema, entry: Json, place: str) -> "p4runtime.Entity":
    entity = p4runtime.Entity()
    into = entity.table_entry
    into.table_id = table.id
    key = dict(entry["key"])
    priority = key.pop("priority", 0) if table.needs_priority else 0
    known = {field.name for field in table.fields}
    for name in key:
        if name not in known:
            raise P4pmipError(place, name, "no such match field", sorted(known))
    encode_match(table, tuple(_part(field, key.get(field.name), place) for field in table.fields), into)
    into.priority = priority
    ref = _named(table.actions.values(), entry["action"], f"{place}: action")
    into.action.action.action_id = ref.id
    for number, name, _ in ref.parameters:
        if name not in entry["params"]:
            raise P4pmipError(place, name, "a parameter is missing", sorted(entry["params"]))
        try:
            value = encode(_number(str(entry["params"][name])))
        except ValueError:
            raise P4pmipError(f"{place}: {name}", entry["params"][name], "is no number") from None
        into.action.action.params.add(param_id=number, value=value)
    return entity


def _part(field: MatchField, said: Json, place: str) -> tuple[int, int] | None:
    """`7`, `"7/8"`, `"7 &&& 0xff"` or `"7..9"` by the field's match kind; what is not there matches everything."""
    if said is None:
        return None
    text = str(said)
    try:
        match field.kind:
            case MatchKind.EXACT:
                return _number(text), 0
            case MatchKind.OPTIONAL:
                return _number(text), (1 << field.width) - 1
            case MatchKind.LPM:
                value, _, length = text.partition("/")
                return _number(value), _number(length or str(field.width))
            case MatchKind.TERNARY:
                value, _, mask = text.partition("&&&")
                return _number(value), _number(mask.strip() or hex((1 << field.width) - 1))
            case MatchKind.RANGE:
                low, _, high = text.partition("..")
                return _number(low), _number(high or low)
    except ValueError:
        raise P4pmipError(place, said, f"is no {field.kind.value} value: is this the JSON of `tables --raw`?") from None


def _number(text: str) -> int:
    """Not negative, decimal or hexadecimal; ValueError if it is none."""
    value = int(text, 0)
    if value < 0:
        raise ValueError
    return value


def _named(known: Iterable[Any], name: str, place: str) -> Any:
    listed = list(known)
    for one in listed:
        if name in (one.name, getattr(one, "alias", None)) or one.name.endswith(f".{name}"):
            return one
    raise P4pmipError(place, name, "the program has no such name", [one.name for one in listed])
