"""P4Info and the compiled program joined: every id that a controller may name, and what it stands for."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from p4pmip.softswitch.ir import MatchKind, Program
from p4pmip.softswitch.target.refusal import Code, Refusal, invalid, not_found
from p4pmip.softswitch.target.stubs import p4info

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class MatchField:
    """A key field: its place in the key."""

    id: int
    name: str
    index: int
    width: int
    kind: MatchKind


@dataclass(frozen=True, slots=True)
class ActionRef:
    """An action of a table: `action` is the compiled program's id of it."""

    id: int
    name: str
    action: int
    parameters: tuple[tuple[int, str, int], ...]
    """(id, name, width)."""
    positions: Mapping[int, int]
    table_only: bool
    default_only: bool


@dataclass(frozen=True, slots=True)
class TableSchema:
    """A table."""

    id: int
    name: str
    alias: str
    fields: tuple[MatchField, ...]
    by_field: Mapping[int, MatchField]
    actions: Mapping[int, ActionRef]
    by_action: Mapping[int, ActionRef]
    """By the compiled program's action id."""
    needs_priority: bool
    size: int
    const: bool
    const_default: bool
    idle_timeout: bool
    counter: int | None
    meter: int | None
    meter_bytes: bool
    profile: int | None
    selector: bool


@dataclass(frozen=True, slots=True)
class CellSchema:
    """An indirect counter, meter or register."""

    id: int
    name: str
    size: int
    width: int = 0


@dataclass(frozen=True, slots=True)
class ProfileSchema:
    """An action profile or selector."""

    id: int
    name: str
    selector: bool
    size: int
    max_group_size: int
    actions: Mapping[int, ActionRef]
    by_action: Mapping[int, ActionRef]


