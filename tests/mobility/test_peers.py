"""Heartbeats (RFC 5847), revocation (RFC 5846) and authentication (RFC 4285) between an LMA and its MAGs."""

from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address
from itertools import pairwise
from random import Random
from typing import Any

import pytest
from tests.mobility.crafted import Anchor, option, status
from tests.mobility.domain import LMA, MAGS, MN, UTC, Domain, link, lma_config, lma_peers, mag_config

from p4pmip.mobility.binding import Phase
from p4pmip.mobility.config import ConfigError, Directory, Peer, Profile
from p4pmip.mobility.endpoint import Endpoint
from p4pmip.mobility.heartbeat import announce
from p4pmip.mobility.lma import LocalMobilityAnchor
from p4pmip.mobility.ordering import from_ntp, ntp
from p4pmip.wire import options as o
from p4pmip.wire.authenticator import Algorithm, SecurityAssociation
from p4pmip.wire.message import (
    BindingAcknowledgement,
    BindingError,
    BindingRevocationAcknowledgement,
    BindingRevocationIndication,
    BindingUpdate,
    Heartbeat,
)
from p4pmip.wire.numbers import BindingAcknowledgementFlag, HeartbeatFlag, RevocationFlag

R, U = HeartbeatFlag.R, HeartbeatFlag.U
P, G, V = RevocationFlag.P, RevocationFlag.G, RevocationFlag.V


def beating(**changes: Any) -> Domain:
    anchor = lma_config(heartbeat_interval=60.0, restart_counter=3)
    return Domain(anchor, *(mag_config(one, heartbeat_interval=60.0, restart_counter=8, **changes) for one in MAGS[:2]))


def messages(domain: Domain, kind: type) -> list[Any]:
    return [send.message for send in domain.sent if isinstance(send.message, kind)]


# --- RFC 5847 --------------------------------------------------------------------------------------------------------


@pytest.mark.requirement("R5847-3-1", "R5847-3-2", "R5847-3.1-1", "R5847-3.2-3")
def test_peers_with_bindings_are_asked_and_answer() -> None:
    domain = beating()
    domain.run(200)
    assert not domain.sent  # nobody without a binding is asked
    domain.attach(0)
    domain.run(125)
    beats = messages(domain, Heartbeat)
    requests = [one for one in beats if not one.flags & R]
    responses = [one for one in beats if one.flags & R]
    assert len(requests) == len(responses) == 4
    assert {one.sequence for one in requests} == {one.sequence for one in responses}
    assert {option(one, o.RestartCounter).counter for one in responses} == {3, 8}
    assert all(peer.alive for node in (domain.lma, domain.mags[0]) for peer in node.engine.peers.values())


@pytest.mark.requirement("R5847-3-2")
def test_a_request_is_answered_without_bindings_too() -> None:
    lma = Anchor()
    (answer,) = lma.send(Heartbeat(HeartbeatFlag(0), 77))
    assert isinstance(answer, Heartbeat)
    assert (answer.flags, answer.sequence) == (R, 77)


@pytest.mark.requirement("R5847-3.1-2", "R5847-5-2")
def test_a_peer_that_misses_too_many_is_reported_once_and_may_come_back() -> None:
    domain = beating()
    domain.attach(0)
    domain.run(1)
    domain.loss = lambda send: [] if isinstance(send.message, Heartbeat) else [domain.delay]
    domain.run(4 * 60)
    assert not [alarm for alarm in domain.lma.alarms if alarm.name == "peer_unreachable"]
    domain.run(300)
    assert len([alarm for alarm in domain.lma.alarms if alarm.name == "peer_unreachable"]) == 1
    assert not domain.anchor().peers[MAGS[0]].alive
    domain.loss = None
    domain.run(120)
    assert domain.anchor().peers[MAGS[0]].alive
    assert len(list(domain.anchor().sessions())) == 1


@pytest.mark.requirement("R5845-3.3.2-2", "R5847-3-4", "R5847-3.2-4")
def test_an_lma_that_lost_its_bindings_is_registered_with_anew() -> None:
    domain = beating()
    domain.attach(0)
    domain.run(130)
    before = next(domain.anchor().sessions())
    lost = lma_config(heartbeat_interval=60.0, restart_counter=4)
    fresh = Domain(lost, seed=9).lma
    domain.lma.engine, domain.lma.switch = fresh.engine, {}
    domain.lma.journal.clear()
    domain.run(130)
    after = next(domain.anchor().sessions())
    assert after.prefixes == before.prefixes
    assert next(domain.mag(0).sessions()).uplink_key == after.uplink_key != before.uplink_key
    assert "peer_restarted" in [alarm.name for alarm in domain.mags[0].alarms]


@pytest.mark.requirement("R5847-3-4", "R5847-3.2-4")
def test_the_sessions_of_a_mag_that_lost_them_are_held() -> None:
    lma = Anchor()
    lma.ask()

    def counter(value: int) -> Heartbeat:
        return Heartbeat(U | R, 0, (o.RestartCounter(value),))

    lma.send(counter(8))
    assert lma.only().phase is Phase.ACTIVE
    lma.send(counter(8))
    assert lma.only().phase is Phase.ACTIVE
    lma.send(counter(9))
    assert lma.only().phase is Phase.HELD
    assert lma.alarms == ["peer_restarted"]
    assert status(lma.ask()) == 0
    assert lma.only().phase is Phase.ACTIVE


