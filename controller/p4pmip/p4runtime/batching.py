"""The order in which updates reach a target, as a queue without I/O.

A job is what one caller wants: phases of updates, each phase only after the one before was acknowledged. The rules:

- Updates of one key keep the order of the jobs: a later one waits for an earlier one, or is merged into it while that
  has not been sent (an INSERT and its DELETE are nothing at all).
- Where a target keeps the order inside a batch, phases that only insert, or only delete, leave together: what works now
  is never changed or removed before what the change needs was acknowledged.
- Where it can take a request back as well (ROLLBACK_ON_ERROR), all phases of a job that depends on no other leave in
  one request. Taken back, they leave one after the other; refused as a whole, it is not asked to again.
- A job may rely on entries that an earlier job is still writing: it is not done before they are there, and fails with
  them.
- While no request can be sent updates pile up and leave together: one session alone leaves at once, a storm in large
  batches.
"""

from collections import Counter, deque
from collections.abc import Iterable, Sequence

from p4pmip.forwarding.entry import EntryKey, action_form, make_entry
from p4pmip.forwarding.update import Operation, Update
from p4pmip.p4runtime.codec import NO_ACTION, Codec
from p4pmip.p4runtime.job import Batch, Job, Op
from p4pmip.p4runtime.quirks import Quirks
from p4pmip.p4runtime.status import Problem, RpcProblem
from p4pmip.p4runtime.stubs import code_pb2

_LOST = frozenset((code_pb2.UNAVAILABLE, code_pb2.DEADLINE_EXCEEDED, code_pb2.CANCELLED, code_pb2.PERMISSION_DENIED))
"""Codes of a whole request that say nothing about its updates: they are not sent again in smaller requests."""

_INSERT, _MODIFY, _DELETE = Operation.INSERT, Operation.MODIFY, Operation.DELETE
_NO_ACTION = action_form(NO_ACTION)


