"""Entries, peers and rows at their ends and returns: what stays must be wanted, what comes back must be the same."""

import gc
import json
from dataclasses import replace
from ipaddress import IPv6Address

import pytest
from tests.mobility.crafted import ANY, Anchor, status
from tests.mobility.domain import LMA, MAGS, MN, Domain, lma_config, mag_config, realms
from tests.mobility.test_mag import deaf, pbus, reply

from p4pmip.mobility.binding import Granularity, Gre, Phase
from p4pmip.mobility.config import Directory, GrePolicy, Peer
from p4pmip.mobility.effects import Install, Withdraw
from p4pmip.mobility.endpoint import Endpoint
from p4pmip.mobility.mag import MobileAccessGateway
from p4pmip.mobility.reconfigure import reconfigure
from p4pmip.mobility.record import Record, session_change
from p4pmip.mobility.session_ids import SessionIds
from p4pmip.mobility.update_list import State
from p4pmip.wire import options as o
from p4pmip.wire.authenticator import SecurityAssociation
from p4pmip.wire.message import BindingAcknowledgement, BindingRevocationIndication, Heartbeat
from p4pmip.wire.mobility_header import encode
from p4pmip.wire.numbers import BindingAcknowledgementFlag, RevocationFlag, RevocationTrigger, Status

STRANGERS = [Endpoint(IPv6Address(f"2001:db8:0:9::{number:x}")) for number in range(1, 5)]


# --- session ids -----------------------------------------------------------------------------------------------------


def test_session_ids_are_given_once_and_come_back_last() -> None:
    ids = SessionIds(1, 4)
    ids.claim(2)
    ids.claim(9)
    assert [ids.take(), ids.take(), ids.take(), ids.take()] == [1, 3, 4, None]
    ids.give_back(3)
    ids.give_back(2)
    ids.give_back(9)
    assert [ids.take(), ids.take(), ids.take()] == [3, 2, None]


def test_a_claimed_id_that_is_given_back_before_its_turn_is_taken_in_its_turn() -> None:
    ids = SessionIds(1, 2)
    ids.claim(2)
    ids.give_back(2)
    assert [ids.take(), ids.take(), ids.take()] == [1, 2, None]


def test_an_id_is_not_given_again_while_the_switch_still_knows_it() -> None:
    """A restored session leaves while the switch is slow: its id is a new one's only once the switch has let go."""
    domain = Domain(lma_config(), mag_config(MAGS[0]))
    domain.attach(0)
    domain.run(0.1)
    node = domain.mags[0]
    engine = MobileAccessGateway(mag_config(MAGS[0]))
    engine.restore(list(node.journal.values()), domain.now, domain.utc)
    node.engine = engine
    domain.carry_out()
    (number,) = node.switch
    node.hold = True
    domain.detach(0)
    domain.run(0.5)
    taken = {domain.attach(0, b"mn-%d@a.example" % one, mac=one) for one in range(2, 5)}
    assert number not in taken
    domain.release(node)
    domain.run(1)
    assert taken == set(node.switch)


# --- entries that nobody wants any more ------------------------------------------------------------------------------


def test_a_deregistration_that_is_answered_wrongly_leaves_nothing_behind() -> None:
    domain = deaf()
    domain.attach(0)
    reply(domain)
    domain.detach(0)
    wrong = o.AccessTechnologyOption(9)
    assert reply(domain, skip=(type(wrong),), extra=(wrong,), lifetime=0) == "ignored_not_what_was_asked"
    assert not domain.mags[0].switch
    assert not domain.mags[0].journal.keys() - {key for key in domain.mags[0].journal if key[0] == "key"}
    assert domain.attach(0) is not None


def test_what_was_answered_wrongly_is_asked_for_again_by_a_person_only() -> None:
    domain = deaf()
    number = domain.attach(0)
    assert number is not None
    wrong = o.AccessTechnologyOption(9)
    reply(domain, skip=(type(wrong),), extra=(wrong,))
    assert domain.mag(0).state(number) is State.STOPPED
    assert not domain.mags[0].switch
    domain.run(2)
    assert domain.attach(0) is None
    assert len(pbus(domain)) == 1
    domain.mag(0).forget_refusals(MN)
    assert domain.attach(0) is not None
    assert len(pbus(domain)) == 2


