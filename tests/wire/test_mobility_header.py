"""The codec against itself: round trips, canonical bytes, faults with their places."""

from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.wire.strategies import KNOWN_OPTIONS, ipv6, message, message_strategies, option, option_strategies, options

from p4pmip.wire import message as m
from p4pmip.wire import options as o
from p4pmip.wire.fault import Fault, Reason
from p4pmip.wire.mobility_header import Checksum, WireError, decode, encode
from p4pmip.wire.numbers import (
    BindingAcknowledgementFlag,
    BindingUpdateFlag,
    Codepoints,
    HeartbeatFlag,
    RevocationFlag,
    UpdateNotificationFlag,
)

MAG, LMA = IPv6Address("2001:db8::1"), IPv6Address("2001:db8::2")
A_P = BindingUpdateFlag.A | BindingUpdateFlag.P

ALIGNMENT = {
    o.AlternateCareOfAddress: (8, 6),
    o.ReplayProtection: (8, 2),
    o.VendorSpecific: (4, 2),
    o.HomeNetworkPrefix: (8, 4),
    o.LinkLocalAddress: (8, 6),
    o.Timestamp: (8, 2),
    o.RestartCounter: (4, 2),
    o.NatDetection: (4, 0),
    o.GreKey: (4, 0),
    o.IPv4HomeAddressRequest: (4, 0),
    o.IPv4HomeAddressReply: (4, 0),
    o.IPv4DefaultRouter: (4, 0),
    o.LmaUserPlaneAddress: (8, 2),
    o.Authentication: (4, 1),
}


def pbu(*options: o.Option) -> m.BindingUpdate:
    return m.BindingUpdate(7, A_P, 900, options)


def duplicates(options: tuple[o.Option, ...], offsets: tuple[int, ...]) -> tuple[Fault, ...]:
    keys = [offset for option, offset in zip(options, offsets, strict=True) if isinstance(option, o.GreKey)]
    return tuple(Fault(offset, Reason.DUPLICATE_OPTION) for offset in keys[1:])


@pytest.mark.requirement("R6275-6.1.1-1")
@given(message, ipv6, ipv6)
def test_what_is_encoded_decodes_to_itself(sent: m.Message, source: IPv6Address, destination: IPv6Address) -> None:
    octets = encode(sent, source, destination)
    found = decode(octets, source, destination)
    assert found.message == sent
    assert type(found.message) is type(sent)
    assert found.checksum is Checksum.OK
    assert found.octets == octets
    assert len(octets) % 8 == 0
    assert (octets[1] + 1) * 8 == len(octets)
    assert found.faults == duplicates(getattr(sent, "options", ()), found.offsets)


@pytest.mark.requirement("R5844-3.3-1")
@given(message, ipv6, ipv6)
def test_canonical_octets_encode_to_themselves(sent: m.Message, source: IPv6Address, destination: IPv6Address) -> None:
    octets = encode(sent, source, destination)
    again = decode(octets).message
    assert again is not None
    assert encode(again, source, destination) == octets


@pytest.mark.requirement("R5847-3.3-1", "R5846-5.1-2", "R5846-5.2-1")
@pytest.mark.parametrize("kind", list(message_strategies), ids=lambda kind: kind.__name__)
@given(data=st.data())
def test_every_message_round_trips(kind: type, data: st.DataObject) -> None:
    sent = data.draw(message_strategies[kind])
    found = decode(encode(sent))
    assert found.message == sent
    assert found.checksum is Checksum.ZERO


@pytest.mark.requirement(
    "D00-6.1-1", "R5845-6.1-1", "R5213-8.3-1", "R5844-3.3-1", "R5847-3.4-1", "R4285-5-1", "R7389-4-2"
)
@pytest.mark.parametrize("kind", list(option_strategies), ids=lambda kind: kind.__name__)
@given(data=st.data())
def test_every_option_round_trips_where_its_alignment_wants_it(kind: type, data: st.DataObject) -> None:
    before = data.draw(st.lists(st.builds(o.UnknownOption, st.just(200), st.binary(max_size=9)), max_size=3))
    sent = pbu(*before, data.draw(option_strategies[kind]))
    found = decode(encode(sent))
    assert found.message == sent
    assert not found.faults
    step, phase = ALIGNMENT.get(kind, (1, 0))
    assert found.offsets[-1] % step == phase


