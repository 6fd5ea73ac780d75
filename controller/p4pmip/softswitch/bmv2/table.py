"""A table of the BMv2 JSON, compiled."""

from p4pmip.softswitch.bmv2.expression import Expressions, number
from p4pmip.softswitch.bmv2.layout import Json, UnsupportedProgram, place_of
from p4pmip.softswitch.ir import (
    Binary,
    Const,
    ConstEntry,
    Expression,
    KeyField,
    MatchKind,
    Place,
    Slot,
    Table,
)

KINDS = {kind.value: kind for kind in MatchKind} | {"valid": MatchKind.EXACT}


def compile_table(json: Json, values: Expressions, program: Json) -> Table:
    """One table. Action names are not unique: actions are told by the table's `action_ids`."""
    place = place_of(json)
    names = {action["id"]: action["name"] for action in program["actions"]}
    key = tuple(_key_field(one, values, place) for one in json["key"] if one["match_type"] != "selector")
    default = json.get("default_entry") or {}
    following = json["next_tables"]
    by_hit = "__HIT__" in following or "__MISS__" in following
    after = json.get("base_default_next")
    actions = tuple(json["action_ids"])
    meter = json.get("direct_meters")
    return Table(
        name=json["name"],
        key=key,
        actions=actions,
        default_action=default.get("action_id"),
        default_arguments=tuple(number(one) for one in default.get("action_data", ())),
        default_const=bool(default.get("action_entry_const") or default.get("action_const")),
        size=json.get("max_size", 1024),
        direct_counter=bool(json.get("with_counters")),
        direct_meter=meter,
        meter_target=_meter_target(meter, values, program, place) if meter else None,
        idle_timeout=bool(json.get("support_timeout")),
        profile=json.get("action_profile"),
        entries=tuple(_entry(one, key, _highest(json)) for one in json.get("entries", ())),
        immutable="entries" in json and all(one.get("is_const", True) for one in json["entries"]),
        next={action: following.get(names[action], after) for action in actions},
        otherwise=after,
        on_hit=following.get("__HIT__", after),
        on_miss=following.get("__MISS__", after),
        by_hit=by_hit,
        place=place,
    )


def _meter_target(meter: str, values: Expressions, program: Json, place: Place) -> Slot:
    for one in program["meter_arrays"]:
        if one["name"] == meter:
            header, member = one["result_target"]
            return values.layout.field(header, member, place)
    raise UnsupportedProgram(str(place), meter, "no such meter", [one["name"] for one in program["meter_arrays"]])


def _key_field(json: Json, values: Expressions, place: Place) -> KeyField:
    if json["match_type"] not in KINDS:
        raise UnsupportedProgram(str(place), json["match_type"], "match kind not supported", sorted(KINDS))
    target = json["target"]
    if isinstance(target, str):
        target = [target, "$valid$"]
    slot = values.layout.field(target[0], target[1], place)
    value: Expression = slot
    if json.get("mask") is not None:
        value = Binary("&", slot, Const(number(json["mask"])))
    return KeyField(json.get("name") or ".".join(target), value, slot.width, KINDS[json["match_type"]])


def _highest(json: Json) -> int:
    """BMv2's priorities grow downwards, P4Runtime's upwards."""
    return max((one.get("priority", 0) for one in json.get("entries", ())), default=0) + 1


def _entry(json: Json, key: tuple[KeyField, ...], highest: int) -> ConstEntry:
    match = tuple(_match(one, field) for one, field in zip(json["match_key"], key, strict=True))
    action = json["action_entry"]
    arguments = tuple(number(one) for one in action["action_data"])
    return ConstEntry(match, action["action_id"], arguments, highest - json.get("priority", 0))


def _match(json: Json, field: KeyField) -> int | tuple[int, int]:
    everything = (1 << field.width) - 1
    kind = json["match_type"]
    if kind == "valid":
        return int(json["key"])
    if kind == "range":
        return number(json["start"]), number(json["end"])
    value = number(json["key"])
    if kind == "lpm":
        return value, json["prefix_length"]
    if kind == "ternary":
        return value & number(json["mask"]), number(json["mask"])
    if field.match is MatchKind.OPTIONAL:
        return value, everything
    return value
