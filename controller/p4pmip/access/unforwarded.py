"""What becomes of a packet that the switch could not forward: fragments of it, an error to its sender, or nothing."""

from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv6Address

from p4pmip.access.fragment import fragments
from p4pmip.access.icmp_error import Cause, Unanswered, error_packet
from p4pmip.wire.ethernet import Ethernet
from p4pmip.wire.fault import Fault
from p4pmip.wire.ip import IPv4Packet, decode_ip


@dataclass(frozen=True, slots=True)
class Fragments:
    """The packet in pieces that fit, each in a frame like its own."""

    frames: tuple[bytes, ...]


def unforwarded(
    cause: Cause, frame: Ethernet, mtu: int, ipv4_source: IPv4Address | None, ipv6_source: IPv6Address | None
) -> Fragments | bytes | Unanswered:
    """The fragments, or the IP packet with the error from the router's address, or why there is none."""
    packet = decode_ip(frame.payload)
    if isinstance(packet, Fault):
        return Unanswered.MALFORMED
    if cause is Cause.TOO_BIG and isinstance(packet, IPv4Packet):
        # The switch does not count the hop of a packet that it hands up, nor of one that is put into a session.
        pieces = fragments(replace(packet, ttl=max(1, packet.ttl - 1)), mtu)
        if pieces:
            return Fragments(tuple(replace(frame, payload=piece.encode()).encode() for piece in pieces))
    octets = packet.encode()  # without the padding of a short frame
    return error_packet(cause, octets, mtu, ipv4_source, ipv6_source, bool(frame.destination[0] & 1))
