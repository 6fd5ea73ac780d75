"""Table entries: insert, modify, delete, read (P4Runtime §9.1), with their direct counters and meters."""

from collections.abc import Iterator
from functools import partial

from p4pmip.softswitch.pipeline import Pipeline
from p4pmip.softswitch.state import Meter
from p4pmip.softswitch.tables import Entry, MatchTable
from p4pmip.softswitch.target.choice import Choices, use
from p4pmip.softswitch.target.match import decode_match, decode_priority, describe, encode_match
from p4pmip.softswitch.target.meters import encode_meter, meter_config, no_meter_counters
from p4pmip.softswitch.target.refusal import Code, Refusal, invalid, not_found
from p4pmip.softswitch.target.schema import Schema, TableSchema
from p4pmip.softswitch.target.stubs import p4runtime
from p4pmip.softswitch.target.update import DELETE, INSERT, MODIFY, Undo


class TableEntries:
    """The table entries of one pipeline, as P4Runtime sees them."""

    def __init__(self, schema: Schema, pipeline: Pipeline) -> None:
        self.schema = schema
        self._choices = Choices(schema, pipeline)
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
        if given.is_const:
            raise invalid(f"{schema.name}: is_const", True, "can only be read", [False])
        if given.is_default_action:
            return self._default(kind, schema, table, given, now)
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
            self._take_out(table, entry)
            return partial(self._put_in, table, entry)
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
        if not schema.fields:
            raise invalid("table", schema.name, "has no key: only its default entry can be modified", ["MODIFY"])
        if not given.HasField("action"):
            raise invalid(f"{schema.name}: action", None, "a new entry needs one")
        self._check_details(schema, given)
        self._choices.set(schema, entry, given.action)
        entry.last_hit = now
        self._set_details(schema, entry, given, now)
        self._put_in(table, entry)
        return partial(self._take_out, table, entry)

    @staticmethod
    def _put_in(table: MatchTable, entry: Entry) -> None:
        table.insert(entry)
        use(entry, +1)

    @staticmethod
    def _take_out(table: MatchTable, entry: Entry) -> None:
        table.remove(entry)
        use(entry, -1)

    def _modify(
        self, schema: TableSchema, table: MatchTable, entry: Entry, given: "p4runtime.TableEntry", now: float
    ) -> Undo:
        self._check_details(schema, given)
        undo = self._snapshot(table, entry)
        changed = Entry(entry.match, entry.priority, entry.action, entry.arguments)
        changed.choice, changed.source = entry.choice, entry.source
        if given.HasField("action"):
            self._choices.set(schema, changed, given.action)
        self._set_details(schema, entry, given, now)
        use(entry, -1)
        entry.action, entry.arguments = changed.action, changed.arguments
        entry.choice, entry.source = changed.choice, changed.source
        use(entry, +1)
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
        self._check_details(schema, given)
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
        self._check_details(schema, given)
        undo = self._snapshot(table, entry)
        if given.HasField("action"):
            self._choices.set(schema, entry, given.action, default=True)
        else:
            entry.action = -1 if definition.default_action is None else definition.default_action
            entry.arguments = definition.default_arguments
        self._set_details(schema, entry, given, now)
        if not given.HasField("action"):
            entry.metadata, entry.controller = b"", 0
        table.changed(entry)
        return undo

    @staticmethod
    def _check_details(schema: TableSchema, given: "p4runtime.TableEntry") -> None:
        """Refuse what does not go with the table, before anything is changed."""
        if given.idle_timeout_ns and not schema.idle_timeout:
            place, problem = f"{schema.name}: idle_timeout_ns", "the table has no idle timeout"
            raise invalid(place, given.idle_timeout_ns, problem, [0])
        if given.idle_timeout_ns < 0:
            raise invalid(f"{schema.name}: idle_timeout_ns", given.idle_timeout_ns, "is negative", ["0 and above"])
        if given.HasField("time_since_last_hit"):
            raise invalid(f"{schema.name}: time_since_last_hit", "set", "can only be read")
        if given.HasField("meter_counter_data"):
            raise no_meter_counters(schema.name)
        if given.HasField("meter_config"):
            if schema.meter is None:
                raise invalid(f"{schema.name}: meter_config", "set", "the table has no direct meter")
            meter_config(schema.name, given.meter_config)
        if given.HasField("counter_data") and schema.counter is None:
            raise invalid(f"{schema.name}: counter_data", "set", "the table has no direct counter")

    @staticmethod
    def _set_details(schema: TableSchema, entry: Entry, given: "p4runtime.TableEntry", now: float) -> None:
        """What `_check_details` has found to be good."""
        metered = given.HasField("meter_config")
        entry.meter = Meter(meter_config(schema.name, given.meter_config), now) if metered else None
        if given.HasField("counter_data"):
            entry.packets, entry.octets = given.counter_data.packet_count, given.counter_data.byte_count
        entry.idle_timeout = given.idle_timeout_ns
        entry.metadata = given.metadata
        entry.controller = given.controller_metadata

    @staticmethod
    def _snapshot(table: MatchTable, entry: Entry) -> Undo:
        table.collect(entry)
        names = (
            "action", "arguments", "choice", "source", "packets", "octets", "meter", "idle_timeout",
            "metadata", "controller",
        )  # fmt: skip
        before = [getattr(entry, name) for name in names]
        choice = entry.choice

        def undo() -> None:
            if entry.choice is not choice:
                use(entry, -1)
            changed = entry.choice is not choice
            for name, value in zip(names, before, strict=True):
                setattr(entry, name, value)
            if changed:
                use(entry, +1)
            table.changed(entry)

        return undo

    # -- read --

    def read(self, given: "p4runtime.TableEntry", now: float) -> Iterator["p4runtime.Entity"]:
        """All entries that fit the request's table, match, priority, action and metadata."""
        ids = [given.table_id] if given.table_id else list(self._tables)
        for table_id in ids:
            schema, table = self._tables[self.schema.table(table_id).id]
            if given.HasField("time_since_last_hit"):
                if given.is_default_action:
                    raise invalid(f"{schema.name}: default entry", "time_since_last_hit", "it has none")
                if given.table_id and not schema.idle_timeout:
                    raise invalid(f"{schema.name}: time_since_last_hit", "set", "the table has no idle timeout")
            if given.HasField("meter_counter_data"):
                raise no_meter_counters(schema.name)
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
        self._choices.encode(schema, entry, into)
        into.idle_timeout_ns = entry.idle_timeout
        into.metadata = entry.metadata
        into.controller_metadata = entry.controller
        into.is_const = entry.const
        if wanted.HasField("counter_data") and schema.counter is not None:
            into.counter_data.packet_count, into.counter_data.byte_count = entry.packets, entry.octets
        if wanted.HasField("meter_config") and entry.meter is not None and entry.meter.config is not None:
            encode_meter(entry.meter.config, into.meter_config)
        if wanted.HasField("time_since_last_hit") and schema.idle_timeout:
            into.time_since_last_hit.elapsed_ns = max(0, int((now - entry.last_hit) * 1e9))
        return entity

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
            if given.match and not chosen:
                raise not_found(f"{schema.name}: entry", describe(schema, given), "does not exist")
            for entry in chosen:
                table.collect(entry)
                key = p4runtime.TableEntry(table_id=schema.id, priority=entry.priority)
                if given.is_default_action:
                    key.is_default_action = True
                else:
                    encode_match(schema, entry.match, key)
                yield schema, entry, key

    def idle(self, now: float) -> Iterator["p4runtime.TableEntry"]:
        """Entries whose idle timeout has passed since their last hit, and since they were last told about."""
        for schema, table in self._tables.values():
            if not schema.idle_timeout:
                continue
            for entry in list(table.by_key.values()):
                if entry.idle_timeout:
                    table.collect(entry)
                    since = max(entry.last_hit, entry.told)
                    if (now - since) * 1e9 < entry.idle_timeout:
                        continue
                    # The timer starts again (§16.4).
                    entry.told = now
                    yield self._encoded(schema, entry, p4runtime.TableEntry(), now).table_entry
