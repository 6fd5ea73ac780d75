"""The order in which updates reach a target, as a queue without I/O.

A job is what one caller wants: phases of updates, each phase only after the one before was acknowledged. The rules:

- Updates of one key keep the order of the jobs: a later one waits for an earlier one, or is merged into it while that
  has not been sent (an INSERT and its DELETE are nothing at all).
- Where a target keeps the order inside a batch, phases that only insert, or only delete, leave together: what works now
  is never changed or removed before what the change needs was acknowledged.
- A job may rely on entries that an earlier job is still writing: it is not done before they are there, and fails with
  them.
- While no request can be sent updates pile up and leave together: one session alone leaves at once, a storm in large
  batches.
"""

from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping, Sequence

from p4pmip.forwarding.entry import Entry, EntryKey
from p4pmip.forwarding.update import Operation, Update
from p4pmip.p4runtime import wirecode
from p4pmip.p4runtime.codec import Codec
from p4pmip.p4runtime.quirks import Quirks
from p4pmip.p4runtime.status import Problem, RpcProblem
from p4pmip.p4runtime.stubs import code_pb2

ATTEMPTS = 4
"""How often one update is sent at most."""

_TRY_AGAIN = frozenset((code_pb2.ABORTED, code_pb2.UNAVAILABLE))
_LOST = frozenset((code_pb2.UNAVAILABLE, code_pb2.DEADLINE_EXCEEDED, code_pb2.CANCELLED, code_pb2.PERMISSION_DENIED))
"""Codes of a whole request that say nothing about its updates: they are not sent again in smaller requests."""

_INSERT, _MODIFY, _DELETE = Operation.INSERT, Operation.MODIFY, Operation.DELETE
_MERGED: Mapping[tuple[Operation | None, Operation | None], Operation] = {
    (_INSERT, _MODIFY): _INSERT,
    (_MODIFY, _MODIFY): _MODIFY,
    (_MODIFY, _DELETE): _DELETE,
    (_DELETE, _INSERT): _MODIFY,
}


class Refusal:
    """One update that did not take effect."""

    __slots__ = ("problem", "update")

    def __init__(self, update: Update, problem: Problem) -> None:
        self.update = update
        self.problem = problem


class Job:
    """What one caller wants written."""

    __slots__ = ("done", "lenient", "outstanding", "phases", "position", "refusals", "result", "waits")

    def __init__(self, phases: list[list["Op"]], lenient: bool) -> None:
        self.phases = phases
        self.position = 0
        """Phases that were released."""
        self.lenient = lenient
        self.outstanding = 0
        """Released updates that are not finished."""
        self.waits = 0
        """Updates of earlier jobs that it relies on and that are not finished."""
        self.refusals: list[Refusal] = []
        self.done = False
        self.result: Callable[[Job], None] | None = None
        """Called once, when the job is done."""


class Op:
    """One update on its way."""

    # Defaults stand in the class: in a storm most updates never have anything else.
    dependants: list[Job] | None = None
    """Jobs that rely on it."""
    predecessor: "Op | None" = None
    """The unfinished update of the key just before this one."""
    successor: "Op | None" = None
    attempts = 0
    released = False
    """The phase's turn has come."""
    queued = False
    """Waits to be sent, so it can still be changed."""
    withdrawn: Problem | None = None
    replacing = False
    """A MODIFY that is done as DELETE and INSERT, of which the DELETE is not acknowledged yet."""

    def __init__(self, job: Job, update: Update, key: bytes, octets: bytes) -> None:
        self.operation: Operation | None = update[0]
        """None: merged away."""
        self.entry = update[1]
        self.key = key
        self.octets = octets
        """The TableEntry."""
        self.owners: tuple[tuple[Job, Update], ...] = ((job, update),)

    @property
    def lenient(self) -> bool:
        """One of those who want it is lenient."""
        return any(job.lenient for job, _ in self.owners)


