"""IPv4 (RFC 791) and IPv6 (RFC 8200) headers, and the walk over IPv6 extension headers to what they carry."""

import struct
from dataclasses import dataclass
from enum import IntEnum
from ipaddress import IPv4Address, IPv6Address
from typing import NamedTuple, Self

from p4pmip.wire.checksum import IPAddress, internet_checksum
from p4pmip.wire.error import WireError
from p4pmip.wire.fault import Fault, Reason

__all__ = [
    "IPAddress",
    "IPProtocol",
    "IPv4Packet",
    "IPv6Packet",
    "Upper",
    "decode_ip",
    "internet_checksum",
    "upper_layer",
]


class IPProtocol(IntEnum):
    """IPv4 protocols and IPv6 next headers."""

    HOP_BY_HOP = 0
    ICMP = 1
    IPV4 = 4
    TCP = 6
    UDP = 17
    IPV6 = 41
    ROUTING = 43
    FRAGMENT = 44
    GRE = 47
    ESP = 50
    AUTHENTICATION = 51
    ICMPV6 = 58
    NO_NEXT_HEADER = 59
    DESTINATION_OPTIONS = 60
    MOBILITY_HEADER = 135


_EXTENSION_HEADERS = frozenset(
    (
        IPProtocol.HOP_BY_HOP,
        IPProtocol.ROUTING,
        IPProtocol.FRAGMENT,
        IPProtocol.AUTHENTICATION,
        IPProtocol.DESTINATION_OPTIONS,
    )
)
_LONGEST_CHAIN = 16
_HOME_ADDRESS_OPTION = 201
_ROUTING_TYPE_2 = 2

_IPV4 = struct.Struct(">BBHHHBBH4s4s")
_IPV6 = struct.Struct(">IHBB16s16s")


@dataclass(frozen=True, slots=True)
class IPv4Packet:
    """An IPv4 packet; total length, header length and checksum are worked out on encoding."""

    source: IPv4Address
    destination: IPv4Address
    protocol: int
    payload: bytes
    ttl: int = 64
    tos: int = 0
    """DSCP and ECN, 8 bits."""
    identification: int = 0
    dont_fragment: bool = True
    more_fragments: bool = False
    fragment_offset: int = 0
    """In units of 8 octets."""
    options: bytes = b""

    @classmethod
    def decode(cls, octets: bytes) -> Self | Fault:
        """Take a packet apart, link-layer padding behind it cut off, header checksum verified."""
        if len(octets) < 20:
            return Fault(len(octets), Reason.TRUNCATED)
        first, tos, total, identification, fragment, ttl, protocol, _, source, destination = _IPV4.unpack_from(octets)
        size = (first & 0xF) * 4
        if first >> 4 != 4:
            return Fault(0, Reason.BAD_VERSION)
        if size < 20:
            return Fault(0, Reason.BAD_HEADER_LENGTH)
        if total < size:
            return Fault(2, Reason.BAD_LENGTH)
        if total > len(octets):
            return Fault(2, Reason.TRUNCATED)
        if internet_checksum(octets[:size]):
            return Fault(10, Reason.BAD_CHECKSUM)
        return cls(
            IPv4Address(source),
            IPv4Address(destination),
            protocol,
            octets[size:total],
            ttl,
            tos,
            identification,
            bool(fragment & 0x4000),
            bool(fragment & 0x2000),
            fragment & 0x1FFF,
            octets[20:size],
        )

    def encode(self) -> bytes:
        """The packet, its checksum computed.

        Raises:
            WireError: a number does not fit, or the packet is too long.
        """
        try:
            _demand_family(4, self.source, self.destination)
            size = 20 + len(self.options)
            if size % 4 or size > 60:
                raise ValueError("IPv4 options are at most 40 octets, a multiple of 4")
            fragment = (self.dont_fragment << 14) | (self.more_fragments << 13) | self.fragment_offset
            header = bytearray(
                _IPV4.pack(
                    0x40 | size // 4,
                    self.tos,
                    size + len(self.payload),
                    self.identification,
                    fragment,
                    self.ttl,
                    self.protocol,
                    0,
                    self.source.packed,
                    self.destination.packed,
                )
            )
        except (struct.error, ValueError) as error:
            raise WireError("IPv4Packet", self, f"does not fit the wire ({error})") from error
        header += self.options
        struct.pack_into(">H", header, 10, internet_checksum(header))
        return bytes(header) + self.payload


