"""Reading a target: table entries and counters, one table at a time.

BMv2 lets no write in while it serves a read, so nothing here asks for more than one table, and only for what is
shown.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass

from google.protobuf.message import DecodeError

from p4pmip.errors import P4pmipError
from p4pmip.forwarding.entry import Entry, Match
from p4pmip.forwarding.program import PuntReason
from p4pmip.p4runtime import wirecode
from p4pmip.p4runtime.client import Client
from p4pmip.p4runtime.pipeline import Pipeline
from p4pmip.p4runtime.status import Problem, TargetError
from p4pmip.p4runtime.stubs import code_pb2, p4runtime_pb2
from p4pmip.p4runtime.wirecode import canonical


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

    async def rows(
        self, table: str, *, counters: bool = False, key: tuple[tuple[str, Match], ...] = ()
    ) -> AsyncIterator[TableRow]:
        """Every entry of a table but its default; with `counters`, their direct counters in the same read.

        With `key`, the values of every field of an all-exact table, that entry only (none if there is none).
        """
        info = self._schema.table(table)
        request = p4runtime_pb2.ReadRequest()
        wanted = request.entities.add().table_entry
        wanted.table_id = info.id
        for name, match in key:
            wanted.match.add(field_id=info.fields[name].id).exact.value = canonical(int(match))  # type: ignore[arg-type]
        counted = counters and info.counted
        if counted:
            wanted.counter_data.SetInParent()
        async for row in self._table_entries(request, one=bool(key)):
            if not row.is_default_action:
                count = Count(row.counter_data.packet_count, row.counter_data.byte_count) if counted else None
                yield TableRow(self._codec.decode(row), count, row.is_const or info.const)

    async def _table_entries(
        self, request: p4runtime_pb2.ReadRequest, *, one: bool
    ) -> AsyncIterator[p4runtime_pb2.TableEntry]:
        try:
            async for entity in self._entities(request):
                yield entity.table_entry
        except TargetError as error:
            if not one or error.cause.code != code_pb2.NOT_FOUND:
                raise

    async def _entities(self, request: p4runtime_pb2.ReadRequest) -> AsyncIterator[p4runtime_pb2.Entity]:
        async for data in self._client.read(request):
            try:
                entities = p4runtime_pb2.ReadResponse.FromString(data).entities
            except DecodeError:
                raise self.unreadable("entities") from None
            for entity in entities:
                yield entity

    def unreadable(self, what: str) -> TargetError:
        """The error for an answer that is none."""
        problem = Problem(code_pb2.INTERNAL, f"{what}: answer is not readable")
        return TargetError(self._client.target.label, "Read", problem)

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
                raise self.unreadable(f"table {table}") from None
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
        async for entity in self._entities(request):
            cell = entity.counter_entry
            cells[cell.index.index] = Count(cell.data.packet_count, cell.data.byte_count)
        return cells

    async def drops(self) -> dict[str, int]:
        """Packets dropped, by reason; the reasons for which packets go to the controller are left out."""
        reasons = self._schema.reasons
        if reasons is None:
            raise P4pmipError("P4Info", self._schema.name, "has no enumeration of drop reasons")
        counter = self._schema.drop_counter
        if counter is None:
            raise P4pmipError("P4Info", self._schema.name, "has no counter of drop reasons", self._schema.counters)
        cells = await self.counter(counter.name)
        return {
            name: cells[value].packets
            for value, name in reasons.names.items()
            if value and value in cells and name not in PuntReason.__members__
        }
