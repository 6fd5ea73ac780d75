"""Which packets get an ICMP error, how often, and what it says."""

from ipaddress import IPv4Address, IPv6Address

import pytest
from scapy.layers.inet import ICMP, IP, UDP
from scapy.layers.inet6 import ICMPv6EchoRequest, ICMPv6ND_Redirect, ICMPv6PacketTooBig, IPv6, IPv6ExtHdrDestOpt
from scapy.packet import Packet, Raw

from p4pmip.access.icmp_error import Cause, TokenBucket, Unanswered, error_packet

V4, V6 = IPv4Address("10.0.0.1"), IPv6Address("fe80::200:5eff:fe00:5213")
MN4, MN6, FAR4, FAR6 = "10.0.0.5", "2001:db8:1::5", "198.51.100.7", "2001:db8:f::7"
DATA = Raw(bytes(1600))


def error(cause: Cause, packet: Packet, mtu: int = 1452, to_group: bool = False) -> bytes | Unanswered:
    return error_packet(cause, bytes(packet), mtu, V4, V6, to_group)


def parsed(kind: type[Packet], octets: bytes | Unanswered) -> Packet:
    assert isinstance(octets, bytes)
    packet = kind(octets)
    rebuilt = packet.copy()
    for layer in (rebuilt, rebuilt.payload):
        for name in ("chksum", "cksum"):
            if name in layer.fields:
                delattr(layer, name)
    assert bytes(rebuilt) == octets, "the checksums are right"
    return packet


def test_packet_too_big() -> None:
    invoking = IPv6(src=MN6, dst=FAR6) / UDP() / DATA
    packet = parsed(IPv6, error(Cause.TOO_BIG, invoking))
    assert (packet.src, packet.dst) == (str(V6), MN6)
    assert (packet.payload.type, packet.payload.code, packet.payload.mtu) == (2, 0, 1452)
    assert len(packet) == 1280
    assert bytes(packet.payload.payload) == bytes(invoking)[: 1280 - 48]


def test_packet_too_big_never_asks_for_less_than_1280() -> None:
    packet = parsed(IPv6, error(Cause.TOO_BIG, IPv6(src=MN6, dst=FAR6) / UDP() / DATA, 1000))
    assert packet.payload.mtu == 1280


def test_fragmentation_needed() -> None:
    invoking = IP(src=MN4, dst=FAR4, flags="DF") / UDP() / DATA
    packet = parsed(IP, error(Cause.TOO_BIG, invoking))
    assert (packet.src, packet.dst) == (str(V4), MN4)
    assert (packet[ICMP].type, packet[ICMP].code, packet[ICMP].nexthopmtu) == (3, 4, 1452)
    assert len(packet) == 576


def test_time_exceeded() -> None:
    packet = parsed(IP, error(Cause.HOP_LIMIT, IP(src=MN4, dst=FAR4, ttl=1) / UDP()))
    assert (packet[ICMP].type, packet[ICMP].code) == (11, 0)
    packet6 = parsed(IPv6, error(Cause.HOP_LIMIT, IPv6(src=MN6, dst=FAR6, hlim=1) / UDP()))
    assert (packet6.payload.type, packet6.payload.code) == (3, 0)


SILENT = {
    "malformed": (IP(src=MN4, dst=FAR4, chksum=1) / UDP(), Unanswered.MALFORMED),
    "about an ICMP error": (IP(src=MN4, dst=FAR4) / ICMP(type=3), Unanswered.ABOUT_ERROR),
    "about an ICMP redirect": (IP(src=MN4, dst=FAR4) / ICMP(type=5), Unanswered.ABOUT_ERROR),
    "about an ICMPv6 error": (IPv6(src=MN6, dst=FAR6) / ICMPv6PacketTooBig(), Unanswered.ABOUT_ERROR),
    "about an ICMPv6 error behind options": (
        IPv6(src=MN6, dst=FAR6) / IPv6ExtHdrDestOpt() / ICMPv6PacketTooBig(),
        Unanswered.ABOUT_ERROR,
    ),
    "about an ICMPv6 redirect": (IPv6(src=MN6, dst=FAR6) / ICMPv6ND_Redirect(), Unanswered.ABOUT_ERROR),
    "IPv4 multicast": (IP(src=MN4, dst="224.0.0.5") / UDP(), Unanswered.GROUP),
    "IPv4 broadcast": (IP(src=MN4, dst="255.255.255.255") / UDP(), Unanswered.GROUP),
    "IPv6 multicast": (IPv6(src=MN6, dst="ff05::2") / UDP(), Unanswered.GROUP),
    "IPv4 without source": (IP(src="0.0.0.0", dst=FAR4) / UDP(), Unanswered.SOURCE),
    "IPv4 from a group": (IP(src="224.0.0.1", dst=FAR4) / UDP(), Unanswered.SOURCE),
    "IPv4 from everybody": (IP(src="255.255.255.255", dst=FAR4) / UDP(), Unanswered.SOURCE),
    "IPv4 from loopback": (IP(src="127.0.0.1", dst=FAR4) / UDP(), Unanswered.SOURCE),
    "IPv6 without source": (IPv6(src="::", dst=FAR6) / UDP(), Unanswered.SOURCE),
    "IPv6 from a group": (IPv6(src="ff02::1", dst=FAR6) / UDP(), Unanswered.SOURCE),
    "later IPv4 fragment": (IP(src=MN4, dst=FAR4, frag=100) / DATA, Unanswered.LATER_FRAGMENT),
}


@pytest.mark.parametrize(("packet", "why"), SILENT.values(), ids=SILENT.keys())
def test_nobody_is_told(packet: Packet, why: Unanswered) -> None:
    assert error(Cause.HOP_LIMIT, packet) is why


def test_echo_requests_are_told() -> None:
    for packet in (IP(src=MN4, dst=FAR4) / ICMP(), IPv6(src=MN6, dst=FAR6) / ICMPv6EchoRequest()):
        assert isinstance(error(Cause.HOP_LIMIT, packet), bytes)


def test_packets_in_group_frames() -> None:
    v4, v6 = IP(src=MN4, dst=FAR4) / UDP(), IPv6(src=MN6, dst="ff05::2") / UDP()
    assert error(Cause.HOP_LIMIT, v4, to_group=True) is Unanswered.GROUP
    assert isinstance(error(Cause.TOO_BIG, v6, to_group=True), bytes), "for multicast path MTU discovery"


def test_without_an_address_of_its_own_a_router_is_silent() -> None:
    octets = bytes(IP(src=MN4, dst=FAR4) / UDP())
    assert error_packet(Cause.HOP_LIMIT, octets, 0, None, V6) is Unanswered.NO_ADDRESS
    octets = bytes(IPv6(src=MN6, dst=FAR6) / UDP())
    assert error_packet(Cause.HOP_LIMIT, octets, 0, V4, None) is Unanswered.NO_ADDRESS


def test_a_bucket_gives_its_burst_and_then_its_rate() -> None:
    bucket = TokenBucket(2.0, 3.0)
    assert [bucket.take(10.0) for _ in range(4)] == [True, True, True, False]
    assert [bucket.take(10.5), bucket.take(10.5)] == [True, False]
    assert sum(bucket.take(20.0 + step / 10) for step in range(100)) == 3 + 19
