"""The packets around the signalling: round trips, refusals, and that no octets raise."""

from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.wire.strategies import ipv4, ipv6, u8, u16, u32

from p4pmip.wire import icmpv4, icmpv6
from p4pmip.wire import neighbor_option as n
from p4pmip.wire.arp import Arp
from p4pmip.wire.checksum import internet_checksum
from p4pmip.wire.dhcpv4 import Dhcp, DhcpOption
from p4pmip.wire.echo import EchoReply, EchoRequest
from p4pmip.wire.error import WireError
from p4pmip.wire.ethernet import Ethernet, mac, mac_text, multicast_mac
from p4pmip.wire.fault import Fault, Reason
from p4pmip.wire.ip import IPv4Packet, IPv6Packet, decode_ip, upper_layer
from p4pmip.wire.udp import Udp

A, B = IPv6Address("2001:db8::a"), IPv6Address("2001:db8::b")
V4A, V4B = IPv4Address("192.0.2.1"), IPv4Address("192.0.2.2")
macs = st.binary(min_size=6, max_size=6)
payloads = st.binary(max_size=64)

neighbor_options = st.lists(
    st.one_of(
        st.builds(n.SourceLinkLayerAddress, macs),
        st.builds(n.TargetLinkLayerAddress, macs),
        st.builds(n.PrefixInformation, ipv6, u8, st.booleans(), st.booleans(), u32, u32),
        st.builds(n.Mtu, u32),
        st.builds(n.Rdnss, u32, st.lists(ipv6, min_size=1, max_size=3).map(tuple)),
        st.builds(n.UnknownNeighborOption, st.just(200), st.binary(min_size=14, max_size=14)),
    ),
    max_size=4,
).map(tuple)

icmpv6_messages: st.SearchStrategy[icmpv6.Icmpv6Message] = st.one_of(
    st.builds(icmpv6.RouterSolicitation, neighbor_options),
    st.builds(icmpv6.RouterAdvertisement, u16, neighbor_options, u8, st.booleans(), st.booleans(), u32, u32),
    st.builds(icmpv6.NeighborSolicitation, ipv6, neighbor_options),
    st.builds(icmpv6.NeighborAdvertisement, ipv6, st.booleans(), st.booleans(), st.booleans(), neighbor_options),
    st.builds(EchoRequest, u16, u16, payloads),
    st.builds(EchoReply, u16, u16, payloads),
    st.builds(icmpv6.Icmpv6Error, st.integers(1, 4), u8, u32, payloads),
    st.builds(icmpv6.UnknownIcmpv6, st.integers(140, 255), u8, payloads),
)

icmpv4_messages: st.SearchStrategy[icmpv4.Icmpv4Message] = st.one_of(
    st.builds(EchoRequest, u16, u16, payloads),
    st.builds(EchoReply, u16, u16, payloads),
    st.builds(icmpv4.Icmpv4Error, st.sampled_from([3, 11, 12]), u8, u32, payloads),
    st.builds(icmpv4.UnknownIcmpv4, st.integers(13, 255), u8, st.binary(min_size=4, max_size=40)),
)

ipv4_packets = st.builds(
    IPv4Packet,
    ipv4,
    ipv4,
    u8,
    payloads,
    u8,
    u8,
    u16,
    st.booleans(),
    st.booleans(),
    st.integers(0, 0x1FFF),
    st.sampled_from([b"", bytes(4), bytes(40)]),
)
ipv6_packets = st.builds(IPv6Packet, ipv6, ipv6, u8, payloads, u8, u8, st.integers(0, 0xFFFFF))
dhcp_messages = st.builds(
    Dhcp,
    u8,
    u32,
    macs,
    st.dictionaries(st.integers(1, 254).filter(lambda code: code != DhcpOption.OVERLOAD), payloads, max_size=6).map(
        lambda found: tuple(found.items())
    ),
    ipv4,
    ipv4,
    ipv4,
    ipv4,
    u16,
    u16,
    u8,
)


@given(
    st.builds(Ethernet, macs, macs, u16.filter(lambda kind: kind != 0x8100), payloads, st.none() | st.integers(0, 4095))
)
def test_ethernet_round_trips(frame: Ethernet) -> None:
    assert Ethernet.decode(frame.encode()) == frame


@given(ipv4_packets, st.binary(max_size=8))
def test_ipv4_round_trips_and_padding_behind_it_is_cut(packet: IPv4Packet, padding: bytes) -> None:
    octets = packet.encode()
    assert internet_checksum(octets[: (octets[0] & 15) * 4]) == 0
    assert IPv4Packet.decode(octets + padding) == packet


