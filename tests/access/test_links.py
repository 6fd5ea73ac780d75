"""A MAG on its access links, told what the switch hands up; scapy makes the frames and reads the answers."""

from dataclasses import replace
from ipaddress import IPv4Address, IPv4Interface, IPv6Address, IPv6Network

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.layers.dhcp import BOOTP, DHCP
from scapy.layers.inet import ICMP, IP, UDP
from scapy.layers.inet6 import (
    ICMPv6EchoRequest,
    ICMPv6MLDMultAddrRec,
    ICMPv6MLReport2,
    ICMPv6ND_NA,
    ICMPv6ND_NS,
    ICMPv6ND_RA,
    ICMPv6ND_RS,
    ICMPv6NDOptMTU,
    ICMPv6NDOptPrefixInfo,
    ICMPv6NDOptRDNSS,
    ICMPv6NDOptSrcLLAddr,
    IPv6,
    IPv6ExtHdrHopByHop,
    RouterAlert,
)
from scapy.layers.l2 import ARP, Ether
from scapy.packet import Packet, Raw

from p4pmip.access import (
    ROUTER_LINK_LOCAL,
    ROUTER_MAC,
    AccessEffect,
    AccessLinks,
    AccessSettings,
    AddressReleased,
    AddressWanted,
    Detached,
    Direction,
    Inject,
    MobileNodeSeen,
    Punt,
    Service,
    Transmit,
)
from p4pmip.mobility.binding import AccessLink, Binding, Granularity, Gre, Phase, Role, Tunnel

LINK = 3
ALICE, BOB = "02:00:00:00:00:01", "02:00:00:00:00:02"
ALICE_MAC, BOB_MAC = (bytes.fromhex(mac.replace(":", "")) for mac in (ALICE, BOB))
ALICE_LL = "fe80::1234"
ROUTER = "10.0.0.1"
ROUTER_LL = str(ROUTER_LINK_LOCAL)
PREFIX = IPv6Network("2001:db8:1::/64")
DNS = (IPv6Address("2001:db8::53"), IPv4Address("10.0.0.53"))
NOW = 1000.0

BINDING = Binding(
    role=Role.MAG,
    mn=b"alice@example.org",
    realm="red",
    session_id=7,
    phase=Phase.ACTIVE,
    prefixes=(PREFIX,),
    ipv4=IPv4Interface("10.0.0.5/24"),
    ipv4_router=IPv4Address(ROUTER),
    tunnel=Tunnel(IPv6Address("2001:db8:a::1"), IPv6Address("2001:db8:b::1")),
    gre=Gre.KEYED,
    granularity=Granularity.SESSION,
    uplink_key=1,
    downlink_key=2,
    access=AccessLink(LINK, ALICE_MAC),
)
SERVICE = Service(BINDING, NOW + 3600, 1452, DNS)


def served(service: Service = SERVICE) -> AccessLinks:
    """A MAG that serves Alice and has said so."""
    links = AccessLinks()
    links.serve(service, NOW)
    links.effects()
    return links


def hear(links: AccessLinks, packet: Packet, reason: str, now: float = NOW, **more: int) -> list[AccessEffect]:
    links.receive(LINK, bytes(packet), reason, now, **more)
    return links.effects()


def sent(effects: list[AccessEffect]) -> Packet:
    """The one frame that was sent, and nothing else happened."""
    [effect] = effects
    assert isinstance(effect, Transmit)
    assert effect.link == LINK
    return Ether(effect.frame)


def solicit(mac: str = ALICE, source: str = ALICE_LL) -> Packet:
    return Ether(src=mac, dst="33:33:00:00:00:02") / IPv6(src=source, dst="ff02::2", hlim=255) / ICMPv6ND_RS()


def neighbor(target: str, source: str = ALICE_LL, mac: str = ALICE, hop_limit: int = 255) -> Packet:
    ip = IPv6(src=source, dst="ff02::1:ff00:5213", hlim=hop_limit)
    return Ether(src=mac, dst="33:33:ff:00:52:13") / ip / ICMPv6ND_NS(tgt=target)


def arp(target: str, sender: str = "10.0.0.5", mac: str = ALICE, inner_mac: str | None = None) -> Packet:
    return Ether(src=mac, dst="ff:ff:ff:ff:ff:ff") / ARP(hwsrc=inner_mac or mac, psrc=sender, pdst=target)


