"""The MAG: RFC 5213 §6 against an LMA, a lossy channel, and answers made by hand."""

from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address, IPv6Network
from itertools import pairwise
from typing import Any

import pytest
from tests.mobility.crafted import option
from tests.mobility.domain import DIRECTORY, LMA, MAGS, MN, Domain, link, lma_config, lma_peers, mag_config, realms

from p4pmip.mobility.binding import AccessLink, Gre, Phase, Tunnel
from p4pmip.mobility.config import Directory, GrePolicy, Peer, Profile
from p4pmip.mobility.effects import Advertise, Install, Send, Withdraw
from p4pmip.mobility.endpoint import Endpoint
from p4pmip.mobility.reconfigure import reconfigure
from p4pmip.mobility.update_list import State
from p4pmip.wire import options as o
from p4pmip.wire.message import BindingAcknowledgement, BindingUpdate
from p4pmip.wire.mobility_header import encode
from p4pmip.wire.numbers import BindingUpdateFlag

ANY_PREFIX = o.HomeNetworkPrefix(IPv6Address(0), 0)


def pbus(domain: Domain) -> list[BindingUpdate]:
    return [send.message for send in domain.sent if isinstance(send.message, BindingUpdate)]


def deaf(**changes: Any) -> Domain:
    """A MAG whose PBUs nobody answers."""
    domain = Domain(lma_config(), mag_config(MAGS[0], **changes))
    domain.loss = lambda send: []
    return domain


def reply(domain: Domain, status: int = 0, *, skip: tuple[type, ...] = (), extra: Any = (), **changes: Any) -> str:
    """A PBA to the last PBU, by hand; answers what became of it."""
    asked = pbus(domain)[-1]
    left_out = (*skip, o.GreKey, o.HomeNetworkPrefix, o.IPv4HomeAddressRequest, o.LmaUserPlaneAddress)
    options = [one for one in asked.options if not isinstance(one, left_out)]
    prefix = o.HomeNetworkPrefix(IPv6Address("2001:db8:a000::"), 64)
    details = {"lifetime": 900, "sequence": asked.sequence, **changes}
    answer = BindingAcknowledgement(status, 0x20, options=(*options, prefix, *extra), **details)  # type: ignore[arg-type]
    domain.mag(0).receive(encode(answer, LMA, MAGS[0]), Endpoint(LMA), Endpoint(MAGS[0]), domain.now, domain.utc)
    domain.carry_out()
    outcomes = [effect.outcome for effect in domain.mags[0].log if hasattr(effect, "outcome")]
    return outcomes[-1]


@pytest.mark.requirement(
    "R5213-5.5-2",
    "R5213-6.9.1.1-1",
    "R5213-6.9.1.1-2",
    "R5213-6.9.1.1-3",
    "R5213-6.9.1.1-4",
    "R5213-6.9.1.1-5",
    "R5213-6.9.1.1-7",
    "R5213-6.9.1.1-8",
    "R5213-6.9.1.1-9",
    "R5213-6.9.1.5-2",
    "R5213-8.1-1",
    "R6543-1-2",
    "R5844-3.2.3.1-1",
    "R5844-3.2.3.1-3",
    "R4285-4-1",
)
def test_what_an_initial_pbu_carries() -> None:
    domain = deaf()
    domain.attach(0, indicator=1)
    (update,) = pbus(domain)
    assert update.flags == 0x8200
    assert option(update, o.MobileNodeIdentifier).identifier == MN
    assert option(update, o.HomeNetworkPrefix) == ANY_PREFIX
    assert option(update, o.HandoffIndicatorOption).indicator == 1
    assert option(update, o.AccessTechnologyOption).technology == 3
    assert option(update, o.LinkLayerIdentifier).identifier == bytes((2, 0, 0, 0, 0, 1))
    assert option(update, o.Timestamp) == o.Timestamp.from_utc(domain.utc)
    assert option(update, o.IPv4HomeAddressRequest).address == IPv4Address(0)
    assert option(update, o.LinkLocalAddress) is None  # RFC 6543's is the same everywhere
    domain.attach(0, b"2@a.example", mac=2)
    assert option(pbus(domain)[1], o.HandoffIndicatorOption).indicator == 4


