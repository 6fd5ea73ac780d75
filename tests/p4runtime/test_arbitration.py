"""Arbitration without I/O: every way to become primary, to stop being it, and to wait."""

from random import Random

import pytest

from p4pmip.p4runtime.arbitration import (
    LONGEST_PAUSE,
    Arbitrate,
    Arbitration,
    Connect,
    Prepare,
    State,
    Suspend,
    time_based_election_id,
)
from p4pmip.p4runtime.stubs import code_pb2

OK, EXISTS, VACANT = code_pb2.OK, code_pb2.ALREADY_EXISTS, code_pb2.NOT_FOUND


@pytest.fixture
def machine() -> Arbitration:
    """A session whose stream is open."""
    machine = Arbitration(10, Random(1))
    machine.start(0.0)
    machine.stream_opened()
    assert machine.effects() == [Connect(), Arbitrate(10)]
    return machine


def ready(machine: Arbitration) -> Arbitration:
    """Primary, and prepared."""
    machine.answered(OK, 10)
    machine.prepared()
    assert machine.effects() == [Prepare()]
    return machine


def test_primary_is_ready_when_prepared(machine: Arbitration) -> None:
    machine.answered(OK, 10)
    assert machine.state is State.PRIMARY
    machine.prepared()
    assert (machine.state, machine.reason) == (State.READY, "")


def test_backup_waits_and_never_raises_its_id(machine: Arbitration) -> None:
    machine.answered(EXISTS, 20)
    assert (machine.state, machine.election_id, machine.primary_id) == (State.BACKUP, 10, 20)
    machine.answered(EXISTS, 30)
    assert machine.election_id == 10
    assert machine.effects() == []
    assert machine.next_timer() is None


def test_demoted_is_suspended_and_prepares_anew_when_promoted(machine: Arbitration) -> None:
    ready(machine).answered(EXISTS, 20)
    assert machine.effects() == [Suspend("not primary")]
    machine.answered(OK, 10)
    assert (machine.state, machine.effects()) == (State.PRIMARY, [Prepare()])


def test_vacancy_is_claimed_once_with_the_highest_id_seen(machine: Arbitration) -> None:
    machine.answered(EXISTS, 20)
    machine.answered(VACANT, 20)
    assert machine.effects() == [Arbitrate(20)]
    machine.answered(VACANT, 20)
    assert machine.effects() == []
    machine.answered(OK, 20)
    assert machine.effects() == [Prepare()]


def test_a_repeated_answer_changes_nothing(machine: Arbitration) -> None:
    ready(machine).answered(OK, 10)
    assert (machine.state, machine.effects()) == (State.READY, [])


def test_taken_id_becomes_the_next(machine: Arbitration) -> None:
    machine.stream_closed(code_pb2.INVALID_ARGUMENT, "Election id already exists", 1.0, id_taken=True)
    assert (machine.state, machine.election_id) == (State.DISCONNECTED, 11)


def test_an_invalid_role_is_no_taken_id(machine: Arbitration) -> None:
    machine.stream_closed(code_pb2.INVALID_ARGUMENT, "no such role", 1.0)
    assert machine.election_id == 10


def test_lost_connection_suspends_and_comes_back_with_the_same_id(machine: Arbitration) -> None:
    ready(machine).stream_closed(code_pb2.UNAVAILABLE, "gone", 5.0)
    assert machine.effects() == [Suspend("gone")]
    due = machine.next_timer()
    assert due is not None
    assert 5.1 <= due <= 5.2
    machine.handle_timer(due - 0.01)
    assert machine.effects() == []
    machine.handle_timer(due)
    machine.stream_opened()
    assert machine.effects() == [Connect(), Arbitrate(10)]


def test_pauses_grow_with_jitter_to_a_limit(machine: Arbitration) -> None:
    now, pauses = 0.0, []
    for _ in range(12):
        machine.stream_closed(code_pb2.UNAVAILABLE, "gone", now)
        due = machine.next_timer()
        assert due is not None
        pauses.append(due - now)
        now = due
        machine.handle_timer(now)
    assert all(0.1 * 2**n <= pause <= 0.2 * 2**n for n, pause in enumerate(pauses[:6]))
    assert max(pauses) <= LONGEST_PAUSE
    assert len(set(pauses)) == len(pauses)


def test_failed_preparation_is_tried_again_while_primary(machine: Arbitration) -> None:
    machine.answered(OK, 10)
    machine.prepare_failed("table full", 1.0)
    assert (machine.state, machine.reason) == (State.PRIMARY, "table full")
    due = machine.next_timer()
    assert due is not None
    machine.handle_timer(due)
    assert machine.effects() == [Prepare(), Prepare()]


def test_closed_is_for_good(machine: Arbitration) -> None:
    ready(machine).close()
    assert machine.effects() == [Suspend("session closed")]
    machine.stream_closed(code_pb2.UNAVAILABLE, "gone", 1.0)
    machine.answered(OK, 10)
    machine.stream_opened()
    assert (machine.state, machine.effects(), machine.next_timer()) == (State.CLOSED, [], None)


def test_election_ids_from_the_time_leave_room_and_fit() -> None:
    one, later = time_based_election_id(1_790_000_000.0), time_based_election_id(1_790_000_000.000002)
    assert later - one > 1 << 31
    assert later < 1 << 128
