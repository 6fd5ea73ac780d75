"""A domain under everything at once: loss, duplicates, reordering, moves, expiries, restarts, refusals, revocations.

Whatever happened, once it is quiet both ends agree on every session and its keys, no key identifies two sessions at
one end point, no prefix is held twice, and each switch and journal hold what their engine says they hold.
"""

import json
from collections import Counter
from random import Random

import pytest
from tests.mobility.domain import LMA, MAGS, Domain, Node, lma_config, lma_peers, mag_config, realms

from p4pmip.mobility.binding import Granularity, Gre, Phase
from p4pmip.mobility.config import GrePolicy, Peer
from p4pmip.mobility.dialects import Dialect
from p4pmip.mobility.lma import LocalMobilityAnchor
from p4pmip.mobility.mag import MobileAccessGateway
from p4pmip.mobility.record import Record
from p4pmip.mobility.session import Session

NODES = [b"%d@%s.example" % (number, realm) for realm in (b"a", b"b") for number in range(4)]


class Storm:
    """A domain and a random hand that shakes it."""

    def __init__(self, seed: int) -> None:
        self.random = random = Random(seed)
        dialect, other = random.choice(list(Dialect)), random.choice(list(Dialect))
        granularity = random.choice(list(Granularity))
        policy = realms(GrePolicy(Gre.KEYED, random.random() < 0.7), granularity=granularity, overlapping=True)
        self.lma_config = lma_config(
            peers=lma_peers(dialect=dialect), realms=policy, revoke_on_handoff=random.random() < 0.3, lifetime=120
        )
        self.mag_configs = [
            mag_config(address, Peer(LMA, dialect=other), realms=policy, lifetime=120) for address in MAGS
        ]
        self.domain = Domain(self.lma_config, *self.mag_configs, seed=seed)
        self.domain.loss = self.channel
        self.granularity = granularity
        self.where: dict[bytes, int] = {}
        self.quiet = False
        for node in (self.domain.lma, *self.domain.mags):
            node.refuse = lambda install: "full" if not self.quiet and random.random() < 0.15 else None

    def channel(self, send: object) -> list[float]:
        if self.quiet:
            return [self.domain.delay]
        roll = self.random.random()
        copies = 0 if roll < 0.25 else 2 if roll > 0.85 else 1
        return [self.random.choice((0.001, 0.005, 0.02, 0.2)) for _ in range(copies)]

    def step(self) -> None:
        random, domain = self.random, self.domain
        mn = random.choice(NODES)
        match random.choice(("move", "move", "leave", "time", "time", "slow", "restart", "revoke", "long")):
            case "move":
                self.move(mn, random.randrange(3))
            case "leave" if mn in self.where:
                domain.detach(self.where.pop(mn), mn)
            case "time":
                domain.run(random.random() * 3)
            case "long":
                domain.run(random.random() * 200)
            case "slow":
                node = random.choice((domain.lma, *domain.mags))
                node.hold = True
                domain.run(random.random() * 2)
                domain.release(node)
            case "restart":
                self.restart(random.choice((domain.lma, *domain.mags)))
            case "revoke":
                domain.anchor().revoke(mn, domain.now)
                domain.carry_out()
            case _:
                pass

    def move(self, mn: bytes, to: int) -> None:
        """The mobile node is at another MAG; the old one may notice late, or never until its own timers tell it."""
        came_from = self.where.get(mn)
        self.where[mn] = to
        self.domain.attach(to, mn, mac=NODES.index(mn) + 1)
        if came_from is not None and came_from != to:
            self.domain.run(self.random.choice((0.0, 0.1, 2.0)))
            self.domain.detach(came_from, mn)

    def restart(self, node: Node) -> None:
        rows = [Record(*json.loads(json.dumps((one.kind, one.key, one.payload)))) for one in node.journal.values()]
        engine: LocalMobilityAnchor | MobileAccessGateway
        seed = Random(self.random.random())
        if node is self.domain.lma:
            engine = LocalMobilityAnchor(self.lma_config, seed)
        else:
            engine = MobileAccessGateway(self.mag_configs[self.domain.mags.index(node)], seed)
        engine.restore(rows, self.domain.now, self.domain.utc)
        node.engine, node.held, node.served = engine, [], {}
        self.domain.carry_out()
        if node is not self.domain.lma:  # the access network finds out who is gone
            index = self.domain.mags.index(node)
            for session in list(engine.sessions()):
                if self.where.get(session.mn) != index:
                    self.domain.detach(index, session.mn)

    def calm(self) -> None:
        """No more loss, no more moods: every mobile node is where it is, and time passes."""
        self.quiet = True
        for _ in range(2):  # who is not served (after a revocation, say) solicits again
            for mn, mag in sorted(self.where.items()):
                self.domain.attach(mag, mn, mac=NODES.index(mn) + 1)
                self.domain.run(0.1)
            self.domain.run(20)
        self.domain.run(400)

    # --- what must hold ----------------------------------------------------------------------------------------------

    def check_always(self) -> None:
        lma = self.domain.anchor()
        for node in (self.domain.lma, *self.domain.mags):
            waiting = {install.session_id for install in node.held}
            settled = {session.session_id: session for session in node.engine.sessions()}
            assert {k: v for k, v in node.switch.items() if k not in waiting} == {
                k: v for k, v in settled.items() if k not in waiting
            }
            journalled = {int(key) for kind, key in node.journal if kind == "session"}
            assert journalled == set(node.switch)
            self.check_keys(list(node.engine.sessions()), node)
        prefixes = Counter(prefix for session in lma.sessions() for prefix in session.prefixes)
        assert all(count == 1 for count in prefixes.values())
        addresses = Counter((session.realm, session.ipv4) for session in lma.sessions() if session.ipv4 is not None)
        assert all(count == 1 for count in addresses.values())

    def check_keys(self, sessions: list[Session], node: Node) -> None:
        users: dict[int, set[object]] = {}
        for session in sessions:
            key = session.receive_key
            if key is not None:
                users.setdefault(key, set()).add(
                    session.session_id if self.granularity is Granularity.SESSION else session.realm
                )
        assert all(len(who) == 1 for who in users.values()), node

    def check_quiet(self) -> None:
        lma = {session.mn: session for session in self.domain.anchor().sessions()}
        assert set(lma) == set(self.where), "the LMA knows who is there, and nobody else"
        at_mags = {
            (session.mn, index): session
            for index in range(len(self.domain.mags))
            for session in self.domain.mag(index).sessions()
        }
        assert set(at_mags) == set(self.where.items())
        for (mn, index), mine in at_mags.items():
            theirs = lma[mn]
            assert theirs.phase is mine.phase is Phase.ACTIVE
            assert (theirs.gre, theirs.uplink_key, theirs.downlink_key) == (
                mine.gre,
                mine.uplink_key,
                mine.downlink_key,
            )
            assert (theirs.prefixes, theirs.ipv4) == (mine.prefixes, mine.ipv4)
            assert theirs.path.peer.address == MAGS[index]
            assert mine.session_id in self.domain.mags[index].served


@pytest.mark.requirement(
    "R5213-5.2-1", "R5213-5.3.2-2", "OUR-PENDING-2", "OUR-KEYS-5", "OUR-POOLS-1", "OUR-AGREE-1", "OUR-AGREE-2"
)
@pytest.mark.parametrize("seed", range(60))
def test_once_it_is_quiet_both_ends_agree(seed: int) -> None:
    storm = Storm(seed)
    for _ in range(60):
        storm.step()
        storm.check_always()
    storm.calm()
    storm.check_always()
    storm.check_quiet()