@pytest.mark.requirement("R5213-6.8-1", "R5213-6.9.1.1-9", "R5213-6.9.1.2-15")
def test_without_a_fixed_link_local_address_the_lma_is_asked_for_one() -> None:
    domain = Domain(lma_config(), *(mag_config(address, fixed_link_local=None) for address in MAGS[:2]))
    domain.attach(0)
    domain.run()
    assert option(pbus(domain)[0], o.LinkLocalAddress).address == IPv6Address(0)
    advertised = [effect for effect in domain.mags[0].log if isinstance(effect, Advertise)]
    assert advertised[-1].link_local is not None
    domain.attach(1, indicator=3)
    domain.run()
    (other,) = domain.mags[1].served.values()
    assert other.link_local == advertised[-1].link_local


@pytest.mark.requirement("R5213-6.9.1.2-16")
def test_a_link_local_address_that_the_mobile_node_has_is_replaced_and_uploaded() -> None:
    domain = Domain(lma_config(), *(mag_config(address, fixed_link_local=None) for address in MAGS[:2]))
    number = domain.attach(0)
    domain.run()
    other = IPv6Address("fe80::77")
    domain.mag(0).upload_link_local(number or 0, other, domain.now, domain.utc)
    domain.run()
    assert option(pbus(domain)[-1], o.LinkLocalAddress).address == other
    assert next(domain.anchor().sessions()).link_local == other
    domain.attach(1, indicator=3)
    domain.run()
    assert next(iter(domain.mags[1].served.values())).link_local == other


@pytest.mark.requirement("R5213-6.9.1.1-3", "R5844-3.2.3.1-2")
def test_known_addresses_are_asked_for() -> None:
    domain = deaf()
    prefix = IPv6Network("2001:db8:a000:7::/64")
    domain.attach(0, prefixes=(prefix,), ipv4=IPv4Address("10.1.0.9"), indicator=3)
    assert option(pbus(domain)[0], o.HomeNetworkPrefix).address == prefix.network_address
    assert option(pbus(domain)[0], o.IPv4HomeAddressRequest).address == IPv4Address("10.1.0.9")


@pytest.mark.requirement(
    "R5213-6.9.1.1-6",
    "R5213-6.9.4-1",
    "R5213-6.9.4-3",
    "R5213-6.9.4-4",
    "R6275-11.8-1",
    "R6275-11.8-2",
    "R6275-11.8-5",
    "R6275-12-1",
)
def test_retransmissions_back_off_and_are_new_each_time() -> None:
    domain = deaf()
    domain.attach(0)
    domain.run(150)
    times = [0.0]
    for step in (1, 2, 4, 8, 16, 32, 32, 32):
        times.append(times[-1] + step)
    assert len(pbus(domain)) == len(times)
    stamps = [option(update, o.Timestamp).value for update in pbus(domain)]
    assert [round(value / 65536 - stamps[0] / 65536) for value in stamps] == [round(time) for time in times]
    numbers = [update.sequence for update in pbus(domain)]
    assert [(after - before) % 65536 for before, after in pairwise(numbers)] == [1] * 8


@pytest.mark.requirement("R5213-6.9.4-2")
def test_a_mobile_node_that_has_left_is_not_registered_any_more() -> None:
    domain = deaf()
    domain.attach(0)
    domain.run(2)
    domain.detach(0)
    domain.run(100)
    assert [update.lifetime for update in pbus(domain)] == [900, 900, 0, 0, 0]
    assert not domain.mags[0].switch


@pytest.mark.requirement("R5213-6.9.1.2-3", "R5213-6.9.1.2-5")
def test_a_pba_that_matches_nothing_is_ignored() -> None:
    domain = deaf()
    domain.attach(0)
    assert reply(domain, sequence=(pbus(domain)[-1].sequence + 1) % 65536) == "ignored_unmatched"
    other = (o.MobileNodeIdentifier.nai(b"other@a.example"),)
    assert reply(domain, skip=(o.MobileNodeIdentifier,), extra=other) == "ignored_unmatched"
    assert not domain.mags[0].served
    assert reply(domain) == "status_0"
    assert domain.mags[0].served


@pytest.mark.requirement("R5213-6.9.1.2-6", "R5213-6.9.1.2-7")
@pytest.mark.parametrize(
    "wrong", [o.HandoffIndicatorOption(2), o.AccessTechnologyOption(9), o.LinkLayerIdentifier(b"\2\0\0\0\0\x09")]
)
def test_a_pba_about_something_else_stops_the_retransmission(wrong: Any) -> None:
    domain = deaf()
    domain.attach(0)
    assert reply(domain, skip=(type(wrong),), extra=(wrong,)) == "ignored_not_what_was_asked"
    domain.run(100)
    assert len(pbus(domain)) == 1
    assert [alarm.name for alarm in domain.mags[0].alarms] == ["pba_mismatch"]


