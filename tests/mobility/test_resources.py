"""Keys, pools, timers, and the rows that survive a restart."""

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from math import inf
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.mobility.crafted import Anchor, status
from tests.mobility.domain import MAGS, MN, UTC, Domain, Node, lma_config, mag_config, realms

from p4pmip.mobility.binding import Granularity, Gre, Phase
from p4pmip.mobility.config import ConfigError, Directory, GrePolicy, LmaConfig, MagConfig
from p4pmip.mobility.keys import KeyAllocator, KeyRing
from p4pmip.mobility.lma import LocalMobilityAnchor
from p4pmip.mobility.mag import MobileAccessGateway
from p4pmip.mobility.pools import Pool
from p4pmip.mobility.record import Record, from_record, to_record
from p4pmip.mobility.session import pack
from p4pmip.mobility.timers import Timed, Timers

# --- keys ------------------------------------------------------------------------------------------------------------


class Counting(Random):
    """A source of randomness that counts how often it is asked."""

    asked = 0

    def getrandbits(self, k: int, /) -> int:
        self.asked += 1
        return super().getrandbits(k)


@pytest.mark.requirement("OUR-KEYS-1", "OUR-KEYS-2")
def test_every_key_of_a_range_is_given_once_at_one_draw_each() -> None:
    random = Counting(1)
    keys = KeyAllocator(0, 9999, 30.0, random)
    given_out = [keys.allocate(0.0) for _ in range(10_000)]
    assert sorted(key for key in given_out if key is not None) == list(range(10_000))
    assert random.asked == 10_000
    assert keys.allocate(0.0) is None
    assert given_out != sorted(given_out)  # type: ignore[type-var]


@pytest.mark.requirement("OUR-KEYS-1")
def test_draws_are_uniform_over_what_is_free() -> None:
    counts: Counter[int | None] = Counter()
    for seed in range(4000):
        keys = KeyAllocator(0, 7, 0.0, Random(seed))
        for _ in range(4):
            keys.allocate(0.0)
        counts[keys.allocate(0.0)] += 1
    assert all(400 < counts[key] < 600 for key in range(8))


@pytest.mark.requirement("OUR-KEYS-2")
def test_a_released_key_rests() -> None:
    keys = KeyAllocator(0, 1, 30.0, Random(1))
    first, second = keys.allocate(0.0), keys.allocate(0.0)
    assert {first, second} == {0, 1}
    assert first is not None
    assert keys.release(first, 10.0) == 40.0
    assert keys.allocate(39.9) is None
    assert keys.allocate(40.0) == first


