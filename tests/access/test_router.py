"""A node on its transport and service links: neighbours found, kept and lost, and what it answers itself."""

from dataclasses import replace
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Network

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.layers.inet import ICMP, IP, UDP
from scapy.layers.inet6 import (
    ICMPv6EchoRequest,
    ICMPv6ND_NA,
    ICMPv6ND_NS,
    ICMPv6NDOptDstLLAddr,
    ICMPv6NDOptSrcLLAddr,
    IPv6,
)
from scapy.layers.l2 import ARP, Ether
from scapy.packet import Packet, Raw

from p4pmip.access import (
    Direction,
    Inject,
    NeighbourChanged,
    NeighbourSettings,
    Punt,
    RouterEffect,
    RouterLink,
    RouterLinks,
    Transmit,
)
from p4pmip.mobility.binding import Binding, Granularity, Gre, IPAddress, Phase, Role, Tunnel

NOW = 50.0
MAC, PEER = "02:00:00:00:0a:01", "02:00:00:00:0b:01"
MAC_OCTETS, PEER_OCTETS = (bytes.fromhex(mac.replace(":", "")) for mac in (MAC, PEER))
PEER4, PEER6 = IPv4Address("192.0.2.2"), IPv6Address("2001:db8:a::2")
TRANSPORT = RouterLink(1, MAC_OCTETS, (IPv4Address("192.0.2.1"), IPv6Address("2001:db8:a::1")))
SERVICE = RouterLink(
    2,
    MAC_OCTETS,
    (IPv4Address("198.51.100.1"), IPv6Address("2001:db8:c::1")),
    realm="red",
    proxied=(IPv4Network("10.0.0.0/24"), IPv6Network("2001:db8:1::/48")),
    on_link=(IPv4Network("198.51.100.0/24"), IPv6Network("2001:db8:c::/64")),
)
OTHER_REALM = RouterLink(3, MAC_OCTETS, (IPv4Address("198.51.100.1"),), realm="blue", on_link=SERVICE.on_link)
BINDING = Binding(
    role=Role.LMA,
    mn=b"alice@example.org",
    realm="red",
    session_id=7,
    phase=Phase.ACTIVE,
    prefixes=(IPv6Network("2001:db8:1::/64"),),
    ipv4=IPv4Interface("10.0.0.5/24"),
    ipv4_router=IPv4Address("10.0.0.1"),
    tunnel=Tunnel(PEER6, PEER6),
    gre=Gre.KEYED,
    granularity=Granularity.SESSION,
    uplink_key=1,
    downlink_key=2,
)


def router(binding: Binding | None = BINDING) -> RouterLinks:
    return RouterLinks((TRANSPORT, SERVICE, OTHER_REALM), {7: binding}.get)


def hear(links: RouterLinks, packet: Packet, reason: str, link: int = 1, **more: int) -> list[RouterEffect]:
    links.receive(link, bytes(packet), reason, NOW, **more)
    return links.effects()


def sent(effects: list[RouterEffect], link: int = 1) -> Packet:
    [effect] = effects
    assert isinstance(effect, Transmit)
    assert effect.link == link
    return Ether(effect.frame)


def arp_reply(address: IPv4Address = PEER4, mac: str = PEER) -> Packet:
    return Ether(src=mac, dst=MAC) / ARP(op=2, hwsrc=mac, psrc=str(address), hwdst=MAC, pdst="192.0.2.1")


def advertisement(override: int = 1, mac: str = PEER, option: bool = True) -> Packet:
    packet = Ether(src=mac, dst=MAC) / IPv6(src=str(PEER6), dst="2001:db8:a::1", hlim=255)
    packet /= ICMPv6ND_NA(tgt=str(PEER6), R=1, S=1, O=override)
    return packet / ICMPv6NDOptDstLLAddr(lladdr=mac) if option else packet


def advance(links: RouterLinks, until: float) -> list[tuple[float, RouterEffect]]:
    found = []
    while (due := links.next_timer()) is not None and due <= until:
        links.handle_timer(due)
        found += [(due - NOW, effect) for effect in links.effects()]
    return found


# --- the next hop -----------------------------------------------------------------------------------