@dataclass(frozen=True, slots=True)
class PacketMetadata:
    """A controller header: (id, name, width) of its fields, in wire order."""

    fields: tuple[tuple[int, str, int], ...]

    @property
    def width(self) -> int:
        """In bits."""
        return sum(width for _, _, width in self.fields)

    @property
    def octets(self) -> int:
        """On the wire: p4c fills up the last octet."""
        return -(-self.width // 8)


KINDS = {
    p4info.MatchField.EXACT: MatchKind.EXACT,
    p4info.MatchField.LPM: MatchKind.LPM,
    p4info.MatchField.TERNARY: MatchKind.TERNARY,
    p4info.MatchField.RANGE: MatchKind.RANGE,
    p4info.MatchField.OPTIONAL: MatchKind.OPTIONAL,
}


class Schema:
    """Everything P4Info names, checked against the program it came with."""

    def __init__(self, info: "p4info.P4Info", program: Program) -> None:
        self.info = info
        self.program = program
        self._actions = {one.preamble.id: one for one in info.actions}
        self._counters = {one.preamble.id: one for one in info.direct_counters}
        self._meters = {one.preamble.id: one for one in info.direct_meters}
        profiles = {one.preamble.id: one for one in info.action_profiles}
        self._table_names = {one.preamble.id: one.preamble.name for one in info.tables}
        tables = program.tables
        self.tables: dict[int, TableSchema] = {}
        for one in info.tables:
            # A table that nothing applies stands in P4Info only.
            if one.preamble.name in tables:
                self.tables[one.preamble.id] = self._table(one, bool(profiles))
        if info.tables and any(table.key for table in tables.values()) and not self.tables:
            raise invalid("p4info", info.tables[0].preamble.name, "has no table of the program", sorted(tables))
        # So does an action profile without a table.
        used = [one for one in info.action_profiles if one.table_ids or one.preamble.name in program.profiles]
        self.profiles = {one.preamble.id: self._profile(one) for one in used}
        self.counters = {one.preamble.id: self._cells(one, program.counters) for one in info.counters}
        sizes = {name: one.size for name, one in program.meters.items()}
        self.meters = {one.preamble.id: self._cells(one, sizes) for one in info.meters}
        self.registers = {one.preamble.id: self._register(one) for one in info.registers}
        self.direct_counters = {one.preamble.id: one.direct_table_id for one in info.direct_counters}
        self.direct_meters = {one.preamble.id: one.direct_table_id for one in info.direct_meters}
        for values in info.value_sets:
            _known(program.value_sets, values.preamble.name, "value set")
        self.value_sets = {one.preamble.id: one for one in info.value_sets}
        self.digests = {one.preamble.id: one.preamble.name for one in info.digests}
        self._digest_names = {one.preamble.name: one.preamble.id for one in info.digests}
        headers = {one.preamble.name: one for one in info.controller_packet_metadata}
        self.packet_in = self._packet_metadata(headers.get("packet_in"))
        self.packet_out = self._packet_metadata(headers.get("packet_out"))

    def _table(self, table: "p4info.Table", profiles: bool) -> TableSchema:
        name = table.preamble.name
        definition = self.program.tables[name]
        if len(definition.key) != len(table.match_fields):
            names = [field.name for field in definition.key]
            raise invalid(f"p4info: table {name}", len(table.match_fields), "has another key than the program", names)
        fields = tuple(
            self._field(name, index, field, definition.key[index].width)
            for index, field in enumerate(table.match_fields)
        )
        for field, compiled in zip(fields, definition.key, strict=True):
            # p4c compiles an optional field to a ternary one.
            same = compiled.match in (field.kind, MatchKind.TERNARY if field.kind is MatchKind.OPTIONAL else None)
            if field.width != compiled.width or not same:
                said = f"{field.kind.value} of {field.width} bits"
                compiled_as = f"{compiled.match.value} of {compiled.width} bits"
                raise invalid(f"p4info: table {name}, {field.name}", said, "differs from the program", [compiled_as])
        refs = [self._action_ref(name, definition.actions, ref) for ref in table.action_refs]
        counter = next((one for one in table.direct_resource_ids if one in self._counters), None)
        meter = next((one for one in table.direct_resource_ids if one in self._meters), None)
        unit = self._meters[meter].spec.unit if meter is not None else 0
        kinds = {field.kind for field in fields}
        selectors = {one.preamble.id for one in self.info.action_profiles if one.with_selector}
        return TableSchema(
            id=table.preamble.id,
            name=name,
            alias=table.preamble.alias,
            fields=fields,
            by_field={field.id: field for field in fields},
            actions={ref.id: ref for ref in refs},
            by_action={ref.action: ref for ref in refs},
            needs_priority=bool(kinds & {MatchKind.TERNARY, MatchKind.RANGE, MatchKind.OPTIONAL}),
            size=table.size,
            const=table.is_const_table,
            const_default=table.const_default_action_id != 0 or definition.default_const,
            idle_timeout=table.idle_timeout_behavior == p4info.Table.NOTIFY_CONTROL,
            counter=counter,
            meter=meter,
            meter_bytes=unit == p4info.MeterSpec.BYTES,
            profile=table.implementation_id or None if profiles else None,
            selector=table.implementation_id in selectors,
        )

    def _field(self, table: str, index: int, field: "p4info.MatchField", width: int) -> MatchField:
        if field.match_type not in KINDS:
            choices = [kind.value for kind in MatchKind]
            raise invalid(f"p4info: table {table}, {field.name}", field.match_type, "match kind not supported", choices)
        # A key of type `error` has no width in P4Info.
        bits = field.bitwidth or width
        if self._is_translated(f"table {table}, {field.name}", field.type_name.name):
            bits = width
        return MatchField(field.id, field.name, index, bits, KINDS[field.match_type])

    def _is_translated(self, place: str, type_name: str) -> bool:
        """Whether the controller's numbers of this type have a width of their own (P4Runtime §18): they are taken as
        they are, and must fit the program's."""
        kind = self.info.type_info.new_types
        if type_name not in kind or not kind[type_name].HasField("translated_type"):
            return False
        if kind[type_name].translated_type.HasField("sdn_string"):
            problem = "is translated from a string, which is not supported"
            raise Refusal(Code.UNIMPLEMENTED, f"p4info: {place}", type_name, problem, ["sdn_bitwidth"])
        return True

    def _action_ref(self, table: str, candidates: Iterable[int], ref: "p4info.ActionRef") -> ActionRef:
        action = self._actions.get(ref.id)
        if action is None:
            raise invalid(f"p4info: table {table}", ref.id, "names an action that P4Info does not have")
        name = action.preamble.name
        # Action names are not unique in the JSON: the table's own ids decide.
        compiled = next((one for one in candidates if self.program.actions[one].name == name), None)
        if compiled is None:
            names = [self.program.actions[one].name for one in candidates]
            raise invalid(f"p4info: table {table}", name, "names an action that the program does not have", names)
        return self._reference(action, compiled, ref.scope)

    def _reference(self, action: "p4info.Action", compiled: int, scope: int = 0) -> ActionRef:
        place, params = f"action {action.preamble.name}", list(action.params)
        widths = dict(self.program.actions[compiled].parameters)
        if {one.name for one in params} >= set(widths):
            # The program's order; what nothing in it uses comes last.
            order = list(widths)
            params.sort(key=lambda one: order.index(one.name) if one.name in widths else len(order))
        parameters = tuple(
            (one.id, one.name, widths[one.name])
            if one.name in widths and self._is_translated(place, one.type_name.name)
            else (one.id, one.name, one.bitwidth)
            for one in params
        )
        given = [width for _, _, width in parameters]
        if given != list(widths.values()):
            raise invalid(f"p4info: {place}", given, "parameters differ from the program", widths.values())
        return ActionRef(
            id=action.preamble.id,
            name=action.preamble.name,
            action=compiled,
            parameters=parameters,
            positions={one: index for index, (one, _, _) in enumerate(parameters)},
            table_only=scope == p4info.ActionRef.TABLE_ONLY,
            default_only=scope == p4info.ActionRef.DEFAULT_ONLY,
        )

    def _profile(self, profile: "p4info.ActionProfile") -> ProfileSchema:
        actions: dict[int, ActionRef] = {}
        name = profile.preamble.name
        for table in profile.table_ids:
            if table not in self._table_names:
                raise invalid(f"p4info: action profile {name}", table, "names a table that P4Info does not have")
            if table in self.tables:
                actions |= self.tables[table].actions
        _known(self.program.profiles, name, "action profile")
        by_action = {ref.action: ref for ref in actions.values()}
        most = profile.max_group_size
        return ProfileSchema(profile.preamble.id, name, profile.with_selector, profile.size, most, actions, by_action)

    @staticmethod
    def _cells(cells: Any, known: Mapping[str, int]) -> CellSchema:
        name = cells.preamble.name
        _known(known, name, "counter or meter")
        if cells.size != known[name]:
            raise invalid(f"p4info: {name}", cells.size, "cells are not as many as in the program", [known[name]])
        return CellSchema(cells.preamble.id, name, cells.size)

    def _register(self, register: "p4info.Register") -> CellSchema:
        name = register.preamble.name
        _known(self.program.registers, name, "register")
        return CellSchema(register.preamble.id, name, *self.program.registers[name])

    def _packet_metadata(self, header: "p4info.ControllerPacketMetadata | None") -> PacketMetadata | None:
        if header is None:
            return None
        for one in header.metadata:
            if self._is_translated(f"{header.preamble.name}, {one.name}", one.type_name.name):
                place, problem = f"p4info: {header.preamble.name}, {one.name}", "is translated, which is not supported"
                raise Refusal(Code.UNIMPLEMENTED, place, one.type_name.name, problem)
        return PacketMetadata(tuple((one.id, one.name, one.bitwidth) for one in header.metadata))

    def digest_id(self, list_id: int) -> int | None:
        """P4Info's id of a digest of the program."""
        return self._digest_names.get(self.program.digests[list_id].name)

    # -- look-ups that refuse --

    def table(self, table_id: int) -> TableSchema:
        """The table of this id."""
        found = self.tables.get(table_id)
        if found is None:
            raise unknown("table_id", table_id, "table", self.tables)
        return found

    def profile(self, profile_id: int) -> ProfileSchema:
        """The action profile of this id."""
        found = self.profiles.get(profile_id)
        if found is None:
            raise unknown("action_profile_id", profile_id, "action profile", self.profiles)
        return found

    @staticmethod
    def cell(cells: Mapping[int, CellSchema], cell_id: int, place: str) -> CellSchema:
        """The counter, meter or register of this id."""
        found = cells.get(cell_id)
        if found is None:
            raise unknown(place, cell_id, place.removesuffix("_id"), cells)
        return found


def unknown(place: str, value: int, thing: str, known: Mapping[int, Any]) -> Refusal:
    """NOT_FOUND, with the ids there are."""
    choices = [f"{one} {getattr(what, 'name', '')}".strip() for one, what in known.items()]
    return not_found(place, value, f"unknown {thing} id", choices)


def _known(known: Mapping[str, T], name: str, thing: str) -> None:
    if name not in known:
        raise invalid("p4info", name, f"the program has no such {thing}", sorted(known))