def test_a_refresh_that_was_answered_wrongly_is_sent_again_for_a_person() -> None:
    domain = deaf()
    domain.attach(0)
    reply(domain, lifetime=100)
    while len(pbus(domain)) < 2:
        domain.run(0.5)
    reply(domain, skip=(o.HandoffIndicatorOption,), extra=(o.HandoffIndicatorOption(1),))
    domain.attach(0)
    assert len(pbus(domain)) == 2
    domain.mag(0).forget_refusals(MN)
    domain.attach(0)
    assert len(pbus(domain)) == 3


def test_who_came_back_while_leaving_is_not_forwarded_beyond_the_old_lifetime() -> None:
    domain = deaf()
    domain.attach(0)
    reply(domain, lifetime=10)
    domain.run(5)
    domain.detach(0)
    domain.attach(0)
    (session,) = domain.mags[0].switch.values()
    assert session.phase is Phase.ACTIVE
    domain.run(80)
    assert all(session.phase is Phase.PROPOSED for session in domain.mags[0].switch.values())


def test_a_move_to_another_link_of_the_mag_ends_the_service_on_the_first() -> None:
    domain = Domain(lma_config(), mag_config(MAGS[0]))
    domain.attach(0, port=1)
    domain.run(0.1)
    domain.attach(0, port=2)
    (gone,) = [effect for effect in domain.mags[0].log if isinstance(effect, Withdraw)]
    assert gone.binding.access is not None
    assert gone.binding.access.link == 1
    (served,) = domain.mags[0].served.values()
    assert served.access is not None
    assert served.access.link == 2


def test_another_link_local_address_waits_for_the_release_of_the_ipv4_home_address() -> None:
    """The de-registration of the address must not be given up: the LMA would keep it."""
    domain = Domain(lma_config(), mag_config(MAGS[0], fixed_link_local=None))
    number = domain.attach(0)
    assert number is not None
    domain.run(0.1)
    domain.loss = lambda send: []
    domain.mag(0).release_ipv4(number, domain.now, domain.utc)
    ours = IPv6Address("fe80::77")
    domain.mag(0).upload_link_local(number, ours, domain.now, domain.utc)
    domain.carry_out()
    domain.loss = None
    domain.run(5)
    (session,) = domain.anchor().sessions()
    assert session.ipv4 is None
    assert session.link_local == ours


def test_the_release_of_an_ipv4_home_address_is_repeated_until_the_clock_is_right() -> None:
    """A refusal by the clock is no answer: the LMA still has the address."""
    domain = Domain(lma_config(), mag_config(MAGS[0]))
    number = domain.attach(0)
    assert number is not None
    domain.run(0.1)
    domain.mags[0].skew = 5.0
    domain.mag(0).release_ipv4(number, *domain.clock(domain.mags[0]))
    domain.run(5)
    assert [session.ipv4 is None for session in domain.anchor().sessions()] == [False]
    domain.mags[0].skew = 0.0
    domain.run(10)
    assert [session.ipv4 is None for session in domain.anchor().sessions()] == [True]


def test_a_deregistration_is_repeated_with_the_time_that_the_lma_wants() -> None:
    """RFC 4285 §6: a refusal by 144 says by how much the clocks differ."""
    key = SecurityAssociation(300, b"secret")
    peers = (Peer(MAGS[0], security=key, replay_protection=True),)
    domain = Domain(
        lma_config(peers=peers, timestamp_based_approach_in_use=False),
        mag_config(MAGS[0], Peer(LMA, security=key, replay_protection=True), timestamp_based_approach_in_use=False),
    )
    domain.attach(0)
    domain.run(0.1)
    domain.lma.skew = 20.0
    domain.detach(0)
    domain.run(1)
    assert [session.phase for session in domain.anchor().sessions()] == [Phase.HELD]


