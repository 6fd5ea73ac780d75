"""The order of updates, and what packets meet while they are written one by one into a switch that runs the program."""

import itertools
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from random import Random

import pytest
from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import GRE, Ether
from tests.forwarding.samples import ANCHOR, GATEWAY, LMA, MAG_1, MAG_2, binding

from p4pmip.forwarding.base import base_entries
from p4pmip.forwarding.context import Context
from p4pmip.forwarding.entry import Entry
from p4pmip.forwarding.ledger import Delta, Ledger
from p4pmip.forwarding.ordering import order
from p4pmip.forwarding.session import entries
from p4pmip.forwarding.update import Operation, Update
from p4pmip.mobility.binding import Binding, Granularity, Gre, Phase, Role, Tunnel
from p4pmip.p4runtime.pipeline import Pipeline
from p4pmip.p4runtime.reader import Count
from p4pmip.p4runtime.session import Session
from p4pmip.p4runtime.target import Target
from p4pmip.softswitch import SoftSwitch

ABSENT = {"TUNNEL_PEER", "TUNNEL_KEY", "REALM_ADDRESS", "UNKNOWN_SOURCE", "NO_BINDING"}
"""What may become of a packet of a session that is not there: it does not get in."""


@pytest.mark.requirement("R5213-5.3.4-2", "R5213-5.3.4-3", "R5844-3.1.2.4-2")
def test_a_handover_is_one_modify_of_one_entry_between_inserts_and_deletes() -> None:
    ledger = Ledger()
    before = entries(binding(Role.LMA), ANCHOR)
    after = entries(binding(Role.LMA, tunnel=Tunnel(LMA, MAG_2), downlink_key=0x99), ANCHOR)
    ledger.change((), before)
    phases = order(ledger.change(before, after))
    assert [{update.operation.name for update in phase} for phase in phases] == [
        *[{"INSERT"}] * 2,
        {"MODIFY"},
        *[{"DELETE"}] * 2,
    ]
    modified = [update.entry for phase in phases for update in phase if update.operation is Operation.MODIFY]
    assert [entry.table for entry in modified] == ["session"]
    assert sum(len(phase) for phase in phases) == 3 + 1 + 3


def test_deleting_is_inserting_backwards() -> None:
    found = entries(binding(Role.MAG), GATEWAY)
    inserts = order(Delta(insert=found))
    deletes = order(Delta(delete=found))
    assert [[u.entry for u in phase] for phase in deletes] == [[u.entry for u in phase] for phase in inserts[::-1]]
    assert order(Delta()) == []


@dataclass(frozen=True, slots=True)
class Probe:
    """A packet and what becomes of it while the session is there."""

    port: int
    frame: Ether


HOST, HOST6 = "172.16.0.10", "2001:db8:ffff::1"
MN, MN6 = "10.0.0.1", "2001:db8:f1::5"
UP, DOWN = GRE(key_present=1, key=0x11), GRE(key_present=1, key=0x12)


def _to(port: int) -> Ether:
    return Ether(src="02:00:00:00:0a:01", dst=f"02:00:00:00:00:{port:02x}")


PROBES = {
    Role.LMA: (
        Probe(1, _to(1) / IPv6(src=str(MAG_1), dst=str(LMA)) / UP / IP(src=MN, dst=HOST) / UDP()),
        Probe(2, _to(2) / IPv6(src=str(MAG_2), dst=str(LMA)) / UP / IP(src=MN, dst=HOST) / UDP()),
        Probe(5, _to(5) / IP(src=HOST, dst=MN) / UDP()),
        Probe(5, _to(5) / IPv6(src=HOST6, dst=MN6) / UDP()),
    ),
    Role.MAG: (
        Probe(3, _to(3) / IP(src=MN, dst=HOST) / UDP()),
        Probe(3, _to(3) / IPv6(src=MN6, dst=HOST6) / UDP()),
        Probe(1, _to(1) / IPv6(src=str(LMA), dst=str(MAG_1)) / DOWN / IP(src=HOST, dst=MN) / UDP()),
    ),
}


