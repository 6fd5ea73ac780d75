"""The order of writes, against a target that is only a dictionary, and any interleaving of answers."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from p4pmip.errors import P4pmipError
from p4pmip.forwarding.entry import Entry, EntryKey
from p4pmip.forwarding.update import Operation, Update
from p4pmip.p4runtime.batching import WriteQueue
from p4pmip.p4runtime.job import Batch, Job
from p4pmip.p4runtime.pipeline import Pipeline
from p4pmip.p4runtime.quirks import PROFILES, Quirks
from p4pmip.p4runtime.status import Problem, RpcProblem
from p4pmip.p4runtime.stubs import code_pb2

INSERT, MODIFY, DELETE = Operation
FULL = Problem(code_pb2.RESOURCE_EXHAUSTED, "full")
UNIMPLEMENTED = Problem(code_pb2.UNIMPLEMENTED, "atomic write modes")
TAKEN_BACK = Problem(code_pb2.ABORTED, "another update of the batch failed")


def child(number: int, tunnel: int) -> Entry:
    """A host behind a tunnel."""
    params = (("tunnel_id", tunnel), ("session_id", number), ("gre_key", 0))
    return Entry("host", (("realm", 1), ("address", number)), "to_tunnel", params)


def parent(tunnel: int) -> Entry:
    """A tunnel."""
    params = (("source", 1), ("destination", tunnel), ("mac", 0), ("hop_limit", 64))
    return Entry("tunnel", (("tunnel_id", tunnel),), "encap", params)


class Box:
    """A target: entries by key, and requests that are on their way."""

    def __init__(self, queue: WriteQueue, rollback: bool = False) -> None:
        self.queue = queue
        self.rollback = rollback
        self.held: dict[EntryKey, Entry] = {}
        self.in_flight: list[Batch] = []
        self.sent: list[list[tuple[str, str]]] = []

    def send(self) -> bool:
        """Take the next batch."""
        batch = self.queue.next_batch()
        if batch:
            self.in_flight.append(batch)
            self.sent.append([(update.operation.name, update.entry.table) for update in batch.updates()])
        return bool(batch)

    def answer(self, index: int = 0, refuse: bool = False) -> None:
        """Execute a batch that is in flight; `refuse`: every INSERT of a parent fails."""
        batch = self.in_flight.pop(index)
        if batch.atomic and not self.rollback:
            self.queue.answered(batch, RpcProblem(UNIMPLEMENTED))
            return
        before = dict(self.held)
        problems = {
            n: p for n, update in enumerate(batch.updates()) if (p := self._execute(update, refuse)) is not None
        }
        if batch.atomic and problems:
            self.held = before
            problems = {n: problems.get(n, TAKEN_BACK) for n in range(len(batch))}
        whole = Problem(code_pb2.UNKNOWN, "some failed")
        self.queue.answered(batch, RpcProblem(whole, problems) if problems else None)

    def _execute(self, update: Update, refuse: bool) -> Problem | None:
        operation, entry = update
        key = entry.key
        if operation is INSERT:
            if key in self.held:
                return Problem(code_pb2.ALREADY_EXISTS, "")
            if refuse and entry.table == "tunnel":
                return FULL
        elif key not in self.held:
            return Problem(code_pb2.NOT_FOUND, "")
        if operation is DELETE:
            del self.held[key]
        else:
            self.held[key] = entry
        return None

    def drain(self) -> None:
        """Let everything happen."""
        while self.send() or self.in_flight:
            if self.in_flight:
                self.answer()


@pytest.fixture
def box(small: Pipeline) -> Box:
    """A target that promises nothing about the order in a batch."""
    return Box(WriteQueue(small.codec, PROFILES["generic"]))


@pytest.fixture
def ordered(small: Pipeline) -> Box:
    """A target that keeps the order in a batch."""
    return Box(WriteQueue(small.codec, PROFILES["bmv2"]))


@pytest.fixture
def atomic(small: Pipeline) -> Box:
    """A target that keeps the order in a batch, and takes it back if asked to."""
    return Box(WriteQueue(small.codec, PROFILES["softswitch"]), rollback=True)


def attach(number: int, tunnel: int) -> list[list[Update]]:
    """Parent, then child."""
    return [[Update(INSERT, parent(tunnel))], [Update(INSERT, child(number, tunnel))]]


def move(number: int, old: int, new: int) -> list[list[Update]]:
    """From behind one tunnel to behind another."""
    return [[Update(INSERT, parent(new))], [Update(MODIFY, child(number, new))], [Update(DELETE, parent(old))]]


def test_dependent_updates_wait_for_the_answer(box: Box) -> None:
    job = box.queue.submit(attach(1, 1))
    assert box.send()
    assert not box.send()
    assert not job.done
    box.answer()
    box.drain()
    assert job.done
    assert box.sent == [[("INSERT", "tunnel")], [("INSERT", "host")]]


def test_inserts_leave_together_where_order_is_kept(ordered: Box) -> None:
    ordered.queue.submit(attach(1, 1))
    ordered.drain()
    assert ordered.sent == [[("INSERT", "tunnel"), ("INSERT", "host")]]


def test_what_works_is_not_changed_before_what_the_change_needs(ordered: Box) -> None:
    ordered.queue.submit(attach(1, 1))
    ordered.drain()
    ordered.queue.submit(move(1, 1, 2))
    ordered.drain()
    one_by_one = [[("INSERT", "tunnel")], [("MODIFY", "host")], [("DELETE", "tunnel")]]
    assert ordered.sent[1:] == [[("INSERT", "tunnel"), ("MODIFY", "host"), ("DELETE", "tunnel")], *one_by_one]
    ordered.sent.clear()
    ordered.queue.submit(move(1, 2, 1))
    ordered.drain()
    assert ordered.sent == one_by_one  # it is not asked again to take a request back


def test_a_change_is_one_request_where_requests_are_taken_back(atomic: Box) -> None:
    atomic.queue.submit(attach(1, 1))
    atomic.queue.submit(attach(2, 2))
    atomic.drain()
    jobs = [atomic.queue.submit(move(1, 1, 3)), atomic.queue.submit([[Update(INSERT, child(5, 2))]])]
    jobs.append(atomic.queue.submit(move(2, 2, 4)))
    assert [atomic.send() for _ in range(3)] == [True, True, False]
    assert [batch.atomic for batch in atomic.in_flight] == [True, False]
    assert atomic.sent[1] == 2 * [("INSERT", "tunnel"), ("MODIFY", "host"), ("DELETE", "tunnel")]
    atomic.drain()
    assert all(job.done and not job.refusals for job in jobs)
    assert atomic.held == {e.key: e for e in (child(1, 3), parent(3), child(2, 4), parent(4), child(5, 2))}


def test_a_request_that_was_taken_back_leaves_phase_by_phase(atomic: Box) -> None:
    for number in (1, 2):
        atomic.queue.submit(attach(number, number))
    atomic.drain()
    atomic.held[parent(4).key] = parent(4)
    moves, refused = atomic.queue.submit(move(1, 1, 3)), atomic.queue.submit(move(2, 2, 4))
    later = atomic.queue.submit([[Update(MODIFY, child(2, 2))]])
    atomic.sent.clear()
    atomic.drain()
    assert all(job.done for job in (moves, refused, later))
    assert [(r.update.entry, r.problem.code) for r in refused.refusals] == [(parent(4), code_pb2.ALREADY_EXISTS)]
    assert not moves.refusals
    assert not later.refusals
    assert atomic.sent[1:] == [
        [("INSERT", "tunnel"), ("INSERT", "tunnel")],
        [("MODIFY", "host"), ("MODIFY", "host")],
        [("DELETE", "tunnel")],
    ]
    assert atomic.held[child(2, 2).key] == child(2, 2)
    assert atomic.held[child(1, 3).key] == child(1, 3)
    assert parent(1).key not in atomic.held


def test_what_depends_on_another_change_is_not_taken_together(atomic: Box) -> None:
    """It could not be told what was taken back because of whom."""
    atomic.queue.submit(attach(1, 1))
    relying = atomic.queue.submit([[Update(INSERT, child(2, 1))], [Update(MODIFY, child(1, 1))]], [parent(1).key])
    again = atomic.queue.submit([[Update(INSERT, parent(2))], [Update(DELETE, child(2, 1))]])
    atomic.drain()
    assert relying.done
    assert again.done
    assert not relying.refusals + again.refusals
    assert atomic.held == {e.key: e for e in (child(1, 1), parent(1), parent(2))}


def test_a_change_that_is_lost_is_not_sent_again(atomic: Box) -> None:
    atomic.queue.submit(attach(1, 1))
    atomic.drain()
    job = atomic.queue.submit(move(1, 1, 2))
    atomic.queue.answered(atomic.queue.next_batch(), RpcProblem(Problem(code_pb2.UNAVAILABLE, "gone")))
    assert len(job.refusals) == 3
    assert not atomic.send()


def test_a_refused_phase_ends_the_job(box: Box) -> None:
    job = box.queue.submit(attach(1, 1))
    box.send()
    box.answer(refuse=True)
    assert job.done
    assert [(refusal.update.entry, refusal.problem) for refusal in job.refusals] == [(parent(1), FULL)]
    assert not box.send()
    assert box.held == {}


def test_who_relies_on_a_refused_entry_is_refused(box: Box) -> None:
    box.queue.submit(attach(1, 1))
    relying = box.queue.submit([[Update(INSERT, child(2, 1))]], [parent(1).key])
    box.send()
    box.answer(refuse=True)
    late = box.queue.submit([[Update(INSERT, child(3, 1))]], [parent(1).key])
    for job in (relying, late):
        assert job.done
        assert job.refusals[0].problem == FULL
    assert box.held == {}
    box.queue.submit([[Update(DELETE, parent(1))]], lenient=True)
    box.drain()
    assert not box.queue.submit(attach(4, 1)).done


def test_waiting_updates_of_a_key_are_merged(box: Box) -> None:
    box.queue.submit([[Update(INSERT, parent(9))]])
    box.send()
    jobs = [
        box.queue.submit([[Update(INSERT, child(1, 1))]]),
        box.queue.submit([[Update(MODIFY, child(1, 2))]]),
        box.queue.submit([[Update(INSERT, child(2, 1))]]),
        box.queue.submit([[Update(DELETE, child(2, 1))]]),
    ]
    assert [job.done for job in jobs] == [False, False, True, True]
    box.drain()
    assert all(job.done and not job.refusals for job in jobs)
    assert box.sent[1:] == [[("INSERT", "host")]]
    assert box.held[child(1, 2).key] == child(1, 2)


def test_an_update_waits_for_the_one_before_it_in_flight(box: Box) -> None:
    box.queue.submit([[Update(INSERT, child(1, 1))]])
    box.send()
    job = box.queue.submit([[Update(DELETE, child(1, 1))]])
    assert not box.send()
    box.answer()
    box.drain()
    assert job.done
    assert box.held == {}


def test_lenient_makes_it_so(box: Box) -> None:
    box.held[child(1, 1).key] = child(1, 1)
    updates = [Update(INSERT, child(1, 2)), Update(MODIFY, child(2, 2)), Update(DELETE, child(3, 1))]
    strict = box.queue.submit([updates])
    box.drain()
    assert [r.problem.code for r in strict.refusals] == [
        code_pb2.ALREADY_EXISTS, code_pb2.NOT_FOUND, code_pb2.NOT_FOUND
    ]  # fmt: skip
    lenient = box.queue.submit([updates], lenient=True)
    box.drain()
    assert lenient.done
    assert not lenient.refusals
    assert list(box.held.values()) == [child(1, 2), child(2, 2)]


def test_without_modify_it_is_delete_and_insert(small: Pipeline) -> None:
    box = Box(WriteQueue(small.codec, PROFILES["no-modify"]))
    box.held[child(1, 1).key] = child(1, 1)
    job = box.queue.submit([[Update(MODIFY, child(1, 2))]])
    box.drain()
    assert job.done
    assert not job.refusals
    assert box.sent == [[("DELETE", "host")], [("INSERT", "host")]]
    assert box.held[child(1, 2).key] == child(1, 2)


def test_a_request_refused_as_a_whole_is_split(box: Box) -> None:
    jobs = [box.queue.submit([[Update(INSERT, child(n, 1))]]) for n in range(5)]
    culprit = child(3, 1)

    def answer(batch: Batch) -> None:
        bad = any(update.entry == culprit for update in batch.updates())
        box.queue.answered(batch, RpcProblem(Problem(code_pb2.INVALID_ARGUMENT, "no")) if bad else None)

    while batch := box.queue.next_batch():
        answer(batch)
    assert [bool(job.refusals) for job in jobs] == [False, False, False, True, False]


def test_a_lost_request_is_not_sent_again(box: Box) -> None:
    jobs = [box.queue.submit([[Update(INSERT, child(n, 1))]]) for n in range(3)]
    box.queue.answered(box.queue.next_batch(), RpcProblem(Problem(code_pb2.UNAVAILABLE, "gone")))
    assert all(job.refusals for job in jobs)
    assert not box.send()


def test_one_update_a_request_where_batches_are_not_known(small: Pipeline) -> None:
    box = Box(WriteQueue(small.codec, PROFILES["one-by-one"]))
    box.queue.submit([[Update(INSERT, child(n, 1)) for n in range(3)]])
    box.drain()
    assert [len(batch) for batch in box.sent] == [1, 1, 1]


def test_large_phases_are_cut(small: Pipeline) -> None:
    box = Box(WriteQueue(small.codec, Quirks(max_batch=10)))
    job = box.queue.submit([[Update(INSERT, child(n, 1)) for n in range(25)], [Update(INSERT, parent(1))]])
    box.drain()
    assert job.done
    assert [len(batch) for batch in box.sent] == [10, 10, 5, 1]


def test_nothing_is_queued_if_one_update_does_not_fit(box: Box) -> None:
    with pytest.raises(P4pmipError, match="does not fit 32 bits"):
        box.queue.submit([[Update(INSERT, parent(1))], [Update(INSERT, child(1 << 32, 1))]])
    assert not box.send()


def test_suspended_jobs_are_refused(box: Box) -> None:
    jobs = [box.queue.submit(attach(n, n)) for n in range(3)]
    box.send()
    jobs.append(box.queue.submit([[Update(DELETE, child(1, 1))]]))
    box.queue.suspend(Problem(code_pb2.UNAVAILABLE, "session closed"))
    assert all(job.done and len(job.refusals) >= 1 for job in jobs)
    assert len(box.queue) == 0
    assert not box.send()


class Node:
    """Sessions that come, move and go; each waits for its answer before it changes again, as bindings do."""

    def __init__(self, box: Box) -> None:
        self.box = box
        self.sessions: dict[int, int] = {}
        self.busy: set[int] = set()
        self.users: Counter[int] = Counter()

    def change(self, number: int, tunnel: int | None, *, lenient: bool = False) -> None:
        """Put a session behind a tunnel, or take it away."""
        old = self.sessions.get(number)
        if old == tunnel and not lenient:
            return
        phases: list[list[Update]] = [[], [], []]
        relies = []
        if tunnel is not None:
            relies.append(parent(tunnel).key)
            if not self.users[tunnel]:
                phases[0].append(Update(INSERT, parent(tunnel)))
                relies = []
            self.users[tunnel] += 1
        if old is not None:
            self.users[old] -= 1
            if not self.users[old]:
                phases[2].append(Update(DELETE, parent(old)))
        if tunnel is None:
            phases[1].append(Update(DELETE, child(number, old or 0)))
            self.sessions.pop(number, None)
        else:
            phases[1].append(Update(INSERT if old is None else MODIFY, child(number, tunnel)))
            self.sessions[number] = tunnel
        self.busy.add(number)
        job = self.box.queue.submit(phases, relies, lenient=lenient)

        def result(job: Job) -> None:
            self.busy.discard(number)
            if not job.refusals:
                assert tunnel is None or self.box.held[child(number, tunnel).key] == child(number, tunnel)
                assert tunnel is None or parent(tunnel).key in self.box.held
            elif not lenient:
                self.change(number, old, lenient=True)

        if job.done:
            result(job)
        else:
            job.result = result


@settings(max_examples=150, deadline=None)
@given(data=st.data(), kind=st.sampled_from(["generic", "bmv2", "softswitch", "no-modify", "one-by-one"]))
def test_any_interleaving_ends_as_desired(small: Pipeline, data: st.DataObject, kind: str) -> None:
    """Whatever is answered when, and whichever tunnel is refused: acknowledged is held, and refused leaves nothing."""
    box = Box(WriteQueue(small.codec, PROFILES[kind]), rollback=kind == "softswitch")
    node = Node(box)
    for _ in range(data.draw(st.integers(1, 40))):
        step = data.draw(st.integers(0, 9))
        if step < 5:
            number = data.draw(st.integers(1, 5))
            if number not in node.busy:
                node.change(number, data.draw(st.sampled_from([None, 1, 2, 3])))
        elif step < 7:
            if len(box.in_flight) < 3:
                box.send()
        elif box.in_flight:
            box.answer(data.draw(st.integers(0, len(box.in_flight) - 1)), refuse=data.draw(st.integers(0, 3)) == 0)
    for _ in range(200):
        box.drain()
    desired = {child(n, t).key: child(n, t) for n, t in node.sessions.items()}
    desired |= {parent(t).key: parent(t) for t in node.sessions.values()}
    assert box.held == desired
    assert not node.busy
    assert len(box.queue) == 0