def test_an_indication_names_a_prefix_whatever_stands_behind_it() -> None:
    lma = Anchor()
    lma.ask(0)
    prefix = lma.only().binding.prefixes[0]
    who = (o.MobileNodeIdentifier.nai(MN), o.HomeNetworkPrefix(prefix[5], prefix.prefixlen))
    trigger = RevocationTrigger.ADMINISTRATIVE_REASON
    lma.send(BindingRevocationIndication(trigger, 1, RevocationFlag.P, who), 0)
    assert not lma.sessions()


def handing_over() -> Anchor:
    """An LMA whose switch is about to take a session from MAG 0 to MAG 1."""
    lma = Anchor()
    lma.ask(0)
    lma.hold = True
    lma.ask(1, hi=3)
    assert len(lma.tickets) == 1
    return lma


def revoked_by(lma: Anchor, mag: int) -> None:
    who = (o.MobileNodeIdentifier.nai(MN),)
    trigger = RevocationTrigger.ADMINISTRATIVE_REASON
    lma.send(BindingRevocationIndication(trigger, 1, RevocationFlag.P, who), mag)


@pytest.mark.parametrize("refused", [False, True])
def test_a_mag_that_is_being_left_gives_up_its_own_part_of_the_session_only(refused: bool) -> None:
    lma = handing_over()
    revoked_by(lma, 0)
    lma.answer(refuse=refused)
    assert [session.path.peer.address for session in lma.sessions()] == ([] if refused else [MAGS[1]])


def test_a_session_that_is_revoked_while_it_moves_is_revoked_at_the_mag_that_gets_it() -> None:
    lma = handing_over()
    lma.engine.revoke(MN, lma.now)
    lma.settle()
    lma.wait(10)  # MAG 0 says nothing
    lma.answer()
    lma.wait(10)
    told = [send.destination.address for send in lma.sent if isinstance(send.message, BindingRevocationIndication)]
    assert list(dict.fromkeys(told)) == [MAGS[0], MAGS[1]]
    assert not lma.sessions()


def test_a_session_that_has_moved_before_its_revocation_was_answered_is_revoked_where_it_is() -> None:
    lma = Anchor()
    lma.ask(0)
    lma.engine.revoke(MN, lma.now)
    lma.settle()
    lma.ask(1, hi=3)
    lma.wait(10)
    told = [send.destination.address for send in lma.sent if isinstance(send.message, BindingRevocationIndication)]
    assert list(dict.fromkeys(told)) == [MAGS[0], MAGS[1]]
    assert not lma.sessions()


def test_an_ipv4_home_address_that_is_released_is_all_there_was() -> None:
    lma = Anchor()
    lma.ask(0, ipv4="0.0.0.0")
    address = lma.only().binding.ipv4
    assert address is not None
    lma.hold = True
    lma.ask(1, prefixes=(), hi=3, ipv4=str(address.ip))  # a handoff that leaves the prefixes behind
    lma.engine.revoke(MN, lma.now, ipv4_only=True)
    lma.settle()
    lma.wait(10)
    lma.answer()
    lma.wait(10)
    assert not lma.sessions()


# --- what a journal says ---------------------------------------------------------------------------------------------


def copied(rows: object) -> list[Record]:
    """Rows as they come back from a file."""
    return [Record(*json.loads(json.dumps((one.kind, one.key, one.payload)))) for one in rows]  # type: ignore[attr-defined]


def test_of_two_rows_of_one_mobile_node_the_newer_counts() -> None:
    """The node was killed before the row of the first attachment had gone."""
    domain = Domain(lma_config(), mag_config(MAGS[0]))
    domain.attach(0)
    domain.run(0.1)
    (old,) = domain.mags[0].switch.values()
    domain.run(10)
    newer = old._replace(session_id=7, downlink_key=99, expires_utc=old.expires_utc + 10)
    rows = [session_change(7, newer), session_change(old.session_id, old)]
    engine = MobileAccessGateway(mag_config(MAGS[0]))
    engine.restore(copied(rows), domain.now, domain.utc)
    gone = [effect for effect in engine.effects() if isinstance(effect, Install)]
    assert [(install.before, install.after) for install in gone] == [(old, None)]
    engine.installed(gone[0].ticket, domain.now, domain.utc)
    assert list(engine.sessions()) == [newer]
    engine.detach(MN, domain.now, domain.utc)
    engine.handle_timer(domain.now + 60, domain.utc + 60)
    engine.handle_timer(domain.now + 120, domain.utc + 120)