class WriteQueue:
    """Inputs: `submit`, `answered`, `suspend`. Output: `next_batch`. Jobs report through `Job.result`."""

    def __init__(self, codec: Codec, quirks: Quirks, counters: Counter[str] | None = None) -> None:
        self._codec = codec
        self._quirks = quirks
        self._rollback = quirks.ordered_batches and quirks.modify
        """The target keeps the order inside a batch and has not refused to take one back yet."""
        self._last: dict[EntryKey, Op | Job] = {}
        """The youngest unfinished update of each key, or the whole job that it is in."""
        self._groups: deque[Job | list[Op]] = deque()
        self._atomic: deque[list[Op]] = deque()
        """All phases of a job each. They depend on nothing that is on its way, and so may overtake `_groups`."""
        self._again: deque[list[Op]] = deque()
        """Batches that are sent once more, as they are."""
        self._refused: dict[EntryKey, Problem] = {}
        """Keys whose last update was refused: nothing may rely on them."""
        self._jobs: set[Job] = set()
        self.counters: Counter[str] = Counter() if counters is None else counters
        """`merged`, `split`, `retried`."""

    def __len__(self) -> int:
        """Updates that are not finished, those merged into others not counted."""
        return len(self._last)

    def keys(self) -> set[EntryKey]:
        """The keys of updates that are not finished."""
        return set(self._last)

    def submit(
        self, phases: Iterable[Iterable[Update]], relies_on: Iterable[EntryKey] = (), *, lenient: bool = False
    ) -> Job:
        """Queue a job; P4pmipError, with nothing queued, if an update does not fit the P4Info.

        A `lenient` job makes it so whatever the target holds: an INSERT of what is there becomes a MODIFY, a MODIFY
        of what is not becomes an INSERT, a DELETE of what is not has succeeded.
        """
        listed = [phase if isinstance(phase, list) else list(phase) for phase in phases]
        updates = listed[0] if len(listed) == 1 else [update for phase in listed for update in phase]
        encode, last = self._codec.encode, self._last
        # All encoded before any is in a chain: if one does not fit the P4Info, nothing has happened.
        octets = [encode(entry) for _, entry in updates]
        keys = [entry[: entry[0].end] for _, entry in updates]
        job = Job(updates, keys, octets, lenient)
        for key in relies_on:
            if key in last:
                op = self._op(key)
                if op.dependants is None:
                    op.dependants = []
                op.dependants.append(job)
                job.waits += 1
            elif key in self._refused:
                job.refuse(Update(_INSERT, make_entry((*key, _NO_ACTION))), self._refused[key])
        self._jobs.add(job)
        if self._may_be_whole(job, len(listed)):
            by_key = dict.fromkeys(keys, job)
            if len(by_key) == len(keys) and last.keys().isdisjoint(by_key):
                job.operation = updates[0][0]
                last.update(by_key)
                self._groups.append(job)
                return job
        ops = iter([Op(job, *of) for of in zip(updates, keys, octets, strict=True)])
        job.phases = [[next(ops) for _ in phase] for phase in listed if phase]
        for phase in job.phases:
            for op in phase:
                if op.key in last:
                    op.predecessor = earlier = self._op(op.key)
                    earlier.successor = op
                last[op.key] = op
        self._advance(job)
        return job

    def _may_be_whole(self, job: Job, phases: int) -> bool:
        """Nothing about the job, its keys apart, needs to look at its updates one by one."""
        updates, quirks = job.updates, self._quirks
        if job.waits or job.refusals or not 0 < len(updates) <= quirks.updates_at_once:
            return False
        if phases > 1 and not quirks.ordered_batches:
            return False
        operations = {operation for operation, _ in updates}
        return len(operations) == 1 and _MODIFY not in operations

    def _op(self, key: EntryKey) -> Op:
        """The youngest unfinished update of a key."""
        found = self._last[key]
        if isinstance(found, Job):
            self._take_apart(found)
            found = self._last[key]
            assert isinstance(found, Op)
        return found

    def _take_apart(self, job: Job) -> list[Op]:
        ops = job.take_apart()
        job.outstanding = len(ops)
        self._last.update({op.key: op for op in ops})
        return ops

    def next_batch(self) -> Batch:
        """The updates of the next request; empty if there is nothing to send."""
        if self._again:
            ops = self._again.popleft()
            return Batch([ops], len(ops))
        limit = self._quirks.updates_at_once
        taken: list[Job | list[Op]] = []
        size = 0
        while self._atomic and size + len(self._atomic[0]) <= limit:
            size += len(self._atomic[0])
            taken.append(self._atomic.popleft())
        if taken:
            return Batch(taken, size, atomic=True)
        groups = self._groups
        while groups and size < limit:
            group = groups[0]
            if isinstance(group, Job):
                if size + len(group.updates) > limit:
                    break
                groups.popleft()
                if group.ops is None:
                    group.sent = True
                    size += len(group.updates)
                    taken.append(group)
                    continue
                group = group.ops
            elif size + len(group) > limit:
                if size:
                    break
                groups[0], group = group[limit:], group[:limit]
            else:
                groups.popleft()
            live = self._leaving(group)
            size += len(live)
            taken.append(live)
        return Batch(taken, size)

    def _leaving(self, group: Iterable[Op]) -> list[Op]:
        """Those that were not merged away."""
        live = []
        for op in group:
            if op.operation is not None:
                op.queued = False
                op.attempts += 1
                op.replacing = op.operation is _MODIFY and not self._quirks.modify
                live.append(op)
        return live

    def answered(self, batch: Batch, problem: RpcProblem | None) -> None:
        """What came of a batch."""
        if problem is None:
            for group in batch.groups:
                if not isinstance(group, Job):
                    self._acknowledge(group)
                elif group.ops is None:
                    self._acknowledge_whole(group)
                else:
                    self._acknowledge(group.ops)
            return
        # One by one: each has its own error, or is sent again on its own.
        ops = [op for group in batch.groups for op in (self._ops(group) if isinstance(group, Job) else group)]
        if batch.atomic and (problem.updates or problem.whole.code not in _LOST):
            if not problem.updates:
                self._rollback = False
            self._taken_back(batch)
            return
        if not problem.updates:
            self._failed(ops, problem.whole)
            return
        for index, op in enumerate(ops):
            error = problem.updates.get(index)
            if error is None:
                self._acknowledge_one(op)
            elif not self._mended(op, error):
                self._finish(op, error)

    def _ops(self, job: Job) -> list[Op]:
        return self._take_apart(job) if job.ops is None else job.ops

    def _acknowledge_whole(self, job: Job) -> None:
        last = self._last
        for key in job.keys:
            del last[key]
        if self._refused:
            for key in job.keys:
                self._refused.pop(key, None)
        self._end(job)

    def _acknowledge(self, ops: Iterable[Op]) -> None:
        for op in ops:
            self._acknowledge_one(op)

    def _acknowledge_one(self, op: Op) -> None:
        if op.replacing:
            op.replacing, op.operation, op.attempts = False, _INSERT, 0
            self._enqueue([op])
        else:
            self._finish(op, None)

    def suspend(self, problem: Problem) -> None:
        """Every job fails; answers to batches that were taken before must not be given to `answered` any more."""
        jobs, self._jobs = self._jobs, set()
        for store in (self._last, self._groups, self._atomic, self._again, self._refused):
            store.clear()
        for job in jobs:
            for update in job.updates:
                job.refuse(update, problem)
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
        elif ops := self._atomic_ops(job):
            self._release_at_once(job, ops)
        elif not job.waits or (self._quirks.ordered_batches and _only(job.phases[job.position], _INSERT)):
            self._release(job, self._ready_phases(job))

    def _atomic_ops(self, job: Job) -> list[Op]:
        """All updates of a job whose phases do different things and may leave in one request; else none."""
        if not self._rollback or job.cautious or job.position or job.waits:
            return []
        if not 1 < len(job.updates) <= self._quirks.updates_at_once:
            return []
        ops = [op for phase in job.phases for op in phase]
        return [] if _only(ops, ops[0].operation) or any(op.predecessor for op in ops) else ops

    def _release_at_once(self, job: Job, ops: list[Op]) -> None:
        # The updates are not `queued`: a later one that was merged into one of them could not be told from it when the
        # request is taken back.
        for op in ops:
            op.released = True
        job.position, job.outstanding = len(job.phases), len(ops)
        self._atomic.append(ops)

    def _taken_back(self, batch: Batch) -> None:
        """An atomic request had no effect: its jobs begin anew, phase after phase; each update gets its answer."""
        self.counters["split"] += 1
        for group in batch.groups:
            assert isinstance(group, list)
            (job, _), *_ = group[0].owners
            for op in group:
                op.released = False
            job.cautious, job.position, job.outstanding = True, 0, 0
            self._advance(job)

    def _ready_phases(self, job: Job) -> int:
        """How many phases may leave together."""
        phases = job.phases[job.position :]
        operation = phases[0][0].operation
        if not self._quirks.ordered_batches or job.waits or operation is _MODIFY:
            return 1
        count = size = 0
        for ops in phases:
            size += len(ops)
            if size > self._quirks.updates_at_once or not _only(ops, operation) or any(op.predecessor for op in ops):
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
        self._jobs.discard(job)
        job.end()

    # --- updates --------------------------------------------------------------------------------------

    def _enqueue(self, group: list[Op]) -> None:
        for op in group:
            op.queued = True
        self._groups.append(group)

    def _merge(self, earlier: Op, op: Op) -> None:
        """Let an update that was not sent do what a later one of its key wants."""
        if not earlier.absorb(op):
            return
        if self._last[op.key] is op:
            self._last[op.key] = earlier
        self.counters["merged"] += 1
        if earlier.operation is None:
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
        if problem.code == code_pb2.NOT_FOUND and op.lenient and op.operation is _DELETE:
            self._finish(op, None)
            return True
        if not op.mend(problem):
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
                job.refuse(update, problem)
            if not job.outstanding:
                self._advance(job)
        for job in op.dependants or ():
            job.waits -= 1
            if problem is not None:
                job.refuse(Update(_INSERT, op.entry), problem)
            self._advance(job)


def _only(ops: Sequence[Op], operation: Operation | None) -> bool:
    return all(op.operation is operation for op in ops)
