"""Reading a target: table entries and counters, one table at a time.

BMv2 lets no write in while it serves a read, so nothing here asks for more than one table, and only for what is
shown.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass

from p4pmip.errors import P4pmipError
from p4pmip.forwarding.entry import Entry
from p4pmip.p4runtime import wirecode
from p4pmip.p4runtime.client import Client
from p4pmip.p4runtime.pipeline import Pipeline
from p4pmip.p4runtime.status import Problem, TargetError
from p4pmip.p4runtime.stubs import code_pb2, p4runtime_pb2


@dataclass(frozen=True, slots=True)
class Count:
    """One counter cell."""

    packets: int
    octets: int


@dataclass(frozen=True, slots=True)
class TableRow:
    """An entry as a target holds it."""

    entry: Entry
    counter: Count | None
    """Its direct counter, if it was asked for and the table has one."""
    const: bool
    """The program's own entry: it cannot be written."""


class Reader:
    """Reads one target by the names of one P4Info. Errors are TargetError (the target's) and P4pmipError (names)."""

    def __init__(self, client: Client, pipeline: Pipeline) -> None:
        self._client = client
        self._schema = pipeline.schema
        self._codec = pipeline.codec

    async def rows(self, table: str, *, counters: bool = False) -> AsyncIterator[TableRow]:
        """Every entry of a table but its default; with `counters`, their direct counters in the same read."""
        info = self._schema.table(table)
        request = p4runtime_pb2.ReadRequest()
        wanted = request.entities.add().table_entry
        wanted.table_id = info.id
        counted = counters and info.counted
        if counted:
            wanted.counter_data.SetInParent()
        async for data in self._client.read(request):
            for entity in p4runtime_pb2.ReadResponse.FromString(data).entities:
                row = entity.table_entry
                if not row.is_default_action:
                    count = Count(row.counter_data.packet_count, row.counter_data.byte_count) if counted else None
                    yield TableRow(self._codec.decode(row), count, row.is_const or info.const)

    async def entries(self, table: str) -> AsyncIterator[Entry]:
        """Every entry of a table that may be written."""
        async for row in self.rows(table):
            if not row.const:
                yield row.entry

    async def octets(self, table: str) -> list[bytes]:
        """The TableEntry octets of a table as the target sent them: for comparing, which is quicker than decoding."""
        request = p4runtime_pb2.ReadRequest()
        request.entities.add().table_entry.table_id = self._schema.table(table).id
        found: list[bytes] = []
        async for data in self._client.read(request):
            try:
                found += wirecode.table_entries(data)
            except (ValueError, IndexError):
                problem = Problem(code_pb2.INTERNAL, f"table {table}: answer is not readable")
                raise TargetError(self._client.target.label, "Read", problem) from None
        return found

    async def counter(self, name: str, index: int | None = None) -> dict[int, Count]:
        """Cells of an indirect counter by index: one, or all."""
        if name not in self._schema.counters:
            raise P4pmipError("counter", name, "no such counter in the P4Info", self._schema.counters)
        request = p4runtime_pb2.ReadRequest()
        wanted = request.entities.add().counter_entry
        wanted.counter_id = self._schema.counters[name].id
        if index is not None:
            wanted.index.index = index
        cells: dict[int, Count] = {}
        async for data in self._client.read(request):
            for entity in p4runtime_pb2.ReadResponse.FromString(data).entities:
                cell = entity.counter_entry
                cells[cell.index.index] = Count(cell.data.packet_count, cell.data.byte_count)
        return cells

    async def drops(self) -> dict[str, int]:
        """Packets dropped by reason: the counter that is as long as the enumeration of reasons, by its names."""
        reasons = self._schema.reasons
        if reasons is None:
            raise P4pmipError("P4Info", self._schema.name, "has no enumeration of drop reasons")
        named = [c for c in self._schema.counters.values() if c.index is reasons or "drop" in c.name.lower()]
        if not named:
            raise P4pmipError("P4Info", self._schema.name, "has no counter of drop reasons", self._schema.counters)
        cells = await self.counter(named[0].name)
        return {name: cells[value].packets for value, name in reasons.names.items() if value in cells}