def test_a_session_that_has_no_place_any_more_leaves_the_journal_and_its_key_rests() -> None:
    lma = Anchor(key_first=5, key_last=5)
    lma.ask(0, gre=Gre.KEYED)
    before = lma.only()
    assert before.uplink_key == 5
    again = Anchor(key_first=5, key_last=5, peers=(Peer(MAGS[1]),))
    again.now = lma.now
    again.engine.restore(copied([session_change(before.session_id, before)]), again.now, again.utc)
    again.settle()
    assert not again.sessions()
    assert [one.change for one in again.journal if one.change.kind == "session"] == [session_change(1, None)]
    assert status(again.ask(1, gre=Gre.KEYED)) == Status.INSUFFICIENT_RESOURCES
    again.wait(31)
    assert status(again.ask(1, gre=Gre.KEYED)) == 0


def test_stamps_of_a_journal_go_when_their_time_has_passed() -> None:
    lma = Anchor()
    rows = [Record("stamp", MN.hex(), {"timestamp": 1, "replay": 0, "until": lma.utc + 0.2})]
    lma.engine.restore(rows, lma.now, lma.utc)
    lma.wait(1)
    assert [(one.change.kind, one.change.key) for one in lma.journal] == [("stamp", MN.hex())]


def test_a_far_stamp_does_not_keep_the_others() -> None:
    """With the mobile nodes' own clocks a stamp may lie in any future."""
    lma = Anchor(mobile_node_generated_timestamp_in_use=True, min_delay_before_bce_delete=0.0, key_quarantine=1.0)
    lma.ask(0, mn=b"far@a.example", stamp=lma.utc + 1e9, ll=bytes(6))
    lma.ask(0, mn=b"far@a.example", stamp=lma.utc + 1e9 + 1, ll=bytes(6), lifetime=0)
    lma.ask(0)
    lma.ask(0, lifetime=0)
    lma.wait(1)
    lma.journal.clear()
    lma.wait(60)
    assert {one.change.kind for one in lma.journal} <= {"stamp", "key"}
    assert not lma.engine._stamps


# --- peers that go and come ------------------------------------------------------------------------------------------


def test_a_peer_that_is_configured_again_is_the_one_it_was() -> None:
    domain = Domain(lma_config(), mag_config(MAGS[0], lifetime=100))
    domain.attach(0)
    domain.run(0.1)
    without = mag_config(MAGS[0], lifetime=100, peers=(), lma=None)
    reconfigure(domain.mag(0), without, domain.now)
    domain.run(1)
    reconfigure(domain.mag(0), mag_config(MAGS[0], lifetime=100), domain.now)
    domain.run(300)
    assert domain.mags[0].served, "its refreshes are answered"
    assert domain.mag(0).counters["ignored_unmatched"] == 0
    assert domain.mag(0).peers[LMA].sessions == 1


def anchor_for_anybody(**changes: object) -> Anchor:
    """An LMA to which any MAG may come."""
    return Anchor(peers=(), any_mag=Peer(IPv6Address("::")), **changes)


def test_a_mag_that_is_not_configured_is_one_peer_however_many_of_its_pbus_are_under_way() -> None:
    lma = anchor_for_anybody(heartbeat_interval=30.0)
    lma.hold = True
    lma.ask(STRANGERS[0], mn=b"1@a.example")
    lma.ask(STRANGERS[0], mn=b"2@a.example", ll=bytes(6))
    lma.answer()
    assert [peer.sessions for peer in lma.engine.peers.values()] == [2]
    beats = [message for message in lma.wait(31) if isinstance(message, Heartbeat)]
    assert len(beats) == 1