def test_an_ipv4_next_hop_is_asked_for_and_learnt() -> None:
    links = router()
    links.resolve(1, PEER4, NOW)
    question = sent(links.effects())
    assert (question.src, question.dst) == (MAC, "ff:ff:ff:ff:ff:ff")
    assert (question[ARP].op, question[ARP].psrc, question[ARP].pdst) == (1, "192.0.2.1", "192.0.2.2")
    assert hear(links, arp_reply(), Punt.ARP) == [NeighbourChanged(1, PEER4, PEER_OCTETS)]
    assert links.mac(1, PEER4) == PEER_OCTETS
    assert hear(links, arp_reply(), Punt.ARP) == [], "what is known already changes nothing"


def test_an_ipv6_next_hop_is_asked_for_and_learnt() -> None:
    links = router()
    links.resolve(1, PEER6, NOW)
    question = sent(links.effects())
    assert question.dst == "33:33:ff:00:00:02"
    assert (question[IPv6].src, question[IPv6].dst, question[IPv6].hlim) == ("2001:db8:a::1", "ff02::1:ff00:2", 255)
    assert (question[ICMPv6ND_NS].tgt, question[ICMPv6NDOptSrcLLAddr].lladdr) == ("2001:db8:a::2", MAC)
    assert hear(links, advertisement(), Punt.NEIGHBOR_DISCOVERY) == [NeighbourChanged(1, PEER6, PEER_OCTETS)]


def test_a_link_local_next_hop_is_asked_from_a_link_local_address() -> None:
    links = router()
    links.resolve(1, IPv6Address("fe80::2"), NOW)
    assert sent(links.effects())[IPv6].src == str(TRANSPORT.link_local) == "fe80::ff:fe00:a01"


def test_an_unanswered_question_is_repeated_ever_more_rarely() -> None:
    links = router()
    links.resolve(1, PEER4, NOW)
    assert len(links.effects()) == 1
    assert [when for when, _ in advance(links, NOW + 100)] == [1, 3, 7, 15, 31, 61, 91]


def test_a_known_neighbour_is_confirmed_by_unicast_and_lost_when_silent() -> None:
    links = router()
    links.resolve(1, PEER4, NOW)
    hear(links, arp_reply(), Punt.ARP)
    found = advance(links, NOW + 34)
    probes = [(when, Ether(effect.frame).dst) for when, effect in found if isinstance(effect, Transmit)]
    assert probes == [(30, PEER), (31, PEER), (32, PEER), (33, "ff:ff:ff:ff:ff:ff"), (34, "ff:ff:ff:ff:ff:ff")]
    assert (33, NeighbourChanged(1, PEER4, None)) in found
    assert links.mac(1, PEER4) is None


def test_a_probe_that_is_answered_starts_over() -> None:
    links = router()
    links.resolve(1, PEER6, NOW)
    hear(links, advertisement(), Punt.NEIGHBOR_DISCOVERY)
    advance(links, NOW + 30)
    links.receive(1, bytes(advertisement()), Punt.NEIGHBOR_DISCOVERY, NOW + 30.5)
    assert links.effects() == []
    [(when, probe)] = advance(links, NOW + 61)
    assert when == 60.5
    assert isinstance(probe, Transmit)
    assert Ether(probe.frame).dst == PEER


def test_a_neighbour_that_moved_is_followed_if_it_says_so() -> None:
    links = router()
    links.resolve(1, PEER6, NOW)
    hear(links, advertisement(), Punt.NEIGHBOR_DISCOVERY)
    other = "02:00:00:00:0b:02"
    assert hear(links, advertisement(0, other), Punt.NEIGHBOR_DISCOVERY) == []
    changed = NeighbourChanged(1, PEER6, bytes.fromhex(other.replace(":", "")))
    assert hear(links, advertisement(1, other), Punt.NEIGHBOR_DISCOVERY) == [changed]