@dataclass(frozen=True, slots=True)
class IPv6Packet:
    """An IPv6 packet; extension headers are part of the payload (see `upper_layer`)."""

    source: IPv6Address
    destination: IPv6Address
    next_header: int
    payload: bytes
    hop_limit: int = 64
    traffic_class: int = 0
    flow_label: int = 0

    @classmethod
    def decode(cls, octets: bytes) -> Self | Fault:
        """Take a packet apart, link-layer padding behind it cut off."""
        if len(octets) < 40:
            return Fault(len(octets), Reason.TRUNCATED)
        first, length, next_header, hop_limit, source, destination = _IPV6.unpack_from(octets)
        if first >> 28 != 6:
            return Fault(0, Reason.BAD_VERSION)
        if 40 + length > len(octets):
            return Fault(4, Reason.TRUNCATED)
        return cls(
            IPv6Address(source),
            IPv6Address(destination),
            next_header,
            octets[40 : 40 + length],
            hop_limit,
            first >> 20 & 0xFF,
            first & 0xFFFFF,
        )

    def encode(self) -> bytes:
        """The packet.

        Raises:
            WireError: a number does not fit, or the payload is too long.
        """
        try:
            _demand_family(6, self.source, self.destination)
            first = 6 << 28 | self.traffic_class << 20 | self.flow_label
            return (
                _IPV6.pack(
                    first,
                    len(self.payload),
                    self.next_header,
                    self.hop_limit,
                    self.source.packed,
                    self.destination.packed,
                )
                + self.payload
            )
        except (struct.error, ValueError) as error:
            raise WireError("IPv6Packet", self, f"does not fit the wire ({error})") from error


def _demand_family(version: int, *addresses: IPAddress) -> None:
    """`struct` would cut or pad an address of the other family without a word."""
    for address in addresses:
        if address.version != version:
            raise ValueError(f"{address} is not an IPv{version} address")


def decode_ip(octets: bytes) -> IPv4Packet | IPv6Packet | Fault:
    """An IP packet of the version its first nibble says."""
    if not octets:
        return Fault(0, Reason.TRUNCATED)
    match octets[0] >> 4:
        case 4:
            return IPv4Packet.decode(octets)
        case 6:
            return IPv6Packet.decode(octets)
        case _:
            return Fault(0, Reason.BAD_VERSION)


class Upper(NamedTuple):
    """What a packet carries behind its IP headers."""

    protocol: int
    payload: bytes
    source: IPAddress
    """For a checksum's pseudo-header: the home address where a Home Address option stands (RFC 6275 §6.1.1)."""
    destination: IPAddress
    """For a checksum's pseudo-header: the final one where a type 2 routing header stands."""
    offset: int
    """Where the payload starts in the packet."""


def upper_layer(packet: IPv4Packet | IPv6Packet) -> Upper | Fault:
    """What a packet carries, extension headers skipped; a fragment carries nothing that could be used."""
    if isinstance(packet, IPv4Packet):
        if packet.more_fragments or packet.fragment_offset:
            return Fault(6, Reason.FRAGMENT)
        return Upper(packet.protocol, packet.payload, packet.source, packet.destination, 20 + len(packet.options))
    return _skip_extension_headers(packet)


def _skip_extension_headers(packet: IPv6Packet) -> Upper | Fault:
    source, destination = packet.source, packet.destination
    kind, octets, at = packet.next_header, packet.payload, 0
    for _ in range(_LONGEST_CHAIN):
        if kind not in _EXTENSION_HEADERS:
            return Upper(kind, octets[at:], source, destination, 40 + at)
        if at + 8 > len(octets):
            return Fault(40 + at, Reason.TRUNCATED)
        following = at + _extension_header_size(kind, octets[at + 1])
        if following > len(octets):
            return Fault(40 + at + 1, Reason.TRUNCATED)
        match kind:
            case IPProtocol.FRAGMENT if octets[at + 2] or octets[at + 3] & 0xF9:
                return Fault(40 + at + 2, Reason.FRAGMENT)
            case IPProtocol.DESTINATION_OPTIONS:
                source = _home_address(octets[at + 2 : following]) or source
            case IPProtocol.ROUTING if octets[at + 2] == _ROUTING_TYPE_2 and following - at == 24:
                destination = IPv6Address(octets[at + 8 : at + 24])
            case _:
                pass
        kind, at = octets[at], following
    return Fault(40 + at, Reason.NESTED_TOO_DEEPLY)


def _extension_header_size(kind: int, length: int) -> int:
    if kind == IPProtocol.FRAGMENT:
        return 8
    if kind == IPProtocol.AUTHENTICATION:  # RFC 4302 §2.2: in units of 4 octets, minus 2
        return (length + 2) * 4
    return (length + 1) * 8


def _home_address(options: bytes) -> IPv6Address | None:
    """The address of a Home Address destination option (RFC 6275 §6.3), if one stands among these."""
    at = 0
    while at + 1 < len(options):
        if options[at] == 0:
            at += 1
            continue
        kind, length = options[at], options[at + 1]
        if kind == _HOME_ADDRESS_OPTION and length == 16 and at + 18 <= len(options):
            return IPv6Address(options[at + 2 : at + 18])
        at += 2 + length
    return None