@given(ipv6_packets, st.binary(max_size=8))
def test_ipv6_round_trips_and_padding_behind_it_is_cut(packet: IPv6Packet, padding: bytes) -> None:
    assert IPv6Packet.decode(packet.encode() + padding) == packet


@given(st.builds(Udp, u16, u16, payloads), ipv6, ipv6)
def test_udp_round_trips(datagram: Udp, source: IPv6Address, destination: IPv6Address) -> None:
    octets = datagram.encode(source, destination)
    assert Udp.decode(octets, source, destination) == datagram
    spoilt = octets[:7] + bytes((octets[7] ^ 1,)) + octets[8:]
    assert Udp.decode(spoilt, source, destination) == Fault(6, Reason.BAD_CHECKSUM)


def test_udp_without_a_checksum_is_for_ipv4_alone() -> None:
    octets = bytes.fromhex("0001000200080000")
    assert Udp.decode(octets, V4A, V4B) == Udp(1, 2, b"")
    assert Udp.decode(octets, A, B) == Fault(6, Reason.BAD_CHECKSUM)


@given(st.builds(Arp, u16, macs, ipv4, macs, ipv4))
def test_arp_round_trips(packet: Arp) -> None:
    assert Arp.decode(packet.encode() + bytes(18)) == packet


@given(icmpv6_messages, ipv6, ipv6)
def test_icmpv6_round_trips(message: icmpv6.Icmpv6Message, source: IPv6Address, destination: IPv6Address) -> None:
    octets = icmpv6.encode(message, source, destination)
    assert icmpv6.decode(octets, source, destination) == message
    spoilt = octets[:3] + bytes((octets[3] ^ 1,)) + octets[4:]
    assert icmpv6.decode(spoilt, source, destination) == Fault(2, Reason.BAD_CHECKSUM)


@given(icmpv4_messages)
def test_icmpv4_round_trips(message: icmpv4.Icmpv4Message) -> None:
    octets = icmpv4.encode(message)
    assert icmpv4.decode(octets) == message
    spoilt = octets[:3] + bytes((octets[3] ^ 1,)) + octets[4:]
    assert icmpv4.decode(spoilt) == Fault(2, Reason.BAD_CHECKSUM)


@given(dhcp_messages)
def test_dhcp_round_trips(message: Dhcp) -> None:
    octets = message.encode()
    assert len(octets) >= 300
    assert Dhcp.decode(octets) == message


def test_a_long_dhcp_option_is_split_and_joined() -> None:
    message = Dhcp(1, 1, bytes(6), ((119, bytes(range(256)) * 2),))
    assert message.encode().count(bytes((119, 255))) == 2
    assert Dhcp.decode(message.encode()) == message


def test_dhcp_options_in_file_and_sname_count() -> None:
    octets = bytearray(Dhcp(1, 1, bytes(6), ()).encode())
    octets[240:244] = bytes((DhcpOption.OVERLOAD, 1, 3, DhcpOption.END))
    octets[108:112] = bytes((DhcpOption.MESSAGE_TYPE, 1, 3, DhcpOption.END))
    octets[44:51] = bytes((DhcpOption.HOST_NAME, 1, 65, DhcpOption.OVERLOAD, 1, 3, DhcpOption.END))
    message = Dhcp.decode(bytes(octets))
    assert isinstance(message, Dhcp)
    assert message.option(DhcpOption.OVERLOAD) is None
    assert message.message_type == 3
    assert message.option(DhcpOption.HOST_NAME) == b"A"


@pytest.mark.parametrize(
    ("octets", "fault"),
    [
        ("", Fault(0, Reason.TRUNCATED)),
        ("85", Fault(0, Reason.BAD_VERSION)),
        ("60" + "00" * 20, Fault(21, Reason.TRUNCATED)),
        ("60000000000100ff" + "00" * 32, Fault(4, Reason.TRUNCATED)),
        ("45" + "00" * 10, Fault(11, Reason.TRUNCATED)),
        ("44000014" + "00" * 16, Fault(0, Reason.BAD_HEADER_LENGTH)),
        ("45000013" + "00" * 16, Fault(2, Reason.BAD_LENGTH)),
        ("45000015" + "00" * 16, Fault(2, Reason.TRUNCATED)),
        ("45000014" + "00" * 16, Fault(10, Reason.BAD_CHECKSUM)),
    ],
)
def test_bad_ip_headers_have_a_reason(octets: str, fault: Fault) -> None:
    assert decode_ip(bytes.fromhex(octets)) == fault