def test_a_question_of_the_neighbour_tells_where_it_is() -> None:
    links = router()
    links.resolve(1, PEER4, NOW)
    links.resolve(1, PEER6, NOW)
    links.effects()
    asked = Ether(src=PEER) / ARP(hwsrc=PEER, psrc=str(PEER4), pdst="192.0.2.1")
    learnt, answer = hear(links, asked, Punt.ARP)
    assert learnt == NeighbourChanged(1, PEER4, PEER_OCTETS)
    assert isinstance(answer, Transmit)
    asked6 = Ether(src=PEER) / IPv6(src=str(PEER6), dst="2001:db8:a::1", hlim=255) / ICMPv6ND_NS(tgt="2001:db8:a::1")
    learnt, answer = hear(links, asked6 / ICMPv6NDOptSrcLLAddr(lladdr=PEER), Punt.NEIGHBOR_DISCOVERY)
    assert learnt == NeighbourChanged(1, PEER6, PEER_OCTETS)


def test_what_nobody_asked_for_is_not_learnt() -> None:
    links = router()
    assert hear(links, arp_reply(), Punt.ARP) == []
    assert hear(links, advertisement(), Punt.NEIGHBOR_DISCOVERY) == []
    assert links.mac(1, PEER4) is None
    links.resolve(1, PEER4, NOW)
    links.forget(1, PEER4)
    links.effects()
    assert hear(links, arp_reply(), Punt.ARP) == []
    assert links.next_timer() is None


def test_an_advertisement_without_option_speaks_by_its_frame() -> None:
    links = router()
    links.resolve(1, PEER6, NOW)
    links.effects()
    [changed] = hear(links, advertisement(option=False), Punt.NEIGHBOR_DISCOVERY)
    assert changed == NeighbourChanged(1, PEER6, PEER_OCTETS)


# --- a host that a packet needs ---------------------------------------------------------------------


@pytest.mark.parametrize(("link", "session_id"), [(2, 0), (1, 7)], ids=["from the service link", "out of the tunnel"])
def test_a_packet_for_an_unknown_host_has_it_resolved_in_its_realm(link: int, session_id: int) -> None:
    links = router()
    packet = Ether(src=PEER) / IP(src="10.0.0.5", dst="198.51.100.9") / UDP()
    question = sent(hear(links, packet, Punt.UNRESOLVED, link, session_id=session_id), 2)
    assert question[ARP].pdst == "198.51.100.9"
    found = advance(links, NOW + 60)
    assert [when for when, _ in found] == [1, 3], "nobody: given up"
    assert links.next_timer() is None


def test_only_so_many_hosts_are_asked_for_at_once() -> None:
    links = RouterLinks((SERVICE,), settings=NeighbourSettings(on_demand=3))
    for host in range(2, 9):
        packet = Ether(src=PEER) / IP(src="10.0.0.5", dst=f"198.51.100.{host}") / UDP()
        hear(links, packet, Punt.UNRESOLVED, 2)
    assert links.counters["neighbours_full"] == 4


def test_a_host_of_no_link_is_counted() -> None:
    links = router()
    assert hear(links, Ether(src=PEER) / IP(dst="203.0.113.1") / UDP(), Punt.UNRESOLVED, 2) == []
    assert links.counters["unresolved_off_link"] == 1


# --- what it answers itself -------------------------------------------------------------------------


def ask(address: str, sender: str = "198.51.100.9") -> Packet:
    if ":" in address:
        source = "2001:db8:c::9" if sender != "0.0.0.0" else "::"
        return Ether(src=PEER) / IPv6(src=source, dst="ff02::1:ff00:1", hlim=255) / ICMPv6ND_NS(tgt=address)
    return Ether(src=PEER) / ARP(hwsrc=PEER, psrc=sender, pdst=address)


@pytest.mark.requirement("R5213-5.6.2-1", "R5844-3.1.3-1")
@pytest.mark.parametrize(
    ("address", "answered"),
    [
        ("198.51.100.1", True),
        ("10.0.0.5", True),
        ("198.51.100.77", False),
        ("2001:db8:c::1", True),
        ("fe80::ff:fe00:a01", True),
        ("2001:db8:1:2::5", True),
        ("2001:db8:c::77", False),
    ],
)
@pytest.mark.parametrize("sender", ["198.51.100.9", "0.0.0.0"])
def test_its_own_addresses_and_the_pools_are_answered_for(address: str, answered: bool, sender: str) -> None:
    reason = Punt.NEIGHBOR_DISCOVERY if ":" in address else Punt.ARP
    effects = hear(router(), ask(address, sender), reason, 2)
    if not answered:
        assert effects == []
        return
    frame = sent(effects, 2)
    assert (frame.src, frame.dst) == (MAC, PEER)
    if ":" in address:
        assert (frame[ICMPv6ND_NA].tgt, frame[ICMPv6ND_NA].S) == (address, sender != "0.0.0.0")
        assert frame.lastlayer().lladdr == MAC
    else:
        assert (frame[ARP].psrc, frame[ARP].hwsrc) == (address, MAC)


