"""scapy builds the same octets, and computes the same lengths and checksums.

Where scapy has it otherwise:
- it knows 7 flags of a Binding Update and 3 of an acknowledgement: the words are set by hand, reserved bits and all;
- it knows no option above 16: those are given to it as type and data, with the padding before them;
- it starts an authentication option at 4n+1, p4pmip at the one of the two such places where no padding follows it, so
  the two agree where those are the same.
"""

from collections.abc import Iterator
from ipaddress import IPv6Address
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from tests.wire.strategies import ipv4, ipv6, message_strategies, options, u8, u16, u32

from p4pmip.wire import message as m
from p4pmip.wire import options as o
from p4pmip.wire.gre import Gre
from p4pmip.wire.ip import IPv4Packet, IPv6Packet
from p4pmip.wire.mobility_header import Checksum, decode, encode
from p4pmip.wire.numbers import BindingAcknowledgementFlag, BindingUpdateFlag
from p4pmip.wire.udp import Udp

inet6 = pytest.importorskip("scapy.layers.inet6", reason="scapy is not installed")
packet = pytest.importorskip("scapy.packet", reason="scapy is not installed")
inet = pytest.importorskip("scapy.layers.inet", reason="scapy is not installed")
l2 = pytest.importorskip("scapy.layers.l2", reason="scapy is not installed")

KNOWN_TO_SCAPY = 16
"""The highest type of an option that it reads."""

signalling = st.one_of(message_strategies[m.BindingUpdate], message_strategies[m.BindingAcknowledgement])
own_options = st.lists(
    st.one_of(
        st.builds(o.AlternateCareOfAddress, ipv6),
        st.builds(o.MobileNodeIdentifier, u8, st.binary(max_size=30)),
        st.builds(o.ReplayProtection, st.integers(0, 2**64 - 1)),
    ),
    max_size=6,
).map(tuple)


def given_by_hand(message: m.Message, options: list[Any], autopad: int) -> Any:
    """scapy's packet of a Binding Update or Acknowledgement; it works out length and checksum."""
    match message:
        case m.BindingUpdate(sequence, flags, lifetime):
            word = int(flags)
            return inet6.MIP6MH_BU(
                seq=sequence,
                flags=word >> 9,
                reserved=word & 0x1FF,
                mhtime=lifetime,
                options=options,
                autopad=autopad,
            )
        case m.BindingAcknowledgement(status, flags, sequence, lifetime):
            octet = int(flags)
            return inet6.MIP6MH_BA(
                status=status,
                flags=octet >> 5,
                res2=octet & 0x1F,
                seq=sequence,
                mhtime=lifetime,
                options=options,
                autopad=autopad,
            )
        case _:
            raise AssertionError(message)


def laid_out(octets: bytes) -> Iterator[Any]:
    """The options and the padding of an encoded message, one by one, as scapy wants them."""
    at = 12
    while at < len(octets):
        if octets[at] == 0:
            yield inet6.Pad1()
            at += 1
            continue
        data = octets[at + 2 : at + 2 + octets[at + 1]]
        yield inet6.PadN(optdata=data) if octets[at] == 1 else inet6.MIP6OptUnknown(otype=octets[at], odata=data)
        at += 2 + len(data)


@given(signalling, ipv6, ipv6)
def test_scapy_builds_the_same_octets(sent: m.Message, source: IPv6Address, destination: IPv6Address) -> None:
    ours = encode(sent, source, destination)
    theirs = inet6.IPv6(src=str(source), dst=str(destination)) / given_by_hand(sent, list(laid_out(ours)), 0)
    assert bytes(theirs)[40:] == ours


def in_scapy_s_words(option: o.Option) -> Any:
    match option:
        case o.AlternateCareOfAddress(address):
            return inet6.MIP6OptAltCoA(acoa=str(address))
        case o.MobileNodeIdentifier(subtype, identifier):
            return inet6.MIP6OptMNID(subtype=subtype, id=identifier)
        case o.ReplayProtection(timestamp):
            return inet6.MIP6OptReplayProtection(timestamp=timestamp)
        case _:
            raise AssertionError(option)