@pytest.mark.requirement("R5847-3.2-5")
def test_a_node_that_lost_its_bindings_says_so_unasked() -> None:
    domain = beating()
    announce(domain.anchor())
    domain.carry_out()
    assert [(one.flags, option(one, o.RestartCounter).counter) for one in messages(domain, Heartbeat)] == [
        (U | R, 3)
    ] * 3


@pytest.mark.requirement("R5847-3-3")
def test_a_peer_that_does_not_know_heartbeats_is_not_asked_again() -> None:
    lma = Anchor(heartbeat_interval=60.0)
    lma.ask()
    assert len(lma.wait(61)) == 1
    lma.send(BindingError(2, IPv6Address(0)))
    assert lma.outcomes[-1] == "peer_without_heartbeats"
    assert not lma.wait(600)


@pytest.mark.requirement("R5847-4-1")
def test_over_ipv4_heartbeats_go_where_the_pbus_go() -> None:
    mag, own = Endpoint(IPv4Address("192.0.2.1"), 40000), Endpoint(IPv4Address("192.0.2.9"), 5436)
    lma = Anchor(peers=(Peer(mag.address),), heartbeat_interval=60.0)
    lma.ask(mag, destination=own)
    (request,) = lma.wait(61)
    assert isinstance(request, Heartbeat)
    assert (lma.sent[-1].source, lma.sent[-1].destination) == (own, mag)
    lma.send(Heartbeat(HeartbeatFlag(0), 7), mag, own)
    assert (lma.sent[-1].source, lma.sent[-1].destination) == (own, mag)


@pytest.mark.requirement("R5847-3.1-1")
def test_an_unmatched_response_says_nothing() -> None:
    lma = Anchor()
    lma.send(Heartbeat(R, 5, (o.RestartCounter(9),)))
    assert lma.outcomes == ["ignored_unmatched_response"]
    assert lma.engine.peers[MAGS[0]].counter is None


# --- RFC 5846 --------------------------------------------------------------------------------------------------------


@pytest.mark.requirement(
    "R5846-5.1-3",
    "R5846-5.1-4",
    "R5846-5.1-5",
    "R5846-6.1.1-1",
    "R5846-6.1.1-3",
    "R5846-6.1.2-4",
    "R5846-6.2.2-2",
    "R5846-8.1-1",
    "R5846-8.1-2",
    "R5846-8.1-3",
)
def test_an_lma_ends_a_session() -> None:
    domain = Domain()
    domain.attach(0)
    domain.run()
    (session,) = domain.anchor().sessions()
    assert domain.anchor().revoke(MN, domain.now) == 1
    domain.run()
    (indication,) = messages(domain, BindingRevocationIndication)
    (answer,) = messages(domain, BindingRevocationAcknowledgement)
    assert (indication.flags, indication.trigger) == (P, 1)
    assert option(indication, o.MobileNodeIdentifier).identifier == MN
    assert option(indication, o.HomeNetworkPrefix).address == session.binding.prefixes[0].network_address
    assert (answer.status, answer.sequence, answer.flags) == (0, indication.sequence, P)
    assert not domain.lma.switch
    assert not domain.mags[0].switch
    assert not domain.mags[0].served
    assert [one.lifetime for one in messages(domain, BindingUpdate)] == [900]  # no de-registration


@pytest.mark.requirement("R5846-6.3-1", "R5846-6.3-3", "R5846-8.1-6")
def test_an_indication_is_repeated_and_then_given_up() -> None:
    domain = Domain()
    domain.attach(0)
    domain.run()
    domain.loss = lambda send: []
    domain.anchor().revoke(MN, domain.now)
    domain.run(1.5)
    assert len(messages(domain, BindingRevocationIndication)) == 2
    assert domain.lma.switch
    domain.run(3)
    one, two = messages(domain, BindingRevocationIndication)
    assert one.sequence == two.sequence
    assert not domain.lma.switch
    assert domain.lma.engine.counters["revocation_unanswered"] == 1


@pytest.mark.requirement("R5846-6.1.1-3", "R5846-8.1-7")
def test_the_mag_that_was_left_is_told_if_so_configured() -> None:
    domain = Domain(lma_config(revoke_on_handoff=True))
    domain.attach(0)
    domain.run()
    domain.attach(1, indicator=3)
    domain.run()
    (indication,) = messages(domain, BindingRevocationIndication)
    assert indication.trigger == 2
    assert not domain.mags[0].switch
    assert domain.mags[1].served
    assert len(domain.lma.switch) == 1


def test_a_mag_that_de_registers_while_the_handoff_is_pending_is_answered_and_not_told() -> None:
    domain = Domain(lma_config(revoke_on_handoff=True))
    domain.attach(0)
    domain.run()
    domain.lma.hold = True
    domain.attach(1, indicator=3)
    domain.detach(0)
    domain.run(0.1)
    domain.sent.clear()
    domain.release(domain.lma)
    domain.run(10)
    assert [(send.destination.address, send.message.status, send.message.lifetime) for send in domain.sent] == [  # type: ignore[union-attr]
        (MAGS[1], 0, 900),
        (MAGS[0], 0, 0),
    ]
    assert not domain.mags[0].switch
    (session,) = domain.anchor().sessions()
    assert (session.path.peer.address, session.phase) == (MAGS[1], Phase.ACTIVE)


