"""The places where readers of these RFCs went wrong before, one test each."""

from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from tests.wire.strategies import u64

from p4pmip.wire import message as m
from p4pmip.wire import options as o
from p4pmip.wire.ethernet import EtherType
from p4pmip.wire.fault import Reason
from p4pmip.wire.gre import Gre
from p4pmip.wire.ip import IPProtocol, IPv6Packet
from p4pmip.wire.mobility_header import Checksum, decode, encode
from p4pmip.wire.numbers import (
    BindingAcknowledgementFlag,
    BindingUpdateFlag,
    OptionType,
    Status,
)
from p4pmip.wire.packet import Transport, decode_packet

MAG, LMA = IPv6Address("2001:db8::1"), IPv6Address("2001:db8::2")
HEAD = "3b{:02x}0500000000018200000a"


def header_with(*options: o.Option) -> bytes:
    return encode(m.BindingUpdate(1, BindingUpdateFlag.A | BindingUpdateFlag.P, 10, options))


def options_of(octets: bytes) -> tuple[o.Option, ...]:
    message = decode(octets).message
    assert isinstance(message, m.BindingUpdate)
    return message.options


# --- the GRE Key option: its Length alone tells "mode" from "key" -----------------------------------------------------


@pytest.mark.parametrize(
    ("octets", "key"),
    [("21020000", None), ("210600000000abcd", 0xABCD), ("210600000000 0000", 0), ("21060000ffffffff", 0xFFFFFFFF)],
)
def test_gre_key_length_says_whether_there_is_a_key(octets: str, key: int | None) -> None:
    wanted = bytes.fromhex(octets)
    encoded = header_with(o.GreKey(key))
    assert encoded[12 : 12 + len(wanted)] == wanted
    assert options_of(encoded) == (o.GreKey(key),)


def test_gre_mode_does_not_read_the_four_octets_behind_it() -> None:
    octets = bytes.fromhex(HEAD.format(2) + "21020000" + "17020003" + "01020000")
    assert options_of(octets) == (o.GreKey(None), o.HandoffIndicatorOption(3))


def test_reserved_octets_of_the_gre_key_are_ignored() -> None:
    assert options_of(bytes.fromhex(HEAD.format(2) + "2106ffff00000005" + "01020000")) == (o.GreKey(5),)


@pytest.mark.parametrize("length", [0, 1, 3, 4, 5, 7, 8])
def test_another_length_of_the_gre_key_is_skipped_and_reported(length: int) -> None:
    octets = header_with(o.UnknownOption(OptionType.GRE_KEY, bytes(length)), o.HandoffIndicatorOption(1))
    found = decode(octets)
    assert options_of(octets) == (o.HandoffIndicatorOption(1),)
    assert [(fault.offset, fault.reason) for fault in found.faults] == [(12, Reason.BAD_OPTION_LENGTH)]


# --- timestamps ------------------------------------------------------------------------------------------------------


def test_timestamp_is_48_16_and_not_ntp() -> None:
    stamp = o.Timestamp.from_utc(1767225600.25)
    assert header_with(stamp)[20:28] == bytes.fromhex("00006955b9004000")
    assert stamp.to_utc() == 1767225600.25


def test_replay_protection_is_the_other_timestamp() -> None:
    octets = header_with(o.ReplayProtection(0x0123456789ABCDEF))
    assert octets[18:28] == bytes.fromhex("0a080123456789abcdef")


@given(u64)
def test_equal_stamps_are_equal_and_later_ones_greater(value: int) -> None:
    (stamp,) = options_of(header_with(o.Timestamp(value)))
    assert stamp == o.Timestamp(value)
    assert o.Timestamp(value + 1).value > o.Timestamp(value).value


# --- messages --------------------------------------------------------------------------------------------------------


def test_a_mn_identifier_may_be_empty() -> None:
    octets = header_with(o.MobileNodeIdentifier.nai(b""))
    assert octets[12:15] == bytes.fromhex("080101")
    assert options_of(octets) == (o.MobileNodeIdentifier(1, b""),)


def test_status_2_and_3_are_successes_and_128_is_not() -> None:
    numbers = {status.name: int(status) for status in Status}
    assert numbers["GRE_KEY_OPTION_NOT_REQUIRED"] == 2
    assert numbers["GRE_TUNNELING_BUT_TLV_HEADER_NOT_SUPPORTED"] == 3
    assert numbers["REASON_UNSPECIFIED"] == 128
    assert numbers["GRE_KEY_OPTION_REQUIRED"] == 163
    assert sorted(numbers.values()) == [*range(7), *range(128, 181)]


def test_flags_of_the_update_reach_down_to_0x10() -> None:
    letters = {flag.name: int(flag) for flag in BindingUpdateFlag}
    assert letters == {
        "A": 0x8000, "H": 0x4000, "L": 0x2000, "K": 0x1000, "M": 0x0800, "R": 0x0400,
        "P": 0x0200, "F": 0x0100, "T": 0x0080, "B": 0x0040, "S": 0x0020, "D": 0x0010,
    }  # fmt: skip
    octets = encode(m.BindingUpdate(0, BindingUpdateFlag(0x83F0), 0))
    assert octets[8:10] == b"\x83\xf0"


def test_flags_of_the_acknowledgement() -> None:
    letters = {flag.name: int(flag) for flag in BindingAcknowledgementFlag}
    assert letters == {"K": 0x80, "R": 0x40, "P": 0x20, "T": 0x10, "B": 0x08, "S": 0x04, "D": 0x02}