def test_a_mag_that_is_not_configured_is_forgotten_with_its_last_session() -> None:
    lma = anchor_for_anybody(min_delay_before_bce_delete=0.0, heartbeat_interval=30.0)
    for stranger in STRANGERS:  # one mobile node, wherever it goes
        assert status(lma.ask(stranger, prefixes=(ANY,), hi=3)) == 0
    assert [endpoint.address for endpoint in STRANGERS[-1:]] == list(lma.engine.peers)
    lma.ask(STRANGERS[-1], hi=4, lifetime=0)
    lma.wait(100)
    assert not lma.engine.peers
    assert lma.engine.next_timer() is None
    gc.collect()
    assert not len(lma.engine._met)


@pytest.mark.parametrize("still", [True, False])
def test_a_reload_keeps_the_mags_that_came_by_themselves_while_any_may(still: bool) -> None:
    lma = anchor_for_anybody()
    lma.ask(STRANGERS[0])
    (peer,) = lma.engine.peers.values()
    changed = replace(lma.config, any_mag=Peer(IPv6Address("::"), heartbeat=False) if still else None)
    reconfigure(lma.engine, changed, lma.now)
    assert (list(lma.engine.peers.values()) == [peer]) is still
    assert peer.config.heartbeat is not still
    assert peer.config.address == STRANGERS[0].address


def test_a_mag_that_is_taken_out_while_its_first_pbu_is_pending_stays_out() -> None:
    lma = Anchor()
    lma.hold = True
    lma.ask(0)
    reconfigure(lma.engine, replace(lma.config, peers=(Peer(MAGS[1]),)), lma.now)
    lma.answer()
    assert list(lma.engine.peers) == [MAGS[1]]
    assert len(lma.sent) == 1


# --- deadlines that come together ------------------------------------------------------------------------------------


def test_what_one_deadline_ends_has_no_turn_of_its_own() -> None:
    """A revocation of everything is given up at the very moment at which an entry of it is due."""
    domain = deaf()
    domain.mag(0).revoke_peer(LMA, domain.now)
    domain.attach(0)
    domain.run(1.5)
    sent = len(pbus(domain))
    domain.now = 100.0  # nothing was looked at meanwhile
    domain.run(10)
    assert len(pbus(domain)) == sent
    assert not domain.mags[0].switch
    assert not list(domain.mag(0).sessions())


# --- who leaves, wherever its registration is ------------------------------------------------------------------------


def test_a_link_that_went_down_takes_those_along_that_were_only_being_registered() -> None:
    domain = deaf()
    domain.attach(0, b"mn-1@a.example", mac=1, port=1)
    domain.attach(0, b"mn-2@a.example", mac=2, port=2)
    domain.mag(0).link_down(1, domain.now, domain.utc)
    domain.carry_out()
    domain.run(60)
    assert [entry.mn for entry in domain.mag(0)._list.values()] == [b"mn-2@a.example"]


def test_a_mobile_node_that_the_configuration_has_no_longer_leaves_though_it_was_refused() -> None:
    domain = deaf()
    domain.attach(0)
    reply(domain, 153)
    nobody = mag_config(MAGS[0], directory=Directory())
    reconfigure(domain.mag(0), nobody, domain.now)
    domain.mag(0).detach_unknown(domain.now, domain.utc)
    assert not domain.mag(0)._list


def test_who_has_left_one_link_may_be_on_another() -> None:
    domain = Domain(lma_config(), mag_config(MAGS[0]))
    number = domain.attach(0, port=2)
    assert number is not None
    domain.run(0.1)
    domain.mag(0).detach(MN, domain.now, domain.utc, link=1)
    assert domain.mag(0).state(number) is State.BOUND
    domain.mag(0).detach(MN, domain.now, domain.utc, link=2)
    assert domain.mag(0).state(number) is State.LEAVING