@pytest.mark.requirement("R6275-6.2.3-1")
@given(options, st.lists(st.binary(max_size=6), min_size=13, max_size=13))
def test_padding_may_stand_anywhere_and_hold_anything(sent: tuple[o.Option, ...], pads: list[bytes]) -> None:
    canonical = encode(pbu(*sent))
    starts = decode(canonical).offsets
    body = bytearray(canonical[:12])
    for start, pad in zip(starts, pads, strict=False):
        body += bytes((1, len(pad))) + pad + b"\0"
        body += canonical[start : start + 2 + canonical[start + 1]]
    body += bytes(-len(body) % 8)
    body[1] = len(body) // 8 - 1
    assert decode(bytes(body)).message == pbu(*sent)


@pytest.mark.requirement("R6275-6.2.1-1", "R5847-3.3-1", "R5846-5.1-2")
@given(st.integers(2, 255).filter(lambda kind: kind not in KNOWN_OPTIONS), st.binary(max_size=255))
def test_an_option_nobody_knows_survives_byte_for_byte(kind: int, data: bytes) -> None:
    octets = encode(pbu(o.UnknownOption(kind, data)))
    assert octets[12 : 14 + len(data)] == bytes((kind, len(data))) + data
    assert decode(octets).message == pbu(o.UnknownOption(kind, data))


@pytest.mark.requirement("R6275-6.1.1-1")
@given(option, st.integers(1, 200))
def test_one_flipped_bit_spoils_the_checksum(sent: o.Option, where: int) -> None:
    octets = bytearray(encode(pbu(sent), MAG, LMA))
    octets[6 + where % (len(octets) - 6)] ^= 0x10
    found = decode(bytes(octets), MAG, LMA)
    assert found.checksum is Checksum.BAD
    assert found.faults[0] == Fault(4, Reason.BAD_CHECKSUM)


@pytest.mark.requirement("R5844-4.1.3.1-1", "R5844-4.2.2-3")
def test_checksum_is_zero_over_ipv4_and_then_not_looked_at() -> None:
    octets = encode(pbu(), IPv4Address("192.0.2.1"), IPv4Address("192.0.2.2"))
    assert octets[4:6] == b"\0\0"
    assert decode(octets, IPv4Address("192.0.2.1"), IPv4Address("192.0.2.2")).checksum is Checksum.ZERO
    assert decode(encode(pbu(), MAG, LMA)).checksum is Checksum.UNCHECKED


# --- faults ----------------------------------------------------------------------------------------------------------

HEAD = bytes.fromhex("3b0005000000000182000384")
"""A PBU of 12 octets before its options; its Header Len is set by `with_options`."""


def with_options(text: str) -> bytes:
    octets = bytearray(HEAD + bytes.fromhex(text))
    octets += bytes(-len(octets) % 8)
    octets[1] = len(octets) // 8 - 1
    return bytes(octets)


@pytest.mark.parametrize(
    ("octets", "faults"),
    [
        (b"", [(0, Reason.TRUNCATED)]),
        (bytes.fromhex("3b000500"), [(4, Reason.TRUNCATED)]),
        (bytes.fromhex("3b02050000000001"), [(1, Reason.TRUNCATED)]),
        (bytes.fromhex("3b00050000000001"), [(1, Reason.BAD_HEADER_LENGTH)]),
        (bytes.fromhex("3b01070000000001") + bytes(8), [(1, Reason.BAD_HEADER_LENGTH)]),
        (bytes.fromhex("3b000d0000000001"), [(1, Reason.BAD_HEADER_LENGTH)]),
        (bytes.fromhex("3a01050000000001") + bytes(8), [(0, Reason.BAD_PAYLOAD_PROTO)]),
    ],
)
def test_what_cannot_be_decoded_has_a_reason(octets: bytes, faults: list[tuple[int, Reason]]) -> None:
    found = decode(octets)
    assert found.message is None
    assert [(fault.offset, fault.reason) for fault in found.faults] == faults