def dhcp(kind: str, mac: str = ALICE, ciaddr: str = "0.0.0.0") -> Packet:
    frame = Ether(src=mac, dst="ff:ff:ff:ff:ff:ff") / IP(src="0.0.0.0", dst="255.255.255.255")
    bootp = BOOTP(chaddr=bytes.fromhex(mac.replace(":", "")), xid=99, ciaddr=ciaddr)
    return frame / UDP(sport=68, dport=67) / bootp / DHCP(options=[("message-type", kind), "end"])


# --- a node is noticed ------------------------------------------------------------------------------

FIRST_PACKETS = {
    "router solicitation": (solicit(), Punt.ROUTER_SOLICITATION, None),
    "duplicate address detection": (neighbor("fe80::99", "::"), Punt.NEIGHBOR_DISCOVERY, None),
    "neighbor solicitation": (
        neighbor("2001:db8:1::1", "2001:db8:1::5"),
        Punt.NEIGHBOR_DISCOVERY,
        IPv6Address("2001:db8:1::5"),
    ),
    "DHCP": (dhcp("discover"), Punt.DHCP, None),
    "ARP": (arp(ROUTER), Punt.ARP, IPv4Address("10.0.0.5")),
    "ARP probe": (arp("10.0.0.5", "0.0.0.0"), Punt.ARP, None),
    "groups it listens to": (
        Ether(src=ALICE, dst="33:33:00:00:00:16")
        / IPv6(src="::", dst="ff02::16", hlim=1)
        / IPv6ExtHdrHopByHop(options=RouterAlert())
        / ICMPv6MLReport2(records=[ICMPv6MLDMultAddrRec(rtype=4, dst="ff02::1:ff00:5")]),
        Punt.LISTENER_REPORT,
        None,
    ),
    "data": (
        Ether(src=ALICE, dst="00:00:5e:00:52:13") / IP(src="10.0.0.5", dst="198.51.100.7") / UDP(),
        Punt.UNKNOWN_SOURCE,
        IPv4Address("10.0.0.5"),
    ),
    "DHCPv6": (Ether(src=ALICE) / IPv6(src=ALICE_LL, dst="ff02::1:2") / UDP(dport=547), Punt.DHCP, None),
}


@pytest.mark.requirement("R5213-6.9.1.1-1")
@pytest.mark.parametrize(("packet", "reason", "hint"), FIRST_PACKETS.values(), ids=FIRST_PACKETS.keys())
def test_a_node_is_noticed_by_its_first_packet(
    packet: Packet, reason: Punt, hint: IPv4Address | IPv6Address | None
) -> None:
    links = AccessLinks()
    assert hear(links, packet, reason) == [MobileNodeSeen(LINK, ALICE_MAC, hint)]
    assert hear(links, packet, reason, NOW + 0.9) == [], "a report is not repeated at once"
    assert hear(links, packet, reason, NOW + 1.0) == [MobileNodeSeen(LINK, ALICE_MAC, hint)]


def test_a_report_of_a_node_that_is_served_is_a_sign_of_life() -> None:
    links = served()
    packet, reason, _ = FIRST_PACKETS["groups it listens to"]
    assert hear(links, packet, reason, NOW + 30) == []
    assert links.counters["listener_report"] == 1
    assert advance(links, NOW + 89) == []
    assert advance(links, NOW + 90)
    links.receive(LINK, bytes(packet)[:30], reason, NOW + 91)
    assert links.counters["ip_truncated"] == 1


def test_only_so_many_unknown_nodes_of_a_link_are_remembered() -> None:
    links = AccessLinks(AccessSettings(waiting_per_link=2))
    for mac in (ALICE, BOB):
        assert len(hear(links, solicit(mac), Punt.ROUTER_SOLICITATION)) == 1
    assert hear(links, solicit(ALICE), Punt.ROUTER_SOLICITATION) == []
    found = hear(links, solicit("02:00:00:00:00:03"), Punt.ROUTER_SOLICITATION)
    assert found[0] == Detached(LINK, BOB_MAC), "who was silent for longest has left"
    assert isinstance(found[1], MobileNodeSeen)
    assert links.counters["waiting_forgotten"] == 1
    assert hear(links, solicit(ALICE), Punt.ROUTER_SOLICITATION) == []


def test_a_node_that_is_not_served_and_says_nothing_more_has_left() -> None:
    links = AccessLinks()
    hear(links, solicit(), Punt.ROUTER_SOLICITATION)
    hear(links, solicit(), Punt.ROUTER_SOLICITATION, NOW + 10)
    assert advance(links, NOW + 300) == [(70, Detached(LINK, ALICE_MAC))]
    assert links.next_timer() is None


