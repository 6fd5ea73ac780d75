"""What is in a write queue: jobs, their updates, and the batches in which these leave."""

from collections.abc import Callable, Iterator, Mapping
from itertools import chain

from p4pmip.forwarding.entry import Entry, EntryKey
from p4pmip.forwarding.update import Operation, Update
from p4pmip.p4runtime import wirecode
from p4pmip.p4runtime.status import Problem
from p4pmip.p4runtime.stubs import code_pb2

ATTEMPTS = 4
"""How often one update is sent at most."""

_TRY_AGAIN = frozenset((code_pb2.ABORTED, code_pb2.UNAVAILABLE))
_INSERT, _MODIFY, _DELETE = Operation.INSERT, Operation.MODIFY, Operation.DELETE
_BOTH: Mapping[tuple[Operation | None, Operation | None], Operation] = {
    (_INSERT, _MODIFY): _INSERT,
    (_MODIFY, _MODIFY): _MODIFY,
    (_MODIFY, _DELETE): _DELETE,
    (_DELETE, _INSERT): _MODIFY,
}
"""What two updates of a key, one after the other, amount to."""


class Refusal:
    """One update that did not take effect."""

    __slots__ = ("problem", "update")

    def __init__(self, update: Update, problem: Problem) -> None:
        self.update = update
        self.problem = problem


class Job:
    """What one caller wants written.

    Most jobs are *whole*: only INSERTs, or only DELETEs, that may leave in one request, of keys that no other job is
    writing. A whole job goes through the queue as one thing. As soon as something concerns one of its updates alone
    (a later job that writes the key or relies on it, a refusal) `take_apart` makes an `Op` of each.
    """

    # Defaults stand in the class: a storm makes very many, of which most never have anything else.
    phases: list[list["Op"]] | tuple[()] = ()
    """Empty while the job is whole."""
    position = 0
    """Phases that were released."""
    outstanding = 0
    """Released updates that are not finished."""
    waits = 0
    """Updates of earlier jobs that it relies on and that are not finished."""
    done = False
    result: "Callable[[Job], None] | None" = None
    """Called once, when the job is done."""
    cautious = False
    """Its phases leave one after the other: the request that had all of them was taken back, or refused."""
    operation: Operation | None = None
    """Of every update of a job that is or was whole."""
    ops: list["Op"] | None = None
    """Of a job that was whole and is not any more; none are left when it is done."""
    sent = False
    """Of a whole job: it left."""

    def __init__(self, updates: list[Update], keys: list[EntryKey], octets: list[bytes], lenient: bool) -> None:
        self.updates = updates
        """All phases."""
        self.keys = keys
        """Of each update."""
        self.octets = octets
        """The TableEntry of each update."""
        self.lenient = lenient
        self.refusals: list[Refusal] = []

    def refuse(self, update: Update, problem: Problem) -> None:
        """One of its updates, or one that it relies on, did not take effect."""
        self.refusals.append(Refusal(update, problem))

    def end(self) -> None:
        """It is done: call who asked."""
        self.done = True
        # Updates refer to their job: nothing is left for the garbage collector to find.
        self.phases = ()
        if self.ops is not None:
            self.ops = []
        if self.result is not None:
            self.result(self)

    def take_apart(self) -> list["Op"]:
        """The updates of a whole job as they stand."""
        self.ops = []
        for update, key, octets in zip(self.updates, self.keys, self.octets, strict=True):
            op = Op(self, update, key, octets)
            op.released = True
            op.queued, op.attempts = not self.sent, int(self.sent)
            self.ops.append(op)
        self.phases, self.position = [self.ops], 1
        return self.ops


class Op:
    """One update on its way."""

    # Defaults as above.
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

    def __init__(self, job: Job, update: Update, key: EntryKey, octets: bytes) -> None:
        self.operation: Operation | None = update[0]
        """None: merged away."""
        self.entry: Entry = update[1]
        self.key = key
        self.octets = octets
        """The TableEntry."""
        self.owners: tuple[tuple[Job, Update], ...] = ((job, update),)

    @property
    def lenient(self) -> bool:
        """One of those who want it is lenient."""
        return any(job.lenient for job, _ in self.owners)

    def absorb(self, later: "Op") -> bool:
        """Do, not being sent yet, what a later update of the key wants as well; False if one cannot do both.

        An INSERT and its DELETE are nothing at all, unless the INSERT is lenient: it may stand for an entry that is
        there already.
        """
        operation = _BOTH.get((self.operation, later.operation))
        if self.operation is _INSERT and later.operation is _DELETE:
            operation = _DELETE if self.lenient else None
        elif operation is None:
            return False
        self.operation, self.entry, self.octets = operation, later.entry, later.octets
        self.owners += later.owners
        if later.dependants:
            self.dependants = (self.dependants or []) + later.dependants
        self.successor = later.successor
        if later.successor is not None:
            later.successor.predecessor = self
        return True

    def mend(self, problem: Problem) -> bool:
        """Ask for what the target will take instead, if somebody is content with that; False if nothing helps."""
        gone = problem.code == code_pb2.NOT_FOUND
        if gone and self.replacing:
            self.replacing, self.operation = False, _INSERT
        elif gone and self.lenient and self.operation is _MODIFY:
            self.operation = _INSERT
        elif problem.code == code_pb2.ALREADY_EXISTS and self.lenient and self.operation is _INSERT:
            self.operation = _MODIFY
        elif problem.code not in _TRY_AGAIN:
            return False
        return self.attempts < ATTEMPTS

    @property
    def next(self) -> Operation:
        """What is, or was last, asked of the target."""
        if self.replacing:
            return Operation.DELETE
        assert self.operation is not None
        return self.operation


class Batch:
    """The updates of one request."""

    __slots__ = ("_size", "atomic", "groups")

    def __init__(self, groups: list[Job | list[Op]], size: int, atomic: bool = False) -> None:
        self.groups = groups
        """Jobs that left whole, and updates that left on their own."""
        self.atomic = atomic
        """It takes effect whole or not at all; each of its groups is all that one job wants."""
        self._size = size

    def __len__(self) -> int:
        return self._size

    def updates(self) -> Iterator[Update]:
        """What is asked of the target."""
        for group in self.groups:
            if isinstance(group, Job):
                yield from group.updates
            else:
                yield from (Update(op.next, op.entry) for op in group)

    def octets(self) -> Iterator[bytes]:
        """Likewise, as in a WriteRequest."""
        update, updates = wirecode.update, wirecode.updates
        return chain.from_iterable(
            updates(group.operation, group.octets)  # type: ignore[arg-type]
            if isinstance(group, Job)
            else [update(op.next, op.octets) for op in group]
            for group in self.groups
        )
