"""Table entries: insert, modify, delete, read (P4Runtime §9.1), with their direct counters and meters."""

from collections.abc import Callable, Iterator
from functools import partial

from p4pmip.softswitch.pipeline import Pipeline
from p4pmip.softswitch.state import Meter, MeterConfig
from p4pmip.softswitch.tables import Entry, Group, MatchTable, Member
from p4pmip.softswitch.target.action import decode_action, encode_action
from p4pmip.softswitch.target.match import decode_match, decode_priority, encode_match
from p4pmip.softswitch.target.refusal import Code, Refusal, invalid, not_found
from p4pmip.softswitch.target.schema import Schema, TableSchema
from p4pmip.softswitch.target.stubs import p4runtime

Undo = Callable[[], None]
"""Takes an update back."""


def in_turn(*steps: Undo) -> Undo:
    """One step after the other."""

    def run() -> None:
        for step in steps:
            step()

    return run


INSERT, MODIFY, DELETE = p4runtime.Update.INSERT, p4runtime.Update.MODIFY, p4runtime.Update.DELETE


def kind_name(kind: int) -> str:
    """INSERT, MODIFY or DELETE."""
    return {INSERT: "INSERT", MODIFY: "MODIFY", DELETE: "DELETE"}.get(kind, "UNSPECIFIED")  # type: ignore[call-overload, no-any-return]


