"""Edges of both engines: what no other test noticed when it was changed."""

from ipaddress import IPv4Network, IPv6Address, IPv6Network

import pytest
from tests.mobility.crafted import Anchor, option, status
from tests.mobility.domain import DIRECTORY, LMA, MAGS, MN, Domain, link, lma_config, lma_peers, mag_config
from tests.mobility.test_mag import deaf, pbus, reply
from tests.mobility.test_peers import SECRET, protected, replays

from p4pmip.mobility.binding import Phase
from p4pmip.mobility.config import Directory, Peer, Profile, Realm
from p4pmip.mobility.dialects import Dialect
from p4pmip.mobility.effects import Advertise
from p4pmip.mobility.endpoint import Endpoint
from p4pmip.mobility.update_list import State
from p4pmip.wire import options as o
from p4pmip.wire.message import BindingAcknowledgement, BindingUpdate, Heartbeat
from p4pmip.wire.mobility_header import encode
from p4pmip.wire.numbers import HeartbeatFlag

OTHER_LL = b"\2\0\0\0\0\x77"
PREFIX = "2001:db8:a000::/64"
_IPV4 = IPv4Network("10.1.0.0/16")[9]
_ROUTER = IPv4Network("10.1.0.0/16")[1]


# --- the LMA ---------------------------------------------------------------------------------------------------------


def test_a_static_prefix_may_be_asked_for_by_its_value() -> None:
    static = IPv6Network("2001:db8:77::/64")  # of no pool
    lma = Anchor(directory=Directory({MN: Profile("operator-a", prefixes=(static,))}, DIRECTORY.domains))
    assert status(lma.ask(mn=b"2@a.example", prefixes=(str(static),))) == 155
    assert status(lma.ask(prefixes=(str(static),))) == 0
    assert lma.only().binding.prefixes == (static,)


def test_prefixes_taken_for_a_session_that_does_not_get_all_are_free_again() -> None:
    realm = Realm("operator-a", prefix_pool=IPv6Network("2001:db8:a000::/63"))
    two, one = Profile("operator-a", prefix_count=2), Profile("operator-a")
    lma = Anchor(realms={"operator-a": realm}, directory=Directory({MN: two}, {b"a.example": one}))
    assert status(lma.ask(mn=b"1@a.example")) == 0
    for _ in range(3):
        assert status(lma.ask()) == 130
    assert status(lma.ask(mn=b"2@a.example")) == 0


def test_a_family_that_is_left_keeps_what_belongs_to_it() -> None:
    lma = Anchor()
    lma.ask(ipv4="0.0.0.0")
    before = lma.only()
    assert before.ipv4_router is not None
    assert status(lma.ask(prefixes=(PREFIX,), lifetime=0)) == 0
    assert (lma.only().ipv4, lma.only().ipv4_router) == (before.ipv4, before.ipv4_router)
    lma = Anchor()
    lma.ask(ipv4="0.0.0.0")
    address = str(lma.only().binding.ipv4).split("/")[0]
    assert status(lma.ask(prefixes=(), ipv4=address, lifetime=0)) == 0
    assert (lma.only().ipv4, lma.only().ipv4_router) == (None, None)


def test_a_pbu_that_waited_longer_than_the_window_is_not_too_old() -> None:
    lma = Anchor()
    lma.ask(0)
    before = lma.only()
    assert lma.ask(1, hi=4, ll=OTHER_LL) is None
    assert lma.outcomes[-1] == "waiting_for_deregistration"
    assert lma.wait(1.0) == []
    lma.ask(0, lifetime=0, hi=4, prefixes=(str(before.binding.prefixes[0]),))
    assert lma.only().session_id == before.session_id
    assert lma.only().path.peer.address == MAGS[1]
    assert not [send.message for send in lma.sent if getattr(send.message, "status", 0)]


def test_of_two_that_wait_for_a_deregistration_the_last_gets_the_session() -> None:
    lma = Anchor()
    lma.ask(0)
    before = lma.only()
    assert lma.ask(1, hi=4, ll=OTHER_LL) is None
    assert lma.ask(2, hi=4, ll=OTHER_LL) is None
    lma.ask(0, lifetime=0, hi=4, prefixes=(str(before.binding.prefixes[0]),))
    assert lma.only().session_id == before.session_id
    assert lma.only().path.peer.address == MAGS[2]


