"""What is in a write queue: jobs, their updates, and the batches in which these leave."""

from collections.abc import Callable, Iterator
from itertools import chain

from p4pmip.forwarding.entry import Entry, EntryKey
from p4pmip.forwarding.update import Operation, Update
from p4pmip.p4runtime import wirecode
from p4pmip.p4runtime.status import Problem


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

    @property
    def next(self) -> Operation:
        """What is, or was last, asked of the target."""
        if self.replacing:
            return Operation.DELETE
        assert self.operation is not None
        return self.operation


class Batch:
    """The updates of one request."""

    __slots__ = ("_size", "groups")

    def __init__(self, groups: list[Job | list[Op]], size: int) -> None:
        self.groups = groups
        """Jobs that left whole, and updates that left on their own."""
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
