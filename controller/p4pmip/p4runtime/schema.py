"""A P4Info turned into what the codec, the checks and the views ask of it (P4Runtime v1 §"The P4Info Message")."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum

from google.protobuf import text_format

from p4pmip.errors import P4pmipError
from p4pmip.p4runtime.stubs import p4info_pb2


class MatchKind(Enum):
    """How a key field matches."""

    EXACT = "exact"
    LPM = "lpm"
    TERNARY = "ternary"
    RANGE = "range"
    OPTIONAL = "optional"


class Format(Enum):
    """How a value is shown to people; from `@format`, or from a width that has one meaning only."""

    NUMBER = "number"
    IPV4 = "ipv4"
    IPV6 = "ipv6"
    MAC = "mac"
    TEXT = "text"
    """A translated string (`@p4runtime_translation` with sdn_string)."""


@dataclass(frozen=True, slots=True)
class Enumeration:
    """A serializable enum of the program (P4Info `type_info`)."""

    name: str
    width: int
    names: Mapping[int, str]
    """Member names by value."""

    @property
    def values(self) -> dict[str, int]:
        """Values by member name."""
        return {name: value for value, name in self.names.items()}


@dataclass(frozen=True, slots=True)
class Variable:
    """A key field, an action parameter or a packet-io field: an unsigned integer of `width` bits."""

    id: int
    name: str
    width: int
    """Bits; 0 for a translated string."""
    format: Format
    enumeration: Enumeration | None = None


@dataclass(frozen=True, slots=True)
class Field(Variable):
    """A key field of a table."""

    kind: MatchKind = MatchKind.EXACT


@dataclass(frozen=True, slots=True)
class Action:
    """An action and its parameters by name, in P4Info order."""

    id: int
    name: str
    params: Mapping[str, Variable]


@dataclass(frozen=True, slots=True)
class Table:
    """A table: key fields and actions by alias, in P4Info order."""

    id: int
    name: str
    fields: Mapping[str, Field]
    actions: Mapping[str, Action]
    entry_actions: frozenset[str]
    """The actions that an entry may have (the others are for the default only)."""
    size: int
    const: bool
    """Its entries are the program's own and cannot be written."""
    counted: bool
    """It has a direct counter."""
    metered: bool
    prioritised: bool
    """Entries need a priority above 0 (a ternary, range or optional key)."""


@dataclass(frozen=True, slots=True)
class Counter:
    """An indirect counter."""

    id: int
    name: str
    size: int
    index: Enumeration | None = None


@dataclass(frozen=True, slots=True)
class Schema:
    """Everything of one P4Info that is used here, by alias and by id."""

    name: str
    version: str
    arch: str
    tables: Mapping[str, Table]
    tables_by_id: Mapping[int, Table]
    actions_by_id: Mapping[int, Action]
    counters: Mapping[str, Counter]
    meters: Mapping[str, int]
    """Ids of the indirect meters."""
    enumerations: Mapping[str, Enumeration]
    packet_in: Mapping[str, Variable] = field(default_factory=dict)
    packet_out: Mapping[str, Variable] = field(default_factory=dict)

    def table(self, name: str, place: str = "table") -> Table:
        """A table by alias; P4pmipError lists the tables."""
        if name not in self.tables:
            raise P4pmipError(place, name, "no such table in the P4Info", self.tables)
        return self.tables[name]

    def counter_index(self, name: str) -> Mapping[int, str]:
        """Names of a counter's cells, where an enumeration is its index."""
        counter, reasons = self.counters[name], self.reasons
        if counter.index is not None:
            return counter.index.names
        return reasons.names if reasons is not None and self.drop_counter is counter else {}

    @property
    def drop_counter(self) -> Counter | None:
        """The counter of dropped packets: indexed by the enumeration of reasons, or else named for it or for drops."""
        counters = self.counters.values()
        indexed = [counter for counter in counters if counter.index is not None and counter.index is self.reasons]
        named = [c for c in counters if "drop" in c.name.lower() or "reason" in c.name.lower()]
        return next(iter(indexed + named), None)

    @property
    def reasons(self) -> Enumeration | None:
        """The enumeration of the packet-in header's reason: why packets are dropped or punted."""
        reason = self.packet_in.get("reason")
        if reason is not None and reason.enumeration is not None:
            return reason.enumeration
        named = [value for name, value in self.enumerations.items() if "reason" in name.lower()]
        return named[0] if len(named) == 1 else None


def parse_p4info(data: bytes, place: str) -> p4info_pb2.P4Info:
    """A P4Info from its text form, or from the binary form where it is not text; P4pmipError names the place."""
    info = p4info_pb2.P4Info()
    try:
        text = data.decode()
        if "\0" not in text:
            text_format.Parse(text, info)
            return info
    except UnicodeDecodeError:
        pass
    except text_format.ParseError as error:
        raise P4pmipError(place, str(error), "not a P4Info") from None
    try:
        info.ParseFromString(data)
    except Exception:
        raise P4pmipError(place, f"{len(data)} octets", "not a P4Info") from None
    return info