def test_sessions_that_are_held_after_a_restart_of_their_mag_go_when_the_hold_ends() -> None:
    lma = Anchor()
    lma.ask()
    for counter in (1, 2):
        lma.send(Heartbeat(HeartbeatFlag.U | HeartbeatFlag.R, 0, (o.RestartCounter(counter),)))
    lma.wait(9.9)
    assert lma.only().phase is Phase.HELD
    lma.wait(0.2)
    assert not lma.sessions()


def test_session_ids_are_few_and_come_back() -> None:
    lma = Anchor(session_last=3, min_delay_before_bce_delete=0.0)
    for number in range(3):
        assert status(lma.ask(mn=b"%d@a.example" % number)) == 0
    assert status(lma.ask(mn=b"3@a.example")) == 130
    one = lma.sessions()[1]
    lma.ask(mn=one.mn, lifetime=0, prefixes=(str(one.binding.prefixes[0]),))
    lma.wait(0.1)
    assert status(lma.ask(mn=b"3@a.example")) == 0
    assert sorted(session.session_id for session in lma.sessions()) == [1, 2, 3]


# --- the MAG ---------------------------------------------------------------------------------------------------------


def test_session_ids_of_refused_bindings_come_back() -> None:
    domain = deaf(session_last=2)
    for number in range(5):
        mn = b"%d@a.example" % number
        assert domain.attach(0, mn, mac=number) is not None
        reply(domain, 153, lifetime=0)
        domain.detach(0, mn)
    assert not domain.mags[0].switch


@pytest.mark.parametrize(("code", "left"), [(170, "prefixes"), (172, "ipv4")])
def test_a_family_that_is_denied_at_a_refresh_leaves_the_switch(code: int, left: str) -> None:
    domain = deaf()
    number = domain.attach(0) or 0
    reply(domain, extra=(o.IPv4HomeAddressReply(0, 16, _IPV4), o.IPv4DefaultRouter(_ROUTER)))
    (before,) = domain.mags[0].switch.values()
    assert before.prefixes
    assert before.ipv4 is not None
    domain.run(3500)
    reply(domain, code, lifetime=0)
    (after,) = domain.mags[0].switch.values()
    assert domain.mag(0).state(number) is State.BOUND
    assert (bool(after.prefixes), after.ipv4 is not None) == (left == "prefixes", left == "ipv4")


def test_a_deregistration_that_came_too_late_is_sent_once_more_and_newer() -> None:
    domain = deaf()
    domain.attach(0)
    reply(domain)
    domain.detach(0)
    count = len(pbus(domain))
    reply(domain, 157, lifetime=0)
    assert [update.lifetime for update in pbus(domain)[count - 1 :]] == [0, 0]
    reply(domain, 157, lifetime=0)
    assert len(pbus(domain)) == count + 1
    assert not list(domain.mag(0)._list)


def test_an_answer_of_another_lma_is_nobodys() -> None:
    other = Peer(MAGS[2])
    domain = Domain(lma_config(), mag_config(MAGS[0], peers=(Peer(LMA), other)))
    domain.loss = lambda send: []
    domain.attach(0)
    asked = pbus(domain)[-1]
    options = tuple(one for one in asked.options if not isinstance(one, o.GreKey | o.HomeNetworkPrefix))
    answer = BindingAcknowledgement(152, 0x20, asked.sequence, 0, options)  # type: ignore[arg-type]
    octets = encode(answer, other.address, MAGS[0])
    domain.mag(0).receive(octets, Endpoint(other.address), Endpoint(MAGS[0]), domain.now, domain.utc)
    domain.carry_out()
    assert domain.mag(0).counters["ignored_unmatched"] == 1
    assert domain.mag(0)._denied == {}


def test_stamps_grow_though_the_clock_stands_still() -> None:
    domain = deaf()
    domain.attach(0)
    domain.attach(0, b"2@a.example", mac=2)
    domain.mag(0).attach(b"3@a.example", link(1, 3), domain.now, domain.utc - 0.5)
    domain.carry_out()
    stamps = [option(update, o.Timestamp).value for update in pbus(domain)]
    assert stamps == sorted(set(stamps))
    domain.mag(0).attach(b"4@a.example", link(1, 4), domain.now, domain.utc - 500)
    domain.carry_out()
    assert option(pbus(domain)[-1], o.Timestamp) == o.Timestamp.from_utc(domain.utc - 500)


def test_after_the_last_deregistration_nothing_is_left() -> None:
    domain = deaf()
    domain.attach(0)
    reply(domain)
    domain.detach(0)
    domain.run(60)
    assert [update.lifetime for update in pbus(domain)] == [900, 0, 0, 0]
    assert not list(domain.mag(0)._list)
    assert domain.mag(0).next_timer() is None


