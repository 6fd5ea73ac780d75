"""pypcapkit's pre-release reads the same fields; it knows the messages and options that tshark does not.

Where pypcapkit 1.5.0b14 has it otherwise:
- it takes the alignment of an authentication option for a rule about its length: those of 4n+2 octets are compared;
- it cannot show times after the year 9999: timestamps end there;
- it wants options it does not know to be 2 octets or more: none are sent to it;
- it shows text for what is a service identifier or, with some subtypes, an MN-Identifier: those are compared as text.
"""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.wire.strategies import messages_with, option_strategies, u8, u32

from p4pmip.wire import message as m
from p4pmip.wire import options as o
from p4pmip.wire.mobility_header import decode, encode
from p4pmip.wire.numbers import LIFETIME_UNIT

mh = pytest.importorskip("pcapkit.protocols.internet.mh", reason="pypcapkit (1.5.0b14 or later) is not installed")

names = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=30).map(str.encode)

END_OF_9999 = 253402300799
"""Seconds since 1970."""


def octets_of_size(fours: int) -> st.SearchStrategy[bytes]:
    return st.binary(min_size=4 * fours + 2, max_size=4 * fours + 2)


known = option_strategies | {
    o.MobileNodeIdentifier: st.builds(o.MobileNodeIdentifier, st.just(1), names)
    | st.builds(o.MobileNodeIdentifier, u8.filter(lambda subtype: subtype > 8), st.binary(min_size=1, max_size=20)),
    o.ServiceSelection: st.builds(o.ServiceSelection, names),
    o.Timestamp: st.builds(o.Timestamp, st.integers(0, END_OF_9999 << 16)),
    o.Authentication: st.builds(o.Authentication, u8, u32, st.integers(0, 3).flatmap(octets_of_size)),
}
del known[o.UnknownOption]
options = st.lists(st.one_of(*known.values()), max_size=6).map(tuple)
messages = st.one_of(*messages_with(options).values())

BU_FLAGS = {
    "A": "ack", "H": "home", "L": "lla_compat", "K": "key_mngt", "M": "map_reg", "R": "mobile_router",
    "P": "proxy_reg", "F": "udp_encap", "T": "tlv_format", "B": "bulk_binding", "S": "multicast", "D": "dmm",
}  # fmt: skip
BA_FLAGS = {name: BU_FLAGS[name] for name in "KRPTBSD"}
REVOCATION_FLAGS = {"P": "proxy", "V": "ipv4_hoa", "G": "global_revocation"}

Expected = Iterator[tuple[str, object]]


def flag_fields(flags: Any, names: dict[str, str]) -> Expected:
    for letter, name in names.items():
        yield name, bool(flags & type(flags)[letter])


def message_fields(message: m.Message) -> Expected:
    match message:
        case m.BindingUpdate(sequence, flags, lifetime):
            yield from (("type", 5), ("seq", sequence), ("lifetime", timedelta(seconds=lifetime * LIFETIME_UNIT)))
            yield from flag_fields(flags, BU_FLAGS)
        case m.BindingAcknowledgement(status, flags, sequence, lifetime):
            yield from (("type", 6), ("status", status), ("seq", sequence))
            yield "lifetime", timedelta(seconds=lifetime * LIFETIME_UNIT)
            yield from flag_fields(flags, BA_FLAGS)
        case m.BindingError(status, home_address):
            yield from (("type", 7), ("status", status), ("home", home_address))
        case m.BindingRefreshRequest():
            yield "type", 0
        case m.Heartbeat(flags, sequence):
            yield from (("type", 13), ("seq", sequence))
            yield from flag_fields(flags, {"U": "unsolicited", "R": "response"})
        case m.BindingRevocationIndication(trigger, sequence, flags):
            yield from (("type", 16), ("br_type", 1), ("code", trigger), ("seq", sequence))
            yield from flag_fields(flags, REVOCATION_FLAGS)
        case m.BindingRevocationAcknowledgement(status, sequence, flags):
            yield from (("type", 16), ("br_type", 2), ("code", status), ("seq", sequence))
            yield from flag_fields(flags, REVOCATION_FLAGS)
        case m.UpdateNotification(sequence, reason, flags):
            yield from (("type", 19), ("seq", sequence), ("reason", reason))
            yield from flag_fields(flags, {"A": "ack", "D": "retransmit"})
        case m.UpdateNotificationAcknowledgement(sequence, status):
            yield from (("type", 20), ("seq", sequence), ("status", status))
        case m.UnknownMessage():
            raise AssertionError(message)


def option_fields(option: o.Option) -> Expected:
    match option:
        case o.AlternateCareOfAddress(address) | o.LinkLocalAddress(address) | o.IPv4DefaultRouter(address):
            yield "address", address
        case o.MobileNodeIdentifier(subtype, identifier):
            yield "subtype", subtype
            yield "identifier", identifier.decode() if subtype == 1 else identifier
        case o.Authentication(subtype, spi, authenticator):
            yield from (("subtype", subtype), ("spi", spi), ("data", authenticator))
        case o.ReplayProtection(timestamp):
            yield "ntp_timestamp", divmod(timestamp, 2**32)
        case o.VendorSpecific(vendor, subtype, data):
            yield from (("vendor", vendor), ("subtype", subtype), ("data", data))
        case o.ServiceSelection(identifier):
            yield "identifier", identifier.decode()
        case o.HomeNetworkPrefix(address, length):
            yield from (("prefix", address), ("prefix_length", length))
        case o.HandoffIndicatorOption(indicator):
            yield "hi", indicator
        case o.AccessTechnologyOption(technology):
            yield "att", technology
        case o.LinkLayerIdentifier(identifier):
            yield "lli", identifier
        case o.Timestamp(value):
            yield "pmip_timestamp", divmod(value, 2**16)
        case o.RestartCounter(counter):
            yield "counter", counter
        case o.NatDetection(force, refresh_time):
            yield from (("force", force), ("refresh", timedelta(seconds=refresh_time)))
        case o.GreKey(key):
            yield "key", key
        case o.IPv4HomeAddressRequest(address, length):
            yield from (("address", address), ("prefix_length", length))
        case o.IPv4HomeAddressReply(status, length, address):
            yield from (("status", status), ("address", address), ("prefix_length", length))
        case o.IPv4DhcpSupportMode(server):
            yield "mode", int(server)
        case o.LmaUserPlaneAddress(address):
            yield "address", address
        case o.UnknownOption():
            raise AssertionError(option)


def pair(value: Any) -> Any:
    """pypcapkit's timestamps as (seconds, fraction), everything else as it is."""
    return (value.seconds, value.fraction) if hasattr(value, "fraction") else value


def assert_reads(found: Any, fields: Expected) -> None:
    for name, value in fields:
        assert pair(getattr(found, name)) == value, name


def read(octets: bytes) -> tuple[Any, list[Any]]:
    """pypcapkit's message and its options, padding left out."""
    found = mh.MH(octets, len(octets)).info
    return found, [option for kind, option in found.options.items(multi=True) if kind not in (0, 1)]


@given(messages)
def test_pypcapkit_reads_every_message_and_option(sent: m.Message) -> None:
    octets = encode(sent)
    found, options = read(octets)
    assert_reads(found, message_fields(sent))
    assert found.length == len(octets)
    assert not isinstance(sent, m.UnknownMessage)
    assert len(options) == len(sent.options)
    for option, theirs, offset in zip(sent.options, options, decode(octets).offsets, strict=True):
        assert (theirs.type, theirs.length) == (octets[offset], octets[offset + 1] + 2)
        assert_reads(theirs, option_fields(option))