class Bench:
    """A softswitch with the base entries of a context, to which updates go one at a time."""

    def __init__(self, switch: SoftSwitch, session: Session) -> None:
        self._switch = switch
        self._session = session
        self._left: list[tuple[int, bytes]] = []
        self._reasons: dict[int, Count] = {}
        for port in range(1, 7):
            switch.attach(port, lambda frame, port=port: self._left.append((port, frame)))  # type: ignore[misc]

    async def apply(self, updates: list[Update]) -> None:
        await self._session.writer.apply([updates])

    async def outcome(self, probe: Probe) -> object:
        """Where a packet left and as what, or the reason why it did not."""
        self._left.clear()
        self._switch.receive(probe.port, bytes(probe.frame))
        if self._left:
            return tuple(self._left)
        before, self._reasons = self._reasons, await self._session.counter("reasons")
        names = self._session.pipeline.schema.counter_index("reasons")
        (reason,) = (names[index] for index, count in self._reasons.items() if count != before.get(index, Count(0, 0)))
        return reason


@asynccontextmanager
async def bench(context: Context) -> AsyncIterator[Bench]:
    switch = SoftSwitch()
    async with switch.serve() as address, await Session.open(Target(address, 1, "s1"), Pipeline.packaged()) as session:
        found = Bench(switch, session)
        await found.apply([Update(Operation.INSERT, entry) for entry in base_entries(context)])
        yield found


def _states(role: Role) -> Iterator[tuple[str, list[Binding | None]]]:
    one = binding(role)
    yield "attach and detach", [None, one, None]
    if role is Role.LMA:
        other = replace(one, tunnel=Tunnel(LMA, MAG_2), downlink_key=0x99)
        yield "handover and back", [one, other, one]
        yield "held and revived elsewhere", [one, replace(one, phase=Phase.HELD), other]
    else:
        proposed = replace(one, phase=Phase.PROPOSED, prefixes=(), ipv4=None, uplink_key=None)
        yield "proposed, then accepted", [proposed, one]
        yield "new downlink key", [one, replace(one, downlink_key=0x55), one]
    for name, changes in {
        "key of the realm": {"granularity": Granularity.REALM},
        "no key": {"gre": Gre.MODE},
        "no GRE": {"gre": Gre.PLAIN},
    }.items():
        yield name, [None, replace(one, **changes), None]  # type: ignore[arg-type]
        yield f"to {name}", [one, replace(one, **changes), one]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("role", "states"),
    [pytest.param(role, states, id=f"{role.value}: {name}") for role in Role for name, states in _states(role)],
)
async def test_no_packet_meets_a_half_built_session(role: Role, states: list[Binding | None]) -> None:
    """After every single update, in any order within a phase, each packet fares as before or as after, or stays out."""
    context = ANCHOR if role is Role.LMA else GATEWAY
    wanted = [() if state is None else entries(state, context) for state in states]
    async with bench(context) as switch:
        await switch.apply([Update(Operation.INSERT, entry) for entry in wanted[0]])
        ledger = Ledger()
        ledger.change((), wanted[0])
        for step, (old, new) in enumerate(itertools.pairwise(wanted)):
            await _transition(switch, role, ledger, old, new, Random(step))


async def _transition(
    switch: Bench, role: Role, ledger: Ledger, old: tuple[Entry, ...], new: tuple[Entry, ...], random: Random
) -> None:
    seen: list[list[object]] = [[await switch.outcome(probe)] for probe in PROBES[role]]
    for phase in order(ledger.change(old, new)):
        for update in random.sample(phase, len(phase)):
            await switch.apply([update])
            for outcomes, probe in zip(seen, PROBES[role], strict=True):
                outcomes.append(await switch.outcome(probe))
    for outcomes in seen:
        before, after = outcomes[0], outcomes[-1]
        assert set(map(str, outcomes)) <= {str(before), str(after)} | ABSENT
        if before not in ABSENT and after not in ABSENT:
            # A session that goes on is never out of reach, and having moved it does not move back.
            switched = outcomes.index(after)
            assert outcomes == [before] * switched + [after] * (len(outcomes) - switched)


@pytest.mark.requirement("R5213-5.6.1-2")
async def test_bindings_of_one_realm_key_come_and_go_without_disturbing_each_other() -> None:
    one = binding(Role.LMA, granularity=Granularity.REALM)
    others = [replace(one, session_id=n, prefixes=(), ipv4=None) for n in range(2, 6)]
    async with bench(ANCHOR) as switch:
        ledger = Ledger()
        for phase in order(ledger.change((), entries(one, ANCHOR))):
            await switch.apply(phase)
        there = [await switch.outcome(probe) for probe in PROBES[Role.LMA]]
        for old, new in [((), entries(o, ANCHOR)) for o in others] + [(entries(o, ANCHOR), ()) for o in others]:
            for phase in order(ledger.change(old, new)):
                await switch.apply(phase)
                assert [await switch.outcome(probe) for probe in PROBES[Role.LMA]] == there