def test_a_mag_that_has_de_registered_is_not_told_again() -> None:
    domain = Domain(lma_config(revoke_on_handoff=True))
    domain.attach(0)
    domain.run()
    domain.loss = lambda send: [] if isinstance(send.message, BindingRevocationIndication) else [0.005]
    domain.attach(1, indicator=3)
    domain.run(0.5)
    domain.detach(0)
    domain.run(10)
    assert len(messages(domain, BindingRevocationIndication)) == 1
    assert not domain.lma.engine.revocations
    assert domain.lma.engine.counters["revocation_unanswered"] == 0
    assert len(domain.lma.switch) == 1


@pytest.mark.requirement("R5846-6.2.2-3", "R5846-8.1-10", "R5846-8.1-12", "R5846-9.1-4")
def test_a_mag_that_still_has_the_node_keeps_it() -> None:
    domain = Domain(lma_config(revoke_on_handoff=True))
    domain.attach(0, mac=1)
    domain.run()
    domain.attach(1, mac=2, indicator=4)
    domain.run(3)
    (answer,) = messages(domain, BindingRevocationAcknowledgement)
    assert answer.status == 132
    assert domain.mags[0].served
    assert len(domain.lma.switch) == 2  # two interfaces after all


def ask_mag(message: BindingRevocationIndication, **peer: Any) -> tuple[int | None, Domain]:
    domain = Domain(lma_config(), mag_config(MAGS[0], Peer(LMA, **peer)))
    domain.attach(0)
    domain.run()
    local = domain.anchor().peers[MAGS[0]]
    assert local.local is not None
    domain.anchor().send(message, local.local, local.remote, local)
    domain.run()
    answers = messages(domain, BindingRevocationAcknowledgement)
    return (int(answers[-1].status) if answers else None), domain


SECRET = SecurityAssociation(300, b"0123456789abcdef")
OTHER = SecurityAssociation(300, b"fedcba9876543210")
NAI = o.MobileNodeIdentifier.nai(MN)
NAI_OF_A = o.MobileNodeIdentifier.nai(b"@a.example")
NAI_OF_B = o.MobileNodeIdentifier.nai(b"@b.example")


@pytest.mark.requirement(
    "R5846-5.1-4",
    "R5846-6.1.2-2",
    "R5846-6.2.1-1",
    "R5846-6.2.1-2",
    "R5846-6.2.1-3",
    "R5846-6.2.1-4",
    "R5846-9.1-1",
    "R5846-9.1-2",
    "R5846-9.1-3",
    "R5846-9.1-4",
    "R5846-9.1-6",
    "R5846-9.1-7",
    "R5846-9.1-8",
)
@pytest.mark.parametrize(
    ("flags", "trigger", "options", "peer", "expected"),
    [
        (P, 1, (NAI,), {}, 0),
        (P, 1, (o.MobileNodeIdentifier.nai(b"other@a.example"),), {}, 128),
        (P, 1, (NAI, o.HomeNetworkPrefix(IPv6Address("2001:db8:1::"), 64)), {}, 128),
        (P, 1, (), {}, 131),
        (P, 1, (o.MobileNodeIdentifier(3, MN),), {}, 131),
        (P, 2, (NAI,), {}, 0),
        (P, 4, (NAI,), {}, 132),
        (P, 99, (NAI,), {}, 133),
        (P, 129, (NAI,), {}, 134),
        (P | V, 1, (NAI,), {}, 129),
        (P | V, 1, (NAI, o.IPv4HomeAddressRequest(IPv4Address("10.1.9.9"), 16)), {}, 128),
        (P | G, 1, (), {}, 134),
        (P | G, 128, (), {}, 0),
        (P | G, 128, (NAI,), {}, 134),
        (P | G, 129, (), {}, 131),
        (P | G, 129, (NAI_OF_B,), {}, 131),
        (P | G, 129, (o.MobileNodeIdentifier.nai(b"a.example"),), {}, 131),
        (P | G, 129, (NAI_OF_A,), {}, 0),
        (RevocationFlag(0), 1, (NAI,), {}, 128),
    ],
)
def test_how_a_mag_answers_an_indication(
    flags: RevocationFlag, trigger: int, options: tuple[o.Option, ...], peer: dict[str, Any], expected: int | None
) -> None:
    message = BindingRevocationIndication(trigger, 9, flags, options)
    code, domain = ask_mag(message, **peer)
    assert code == expected
    assert bool(domain.mags[0].switch) == (expected != 0)


@pytest.mark.requirement("R5846-9.1-5")
def test_the_ipv4_home_address_alone_can_be_revoked() -> None:
    message = BindingRevocationIndication(1, 9, P | V, (NAI, o.IPv4HomeAddressRequest(IPv4Address("10.1.0.2"), 16)))
    code, domain = ask_mag(message)
    assert code == 0
    (session,) = domain.mags[0].switch.values()
    assert session.ipv4 is None
    assert session.prefixes