@given(own_options, ipv6, ipv6)
def test_scapy_pads_its_own_options_the_same(
    options: tuple[o.Option, ...], source: IPv6Address, destination: IPv6Address
) -> None:
    sent = m.BindingUpdate(7, BindingUpdateFlag.A, 900, options)
    theirs = given_by_hand(sent, [in_scapy_s_words(option) for option in options], 1)
    whole = bytes(inet6.IPv6(src=str(source), dst=str(destination)) / theirs)
    assert whole[40:] == encode(sent, source, destination)


@given(signalling, ipv6, ipv6)
def test_scapy_finds_the_checksum_right(sent: m.Message, source: IPv6Address, destination: IPv6Address) -> None:
    # What scapy knows and finds malformed it puts together otherwise.
    given_options: tuple[o.Option, ...] = getattr(sent, "options", ())
    assume(all(not isinstance(one, o.UnknownOption) or one.type > KNOWN_TO_SCAPY for one in given_options))
    ours = IPv6Packet(source, destination, 135, encode(sent, source, destination)).encode()
    theirs = inet6.IPv6(ours)
    del theirs[1].cksum
    del theirs[1].len
    assert bytes(theirs) == ours


@given(options, ipv6, ipv6, st.integers(0, 0xFFFF))
def test_what_scapy_built_decodes(
    options: tuple[o.Option, ...], source: IPv6Address, destination: IPv6Address, sequence: int
) -> None:
    sent = m.BindingAcknowledgement(163, BindingAcknowledgementFlag.P, sequence, 1, options)
    theirs = given_by_hand(sent, list(laid_out(encode(sent))), 0)
    octets = bytes(inet6.IPv6(src=str(source), dst=str(destination)) / theirs)[40:]
    found = decode(octets, source, destination)
    assert found.message == sent
    assert found.checksum is Checksum.OK


def test_an_authenticator_at_the_same_place_is_padded_the_same() -> None:
    identifier = o.MobileNodeIdentifier(1, b"alice@ab.net")
    sent = m.BindingUpdate(1, BindingUpdateFlag.A, 1, (identifier, o.Authentication(1, 300, bytes(range(12)))))
    source = destination = IPv6Address("2001:db8::1")
    theirs = given_by_hand(
        sent,
        [in_scapy_s_words(identifier), inet6.MIP6OptMsgAuth(subtype=1, mspi=300, authdata=bytes(range(12)))],
        1,
    )
    assert bytes(inet6.IPv6(src=str(source), dst=str(destination)) / theirs)[40:] == encode(sent, source, destination)


# --- the headers around ----------------------------------------------------------------------------------------------


@given(ipv4, ipv4, u8, u8, u16, st.binary(max_size=40), u16, u16)
def test_scapy_computes_the_same_ipv4_and_udp(
    source: Any, destination: Any, ttl: int, tos: int, identification: int, data: bytes, sport: int, dport: int
) -> None:
    udp = Udp(sport, dport, data).encode(source, destination)
    ours = IPv4Packet(source, destination, 17, udp, ttl, tos, identification).encode()
    ip = inet.IP(src=str(source), dst=str(destination), ttl=ttl, tos=tos, id=identification, flags="DF")
    assert bytes(ip / inet.UDP(sport=sport, dport=dport) / packet.Raw(data)) == ours


numbers = st.none() | u32
gre_packets = st.builds(Gre, u16.filter(lambda kind: kind > 1), st.binary(max_size=60), numbers, numbers, st.booleans())


@given(gre_packets)
def test_scapy_builds_the_same_gre(ours: Gre) -> None:
    theirs = l2.GRE(proto=ours.protocol, chksum_present=int(ours.checksum))
    if ours.key is not None:
        theirs.key_present, theirs.key = 1, ours.key
    if ours.sequence is not None:
        theirs.seqnum_present, theirs.sequence_number = 1, ours.sequence
    assert bytes(theirs / packet.Raw(ours.payload)) == ours.encode()
