"""Whole frames of the small packets that a router says on a link, and the reasons for which a switch hands one up."""

from enum import StrEnum
from ipaddress import IPv4Address, IPv6Address

from p4pmip.wire import icmpv4, icmpv6
from p4pmip.wire.arp import Arp, ArpOperation
from p4pmip.wire.echo import EchoRequest
from p4pmip.wire.ethernet import BROADCAST, Ethernet, EtherType
from p4pmip.wire.icmpv6 import NEIGHBOR_DISCOVERY_HOP_LIMIT, Icmpv6Message, NeighborAdvertisement, NeighborSolicitation
from p4pmip.wire.ip import IPProtocol, IPv4Packet, IPv6Packet
from p4pmip.wire.neighbor_option import SourceLinkLayerAddress, TargetLinkLayerAddress

ALL_NODES = IPv6Address("ff02::1")
UNSPECIFIED_IPV4 = IPv4Address(0)
UNSPECIFIED_IPV6 = IPv6Address(0)


class Punt(StrEnum):
    """Why the switch handed up a frame: the names that the P4 program gives them, those that matter here."""

    ARP = "ARP"
    NEIGHBOR_DISCOVERY = "NEIGHBOR_DISCOVERY"
    ROUTER_SOLICITATION = "ROUTER_SOLICITATION"
    DHCP = "DHCP"
    ICMP = "ICMP"
    HOP_LIMIT = "HOP_LIMIT"
    TOO_BIG = "TOO_BIG"
    UNKNOWN_SOURCE = "UNKNOWN_SOURCE"
    UNRESOLVED = "UNRESOLVED"
    LISTENER_REPORT = "LISTENER_REPORT"


def solicited_node(address: IPv6Address) -> IPv6Address:
    """The solicited-node multicast address (RFC 4291 §2.7.1)."""
    return IPv6Address(int(IPv6Address("ff02::1:ff00:0")) | int(address) & 0xFFFFFF)


def link_local(mac: bytes) -> IPv6Address:
    """The link-local address of an interface with the modified EUI-64 of its MAC address (RFC 4291 appendix A)."""
    identifier = bytes((mac[0] ^ 2,)) + mac[1:3] + b"\xff\xfe" + mac[3:]
    return IPv6Address(b"\xfe\x80" + bytes(6) + identifier)


def arp_reply(request: Arp, mac: bytes) -> bytes:
    """The answer to an ARP request: the address asked for is at `mac`."""
    reply = Arp(ArpOperation.REPLY, mac, request.target_ip, request.sender_mac, request.sender_ip)
    return Ethernet(request.sender_mac, mac, EtherType.ARP, reply.encode()).encode()


def arp_request(mac: bytes, source: IPv4Address, target: IPv4Address, destination: bytes = BROADCAST) -> bytes:
    """An ARP request, unicast where the target's MAC address is to be confirmed (RFC 1122 §2.3.2.1)."""
    request = Arp(ArpOperation.REQUEST, mac, source, bytes(6), target)
    return Ethernet(destination, mac, EtherType.ARP, request.encode()).encode()


def neighbor_frame(
    message: Icmpv6Message, mac: bytes, source: IPv6Address, destination_mac: bytes, destination: IPv6Address
) -> bytes:
    """A frame with a Neighbor Discovery message, hop limit 255."""
    octets = icmpv6.encode(message, source, destination)
    packet = IPv6Packet(source, destination, IPProtocol.ICMPV6, octets, NEIGHBOR_DISCOVERY_HOP_LIMIT)
    return Ethernet(destination_mac, mac, EtherType.IPV6, packet.encode()).encode()


def neighbor_solicitation(
    mac: bytes, source: IPv6Address, target: IPv6Address, destination_mac: bytes, destination: IPv6Address
) -> bytes:
    """A Neighbor Solicitation that says where it comes from (RFC 4861 §7.2.2)."""
    message = NeighborSolicitation(target, (SourceLinkLayerAddress(mac),))
    return neighbor_frame(message, mac, source, destination_mac, destination)


def neighbor_advertisement(
    mac: bytes, target: IPv6Address, source: IPv6Address, destination_mac: bytes, asker: IPv6Address
) -> bytes:
    """A router's answer to a Neighbor Solicitation; to one without source address it goes to all nodes (§7.2.4)."""
    solicited = asker != UNSPECIFIED_IPV6
    message = NeighborAdvertisement(target, True, solicited, True, (TargetLinkLayerAddress(mac),))
    return neighbor_frame(message, mac, source, destination_mac, asker if solicited else ALL_NODES)


def echo_reply(frame: Ethernet, packet: IPv4Packet | IPv6Packet, mac: bytes) -> bytes | None:
    """The frame that answers an ICMP or ICMPv6 Echo Request; None: it is none, or a broken one."""
    if isinstance(packet, IPv4Packet):
        if packet.protocol != IPProtocol.ICMP or packet.more_fragments or packet.fragment_offset:
            return None
        request = icmpv4.decode(packet.payload)
        if not isinstance(request, EchoRequest):
            return None
        octets = icmpv4.encode(request.reply)
        answer = IPv4Packet(packet.destination, packet.source, IPProtocol.ICMP, octets, tos=packet.tos)
        return Ethernet(frame.source, mac, EtherType.IPV4, answer.encode()).encode()
    if packet.next_header != IPProtocol.ICMPV6:
        return None
    request6 = icmpv6.decode(packet.payload, packet.source, packet.destination)
    if not isinstance(request6, EchoRequest):
        return None
    octets = icmpv6.encode(request6.reply, packet.destination, packet.source)
    answer6 = IPv6Packet(packet.destination, packet.source, IPProtocol.ICMPV6, octets)
    return Ethernet(frame.source, mac, EtherType.IPV6, answer6.encode()).encode()