@pytest.mark.requirement("R5846-5.1-4", "R5846-6.2.2-3", "R5846-8.2-2", "R5846-9.2-1", "R5846-9.2-2", "R5846-9.2-4")
@pytest.mark.parametrize("allowed", [True, False])
def test_a_mag_ends_everything_if_it_may(allowed: bool) -> None:
    domain = Domain(lma_config(peers=lma_peers(global_revocation=allowed)), mag_config(MAGS[0], identity=b"mag1"))
    for number in range(3):
        domain.attach(0, b"%d@a.example" % number, mac=number)
    domain.run()
    assert domain.mag(0).revoke_peer(LMA, domain.now) == 3
    domain.run()
    (answer,) = messages(domain, BindingRevocationAcknowledgement)
    assert answer.status == (0 if allowed else 130)
    assert len(domain.lma.switch) == len(domain.mags[0].switch) == (0 if allowed else 3)
    (indication,) = messages(domain, BindingRevocationIndication)
    assert (indication.flags, indication.trigger) == (P | G, 128)
    assert option(indication, o.MobileNodeIdentifier).identifier == b"mag1"
    if not allowed:
        assert [alarm.name for alarm in domain.mags[0].alarms] == ["revocation_refused"]
        assert domain.mag(0).revoke_peer(LMA, domain.now) == 0
        domain.mag(0).forget_refusals()
        assert domain.mag(0).revoke_peer(LMA, domain.now) == 3


@pytest.mark.requirement("R5846-9.2-3")
def test_a_mag_repeats_its_indication() -> None:
    domain = Domain(lma_config(), mag_config(MAGS[0], identity=b"mag1"))
    domain.attach(0)
    domain.run()
    domain.loss = lambda send: []
    domain.mag(0).revoke_peer(LMA, domain.now)
    domain.run(10)
    assert len(messages(domain, BindingRevocationIndication)) == 2
    assert not domain.mags[0].switch


@pytest.mark.requirement("R5846-6.3-2", "R5846-11-1")
def test_indications_back_off() -> None:
    lma = Anchor(bri_max_retries=4)
    lma.ask()
    lma.engine.revoke(MN, lma.now)
    lma.settle()
    times = []
    while lma.sessions():
        if lma.wait(0.5):
            times.append(lma.now - 0.01)
    assert [round(after - before) for before, after in pairwise([0.0, *times])] == [1, 2, 2, 2]
    with pytest.raises(ConfigError, match="too short"):
        lma_config(init_min_delay_bris=0.4)


@pytest.mark.requirement("R5846-8.1-9")
def test_an_indication_names_all_prefixes() -> None:
    lma = Anchor(directory=Directory(domains={b"a.example": Profile("operator-a", prefix_count=3)}))
    lma.ask()
    lma.engine.revoke(MN, lma.now)
    (indication,) = lma.settle()
    named = [one for one in indication.options if isinstance(one, o.HomeNetworkPrefix)]  # type: ignore[union-attr]
    assert {one.address for one in named} == {prefix.network_address for prefix in lma.only().binding.prefixes}
    assert len(named) == 3


@pytest.mark.requirement("R5846-8.1-10", "R5846-8.1-11")
@pytest.mark.parametrize("answered", [0, 128])
def test_a_mag_that_lost_the_node_says_so(answered: int) -> None:
    lma = Anchor(revoke_on_handoff=True)
    lma.ask(0)
    before = lma.only()
    assert lma.ask(1, hi=4, ll=b"\2\0\0\0\0\7") is None
    indication = lma.sent[-1].message
    assert isinstance(indication, BindingRevocationIndication)
    assert (indication.trigger, lma.sent[-1].destination.address) == (4, MAGS[0])
    answers = lma.send(BindingRevocationAcknowledgement(answered, indication.sequence, P))
    assert [status(one) for one in answers] == [0]  # type: ignore[arg-type]
    assert lma.only().prefixes == before.prefixes
    assert lma.only().path.peer.address == MAGS[1]


@pytest.mark.requirement("R5846-6.1-1", "R5846-6.2-2")
def test_revocation_is_signed_as_registration_is() -> None:
    domain = secured(SECRET, SECRET)
    domain.anchor().revoke(MN, domain.now)
    domain.run()
    assert not domain.mags[0].switch
    for send in domain.sent[-2:]:
        assert isinstance(send.message, BindingRevocationIndication | BindingRevocationAcknowledgement)
        assert bytes((9, 17, 1, 0, 0, 1, 44)) in send.octets


@pytest.mark.requirement("R5846-6.1.1-2", "R5846-8.1-4", "R5846-9.1-1")
def test_an_lma_ends_everything_of_a_mag() -> None:
    domain = Domain()
    domain.attach(0)
    domain.attach(1, b"2@a.example", mac=2)
    domain.run()
    assert domain.anchor().revoke_peer(MAGS[0], domain.now) == 1
    domain.run()
    assert not domain.mags[0].switch
    assert [session.mn for session in domain.lma.switch.values()] == [b"2@a.example"]