def test_a_node_whose_service_ended_is_told_apart_from_one_that_is_there_by_what_it_says() -> None:
    for there in (True, False):
        links = served()
        links.withdraw(SERVICE.binding)
        links.effects()
        if there:
            (seen,) = hear(links, solicit(), Punt.ROUTER_SOLICITATION, NOW + 30)
            assert isinstance(seen, MobileNodeSeen)
        assert advance(links, NOW + 300) == [(90 if there else 60, Detached(LINK, ALICE_MAC))]


def test_another_link_has_its_own_memory() -> None:
    links = AccessLinks(AccessSettings(waiting_per_link=1))
    hear(links, solicit(ALICE), Punt.ROUTER_SOLICITATION)
    links.receive(LINK + 1, bytes(solicit(BOB)), Punt.ROUTER_SOLICITATION, NOW)
    assert links.effects() == [MobileNodeSeen(LINK + 1, BOB_MAC, None)], "nobody had to make room"


# --- router advertisements --------------------------------------------------------------------------


@pytest.mark.requirement("R5213-6.7-2", "R5213-6.9.2-1")
def test_a_router_solicitation_is_answered_only_once_the_node_is_registered() -> None:
    links = AccessLinks()
    hear(links, solicit(), Punt.ROUTER_SOLICITATION)
    links.serve(SERVICE, NOW + 0.01)
    frame = sent(links.effects())
    assert (frame.src, frame.dst) == ("00:00:5e:00:52:13", ALICE)
    assert (frame[IPv6].src, frame[IPv6].dst, frame[IPv6].hlim) == (ROUTER_LL, ALICE_LL, 255)
    assert sent(hear(links, solicit(), Punt.ROUTER_SOLICITATION, NOW + 1))[ICMPv6ND_RA].routerlifetime == 1800


@pytest.mark.requirement("R5213-6.7-1", "R5213-6.9.1.2-14", "R5213-6.9.2-3", "R5213-6.9.3-1", "R6543-1-1", "R6543-1-2")
def test_what_an_advertisement_says() -> None:
    links = AccessLinks()
    links.serve(SERVICE, NOW)
    frame = sent(links.effects())
    advertisement = frame[ICMPv6ND_RA]
    assert frame[IPv6].dst == "ff02::1", "to its own MAC address even so"
    assert frame.dst == ALICE
    assert (advertisement.routerlifetime, advertisement.M, advertisement.O) == (1800, 0, 0)
    assert frame[ICMPv6NDOptSrcLLAddr].lladdr == "00:00:5e:00:52:13"
    assert frame[ICMPv6NDOptMTU].mtu == 1452
    prefix = frame[ICMPv6NDOptPrefixInfo]
    assert (prefix.prefix, prefix.prefixlen, prefix.L, prefix.A) == ("2001:db8:1::", 64, 1, 1)
    assert (prefix.validlifetime, prefix.preferredlifetime) == (3600, 3600)
    assert (frame[ICMPv6NDOptRDNSS].dns, frame[ICMPv6NDOptRDNSS].lifetime) == (["2001:db8::53"], 1800)
    checksum = advertisement.cksum
    del advertisement.cksum
    assert Ether(frame.build())[ICMPv6ND_RA].cksum == checksum


@pytest.mark.requirement("R5213-6.7-3")
def test_nothing_outlives_the_binding() -> None:
    links = AccessLinks()
    links.serve(replace(SERVICE, expires=NOW + 40.5), NOW)
    frame = sent(links.effects())
    assert frame[ICMPv6ND_RA].routerlifetime == 40
    assert frame[ICMPv6NDOptPrefixInfo].validlifetime == 40
    assert frame[ICMPv6NDOptRDNSS].lifetime == 40


def test_a_node_is_told_again_in_time() -> None:
    links = served()
    links.heard(LINK, ALICE_MAC, NOW + 590)
    while (due := links.next_timer()) is not None and due < NOW + 600:
        links.handle_timer(due)
        links.heard(LINK, ALICE_MAC, due)
        links.effects()
    assert due == NOW + 600
    links.heard(LINK, ALICE_MAC, NOW + 600)
    links.handle_timer(NOW + 600)
    assert sent(links.effects())[ICMPv6NDOptPrefixInfo].validlifetime == 3000


