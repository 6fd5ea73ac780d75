"""Counters, meters and registers, direct and indirect (P4Runtime §9.3, §9.5, §9.7)."""

from collections.abc import Iterator, Mapping

from p4pmip.softswitch.pipeline import Pipeline
from p4pmip.softswitch.state import Meter
from p4pmip.softswitch.target.bytestring import decode, encode
from p4pmip.softswitch.target.entries import TableEntries
from p4pmip.softswitch.target.meters import encode_meter, meter_config, no_meter_counters
from p4pmip.softswitch.target.refusal import Code, Refusal, invalid
from p4pmip.softswitch.target.schema import CellSchema, Schema
from p4pmip.softswitch.target.stubs import p4runtime
from p4pmip.softswitch.target.update import MODIFY, Undo, in_turn, kind_name


def _only_modify(kind: int, what: str) -> None:
    if kind != MODIFY:
        raise invalid(f"{what}: update type", kind_name(kind), "can only be modified", ["MODIFY"])


def _index(cells: CellSchema, given: "p4runtime.Index") -> int:
    index: int = given.index
    if index < 0:
        raise invalid(f"{cells.name}: index", index, "is negative", [f"0..{cells.size - 1}"])
    if index >= cells.size:
        raise Refusal(Code.OUT_OF_RANGE, f"{cells.name}: index", index, "is too large", [f"0..{cells.size - 1}"])
    return index