@pytest.mark.requirement("R5846-6.1.1-2", "R5846-8.1-8", "R5846-9.1-2")
def test_an_lma_ends_the_sessions_of_one_domain_at_a_mag() -> None:
    domain = Domain()
    for number, mn in enumerate((b"1@a.example", b"2@b.example", b"3@a.example")):
        domain.attach(0, mn, mac=number)
    domain.attach(1, b"4@a.example", mac=9)
    domain.run()
    assert domain.anchor().revoke_realm(MAGS[0], b"a.example", domain.now) == 2
    domain.run()
    (indication,) = messages(domain, BindingRevocationIndication)
    assert (indication.flags, indication.trigger) == (P | G, 129)
    assert option(indication, o.MobileNodeIdentifier) == NAI_OF_A
    assert [session.mn for session in domain.mags[0].switch.values()] == [b"2@b.example"]
    assert sorted(session.mn for session in domain.lma.switch.values()) == [b"2@b.example", b"4@a.example"]


@pytest.mark.requirement("R5846-5.1-5", "R5846-6.1.1-4", "R5846-8.1-13")
def test_an_lma_ends_an_ipv4_home_address_alone() -> None:
    domain = Domain()
    domain.attach(0)
    domain.run()
    address = next(domain.anchor().sessions()).binding.ipv4
    assert domain.anchor().revoke(MN, domain.now, trigger=5, ipv4_only=True) == 1
    domain.run()
    (indication,) = messages(domain, BindingRevocationIndication)
    assert (indication.flags, indication.trigger) == (P | V, 5)
    assert option(indication, o.IPv4HomeAddressRequest).address == address.ip  # type: ignore[union-attr]
    assert option(indication, o.HomeNetworkPrefix) is None
    for node in (domain.lma, domain.mags[0]):
        (session,) = node.switch.values()
        assert session.ipv4 is None
        assert session.prefixes
    assert not domain.anchor().cache.ipv4["operator-a"]


@pytest.mark.requirement("R5846-8.1-3")
def test_a_session_without_prefixes_is_named_by_its_ipv4_home_address() -> None:
    lma = Anchor()
    lma.ask(prefixes=(), ipv4="0.0.0.0")
    lma.engine.revoke(MN, lma.now)
    (indication,) = lma.settle()
    assert isinstance(indication, BindingRevocationIndication)
    assert indication.flags == P | V
    assert option(indication, o.IPv4HomeAddressRequest).address == IPv4Address("10.1.0.2")
    lma.send(BindingRevocationAcknowledgement(0, indication.sequence, P | V))
    assert not lma.sessions()


@pytest.mark.requirement("R5846-5.1-6", "R5846-8.1-5")
def test_an_indication_names_a_care_of_address_that_is_not_where_it_goes() -> None:
    tunnel = IPv6Address("2001:db8:0:2::77")
    lma = Anchor()
    lma.ask(care_of=tunnel)
    lma.engine.revoke(MN, lma.now)
    (indication,) = lma.settle()
    assert option(indication, o.AlternateCareOfAddress).address == tunnel
    assert lma.sent[-1].destination.address == MAGS[0]


@pytest.mark.requirement("R5846-4-1")
def test_over_ipv4_an_indication_goes_where_the_pbus_come_from() -> None:
    mag, own = Endpoint(IPv4Address("192.0.2.1"), 40000), Endpoint(IPv4Address("192.0.2.9"), 5436)
    lma = Anchor(peers=(Peer(mag.address),))
    lma.ask(mag, destination=own)
    lma.engine.revoke(MN, lma.now)
    lma.settle()
    assert (lma.sent[-1].source, lma.sent[-1].destination) == (own, mag)


@pytest.mark.requirement("R5846-5.1-1")
def test_outstanding_indications_have_different_numbers() -> None:
    lma = Anchor()
    for number in range(3):
        lma.ask(mn=b"%d@a.example" % number)
    for number in range(3):
        lma.engine.revoked = 41  # as if 65,535 others had been sent between
        lma.engine.revoke(b"%d@a.example" % number, lma.now)
    sequences = [one.sequence for one in lma.settle() if isinstance(one, BindingRevocationIndication)]
    assert sequences == [42, 43, 44]


def ask_lma(message: BindingRevocationIndication, **peer: Any) -> tuple[int | None, Anchor]:
    lma = Anchor(peers=lma_peers(**peer))
    lma.ask(0, ipv4="0.0.0.0")
    lma.ask(0, ll=b"\2\0\0\0\0\7", att=4, hi=1)
    lma.ask(0, mn=OTHER_MN, care_of=IPv6Address("2001:db8:0:2::77"))
    lma.ask(1, mn=b"far@a.example")
    answers = lma.send(message)
    assert all(isinstance(one, BindingRevocationAcknowledgement) for one in answers)
    if answers:
        assert answers[0].sequence == message.sequence  # type: ignore[union-attr]
        assert answers[0].flags == message.flags  # type: ignore[union-attr]
    return (int(answers[0].status) if answers else None), lma  # type: ignore[union-attr]


OTHER_MN = b"other@a.example"
IDENTITY = o.MobileNodeIdentifier.nai(b"mag1")
CARE_OF = o.AlternateCareOfAddress(IPv6Address("2001:db8:0:2::77"))
ALLOWED = {"global_revocation": True}


