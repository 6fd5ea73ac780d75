"""Writing to a target: many callers, few requests in flight, every refusal back to who asked."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from p4pmip.errors import P4pmipError
from p4pmip.forwarding.base import MeterRate
from p4pmip.forwarding.entry import EntryKey
from p4pmip.forwarding.update import Update
from p4pmip.p4runtime import wirecode
from p4pmip.p4runtime.batching import WriteQueue
from p4pmip.p4runtime.client import Client
from p4pmip.p4runtime.codec import Codec
from p4pmip.p4runtime.job import Batch, Job, Refusal
from p4pmip.p4runtime.schema import Schema
from p4pmip.p4runtime.status import Problem, TargetError
from p4pmip.p4runtime.stubs import code_pb2, p4runtime_pb2

Phases = Iterable[Iterable[Update]]
"""Each phase is sent after the one before was acknowledged."""


class WriteRefused(P4pmipError):
    """Not every update of a job took effect; those that did are still in the target.

    Attributes:
        place: The target.
        refusals: The updates at fault, with what the target said of each.
        reason: A stable name for the first: `table_full`, `not_found`, `unavailable` …
    """

    def __init__(self, target: str, refusals: Iterable[Refusal], reason: str) -> None:
        self.refusals = tuple(refusals)
        self.reason = reason
        first = self.refusals[0]
        others = f" (and {len(self.refusals) - 1} more)" if len(self.refusals) > 1 else ""
        operation, entry = first.update
        what = f"{operation.name} {entry.table}"
        super().__init__(target, what, f"refused: {first.problem}{others}")
        self.summary = f"{target}: {what} refused: {reason}{others}"
        """The same without the target's own words, which may name keys of the entry."""


def without_entries(error: P4pmipError) -> str:
    """What is to be logged of an error: GRE keys are among the keys of entries."""
    return error.summary if isinstance(error, WriteRefused) else str(error)


