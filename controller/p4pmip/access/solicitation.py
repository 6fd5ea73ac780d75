"""Which ARP requests and Neighbor Solicitations of a mobile node a MAG answers: pure decisions.

Over IPv4 the MAG stands in for the whole home subnet (RFC 5844 §3.4), over IPv6 the prefix is the node's alone and only
the router is anybody else. Never answered is a question about the asker's own address: it is how the node finds out
whether it may use it (RFC 5227, RFC 4862 §5.4).
"""

from enum import StrEnum

from p4pmip.access.frame import arp_reply, neighbor_advertisement
from p4pmip.access.served import AccessSettings, Service
from p4pmip.wire import icmpv6
from p4pmip.wire.arp import Arp, ArpOperation
from p4pmip.wire.ethernet import Ethernet
from p4pmip.wire.fault import Fault, Reason
from p4pmip.wire.icmpv6 import (
    NEIGHBOR_DISCOVERY_HOP_LIMIT,
    NeighborAdvertisement,
    NeighborSolicitation,
    RouterSolicitation,
)
from p4pmip.wire.ip import IPProtocol, IPv6Packet, upper_layer
from p4pmip.wire.neighbor_option import SourceLinkLayerAddress

NeighborMessage = RouterSolicitation | NeighborSolicitation | NeighborAdvertisement


class Unsolicited(StrEnum):
    """Why a question is not answered."""

    NO_HOME_ADDRESS = "arp_no_home_address"
    """The session has none."""
    ARP_REPLY = "arp_reply_received"
    ARP_OTHER_MAC = "arp_other_mac"
    """The sender in the packet is not the sender of the frame."""
    ARP_OWN_ADDRESS = "arp_own_address"
    """A probe or announcement of the node's own address."""
    ARP_SPOOFED = "arp_spoofed"
    """From an address that is not the node's."""
    ARP_OFF_SUBNET = "arp_off_subnet"
    ND_OTHER_ADDRESS = "nd_other_address"
    """About any address but the router's."""
    ND_SPOOFED = "nd_spoofed"


def arp(packet: Arp, frame: Ethernet, service: Service, settings: AccessSettings) -> bytes | Unsolicited:
    """The reply to an ARP packet, or why there is none."""
    if packet.sender_mac != frame.source:
        return Unsolicited.ARP_OTHER_MAC
    if packet.operation != ArpOperation.REQUEST:
        return Unsolicited.ARP_REPLY
    if service.binding.ipv4 is None:
        return Unsolicited.NO_HOME_ADDRESS
    if packet.target_ip == packet.sender_ip or service.owns(packet.target_ip):
        return Unsolicited.ARP_OWN_ADDRESS
    if not packet.sender_ip.is_unspecified and not service.owns(packet.sender_ip):
        return Unsolicited.ARP_SPOOFED
    if packet.target_ip not in service.binding.ipv4.network and packet.target_ip != service.binding.ipv4_router:
        return Unsolicited.ARP_OFF_SUBNET
    return arp_reply(packet, settings.router_mac)


def neighbor(
    packet: IPv6Packet, message: NeighborSolicitation, frame: Ethernet, service: Service, settings: AccessSettings
) -> bytes | Unsolicited:
    """The answer to a Neighbor Solicitation, or why there is none."""
    if message.target != service.link_local:
        return Unsolicited.ND_OTHER_ADDRESS
    own = packet.source.is_unspecified or packet.source.is_link_local or service.owns(packet.source)
    if not own or packet.source == service.link_local:
        return Unsolicited.ND_SPOOFED
    return neighbor_advertisement(settings.router_mac, message.target, service.link_local, frame.source, packet.source)


def decode(frame: Ethernet) -> tuple[IPv6Packet, NeighborMessage] | Fault:
    """A Neighbor Discovery message that passes the checks of RFC 4861 §6.1.1, §7.1.1 and §7.1.2."""
    packet = IPv6Packet.decode(frame.payload)
    if isinstance(packet, Fault):
        return packet
    upper = upper_layer(packet)
    if isinstance(upper, Fault):
        return upper
    if upper.protocol != IPProtocol.ICMPV6:
        return Fault(6, Reason.UNKNOWN_PROTOCOL)
    if packet.hop_limit != NEIGHBOR_DISCOVERY_HOP_LIMIT or packet.source.is_multicast:
        return Fault(7, Reason.BAD_VALUE)
    message = icmpv6.decode(upper.payload, packet.source, packet.destination)
    if isinstance(message, Fault):
        return message
    if not isinstance(message, RouterSolicitation | NeighborSolicitation | NeighborAdvertisement) or upper.payload[1]:
        return Fault(upper.offset, Reason.BAD_VALUE)
    if not isinstance(message, RouterSolicitation) and message.target.is_multicast:
        return Fault(upper.offset + 8, Reason.BAD_VALUE)
    if packet.source.is_unspecified and (
        isinstance(message, NeighborAdvertisement)
        or any(isinstance(option, SourceLinkLayerAddress) for option in message.options)
    ):
        return Fault(8, Reason.BAD_VALUE)
    return packet, message