@pytest.mark.requirement("R6275-9.2-1")
def test_the_checksum_is_looked_at_before_the_payload_proto() -> None:
    octets = b"\x3a" + encode(pbu(), MAG, LMA)[1:]
    found = decode(octets, MAG, LMA)
    assert found.message is None
    assert found.checksum is Checksum.BAD
    assert [fault.reason for fault in found.faults] == [Reason.BAD_CHECKSUM, Reason.BAD_PAYLOAD_PROTO]


@pytest.mark.requirement("R6275-6.2.1-1")
@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ("2100", (12, Reason.BAD_OPTION_LENGTH)),
        ("2101aa", (12, Reason.BAD_OPTION_LENGTH)),
        ("2103aabbcc", (12, Reason.BAD_OPTION_LENGTH)),
        ("2105aabbccddee", (12, Reason.BAD_OPTION_LENGTH)),
        ("2107aabbccddeeffaa", (12, Reason.BAD_OPTION_LENGTH)),
        ("00002104aabbccdd", (14, Reason.BAD_OPTION_LENGTH)),
        ("0102aaaa1600", (16, Reason.BAD_OPTION_LENGTH)),
        ("0800", (12, Reason.BAD_OPTION_LENGTH)),
        ("1400", (12, Reason.BAD_OPTION_LENGTH)),
        ("130401020304", (12, Reason.BAD_OPTION_LENGTH)),
        ("090401020304", (12, Reason.BAD_OPTION_LENGTH)),
        ("1901aa", (12, Reason.BAD_OPTION_LENGTH)),
        ("3b03aabbcc", (12, Reason.BAD_OPTION_LENGTH)),
        ("1612008120010db8" + "00" * 12, (12, Reason.BAD_OPTION_VALUE)),
        ("2406840000000000", (12, Reason.BAD_OPTION_VALUE)),
        ("2506008400000000", (12, Reason.BAD_OPTION_VALUE)),
    ],
)
def test_a_malformed_option_is_skipped_and_reported(options: str, fault: tuple[int, Reason]) -> None:
    found = decode(with_options(options + "17020003"))
    assert isinstance(found.message, m.BindingUpdate)
    assert o.HandoffIndicatorOption(3) in found.message.options, "what follows it is read"
    assert not any(isinstance(option, o.GreKey | o.HomeNetworkPrefix) for option in found.message.options)
    assert [(one.offset, one.reason) for one in found.faults] == [fault]


@pytest.mark.parametrize(
    ("options", "offset"),
    [("170200012107aabbccddeeff", 16), ("1702000121ffaabbccddeeff", 16), ("170200010102000022030102", 20)],
)
def test_an_option_that_reaches_beyond_the_end_ends_the_walk(options: str, offset: int) -> None:
    found = decode(with_options(options))
    assert isinstance(found.message, m.BindingUpdate)
    assert found.message.options == (o.HandoffIndicatorOption(1),)
    assert found.faults == (Fault(offset, Reason.OPTION_TRUNCATED),)


def test_the_last_octet_may_be_an_option_without_a_length() -> None:
    found = decode(bytes.fromhex("3b0105000000000182000384" + "00000021"))
    assert found.faults == (Fault(15, Reason.OPTION_TRUNCATED),)


def test_a_second_gre_key_is_reported_and_kept() -> None:
    sent = pbu(o.GreKey(1), o.HandoffIndicatorOption(1), o.GreKey(None))
    found = decode(encode(sent))
    assert found.message == sent
    assert found.faults == (Fault(found.offsets[2], Reason.DUPLICATE_OPTION),)


def test_octets_behind_the_header_are_reported_and_left_out() -> None:
    octets = encode(pbu())
    found = decode(octets + b"\xff\xff")
    assert found.message == pbu()
    assert found.octets == octets
    assert found.faults == (Fault(16, Reason.TRAILING_OCTETS),)