@pytest.mark.parametrize(
    ("packet", "kind"),
    [
        (Ether(src=PEER) / IP(src="192.0.2.2", dst="192.0.2.1") / ICMP(id=3, seq=4), 0),
        (Ether(src=PEER) / IPv6(src="2001:db8:a::2", dst="2001:db8:a::1") / ICMPv6EchoRequest(id=3, seq=4), 129),
    ],
)
def test_ping_is_answered(packet: Packet, kind: int) -> None:
    frame = sent(hear(router(), packet, Punt.ICMP))
    assert (frame.src, frame.dst, frame.payload.src) == (MAC, PEER, packet.payload.dst)
    assert (frame.payload.payload.type, frame.payload.payload.seq) == (kind, 4)


@pytest.mark.parametrize(
    "packet",
    [
        Ether(src=PEER) / IP(src="10.0.0.5", dst="10.0.0.1") / ICMP(id=3, seq=4) / b"data",
        Ether(src=PEER) / IPv6(src="2001:db8:1::5", dst="2001:db8:c::1") / ICMPv6EchoRequest(id=3, seq=4, data=b"data"),
    ],
    ids=["IPv4", "IPv6"],
)
def test_a_ping_out_of_a_tunnel_is_answered_into_it(packet: Packet) -> None:
    links = router()
    [effect] = hear(links, packet, Punt.ICMP, session_id=7)
    assert isinstance(effect, Inject)
    assert (effect.session_id, effect.direction) == (7, Direction.DOWNLINK)
    reply = Ether(effect.frame).payload
    assert (reply.src, reply.dst) == (packet.payload.dst, packet.payload.src)
    assert (reply.payload.type, reply.payload.id, reply.payload.seq) == (0 if IP in packet else 129, 3, 4)
    assert links.counters["echo_reply"] == 1


@pytest.mark.parametrize("binding", [replace(BINDING, role=Role.MAG), replace(BINDING, ipv4=None)])
def test_a_ping_out_of_a_tunnel_that_does_not_lead_back_is_not_answered(binding: Binding) -> None:
    links = router(binding)
    packet = Ether(src=PEER) / IP(src="10.0.0.5", dst="10.0.0.1") / ICMP()
    assert hear(links, packet, Punt.ICMP, session_id=7) == []
    assert links.counters["echo_no_way_back"] == 1


@pytest.mark.parametrize("reason", [Punt.ICMP, Punt.HOP_LIMIT, Punt.TOO_BIG, Punt.UNRESOLVED])
def test_nothing_of_a_session_that_has_ended_leaves_on_the_transport_network(reason: Punt) -> None:
    links = router(None)
    packet = Ether(src=PEER, dst=MAC) / IP(src="10.0.0.5", dst="192.0.2.1", ttl=1, flags="DF") / ICMP()
    assert hear(links, packet, reason, session_id=7, mtu=1400) == []
    assert links.counters == {"session_ended": 1}


# --- packets that could not be forwarded ------------------------------------------------------------

BIG = UDP() / Raw(bytes(1480))
DOWN4 = Ether(src=PEER, dst=MAC) / IP(src="198.51.100.9", dst="10.0.0.5", ttl=5)
UP4 = Ether(src=PEER, dst=MAC) / IP(src="10.0.0.5", dst="198.51.100.9", ttl=1)
UP6 = Ether(src=PEER, dst=MAC) / IPv6(src="2001:db8:1::5", dst="2001:db8:c::9", hlim=1)


@pytest.mark.requirement("R5844-3.1.4-2")
def test_an_operators_router_hears_what_fits_the_tunnel() -> None:
    packet = DOWN4.copy()
    packet[IP].flags = "DF"
    frame = sent(hear(router(), packet / BIG, Punt.TOO_BIG, 2, session_id=7, mtu=1452), 2)
    assert (frame.dst, frame[IP].src, frame[IP].dst, frame[ICMP].nexthopmtu) == (
        PEER,
        "198.51.100.1",
        "198.51.100.9",
        1452,
    )


