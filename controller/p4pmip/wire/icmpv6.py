"""ICMPv6 (RFC 4443) and Neighbor Discovery (RFC 4861).

The hop limit of 255 that Neighbor Discovery demands stands in the IPv6 header and is its reader's to check.
"""

import struct
from dataclasses import dataclass
from enum import IntEnum
from ipaddress import IPv6Address

from p4pmip.wire.checksum import transport_checksum
from p4pmip.wire.echo import EchoReply, EchoRequest
from p4pmip.wire.error import WireError
from p4pmip.wire.fault import Fault, Reason
from p4pmip.wire.neighbor_option import (
    NeighborOption,
    decode_neighbor_options,
    encode_neighbor_options,
)

_PROTOCOL = 58
NEIGHBOR_DISCOVERY_HOP_LIMIT = 255
_MINIMUM_MTU = 1280


class Icmpv6Type(IntEnum):
    """ICMPv6 types used here."""

    DESTINATION_UNREACHABLE = 1
    PACKET_TOO_BIG = 2
    TIME_EXCEEDED = 3
    PARAMETER_PROBLEM = 4
    ECHO_REQUEST = 128
    ECHO_REPLY = 129
    ROUTER_SOLICITATION = 133
    ROUTER_ADVERTISEMENT = 134
    NEIGHBOR_SOLICITATION = 135
    NEIGHBOR_ADVERTISEMENT = 136


@dataclass(frozen=True, slots=True)
class RouterSolicitation:
    """Router Solicitation (RFC 4861 §4.1)."""

    options: tuple[NeighborOption, ...] = ()


@dataclass(frozen=True, slots=True)
class RouterAdvertisement:
    """Router Advertisement (RFC 4861 §4.2)."""

    lifetime: int
    """Seconds the sender is a default router; 0: it is none."""
    options: tuple[NeighborOption, ...] = ()
    hop_limit: int = 64
    managed: bool = False
    other: bool = False
    reachable_time: int = 0
    """Milliseconds; 0: unspecified."""
    retransmission_timer: int = 0
    """Milliseconds; 0: unspecified."""


@dataclass(frozen=True, slots=True)
class NeighborSolicitation:
    """Neighbor Solicitation (RFC 4861 §4.3)."""

    target: IPv6Address
    options: tuple[NeighborOption, ...] = ()


@dataclass(frozen=True, slots=True)
class NeighborAdvertisement:
    """Neighbor Advertisement (RFC 4861 §4.4)."""

    target: IPv6Address
    router: bool
    solicited: bool
    override: bool
    options: tuple[NeighborOption, ...] = ()


@dataclass(frozen=True, slots=True)
class Icmpv6Error:
    """An error message (RFC 4443 §3)."""

    type: int
    """One of the types below 128."""
    code: int
    parameter: int
    """The MTU of Packet Too Big, the pointer of Parameter Problem, 0 of the others."""
    invoking: bytes
    """As much of the packet that caused it as is there."""


@dataclass(frozen=True, slots=True)
class UnknownIcmpv6:
    """Any other message: what follows its checksum."""

    type: int
    code: int
    body: bytes


Icmpv6Message = (
    RouterSolicitation
    | RouterAdvertisement
    | NeighborSolicitation
    | NeighborAdvertisement
    | EchoRequest
    | EchoReply
    | Icmpv6Error
    | UnknownIcmpv6
)

_ADVERTISEMENT = struct.Struct(">BBHII")


def packet_too_big(mtu: int, invoking: bytes) -> Icmpv6Error:
    """Packet Too Big (RFC 4443 §3.2), the invoking packet cut so that the answer stays within 1280 octets."""
    return Icmpv6Error(Icmpv6Type.PACKET_TOO_BIG, 0, mtu, invoking[: _MINIMUM_MTU - 48])


def time_exceeded(invoking: bytes) -> Icmpv6Error:
    """Time Exceeded, hop limit exceeded in transit (RFC 4443 §3.3)."""
    return Icmpv6Error(Icmpv6Type.TIME_EXCEEDED, 0, 0, invoking[: _MINIMUM_MTU - 48])


def parameter_problem(code: int, pointer: int, invoking: bytes) -> Icmpv6Error:
    """Parameter Problem (RFC 4443 §3.4); `pointer` counts from the start of the invoking packet."""
    return Icmpv6Error(Icmpv6Type.PARAMETER_PROBLEM, code, pointer, invoking[: _MINIMUM_MTU - 48])


