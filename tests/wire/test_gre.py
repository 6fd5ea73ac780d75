"""GRE and the TLV header: what a receiver takes and what it must discard."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.wire.strategies import u8, u16, u32

from p4pmip.wire.error import WireError
from p4pmip.wire.fault import Fault, Reason
from p4pmip.wire.gre import Gre, TlvHeader

packets = st.builds(Gre, u16, st.binary(max_size=60), st.none() | u32, st.none() | u32, st.booleans())


@given(packets)
def test_gre_round_trips(packet: Gre) -> None:
    assert Gre.decode(packet.encode()) == packet


@pytest.mark.parametrize(
    ("packet", "octets"),
    [
        (Gre(0x86DD, b"", key=1), "200086dd00000001"),
        (Gre(0x0800, b""), "00000800"),
        (Gre(0x0800, b"", key=0), "2000080000000000"),
        (Gre(0x0800, b"", key=7, sequence=2), "300008000000000700000002"),
        (Gre(0x86DD, b"", key=1, checksum=True), "a00086dd" + "d9200000" + "00000001"),
    ],
)
def test_headers_on_the_wire(packet: Gre, octets: str) -> None:
    assert packet.encode() == bytes.fromhex(octets)
    assert Gre.decode(bytes.fromhex(octets)) == packet


@pytest.mark.parametrize(
    ("octets", "fault"),
    [
        ("", Fault(0, Reason.TRUNCATED)),
        ("200086", Fault(3, Reason.TRUNCATED)),
        ("200086dd0000", Fault(6, Reason.TRUNCATED)),
        ("200186dd00000001", Fault(0, Reason.BAD_VERSION)),
        ("600086dd00000001", Fault(0, Reason.BAD_FLAGS)),
        ("280086dd00000001", Fault(0, Reason.BAD_FLAGS)),
        ("240086dd00000001", Fault(0, Reason.BAD_FLAGS)),
        ("a00086dd" + "d9210000" + "00000001", Fault(4, Reason.BAD_CHECKSUM)),
    ],
)
def test_what_must_be_discarded(octets: str, fault: Fault) -> None:
    assert Gre.decode(bytes.fromhex(octets)) == fault


@pytest.mark.parametrize("bit", range(6, 13))
def test_reserved_bits_6_to_12_are_ignored(bit: int) -> None:
    flags = 0x2000 | 0x8000 >> bit
    assert Gre.decode(flags.to_bytes(2, "big") + bytes.fromhex("080000000009")) == Gre(0x0800, b"", key=9)


@given(st.binary(max_size=40))
def test_no_octets_raise_in_gre(octets: bytes) -> None:
    assert isinstance(Gre.decode(octets), Gre | Fault)
    assert isinstance(TlvHeader.decode(octets), TlvHeader | Fault)


@given(u8, st.binary(max_size=60))
def test_tlv_round_trips(next_header: int, payload: bytes) -> None:
    header = TlvHeader(next_header, payload)
    assert TlvHeader.decode(header.encode()) == header


@pytest.mark.parametrize(
    ("octets", "fault"),
    [
        ("002f00", Fault(3, Reason.TRUNCATED)),
        ("102f0000", Fault(0, Reason.BAD_VERSION)),
        ("002f0001", Fault(2, Reason.BAD_LENGTH)),
        ("002f0000aa", Fault(2, Reason.BAD_LENGTH)),
    ],
)
def test_a_tlv_length_that_is_not_the_datagram_s_is_discarded(octets: str, fault: Fault) -> None:
    assert TlvHeader.decode(bytes.fromhex(octets)) == fault


@pytest.mark.parametrize("packet", [Gre(0x10000, b""), Gre(0x0800, b"", key=2**32), Gre(0x0800, b"", sequence=-1)])
def test_what_does_not_fit_gre_is_refused(packet: Gre) -> None:
    with pytest.raises(WireError, match="Gre"):
        packet.encode()