class WriteQueue:
    """Inputs: `submit`, `answered`, `suspend`. Output: `next_batch`. Jobs report through `Job.result`."""

    def __init__(self, codec: Codec, quirks: Quirks) -> None:
        self._codec = codec
        self._quirks = quirks
        self._last: dict[bytes, Op] = {}
        """The youngest unfinished update of each key."""
        self._groups: deque[list[Op]] = deque()
        self._again: deque[list[Op]] = deque()
        """Batches that are sent once more, as they are."""
        self._refused: dict[bytes, Problem] = {}
        """Keys whose last update was refused: nothing may rely on them."""
        self._jobs: set[Job] = set()
        self.counters: Counter[str] = Counter()

    def __len__(self) -> int:
        """Updates that are not finished, those merged into others not counted."""
        return len(self._last)

    def keys(self) -> set[EntryKey]:
        """The keys of updates that are not finished."""
        return {op.entry.key for op in self._last.values()}

    def submit(
        self, phases: Iterable[Iterable[Update]], relies_on: Iterable[EntryKey] = (), *, lenient: bool = False
    ) -> Job:
        """Queue a job; P4pmipError, with nothing queued, if an update does not fit the P4Info.

        A `lenient` job makes it so whatever the target holds: an INSERT of what is there becomes a MODIFY, a MODIFY
        of what is not becomes an INSERT, a DELETE of what is not has succeeded.
        """
        encode, last = self._codec.encode_keyed, self._last
        job = Job([], lenient)
        # All encoded before any is in a chain: if one does not fit the P4Info, nothing has happened.
        for phase in phases:
            if ops := [Op(job, update, *encode(update[1])) for update in phase]:
                job.phases.append(ops)
        for entry_key in relies_on:
            key = self._codec.encode_key(entry_key) if last or self._refused else b""
            if (earlier := last.get(key)) is not None:
                if earlier.dependants is None:
                    earlier.dependants = []
                earlier.dependants.append(job)
                job.waits += 1
            elif key in self._refused:
                entry = Entry(entry_key[0], entry_key[1], "", (), entry_key[2])
                job.refusals.append(Refusal(Update(_INSERT, entry), self._refused[key]))
        for ops in job.phases:
            for op in ops:
                if (earlier := last.setdefault(op.key, op)) is not op:
                    earlier.successor = op
                    op.predecessor = earlier
                    last[op.key] = op
        self._jobs.add(job)
        self._advance(job)
        return job

    def next_batch(self) -> list[Op]:
        """The updates of the next request; empty if there is nothing to send."""
        if self._again:
            return self._again.popleft()
        batch: list[Op] = []
        limit = self._quirks.max_batch if self._quirks.batches else 1
        groups = self._groups
        while groups and len(batch) < limit:
            group = groups[0]
            if len(batch) + len(group) > limit:
                if batch:
                    break
                groups[0], group = group[limit:], group[:limit]
            else:
                groups.popleft()
            for op in group:
                if (operation := op.operation) is not None:
                    op.queued = False
                    op.attempts += 1
                    if operation is _MODIFY and not self._quirks.modify:
                        op.replacing = True
                    batch.append(op)
        return batch

    def encode(self, batch: Sequence[Op]) -> list[bytes]:
        """The Update octets of a batch."""
        update = wirecode.update
        return [update(_DELETE if op.replacing else op.operation, op.octets) for op in batch]  # type: ignore[arg-type]

    def answered(self, batch: Sequence[Op], problem: RpcProblem | None) -> None:
        """What came of a batch."""
        if problem is not None and not problem.updates:
            self._failed(batch, problem.whole)
            return
        if problem is None and not self._refused:
            self._acknowledge(batch)
            return
        errors: Mapping[int, Problem] = problem.updates if problem is not None else {}
        for index, op in enumerate(batch):
            error = errors.get(index)
            if error is None:
                self._acknowledge_one(op)
            elif not self._mended(op, error):
                self._finish(op, error)

    def _acknowledge(self, batch: Sequence[Op]) -> None:
        """All is well: what nearly every batch comes to, so it is spared what only some updates need."""
        last = self._last
        for op in batch:
            if op.replacing or op.successor is not None or op.dependants is not None or len(op.owners) != 1:
                self._acknowledge_one(op)
                continue
            del last[op.key]
            op.queued = False
            job = op.owners[0][0]
            job.outstanding -= 1
            if not job.outstanding:
                self._advance(job)

    def _acknowledge_one(self, op: Op) -> None:
        if op.replacing:
            op.replacing, op.operation, op.attempts = False, _INSERT, 0
            self._enqueue([op])
        else:
            self._finish(op, None)

    def suspend(self, problem: Problem) -> None:
        """Every job fails; answers to batches that were taken before must not be given to `answered` any more."""
        jobs, self._jobs = self._jobs, set()
        for store in (self._last, self._groups, self._again, self._refused):
            store.clear()
        for job in jobs:
            updates = (update for ops in job.phases for op in ops for owner, update in op.owners if owner is job)
            job.refusals += [Refusal(update, problem) for update in updates]
            self._end(job)

    # --- jobs -----------------------------------------------------------------------------------------

    def _advance(self, job: Job) -> None:
        """Release what may leave now, or end the job."""
        if job.outstanding or job.done:
            return
        if job.refusals:
            self._withdraw(job, job.refusals[0].problem)
        elif job.position == len(job.phases):
            if not job.waits:
                self._end(job)
        elif not job.waits or (self._quirks.ordered_batches and _only(job.phases[job.position], _INSERT)):
            self._release(job, self._ready_phases(job))

    def _ready_phases(self, job: Job) -> int:
        """How many phases may leave together."""
        phases = job.phases[job.position :]
        operation = phases[0][0].operation
        if not self._quirks.ordered_batches or job.waits or operation is _MODIFY:
            return 1
        count = size = 0
        for ops in phases:
            size += len(ops)
            if size > self._quirks.max_batch or not _only(ops, operation) or any(op.predecessor for op in ops):
                break
            count += 1
        return count or 1

    def _release(self, job: Job, count: int) -> None:
        phases = job.phases[job.position : job.position + count]
        job.position += count
        ops = phases[0] if count == 1 else [op for phase in phases for op in phase]
        job.outstanding = len(ops)
        free = []
        for op in ops:
            op.released = True
            if op.predecessor is None:
                free.append(op)
        if free:
            self._enqueue(free)
        if len(free) < len(ops):
            for op in ops:
                if op.predecessor is not None and op.predecessor.queued:
                    self._merge(op.predecessor, op)

    def _withdraw(self, job: Job, problem: Problem) -> None:
        """The phases that were not released are not sent at all."""
        for ops in job.phases[job.position :]:
            for op in ops:
                op.owners = ()
                op.withdrawn = problem
                if op.predecessor is None:
                    self._finish(op, problem)
        self._end(job)

    def _end(self, job: Job) -> None:
        job.done = True
        job.phases = []  # job and updates refer to each other: nothing is left for the garbage collector to find
        self._jobs.discard(job)
        if job.result is not None:
            job.result(job)

    # --- updates --------------------------------------------------------------------------------------

    def _enqueue(self, group: list[Op]) -> None:
        for op in group:
            op.queued = True
        self._groups.append(group)

    def _merge(self, earlier: Op, op: Op) -> None:
        """Let an update that was not sent do what a later one of its key wants."""
        operation = _MERGED.get((earlier.operation, op.operation))
        nothing = False
        if (earlier.operation, op.operation) == (_INSERT, _DELETE):
            # A lenient INSERT may stand for an entry that is there already.
            operation, nothing = _DELETE, not earlier.lenient
        if operation is None:
            return
        earlier.operation, earlier.entry, earlier.octets = operation, op.entry, op.octets
        earlier.owners += op.owners
        if op.dependants:
            earlier.dependants = (earlier.dependants or []) + op.dependants
        earlier.successor = op.successor
        if op.successor is not None:
            op.successor.predecessor = earlier
        if self._last[op.key] is op:
            self._last[op.key] = earlier
        self.counters["merged"] += 1
        if nothing:
            earlier.operation = None
            self._finish(earlier, None)

    def _failed(self, batch: Sequence[Op], problem: Problem) -> None:
        """A request was refused as a whole."""
        if len(batch) > 1 and problem.code not in _LOST:
            # For its size or for one of its updates: the others are innocent.
            self.counters["split"] += 1
            half = len(batch) // 2
            self._again.extendleft((list(batch[half:]), list(batch[:half])))
            return
        for op in batch:
            if problem.code in _LOST or not self._mended(op, problem):
                self._finish(op, problem)

    def _mended(self, op: Op, problem: Problem) -> bool:
        """True if the update is sent again or has what it wanted."""
        gone = problem.code == code_pb2.NOT_FOUND
        if gone and op.lenient and op.operation is _DELETE:
            self._finish(op, None)
            return True
        if gone and op.replacing:
            op.replacing, op.operation = False, _INSERT
        elif gone and op.lenient and op.operation is _MODIFY:
            op.operation = _INSERT
        elif problem.code == code_pb2.ALREADY_EXISTS and op.lenient and op.operation is _INSERT:
            op.operation = _MODIFY
        elif problem.code not in _TRY_AGAIN:
            return False
        if op.attempts >= ATTEMPTS:
            return False
        self.counters["retried"] += 1
        self._enqueue([op])
        return True

    def _finish(self, op: Op, problem: Problem | None) -> None:
        key = op.key
        op.queued = False
        successor = op.successor
        if successor is None:
            del self._last[key]
        if problem is not None and op.operation is not _DELETE:
            self._refused[key] = problem
        elif self._refused:
            self._refused.pop(key, None)
        if successor is not None:
            successor.predecessor = None
            if successor.withdrawn is not None:
                self._finish(successor, successor.withdrawn)
            elif successor.released:
                self._enqueue([successor])
        for job, update in op.owners:
            job.outstanding -= 1
            if problem is not None:
                job.refusals.append(Refusal(update, problem))
            if not job.outstanding:
                self._advance(job)
        for job in op.dependants or ():
            job.waits -= 1
            if problem is not None:
                job.refusals.append(Refusal(Update(_INSERT, op.entry), problem))
            self._advance(job)


def _only(ops: Sequence[Op], operation: Operation | None) -> bool:
    return all(op.operation is operation for op in ops)
