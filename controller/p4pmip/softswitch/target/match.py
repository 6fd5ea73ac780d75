"""Match fields of P4Runtime messages and the keys of entries, both ways (P4Runtime §9.1)."""

from collections.abc import Iterable

from p4pmip.softswitch.ir import MatchKind
from p4pmip.softswitch.tables import Match
from p4pmip.softswitch.target.bytestring import decode, encode
from p4pmip.softswitch.target.refusal import invalid
from p4pmip.softswitch.target.schema import MatchField, TableSchema
from p4pmip.softswitch.target.stubs import p4runtime


def decode_match(table: TableSchema, given: Iterable["p4runtime.FieldMatch"]) -> Match:
    """The key of an entry: fields that are left out match everything; exact ones must be there."""
    key: list[tuple[int, int] | None] = [None] * len(table.fields)
    for one in given:
        field = table.by_field.get(one.field_id)
        if field is None:
            choices = [f"{known.id} {known.name}" for known in table.fields]
            raise invalid(f"{table.name}: field_id", one.field_id, "no such match field", choices)
        if key[field.index] is not None:
            raise invalid(f"{table.name}: field_id", one.field_id, "is given twice")
        kind = one.WhichOneof("field_match_type")
        if kind == "exact" and field.kind is MatchKind.EXACT:
            # The most frequent kind, so it comes without any detour.
            value = one.exact.value
            number = int.from_bytes(value, "big")
            if not value or number >> field.width:
                decode(value, field.width, _place(table, field))
            key[field.index] = (number, 0)
        else:
            key[field.index] = _decode_field(table, field, kind, one)
    for field in table.fields:
        if field.kind is MatchKind.EXACT and key[field.index] is None:
            raise invalid(_place(table, field), None, "an exact field cannot be left out")
    return tuple(key)


def _place(table: TableSchema, field: MatchField) -> str:
    return f"{table.name}: {field.name}"


def _decode_field(
    table: TableSchema, field: MatchField, kind: str | None, given: "p4runtime.FieldMatch"
) -> tuple[int, int]:
    place, width = _place(table, field), field.width
    if kind != field.kind.value:
        raise invalid(place, kind, "is not this field's match kind", [field.kind.value])
    match field.kind:
        case MatchKind.LPM:
            return _lpm(place, width, given.lpm.value, given.lpm.prefix_len)
        case MatchKind.TERNARY:
            value, mask = decode(given.ternary.value, width, place), decode(given.ternary.mask, width, f"{place} mask")
            if mask == 0:
                raise invalid(place, hex(mask), "a mask of 0 matches everything: leave the field out")
            if value & ~mask:
                raise invalid(place, hex(value), f"has bits outside its mask {mask:#x}", [hex(value & mask)])
            return value, mask
        case MatchKind.RANGE:
            low, high = decode(given.range.low, width, f"{place} low"), decode(given.range.high, width, f"{place} high")
            if low > high:
                raise invalid(place, f"{low}..{high}", "is empty: low is above high")
            if low == 0 and high == (1 << width) - 1:
                raise invalid(place, f"{low}..{high}", "matches everything: leave the field out")
            return low, high
        case MatchKind.OPTIONAL:
            return decode(given.optional.value, width, place), (1 << width) - 1
        case MatchKind.EXACT:
            return decode(given.exact.value, width, place), 0


def _lpm(place: str, width: int, data: bytes, length: int) -> tuple[int, int]:
    value = decode(data, width, place)
    if length == 0:
        raise invalid(place, "/0", "a prefix of length 0 matches everything: leave the field out")
    if not 0 < length <= width:
        raise invalid(place, f"/{length}", "no such prefix length", [f"1..{width}"])
    if value & (1 << width - length) - 1:
        kept = value >> width - length << width - length
        raise invalid(place, f"{value:#x}/{length}", "has bits beyond its prefix length", [f"{kept:#x}/{length}"])
    return value, length


def encode_match(table: TableSchema, match: Match, entry: "p4runtime.TableEntry") -> None:
    """The match fields of a TableEntry, in the order of the key."""
    for field, part in zip(table.fields, match, strict=True):
        if part is None or _is_everything(field, part):
            continue
        one = entry.match.add(field_id=field.id)
        match field.kind:
            case MatchKind.EXACT:
                one.exact.value = encode(part[0])
            case MatchKind.LPM:
                one.lpm.value, one.lpm.prefix_len = encode(part[0]), part[1]
            case MatchKind.TERNARY:
                one.ternary.value, one.ternary.mask = encode(part[0]), encode(part[1])
            case MatchKind.RANGE:
                one.range.low, one.range.high = encode(part[0]), encode(part[1])
            case MatchKind.OPTIONAL:
                one.optional.value = encode(part[0])


def _is_everything(field: MatchField, part: tuple[int, int]) -> bool:
    """Entries of the P4 source may write out what P4Runtime leaves out."""
    if field.kind in (MatchKind.LPM, MatchKind.TERNARY, MatchKind.OPTIONAL):
        return part[1] == 0
    return field.kind is MatchKind.RANGE and part == (0, (1 << field.width) - 1)


def decode_priority(table: TableSchema, priority: int) -> int:
    """Above 0 for tables with ternary, range or optional fields, 0 for all others."""
    if table.needs_priority and priority <= 0:
        raise invalid(f"{table.name}: priority", priority, "this table's entries need a priority", ["1 and above"])
    if not table.needs_priority and priority:
        raise invalid(f"{table.name}: priority", priority, "this table's entries have no priority", [0])
    return priority


def describe(schema: TableSchema, given: "p4runtime.TableEntry") -> str:
    """An entry's key for a person."""
    parts = []
    for one in given.match:
        field = schema.by_field.get(one.field_id)
        if field is None:
            continue
        match one.WhichOneof("field_match_type"):
            case "lpm":
                text = f"0x{one.lpm.value.hex()}/{one.lpm.prefix_len}"
            case "ternary":
                text = f"0x{one.ternary.value.hex()}&0x{one.ternary.mask.hex()}"
            case "range":
                text = f"0x{one.range.low.hex()}..0x{one.range.high.hex()}"
            case "optional":
                text = f"0x{one.optional.value.hex()}"
            case _:
                text = f"0x{one.exact.value.hex()}"
        parts.append(f"{field.name}={text}")
    if given.priority:
        parts.append(f"priority={given.priority}")
    return " ".join(parts) or "matches everything"