@pytest.mark.requirement("R5213-6.9.1.2-6")
def test_an_option_that_is_not_in_the_answer_differs_from_nothing() -> None:
    domain = deaf()
    domain.attach(0)
    left_out = (o.HandoffIndicatorOption, o.AccessTechnologyOption, o.LinkLayerIdentifier)
    assert reply(domain, skip=left_out) == "status_0"
    assert domain.mags[0].served


@pytest.mark.requirement("R5213-6.9.1.2-7")
def test_a_binding_whose_refresh_was_answered_wrongly_ends_with_its_lifetime() -> None:
    domain = deaf()
    number = domain.attach(0)
    reply(domain, lifetime=10)
    while len(pbus(domain)) < 2:
        domain.run(0.5)
    assert reply(domain, skip=(o.HandoffIndicatorOption,), extra=(o.HandoffIndicatorOption(1),)) == (
        "ignored_not_what_was_asked"
    )
    domain.run(39 - domain.now)
    assert domain.mags[0].served
    domain.run(2)
    assert not domain.mags[0].served
    assert not domain.mags[0].switch
    assert domain.mag(0).state(number or 0) is State.STOPPED
    assert len(pbus(domain)) == 2


@pytest.mark.requirement("R5213-8.2-1")
def test_an_option_that_nobody_knows_is_skipped() -> None:
    domain = deaf()
    domain.attach(0)
    assert reply(domain, extra=(o.UnknownOption(200, b"what?"),)) == "status_0"
    assert domain.mags[0].served


@pytest.mark.requirement("R5213-6.1-2", "R5213-6.9.1.1-7")
def test_a_link_layer_identifier_that_is_not_known_is_not_sent() -> None:
    domain = deaf()
    domain.mag(0).attach(MN, AccessLink(1, bytes(6)), domain.now, domain.utc)
    domain.carry_out()
    assert option(pbus(domain)[0], o.LinkLayerIdentifier) is None


def over_ipv4(**changes: Any) -> tuple[Domain, Endpoint, Endpoint]:
    mag, own = Endpoint(IPv4Address("192.0.2.1"), 5436), Endpoint(IPv4Address("192.0.2.9"), 5436)
    plain = realms(GrePolicy(Gre.PLAIN))
    anchor = lma_config(
        peers=(Peer(mag.address, mag.port),),
        local=(own,),
        realms=plain,
        accept_forced_ipv4_udp_encapsulation_request=True,
    )
    gateway = mag_config(MAGS[0], Peer(own.address, own.port), local=(mag,), lma=own.address, realms=plain, **changes)
    return Domain(anchor, gateway), mag, own


@pytest.mark.requirement("R5844-4.1.3.1-4", "R5844-4.2.2-5", "R5844-4.2.2.1-2")
@pytest.mark.parametrize("forced", [True, False])
def test_udp_encapsulation_is_what_both_ends_use_or_neither(forced: bool) -> None:
    domain, mag, own = over_ipv4(force_ipv4_udp_encapsulation_support=forced)
    domain.attach(0)
    domain.run()
    (update,) = pbus(domain)
    assert bool(update.flags & BindingUpdateFlag.F) == forced
    assert option(update, o.NatDetection) is None
    (answer,) = [send.message for send in domain.sent if isinstance(send.message, BindingAcknowledgement)]
    assert option(answer, o.NatDetection) == (o.NatDetection(True, 0) if forced else None)
    (near,), (far,) = domain.mags[0].switch.values(), domain.lma.switch.values()
    assert near.tunnel == Tunnel(mag.address, own.address, forced)
    assert far.tunnel == Tunnel(own.address, mag.address, forced)


