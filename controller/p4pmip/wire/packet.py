"""A whole packet or frame, taken apart as far as signalling and tunnels go.

`decode_frame`, `decode_packet` and `decode_bare` never raise. Packets that are neither signalling nor tunnel come out
with transport `OTHER`, so that a reader can leave them out.
"""

import struct
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum

from p4pmip.wire import mobility_header
from p4pmip.wire.capture import Frame, LinkType
from p4pmip.wire.checksum import IPAddress, internet_checksum
from p4pmip.wire.ethernet import Ethernet, EtherType
from p4pmip.wire.fault import Fault, Reason
from p4pmip.wire.gre import Gre, GreFlag, TlvHeader
from p4pmip.wire.ip import IPProtocol, IPv4Packet, IPv6Packet, Upper, decode_ip, upper_layer
from p4pmip.wire.mobility_header import Checksum, Decoded
from p4pmip.wire.numbers import DATA_PORT, DEFAULT_CODEPOINTS, SIGNALLING_PORT, Codepoints
from p4pmip.wire.udp import Udp


class Transport(StrEnum):
    """How a message or an inner packet travelled."""

    MH = "mh"
    """A Mobility Header over IPv6."""
    UDP = "udp"
    """Port 5436 (signalling) or 5437 (data)."""
    GRE = "gre"
    IP = "ip"
    """IP in IP; also a packet whose IP header itself is no good."""
    BARE = "bare"
    """A Mobility Header without anything before it."""
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class LayerFault:
    """A fault with the layer it was found in, whose first octet its offset counts from."""

    layer: str
    """`frame`, `ip`, `udp`, `tlv`, `gre`, `mh` or `inner`."""
    offset: int
    reason: str


@dataclass(frozen=True, slots=True)
class GreHeader:
    """A GRE header as it came, good or bad."""

    flags: int
    """The first 16 bits, version included."""
    protocol: int
    key: int | None
    sequence: int | None
    checksum: Checksum | None
    """None: there is none."""


@dataclass(frozen=True, slots=True)
class Packet:
    """What was found in a packet."""

    transport: Transport
    source: IPAddress | None = None
    destination: IPAddress | None = None
    checksum: Checksum = Checksum.UNCHECKED
    """Of the Mobility Header, or of GRE."""
    signalling: Decoded | None = None
    gre: GreHeader | None = None
    inner: IPv4Packet | IPv6Packet | None = None
    protocol: int | None = None
    """What the IP header says it carries, extension headers skipped."""
    faults: tuple[LayerFault, ...] = ()

    @property
    def tunnel(self) -> bool:
        """Whether it carries, or should carry, an inner packet."""
        layers = {fault.layer for fault in self.faults}
        return self.gre is not None or self.inner is not None or not layers.isdisjoint(("inner", "gre", "tlv"))


def decode_bare(octets: bytes, codepoints: Codepoints = DEFAULT_CODEPOINTS) -> Packet:
    """A Mobility Header without the IP header it needs for its checksum."""
    decoded = mobility_header.decode(octets, codepoints=codepoints)
    return Packet(Transport.BARE, signalling=decoded, faults=_in_layer("mh", decoded.faults))


def decode_frame(frame: Frame, codepoints: Codepoints = DEFAULT_CODEPOINTS) -> Packet:
    """A captured frame of any link layer that is known here."""
    octets = _network_layer(frame)
    if isinstance(octets, Fault):
        return Packet(Transport.OTHER, faults=_in_layer("frame", (octets,)))
    return Packet(Transport.OTHER) if octets is None else decode_packet(octets, codepoints)


def decode_packet(octets: bytes, codepoints: Codepoints = DEFAULT_CODEPOINTS) -> Packet:
    """An IP packet."""
    ip = decode_ip(octets)
    if isinstance(ip, Fault):
        return Packet(Transport.IP, faults=_in_layer("ip", (ip,)))
    upper = upper_layer(ip)
    if isinstance(upper, Fault):
        return Packet(Transport.IP, ip.source, ip.destination, faults=_in_layer("ip", (upper,)))
    found = _decode_upper(upper, codepoints)
    return replace(found, source=ip.source, destination=ip.destination, protocol=upper.protocol)


def _decode_upper(upper: Upper, codepoints: Codepoints) -> Packet:
    match upper.protocol:
        case IPProtocol.MOBILITY_HEADER:
            decoded = mobility_header.decode(upper.payload, upper.source, upper.destination, codepoints)
            return _signalling(Transport.MH, decoded)
        case IPProtocol.UDP:
            return _udp(upper, codepoints)
        case IPProtocol.GRE:
            return _gre(Transport.GRE, upper.payload)
        case IPProtocol.IPV4 | IPProtocol.IPV6:
            return _inner(Packet(Transport.IP), upper.payload)
        case _:
            return Packet(Transport.OTHER)


def _signalling(transport: Transport, decoded: Decoded) -> Packet:
    return Packet(transport, checksum=decoded.checksum, signalling=decoded, faults=_in_layer("mh", decoded.faults))