@pytest.mark.requirement("R5213-6.12-1")
def test_an_old_prefix_is_taken_back_when_another_one_comes() -> None:
    links = served()
    links.serve(replace(SERVICE, binding=replace(BINDING, prefixes=(IPv6Network("2001:db8:2::/64"),))), NOW)
    frame = sent(links.effects())
    told = {
        option.prefix: (option.validlifetime, option.preferredlifetime)
        for option in frame.iterpayloads()
        if isinstance(option, ICMPv6NDOptPrefixInfo)
    }
    assert told == {"2001:db8:2::": (3600, 3600), "2001:db8:1::": (0, 0)}
    assert frame[ICMPv6ND_RA].routerlifetime == 1800


def test_a_session_that_loses_its_last_prefix_loses_its_ipv6_router() -> None:
    links = served()
    links.serve(replace(SERVICE, binding=replace(BINDING, prefixes=())), NOW)
    frame = sent(links.effects())
    assert frame[ICMPv6ND_RA].routerlifetime == 0
    assert frame[ICMPv6NDOptPrefixInfo].validlifetime == 0
    assert hear(links, solicit(), Punt.ROUTER_SOLICITATION) == []
    assert links.counters["rs_without_prefix"] == 1


@pytest.mark.requirement("R5213-6.9.1.4-5", "R5213-6.12-1")
def test_withdrawing_ends_what_was_told() -> None:
    links = served()
    links.withdraw(BINDING)
    frame = sent(links.effects())
    assert frame.dst == ALICE
    assert frame[ICMPv6ND_RA].routerlifetime == 0
    assert frame[ICMPv6NDOptPrefixInfo].validlifetime == 0
    assert frame[ICMPv6NDOptRDNSS].lifetime == 0
    assert links.serving(LINK, ALICE_MAC) is None
    assert hear(links, solicit(), Punt.ROUTER_SOLICITATION) == [MobileNodeSeen(LINK, ALICE_MAC, None)]
    links.withdraw(BINDING)
    assert links.counters["withdrawn_twice"] == 1


def test_a_node_without_prefix_hears_no_advertisement() -> None:
    links = AccessLinks()
    links.serve(replace(SERVICE, binding=replace(BINDING, prefixes=())), NOW)
    assert links.effects() == []
    links.withdraw(BINDING)
    assert links.effects() == []


@pytest.mark.requirement("R5213-6.8-1", "R5213-6.9.1.2-15")
def test_the_link_local_address_that_the_anchor_keeps_is_used() -> None:
    links = AccessLinks()
    links.serve(replace(SERVICE, link_local=IPv6Address("fe80::77")), NOW)
    assert sent(links.effects())[IPv6].src == "fe80::77"
    answer = sent(hear(links, neighbor("fe80::77"), Punt.NEIGHBOR_DISCOVERY))
    assert answer[ICMPv6ND_NA].tgt == "fe80::77"
    assert hear(links, neighbor(ROUTER_LL), Punt.NEIGHBOR_DISCOVERY) == []


# --- ARP and Neighbor Discovery ---------------------------------------------------------------------

ARP_CASES = {
    "the router": (arp(ROUTER), True),
    "another home address": (arp("10.0.0.77"), True),
    "a probe for the router's address": (arp(ROUTER, "0.0.0.0"), True),
    "a probe for another home address": (arp("10.0.0.77", "0.0.0.0"), True),
    "a probe for its own address": (arp("10.0.0.5", "0.0.0.0"), "arp_own_address"),
    "an announcement": (arp("10.0.0.5"), "arp_own_address"),
    "an announcement of somebody else's address": (arp("10.0.0.9", "10.0.0.9"), "arp_own_address"),
    "from somebody else's address": (arp(ROUTER, "10.0.0.9"), "arp_spoofed"),
    "beyond the home subnet": (arp("192.0.2.1"), "arp_off_subnet"),
    "in somebody else's name": (arp(ROUTER, inner_mac=BOB), "arp_other_mac"),
    "a reply": (Ether(src=ALICE) / ARP(op=2, hwsrc=ALICE, psrc="10.0.0.5", pdst=ROUTER), "arp_reply_received"),
}


@pytest.mark.requirement("R5213-6.9.3-1", "R6543-1-1", "R5844-3.2.3.2-8", "R5844-3.2.4-4")
@pytest.mark.parametrize(("packet", "expected"), ARP_CASES.values(), ids=ARP_CASES.keys())
def test_arp(packet: Packet, expected: bool | str) -> None:
    links = served()
    effects = hear(links, packet, Punt.ARP)
    if isinstance(expected, str):
        assert effects == []
        assert links.counters[expected] == 1
        return
    frame = sent(effects)
    assert (frame.src, frame.dst) == ("00:00:5e:00:52:13", ALICE)
    reply = frame[ARP]
    assert (reply.op, reply.hwsrc, reply.psrc) == (2, "00:00:5e:00:52:13", packet[ARP].pdst)
    assert (reply.hwdst, reply.pdst) == (ALICE, packet[ARP].psrc)