@pytest.mark.requirement("R5844-3.2.3.2-6", "R5844-3.2.3.3-2", "R5844-3.2.3.3-3", "R5844-3.4.3-2", "R5844-3.4.3-5")
def test_a_mobile_node_may_give_its_ipv4_home_address_back_and_ask_again() -> None:
    domain = Domain()
    number = domain.attach(0) or 0
    domain.run()
    before = next(iter(domain.mags[0].served.values()))
    domain.mag(0).release_ipv4(number, domain.now, domain.utc)
    domain.run()
    update = pbus(domain)[-1]
    assert update.lifetime == 0
    assert option(update, o.HomeNetworkPrefix) is None
    assert option(update, o.IPv4HomeAddressRequest) == o.IPv4HomeAddressRequest(before.binding.ipv4.ip, 16)  # type: ignore[union-attr]
    for node in (domain.lma, domain.mags[0]):
        (session,) = node.switch.values()
        assert session.ipv4 is None
        assert session.prefixes == before.prefixes
    assert next(iter(domain.mags[0].served.values())).ipv4 is None
    domain.run(3600)
    assert [one.lifetime for one in pbus(domain)] == [900, 0, 900]
    assert option(pbus(domain)[-1], o.IPv4HomeAddressRequest) is None
    domain.mag(0).request_ipv4(number, domain.now, domain.utc)
    domain.run()
    assert option(pbus(domain)[-1], o.IPv4HomeAddressRequest).address == IPv4Address(0)
    assert next(iter(domain.mags[0].served.values())).ipv4 is not None
    domain.mag(0).request_ipv4(number, domain.now, domain.utc)  # there is one
    domain.mag(0).release_ipv4(99, domain.now, domain.utc)  # there is no such session
    domain.run()
    assert len(pbus(domain)) == 4


def test_an_ipv4_home_address_that_is_given_back_stays_away_though_the_answer_is_lost() -> None:
    domain = Domain()
    number = domain.attach(0) or 0
    domain.run()
    domain.loss = lambda send: []
    domain.mag(0).release_ipv4(number, domain.now, domain.utc)
    domain.run(4)
    domain.mag(0).request_ipv4(number, domain.now, domain.utc)
    domain.loss = None
    domain.run(10)
    lifetimes = [one.lifetime for one in pbus(domain)]
    assert lifetimes == [900, 0, 0, 0, 0, 900]
    (near,), (far,) = domain.mags[0].switch.values(), domain.lma.switch.values()
    assert near.ipv4 == far.ipv4 is not None


@pytest.mark.requirement("R5844-3.2.3.2-5")
def test_an_ipv4_reply_that_rejects_enables_nothing() -> None:
    domain = deaf()
    domain.attach(0)
    reply(domain, extra=(o.IPv4HomeAddressReply(128, 16, IPv4Address("10.1.0.2")),))
    (session,) = domain.mags[0].served.values()
    assert session.ipv4 is None
    assert session.prefixes


@pytest.mark.requirement("R5844-3.2.2-1", "R5844-3.2.3.1-4")
def test_the_only_address_that_is_given_back_ends_the_session() -> None:
    profile = Profile("operator-a", ipv6=False)
    directory = Directory(domains={b"a.example": profile})
    domain = Domain(lma_config(directory=directory), mag_config(MAGS[0], directory=directory))
    number = domain.attach(0) or 0
    domain.run()
    domain.mag(0).release_ipv4(number, domain.now, domain.utc)
    domain.run()
    assert not domain.mags[0].switch


@pytest.mark.requirement("R5213-6.9.1.2-4", "R5213-6.9.1.2-13", "R5213-6.9.1.2-14", "R5213-8.9-1", "R5844-3.2.3.2-4")
@pytest.mark.parametrize("status", [0, 1, 2, 6, 127])
def test_everything_below_128_is_a_success(status: int) -> None:
    domain = deaf()
    domain.attach(0)
    reply(domain, status)
    (session,) = domain.mags[0].served.values()
    assert session.binding.prefixes == (IPv6Network("2001:db8:a000::/64"),)
    assert session.phase is Phase.ACTIVE


@pytest.mark.requirement("R5213-6.9.1.2-12", "R5213-6.9.2-2", "R5213-8.9-1")
@pytest.mark.parametrize("status", [128, 129, 153, 154, 158, 160, 161, 162, 173])
def test_a_refusal_serves_nobody_and_is_not_repeated(status: int) -> None:
    domain = deaf()
    number = domain.attach(0)
    reply(domain, status, lifetime=0)
    domain.run(100)
    assert len(pbus(domain)) == 1
    assert not domain.mags[0].served
    assert not domain.mags[0].switch
    assert domain.mag(0).state(number or 0) is State.STOPPED
    domain.attach(0)
    assert len(pbus(domain)) == 2


