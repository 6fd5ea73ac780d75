"""What a target should hold against what it says it holds, and the smallest change between the two."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from google.protobuf.message import DecodeError

from p4pmip.forwarding.entry import Entry, EntryKey
from p4pmip.forwarding.ledger import Delta
from p4pmip.forwarding.ordering import order
from p4pmip.p4runtime.codec import Codec
from p4pmip.p4runtime.job import Refusal
from p4pmip.p4runtime.pipeline import Pipeline
from p4pmip.p4runtime.reader import Reader
from p4pmip.p4runtime.schema import Schema
from p4pmip.p4runtime.stubs import p4runtime_pb2
from p4pmip.p4runtime.writer import Phases, Writer, WriteRefused

_STEP = 2000
"""Entries between two turns of the event loop: signalling goes on during a comparison."""


@dataclass(frozen=True, slots=True)
class Plan:
    """The difference, and how much is equal."""

    insert: tuple[Entry, ...]
    modify: tuple[tuple[Entry, Entry], ...]
    """(what the target has, what it should have)."""
    delete: tuple[Entry, ...]
    """Orphans: nothing that is desired has their key."""
    equal: int

    @property
    def size(self) -> int:
        """Entries that differ."""
        return len(self.insert) + len(self.modify) + len(self.delete)

    def lines(self, show: Callable[[Entry], str]) -> Iterator[str]:
        """One line an entry: `+` insert, `~` modify (old => new), `-` delete; `show` puts an entry in words."""
        for entry in self.insert:
            yield f"+ {entry.table} {show(entry)}"
        for old, new in self.modify:
            yield f"~ {old.table} {show(old)} => {show(new)}"
        for entry in self.delete:
            yield f"- {entry.table} {show(entry)}"


def ours_in(theirs: Schema, ours: Schema) -> tuple[str, ...]:
    """The tables that we write in a target that runs `theirs`: not const ones, and none that others added."""
    return tuple(name for name, table in theirs.tables.items() if name in ours.tables and not table.const)


Order = Callable[[Plan], Phases]
"""Phases in which a plan is safe to apply."""


def by_reference(plan: Plan) -> Phases:
    """What others refer to first, and last when it goes: `forwarding`'s order for our program."""
    return order(Delta(plan.insert, tuple(new for _, new in plan.modify), plan.delete))


@dataclass(frozen=True, slots=True)
class Reconciled:
    """One run."""

    plan: Plan
    refused: tuple[Refusal, ...]
    """What the target would not take: these differences remain."""
    seconds: float


async def compare(
    desired: Iterable[Entry], held: Mapping[str, list[bytes]], codec: Codec, ignore: Container[EntryKey] = ()
) -> Plan:
    """The plan from the TableEntry octets that a target holds, by table; keys in `ignore` are left alone.

    `ignore` may grow until this returns. Octets that are equal need no decoding; a target that answers in another form
    (padded, in another order) is only slower to compare.
    """
    wanted: dict[bytes, Entry] = {}
    for count, entry in enumerate(desired):
        wanted[codec.encode(entry)] = entry
        if not count % _STEP:
            await asyncio.sleep(0)
    equal = 0
    unlike: list[Entry] = []
    for octets in held.values():
        for count, item in enumerate(octets):
            if not count % _STEP:
                await asyncio.sleep(0)
            if wanted.pop(item, None) is not None:
                equal += 1
                continue
            message = p4runtime_pb2.TableEntry.FromString(item)
            if not message.is_const and not message.is_default_action:
                unlike.append(codec.decode(message))
    missing = {entry.key: entry for entry in wanted.values()}
    modify, delete = [], []
    for entry in unlike:
        new = missing.pop(entry.key, None)
        if entry.key in ignore:
            continue
        if new is None:
            delete.append(entry)
        elif (new.action, dict(new.params)) == (entry.action, dict(entry.params)):
            equal += 1
        else:
            modify.append((entry, new))
    insert = tuple(entry for key, entry in missing.items() if key not in ignore)
    return Plan(insert, tuple(modify), tuple(delete), equal)


@dataclass(slots=True)
class Reconciler:
    """Compares and repairs one target, whose other writes go on meanwhile."""

    reader: Reader
    writer: Writer
    pipeline: Pipeline
    desired: Callable[[], Mapping[EntryKey, Entry]]
    """What the target should hold; called once a run, after the target was read."""
    tables: tuple[str, ...]
    """The tables that are ours."""
    order: Order = by_reference
    counters: Counter[str] = field(default_factory=Counter)
    """`runs`, and entries that were not as desired: `missing`, `changed`, `orphaned`; `refused` repairs."""
    last: Reconciled | None = None

    async def plan(self) -> Plan:
        """Compare, and change nothing. Entries that are being written meanwhile are not part of it."""
        with self.writer.watch() as touched:
            return await self._plan(touched)

    async def run(self) -> Reconciled:
        """Compare and repair. TargetError: the target could not be read; WriteRefused: the session ended meanwhile."""
        start = time.monotonic()
        with self.writer.watch() as touched:
            plan = await self._plan(touched)
            self.counters["runs"] += 1
            self.counters["missing"] += len(plan.insert)
            self.counters["changed"] += len(plan.modify)
            self.counters["orphaned"] += len(plan.delete)
            refused = await self._repair(plan, touched)
        self.counters["refused"] += len(refused)
        self.last = Reconciled(plan, tuple(refused), time.monotonic() - start)
        return self.last

    async def _plan(self, touched: set[EntryKey]) -> Plan:
        held = {name: await self.reader.octets(name) for name in self.tables}
        try:
            return await compare(list(self.desired().values()), held, self.pipeline.codec, touched)
        except DecodeError:
            raise self.reader.unreadable("entries") from None

    async def _repair(self, plan: Plan, touched: set[EntryKey]) -> list[Refusal]:
        refused: list[Refusal] = []
        for phase in self.order(plan):
            updates = list(phase)
            for start in range(0, len(updates), _STEP):
                # Whoever changed an entry since it was compared knows better.
                step = [update for update in updates[start : start + _STEP] if update.entry.key not in touched]
                try:
                    await self.writer.apply([step], lenient=True, at_once=True)
                except WriteRefused as error:
                    if self.writer.closed:
                        raise
                    refused += error.refusals
        return refused
