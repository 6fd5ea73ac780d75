"""Options of Neighbor Discovery (RFC 4861 §4.6, RFC 8106)."""

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from ipaddress import IPv6Address

from p4pmip.wire.error import WireError
from p4pmip.wire.fault import Fault, Reason


class NeighborOptionType(IntEnum):
    """IANA "IPv6 Neighbor Discovery Option Formats", those used here."""

    SOURCE_LINK_LAYER_ADDRESS = 1
    TARGET_LINK_LAYER_ADDRESS = 2
    PREFIX_INFORMATION = 3
    MTU = 5
    RDNSS = 25


@dataclass(frozen=True, slots=True)
class SourceLinkLayerAddress:
    """The sender's MAC address, 6 octets."""

    address: bytes


@dataclass(frozen=True, slots=True)
class TargetLinkLayerAddress:
    """The target's MAC address, 6 octets."""

    address: bytes


@dataclass(frozen=True, slots=True)
class PrefixInformation:
    """A prefix of the link (RFC 4861 §4.6.2); lifetimes in seconds, 0xFFFFFFFF for ever."""

    prefix: IPv6Address
    length: int
    on_link: bool
    autonomous: bool
    valid_lifetime: int
    preferred_lifetime: int


@dataclass(frozen=True, slots=True)
class Mtu:
    """The MTU of the link."""

    mtu: int


@dataclass(frozen=True, slots=True)
class Rdnss:
    """Recursive DNS servers (RFC 8106 §5.1); lifetime in seconds."""

    lifetime: int
    servers: tuple[IPv6Address, ...]


@dataclass(frozen=True, slots=True)
class UnknownNeighborOption:
    """Any other option: what follows its Length, 8n+6 octets."""

    type: int
    data: bytes


NeighborOption = (
    SourceLinkLayerAddress | TargetLinkLayerAddress | PrefixInformation | Mtu | Rdnss | UnknownNeighborOption
)

_PREFIX = struct.Struct(">BBII4x16s")


def decode_neighbor_options(octets: bytes, at: int) -> tuple[NeighborOption, ...] | Fault:
    """The options from `at` on; one of length 0 or cut off spoils the message (RFC 4861 §6.1)."""
    found: list[NeighborOption] = []
    while at < len(octets):
        if at + 2 > len(octets):
            return Fault(at, Reason.OPTION_TRUNCATED)
        size = octets[at + 1] * 8
        if not size:
            return Fault(at, Reason.BAD_OPTION_LENGTH)
        if at + size > len(octets):
            return Fault(at, Reason.OPTION_TRUNCATED)
        found.append(_decode_option(octets[at], octets[at + 2 : at + size]))
        at += size
    return tuple(found)


def _decode_option(kind: int, data: bytes) -> NeighborOption:
    match kind, len(data):
        case NeighborOptionType.SOURCE_LINK_LAYER_ADDRESS, 6:
            return SourceLinkLayerAddress(data)
        case NeighborOptionType.TARGET_LINK_LAYER_ADDRESS, 6:
            return TargetLinkLayerAddress(data)
        case NeighborOptionType.PREFIX_INFORMATION, 30:
            length, flags, valid, preferred, prefix = _PREFIX.unpack(data)
            return PrefixInformation(
                IPv6Address(prefix), length, bool(flags & 0x80), bool(flags & 0x40), valid, preferred
            )
        case NeighborOptionType.MTU, 6:
            return Mtu(int.from_bytes(data[2:], "big"))
        case NeighborOptionType.RDNSS, size if size >= 22 and size % 16 == 6:
            servers = tuple(IPv6Address(data[start : start + 16]) for start in range(6, size, 16))
            return Rdnss(int.from_bytes(data[2:6], "big"), servers)
        case _:
            return UnknownNeighborOption(kind, data)


def encode_neighbor_options(options: Iterable[NeighborOption]) -> bytes:
    """The options one after the other.

    Raises:
        WireError: a field does not fit, or the data are not 8n+6 octets.
    """
    return b"".join(_encode_option(option) for option in options)


def _encode_option(option: NeighborOption) -> bytes:
    try:
        kind, data = _type_and_data(option)
        if len(data) % 8 != 6:
            raise ValueError("an option is a multiple of 8 octets")
        return struct.pack(">BB", kind, (len(data) + 2) // 8) + data
    except (struct.error, ValueError) as error:
        raise WireError(type(option).__name__, option, f"does not fit the wire ({error})") from error


def _type_and_data(option: NeighborOption) -> tuple[int, bytes]:
    match option:
        case SourceLinkLayerAddress(address):
            return NeighborOptionType.SOURCE_LINK_LAYER_ADDRESS, address
        case TargetLinkLayerAddress(address):
            return NeighborOptionType.TARGET_LINK_LAYER_ADDRESS, address
        case PrefixInformation(prefix, length, on_link, autonomous, valid, preferred):
            flags = on_link << 7 | autonomous << 6
            return NeighborOptionType.PREFIX_INFORMATION, _PREFIX.pack(length, flags, valid, preferred, prefix.packed)
        case Mtu(mtu):
            return NeighborOptionType.MTU, struct.pack(">2xI", mtu)
        case Rdnss(lifetime, servers):
            addresses = b"".join(server.packed for server in servers)
            return NeighborOptionType.RDNSS, struct.pack(">2xI", lifetime) + addresses
        case UnknownNeighborOption(kind, data):
            return kind, data