@pytest.mark.requirement("R5213-6.9.1.2-8")
@pytest.mark.parametrize("status", [152, 146])
def test_a_mobile_node_that_may_not_be_served_waits_for_an_administrative_action(status: int) -> None:
    domain = deaf()
    domain.attach(0)
    reply(domain, status, lifetime=0)
    for _ in range(3):
        assert domain.attach(0) is None
    assert domain.mag(0).counters["attach_denied"] == 3
    assert len(pbus(domain)) == 1
    assert domain.attach(0, b"2@a.example", mac=2) is not None
    domain.mag(0).forget_refusals(b"2@a.example")
    assert domain.attach(0) is None
    domain.mag(0).forget_refusals(MN)
    assert domain.attach(0) is not None
    reply(domain, status, lifetime=0)
    reconfigure(domain.mag(0), mag_config(MAGS[0]), domain.now)
    assert domain.attach(0) is not None


@pytest.mark.requirement("R5844-3.2.3.1-4", "R5844-3.2.3.2-1", "R5844-3.2.3.2-3", "R5844-3.2.3.3-4")
@pytest.mark.parametrize(("status", "kept"), [(170, o.HomeNetworkPrefix), (172, o.IPv4HomeAddressRequest)])
def test_a_family_that_is_denied_is_not_asked_for_until_an_administrative_action(status: int, kept: type) -> None:
    gone = o.IPv4HomeAddressRequest if kept is o.HomeNetworkPrefix else o.HomeNetworkPrefix
    domain = deaf()
    domain.attach(0)
    reply(domain, status, lifetime=0)
    assert option(pbus(domain)[-1], kept) is not None
    assert option(pbus(domain)[-1], gone) is None
    domain.detach(0)
    domain.run(10)
    domain.attach(0)
    assert option(pbus(domain)[-1], gone) is None
    domain.mag(0).forget_refusals()
    domain.attach(0, b"2@a.example", mac=2)
    assert option(pbus(domain)[-1], gone) is not None
    reply(domain, 170, lifetime=0)
    reply(domain, 172, lifetime=0)
    domain.run(100)
    number = len(pbus(domain))
    domain.run(100)
    assert option(pbus(domain)[-1], o.MobileNodeIdentifier).identifier == MN
    assert len(pbus(domain)) > number  # of the first mobile node: nobody answers it


@pytest.mark.requirement("R5213-6.9.1.2-11", "R5844-3.2.3.2-2")
@pytest.mark.parametrize("status", [155, 159, 171])
def test_addresses_that_are_refused_are_not_asked_for_again(status: int) -> None:
    domain = deaf()
    domain.attach(0, prefixes=(IPv6Network("2001:db8:a000:7::/64"),), ipv4=IPv4Address("10.1.0.9"))
    reply(domain, status, lifetime=0)
    assert len(pbus(domain)) == 2
    assert option(pbus(domain)[1], o.HomeNetworkPrefix) == ANY_PREFIX
    assert option(pbus(domain)[1], o.IPv4HomeAddressRequest).address == IPv4Address(0)
    reply(domain, status, lifetime=0)
    domain.run(100)
    assert len(pbus(domain)) == 2


@pytest.mark.requirement("R5213-6.9.1.2-9", "R5213-6.9.1.2-10")
def test_timestamp_refusals() -> None:
    domain = deaf()
    domain.attach(0)
    reply(domain, 157, lifetime=0)
    assert len(pbus(domain)) == 2  # at once, with a fresh stamp
    reply(domain, 157, lifetime=0)
    assert len(pbus(domain)) == 2  # and then by the clock
    domain.run(1.5)
    assert len(pbus(domain)) == 3
    stamp = option(pbus(domain)[-1], o.Timestamp).value
    reply(domain, 156, lifetime=0, skip=(o.Timestamp,), extra=(o.Timestamp(stamp + 65536 * 1000),))
    assert len(pbus(domain)) == 3
    assert domain.mags[0].alarms[-1].name == "clock_skew"
    assert "+999.5" in domain.mags[0].alarms[-1].detail
    domain.run(3)
    assert option(pbus(domain)[-1], o.Timestamp).value < stamp + 65536 * 100  # our clock is not set by theirs


@pytest.mark.requirement("R5213-6.9.1.2-10")
def test_a_clock_that_was_wrong_is_forgotten() -> None:
    domain = deaf()
    domain.mag(0).attach(MN, link(1, 1), 0.0, domain.utc + 3600)
    domain.carry_out()
    reply(domain, 156, lifetime=0)
    domain.run(1.5)
    assert abs(option(pbus(domain)[-1], o.Timestamp).to_utc() - domain.utc) < 1.0


