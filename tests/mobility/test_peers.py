"""Heartbeats (RFC 5847), revocation (RFC 5846) and authentication (RFC 4285) between an LMA and its MAGs."""

from dataclasses import replace
from ipaddress import IPv6Address
from typing import Any

import pytest
from tests.mobility.crafted import Anchor, option, status
from tests.mobility.domain import LMA, MAGS, MN, UTC, Domain, lma_config, lma_peers, mag_config

from p4pmip.mobility.binding import Phase
from p4pmip.mobility.config import Peer
from p4pmip.mobility.heartbeat import announce
from p4pmip.mobility.ordering import ntp
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
from p4pmip.wire.numbers import BindingAcknowledgementFlag, BindingUpdateFlag, HeartbeatFlag, RevocationFlag

R, U = HeartbeatFlag.R, HeartbeatFlag.U
P, G, V = RevocationFlag.P, RevocationFlag.G, RevocationFlag.V


def beating(**changes: Any) -> Domain:
    anchor = lma_config(heartbeat_interval=60.0, restart_counter=3)
    return Domain(anchor, *(mag_config(one, heartbeat_interval=60.0, restart_counter=8, **changes) for one in MAGS[:2]))


def messages(domain: Domain, kind: type) -> list[Any]:
    return [send.message for send in domain.sent if isinstance(send.message, kind)]


# --- RFC 5847 --------------------------------------------------------------------------------------------------------


@pytest.mark.requirement("R5847-3.1-1", "R5847-3.1-2", "R5847-3.2-1")
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


@pytest.mark.requirement("R5847-3.1-2")
def test_a_request_is_answered_without_bindings_too() -> None:
    lma = Anchor()
    (answer,) = lma.send(Heartbeat(HeartbeatFlag(0), 77))
    assert isinstance(answer, Heartbeat)
    assert (answer.flags, answer.sequence) == (R, 77)


@pytest.mark.requirement("R5847-3.1-3", "R5847-5-1")
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


@pytest.mark.requirement("R5847-3.2-2", "R5847-3.2-3")
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


@pytest.mark.requirement("R5847-3.2-2", "R5847-3.2-4")
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


@pytest.mark.requirement("R5847-3.1-4")
def test_a_peer_that_does_not_know_heartbeats_is_not_asked_again() -> None:
    lma = Anchor(heartbeat_interval=60.0)
    lma.ask()
    assert len(lma.wait(61)) == 1
    lma.send(BindingError(2, IPv6Address(0)))
    assert lma.outcomes[-1] == "peer_without_heartbeats"
    assert not lma.wait(600)


def test_an_unmatched_response_says_nothing() -> None:
    lma = Anchor()
    lma.send(Heartbeat(R, 5, (o.RestartCounter(9),)))
    assert lma.outcomes == ["ignored_unmatched_response"]
    assert lma.engine.peers[MAGS[0]].counter is None


# --- RFC 5846 --------------------------------------------------------------------------------------------------------


@pytest.mark.requirement("R5846-5.1-1", "R5846-5.2-1", "R5846-8.1-1", "R5846-9.2-1")
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


@pytest.mark.requirement("R5846-7.3-1", "R5846-11-1")
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


@pytest.mark.requirement("R5846-8.1-2")
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


@pytest.mark.requirement("R5846-8.1-3", "R5846-9.2-3")
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


NAI = o.MobileNodeIdentifier.nai(MN)


@pytest.mark.requirement("R5846-9.2-2", "R5846-9.2-4")
@pytest.mark.parametrize(
    ("flags", "trigger", "options", "peer", "expected"),
    [
        (P, 1, (NAI,), {}, 0),
        (P, 1, (o.MobileNodeIdentifier.nai(b"other@a.example"),), {}, 128),
        (P, 1, (NAI, o.HomeNetworkPrefix(IPv6Address("2001:db8:1::"), 64)), {}, 128),
        (P, 1, (), {}, 131),
        (P, 4, (NAI,), {}, 132),
        (P, 129, (NAI,), {}, 133),
        (P | V, 1, (NAI,), {}, 129),
        (P | G, 128, (), {}, 130),
        (P | G, 128, (), {"global_revocation": True}, 0),
        (P | G, 129, (), {"global_revocation": True}, 133),
        (RevocationFlag(0), 1, (NAI,), {}, None),
    ],
)
def test_how_a_mag_answers_an_indication(
    flags: RevocationFlag, trigger: int, options: tuple[o.Option, ...], peer: dict[str, Any], expected: int | None
) -> None:
    message = BindingRevocationIndication(trigger, 9, flags, options)
    code, domain = ask_mag(message, **peer)
    assert code == expected
    assert bool(domain.mags[0].switch) == (expected != 0)


