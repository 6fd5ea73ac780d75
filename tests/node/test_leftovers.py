"""Entries that nobody needs any more: who asked is answered, and what gathers leaves in one request."""

import asyncio

import pytest

from p4pmip.errors import P4pmipError
from p4pmip.forwarding.entry import Entry
from p4pmip.forwarding.ledger import Delta, Ledger
from p4pmip.node.leftovers import TOGETHER, Leftovers

ENTRIES = [Entry("session", (("session_id", number), ("direction", 1)), "NoAction") for number in range(4)]


class Switch:
    """Takes note of what it is asked for; answers when it is told to."""

    def __init__(self) -> None:
        self.ledger = Ledger()
        self.ledger.acquire(ENTRIES)
        self.asked: list[set[Entry]] = []
        self.answers: list[asyncio.Future[None]] = []
        self.leftovers = Leftovers(self.ledger, self.write)
        self.came = asyncio.Event()

    def write(self, delta: Delta) -> "asyncio.Future[None]":
        self.asked.append(set(delta.delete))
        self.answers.append(asyncio.get_running_loop().create_future())
        self.came.set()
        return self.answers[-1]


async def test_what_gathers_leaves_together() -> None:
    switch, loop = Switch(), asyncio.get_running_loop()
    began = loop.time()
    outcomes = [switch.leftovers.add([entry]) for entry in ENTRIES[:3]]
    assert set(switch.ledger.desired().values()) == set(ENTRIES), "the switch holds them for now"
    await switch.came.wait()
    assert loop.time() - began >= TOGETHER
    assert switch.asked == [set(ENTRIES[:3])]
    assert not any(outcome.done() for outcome in outcomes)
    switch.answers[0].set_result(None)
    await asyncio.gather(*outcomes)
    assert list(switch.ledger.desired().values()) == ENTRIES[3:]


async def test_what_is_to_stay_for_a_while_stays() -> None:
    switch, loop = Switch(), asyncio.get_running_loop()
    began = loop.time()
    late, soon = switch.leftovers.add(ENTRIES[:1], 3 * TOGETHER), switch.leftovers.add(ENTRIES[1:2])
    await switch.came.wait()
    switch.came.clear()
    assert switch.asked == [set(ENTRIES[1:2])]
    await switch.came.wait()
    assert loop.time() - began >= 3 * TOGETHER
    assert switch.asked[1:] == [set(ENTRIES[:1])]
    for answer in switch.answers:
        answer.set_result(None)
    await asyncio.gather(late, soon)


async def test_an_entry_that_is_asked_for_again_meanwhile_stays() -> None:
    switch = Switch()
    outcome = switch.leftovers.add(ENTRIES[:2])
    switch.ledger.acquire(ENTRIES[:1])
    await switch.came.wait()
    assert switch.asked == [set(ENTRIES[1:2])]
    switch.answers[0].set_result(None)
    await outcome
    assert ENTRIES[0] in switch.ledger.desired().values()


async def test_everybody_is_told_of_a_refusal() -> None:
    switch = Switch()
    outcomes = [switch.leftovers.add([entry]) for entry in ENTRIES[:2]]
    await switch.came.wait()
    switch.answers[0].set_exception(P4pmipError("box", "DELETE", "refused"))
    for outcome in outcomes:
        with pytest.raises(P4pmipError, match="refused"):
            await outcome


async def test_nothing_is_asked_after_the_end() -> None:
    switch = Switch()
    outcomes = [switch.leftovers.add(ENTRIES[:1]), switch.leftovers.add(ENTRIES[1:2], 60)]
    switch.leftovers.close()
    await asyncio.wait(outcomes)
    assert all(outcome.cancelled() for outcome in outcomes)
    assert switch.asked == []