def test_an_endless_chain_of_extension_headers_ends() -> None:
    packet = IPv6Packet(A, B, 60, bytes.fromhex("3c00010400000000") * 100)
    fault = upper_layer(packet)
    assert isinstance(fault, Fault)
    assert fault.reason == Reason.NESTED_TOO_DEEPLY


def test_a_neighbor_option_of_length_zero_spoils_the_message() -> None:
    octets = bytes.fromhex("8500000000000000" + "0100")
    assert icmpv6.decode(octets) == Fault(8, Reason.BAD_OPTION_LENGTH)


@pytest.mark.parametrize(
    "read",
    [decode_ip, Ethernet.decode, Udp.decode, Arp.decode, Dhcp.decode, icmpv6.decode, icmpv4.decode],
)
@given(octets=st.binary(max_size=400))
def test_no_octets_raise_in_any_header(read: Callable[[bytes], object], octets: bytes) -> None:
    found = read(octets)
    assert found is not None
    if isinstance(found, Fault):
        assert 0 <= found.offset <= max(len(octets), 240)


@given(icmpv6_messages, dhcp_messages, st.data())
def test_no_cut_raises(message: icmpv6.Icmpv6Message, dhcp: Dhcp, data: st.DataObject) -> None:
    octets = icmpv6.encode(message, A, B)
    icmpv6.decode(octets[: data.draw(st.integers(0, len(octets)))])
    octets = dhcp.encode()
    cut = Dhcp.decode(octets[: data.draw(st.integers(0, len(octets)))])
    assert isinstance(cut, Dhcp | Fault)


def test_errors_stay_within_the_smallest_packet_everybody_takes() -> None:
    assert len(icmpv6.encode(icmpv6.packet_too_big(1452, bytes(1500)), A, B)) == 1280 - 40
    assert len(icmpv4.encode(icmpv4.fragmentation_needed(1472, bytes(1500)))) == 576 - 20


def test_mac_addresses() -> None:
    assert mac("00-00-5E-00-52-13") == mac("00:00:5e:00:52:13") == bytes.fromhex("00005e005213")
    assert mac_text(bytes.fromhex("00005e005213")) == "00:00:5e:00:52:13"
    assert multicast_mac(IPv6Address("ff02::1")) == bytes.fromhex("333300000001")
    assert multicast_mac(IPv4Address("224.0.0.251")) == bytes.fromhex("01005e0000fb")


@pytest.mark.parametrize("text", ["", "00:00:5e:00:52", "00:00:5e:00:52:1g", "0:0:0:0:0:0", "00:00:5e:00:52:13:00"])
def test_what_is_no_mac_address_is_refused(text: str) -> None:
    with pytest.raises(WireError, match="MAC address"):
        mac(text)


@pytest.mark.parametrize(
    "encode",
    [
        lambda: Ethernet(b"", bytes(6), 0x800, b"").encode(),
        lambda: Ethernet(bytes(6), bytes(6), 65536, b"").encode(),
        lambda: IPv4Packet(V4A, V4B, 256, b"").encode(),
        lambda: IPv4Packet(V4A, A, 6, b"").encode(),  # type: ignore[arg-type]
        lambda: IPv6Packet(V4A, A, 6, b"").encode(),  # type: ignore[arg-type]
        lambda: IPv4Packet(V4A, V4B, 6, bytes(65536)).encode(),
        lambda: IPv4Packet(V4A, V4B, 6, b"", options=b"\0").encode(),
        lambda: IPv6Packet(A, B, 256, b"").encode(),
        lambda: IPv6Packet(A, B, 6, bytes(65536)).encode(),
        lambda: Udp(65536, 1, b"").encode(V4A, V4B),
        lambda: Arp(1, b"", V4A, bytes(6), V4B).encode(),
        lambda: Dhcp(1, 1, b"", ()).encode(),
        lambda: Dhcp(1, 1, bytes(6), ((0, b""),)).encode(),
        lambda: icmpv6.encode(icmpv6.RouterAdvertisement(65536), A, B),
        lambda: icmpv6.encode(icmpv6.RouterSolicitation((n.SourceLinkLayerAddress(b""),)), A, B),
        lambda: icmpv4.encode(EchoRequest(65536, 0)),
    ],
)
def test_what_does_not_fit_a_header_is_refused(encode: Callable[[], bytes]) -> None:
    with pytest.raises(WireError):
        encode()