def test_no_resources_is_tried_again_ever_more_rarely() -> None:
    domain = deaf()
    domain.attach(0)
    for sent, seconds in enumerate((1.1, 2.0, 4.0, 8.0, 16.0, 32.0, 32.0), 2):
        reply(domain, 130, lifetime=0)
        domain.attach(0)  # the mobile node goes on asking, too
        domain.run(seconds)
        assert len(pbus(domain)) == sent
    reply(domain)
    assert domain.mags[0].served


@pytest.mark.requirement("R6275-11.8-3", "R6275-11.8-4", "R6275-12-1")
def test_no_more_than_three_pbus_a_second_for_one_binding() -> None:
    domain = Domain()
    for _ in range(10):
        domain.attach(0)
        domain.detach(0)
    assert len(pbus(domain)) == 3
    assert domain.mag(0).counters["rate_limited"] == 17
    for number in range(10):
        domain.attach(0, b"%d@a.example" % number, mac=number + 2)
    assert len(pbus(domain)) == 13  # others are not held up
    domain.attach(0)
    domain.run(30)
    assert len(domain.mags[0].served) == 11


@pytest.mark.requirement("R5213-5.5-11", "R5213-6.9.1.1-5", "R6275-9.5.1-4")
def test_sequence_mode_goes_on_from_the_number_that_the_lma_has() -> None:
    domain = deaf(timestamp_based_approach_in_use=False)
    domain.attach(0)
    assert option(pbus(domain)[0], o.Timestamp) is None
    reply(domain, 135, lifetime=0, sequence=4711)
    assert pbus(domain)[-1].sequence == 4712
    reply(domain)
    assert domain.mags[0].served


@pytest.mark.requirement("R5213-6.9.1.3-1", "R5213-6.9.1.3-2", "R5213-6.9.1.3-3", "R5844-3.2.3.3-1")
def test_refreshes_come_before_the_end_and_not_all_at_once() -> None:
    domain = Domain()
    for number in range(20):
        domain.attach(0, b"%d@a.example" % number, mac=number)
    domain.run(10)
    domain.sent.clear()
    domain.run(2700)
    assert len(pbus(domain)) == 20
    for update in pbus(domain):
        assert option(update, o.HandoffIndicatorOption).indicator == 5
        assert option(update, o.HomeNetworkPrefix).address != IPv6Address(0)
        assert option(update, o.IPv4HomeAddressRequest).address != IPv4Address(0)
    times = sorted(option(update, o.Timestamp).to_utc() for update in pbus(domain))
    assert times[-1] - times[0] > 100
    domain.run(7200)
    assert len(list(domain.anchor().sessions())) == 20
    assert domain.lma.engine.counters["binding_expired"] == 0


@pytest.mark.requirement("R5844-3.2.3.3-5")
def test_a_binding_that_could_not_be_refreshed_ends_and_is_asked_for_anew() -> None:
    domain = Domain()
    domain.attach(0)
    domain.run()
    before = next(iter(domain.mags[0].served.values()))
    domain.loss = lambda send: []
    domain.run(4000)
    assert not domain.mags[0].served
    assert not list(domain.anchor().sessions())
    domain.loss = None
    domain.run(60)
    after = next(iter(domain.mags[0].served.values()))
    assert after.prefixes == before.prefixes


@pytest.mark.requirement(
    "R5213-6.9.1.4-1",
    "R5213-6.9.1.4-2",
    "R5213-6.9.1.4-3",
    "R5213-6.9.1.4-4",
    "R5213-6.12-1",
    "R5213-6.13-2",
    "R5844-3.2.3.3-1",
)
def test_detaching_withdraws_deregisters_and_takes_out() -> None:
    domain = Domain()
    domain.attach(0)
    domain.run()
    domain.sent.clear()
    domain.detach(0)
    kinds = [type(effect) for effect in domain.mags[0].log]
    assert kinds[-2:] == [Withdraw, Send]
    assert not domain.mags[0].served
    assert domain.mags[0].switch
    domain.run(0.5)
    (update,) = pbus(domain)
    assert update.lifetime == 0
    assert option(update, o.HandoffIndicatorOption).indicator == 4
    assert option(update, o.HomeNetworkPrefix).address == IPv6Address("2001:db8:a000::")
    assert not domain.mags[0].switch
    installs = [effect for effect in domain.mags[0].log if isinstance(effect, Install)]
    assert installs[-1].new is None


