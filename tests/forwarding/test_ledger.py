"""The ledger against a model that is nothing but a list of what everyone asked for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p4pmip.forwarding.entry import Entry, EntryKey
from p4pmip.forwarding.ledger import Delta, Ledger

entries = st.builds(
    lambda number, value: Entry("session", (("session_id", number),), "to_tunnel", (("tunnel_id", value),)),
    st.integers(0, 5),
    st.integers(0, 1),
)
states = st.lists(entries, max_size=5, unique_by=lambda entry: entry.key).map(tuple)
changes = st.lists(st.tuples(st.integers(0, 3), states), max_size=30)


def _apply(switch: dict[EntryKey, Entry], delta: Delta) -> None:
    """What a target that refuses doubles and absent keys does with a delta."""
    for entry in delta.insert:
        assert entry.key not in switch
        switch[entry.key] = entry
    for entry in delta.modify:
        assert switch[entry.key] != entry
        switch[entry.key] = entry
    for entry in delta.delete:
        del switch[entry.key]


@pytest.mark.requirement("R5213-5.3.4-2", "R5213-5.6.1-2", "R5213-6.9.1.4-4")
@given(changes)
def test_the_switch_holds_what_somebody_needs_and_nothing_else(history: list[tuple[int, tuple[Entry, ...]]]) -> None:
    ledger, switch, users = Ledger(), dict[EntryKey, Entry](), dict[int, tuple[Entry, ...]]()
    for user, state in history:
        delta = ledger.change(users.get(user, ()), state)
        _apply(switch, delta)
        users[user] = state
        needed = {entry.key for one in users.values() for entry in one}
        assert switch.keys() == needed
        assert dict(ledger.desired()) == switch
        assert len(ledger) == len(needed)
        for entry in state:
            assert switch[entry.key] == entry
        for key in needed:
            assert ledger.users(key) == sum(entry.key == key for one in users.values() for entry in one)
    for state in users.values():
        _apply(switch, ledger.change(state, ()))
    assert switch == {}


@given(changes)
def test_with_a_drain_time_between(history: list[tuple[int, tuple[Entry, ...]]]) -> None:
    ledger, switch, users = Ledger(), dict[EntryKey, Entry](), dict[int, tuple[Entry, ...]]()
    draining: list[tuple[Entry, ...]] = []
    for user, state in history:
        delta = ledger.acquire(state)
        assert not delta.delete
        _apply(switch, delta)
        draining.append(users.get(user, ()))
        users[user] = state
        if len(draining) > 2:
            _apply(switch, ledger.release(draining.pop(0)))
        held = [*users.values(), *draining]
        assert switch.keys() == {entry.key for one in held for entry in one}
        for entry in state:
            assert switch[entry.key] == entry


def test_an_unchanged_binding_costs_nothing() -> None:
    ledger = Ledger()
    state = tuple(Entry("session", (("session_id", number),), "stop") for number in range(3))
    assert ledger.change((), state).insert == state
    assert not ledger.change(state, state)
    assert ledger.change(state, state[1:]) == Delta(delete=state[:1])