class TableEntries:
    """The table entries of one pipeline, as P4Runtime sees them."""

    def __init__(self, schema: Schema, pipeline: Pipeline) -> None:
        self.schema = schema
        self.pipeline = pipeline
        self._tables: dict[int, tuple[TableSchema, MatchTable]] = {
            one.id: (one, pipeline.tables[one.name]) for one in schema.tables.values()
        }
        for _, table in self._tables.values():
            table.size = max(table.size, len(table))

    # -- write --

    def write(self, kind: int, given: "p4runtime.TableEntry", now: float) -> Undo:
        """Apply one update.

        Raises:
            Refusal: it cannot be; nothing has changed.
        """
        found = self._tables.get(given.table_id)
        if found is None:
            self.schema.table(given.table_id)
        schema, table = self._tables[given.table_id]
        if given.is_default_action:
            return self._default(kind, schema, table, given, now)
        if given.HasField("time_since_last_hit"):
            raise invalid(f"{schema.name}: time_since_last_hit", "set", "can only be read")
        match, priority = decode_match(schema, given.match), decode_priority(schema, given.priority)
        entry = table.by_key.get((match, priority))
        if kind == INSERT:
            return self._insert(schema, table, entry, Entry(match, priority, -1, ()), given, now)
        if entry is None:
            raise not_found(f"{schema.name}: entry", describe(schema, given), "does not exist")
        if entry.const or schema.const:
            return self._modify_const(kind, schema, table, entry, given, now)
        if kind == MODIFY:
            return self._modify(schema, table, entry, given, now)
        if kind == DELETE:
            table.remove(entry)
            self._use(entry, -1)
            return in_turn(partial(table.insert, entry), partial(self._use, entry, +1))
        raise invalid("update type", kind, "unknown", ["INSERT", "MODIFY", "DELETE"])

    def _insert(
        self,
        schema: TableSchema,
        table: MatchTable,
        existing: Entry | None,
        entry: Entry,
        given: "p4runtime.TableEntry",
        now: float,
    ) -> Undo:
        if schema.const:
            raise Refusal(Code.PERMISSION_DENIED, "table", schema.name, "its entries are constant")
        if existing is not None:
            problem = "already exists: MODIFY it"
            raise Refusal(Code.ALREADY_EXISTS, f"{schema.name}: entry", describe(schema, given), problem)
        if len(table.by_key) >= table.size:
            problem = f"is full: {len(table)} entries"
            raise Refusal(Code.RESOURCE_EXHAUSTED, "table", schema.name, problem, [f"at most {table.size}"])
        if not given.HasField("action"):
            raise invalid(f"{schema.name}: action", None, "a new entry needs one")
        self._set_action(schema, entry, given.action)
        entry.last_hit = now
        self._set_details(schema, entry, given, now)
        table.insert(entry)
        self._use(entry, +1)
        return in_turn(partial(table.remove, entry), partial(self._use, entry, -1))

    def _modify(
        self, schema: TableSchema, table: MatchTable, entry: Entry, given: "p4runtime.TableEntry", now: float
    ) -> Undo:
        undo = self._snapshot(table, entry)
        changed = Entry(entry.match, entry.priority, entry.action, entry.arguments)
        changed.choice, changed.source = entry.choice, entry.source
        if given.HasField("action"):
            self._set_action(schema, changed, given.action)
        try:
            self._set_details(schema, entry, given, now)
        except Refusal:
            undo()
            raise
        self._use(entry, -1)
        # One after the other, but no packet comes in between.
        entry.action, entry.arguments = changed.action, changed.arguments
        entry.choice, entry.source = changed.choice, changed.source
        self._use(entry, +1)
        table.changed(entry)
        return undo

    def _modify_const(
        self,
        kind: int,
        schema: TableSchema,
        table: MatchTable,
        entry: Entry,
        given: "p4runtime.TableEntry",
        now: float,
    ) -> Undo:
        if kind != MODIFY or given.HasField("action"):
            problem = "its entries are constant: only their direct resources can be modified"
            raise Refusal(Code.PERMISSION_DENIED, "table", schema.name, problem)
        undo = self._snapshot(table, entry)
        self._set_details(schema, entry, given, now)
        table.changed(entry)
        return undo

    def _default(
        self, kind: int, schema: TableSchema, table: MatchTable, given: "p4runtime.TableEntry", now: float
    ) -> Undo:
        if kind != MODIFY:
            raise invalid(f"{schema.name}: default entry", kind, "can only be modified", ["MODIFY"])
        if given.match or given.priority:
            raise invalid(f"{schema.name}: default entry", "match or priority", "has neither")
        if given.idle_timeout_ns or given.HasField("time_since_last_hit"):
            raise invalid(f"{schema.name}: default entry", "idle timeout", "cannot have one")
        if schema.const_default:
            raise Refusal(Code.PERMISSION_DENIED, f"{schema.name}: default entry", "MODIFY", "is constant")
        if schema.profile is not None:
            raise Refusal(Code.PERMISSION_DENIED, f"{schema.name}: default entry", "MODIFY", "of an indirect table")
        entry, definition = table.default, table.table
        undo = self._snapshot(table, entry)
        if given.HasField("action"):
            self._set_action(schema, entry, given.action, default=True)
        else:
            entry.action = -1 if definition.default_action is None else definition.default_action
            entry.arguments = definition.default_arguments
        self._set_details(schema, entry, given, now)
        table.changed(entry)
        return undo

    def _set_action(
        self, schema: TableSchema, entry: Entry, given: "p4runtime.TableAction", default: bool = False
    ) -> None:
        kind = given.WhichOneof("type")
        if kind == "action" and schema.profile is None:
            ref, arguments = decode_action(schema.name, schema.actions, given.action)
            if ref.table_only if default else ref.default_only:
                problem = "is not allowed " + ("as the default action" if default else "but as the default action")
                raise Refusal(Code.PERMISSION_DENIED, f"{schema.name}: action", ref.name, problem)
            entry.action, entry.arguments = ref.action, arguments
            return
        if schema.profile is None or kind in (None, "action"):
            choices = ["action"] if schema.profile is None else ["action_profile_member_id"]
            choices += ["action_profile_group_id", "action_profile_action_set"] if schema.selector else []
            raise invalid(f"{schema.name}: action", kind, "does not fit the table", choices)
        entry.choice, entry.source = self._choice(schema, str(kind), given), None
        if kind == "action_profile_action_set":
            copy = p4runtime.TableAction()
            copy.CopyFrom(given)
            entry.source = copy

    def _choice(self, schema: TableSchema, kind: str, given: "p4runtime.TableAction") -> Member | Group:
        profile = self.pipeline.profiles[self.schema.profile(schema.profile or 0).name]
        if kind == "action_profile_member_id":
            number = given.action_profile_member_id
            if number not in profile.members:
                raise not_found(f"{schema.name}: member", number, "does not exist", sorted(profile.members))
            return profile.members[number]
        if not schema.selector:
            raise invalid(f"{schema.name}: action", kind, "needs a selector", ["action_profile_member_id"])
        if kind == "action_profile_group_id":
            number = given.action_profile_group_id
            if number not in profile.groups:
                raise not_found(f"{schema.name}: group", number, "does not exist", sorted(profile.groups))
            return profile.groups[number]
        return self._action_set(schema, given.action_profile_action_set)

    def _action_set(self, schema: TableSchema, given: "p4runtime.ActionProfileActionSet") -> Group:
        """A one-shot group (§9.2.3)."""
        members: list[tuple[Member, int]] = []
        for one in given.action_profile_actions:
            if one.weight < 1:
                raise invalid(f"{schema.name}: weight", one.weight, "must be positive", ["1 and above"])
            ref, arguments = decode_action(schema.name, schema.actions, one.action)
            members.append((Member(0, ref.action, arguments), one.weight))
        group = Group(0)
        group.set(members)
        return group

    @staticmethod
    def _use(entry: Entry, by: int) -> None:
        """Count who refers to members and groups, so that none is deleted while it is in use."""
        if entry.choice is not None:
            entry.choice.users += by

    def _set_details(self, schema: TableSchema, entry: Entry, given: "p4runtime.TableEntry", now: float) -> None:
        if given.idle_timeout_ns and not schema.idle_timeout:
            raise invalid(
                f"{schema.name}: idle_timeout_ns", given.idle_timeout_ns, "the table has no idle timeout", [0]
            )
        if given.HasField("meter_config"):
            if schema.meter is None:
                raise invalid(f"{schema.name}: meter_config", "set", "the table has no direct meter")
            entry.meter = Meter(meter_config(schema.name, given.meter_config), now)
        else:
            entry.meter = None
        if given.HasField("counter_data"):
            if schema.counter is None:
                raise invalid(f"{schema.name}: counter_data", "set", "the table has no direct counter")
            entry.packets, entry.octets = given.counter_data.packet_count, given.counter_data.byte_count
        if entry.idle_timeout != given.idle_timeout_ns:
            entry.idle_timeout = given.idle_timeout_ns
            entry.notified = False
        entry.metadata = given.metadata
        entry.controller = given.controller_metadata

    @staticmethod
    def _snapshot(table: MatchTable, entry: Entry) -> Undo:
        table.collect(entry)
        names = (
            "action", "arguments", "choice", "source", "packets", "octets", "meter", "idle_timeout", "notified",
            "metadata", "controller",
        )  # fmt: skip
        before = [getattr(entry, name) for name in names]
        choice = entry.choice

        def undo() -> None:
            if entry.choice is not choice:
                TableEntries._use(entry, -1)
            changed = entry.choice is not choice
            for name, value in zip(names, before, strict=True):
                setattr(entry, name, value)
            if changed:
                TableEntries._use(entry, +1)
            table.changed(entry)

        return undo

    # -- read --

    def read(self, given: "p4runtime.TableEntry", now: float) -> Iterator["p4runtime.Entity"]:
        """All entries that fit the request's table, match, priority, action and metadata."""
        ids = [given.table_id] if given.table_id else list(self._tables)
        for table_id in ids:
            schema, table = self._tables[self.schema.table(table_id).id]
            if given.HasField("time_since_last_hit") and not schema.idle_timeout:
                if given.table_id:
                    raise invalid(f"{schema.name}: time_since_last_hit", "set", "the table has no idle timeout")
                continue
            if given.is_default_action:
                table.collect(table.default)
                yield self._encoded(schema, table.default, given, now, default=True)
                continue
            for entry in self._selected(schema, table, given):
                table.collect(entry)
                yield self._encoded(schema, entry, given, now)

    def _selected(self, schema: TableSchema, table: MatchTable, given: "p4runtime.TableEntry") -> list[Entry]:
        if given.match:
            match = decode_match(schema, given.match)
            if given.priority or not schema.needs_priority:
                entry = table.by_key.get((match, given.priority))
                return [entry] if entry is not None else []
            return [entry for entry in table.by_key.values() if entry.match == match]
        entries = list(table.by_key.values())
        if given.priority:
            entries = [entry for entry in entries if entry.priority == given.priority]
        if given.HasField("action") and given.action.HasField("action"):
            ref = schema.actions.get(given.action.action.action_id)
            entries = [entry for entry in entries if ref is not None and entry.action == ref.action]
        if given.controller_metadata:
            entries = [entry for entry in entries if entry.controller == given.controller_metadata]
        if given.metadata:
            entries = [entry for entry in entries if entry.metadata == given.metadata]
        return entries

    def _encoded(
        self,
        schema: TableSchema,
        entry: Entry,
        wanted: "p4runtime.TableEntry",
        now: float,
        default: bool = False,
    ) -> "p4runtime.Entity":
        entity = p4runtime.Entity()
        into = entity.table_entry
        into.table_id = schema.id
        if default:
            into.is_default_action = True
        else:
            encode_match(schema, entry.match, into)
        into.priority = entry.priority
        self.encode_action(schema, entry, into)
        into.idle_timeout_ns = entry.idle_timeout
        into.metadata = entry.metadata
        into.controller_metadata = entry.controller
        into.is_const = entry.const
        if wanted.HasField("counter_data") and schema.counter is not None:
            into.counter_data.packet_count, into.counter_data.byte_count = entry.packets, entry.octets
        if wanted.HasField("meter_config") and entry.meter is not None and entry.meter.config is not None:
            encode_meter(entry.meter.config, into.meter_config)
        if wanted.HasField("time_since_last_hit"):
            into.time_since_last_hit.elapsed_ns = max(0, int((now - entry.last_hit) * 1e9))
        return entity

    def encode_action(self, schema: TableSchema, entry: Entry, into: "p4runtime.TableEntry") -> None:
        """The entry's action, member, group or one-shot set."""
        match entry.choice:
            case None:
                ref = schema.by_action.get(entry.action)
                if ref is not None:
                    encode_action(ref, entry.arguments, into.action.action)
            case Member(id=number):
                into.action.action_profile_member_id = number
            case Group() if entry.source is not None:
                assert isinstance(entry.source, p4runtime.TableAction)
                into.action.CopyFrom(entry.source)
            case Group(id=number):
                into.action.action_profile_group_id = number

    # -- direct resources by themselves --

    def entry(self, given: "p4runtime.TableEntry") -> tuple[TableSchema, Entry]:
        """The one entry that a DirectCounterEntry or DirectMeterEntry names."""
        schema, table = self._tables[self.schema.table(given.table_id).id]
        table.collect(table.default)
        if given.is_default_action:
            return schema, table.default
        match, priority = decode_match(schema, given.match), decode_priority(schema, given.priority)
        entry = table.by_key.get((match, priority))
        if entry is None:
            raise not_found(f"{schema.name}: entry", describe(schema, given), "does not exist")
        table.collect(entry)
        return schema, entry

    def selected(self, given: "p4runtime.TableEntry") -> Iterator[tuple[TableSchema, Entry, "p4runtime.TableEntry"]]:
        """Entries that a read of direct resources asks for, with the key to answer with."""
        for table_id in [given.table_id] if given.table_id else list(self._tables):
            schema, table = self._tables[self.schema.table(table_id).id]
            chosen = [table.default] if given.is_default_action else self._selected(schema, table, given)
            for entry in chosen:
                table.collect(entry)
                key = p4runtime.TableEntry(table_id=schema.id, priority=entry.priority)
                if given.is_default_action:
                    key.is_default_action = True
                else:
                    encode_match(schema, entry.match, key)
                yield schema, entry, key

    def idle(self, now: float) -> Iterator["p4runtime.TableEntry"]:
        """Entries whose idle timeout has passed and that were not told about since their last hit."""
        for schema, table in self._tables.values():
            if not schema.idle_timeout:
                continue
            for entry in list(table.by_key.values()):
                if entry.idle_timeout:
                    table.collect(entry)
                if entry.idle_timeout and not entry.notified and (now - entry.last_hit) * 1e9 >= entry.idle_timeout:
                    entry.notified = True
                    yield self._encoded(schema, entry, p4runtime.TableEntry(), now).table_entry


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


def meter_config(place: str, given: "p4runtime.MeterConfig") -> MeterConfig:
    """A meter's configuration; the two-rate kind has no eburst (§9.5)."""
    if given.eburst:
        raise invalid(f"{place}: eburst", given.eburst, "only single-rate meters have it", [0])
    values = (given.cir, given.cburst, given.pir, given.pburst)
    if any(value < 0 for value in values) or given.pir < given.cir:
        raise invalid(
            f"{place}: meter", values, "rates must be positive and pir at least cir", ["cir cburst pir pburst"]
        )
    return MeterConfig(*values)


def encode_meter(config: MeterConfig, into: "p4runtime.MeterConfig") -> None:
    """The configuration of a meter."""
    into.cir, into.cburst, into.pir, into.pburst = config.cir, config.cburst, config.pir, config.pburst