def test_arp_of_a_session_without_ipv4() -> None:
    links = served(replace(SERVICE, binding=replace(BINDING, ipv4=None, ipv4_router=None)))
    assert hear(links, arp(ROUTER), Punt.ARP) == []
    assert links.counters["arp_no_home_address"] == 1


ND_CASES = {
    "the router": (neighbor(ROUTER_LL), ALICE_LL),
    "the router, from its own address": (neighbor(ROUTER_LL, "2001:db8:1::5"), "2001:db8:1::5"),
    "somebody takes the router's address": (neighbor(ROUTER_LL, "::"), "ff02::1"),
    "a probe for its own address": (neighbor("2001:db8:1::5", "::"), "!nd_other_address"),
    "a probe for its own link-local address": (neighbor(ALICE_LL, "::"), "!nd_other_address"),
    "another address of its own prefix": (neighbor("2001:db8:1::99", "2001:db8:1::5"), "!nd_other_address"),
    "from a foreign address": (neighbor(ROUTER_LL, "2001:db8:2::5"), "!nd_spoofed"),
    "from the router's address": (neighbor(ROUTER_LL, ROUTER_LL), "!nd_spoofed"),
    "hop limit 254": (neighbor(ROUTER_LL, hop_limit=254), "!nd_bad_value"),
    "for a group": (neighbor("ff02::1"), "!nd_bad_value"),
    "source option without a source": (
        neighbor(ROUTER_LL, "::") / ICMPv6NDOptSrcLLAddr(lladdr=ALICE),
        "!nd_bad_value",
    ),
    "an echo request": (Ether(src=ALICE) / IPv6(hlim=255, src=ALICE_LL) / ICMPv6EchoRequest(), "!nd_bad_value"),
    "no ICMPv6": (Ether(src=ALICE) / IPv6(hlim=255, src=ALICE_LL) / UDP(), "!nd_unknown_protocol"),
}


@pytest.mark.requirement("R5213-6.9.3-1")
@pytest.mark.parametrize(("packet", "expected"), ND_CASES.values(), ids=ND_CASES.keys())
def test_neighbor_solicitations(packet: Packet, expected: str) -> None:
    links = served()
    effects = hear(links, packet, Punt.NEIGHBOR_DISCOVERY)
    if expected.startswith("!"):
        assert effects == []
        assert links.counters[expected[1:]] == 1
        return
    frame = sent(effects)
    assert (frame.src, frame.dst) == ("00:00:5e:00:52:13", ALICE)
    assert (frame[IPv6].src, frame[IPv6].dst, frame[IPv6].hlim) == (ROUTER_LL, expected, 255)
    advertisement = frame[ICMPv6ND_NA]
    assert (advertisement.tgt, advertisement.R, advertisement.O) == (ROUTER_LL, 1, 1)
    assert (expected != "ff02::1") == advertisement.S
    assert frame.lastlayer().lladdr == "00:00:5e:00:52:13"


def test_a_node_that_claims_the_routers_address_is_counted() -> None:
    links = served()
    claim = Ether(src=ALICE) / IPv6(src=ALICE_LL, dst="ff02::1", hlim=255) / ICMPv6ND_NA(tgt=ROUTER_LL)
    assert hear(links, claim, Punt.NEIGHBOR_DISCOVERY) == []
    assert links.counters["nd_router_address_conflict"] == 1


# --- DHCP and the rest ------------------------------------------------------------------------------


@pytest.mark.requirement("R5844-3.4.3-1")
def test_a_discover_that_came_too_early_is_answered_once_the_node_is_registered() -> None:
    links = AccessLinks()
    hear(links, dhcp("discover"), Punt.DHCP)
    links.serve(replace(SERVICE, binding=replace(BINDING, prefixes=())), NOW)
    offer = sent(links.effects())
    assert (offer[BOOTP].yiaddr, offer[BOOTP].xid) == ("10.0.0.5", 99)
    assert ("message-type", 2) in offer[DHCP].options
    ack = sent(hear(links, dhcp("request", ciaddr="10.0.0.5"), Punt.DHCP))
    assert ("message-type", 5) in ack[DHCP].options
    assert ("interface-mtu", 1452) in ack[DHCP].options