@given(st.binary(max_size=300))
def test_no_octets_raise(octets: bytes) -> None:
    found = decode(octets, MAG, LMA)
    assert found.message is not None or found.faults


@given(message, st.data())
def test_no_mutation_raises_or_reads_beyond_its_end(sent: m.Message, data: st.DataObject) -> None:
    octets = bytearray(encode(sent))
    for _ in range(data.draw(st.integers(1, 4))):
        octets[data.draw(st.integers(0, len(octets) - 1))] = data.draw(st.integers(0, 255))
    found = decode(bytes(octets[: data.draw(st.integers(0, len(octets)))]))
    assert (found.message is None) <= bool(found.faults)
    assert all(0 <= fault.offset <= len(octets) for fault in found.faults)


# --- what does not fit -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sent", "place"),
    [
        (m.BindingUpdate(0x10000, A_P, 1), "BindingUpdate"),
        (m.BindingUpdate(1, A_P, -1), "BindingUpdate"),
        (m.BindingAcknowledgement(256, BindingAcknowledgementFlag.P, 1, 1), "BindingAcknowledgement"),
        (m.BindingError(1, IPv4Address("192.0.2.1")), "BindingError"),  # type: ignore[arg-type]
        (m.Heartbeat(HeartbeatFlag.U, 2**32), "Heartbeat"),
        (m.BindingRevocationIndication(1, -1, RevocationFlag.P), "BindingRevocationIndication"),
        (m.UpdateNotification(1, 65536, UpdateNotificationFlag.A), "UpdateNotification"),
        (m.UpdateNotificationAcknowledgement(1, 300), "UpdateNotificationAcknowledgement"),
        (m.UnknownMessage(1, b"abc"), "UnknownMessage"),
        (m.UnknownMessage(256, b"ab"), "UnknownMessage"),
        (pbu(o.GreKey(2**32)), "GreKey"),
        (pbu(o.GreKey(-1)), "GreKey"),
        (pbu(o.Timestamp(2**64)), "Timestamp"),
        (pbu(o.MobileNodeIdentifier(1, bytes(255))), "MobileNodeIdentifier"),
        (pbu(o.MobileNodeIdentifier(256, b"")), "MobileNodeIdentifier"),
        (pbu(o.ServiceSelection(b"")), "ServiceSelection"),
        (pbu(o.HomeNetworkPrefix(MAG, 129)), "HomeNetworkPrefix"),
        (pbu(o.HomeNetworkPrefix(IPv4Address(1), 24)), "HomeNetworkPrefix"),  # type: ignore[arg-type]
        (pbu(o.IPv4HomeAddressRequest(IPv4Address(1), 33)), "IPv4HomeAddressRequest"),
        (pbu(o.IPv4DefaultRouter(MAG)), "IPv4DefaultRouter"),  # type: ignore[arg-type]
        (pbu(o.UnknownOption(0, b"")), "UnknownOption"),
        (pbu(o.UnknownOption(1, b"")), "UnknownOption"),
        (pbu(o.UnknownOption(256, b"")), "UnknownOption"),
        (pbu(*[o.UnknownOption(200, bytes(250))] * 9), "BindingUpdate"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(sent: m.Message, place: str) -> None:
    with pytest.raises(WireError) as refused:
        encode(sent)
    assert refused.value.place == place


def test_the_longest_message_fits() -> None:
    sent = pbu(*[o.UnknownOption(200, bytes(252))] * 8, o.UnknownOption(200, b""))
    octets = encode(sent)
    assert len(octets) == 2048
    assert decode(octets).message == sent


def test_the_open_numbers_are_parameters() -> None:
    ours = Codepoints(gre_key_option=100, lma_user_plane_address_option=101)
    sent = pbu(o.GreKey(5), o.LmaUserPlaneAddress(None))
    octets = encode(sent, codepoints=ours)
    assert octets[12:20] == bytes.fromhex("6406000000000005")
    assert decode(octets, codepoints=ours).message == sent
    assert decode(octets).message == pbu(
        o.UnknownOption(100, bytes.fromhex("000000000005")), o.UnknownOption(101, bytes(2))
    )