def decode(
    octets: bytes, source: IPv6Address | None = None, destination: IPv6Address | None = None
) -> Icmpv6Message | Fault:
    """Take a message apart; with both addresses its checksum is verified."""
    if len(octets) < 4:
        return Fault(len(octets), Reason.TRUNCATED)
    if source is not None and destination is not None and transport_checksum(octets, source, destination, _PROTOCOL):
        return Fault(2, Reason.BAD_CHECKSUM)
    kind, code = octets[0], octets[1]
    needed = _MINIMUM_SIZE.get(kind, 4)
    if len(octets) < needed:
        return Fault(len(octets), Reason.TRUNCATED)
    match kind:
        case Icmpv6Type.ECHO_REQUEST:
            return EchoRequest.decode(octets[4:])
        case Icmpv6Type.ECHO_REPLY:
            return EchoReply.decode(octets[4:])
        case (
            Icmpv6Type.DESTINATION_UNREACHABLE
            | Icmpv6Type.PACKET_TOO_BIG
            | Icmpv6Type.TIME_EXCEEDED
            | Icmpv6Type.PARAMETER_PROBLEM
        ):
            return Icmpv6Error(kind, code, int.from_bytes(octets[4:8], "big"), octets[8:])
        case (
            Icmpv6Type.ROUTER_SOLICITATION
            | Icmpv6Type.ROUTER_ADVERTISEMENT
            | Icmpv6Type.NEIGHBOR_SOLICITATION
            | Icmpv6Type.NEIGHBOR_ADVERTISEMENT
        ):
            options = decode_neighbor_options(octets, needed)
            return options if isinstance(options, Fault) else _decode_neighbor(kind, octets, options)
        case _:
            return UnknownIcmpv6(kind, code, octets[4:])


_MINIMUM_SIZE: dict[int, int] = {
    Icmpv6Type.DESTINATION_UNREACHABLE: 8,
    Icmpv6Type.PACKET_TOO_BIG: 8,
    Icmpv6Type.TIME_EXCEEDED: 8,
    Icmpv6Type.PARAMETER_PROBLEM: 8,
    Icmpv6Type.ECHO_REQUEST: 8,
    Icmpv6Type.ECHO_REPLY: 8,
    Icmpv6Type.ROUTER_SOLICITATION: 8,
    Icmpv6Type.ROUTER_ADVERTISEMENT: 16,
    Icmpv6Type.NEIGHBOR_SOLICITATION: 24,
    Icmpv6Type.NEIGHBOR_ADVERTISEMENT: 24,
}


def _decode_neighbor(kind: int, octets: bytes, options: tuple[NeighborOption, ...]) -> Icmpv6Message:
    match kind:
        case Icmpv6Type.ROUTER_SOLICITATION:
            return RouterSolicitation(options)
        case Icmpv6Type.ROUTER_ADVERTISEMENT:
            hop_limit, flags, lifetime, reachable, retransmission = _ADVERTISEMENT.unpack_from(octets, 4)
            return RouterAdvertisement(
                lifetime, options, hop_limit, bool(flags & 0x80), bool(flags & 0x40), reachable, retransmission
            )
        case Icmpv6Type.NEIGHBOR_SOLICITATION:
            return NeighborSolicitation(IPv6Address(octets[8:24]), options)
        case _:
            flags = octets[4]
            target = IPv6Address(octets[8:24])
            return NeighborAdvertisement(target, bool(flags & 0x80), bool(flags & 0x40), bool(flags & 0x20), options)


def encode(message: Icmpv6Message, source: IPv6Address, destination: IPv6Address) -> bytes:
    """The message, its checksum computed with the addresses it will travel between.

    Raises:
        WireError: a field does not fit.
    """
    try:
        kind, code, body = _type_code_body(message)
        octets = bytearray(struct.pack(">BBxx", kind, code) + body)
    except struct.error as error:
        raise WireError(type(message).__name__, message, f"does not fit the wire ({error})") from error
    checksum = transport_checksum(octets, source, destination, _PROTOCOL)
    struct.pack_into(">H", octets, 2, checksum)
    return bytes(octets)


def _type_code_body(message: Icmpv6Message) -> tuple[int, int, bytes]:
    match message:
        case RouterSolicitation(options):
            return Icmpv6Type.ROUTER_SOLICITATION, 0, bytes(4) + encode_neighbor_options(options)
        case RouterAdvertisement():
            flags = message.managed << 7 | message.other << 6
            fixed = _ADVERTISEMENT.pack(
                message.hop_limit, flags, message.lifetime, message.reachable_time, message.retransmission_timer
            )
            return Icmpv6Type.ROUTER_ADVERTISEMENT, 0, fixed + encode_neighbor_options(message.options)
        case NeighborSolicitation(target, options):
            return (
                Icmpv6Type.NEIGHBOR_SOLICITATION,
                0,
                bytes(4) + target.packed + encode_neighbor_options(options),
            )
        case NeighborAdvertisement(target, router, solicited, override, options):
            flags = router << 7 | solicited << 6 | override << 5
            body = struct.pack(">B3x", flags) + target.packed + encode_neighbor_options(options)
            return Icmpv6Type.NEIGHBOR_ADVERTISEMENT, 0, body
        case EchoRequest():
            return Icmpv6Type.ECHO_REQUEST, 0, message.encode()
        case EchoReply():
            return Icmpv6Type.ECHO_REPLY, 0, message.encode()
        case Icmpv6Error(kind, code, parameter, invoking):
            return kind, code, struct.pack(">I", parameter) + invoking
        case UnknownIcmpv6(kind, code, body):
            return kind, code, body