def test_what_a_node_asked_too_early_is_answered_once_it_is_registered() -> None:
    links = AccessLinks()
    hear(links, arp(ROUTER), Punt.ARP)
    hear(links, neighbor(ROUTER_LL), Punt.NEIGHBOR_DISCOVERY)
    links.serve(SERVICE, NOW + 0.01)
    frames = [Ether(effect.frame) for effect in links.effects() if isinstance(effect, Transmit)]
    assert [frame.lastlayer().name for frame in frames[1:]] == [
        "ARP",
        "ICMPv6 Neighbor Discovery Option - Destination Link-Layer Address",
    ]
    assert ICMPv6ND_RA in frames[0]
    assert (frames[1][ARP].psrc, frames[2][ICMPv6ND_NA].tgt) == (ROUTER, ROUTER_LL)


@pytest.mark.requirement("R5844-3.4.3-5")
def test_a_release_is_told() -> None:
    links = served()
    assert hear(links, dhcp("release", ciaddr="10.0.0.5"), Punt.DHCP) == [AddressReleased(LINK, ALICE_MAC)]


@pytest.mark.requirement("R5844-3.4.3-2")
def test_a_node_without_an_address_that_asks_for_one_is_told_of() -> None:
    links = served(replace(SERVICE, binding=replace(BINDING, ipv4=None, ipv4_router=None)))
    assert hear(links, dhcp("discover"), Punt.DHCP) == [AddressWanted(LINK, ALICE_MAC)]


@pytest.mark.requirement("R5213-6.10.5-3", "R5844-3.2.4-3")
def test_a_served_nodes_foreign_source_is_counted_and_no_more() -> None:
    links = served()
    packet = Ether(src=ALICE) / IP(src="10.0.0.99", dst="198.51.100.7") / UDP()
    assert hear(links, packet, Punt.UNKNOWN_SOURCE) == []
    assert links.counters["spoofed_source"] == 1


ALICE_GLOBAL = "2001:db8:1::5"
PING6 = ICMPv6EchoRequest(id=5, seq=6, data=b"data")


@pytest.mark.parametrize(
    ("packet", "reason"),
    [
        (Ether(src=ALICE) / IP(src="10.0.0.5", dst=ROUTER) / ICMP(id=5, seq=6) / b"data", Punt.ICMP),
        (Ether(src=ALICE) / IPv6(src=ALICE_LL, dst=ROUTER_LL) / PING6, Punt.ICMP),
        (Ether(src=ALICE) / IPv6(src=ALICE_LL, dst=ROUTER_LL) / PING6, Punt.UNKNOWN_SOURCE),
        (Ether(src=ALICE) / IPv6(src=ALICE_GLOBAL, dst=ROUTER_LL) / PING6, Punt.ICMP),
    ],
)
def test_the_router_answers_ping(packet: Packet, reason: Punt) -> None:
    frame = sent(hear(served(), packet, reason))
    reply = frame.payload.payload
    assert (frame.payload.src, frame.payload.dst) == (packet.payload.dst, packet.payload.src)
    assert (reply.type, reply.id, reply.seq) == (0 if IP in packet else 129, 5, 6)


@pytest.mark.parametrize(
    ("packet", "reason", "counter"),
    [
        (IPv6(src="2001:db8:9::5", dst=ROUTER_LL) / PING6, Punt.ICMP, "icmp_ignored"),
        (IP(src="10.0.0.6", dst=ROUTER) / ICMP(), Punt.ICMP, "icmp_ignored"),
        (IPv6(src=ALICE_LL, dst=ROUTER_LL) / UDP(), Punt.UNKNOWN_SOURCE, "spoofed_source"),
        (IPv6(src=ALICE_LL, dst="fe80::77") / PING6, Punt.UNKNOWN_SOURCE, "spoofed_source"),
        (IPv6(src="2001:db8:9::5", dst=ROUTER_LL) / PING6, Punt.UNKNOWN_SOURCE, "spoofed_source"),
    ],
)
def test_the_router_answers_nothing_else(packet: Packet, reason: Punt, counter: str) -> None:
    links = served()
    assert hear(links, Ether(src=ALICE) / packet, reason) == []
    assert links.counters == {"router_advertisement": 1, counter: 1}


UPLINK = Ether(src=ALICE, dst="00:00:5e:00:52:13") / IP(src="10.0.0.5", dst="198.51.100.7", ttl=9)


