"""Histories that Hypothesis makes up and shrinks: everything that can happen to an LMA and three MAGs, in any order.

Messages are lost, doubled and overtake each other; clocks are set; nodes are killed, with their journals or without;
everything is revoked at once; IPv4 home addresses are given back; signalling is authenticated (RFC 4285). Longer ones
by hand: `HISTORIES=2000 python -m pytest tests/mobility/test_histories.py`.
"""

import json
import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from ipaddress import IPv4Network, IPv6Address
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from tests.mobility.domain import LMA, LMA_TUNNEL, MAGS, REALM, Domain, Node, lma_config, mag_config, realms

from p4pmip.forwarding.context import Context, Link, LinkRole
from p4pmip.forwarding.context import Realm as Space
from p4pmip.forwarding.entry import Entry, EntryKey
from p4pmip.forwarding.session import entries
from p4pmip.mobility import heartbeat
from p4pmip.mobility.binding import Binding, Granularity, Gre, Phase
from p4pmip.mobility.config import GrePolicy, LmaConfig, MagConfig, Peer
from p4pmip.mobility.dialects import Dialect
from p4pmip.mobility.lma import LocalMobilityAnchor
from p4pmip.mobility.mag import MobileAccessGateway
from p4pmip.mobility.reconfigure import reconfigure
from p4pmip.mobility.record import Record, from_record
from p4pmip.mobility.session import Session
from p4pmip.wire.authenticator import Algorithm, SecurityAssociation

HISTORIES = int(os.environ.get("HISTORIES", "0"))
MOBILE_NODES = [b"%d@%s.example" % (number, realm) for realm in (b"a", b"b") for number in range(3)]
FURTHEST = 100.0
"""Seconds by which a clock may be wrong."""
PORTS = (1, 2)

mobile_nodes = st.sampled_from(MOBILE_NODES)
gateways = st.integers(0, len(MAGS) - 1)
nodes = st.integers(-1, len(MAGS) - 1)
"""-1 is the LMA."""


def context(node: Node) -> Context:
    """What the entries of a node's switch depend on besides bindings."""
    links = [Link(port, port, LinkRole.ACCESS, bytes((2, 0, 0, 0, 9, port))) for port in PORTS]
    pools: tuple[IPv4Network, ...] = () if REALM.ipv4_pool is None else (REALM.ipv4_pool,)
    spaces = {"operator-a": Space(1, pools), "operator-b": Space(2, pools)}
    return Context(tuple(links), tuple(local.address for local in node.engine.common.local), spaces)