@pytest.mark.requirement(
    "R5846-5.1-6",
    "R5846-5.2-1",
    "R5846-6.1.2-2",
    "R5846-6.1.2-4",
    "R5846-6.2.1-1",
    "R5846-6.2.1-2",
    "R5846-6.2.1-3",
    "R5846-6.2.1-4",
    "R5846-8.2-1",
    "R5846-8.2-2",
    "R5846-8.2-3",
    "R5846-8.2-4",
    "R5846-8.2-5",
    "R5846-8.2-6",
    "R5846-13-1",
)
@pytest.mark.parametrize(
    ("flags", "trigger", "options", "peer", "expected", "left"),
    [
        (P, 1, (NAI,), {}, 0, 2),
        (P, 1, (NAI, o.HomeNetworkPrefix(IPv6Address("2001:db8:a000:1::"), 64)), {}, 0, 3),
        (
            P,
            1,
            (NAI, *(o.HomeNetworkPrefix(IPv6Address(f"2001:db8:a000:{number}::"), 64) for number in (0, 1))),
            {},
            0,
            2,
        ),
        (P, 1, (NAI, o.HomeNetworkPrefix(IPv6Address("2001:db8:a000:2::"), 64)), {}, 128, 4),
        (P, 1, (o.MobileNodeIdentifier.nai(b"far@a.example"),), {}, 128, 4),
        (P, 1, (o.MobileNodeIdentifier.nai(b"nobody@a.example"),), {}, 128, 4),
        (P, 1, (), {}, 131, 4),
        (P, 77, (NAI,), {}, 133, 4),
        (P, 128, (NAI,), {}, 134, 4),
        (P | V, 1, (NAI,), {}, 129, 4),
        (P | V, 1, (NAI, o.IPv4HomeAddressRequest(IPv4Address("10.1.0.2"), 16)), {}, 0, 4),
        (P | V, 1, (NAI, o.IPv4HomeAddressRequest(IPv4Address("10.1.0.9"), 16)), {}, 128, 4),
        (P | G, 128, (IDENTITY,), {}, 130, 4),
        (P | G, 128, (), ALLOWED, 130, 4),
        (P | G, 128, (IDENTITY,), ALLOWED, 0, 1),
        (P | G, 128, (IDENTITY, CARE_OF), ALLOWED, 0, 3),
        (P | G, 129, (NAI_OF_A,), ALLOWED, 134, 4),
        (P | G, 3, (IDENTITY,), ALLOWED, 134, 4),
        (G, 128, (IDENTITY,), ALLOWED, 128, 4),
        (RevocationFlag(0), 1, (NAI,), {}, 128, 4),
    ],
)
def test_how_an_lma_answers_an_indication(
    flags: RevocationFlag, trigger: int, options: tuple[o.Option, ...], peer: dict[str, Any], expected: int, left: int
) -> None:
    code, lma = ask_lma(BindingRevocationIndication(trigger, 9, flags, options), **peer)
    assert code == expected
    assert len(lma.sessions()) == left
    if flags & V:
        assert [session.ipv4 is None for session in lma.sessions()][:1] == [expected == 0]


@pytest.mark.requirement("R5846-8.2-5")
def test_an_indication_that_waits_for_a_change_is_carried_out_after_it() -> None:
    lma = Anchor()
    lma.ask(ipv4="0.0.0.0")
    lma.hold = True
    lma.ask(hi=5, ipv4="10.1.0.2")
    lma.send(
        BindingRevocationIndication(1, 9, P | V, (NAI, o.IPv4HomeAddressRequest(IPv4Address("10.1.0.2"), 16))),
    )
    assert lma.only().ipv4 is not None
    lma.hold = False
    lma.answer()
    assert lma.only().ipv4 is None
    assert lma.only().prefixes


@pytest.mark.requirement("R5846-6.1-1", "R5846-6.1.2-1", "R5846-6.1.2-3", "R5846-6.2-2")
def test_an_indication_that_is_not_signed_where_it_must_be_is_dropped() -> None:
    lma = Anchor(peers=lma_peers(security=SECRET))
    assert not lma.send(BindingRevocationIndication(1, 9, P, (NAI,)))
    assert lma.outcomes == ["ignored_not_authentic"]
    stranger = Endpoint(IPv6Address("ff02::1"))
    assert not Anchor().send(BindingRevocationIndication(1, 9, P, (NAI,)), stranger)


@pytest.mark.requirement("R5846-6.2.2-1")
def test_an_acknowledgement_that_matches_nothing_is_ignored() -> None:
    lma = Anchor()
    lma.send(BindingRevocationAcknowledgement(0, 5, P))
    assert lma.outcomes == ["ignored_unmatched"]


def test_a_peer_without_revocation_is_found_out() -> None:
    lma = Anchor()
    lma.ask()
    lma.engine.revoke(MN, lma.now)
    assert len(lma.settle()) == 1
    lma.send(BindingError(2, IPv6Address(0)))
    assert not lma.sessions()
    assert not lma.engine.peers[MAGS[0]].revocation
    lma.ask()
    lma.engine.revoke(MN, lma.now)
    assert not lma.settle()
    assert not lma.sessions()


# --- RFC 4285 --------------------------------------------------------------------------------------------------------


def secured(mag: SecurityAssociation | None, lma: SecurityAssociation | None, **changes: Any) -> Domain:
    peer = Peer(LMA, security=mag, replay_protection=changes.pop("send_replay", False))
    anchor = lma_config(peers=lma_peers(security=lma, **changes), tunnel=(IPv6Address("2001:db8:0:1::77"),))
    tunnel = (IPv6Address("2001:db8:0:2::77"),)
    domain = Domain(anchor, mag_config(MAGS[0], peer, tunnel=tunnel))
    domain.attach(0)
    domain.run()
    return domain