class Cells:
    """Everything that counts or remembers."""

    def __init__(self, schema: Schema, pipeline: Pipeline, entries: TableEntries) -> None:
        self.schema = schema
        self.pipeline = pipeline
        self.entries = entries

    # -- write --

    def write_counter(self, kind: int, given: "p4runtime.CounterEntry") -> Undo:
        """Set one cell of a counter, or all of them where the index is unset."""
        _only_modify(kind, "counter")
        cells = self.schema.cell(self.schema.counters, given.counter_id, "counter_id")
        array = self.pipeline.counters[cells.name]
        indexes = [_index(cells, given.index)] if given.HasField("index") else range(cells.size)
        if not given.HasField("data"):
            return in_turn()
        for index in indexes:
            array.collect(index)
        before = [(index, array.packets[index], array.octets[index]) for index in indexes]
        for index in indexes:
            array.packets[index], array.octets[index] = given.data.packet_count, given.data.byte_count

        def undo() -> None:
            for index, packets, octets in before:
                array.packets[index], array.octets[index] = packets, octets

        return undo

    def write_meter(self, kind: int, given: "p4runtime.MeterEntry", now: float) -> Undo:
        """Configure one cell of a meter; without a configuration it is green for ever."""
        _only_modify(kind, "meter")
        cells = self.schema.cell(self.schema.meters, given.meter_id, "meter_id")
        if given.HasField("counter_data"):
            raise no_meter_counters(cells.name)
        array = self.pipeline.meters[cells.name]
        indexes = [_index(cells, given.index)] if given.HasField("index") else list(range(cells.size))
        config = meter_config(cells.name, given.config) if given.HasField("config") else None
        before = [(index, array.cells[index]) for index in indexes]
        for index in indexes:
            array.set(index, config, now)

        def undo() -> None:
            for index, meter in before:
                array.cells[index] = meter

        return undo

    def write_direct_counter(self, kind: int, given: "p4runtime.DirectCounterEntry") -> Undo:
        """Set the counter of one entry."""
        _only_modify(kind, "direct counter")
        schema, entry = self.entries.entry(given.table_entry)
        if schema.counter is None:
            raise invalid("direct_counter_entry: table", schema.name, "has no direct counter", self._counted())
        if not given.HasField("data"):
            return in_turn()
        before = entry.packets, entry.octets
        entry.packets, entry.octets = given.data.packet_count, given.data.byte_count

        def undo() -> None:
            entry.packets, entry.octets = before

        return undo

    def write_direct_meter(self, kind: int, given: "p4runtime.DirectMeterEntry", now: float) -> Undo:
        """Configure the meter of one entry."""
        _only_modify(kind, "direct meter")
        schema, entry = self.entries.entry(given.table_entry)
        if schema.meter is None:
            raise invalid("direct_meter_entry: table", schema.name, "has no direct meter", self._metered())
        if given.HasField("counter_data"):
            raise no_meter_counters(schema.name)
        before, table = entry.meter, self.pipeline.tables[schema.name]
        entry.meter = Meter(meter_config(schema.name, given.config), now) if given.HasField("config") else None
        table.changed(entry)

        def undo() -> None:
            entry.meter = before
            table.changed(entry)

        return undo

    def write_register(self, kind: int, given: "p4runtime.RegisterEntry") -> Undo:
        """Set one cell of a register, or all of them where the index is unset."""
        _only_modify(kind, "register")
        cells = self.schema.cell(self.schema.registers, given.register_id, "register_id")
        array = self.pipeline.registers[cells.name]
        if given.data.WhichOneof("data") != "bitstring":
            raise invalid(f"{cells.name}: data", given.data.WhichOneof("data"), "is no bitstring", ["bitstring"])
        value = decode(given.data.bitstring, cells.width, f"{cells.name}: data")
        indexes = [_index(cells, given.index)] if given.HasField("index") else range(cells.size)
        before = [(index, array.cells[index]) for index in indexes]
        for index in indexes:
            array.cells[index] = value

        def undo() -> None:
            for index, old in before:
                array.cells[index] = old

        return undo

    # -- read --

    def read_counter(self, given: "p4runtime.CounterEntry") -> Iterator["p4runtime.Entity"]:
        """Cells of one counter, or of all."""
        for cells in self._chosen(self.schema.counters, given.counter_id, "counter_id"):
            array = self.pipeline.counters[cells.name]
            for index in [_index(cells, given.index)] if given.HasField("index") else range(cells.size):
                array.collect(index)
                entity = p4runtime.Entity()
                entity.counter_entry.counter_id, entity.counter_entry.index.index = cells.id, index
                data = entity.counter_entry.data
                data.packet_count, data.byte_count = array.packets[index], array.octets[index]
                yield entity

    def read_meter(self, given: "p4runtime.MeterEntry") -> Iterator["p4runtime.Entity"]:
        """Cells of one meter, or of all."""
        if given.HasField("counter_data"):
            raise no_meter_counters("meter_entry")
        for cells in self._chosen(self.schema.meters, given.meter_id, "meter_id"):
            array = self.pipeline.meters[cells.name]
            for index in [_index(cells, given.index)] if given.HasField("index") else range(cells.size):
                entity = p4runtime.Entity()
                entity.meter_entry.meter_id, entity.meter_entry.index.index = cells.id, index
                config = array.get(index)
                if config is not None:
                    encode_meter(config, entity.meter_entry.config)
                yield entity

    def read_register(self, given: "p4runtime.RegisterEntry") -> Iterator["p4runtime.Entity"]:
        """Cells of one register, or of all."""
        for cells in self._chosen(self.schema.registers, given.register_id, "register_id"):
            array = self.pipeline.registers[cells.name]
            for index in [_index(cells, given.index)] if given.HasField("index") else range(cells.size):
                entity = p4runtime.Entity()
                entity.register_entry.register_id, entity.register_entry.index.index = cells.id, index
                entity.register_entry.data.bitstring = encode(array.cells[index])
                yield entity

    def read_direct_counter(self, given: "p4runtime.DirectCounterEntry") -> Iterator["p4runtime.Entity"]:
        """Counters of the entries that are asked for."""
        for schema, entry, key in self.entries.selected(given.table_entry):
            if schema.counter is None:
                if given.table_entry.table_id:
                    raise invalid("direct_counter_entry: table", schema.name, "has no direct counter", self._counted())
                continue
            entity = p4runtime.Entity()
            entity.direct_counter_entry.table_entry.CopyFrom(key)
            data = entity.direct_counter_entry.data
            data.packet_count, data.byte_count = entry.packets, entry.octets
            yield entity

    def read_direct_meter(self, given: "p4runtime.DirectMeterEntry") -> Iterator["p4runtime.Entity"]:
        """Meters of the entries that are asked for."""
        if given.HasField("counter_data"):
            raise no_meter_counters("direct_meter_entry")
        for schema, entry, key in self.entries.selected(given.table_entry):
            if schema.meter is None:
                if given.table_entry.table_id:
                    raise invalid("direct_meter_entry: table", schema.name, "has no direct meter", self._metered())
                continue
            entity = p4runtime.Entity()
            entity.direct_meter_entry.table_entry.CopyFrom(key)
            if entry.meter is not None and entry.meter.config is not None:
                encode_meter(entry.meter.config, entity.direct_meter_entry.config)
            yield entity

    def _chosen(self, known: Mapping[int, CellSchema], cell_id: int, place: str) -> list[CellSchema]:
        return [self.schema.cell(known, cell_id, place)] if cell_id else list(known.values())

    def _counted(self) -> list[str]:
        return [one.name for one in self.schema.tables.values() if one.counter is not None]

    def _metered(self) -> list[str]:
        return [one.name for one in self.schema.tables.values() if one.meter is not None]