def test_an_all_zero_prefix_has_any_length() -> None:
    for length in (0, 64, 255):
        assert options_of(header_with(o.HomeNetworkPrefix(IPv6Address("::"), length))) == (
            o.HomeNetworkPrefix(IPv6Address("::"), length),
        )


def test_ipv4_home_address_and_its_acknowledgement_are_29_and_30() -> None:
    assert (OptionType.IPV4_HOME_ADDRESS, OptionType.IPV4_ADDRESS_ACKNOWLEDGEMENT) == (29, 30)


def test_the_prefix_length_of_an_ipv4_home_address_has_six_bits() -> None:
    request = header_with(o.IPv4HomeAddressRequest(IPv4Address("10.0.0.9"), 24))
    assert request[12:20] == bytes.fromhex("240660000a000009")
    reply = header_with(o.IPv4HomeAddressReply(129, 24, IPv4Address("10.0.0.9")))
    assert reply[12:20] == bytes.fromhex("250681600a000009")


@pytest.mark.parametrize("before", range(9))
def test_alignment_is_the_sender_s_duty_alone(before: int) -> None:
    options = (
        bytes.fromhex("00" * before)
        + bytes.fromhex("1612004020010db8") + bytes(12)
        + bytes.fromhex("1b0800006955b9004000")
        + bytes.fromhex("3b060000c0000201")
        + bytes.fromhex("210600000000002a")
    )  # fmt: skip
    octets = bytes.fromhex(HEAD.format(0)) + options
    octets += bytes(-len(octets) % 8)
    octets = octets[:1] + bytes((len(octets) // 8 - 1,)) + octets[2:]
    found = decode(octets)
    assert not found.faults
    assert options_of(octets) == (
        o.HomeNetworkPrefix(IPv6Address("2001:db8::"), 64),
        o.Timestamp(0x00006955B9004000),
        o.LmaUserPlaneAddress(IPv4Address("192.0.2.1")),
        o.GreKey(42),
    )
    assert found.offsets[0] == 12 + before


# --- what stands before a Mobility Header or GRE ----------------------------------------------------------------------

HOP_BY_HOP = bytes.fromhex("0104 00000000")
TUNNEL_ENCAPSULATION_LIMIT = bytes.fromhex("040104 010100")


def chained(*headers: tuple[int, bytes], last: int) -> tuple[int, bytes]:
    """Extension headers of 8 octets each, linked; answers the first's number and their octets."""
    kinds = [kind for kind, _ in headers] + [last]
    return kinds[0], b"".join(
        bytes((following, 0)) + body for (_, body), following in zip(headers, kinds[1:], strict=True)
    )


def test_extension_headers_before_the_mobility_header_are_skipped() -> None:
    sent = m.BindingUpdate(9, BindingUpdateFlag.A | BindingUpdateFlag.P, 1)
    first, headers = chained((0, HOP_BY_HOP), (60, TUNNEL_ENCAPSULATION_LIMIT), last=IPProtocol.MOBILITY_HEADER)
    found = decode_packet(IPv6Packet(MAG, LMA, first, headers + encode(sent, MAG, LMA)).encode())
    assert found.transport is Transport.MH
    assert found.checksum is Checksum.OK
    assert found.signalling is not None
    assert found.signalling.message == sent


def test_destination_options_before_gre_are_skipped() -> None:
    inner = IPv6Packet(LMA, MAG, IPProtocol.NO_NEXT_HEADER, b"")
    first, headers = chained((60, TUNNEL_ENCAPSULATION_LIMIT), last=IPProtocol.GRE)
    gre = Gre(EtherType.IPV6, inner.encode(), key=0)
    found = decode_packet(IPv6Packet(MAG, LMA, first, headers + gre.encode()).encode())
    assert found.gre is not None
    assert found.gre.key == 0
    assert found.inner == inner


@pytest.mark.parametrize("offset_and_more", ["0001", "0008", "05a9"])
def test_fragments_are_not_decoded(offset_and_more: str) -> None:
    first, headers = chained((44, bytes.fromhex(offset_and_more + "00000001")), last=IPProtocol.GRE)
    found = decode_packet(IPv6Packet(MAG, LMA, first, headers + bytes(40)).encode())
    assert found.gre is None
    assert [(fault.layer, fault.offset, fault.reason) for fault in found.faults] == [("ip", 42, Reason.FRAGMENT)]


def test_a_fragment_header_of_a_whole_packet_is_skipped() -> None:
    first, headers = chained((44, bytes.fromhex("000000000001")), last=IPProtocol.GRE)
    gre = Gre(EtherType.IPV6, IPv6Packet(LMA, MAG, 59, b"").encode(), key=5)
    found = decode_packet(IPv6Packet(MAG, LMA, first, headers + gre.encode()).encode())
    assert found.gre is not None
    assert found.gre.key == 5


def test_the_home_address_option_takes_part_in_the_checksum() -> None:
    home = IPv6Address("2001:db8:ff::1")
    sent = m.BindingUpdate(9, BindingUpdateFlag.A, 1)
    options = bytes((IPProtocol.MOBILITY_HEADER, 2)) + bytes.fromhex("01020000") + bytes((201, 16)) + home.packed
    found = decode_packet(IPv6Packet(MAG, LMA, 60, options + encode(sent, home, LMA)).encode())
    assert found.checksum is Checksum.OK
    assert found.source == MAG