@pytest.mark.requirement("R5213-6.9.1.4-4")
def test_after_the_first_timeout_the_state_goes_even_without_an_answer() -> None:
    domain = Domain()
    domain.attach(0)
    domain.run()
    domain.loss = lambda send: []
    domain.detach(0)
    domain.run(0.9)
    assert domain.mags[0].switch
    domain.run(0.2)
    assert not domain.mags[0].switch


def test_coming_back_while_leaving_is_an_attachment() -> None:
    domain = Domain()
    domain.attach(0)
    domain.run()
    before = next(iter(domain.mags[0].served.values()))
    domain.detach(0)
    domain.attach(0)
    domain.run(30)
    after = next(iter(domain.mags[0].served.values()))
    assert after.prefixes == before.prefixes
    assert next(domain.anchor().sessions()).phase is Phase.ACTIVE


@pytest.mark.requirement("OUR-RETURN-1")
@pytest.mark.parametrize("revoke", [False, True])
def test_a_mobile_node_that_returns_before_anybody_noticed_is_served_again(revoke: bool) -> None:
    domain = Domain(lma_config(revoke_on_handoff=revoke))
    domain.attach(0)
    domain.run()
    domain.attach(1, indicator=3)
    domain.run(0.012 if revoke else 0.5)  # the first MAG has not heard of it yet
    domain.attach(0, indicator=3)
    domain.run(5)
    (session,) = domain.anchor().sessions()
    assert session.path.peer.address == MAGS[0]
    (served,) = domain.mags[0].served.values()
    assert (served.uplink_key, served.downlink_key) == (session.uplink_key, session.downlink_key)


def test_a_move_to_another_access_link_of_the_same_mag_needs_no_pbu() -> None:
    domain = Domain()
    domain.attach(0, port=1)
    domain.run()
    domain.sent.clear()
    domain.attach(0, port=2)
    domain.run()
    assert not domain.sent
    assert next(iter(domain.mags[0].switch.values())).access.link == 2  # type: ignore[union-attr]


@pytest.mark.requirement("R5845-3.1-3", "R5213-5.2-2", "R5213-5.2-3", "R5213-5.4-1", "R5213-6.6-1")
def test_each_interface_of_a_mobile_node_has_its_own_session_and_keys() -> None:
    domain = Domain()
    domain.attach(0, mac=1, indicator=1)
    domain.run()
    domain.attach(1, mac=2, indicator=1, technology=4)
    domain.run()
    one, two = domain.anchor().sessions()
    assert one.mn == two.mn
    assert not set(one.prefixes) & set(two.prefixes)
    assert one.uplink_key != two.uplink_key
    domain.detach(0, mac=1)
    domain.run(20)
    assert [session.session_id for session in domain.anchor().sessions()] == [two.session_id]


@pytest.mark.requirement("R7389-3-1", "R7389-4-1", "R7389-5-2", "OUR-TUNNEL-1")
def test_tunnel_end_points_that_are_not_the_signalling_ones() -> None:
    plane, tunnel = IPv6Address("2001:db8:0:1::77"), IPv6Address("2001:db8:0:2::77")
    mag = mag_config(MAGS[0], Peer(LMA, request_user_plane=True), tunnel=(tunnel,))
    domain = Domain(lma_config(tunnel=(plane,)), mag)
    domain.attach(0)
    domain.run()
    assert option(pbus(domain)[0], o.AlternateCareOfAddress).address == tunnel
    assert option(pbus(domain)[0], o.LmaUserPlaneAddress).address is None
    (lma,), (end,) = domain.anchor().sessions(), domain.mag(0).sessions()
    assert (lma.tunnel.local, lma.tunnel.peer) == (plane, tunnel)  # type: ignore[union-attr]
    assert (end.tunnel.local, end.tunnel.peer) == (tunnel, plane)  # type: ignore[union-attr]
    phases = [effect.new.phase for effect in domain.mags[0].log if isinstance(effect, Install) and effect.new]
    assert phases == [Phase.ACTIVE]  # where to receive from was not known when the first PBU was sent
    domain.attach(0, b"2@a.example", mac=2)
    phases = [effect.new.phase for effect in domain.mags[0].log if isinstance(effect, Install) and effect.new]
    assert phases[1:] == [Phase.PROPOSED]  # now it is