def _udp(upper: Upper, codepoints: Codepoints) -> Packet:
    udp = Udp.decode(upper.payload)
    if isinstance(udp, Fault):
        return Packet(Transport.UDP, faults=_in_layer("udp", (udp,)))
    ports = (udp.source_port, udp.destination_port)
    if SIGNALLING_PORT in ports:
        found = _signalling(Transport.UDP, mobility_header.decode(udp.payload, codepoints=codepoints))
    elif DATA_PORT in ports:
        found = _udp_data(udp.payload)
    else:
        return Packet(Transport.OTHER)
    # A bad checksum is said, and the datagram decoded all the same: captures of the sending host hold many.
    verified = Udp.decode(upper.payload, upper.source, upper.destination)
    return _with_fault(found, "udp", verified) if isinstance(verified, Fault) else found


def _udp_data(octets: bytes) -> Packet:
    """UDP port 5437: an IP packet, or a TLV header and what it names (RFC 5845 §7.2)."""
    if octets and octets[0] >> 4 in (4, 6):
        return _inner(Packet(Transport.UDP), octets)
    tlv = TlvHeader.decode(octets)
    if isinstance(tlv, Fault):
        return Packet(Transport.UDP, faults=_in_layer("tlv", (tlv,)))
    match tlv.next_header:
        case IPProtocol.GRE:
            return _gre(Transport.UDP, tlv.payload)
        case IPProtocol.IPV4 | IPProtocol.IPV6:
            return _inner(Packet(Transport.UDP), tlv.payload)
        case _:
            return Packet(Transport.UDP, faults=_in_layer("tlv", (Fault(1, Reason.UNKNOWN_PROTOCOL),)))


def _gre(transport: Transport, octets: bytes) -> Packet:
    gre = Gre.decode(octets)
    header = _gre_header(octets, gre)
    found = Packet(transport, checksum=(header and header.checksum) or Checksum.UNCHECKED, gre=header)
    if isinstance(gre, Fault):
        return _with_fault(found, "gre", gre)
    if gre.protocol not in (EtherType.IPV4, EtherType.IPV6):
        return _with_fault(found, "gre", Fault(2, Reason.UNKNOWN_PROTOCOL))
    return _inner(found, gre.payload)


def _gre_header(octets: bytes, gre: Gre | Fault) -> GreHeader | None:
    """The header's fields even where the packet is to be discarded; None if there are not even flags."""
    if len(octets) < 4:
        return None
    flags, protocol = struct.unpack_from(">HH", octets)
    if isinstance(gre, Gre):
        return GreHeader(flags, protocol, gre.key, gre.sequence, Checksum.OK if gre.checksum else None)
    has_checksum = bool(flags & GreFlag.C) and len(octets) >= 8
    checksum = (Checksum.BAD if internet_checksum(octets) else Checksum.OK) if has_checksum else None
    return GreHeader(flags, protocol, None, None, checksum)


def _inner(found: Packet, octets: bytes) -> Packet:
    inner = decode_ip(octets)
    return _with_fault(found, "inner", inner) if isinstance(inner, Fault) else replace(found, inner=inner)


def _with_fault(found: Packet, layer: str, fault: Fault) -> Packet:
    return replace(found, faults=(*found.faults, LayerFault(layer, fault.offset, fault.reason)))


def _in_layer(layer: str, faults: Iterable[Fault]) -> tuple[LayerFault, ...]:
    return tuple(LayerFault(layer, fault.offset, fault.reason) for fault in faults)


# --- link layers -----------------------------------------------------------------------------------------------------

_LINK_HEADERS = {
    LinkType.NULL: 4,
    LinkType.LOOP: 4,
    LinkType.LINUX_SLL: 16,
    LinkType.LINUX_SLL2: 20,
    LinkType.RAW: 0,
    LinkType.RAW_BSD: 0,
    LinkType.RAW_OPENBSD: 0,
    LinkType.IPV4: 0,
    LinkType.IPV6: 0,
}
"""Octets before the IP packet, where the IP version itself says which IP it is."""
_ETHER_TYPE_AT = {LinkType.LINUX_SLL: 14, LinkType.LINUX_SLL2: 0}


def _network_layer(frame: Frame) -> bytes | Fault | None:
    """The IP packet in a frame; None if it holds something else."""
    if frame.link_type == LinkType.ETHERNET:
        ethernet = Ethernet.decode(frame.octets)
        if isinstance(ethernet, Fault):
            return ethernet
        return ethernet.payload if ethernet.ether_type in (EtherType.IPV4, EtherType.IPV6) else None
    size = next((size for link_type, size in _LINK_HEADERS.items() if link_type == frame.link_type), None)
    if size is None:
        return Fault(0, Reason.UNKNOWN_FORMAT)
    if len(frame.octets) < size:
        return Fault(len(frame.octets), Reason.TRUNCATED)
    at = next((at for link_type, at in _ETHER_TYPE_AT.items() if link_type == frame.link_type), None)
    if at is not None and int.from_bytes(frame.octets[at : at + 2], "big") not in (EtherType.IPV4, EtherType.IPV6):
        return None
    return frame.octets[size:]
