"""ICMP and ICMPv6 errors about packets that the switch could not forward: when one may be sent, how often, and which.

RFC 4443 §2.4 and RFC 1122 §3.2.2, RFC 1812 §4.3.2.7: no error about an error, about what went to many or came from
nobody in particular, or about a later fragment; and no more than a rate, so that nobody can make the router shout.
"""

from enum import StrEnum
from ipaddress import IPv4Address, IPv6Address

from p4pmip.wire import icmpv4, icmpv6
from p4pmip.wire.ethernet import Ethernet, EtherType
from p4pmip.wire.fault import Fault
from p4pmip.wire.icmpv4 import Icmpv4Type
from p4pmip.wire.ip import IPProtocol, IPv4Packet, IPv6Packet, decode_ip, upper_layer

_IPV6_MINIMUM_MTU = 1280
_REDIRECT_IPV4 = 5
_REDIRECT_IPV6 = 137
_ICMPV4_ERRORS = frozenset(
    (
        Icmpv4Type.DESTINATION_UNREACHABLE,
        4,  # source quench
        _REDIRECT_IPV4,
        Icmpv4Type.TIME_EXCEEDED,
        Icmpv4Type.PARAMETER_PROBLEM,
    )
)


class Cause(StrEnum):
    """What is wrong with the packet."""

    TOO_BIG = "too_big"
    HOP_LIMIT = "hop_limit"


class Unanswered(StrEnum):
    """Why no error is sent."""

    MALFORMED = "error_malformed"
    ABOUT_ERROR = "error_about_error"
    SOURCE = "error_source"
    """The packet's source is no single node."""
    GROUP = "error_group"
    """The packet was for many."""
    LATER_FRAGMENT = "error_later_fragment"
    NO_ADDRESS = "error_no_address"
    """The router has no address of the packet's family to speak from."""
    RATE = "error_rate"


class TokenBucket:
    """At most `burst` at once and `rate` a second (RFC 4443 §2.4 (f))."""

    __slots__ = ("_at", "_burst", "_rate", "_tokens")

    def __init__(self, rate: float, burst: float) -> None:
        self._rate = rate
        self._burst = burst
        self._tokens = burst
        self._at: float | None = None

    def take(self, now: float) -> bool:
        """Whether one more may go at `now` (seconds, monotonic)."""
        if self._at is not None:
            self._tokens = min(self._burst, self._tokens + (now - self._at) * self._rate)
        self._at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


def error_packet(
    cause: Cause,
    octets: bytes,
    mtu: int,
    ipv4_source: IPv4Address | None,
    ipv6_source: IPv6Address | None,
    to_group: bool = False,
) -> bytes | Unanswered:
    """The IP packet that tells the sender of `octets`, an IP packet, why it was not forwarded; or why none is sent.

    Args:
        cause: What is wrong.
        octets: The invoking packet.
        mtu: What would fit, for `Cause.TOO_BIG`.
        ipv4_source: The router's own address that the error comes from.
        ipv6_source: The same for IPv6.
        to_group: The packet came in a broadcast or multicast frame.
    """
    packet = decode_ip(octets)
    match packet:
        case Fault():
            return Unanswered.MALFORMED
        case IPv4Packet():
            return _ipv4_error(cause, packet, octets, mtu, ipv4_source, to_group)
        case IPv6Packet():
            return _ipv6_error(cause, packet, octets, mtu, ipv6_source, to_group)


def error_frame(frame: Ethernet, packet: bytes, mac: bytes) -> bytes:
    """The error as a frame back to where the invoking one came from."""
    kind = EtherType.IPV4 if packet[0] >> 4 == 4 else EtherType.IPV6
    return Ethernet(frame.source, mac, kind, packet).encode()


def _ipv4_error(
    cause: Cause, packet: IPv4Packet, octets: bytes, mtu: int, source: IPv4Address | None, to_group: bool
) -> bytes | Unanswered:
    if packet.fragment_offset:
        return Unanswered.LATER_FRAGMENT
    if packet.protocol == IPProtocol.ICMP and packet.payload[:1] and packet.payload[0] in _ICMPV4_ERRORS:
        return Unanswered.ABOUT_ERROR
    if to_group or packet.destination.is_multicast or packet.destination == IPv4Address("255.255.255.255"):
        return Unanswered.GROUP
    if packet.source.is_unspecified or packet.source.is_multicast or packet.source.is_loopback:
        return Unanswered.SOURCE
    if packet.source.is_reserved:
        return Unanswered.SOURCE
    if source is None:
        return Unanswered.NO_ADDRESS
    message = icmpv4.fragmentation_needed(mtu, octets) if cause is Cause.TOO_BIG else icmpv4.time_exceeded(octets)
    # RFC 1812 §4.3.2.5: the precedence of routing control.
    return IPv4Packet(source, packet.source, IPProtocol.ICMP, icmpv4.encode(message), tos=0xC0).encode()


def _ipv6_error(
    cause: Cause, packet: IPv6Packet, octets: bytes, mtu: int, source: IPv6Address | None, to_group: bool
) -> bytes | Unanswered:
    upper = upper_layer(packet)
    if not isinstance(upper, Fault) and upper.protocol == IPProtocol.ICMPV6:
        kind = upper.payload[0] if upper.payload else 0
        if kind < 128 or kind == _REDIRECT_IPV6:
            return Unanswered.ABOUT_ERROR
    # RFC 4443 §2.4 (e.3): Packet Too Big is the exception, for path MTU discovery of multicast.
    if (to_group or packet.destination.is_multicast) and cause is not Cause.TOO_BIG:
        return Unanswered.GROUP
    if packet.source.is_unspecified or packet.source.is_multicast or packet.source.is_loopback:
        return Unanswered.SOURCE
    if source is None:
        return Unanswered.NO_ADDRESS
    if cause is Cause.TOO_BIG:
        message = icmpv6.packet_too_big(max(mtu, _IPV6_MINIMUM_MTU), octets)
    else:
        message = icmpv6.time_exceeded(octets)
    encoded = icmpv6.encode(message, source, packet.source)
    return IPv6Packet(source, packet.source, IPProtocol.ICMPV6, encoded).encode()