def compile_schema(info: p4info_pb2.P4Info) -> Schema:
    """The schema of a P4Info as the compiler or a target gave it."""
    enumerations = {
        name: Enumeration(
            name,
            spec.underlying_type.bitwidth,
            {int.from_bytes(member.value, "big"): member.name for member in spec.members},
        )
        for name, spec in info.type_info.serializable_enums.items()
    }
    actions = {
        action.preamble.id: Action(
            action.preamble.id, action.preamble.alias, {p.name: _variable(p, enumerations) for p in action.params}
        )
        for action in info.actions
    }
    counted = {counter.direct_table_id for counter in info.direct_counters}
    metered = {meter.direct_table_id for meter in info.direct_meters}
    tables = [_table(table, actions, enumerations, counted, metered) for table in info.tables]
    headers = {header.preamble.name: header.metadata for header in info.controller_packet_metadata}
    return Schema(
        info.pkg_info.name,
        info.pkg_info.version,
        info.pkg_info.arch,
        {table.name: table for table in tables},
        {table.id: table for table in tables},
        actions,
        {
            c.preamble.alias: Counter(c.preamble.id, c.preamble.alias, c.size, enumerations.get(c.index_type_name.name))
            for c in info.counters
        },
        {meter.preamble.alias: meter.preamble.id for meter in info.meters},
        enumerations,
        {m.name: _variable(m, enumerations) for m in headers.get("packet_in", ())},
        {m.name: _variable(m, enumerations) for m in headers.get("packet_out", ())},
    )


def _table(
    table: p4info_pb2.Table,
    actions: Mapping[int, Action],
    enumerations: Mapping[str, Enumeration],
    counted: set[int],
    metered: set[int],
) -> Table:
    kinds = p4info_pb2.MatchField
    match_kinds = {
        kinds.EXACT: MatchKind.EXACT,
        kinds.LPM: MatchKind.LPM,
        kinds.TERNARY: MatchKind.TERNARY,
        kinds.RANGE: MatchKind.RANGE,
        kinds.OPTIONAL: MatchKind.OPTIONAL,
    }
    fields = {}
    for match in table.match_fields:
        kind = match_kinds.get(match.match_type)
        if kind is None:
            raise P4pmipError(table.preamble.alias, match.name, "match kind not known", (k.value for k in MatchKind))
        v = _variable(match, enumerations)
        fields[match.name] = Field(v.id, v.name, v.width, v.format, v.enumeration, kind)
    referred = {actions[ref.id].name: actions[ref.id] for ref in table.action_refs}
    default_only = {actions[ref.id].name for ref in table.action_refs if ref.scope == p4info_pb2.ActionRef.DEFAULT_ONLY}
    return Table(
        table.preamble.id,
        table.preamble.alias,
        fields,
        referred,
        frozenset(referred) - default_only,
        table.size,
        table.is_const_table,
        table.preamble.id in counted,
        table.preamble.id in metered,
        any(f.kind in (MatchKind.TERNARY, MatchKind.RANGE, MatchKind.OPTIONAL) for f in fields.values()),
    )


_FORMAT = re.compile(r"@format\s*\(\s*(\w+)\s*\)")
_FORMATS = {"IPV4_ADDRESS": Format.IPV4, "IPV6_ADDRESS": Format.IPV6, "MAC_ADDRESS": Format.MAC, "STRING": Format.TEXT}


def _variable(
    value: p4info_pb2.MatchField | p4info_pb2.Action.Param | p4info_pb2.ControllerPacketMetadata.Metadata,
    enumerations: Mapping[str, Enumeration],
) -> Variable:
    enumeration = enumerations.get(value.type_name.name)
    if enumeration is None:
        # p4c leaves out the type's name where a field is of a serializable enum: a field named for the type is of it.
        named = value.name.rpartition(".")[2].replace("_", "").lower()
        alike = (e for e in enumerations.values() if e.name.lower() == named and e.width == value.bitwidth)
        enumeration = next(alike, None)
    return Variable(value.id, value.name, value.bitwidth, _format(value.annotations, value.bitwidth), enumeration)


def _format(annotations: Sequence[str], width: int) -> Format:
    for annotation in annotations:
        matched = _FORMAT.match(annotation)
        if matched is not None and matched[1] in _FORMATS:
            return _FORMATS[matched[1]]
    return {0: Format.TEXT, 48: Format.MAC, 128: Format.IPV6}.get(width, Format.NUMBER)


def differences(theirs: Schema, ours: Schema, tables: Iterable[str]) -> list[str]:
    """What `tables` of `ours` need and `theirs` lacks, one line each; extras are fine (people edit the P4)."""
    found = []
    if theirs.name != ours.name:
        found.append(f"pkg_info.name is {theirs.name!r}, not {ours.name!r}")
    for name in tables:
        need, have = ours.table(name), theirs.tables.get(name)
        if have is None:
            found.append(f"table {name} is missing")
            continue
        for key, wanted in need.fields.items():
            got = have.fields.get(key)
            if got is None:
                found.append(f"table {name} has no key field {key}")
            elif (got.width, got.kind) != (wanted.width, wanted.kind):
                found.append(
                    f"table {name} field {key} is {got.kind.value} bit<{got.width}>,"
                    f" not {wanted.kind.value} bit<{wanted.width}>"
                )
        extra = [key for key, f in have.fields.items() if key not in need.fields and f.kind is MatchKind.EXACT]
        found.extend(f"table {name} wants an exact key field {key} that is not known" for key in extra)
        for alias, action in need.actions.items():
            found.extend(_action_differences(name, action, have.actions.get(alias)))
    return found


def _action_differences(table: str, need: Action, have: Action | None) -> list[str]:
    if have is None:
        return [f"table {table} has no action {need.name}"]
    wanted = {name: variable.width for name, variable in need.params.items()}
    got = {name: variable.width for name, variable in have.params.items()}
    if wanted == got:
        return []
    show = ", ".join(f"bit<{width}> {name}" for name, width in got.items())
    expected = ", ".join(f"bit<{width}> {name}" for name, width in wanted.items())
    return [f"action {need.name} of table {table} takes ({show}), not ({expected})"]