@pytest.mark.requirement(
    "R5213-4-1",
    "R5213-5.3.1-1",
    "R5213-6.9.1.2-1",
    "R4285-5-1",
    "R4285-5.1-1",
    "R4285-5.1-3",
    "R4285-5.1.1-1",
    "R4285-5.1.1-2",
)
@pytest.mark.parametrize("algorithm", list(Algorithm))
def test_signed_both_ways(algorithm: Algorithm) -> None:
    association = replace(SECRET, algorithm=algorithm)
    domain = secured(association, association)
    assert domain.mags[0].served
    for message in (*messages(domain, BindingUpdate), *messages(domain, BindingAcknowledgement)):
        assert option(message, o.Authentication) is None  # the octets have it
    for send in domain.sent:
        assert bytes((9, 5 + algorithm.size, 1, 0, 0, 1, 44)) in send.octets


@pytest.mark.requirement(
    "R5213-4-1", "R5213-5.3.1-1", "R4285-5-2", "R4285-5.1.1-3", "R4285-5.1.1-4", "R4285-5.1.1-5", "R7389-7-1"
)
@pytest.mark.parametrize(
    ("mag", "lma", "code", "outcome"),
    [
        (OTHER, SECRET, 146, "status_146"),
        (None, SECRET, None, "ignored_not_authentic"),
        (replace(SECRET, spi=301), SECRET, None, "ignored_not_authentic"),
        (SECRET, None, None, "ignored_not_authentic"),
    ],
)
def test_what_is_not_authentic_gets_nothing(
    mag: SecurityAssociation | None, lma: SecurityAssociation | None, code: int | None, outcome: str
) -> None:
    domain = secured(mag, lma)
    assert not domain.lma.switch
    assert not domain.mags[0].served
    assert domain.statuses() == ({} if code is None else {code: 1})
    assert domain.lma.engine.counters[outcome] == 1


@pytest.mark.requirement("R5213-6.9.1.2-1", "R4285-5.1.1-3", "R4285-6-9")
def test_a_forged_refusal_does_not_stop_a_mag() -> None:
    domain = Domain(lma_config(), mag_config(MAGS[0], Peer(LMA, security=SECRET)))
    domain.loss = lambda send: []
    domain.attach(0)
    update = messages(domain, BindingUpdate)[-1]
    forged = BindingAcknowledgement(
        152,
        BindingAcknowledgementFlag.P,
        update.sequence,
        0,
        tuple(one for one in update.options if not isinstance(one, o.GreKey)),
    )
    local = domain.anchor().peers[MAGS[0]]
    assert local.local is not None
    domain.loss = None
    domain.anchor().send(forged, local.local, local.remote, local)
    domain.run(2)
    assert domain.mags[0].engine.counters["ignored_not_authentic"] == 1
    assert len(messages(domain, BindingUpdate)) >= 2


def protected(**changes: Any) -> Domain:
    """A MAG and an LMA that sign, with replay protection, by sequence numbers alone."""
    peer = Peer(LMA, security=SECRET, replay_protection=True)
    peers = lma_peers(security=SECRET, replay_protection=True)
    return Domain(lma_config(peers=peers, **changes), mag_config(MAGS[0], peer, timestamp_based_approach_in_use=False))


def deliver(domain: Domain, octets: bytes) -> None:
    """Hand the LMA a PBU that was seen before."""
    domain.anchor().receive(octets, Endpoint(MAGS[0]), Endpoint(LMA), domain.now, domain.utc)
    domain.run(0.1)


def replays(domain: Domain, kind: type) -> list[int]:
    return [option(one, o.ReplayProtection).timestamp for one in messages(domain, kind)]


@pytest.mark.requirement("R4285-4-2", "R4285-6-1", "R4285-6-3", "R4285-6-4", "R4285-6-5", "R4285-6-7")
def test_replay_protection_is_echoed_and_every_stamp_is_newer() -> None:
    domain = protected()
    domain.attach(0)
    domain.run(4000)
    sent = replays(domain, BindingUpdate)
    assert replays(domain, BindingAcknowledgement) == sent
    assert len(sent) == 2
    assert sent == sorted(set(sent))
    assert abs(from_ntp(sent[0]) - UTC) < 0.001
    assert domain.statuses() == {0: 2}


@pytest.mark.requirement("R4285-6-4")
def test_the_bits_that_no_clock_has_are_random() -> None:
    low = [ntp(UTC, noise) - ntp(UTC) for noise in range(2048)]
    assert low == list(range(2048))
    domain = protected()
    for number in range(8):
        domain.attach(0, b"%d@a.example" % number, mac=number)
    assert len({stamp & 2047 for stamp in replays(domain, BindingUpdate)}) > 2


@pytest.mark.requirement("R4285-6-2")
def test_a_pbu_without_replay_protection_is_145() -> None:
    assert secured(SECRET, SECRET, replay_protection=True).statuses() == {145: 1}