@pytest.mark.requirement("R5844-3.1.4-2")
def test_downlink_without_df_is_fragmented() -> None:
    effects = hear(router(), DOWN4 / BIG, Punt.TOO_BIG, 2, session_id=7, mtu=1452)
    assert len(effects) == 2
    for effect in effects:
        assert isinstance(effect, Inject)
        assert (effect.session_id, effect.direction) == (7, Direction.DOWNLINK)
        assert Ether(effect.frame)[IP].ttl == 4


@pytest.mark.parametrize(
    ("packet", "source"), [(UP4 / UDP(), "10.0.0.1"), (UP6 / UDP(), "2001:db8:c::1")], ids=["IPv4", "IPv6"]
)
def test_a_mobile_nodes_traceroute_sees_the_anchor(packet: Packet, source: str) -> None:
    [effect] = hear(router(), packet, Punt.HOP_LIMIT, 1, session_id=7)
    assert isinstance(effect, Inject)
    assert (effect.session_id, effect.direction) == (7, Direction.DOWNLINK)
    error = Ether(effect.frame).payload
    assert (error.src, error.dst) == (source, packet.payload.src)
    assert error.payload.type == (11 if IP in packet else 3)


def test_there_is_no_way_back_through_a_foreign_tunnel() -> None:
    links = router(replace(BINDING, role=Role.MAG))
    packet = Ether(src=PEER, dst=MAC) / IP(src="198.51.100.9", dst="10.0.0.5", ttl=1) / UDP()
    assert hear(links, packet, Punt.HOP_LIMIT, 1, session_id=7) == []
    assert links.counters["error_no_way_back"] == 1


def test_errors_are_limited() -> None:
    links = router()
    answered = sum(len(hear(links, DOWN4 / UDP(), Punt.HOP_LIMIT, 2, session_id=7)) for _ in range(200))
    assert answered == 50
    assert links.counters["error_rate"] == 150


# --- anything else ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("link", "frame", "reason", "counter"),
    [
        (9, bytes(14), Punt.ARP, "unknown_link"),
        (1, bytes(3), Punt.ARP, "ethernet_truncated"),
        (1, bytes(Ether(src=MAC)), Punt.ARP, "source_mac"),
        (1, bytes(Ether(src="ff:ff:ff:ff:ff:ff")), Punt.ARP, "source_mac"),
        (1, bytes(Ether(src=PEER)), Punt.ARP, "arp_truncated"),
        (1, bytes(Ether(src=PEER) / ARP(hwsrc=MAC)), Punt.ARP, "arp_other_mac"),
        (1, bytes(Ether(src=PEER) / ARP(hwsrc=PEER, psrc="192.0.2.2", pdst="192.0.2.2")), Punt.ARP, "arp_own_address"),
        (1, bytes(Ether(src=PEER)), Punt.NEIGHBOR_DISCOVERY, "nd_truncated"),
        (1, bytes(Ether(src=PEER)), Punt.ICMP, "icmp_ignored"),
        (1, bytes(Ether(src=PEER)), Punt.UNRESOLVED, "ip_truncated"),
        (1, bytes(Ether(src=PEER)), Punt.TOO_BIG, "error_malformed"),
        (1, bytes(Ether(src=PEER)), Punt.DHCP, "unexpected_reason"),
    ],
)
def test_what_cannot_be_used_is_counted(link: int, frame: bytes, reason: str, counter: str) -> None:
    links = router()
    links.receive(link, frame, reason, NOW)
    assert links.effects() == []
    assert links.counters[counter] == 1


@settings(deadline=None)
@given(
    octets=st.binary(max_size=100),
    ether_type=st.sampled_from([b"\x08\x00", b"\x08\x06", b"\x86\xdd"]),
    reason=st.sampled_from(list(Punt)),
)
def test_no_octets_break_a_router(octets: bytes, ether_type: bytes, reason: Punt) -> None:
    links = router()
    links.receive(2, MAC_OCTETS + PEER_OCTETS + ether_type + octets, reason, NOW, 7, 1400)
    known: IPAddress = PEER4
    assert links.mac(1, known) is None
