"""Fragments of an IPv4 packet put together again are the packet."""

from ipaddress import IPv4Address

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import IP, defragment

from p4pmip.access.fragment import fragments
from p4pmip.wire.ip import IPv4Packet


def packet(size: int, options: bytes = b"", offset: int = 0, more: bool = False) -> IPv4Packet:
    payload = bytes(index * 7 % 251 for index in range(size))
    return IPv4Packet(
        IPv4Address("10.0.0.5"),
        IPv4Address("198.51.100.7"),
        17,
        payload,
        identification=4711,
        dont_fragment=False,
        options=options,
        fragment_offset=offset,
        more_fragments=more,
    )


@given(
    size=st.integers(0, 4000), mtu=st.integers(68, 1500), options=st.sampled_from([b"", b"\x94\x04\0\0", b"\1" * 40])
)
def test_pieces_fit_and_cover_the_packet(size: int, mtu: int, options: bytes) -> None:
    whole = packet(size, options)
    pieces = fragments(whole, mtu)
    assert all(len(piece.encode()) <= mtu for piece in pieces)
    covered = bytearray(size)
    for piece in pieces:
        start = piece.fragment_offset * 8
        covered[start : start + len(piece.payload)] = piece.payload
    assert covered == whole.payload
    assert sum(len(piece.payload) for piece in pieces) == size
    assert [piece.more_fragments for piece in pieces] == [True] * (len(pieces) - 1) + [False]
    assert {piece.identification for piece in pieces} == {4711}


def test_scapy_puts_them_together() -> None:
    whole = packet(3000)
    [joined] = defragment([IP(piece.encode()) for piece in fragments(whole, 1452)])  # type: ignore[no-untyped-call]
    assert bytes(joined.payload) == whole.payload


@pytest.mark.parametrize(("size", "expected"), [(1431, 1), (1432, 1), (1433, 2)])
def test_one_octet_decides(size: int, expected: int) -> None:
    assert len(fragments(packet(size), 1452)) == expected


def test_a_fragment_is_fragmented_further() -> None:
    first, second = fragments(packet(1400, offset=100, more=True), 1000)
    assert (first.fragment_offset, second.fragment_offset) == (100, 100 + len(first.payload) // 8)
    assert first.more_fragments
    assert second.more_fragments


@pytest.mark.parametrize(
    ("options", "later"),
    [
        (b"\x94\x04\0\0", b"\x94\x04\0\0"),
        (b"\x07\x04\x04\0", b""),
        (b"\1\1\x82\x03\x11\x00\0\0", b"\x82\x03\x11\0"),
        (b"\x94\x00\0\0", b""),
        (b"\x94\x09\0\0", b""),
        (b"\x94\x04\0\0\0\x94\x04\0", b"\x94\x04\0\0"),
    ],
    ids=["router alert", "record route", "after padding", "length 0", "too long", "after the end"],
)
def test_later_fragments_carry_the_options_that_are_to_be_copied(options: bytes, later: bytes) -> None:
    first, *rest = fragments(packet(400, options), 200)
    assert first.options == options
    assert {piece.options for piece in rest} == {later}


def test_what_may_not_be_fragmented() -> None:
    whole = IPv4Packet(IPv4Address("10.0.0.5"), IPv4Address("10.0.0.6"), 17, bytes(100), dont_fragment=True)
    assert fragments(whole, 80) == ()
    assert fragments(packet(100), 67) == ()
    assert fragments(whole, 120) == (whole,)