def test_too_big_for_the_tunnel() -> None:
    links = served()
    packet = UPLINK.copy()
    packet[IP].flags = "DF"
    frame = sent(hear(links, packet / UDP() / Raw(bytes(1480)), Punt.TOO_BIG, mtu=1452, session_id=7))
    assert (frame.dst, frame[IP].src, frame[IP].dst, frame[ICMP].nexthopmtu) == (ALICE, ROUTER, "10.0.0.5", 1452)
    packet6 = Ether(src=ALICE) / IPv6(src="2001:db8:1::5", dst="2001:db8:f::1") / UDP() / Raw(bytes(1480))
    frame = sent(hear(links, packet6, Punt.TOO_BIG, mtu=1452, session_id=7))
    assert (frame[IPv6].src, frame[IPv6].payload.mtu) == (ROUTER_LL, 1452)


def test_without_df_the_packet_goes_on_in_pieces() -> None:
    effects = hear(served(), UPLINK / UDP() / Raw(bytes(1480)), Punt.TOO_BIG, mtu=1452, session_id=7)
    pieces = []
    for effect in effects:
        assert isinstance(effect, Inject)
        assert (effect.session_id, effect.direction) == (7, Direction.UPLINK)
        pieces.append(Ether(effect.frame))
    assert [(piece[IP].len, piece[IP].frag, piece[IP].ttl) for piece in pieces] == [(1452, 0, 8), (76, 179, 8)]
    assert {(piece.src, piece.dst) for piece in pieces} == {(ALICE, "00:00:5e:00:52:13")}


def test_errors_are_limited_on_each_link() -> None:
    links = served()
    packet = UPLINK / UDP()
    answered = sum(len(hear(links, packet, Punt.HOP_LIMIT, session_id=7)) for _ in range(100))
    assert answered == 20
    assert links.counters["error_rate"] == 80
    assert len(hear(links, packet, Punt.HOP_LIMIT, NOW + 1, session_id=7)) == 1
    assert hear(AccessLinks(), packet, Punt.HOP_LIMIT) == []


# --- detachment -------------------------------------------------------------------------------------


def advance(links: AccessLinks, until: float) -> list[tuple[float, AccessEffect]]:
    found = []
    while (due := links.next_timer()) is not None and due <= until:
        links.handle_timer(due)
        found += [(due - NOW, effect) for effect in links.effects()]
    return found


@pytest.mark.requirement("R5213-6.13-1", "R5213-6.13-2")
def test_an_idle_node_is_probed_and_then_gone() -> None:
    links = AccessLinks()
    hear(links, solicit(), Punt.ROUTER_SOLICITATION)
    links.serve(SERVICE, NOW)
    links.effects()
    found = advance(links, NOW + 300)
    probes = [(when, Ether(effect.frame)) for when, effect in found if isinstance(effect, Transmit)]
    assert [when for when, _ in probes] == [60, 60, 61, 61, 62, 62]
    by_arp, by_nd = probes[0][1], probes[1][1]
    assert (by_arp.dst, by_arp[ARP].pdst, by_arp[ARP].psrc) == (ALICE, "10.0.0.5", ROUTER)
    assert (by_nd.dst, by_nd[IPv6].dst, by_nd[ICMPv6ND_NS].tgt) == (ALICE, ALICE_LL, ALICE_LL)
    assert found[-1] == (63, Detached(LINK, ALICE_MAC))
    assert len(found) == 7


@pytest.mark.requirement("R5213-6.13-1")
def test_an_answer_to_a_probe_keeps_the_node() -> None:
    links = served()
    advance(links, NOW + 61)
    answer = Ether(src=ALICE) / IPv6(src=ALICE_LL, dst=ROUTER_LL, hlim=255) / ICMPv6ND_NA(tgt=ALICE_LL)
    hear(links, answer, Punt.NEIGHBOR_DISCOVERY, NOW + 61.5)
    assert [when for when, _ in advance(links, NOW + 122)] == [121.5, 121.5]


def test_traffic_keeps_the_node() -> None:
    links = served()
    for second in range(0, 590, 10):
        links.heard(LINK, ALICE_MAC, NOW + second)
        assert advance(links, NOW + second) == []


def test_a_switch_that_saw_the_node_idle_has_it_probed_at_once() -> None:
    links = served()
    links.probe(LINK, ALICE_MAC, NOW + 5)
    assert len(links.effects()) == 2
    links.probe(LINK, ALICE_MAC, NOW + 5)
    assert links.effects() == []
    assert advance(links, NOW + 10)[-1] == (8, Detached(LINK, ALICE_MAC))


