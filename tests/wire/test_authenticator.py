"""RFC 4285 authenticators against HMAC computed by hand, and against everything that must not pass."""

import hashlib
import hmac
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.wire.strategies import message_strategies, options

from p4pmip.wire import message as m
from p4pmip.wire import options as o
from p4pmip.wire.authenticator import (
    Algorithm,
    SecurityAssociation,
    authentication_of,
    sign,
    verify,
)
from p4pmip.wire.error import WireError
from p4pmip.wire.mobility_header import Checksum, decode, encode
from p4pmip.wire.numbers import BindingUpdateFlag

MAG, LMA = IPv6Address("2001:db8::1"), IPv6Address("2001:db8::2")
PREFIX = IPv6Address("2001:db8:1::")
ASSOCIATION = SecurityAssociation(256, bytes(range(16)))
PBU = m.BindingUpdate(
    1,
    BindingUpdateFlag.A | BindingUpdateFlag.P,
    10,
    (o.MobileNodeIdentifier.nai("alice@example.com"), o.HomeNetworkPrefix(PREFIX, 64), o.GreKey(5)),
)
associations = st.builds(
    SecurityAssociation,
    st.integers(256, 2**32 - 1),
    st.binary(min_size=1, max_size=40),
    st.sampled_from(list(Algorithm)),
    st.sampled_from([1, 2]),
)


@pytest.mark.requirement("R4285-5.1-1", "R4285-5.1-4")
def test_the_authenticator_is_hmac_sha1_over_addresses_and_header() -> None:
    octets = sign(PBU, ASSOCIATION, MAG, MAG, LMA)
    at = decode(octets).offsets[-1]
    assert at % 8 == 5
    assert octets[at : at + 7] == bytes.fromhex("09110100000100")
    assert at + 19 == len(octets), "no padding behind it"
    covered = MAG.packed + PREFIX.packed + octets[:4] + bytes(2) + octets[6 : at + 7]
    assert octets[at + 7 :] == hmac.new(ASSOCIATION.key, covered, hashlib.sha1).digest()[:12]
    assert decode(octets, MAG, LMA).checksum is Checksum.OK


@pytest.mark.requirement("R4285-5.1-1")
def test_sha256_is_sixteen_octets_without_padding_behind_it() -> None:
    octets = sign(PBU, replace(ASSOCIATION, algorithm=Algorithm.HMAC_SHA256_128), MAG)
    assert octets[-16:] != bytes(16)
    assert octets[-22] == 21


@given(st.one_of(*message_strategies.values()), associations, st.booleans())
def test_what_is_signed_verifies(sent: m.Message, association: SecurityAssociation, over_ipv6: bool) -> None:
    source, destination = (MAG, LMA) if over_ipv6 else (IPv4Address("192.0.2.1"), IPv4Address("192.0.2.2"))
    found = decode(sign(sent, association, source, source, destination), source, destination)
    assert found.message is not None
    assert verify(found, association, source)
    assert not verify(found, replace(association, key=association.key + b"!"), source)
    assert not verify(found, replace(association, spi=association.spi ^ 1), source)
    assert not verify(found, association, LMA)


@pytest.mark.requirement("R4285-5.1-4")
@given(st.integers(0, 3) | st.integers(6, 75), st.integers(0, 7))
def test_no_bit_before_the_authenticator_can_change(where: int, bit: int) -> None:
    octets = bytearray(sign(PBU, ASSOCIATION, MAG))
    octets[where] ^= 1 << bit
    assert not verify(decode(bytes(octets)), ASSOCIATION, MAG)


@pytest.mark.requirement("R4285-5.1-3")
@given(options)
def test_an_authenticator_that_is_not_the_last_option_protects_nothing(before: tuple[o.Option, ...]) -> None:
    signed = decode(sign(replace(PBU, options=before), ASSOCIATION, MAG)).message
    assert isinstance(signed, m.BindingUpdate)
    appended = replace(signed, options=(*signed.options, o.HandoffIndicatorOption(1)))
    assert authentication_of(appended) is None
    assert not verify(decode(encode(appended)), ASSOCIATION, MAG)


def test_without_an_option_or_a_message_nothing_verifies() -> None:
    assert not verify(decode(encode(PBU)), ASSOCIATION, MAG)
    assert not verify(decode(b""), ASSOCIATION, MAG)


def test_an_unknown_message_cannot_be_signed() -> None:
    with pytest.raises(WireError, match="UnknownMessage"):
        sign(m.UnknownMessage(1, bytes(2)), ASSOCIATION, MAG)


def test_the_key_is_not_shown() -> None:
    assert "key" not in repr(ASSOCIATION)