class Histories(RuleBasedStateMachine):
    """A domain and what happens to it."""

    @initialize(
        seed=st.integers(0, 2**16),
        dialects=st.tuples(st.sampled_from(Dialect), st.sampled_from(Dialect)),
        granularity=st.sampled_from(Granularity),
        wanted=st.sampled_from((Gre.KEYED, Gre.KEYED, Gre.MODE)),
        required=st.booleans(),
        algorithm=st.none() | st.sampled_from(Algorithm),
        replay=st.booleans(),
        stamped=st.booleans(),
        told=st.booleans(),
        user_plane=st.booleans(),
    )
    def begin(
        self,
        seed: int,
        dialects: tuple[Dialect, Dialect],
        granularity: Granularity,
        wanted: Gre,
        required: bool,
        algorithm: Algorithm | None,
        replay: bool,
        stamped: bool,
        told: bool,
        user_plane: bool,
    ) -> None:
        """A domain of some configuration."""
        self.random = Random(seed)
        keys = [None if algorithm is None else SecurityAssociation(300 + n, b"%d" % n, algorithm) for n in range(3)]
        replay = replay and algorithm is not None
        overlapping = wanted is Gre.KEYED
        common: dict[str, Any] = {
            "realms": realms(GrePolicy(wanted, required), granularity=granularity, overlapping=overlapping),
            "heartbeat_interval": 30.0,
            "missing_heartbeats_allowed": 1,
            "timestamp_based_approach_in_use": stamped,
            "key_first": 0,
            "key_last": 39,
            "key_quarantine": 5.0,
            "session_last": 40,
            "lifetime": 120,
        }
        if not overlapping:  # without keys nothing but the address tells sessions apart
            apart = realms(GrePolicy(wanted, required), granularity=granularity)
            apart["operator-b"] = type(REALM)(
                "operator-b", IPv4Network("10.2.0.0/16"), None, apart["operator-b"].prefix_pool, gre=GrePolicy(wanted)
            )
            common["realms"] = apart
        anchors = tuple(
            Peer(mag, dialect=dialects[0], security=key, replay_protection=replay, global_revocation=True)
            for mag, key in zip(MAGS, keys, strict=True)
        )
        self.lma_config: LmaConfig = lma_config(
            peers=anchors,
            revoke_on_handoff=told,
            tunnel=(LMA_TUNNEL,) if user_plane else (),
            **common,
        )
        self.mag_configs: list[MagConfig] = [
            mag_config(
                mag,
                Peer(
                    LMA,
                    dialect=dialects[1],
                    security=key,
                    replay_protection=replay,
                    request_user_plane=user_plane,
                ),
                identity=b"mag",
                **common,
            )
            for mag, key in zip(MAGS, keys, strict=True)
        ]
        self.granularity, self.wanted = granularity, wanted
        self.domain = Domain(self.lma_config, *self.mag_configs, seed=seed)
        self.domain.loss = self.channel
        self.where: dict[bytes, tuple[int, int]] = {}
        self.quiet = False
        self.restarts = Counter[int]()
        for node in self.every():
            node.refuse = self.mood

    def every(self) -> list[Node]:
        """All four."""
        return [self.domain.lma, *self.domain.mags]

    def node(self, number: int) -> Node:
        """One of them."""
        return self.domain.lma if number < 0 else self.domain.mags[number]

    def mood(self, _install: object) -> str | None:
        """Whether a switch is full."""
        return "full" if not self.quiet and self.random.random() < 0.1 else None

    def channel(self, _send: object) -> list[float]:
        """When copies of a message arrive."""
        if self.quiet:
            return [self.domain.delay]
        roll = self.random.random()
        copies = 0 if roll < 0.2 else 2 if roll > 0.85 else 1
        return [self.random.choice((0.001, 0.005, 0.02, 0.2, 1.2)) for _ in range(copies)]

    def mac(self, mn: bytes) -> int:
        """The end of its link-layer address."""
        return MOBILE_NODES.index(mn) + 1

    def session_of(self, mn: bytes) -> tuple[MobileAccessGateway, Node, int] | None:
        """The session of a mobile node at the MAG where it is."""
        if mn not in self.where:
            return None
        index = self.where[mn][0]
        found = [session.session_id for session in self.domain.mag(index).sessions() if session.mn == mn]
        return (self.domain.mag(index), self.domain.mags[index], found[0]) if found else None

    # --- what mobile nodes do ----------------------------------------------------------------------------------------

    @rule(mn=mobile_nodes, to=gateways, port=st.sampled_from(PORTS), late=st.sampled_from((0.0, 0.1, 2.0)))
    def move(self, mn: bytes, to: int, port: int, late: float) -> None:
        """The mobile node is there; the MAG that it left notices, sooner or later."""
        came_from = self.where.get(mn)
        self.where[mn] = (to, port)
        self.domain.attach(to, mn, mac=self.mac(mn), port=port)
        if came_from is not None and came_from[0] != to:
            self.domain.run(late)
            self.domain.detach(came_from[0], mn)

    @rule(mn=mobile_nodes)
    def leave(self, mn: bytes) -> None:
        """It is switched off."""
        if mn in self.where:
            self.domain.detach(self.where.pop(mn)[0], mn)

    @rule(mn=mobile_nodes, wanted=st.booleans())
    def ipv4(self, mn: bytes, wanted: bool) -> None:
        """It gives its IPv4 home address back, or asks for one."""
        if (found := self.session_of(mn)) is not None:
            mag, node, number = found
            change = mag.request_ipv4 if wanted else mag.release_ipv4
            change(number, *self.domain.clock(node))
            self.domain.carry_out()

    @rule(mn=mobile_nodes, host=st.integers(1, 4))
    def conflict(self, mn: bytes, host: int) -> None:
        """It has the MAG's link-local address."""
        if (found := self.session_of(mn)) is not None:
            mag, node, number = found
            mag.upload_link_local(number, IPv6Address(f"fe80::{host}"), *self.domain.clock(node))
            self.domain.carry_out()

    # --- time --------------------------------------------------------------------------------------------------------

    @rule(seconds=st.sampled_from((0.01, 0.3, 1.0, 3.0, 12.0, 40.0, 150.0)))
    def wait(self, seconds: float) -> None:
        """Time passes."""
        self.domain.run(seconds)

    @rule(number=nodes, seconds=st.sampled_from((-FURTHEST, -10.0, -0.5, -0.1, 0.0, 0.0, 0.1, 0.5, 10.0, FURTHEST)))
    def set_clock(self, number: int, seconds: float) -> None:
        """A wall clock is set, rightly or not."""
        self.node(number).skew = seconds

    # --- nodes -------------------------------------------------------------------------------------------------------

    @rule(number=nodes)
    def slow(self, number: int) -> None:
        """A switch does nothing for now."""
        self.node(number).hold = True

    @rule(number=nodes)
    def quick(self, number: int) -> None:
        """And goes on."""
        self.domain.release(self.node(number))

    @rule(number=nodes, lost=st.booleans())
    def kill(self, number: int, lost: bool) -> None:
        """A node is killed and started again, perhaps without its journal: its switch is made to hold nothing then."""
        node = self.node(number)
        rows = [Record(*json.loads(json.dumps((one.kind, one.key, one.payload)))) for one in node.journal.values()]
        if lost:
            self.restarts[number] += 1
            rows = []
        counter, random = self.restarts[number], Random(self.random.random())
        engine: LocalMobilityAnchor | MobileAccessGateway
        if number < 0:
            engine = LocalMobilityAnchor(replace(self.lma_config, restart_counter=counter), random)
        else:
            engine = MobileAccessGateway(replace(self.mag_configs[number], restart_counter=counter), random)
        engine.restore(rows, *self.domain.clock(node))
        node.engine, node.held, node.served, node.hold = engine, [], {}, False
        # The switch is compared with what the journal says before anything else.
        node.switch = {int(row.key): from_record(row.payload) for row in rows if row.kind == "session"}
        if lost:
            node.journal = {}
            heartbeat.announce(engine)
        self.domain.carry_out()
        for mn in MOBILE_NODES:  # the access network finds out who is gone, and who is there
            if number >= 0 and self.where.get(mn, (-1, 0))[0] != number:
                self.domain.detach(number, mn)

    @rule(number=nodes)
    def reload(self, number: int) -> None:
        """The configuration is read again."""
        config = self.lma_config if number < 0 else self.mag_configs[number]
        reconfigure(self.node(number).engine, config, self.domain.now)
        self.domain.carry_out()

    # --- revocations -------------------------------------------------------------------------------------------------

    @rule(mn=mobile_nodes, ipv4_only=st.booleans())
    def revoke(self, mn: bytes, ipv4_only: bool) -> None:
        """The LMA ends the sessions of a mobile node."""
        self.domain.anchor().revoke(mn, self.domain.now, ipv4_only=ipv4_only)
        self.domain.carry_out()

    @rule(index=gateways)
    def revoke_all(self, index: int) -> None:
        """The LMA ends all sessions with a MAG."""
        self.domain.anchor().revoke_peer(MAGS[index], self.domain.now)
        self.domain.carry_out()

    @rule(index=gateways, domain=st.sampled_from((b"a.example", b"b.example")))
    def revoke_realm(self, index: int, domain: bytes) -> None:
        """The LMA ends those of one domain."""
        self.domain.anchor().revoke_realm(MAGS[index], domain, self.domain.now)
        self.domain.carry_out()

    @rule(index=gateways)
    def give_up(self, index: int) -> None:
        """A MAG ends all that it has."""
        self.domain.mag(index).revoke_peer(LMA, self.domain.now)
        self.domain.carry_out()

    # --- what must hold ----------------------------------------------------------------------------------------------

    @invariant()
    def journal_and_switch_are_what_the_engine_says(self) -> None:
        """Those apart that it has asked for and not been answered."""
        for node in self.every():
            waiting = {install.session_id for install in node.held}
            settled = {session.session_id: session for session in node.engine.sessions()}
            assert without(node.switch, waiting) == without(settled, waiting)
            assert {int(key) for kind, key in node.journal if kind == "session"} == set(node.switch)

    @invariant()
    def no_two_sessions_want_one_entry(self) -> None:
        """No key identifies two sessions; what several ask for is the same.

        Where it is the address that tells sessions apart, a MAG may for a moment hold one that its LMA has given on:
        the news of that is under way.
        """
        by_key = self.granularity is Granularity.SESSION and self.wanted is Gre.KEYED
        for node in self.every():
            if by_key or self.quiet or node is self.domain.lma:
                forwarding(node.engine.bindings(), context(node))
            found = Counter(session.session_id for session in node.engine.sessions())
            assert not found or max(found.values()) == 1
            if self.granularity is Granularity.SESSION:
                keys = Counter(one.receive_key for one in node.switch.values() if one.receive_key is not None)
                assert not keys or max(keys.values()) == 1
            resting = {int(key) for kind, key in node.journal if kind == "key"}
            assert resting.isdisjoint(one.receive_key for one in node.switch.values())

    @invariant()
    def no_address_is_held_twice(self) -> None:
        """In a realm, at the LMA."""
        sessions = list(self.domain.anchor().sessions())
        prefixes = Counter(prefix for session in sessions for prefix in session.prefixes)
        addresses = Counter((one.realm, one.ipv4) for one in sessions if one.ipv4 is not None)
        assert all(count == 1 for count in (prefixes | addresses).values())
        assert all(session.prefixes or session.ipv4 is not None for session in sessions)

    @invariant()
    def nothing_is_forwarded_for_ever(self) -> None:
        """Every session has a deadline, by itself or by what is waited for."""
        for node in self.every():
            assert not node.switch or node.held or node.engine.next_timer() is not None

    def teardown(self) -> None:
        """Once it is quiet and the clocks are right, both ends agree on who is where, and on the keys."""
        if not hasattr(self, "domain"):
            return
        self.quiet = True
        for node in self.every():
            node.skew = 0.0
            self.domain.release(node)
        self.domain.run(2 * FURTHEST)
        for _ in range(2):  # who is not served solicits again
            for mn, (index, port) in sorted(self.where.items()):
                self.domain.attach(index, mn, mac=self.mac(mn), port=port)
                self.domain.run(0.1)
            self.domain.run(300)
        self.journal_and_switch_are_what_the_engine_says()
        self.no_two_sessions_want_one_entry()
        self.no_address_is_held_twice()
        self.both_ends_agree()

    def both_ends_agree(self) -> None:
        """The LMA knows who is there and nobody else, and so do the MAGs."""
        lma = {session.mn: session for session in self.domain.anchor().sessions()}
        mags = {
            session.mn: (index, session) for index in range(len(MAGS)) for session in self.domain.mag(index).sessions()
        }
        if not set(lma) == set(mags) == set(self.where):
            alarms = [[alarm.name for alarm in node.alarms[-3:]] for node in self.every()]
            raise AssertionError(f"{sorted(lma)}, {sorted(mags)} and {sorted(self.where)}; {alarms}")
        for mn, (index, mine) in mags.items():
            theirs = lma[mn]
            assert mine.access is not None
            assert (index, mine.access.link) == self.where[mn]
            assert theirs.phase is mine.phase is Phase.ACTIVE
            assert (theirs.gre, theirs.uplink_key, theirs.downlink_key) == (
                mine.gre,
                mine.uplink_key,
                mine.downlink_key,
            )
            assert (theirs.prefixes, theirs.ipv4) == (mine.prefixes, mine.ipv4)
            assert theirs.path.peer.address == MAGS[index]
            assert self.domain.mags[index].served.keys() >= {mine.session_id}


def without(sessions: dict[int, Session], waiting: set[int]) -> dict[int, Session]:
    """Those that nothing is asked for."""
    return {number: session for number, session in sessions.items() if number not in waiting}


def forwarding(bindings: Iterable[Binding], where: Context) -> dict[EntryKey, Entry]:
    """The entries of all of them; what several need must be the same for all."""
    found: dict[EntryKey, Entry] = {}
    for binding in bindings:
        for entry in entries(binding, where):
            assert found.setdefault(entry.key, entry) == entry, f"{binding}: {found[entry.key]} is not {entry}"
    return found


Histories.TestCase.settings = settings(
    max_examples=HISTORIES or 80,
    stateful_step_count=60,
    deadline=None,
    derandomize=not HISTORIES,
    suppress_health_check=list(HealthCheck),
)


@pytest.mark.requirement(
    "R5213-5.2-1", "R5213-5.3.2-2", "OUR-PENDING-2", "OUR-KEYS-5", "OUR-POOLS-1", "OUR-AGREE-1", "OUR-AGREE-2"
)
class TestHistories(Histories.TestCase):  # type: ignore[valid-type,misc]
    """Every one of them."""