def test_who_attaches_again_is_told_the_prefixes_again() -> None:
    domain = Domain()
    domain.attach(0)
    domain.run()
    told = [effect for effect in domain.mags[0].log if isinstance(effect, Advertise)]
    domain.attach(0)
    again = [effect for effect in domain.mags[0].log if isinstance(effect, Advertise)]
    assert len(again) == len(told) + 1
    domain.run()
    assert len(pbus(domain)) == 2


def test_the_care_of_address_is_the_tunnels_end_if_that_is_another() -> None:
    tunnel = IPv6Address("2001:db8:0:2::77")
    domain = Domain(lma_config(), mag_config(MAGS[0], tunnel=(tunnel,)))
    domain.attach(0)
    domain.run()
    assert option(pbus(domain)[0], o.AlternateCareOfAddress).address == tunnel
    (far,) = domain.lma.switch.values()
    assert far.tunnel is not None
    assert far.tunnel.peer == tunnel


def test_a_mag_registers_anew_and_does_not_refresh_when_its_lma_lost_the_binding() -> None:
    domain = Domain(lma_config(), mag_config(MAGS[0], Peer(LMA, dialect=Dialect.DRAFT_00)))
    domain.loss = lambda send: []
    domain.attach(0)
    reply(domain, extra=(o.GreKey(77),))
    key = option(pbus(domain)[0], o.GreKey)
    assert key is not None
    (peer,) = domain.mag(0).peers.values()
    domain.mag(0).peer_restarted(peer, domain.now)
    domain.run(0.5)
    assert len(pbus(domain)) == 2
    assert option(pbus(domain)[1], o.GreKey) == key
    assert option(pbus(domain)[1], o.HomeNetworkPrefix).address == IPv6Address("2001:db8:a000::")


def test_the_skew_to_the_lmas_clock_stays() -> None:
    domain = protected()
    mine = domain.mag(0)
    (peer,) = mine.peers.values()
    peer.replay_skew = 100
    domain.attach(0)
    (stamp,) = replays(domain, BindingUpdate)
    assert abs((stamp >> 32) - int(domain.utc + 100 + 2_208_988_800)) <= 1


def test_the_last_wish_wins_while_the_switch_is_slow() -> None:
    domain = Domain()
    domain.attach(0)
    domain.run()
    node = domain.mags[0]
    node.hold = True
    for port in (2, 3, 4):
        domain.attach(0, port=port)
    assert len(node.held) == 1
    while node.held:
        domain.release(node)
    (session,) = node.switch.values()
    assert session.access is not None
    assert session.access.link == 4


def test_a_row_that_has_expired_goes_with_whatever_comes_next() -> None:
    domain = Domain(lma_config(), mag_config(MAGS[0], key_quarantine=5.0))
    number = domain.attach(0) or 0
    domain.attach(0, b"2@a.example", mac=2)
    domain.run()
    domain.detach(0, b"2@a.example")
    domain.run()
    resting = [key for key in domain.mags[0].journal if key[0] == "key"]
    assert len(resting) == 1
    domain.now += 10
    domain.mag(0).request_ipv4(number, domain.now, domain.utc)
    domain.carry_out()
    assert not [key for key in domain.mags[0].journal if key[0] == "key"]


def test_a_heartbeat_that_is_not_signed_is_counted_and_not_answered() -> None:
    lma = Anchor(peers=lma_peers(security=SECRET))
    assert lma.send(Heartbeat(HeartbeatFlag(0), 7)) == []
    assert lma.outcomes == ["ignored_not_authentic"]


def test_prefixes_that_a_refused_change_would_have_added_are_free_again() -> None:
    realm = Realm("operator-a", ipv4_pool=IPv4Network("10.1.0.0/16"), prefix_pool=IPv6Network("2001:db8:a000::/63"))
    lma = Anchor(realms={"operator-a": realm}, directory=Directory(domains={b"a.example": Profile("operator-a")}))
    assert status(lma.ask(prefixes=(), ipv4="0.0.0.0")) == 0
    lma.refuse = True
    for _ in range(3):
        assert status(lma.ask(ipv4="0.0.0.0", hi=5)) == 130
    lma.refuse = False
    assert [status(lma.ask(mn=b"%d@a.example" % number)) for number in range(3)] == [0, 0, 130]