def test_serving_anew_leaves_one_timer() -> None:
    links = served()
    for _ in range(50):
        links.serve(SERVICE, NOW)
    links.effects()
    assert sum(isinstance(effect, Detached) for _, effect in advance(links, NOW + 1000)) == 1


# --- what is not for anybody ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("frame", "reason", "counter"),
    [
        (b"\0" * 13, Punt.ARP, "ethernet_truncated"),
        (bytes(Ether(src="01:00:5e:00:00:01")), Punt.ARP, "source_mac"),
        (bytes(Ether(src="00:00:00:00:00:00")), Punt.ARP, "source_mac"),
        (bytes(Ether(src="00:00:5e:00:52:13")), Punt.ARP, "own_mac"),
        (bytes(Ether(src=BOB) / b"\0\1\10\0"), Punt.ARP, "arp_truncated"),
        (bytes(Ether(src=BOB) / IP()), Punt.NEIGHBOR_DISCOVERY, "nd_truncated"),
        (bytes(Ether(src=BOB) / IP(chksum=1) / UDP()), Punt.DHCP, "dhcp_ip_bad_checksum"),
        (bytes(Ether(src=BOB) / IP() / UDP(chksum=1, dport=67)), Punt.DHCP, "dhcp_udp_bad_checksum"),
        (bytes(Ether(src=BOB) / IP() / UDP(dport=67) / b"x"), Punt.DHCP, "dhcp_truncated"),
        (bytes(Ether(src=BOB)), Punt.UNKNOWN_SOURCE, "ip_truncated"),
        (bytes(Ether(src=BOB)), Punt.ICMP, "ip_truncated"),
        (bytes(Ether(src=BOB)), "SIGNALLING", "unexpected_reason"),
    ],
)
def test_what_is_wrong_is_counted_and_changes_nothing(frame: bytes, reason: str, counter: str) -> None:
    links = served()
    links.receive(LINK, frame, reason, NOW)
    assert links.effects() == []
    assert links.counters[counter] == 1


@settings(deadline=None)
@given(
    octets=st.binary(max_size=120),
    ether_type=st.sampled_from([b"\x08\x00", b"\x08\x06", b"\x86\xdd", b"\x81\x00"]),
    reason=st.sampled_from(list(Punt)),
)
def test_no_octets_break_it(octets: bytes, ether_type: bytes, reason: Punt) -> None:
    links = served()
    for mac in (ALICE_MAC, BOB_MAC):
        links.receive(LINK, ROUTER_MAC + mac + ether_type + octets, reason, NOW, 7, 1400)
    for effect in links.effects():
        assert not isinstance(effect, Transmit) or effect.frame[:6] in (ALICE_MAC, BOB_MAC)
    assert links.serving(LINK, ALICE_MAC) is SERVICE


@settings(deadline=None)
@given(case=st.sampled_from(list(FIRST_PACKETS.values())), at=st.integers(12, 200), octet=st.integers(0, 255))
def test_no_broken_packet_breaks_it(case: tuple[Packet, Punt, object], at: int, octet: int) -> None:
    frame = bytearray(bytes(case[0]))
    frame[at % len(frame)] = octet
    links = served()
    links.receive(LINK, bytes(frame), case[1], NOW)
    links.effects()
    assert links.serving(LINK, ALICE_MAC) is SERVICE


@pytest.mark.requirement("R5213-6.6-1")
def test_two_nodes_of_one_link_hear_only_what_is_theirs() -> None:
    links = served()
    access = AccessLink(LINK, BOB_MAC)
    bobs = replace(BINDING, session_id=8, prefixes=(IPv6Network("2001:db8:2::/64"),), ipv4=None, access=access)
    links.serve(replace(SERVICE, binding=bobs), NOW)
    frame = sent(links.effects())
    assert (frame.dst, frame[ICMPv6NDOptPrefixInfo].prefix) == (BOB, "2001:db8:2::")
    assert sent(hear(links, solicit(), Punt.ROUTER_SOLICITATION))[ICMPv6NDOptPrefixInfo].prefix == "2001:db8:1::"
    links.withdraw(bobs)
    assert links.serving(LINK, ALICE_MAC) is SERVICE


def test_a_binding_of_an_anchor_cannot_be_served() -> None:
    with pytest.raises(ValueError, match="without an access link"):
        AccessLinks().serve(replace(SERVICE, binding=replace(BINDING, access=None)), NOW)