@pytest.mark.requirement("OUR-KEYS-2", "OUR-KEYS-5")
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 20)), max_size=200), st.integers(0, 2**32), st.integers(1, 12))
def test_no_key_is_given_twice_whatever_is_claimed_and_released(
    steps: list[tuple[bool, int]], seed: int, size: int
) -> None:
    keys = KeyAllocator(0, size - 1, 5.0, Random(seed))
    taken = {0, size // 2}
    for key in taken:
        keys.claim(key)
    resting: dict[int, float] = {}
    for now, (take, index) in enumerate(steps):
        if take:
            free = size - len(taken) - sum(until > now for until in resting.values())
            fresh = keys.allocate(float(now))
            assert (fresh is None) == (free <= 0)
            if fresh is not None:
                assert fresh not in taken
                assert resting.get(fresh, -inf) <= now
                taken.add(fresh)
        elif taken:
            key = sorted(taken)[index % len(taken)]
            taken.remove(key)
            resting[key] = keys.release(key, float(now))


@pytest.mark.requirement("OUR-KEYS-4")
def test_a_realm_shares_one_key_until_its_last_session_goes() -> None:
    ring = KeyRing(KeyAllocator(0, 2**32 - 1, 30.0, Random(1)))
    key = ring.acquire(Granularity.REALM, "a", 0.0)
    assert key is not None
    assert ring.acquire(Granularity.REALM, "a", 0.0) == key
    assert ring.acquire(Granularity.REALM, "b", 0.0) != key
    assert ring.release(Granularity.REALM, "a", key, 1.0) is None
    assert ring.release(Granularity.REALM, "a", key, 1.0) == 31.0
    assert ring.acquire(Granularity.REALM, "a", 1.0) != key


# --- pools -----------------------------------------------------------------------------------------------------------


def taken_from(pool: Pool, held: set[int]) -> int | None:
    value = pool.take(held.__contains__)
    if value is not None:
        assert value not in held
        held.add(value)
    return value


@pytest.mark.requirement("OUR-POOLS-1")
def test_a_pool_gives_each_value_once_and_reserved_ones_never() -> None:
    router = pack(int(IPv4Address("10.1.0.1")), 29)
    pool = Pool.of_addresses(IPv4Network("10.1.0.0/29"), {router})
    held: set[int] = {pack(int(IPv4Address("10.1.0.3")), 29)}
    given_out = []
    while (value := taken_from(pool, held)) is not None:
        given_out.append(str(IPv4Address(value >> 8)))
    assert given_out == ["10.1.0.2", "10.1.0.4", "10.1.0.5", "10.1.0.6"]
    back = pack(int(IPv4Address("10.1.0.4")), 29)
    held.remove(back)
    pool.give_back(back)
    assert pool.take(held.__contains__) == back


@pytest.mark.requirement("OUR-POOLS-1")
def test_what_is_in_a_pool() -> None:
    pool = Pool.of_prefixes(IPv6Network("2001:db8:a000::/40"), 64)
    assert pack(int(IPv6Network("2001:db8:a000:1::/64").network_address), 64) in pool
    assert pack(int(IPv6Network("2001:db8:a000:1::/64").network_address), 65) not in pool
    assert pack(int(IPv6Network("2001:db8:b000::/64").network_address), 64) not in pool


@pytest.mark.requirement("R5213-5.3.2-2", "OUR-POOLS-1")
@given(st.lists(st.tuples(st.sampled_from(["take", "back", "ask"]), st.integers(0, 9)), max_size=120))
def test_a_pool_never_gives_what_is_held_and_loses_nothing(steps: list[tuple[str, int]]) -> None:
    pool = Pool(100, 10, 6, {120})
    held: set[int] = set()
    for step, number in steps:
        if step == "take":
            value = taken_from(pool, held)
            assert (value is None) == (len(held) == 5 and value is None)
        elif step == "back" and held:
            value = sorted(held)[number % len(held)]
            held.remove(value)
            pool.give_back(value)
        elif step == "ask" and 100 + 10 * (number % 6) not in {120, *held}:
            held.add(100 + 10 * (number % 6))


# --- timers ----------------------------------------------------------------------------------------------------------


@pytest.mark.requirement("OUR-TIMERS-1")
@given(st.lists(st.tuples(st.integers(0, 5), st.one_of(st.none(), st.integers(0, 30))), max_size=150))
def test_timers_fire_when_they_are_due_and_once(steps: list[tuple[int, int | None]]) -> None:
    timers, things = Timers(), [Timed() for _ in range(6)]
    deadlines: dict[int, float] = {}
    for now, (index, offset) in enumerate(steps):
        if offset is None:
            timers.disarm(things[index])
            deadlines.pop(index, None)
        else:
            timers.arm(things[index], float(now + offset))
            deadlines[index] = now + offset
        fired = {things.index(one) for one in timers.due(float(now))}
        assert fired == {which for which, deadline in deadlines.items() if deadline <= now}
        for which in fired:
            del deadlines[which]
        assert timers.next() == min(deadlines.values(), default=None)


@pytest.mark.requirement("OUR-TIMERS-1")
def test_moving_a_deadline_later_costs_no_entry_and_the_dead_do_not_pile_up() -> None:
    timers, thing = Timers(), Timed()
    for number in range(10_000):
        timers.arm(thing, float(number))
    assert len(timers._heap) == 1
    others = [Timed() for _ in range(10_000)]
    for other in others:
        timers.arm(other, 1e6)
    for other in others:
        timers.disarm(other)
    assert len(timers._heap) < 100
    assert timers.next() == 9999.0


@pytest.mark.requirement("OUR-TIMERS-2")
def test_a_step_of_the_wall_clock_does_not_touch_lifetimes() -> None:
    lma = Anchor()
    lma.ask(lifetime=10)
    lma.engine.handle_timer(30.0, UTC + 1_000_000.0)
    assert len(lma.sessions()) == 1
    lma.engine.handle_timer(41.0, UTC - 1_000_000.0)
    lma.settle()
    assert not lma.sessions()


# --- restart ---------------------------------------------------------------------------------------------------------


def restarted(domain: Domain, node: Node, make: Callable[[], LocalMobilityAnchor | MobileAccessGateway]) -> None:
    """Kill a node and start it again with what its journal holds."""
    rows = [json.loads(json.dumps([one.kind, one.key, one.payload])) for one in node.journal.values()]
    engine = make()
    records = [Record(*row) for row in rows]
    engine.restore(records, domain.now, domain.utc)
    # The switch is made to hold these first: nothing may be taken out of it that is not among them.
    bindings = {binding.session_id for binding in engine.bindings()}
    assert bindings == {record.payload["session_id"] for record in records if record.kind == "session"}
    node.engine, node.held, node.served = engine, [], {}
    domain.carry_out()


@pytest.mark.requirement(
    "D00-4.1-1", "D00-5.1-2", "R5845-4.1-1", "R5845-5.1-2", "R5213-5.1-1", "R5213-6.1-1", "R7389-3-1", "OUR-RESTART-1"
)
def test_a_session_is_what_its_record_says() -> None:
    domain = Domain()
    domain.attach(0)
    domain.run()
    for node in (domain.lma, domain.mags[0]):
        for session in node.engine.sessions():
            assert from_record(json.loads(json.dumps(to_record(session)))) == session


@pytest.mark.requirement("D00-5.1-1", "R5845-3.3.2-1", "R5845-5.1-1", "OUR-RESTART-1")
def test_an_lma_that_was_killed_knows_its_bindings_and_keys() -> None:
    domain = Domain()
    for number in range(5):
        domain.attach(0, b"%d@a.example" % number, mac=number)
    domain.run()
    domain.detach(0, b"0@a.example")
    domain.run(2)
    before = list(domain.anchor().sessions())
    restarted(domain, domain.lma, lambda: LocalMobilityAnchor(lma_config(), Random(77)))
    assert list(domain.anchor().sessions()) == before
    assert domain.lma.switch == {session.session_id: session for session in before}
    domain.attach(1, b"1@a.example", mac=1, indicator=3)
    domain.attach(1, b"9@a.example", mac=9)
    domain.run(20)
    after = {session.mn: session for session in domain.anchor().sessions()}
    assert b"0@a.example" not in after
    assert after[b"1@a.example"].uplink_key == before[1].uplink_key
    assert after[b"9@a.example"].session_id not in {session.session_id for session in before}
    assert len({session.uplink_key for session in after.values()}) == 5
    domain.run(8000)
    assert len(list(domain.anchor().sessions())) == 5


@pytest.mark.requirement("OUR-RESTART-2")
def test_keys_in_quarantine_stay_there_over_a_restart() -> None:
    config = lma_config(key_first=0, key_last=1, min_delay_before_bce_delete=0.0)
    domain = Domain(config)
    domain.attach(0)
    domain.run()
    domain.detach(0)
    domain.run(1)
    domain.run(1)
    assert [record.kind for record in domain.lma.journal.values()] == ["key", "stamp"]
    restarted(domain, domain.lma, lambda: LocalMobilityAnchor(config, Random(5)))
    domain.attach(0, b"2@a.example", mac=2)
    domain.run(1)
    domain.attach(0, b"3@a.example", mac=3)
    domain.run(1)
    assert domain.statuses()[130] >= 1
    domain.run(60)
    assert len(list(domain.anchor().sessions())) == 2
    assert not [key for key in domain.lma.journal if key[0] == "key"]


@pytest.mark.requirement("R5213-5.5-6", "OUR-RESTART-1")
def test_timestamps_stay_over_a_restart() -> None:
    lma = Anchor()
    lma.ask(stamp=UTC + 0.2)
    record = to_record(lma.only())
    other = Anchor()
    other.engine.restore([Record("session", "1", record)], 0.0, UTC)
    assert status(other.ask(stamp=UTC + 0.1)) == 157


@pytest.mark.requirement("OUR-RESTART-3")
def test_a_mag_that_was_killed_serves_its_nodes_at_once() -> None:
    domain = Domain()
    domain.attach(0)
    domain.attach(0, b"2@a.example", mac=2)
    domain.run()
    before = list(domain.mag(0).sessions())
    restarted(domain, domain.mags[0], lambda: MobileAccessGateway(mag_config(MAGS[0]), Random(5)))
    assert list(domain.mags[0].served.values()) == before
    domain.run(8000)
    assert len(domain.lma.switch) == 2
    domain.detach(0)
    domain.run(20)
    assert [session.mn for session in domain.lma.switch.values()] == [b"2@a.example"]


@pytest.mark.requirement("OUR-RESTART-3")
def test_a_proposal_that_was_never_granted_is_taken_out_at_a_restart() -> None:
    domain = Domain(lma_config(), mag_config(MAGS[0]))
    domain.loss = lambda send: []
    domain.attach(0)
    (proposed,) = domain.mags[0].switch.values()
    assert proposed.phase is Phase.PROPOSED
    restarted(domain, domain.mags[0], lambda: MobileAccessGateway(mag_config(MAGS[0]), Random(5)))
    assert not domain.mags[0].switch
    assert [kind for kind, _ in domain.mags[0].journal] == ["key"]


@pytest.mark.requirement("OUR-RESTART-1")
def test_realm_keys_stay_shared_over_a_restart() -> None:
    policy = realms(GrePolicy(Gre.KEYED, True), granularity=Granularity.REALM)
    config = lma_config(realms=policy)
    domain = Domain(config, mag_config(MAGS[0], realms=policy))
    domain.attach(0)
    domain.run()
    restarted(domain, domain.lma, lambda: LocalMobilityAnchor(config, Random(5)))
    domain.attach(0, b"2@a.example", mac=2)
    domain.run()
    one, two = domain.anchor().sessions()
    assert one.uplink_key == two.uplink_key
    assert one.downlink_key == two.downlink_key
    assert one.mn == MN


# --- the variables of the RFCs ---------------------------------------------------------------------------------------


@pytest.mark.requirement(
    "R5213-9.1-1",
    "R5213-9.3-1",
    "R6275-12-1",
    "R6543-1-2",
    "R5844-5.1-1",
    "R5844-5.2-1",
    "R5847-5-1",
    "R5846-11-1",
    "R7389-5-1",
)
def test_the_defaults_are_those_of_the_rfcs() -> None:
    parts: Any = {"realms": {}, "directory": Directory(), "peers": (), "local": ()}
    lma, mag = LmaConfig(**parts), MagConfig(**parts)
    assert (lma.min_delay_before_bce_delete, lma.max_delay_before_new_bce_assign) == (10.0, 1.5)
    assert (lma.timestamp_validity_window, lma.mobile_node_generated_timestamp_in_use) == (0.3, False)
    assert not lma.accept_forced_ipv4_udp_encapsulation_request
    assert not lma.domain_wide_lma_upa_support
    assert mag.fixed_link_local == IPv6Address("fe80::200:5eff:fe00:5213")
    assert (mag.initial_bindack_timeout, mag.max_bindack_timeout) == (1.0, 32.0)
    assert not mag.force_ipv4_udp_encapsulation_support
    for both in (lma, mag):
        assert both.timestamp_based_approach_in_use
        assert (both.heartbeat_interval, both.missing_heartbeats_allowed) == (60.0, 3)
        assert (both.bri_max_retries, both.init_min_delay_bris, both.max_brack_timeout) == (1, 1.0, 2.0)
    for interval in (29.9, 3600.1):
        with pytest.raises(ConfigError, match="out of range"):
            replace(lma, heartbeat_interval=interval)