class Writer:
    """Applies jobs to one target.

    It is *closed* while the session may not write (jobs are refused at once), *holding* while the session compares
    what the target has (jobs wait, and are made lenient since they were asked for against an unknown state), and
    *open* otherwise.
    """

    def __init__(self, client: Client, codec: Codec, lost: Callable[[Problem], None], role: str = "") -> None:
        self._client = client
        self._target = client.target
        self._role = role
        self._lost = lost
        self._closed: Problem | None = Problem(code_pb2.UNAVAILABLE, "not connected")
        self._holding = False
        self._held: list[tuple[Phases, tuple[EntryKey, ...], asyncio.Future[None]]] = []
        self._epoch = 0
        self._in_flight = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._pump_due = False
        self._unbegun: set[asyncio.Task[None]] = set()
        """Those whose request gRPC does not have yet."""
        self._flushed = asyncio.Event()
        self._flushed.set()
        self._touched: list[set[EntryKey]] = []
        self.election_id = 0
        self.counters: Counter[str] = Counter()
        """`requests`, `updates`, `refused`, and what the queue counts."""
        self.queue = WriteQueue(codec, self._target.quirks, self.counters)

    # --- for callers ----------------------------------------------------------------------------------

    async def apply(
        self, phases: Phases, *, relies_on: Iterable[EntryKey] = (), lenient: bool = False, at_once: bool = False
    ) -> None:
        """Write phases of updates; returns when every one is acknowledged.

        `relies_on` are keys of entries that are not among the updates but must be in the target (shared parents
        another job may still be writing). `lenient` makes it so whatever the target holds. `at_once` also while
        holding: for what compares.

        Raises:
            WriteRefused: some updates did not take effect.
            P4pmipError: an update does not fit the P4Info; nothing was sent.
        """
        await self.submit(phases, relies_on=relies_on, lenient=lenient, at_once=at_once)

    def submit(
        self, phases: Phases, *, relies_on: Iterable[EntryKey] = (), lenient: bool = False, at_once: bool = False
    ) -> asyncio.Future[None]:
        """Like `apply`, but the job is in the queue when this returns; the future has the outcome."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self._touched or (self._holding and not at_once):
            phases = [list(phase) for phase in phases]
            if not at_once:
                for touched in self._touched:
                    touched.update(update.entry.key for phase in phases for update in phase)
        if self._closed is not None:
            self._refuse(phases, self._closed, future)
        elif self._holding and not at_once:
            self._held.append((phases, tuple(relies_on), future))
        else:
            self._start(self.queue.submit(phases, relies_on, lenient=lenient), future)
        return future

    @property
    def flushed(self) -> bool:
        """GRPC has all that may be sent now."""
        return self._flushed.is_set()

    async def flush(self) -> None:
        """Return once gRPC has all that may be sent now: that is a few turns of the event loop."""
        await self._flushed.wait()

    @contextmanager
    def watch(self) -> Iterator[set[EntryKey]]:
        """The keys whose entries may change while it lasts, those on their way included."""
        touched = self.queue.keys()
        touched.update(update.entry.key for phases, _, _ in self._held for phase in phases for update in phase)
        self._touched.append(touched)
        try:
            yield touched
        finally:
            self._touched = [other for other in self._touched if other is not touched]

    @property
    def closed(self) -> bool:
        """The session may not write."""
        return self._closed is not None

    # --- for the session ------------------------------------------------------------------------------

    def hold(self, election_id: int, codec: Codec) -> None:
        """We are primary with this election id; what the target holds is being compared."""
        self.election_id = election_id
        self.queue = WriteQueue(codec, self._target.quirks, self.counters)
        self._closed, self._holding = None, True

    def open(self) -> None:
        """What the target holds is known: held jobs leave."""
        held, self._held, self._holding = self._held, [], False
        for phases, relies_on, future in held:
            if not future.done():
                try:
                    self._start(self.queue.submit(phases, relies_on, lenient=True), future)
                except P4pmipError as error:
                    future.set_exception(error)

    def close(self, problem: Problem) -> None:
        """Writing is over: everything that was not acknowledged is refused."""
        self._closed, self._holding = problem, False
        self._epoch += 1
        self._in_flight = 0
        self.queue.suspend(problem)
        held, self._held = self._held, []
        for phases, _, future in held:
            if not future.done():
                self._refuse(phases, problem, future)

    async def drain(self) -> None:
        """Wait until no request is on its way any more."""
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def set_meters(self, schema: Schema, rates: Iterable[MeterRate], name: str = "punts") -> None:
        """Set cells of an indirect meter; a program or target that has none is left as it is.

        Raises:
            TargetError: the target did not take them.
        """
        meter_id = schema.meters.get(name)
        cells, limit = list(rates) if meter_id is not None else [], self._target.quirks.updates_at_once
        for first in range(0, len(cells), limit):
            request = p4runtime_pb2.WriteRequest(device_id=self._target.device_id, role=self._role)
            request.election_id.high, request.election_id.low = self.election_id >> 64, self.election_id & (1 << 64) - 1
            for cell in cells[first : first + limit]:
                update = request.updates.add(type=p4runtime_pb2.Update.MODIFY)
                meter = update.entity.meter_entry
                meter.meter_id = meter_id or 0
                meter.index.index = cell.index
                meter.config.cir = meter.config.pir = cell.rate
                meter.config.cburst = meter.config.pburst = cell.burst
            problem = await self._client.write(request.SerializeToString())
            if problem is None:
                continue
            problems = [*problem.updates.values(), problem.whole]
            if problems[0].code != code_pb2.UNIMPLEMENTED:
                raise TargetError(self._target.label, "Write", problems[0])
            return

    # --- requests -------------------------------------------------------------------------------------

    def _start(self, job: Job, future: asyncio.Future[None]) -> None:
        def done(job: Job) -> None:
            if future.done():
                return
            if job.refusals:
                self.counters["refused"] += len(job.refusals)
                future.set_exception(self._refused(job.refusals))
            else:
                future.set_result(None)

        if job.done:
            done(job)
            return
        job.result = done
        self._schedule()

    def _schedule(self) -> None:
        """Send once the event loop has run what is ready now: callers of the same moment share a request."""
        if not self._pump_due:
            self._pump_due = True
            self._flushed.clear()
            asyncio.get_running_loop().call_soon(self._pump)

    def _pump(self) -> None:
        self._pump_due = False
        while self._in_flight < self._target.quirks.in_flight and (batch := self.queue.next_batch()):
            self._in_flight += 1
            octets = wirecode.write_request(
                self._target.device_id, self.election_id, self._role, batch.octets(), batch.atomic
            )
            task = asyncio.get_running_loop().create_task(self._send(batch, octets, self._epoch))
            self._tasks.add(task)
            self._unbegun.add(task)
            self._flushed.clear()
            task.add_done_callback(self._ended)
        self._look()

    def _begun(self, task: asyncio.Task[None]) -> None:
        self._unbegun.discard(task)
        self._look()

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._begun(task)

    def _look(self) -> None:
        if not self._pump_due and not self._unbegun:
            self._flushed.set()

    async def _send(self, batch: Batch, octets: bytes, epoch: int) -> None:
        self.counters["requests"] += 1
        self.counters["updates"] += len(batch)
        task = asyncio.current_task()
        assert task is not None
        problem = await self._client.write(octets, begun=lambda: self._begun(task))
        if epoch != self._epoch:
            return
        self._in_flight -= 1
        self.queue.answered(batch, problem)
        if problem is not None and not problem.updates and problem.whole.code in _LOST:
            # Whether the updates took effect is not known: only a new comparison can tell.
            self._lost(problem.whole)
            return
        self._pump()

    def _refuse(self, phases: Phases, problem: Problem, future: asyncio.Future[None]) -> None:
        """A job that cannot be; one without updates has nothing that it could lack."""
        if refusals := [Refusal(update, problem) for phase in phases for update in phase]:
            future.set_exception(self._refused(refusals))
        else:
            future.set_result(None)

    def _refused(self, refusals: list[Refusal]) -> WriteRefused:
        return WriteRefused(self._target.label, refusals, refusals[0].problem.reason(self._target.quirks))


_LOST = frozenset((code_pb2.UNAVAILABLE, code_pb2.DEADLINE_EXCEEDED, code_pb2.CANCELLED))