@pytest.mark.requirement("R5846-9.2-4")
def test_the_ipv4_home_address_alone_can_be_revoked() -> None:
    message = BindingRevocationIndication(1, 9, P | V, (NAI, o.UnknownOption(29, bytes((64, 0, 10, 1, 0, 2)))))
    code, domain = ask_mag(message)
    assert code == 0
    (session,) = domain.mags[0].switch.values()
    assert session.ipv4 is None
    assert session.prefixes


@pytest.mark.requirement("R5846-8.2-1", "R5846-9.1-1")
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


@pytest.mark.requirement("R5846-8.1-4")
def test_an_lma_ends_everything_of_a_mag() -> None:
    peer = Peer(LMA, global_revocation=True)
    domain = Domain(lma_config(), *(mag_config(one, peer) for one in MAGS[:2]))
    domain.attach(0)
    domain.attach(1, b"2@a.example", mac=2)
    domain.run()
    assert domain.anchor().revoke_peer(MAGS[0], domain.now) == 1
    domain.run()
    assert not domain.mags[0].switch
    assert [session.mn for session in domain.lma.switch.values()] == [b"2@a.example"]


@pytest.mark.requirement("R5846-7.2-1")
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

SECRET = SecurityAssociation(300, b"0123456789abcdef")
OTHER = SecurityAssociation(300, b"fedcba9876543210")


def secured(mag: SecurityAssociation | None, lma: SecurityAssociation | None, **changes: Any) -> Domain:
    peer = Peer(LMA, security=mag, replay_protection=changes.pop("send_replay", False))
    anchor = lma_config(peers=lma_peers(security=lma, **changes), tunnel=(IPv6Address("2001:db8:0:1::77"),))
    tunnel = (IPv6Address("2001:db8:0:2::77"),)
    domain = Domain(anchor, mag_config(MAGS[0], peer, tunnel=tunnel))
    domain.attach(0)
    domain.run()
    return domain


@pytest.mark.requirement("R4285-5-1", "R4285-5-2", "R4285-5.1-1", "R4285-5.1-2")
@pytest.mark.parametrize("algorithm", list(Algorithm))
def test_signed_both_ways(algorithm: Algorithm) -> None:
    association = replace(SECRET, algorithm=algorithm)
    domain = secured(association, association)
    assert domain.mags[0].served
    for message in (*messages(domain, BindingUpdate), *messages(domain, BindingAcknowledgement)):
        assert option(message, o.Authentication) is None  # the octets have it
    for send in domain.sent:
        assert bytes((9, 5 + algorithm.size, 1, 0, 0, 1, 44)) in send.octets


@pytest.mark.requirement("R4285-5-3", "R4285-5-4", "R4285-5.1-3")
@pytest.mark.parametrize(
    ("mag", "lma", "code", "outcome"),
    [
        (OTHER, SECRET, 146, "status_146"),
        (None, SECRET, 146, "status_146"),
        (replace(SECRET, spi=301), SECRET, None, "ignored_unknown_security_association"),
        (SECRET, None, None, "ignored_unknown_security_association"),
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


@pytest.mark.requirement("R4285-5.1-4")
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


@pytest.mark.requirement("R4285-6-1", "R4285-6-2", "R4285-6-3")
def test_replay_protection() -> None:
    assert secured(SECRET, SECRET, send_replay=True, replay_protection=True).mags[0].served
    assert secured(SECRET, SECRET, replay_protection=True).statuses() == {145: 1}
    lma = Anchor(peers=lma_peers(replay_protection=True))

    def stamp(utc: float) -> tuple[o.Option, ...]:
        return (o.ReplayProtection(ntp(utc)),)

    assert status(lma.ask(extra=stamp(UTC + 8))) == 144
    assert status(lma.ask(extra=stamp(UTC))) == 0
    assert status(lma.ask(extra=stamp(UTC))) == 144
    assert status(lma.ask(extra=stamp(UTC + 1), flags=BindingUpdateFlag.A | BindingUpdateFlag.P)) == 0