@pytest.mark.requirement("R5844-4.2.2-1", "R5844-4.2.2-2", "R5844-4.2.2-3", "R5844-4.2.2.1-1")
def test_signalling_over_ipv4_and_udp_with_configured_tunnel_end_points() -> None:
    own, far = IPv4Address("192.0.2.1"), IPv4Address("192.0.2.9")
    anchor = lma_config(
        peers=(Peer(own, port=5436, tunnel=IPv4Address("198.51.100.1")),),
        local=(Endpoint(far, 5436),),
        tunnel=(IPv4Address("198.51.100.9"),),
    )
    gateway = replace(
        mag_config(MAGS[0], Peer(far, port=5436, tunnel=IPv4Address("198.51.100.9"))),
        local=(Endpoint(own, 5436),),
        tunnel=(IPv4Address("198.51.100.1"),),
        lma=far,
    )
    domain = Domain(anchor, gateway)
    domain.attach(0)
    domain.run()
    (lma,), (end,) = domain.anchor().sessions(), domain.mag(0).sessions()
    assert lma.tunnel is not None
    assert end.tunnel is not None
    assert (lma.tunnel.local, lma.tunnel.peer) == (end.tunnel.peer, end.tunnel.local)
    assert all(send.octets[4:6] == b"\0\0" for send in domain.sent)


@pytest.mark.requirement("R5844-4.1.1-1", "OUR-TUNNEL-2")
def test_an_ipv4_tunnel_end_point_of_the_mag_is_signalled() -> None:
    own, far, tunnel = IPv4Address("192.0.2.1"), IPv4Address("192.0.2.9"), IPv4Address("198.51.100.1")
    plane = IPv4Address("198.51.100.9")
    anchor = lma_config(peers=(Peer(own, port=5436),), local=(Endpoint(far, 5436),), tunnel=(plane,))
    peer = Peer(far, port=5436, request_user_plane=True)
    gateway = replace(mag_config(MAGS[0], peer), local=(Endpoint(own, 5436),), tunnel=(tunnel,), lma=far)
    domain = Domain(anchor, gateway)
    domain.attach(0)
    domain.run()
    (lma,), (end,) = domain.anchor().sessions(), domain.mag(0).sessions()
    assert (lma.tunnel.local, lma.tunnel.peer) == (plane, tunnel)  # type: ignore[union-attr]
    assert (end.tunnel.local, end.tunnel.peer) == (tunnel, plane)  # type: ignore[union-attr]


@pytest.mark.requirement("R7389-4-3", "OUR-TUNNEL-3")
def test_tunnel_end_points_of_different_families_are_refused_and_not_guessed() -> None:
    domain = Domain(lma_config(tunnel=(IPv4Address("198.51.100.9"),)), mag_config(MAGS[0]))
    domain.attach(0)
    domain.run()
    assert domain.statuses() == {174: 1}
    assert not domain.lma.switch


@pytest.mark.requirement("R5213-6.2-1", "R5213-6.9.1.1-1", "R5213-6.14-1")
def test_who_is_not_served() -> None:
    denied = Directory({MN: Profile("operator-a", proxy_registration=False)}, DIRECTORY.domains)
    domain = Domain(lma_config(), mag_config(MAGS[0], directory=denied))
    assert domain.attach(0) is None
    assert domain.attach(0, b"x@nowhere.example") is None
    assert domain.mag(0).counters["attach_denied"] == 2
    nowhere = Domain(lma_config(), mag_config(MAGS[0], lma=None))
    assert nowhere.attach(0) is None
    assert nowhere.mags[0].alarms[-1].name == "no_lma"


@pytest.mark.requirement("OUR-KEYS-3")
def test_a_mag_without_a_key_left_serves_nobody_more() -> None:
    domain = Domain(lma_config(), mag_config(MAGS[0], key_first=7, key_last=7))
    domain.attach(0)
    domain.attach(0, b"2@a.example", mac=2)
    domain.run()
    assert len(domain.mags[0].served) == 1
    assert domain.mags[0].alarms[-1].name == "keys_exhausted"
    assert len(list(domain.anchor().sessions())) == 1


@pytest.mark.requirement("R5213-6.9.1.5-1")
def test_peers_of_the_lma_are_found_by_their_address() -> None:
    domain = Domain(lma_config(peers=lma_peers(realms=frozenset({"operator-b"}))))
    domain.attach(0)
    domain.run()
    assert domain.statuses()[154] == 1
    assert domain.mags[0].alarms[-1].name == "registration_refused"