@pytest.mark.requirement("R4285-6-6", "R4285-6-7", "R4285-6-8")
def test_stamps_that_are_off_or_not_newer_are_144_with_the_seconds_of_the_lma() -> None:
    domain = protected()
    domain.attach(0)
    domain.run(0.1)
    octets = domain.sent[0].octets
    before = domain.lma.switch.copy()
    deliver(domain, octets)
    assert domain.statuses() == {0: 1, 144: 1}
    assert domain.lma.switch == before
    domain.now += 60
    deliver(domain, octets)
    assert domain.statuses()[144] == 2
    stamp, refused = replays(domain, BindingUpdate)[0], replays(domain, BindingAcknowledgement)[-1]
    assert refused & 0xFFFFFFFF == stamp & 0xFFFFFFFF
    assert (refused >> 32) - (stamp >> 32) == 60


@pytest.mark.requirement("R4285-6-6", "OUR-RESTART-1")
@pytest.mark.parametrize("restart", [False, True])
def test_a_replay_does_not_bring_back_a_session_that_was_revoked(restart: bool) -> None:
    domain = protected(min_delay_before_bce_delete=0.0)
    domain.attach(0)
    domain.run(0.1)
    domain.anchor().revoke(MN, domain.now)
    domain.run(1)
    assert not domain.lma.switch
    if restart:
        rows = list(domain.lma.journal.values())
        domain.lma.engine = LocalMobilityAnchor(domain.anchor().config, Random(3))
        domain.lma.engine.restore(rows, domain.now, domain.utc)
    deliver(domain, domain.sent[0].octets)
    assert not domain.lma.switch
    assert [one.status for one in messages(domain, BindingAcknowledgement)] == [0, 144]
    domain.now += 7
    deliver(domain, domain.sent[0].octets)
    assert not domain.lma.switch  # too old by now
    assert not domain.anchor()._stamps


@pytest.mark.requirement("R4285-6-9", "R4285-6-10")
def test_a_mag_adjusts_what_it_sends_to_the_clock_of_the_lma() -> None:
    domain = protected()
    domain.mag(0).attach(MN, link(1, 1), 0.0, domain.utc - 100)
    domain.carry_out()
    mine = domain.mag(0)
    domain.flying.clear()
    deliver(domain, domain.sent[0].octets)
    answer = domain.sent[1]
    assert answer.message.status == 144  # type: ignore[union-attr]
    mine.receive(answer.octets, answer.source, answer.destination, domain.now, domain.utc - 100)
    domain.carry_out()
    domain.flying.clear()
    first, second = replays(domain, BindingUpdate)
    assert abs(from_ntp(second) - from_ntp(first) - 100) < 2
    deliver(domain, domain.sent[-1].octets)
    assert domain.statuses() == {144: 1, 0: 1}


@pytest.mark.requirement("R4285-6-11")
def test_a_pba_with_another_replay_protection_than_was_sent_is_ignored() -> None:
    domain = Domain(lma_config(), mag_config(MAGS[0], Peer(LMA, security=SECRET, replay_protection=True)))
    domain.loss = lambda send: []
    domain.attach(0)
    (update,) = messages(domain, BindingUpdate)
    local = domain.anchor().peers[MAGS[0]]
    assert local.local is not None
    local.config = replace(local.config, security=SECRET)
    kept = tuple(one for one in update.options if not isinstance(one, o.ReplayProtection | o.GreKey))
    wrong = o.ReplayProtection(option(update, o.ReplayProtection).timestamp + 1)
    domain.loss = None
    for options in (kept, (*kept, wrong)):
        forged = BindingAcknowledgement(152, BindingAcknowledgementFlag.P, update.sequence, 0, options)
        domain.anchor().send(forged, local.local, local.remote, local, MAGS[0])
    domain.run(0.5)
    assert domain.mags[0].engine.counters["ignored_other_replay_protection"] == 2
    assert domain.mag(0)._denied == {}


@pytest.mark.requirement("R4285-5.1-2", "R4285-6-1")
def test_a_window_for_replay_protection_is_more_than_three_seconds() -> None:
    assert Peer(LMA).replay_window == 7.0
    with pytest.raises(ConfigError, match="too short"):
        Peer(LMA, replay_window=3.0)
    with pytest.raises(ConfigError, match="signed messages only"):
        lma_config(peers=lma_peers(replay_protection=True))


@pytest.mark.requirement("R4285-5.3-1")
def test_a_pbu_that_fails_stops_the_mag_for_that_mobile_node() -> None:
    """RFC 4285 §5.3: the keys agree one way only, as when one end was given a new secret."""
    domain = Domain(lma_config(), mag_config(MAGS[0], Peer(LMA, security=SECRET)))
    domain.loss = lambda send: []
    domain.attach(0)
    update = messages(domain, BindingUpdate)[-1]
    local = domain.anchor().peers[MAGS[0]]
    assert local.local is not None
    local.config = replace(local.config, security=SECRET)
    domain.loss = None
    kept = tuple(one for one in update.options if not isinstance(one, o.GreKey))
    refusal = BindingAcknowledgement(146, BindingAcknowledgementFlag.P, update.sequence, 0, kept)
    domain.anchor().send(refusal, local.local, local.remote, local, MAGS[0])
    domain.run(100)
    assert domain.attach(0) is None
    assert len(messages(domain, BindingUpdate)) == 1
    domain.mag(0).forget_refusals(MN)
    assert domain.attach(0) is not None