def test_indications_are_found_by_their_session_and_forgotten_when_they_are_over() -> None:
    lma = Anchor(revoke_on_handoff=True)
    lma.ask(0)
    lma.ask(1, hi=3)
    lma.engine.revoke(MN, lma.now)
    lma.settle()
    assert [len(found) for found in lma.engine.revocations_of.values()] == [2]
    lma.wait(20)
    assert not lma.engine.revocations_of
    assert not lma.engine.revocations


def test_a_switch_that_refuses_what_was_revoked_meanwhile_brings_nothing_back() -> None:
    domain = Domain(lma_config(), mag_config(MAGS[0]))
    domain.attach(0)
    node = domain.mags[0]
    node.hold = True
    domain.run(0.1)
    assert [install.after.phase for install in node.held if install.after] == [Phase.ACTIVE]
    domain.anchor().revoke(MN, domain.now)
    domain.run(0.1)
    sent = len(pbus(domain))
    node.refuse = lambda install: "full"
    domain.release(node)
    domain.run(100)
    assert len(pbus(domain)) == sent
    assert not node.switch
    assert not list(domain.mag(0).sessions())


def test_a_shared_key_stays_with_those_who_have_it_when_one_of_them_is_not_restored() -> None:
    shared = {"granularity": Granularity.REALM}
    lma = Anchor(realms=realms(GrePolicy(), **shared), key_first=5, key_last=6)
    lma.ask(0, gre=Gre.KEYED)
    lma.ask(1, mn=b"mn-2@a.example", ll=bytes(6), gre=Gre.KEYED)
    rows = [session_change(one.session_id, one) for one in lma.sessions()]
    again = Anchor(realms=realms(GrePolicy(), **shared), key_first=5, key_last=6, peers=(Peer(MAGS[1]),))
    again.now = lma.now
    again.engine.restore(copied(rows), again.now, again.utc)
    again.settle()
    kept = again.only()
    again.wait(100)
    status_of_other = status(again.ask(1, mn=b"mn-3@b.example", ll=bytes(5), gre=Gre.KEYED))
    assert status_of_other == 0
    keys = {session.realm: session.uplink_key for session in again.sessions()}
    assert keys["operator-a"] == kept.uplink_key != keys["operator-b"]


def test_sequence_numbers_of_an_entry_begin_anywhere() -> None:
    """An answer that was on its way to an earlier life of a MAG must not fit by chance."""
    domain = Domain(lma_config(), mag_config(MAGS[0], timestamp_based_approach_in_use=False))
    domain.loss = lambda send: []
    for number in range(1, 9):
        domain.attach(0, b"mn-%d@a.example" % number, mac=number)
    assert len({update.sequence for update in pbus(domain)}) == 8


def test_the_refusal_of_a_second_copy_is_not_the_answer_to_the_next_pbu() -> None:
    """A PBU comes twice; the LMA refuses the second copy (135), and that is late."""
    domain = Domain(
        lma_config(timestamp_based_approach_in_use=False),
        mag_config(MAGS[0], timestamp_based_approach_in_use=False),
    )
    number = domain.attach(0)
    assert number is not None
    first = pbus(domain)[-1].sequence
    domain.run(0.1)
    domain.loss = lambda send: []
    domain.mag(0).upload_link_local(number, IPv6Address("fe80::77"), domain.now, domain.utc)  # another PBU is out
    domain.carry_out()
    asked = pbus(domain)[-1].sequence
    assert asked == (first + 1) % 65536
    late = BindingAcknowledgement(
        Status.SEQUENCE_NUMBER_OUT_OF_WINDOW,
        BindingAcknowledgementFlag.P,
        first,
        0,
        (o.MobileNodeIdentifier.nai(MN), o.HandoffIndicatorOption(4), o.AccessTechnologyOption(3)),
    )
    domain.mag(0).receive(encode(late, LMA, MAGS[0]), Endpoint(LMA), Endpoint(MAGS[0]), domain.now, domain.utc)
    domain.carry_out()
    assert domain.mag(0).state(number) is State.BOUND
    assert domain.mag(0).counters["ignored_unmatched"] == 1
    domain.loss = None
    domain.run(10)
    assert domain.mags[0].served
    assert not domain.mag(0)._denied
