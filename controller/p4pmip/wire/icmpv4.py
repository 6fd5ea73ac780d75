"""ICMP for IPv4 (RFC 792, RFC 1191)."""

import struct
from dataclasses import dataclass
from enum import IntEnum

from p4pmip.wire.checksum import internet_checksum
from p4pmip.wire.echo import EchoReply, EchoRequest
from p4pmip.wire.error import WireError
from p4pmip.wire.fault import Fault, Reason

_LONGEST = 576
"""An error stays within this whole datagram (RFC 1812 §4.3.2.3)."""


class Icmpv4Type(IntEnum):
    """ICMP types used here."""

    ECHO_REPLY = 0
    DESTINATION_UNREACHABLE = 3
    ECHO_REQUEST = 8
    TIME_EXCEEDED = 11
    PARAMETER_PROBLEM = 12


@dataclass(frozen=True, slots=True)
class Icmpv4Error:
    """An error message."""

    type: int
    code: int
    parameter: int
    """The second word: the next-hop MTU of "fragmentation needed", 0 of most others."""
    invoking: bytes


@dataclass(frozen=True, slots=True)
class UnknownIcmpv4:
    """Any other message: what follows its checksum."""

    type: int
    code: int
    body: bytes


Icmpv4Message = EchoRequest | EchoReply | Icmpv4Error | UnknownIcmpv4

_ERRORS = frozenset((Icmpv4Type.DESTINATION_UNREACHABLE, Icmpv4Type.TIME_EXCEEDED, Icmpv4Type.PARAMETER_PROBLEM))


def fragmentation_needed(mtu: int, invoking: bytes) -> Icmpv4Error:
    """Destination unreachable, fragmentation needed and DF set, with the next-hop MTU (RFC 1191 §4)."""
    return Icmpv4Error(Icmpv4Type.DESTINATION_UNREACHABLE, 4, mtu, invoking[: _LONGEST - 28])


def time_exceeded(invoking: bytes) -> Icmpv4Error:
    """Time to live exceeded in transit."""
    return Icmpv4Error(Icmpv4Type.TIME_EXCEEDED, 0, 0, invoking[: _LONGEST - 28])


def decode(octets: bytes) -> Icmpv4Message | Fault:
    """Take a message apart, its checksum verified."""
    if len(octets) < 8:
        return Fault(len(octets), Reason.TRUNCATED)
    if internet_checksum(octets):
        return Fault(2, Reason.BAD_CHECKSUM)
    kind, code = octets[0], octets[1]
    match kind:
        case Icmpv4Type.ECHO_REQUEST:
            return EchoRequest.decode(octets[4:])
        case Icmpv4Type.ECHO_REPLY:
            return EchoReply.decode(octets[4:])
        case _ if kind in _ERRORS:
            return Icmpv4Error(kind, code, int.from_bytes(octets[4:8], "big"), octets[8:])
        case _:
            return UnknownIcmpv4(kind, code, octets[4:])


def encode(message: Icmpv4Message) -> bytes:
    """The message, its checksum computed.

    Raises:
        WireError: a field does not fit.
    """
    try:
        kind, code, body = _type_code_body(message)
        octets = bytearray(struct.pack(">BBxx", kind, code) + body)
    except struct.error as error:
        raise WireError(type(message).__name__, message, f"does not fit the wire ({error})") from error
    struct.pack_into(">H", octets, 2, internet_checksum(octets))
    return bytes(octets)


def _type_code_body(message: Icmpv4Message) -> tuple[int, int, bytes]:
    match message:
        case EchoRequest():
            return Icmpv4Type.ECHO_REQUEST, 0, message.encode()
        case EchoReply():
            return Icmpv4Type.ECHO_REPLY, 0, message.encode()
        case Icmpv4Error(kind, code, parameter, invoking):
            return kind, code, struct.pack(">I", parameter) + invoking
        case UnknownIcmpv4(kind, code, body):
            return kind, code, body
