"""The DHCPv4 server of a MAG: it hands out what the LMA assigned (RFC 2131, RFC 5844 §3.4.1).

The server identifier is the home subnet's default router, the same on every MAG, so that a node that moved renews its
lease without noticing.
"""

from dataclasses import replace
from enum import StrEnum
from ipaddress import IPv4Address

from p4pmip.access.served import AccessSettings, Service
from p4pmip.wire.dhcpv4 import BROADCAST_FLAG, CLIENT_PORT, SERVER_PORT, Dhcp, DhcpMessageType, DhcpOp, DhcpOption
from p4pmip.wire.ethernet import Ethernet, EtherType
from p4pmip.wire.fault import Fault
from p4pmip.wire.ip import IPProtocol, IPv4Packet
from p4pmip.wire.udp import Udp

_UNSPECIFIED = IPv4Address(0)
_LIMITED_BROADCAST = IPv4Address("255.255.255.255")


class DhcpOutcome(StrEnum):
    """What becomes of a message that is not answered."""

    NOT_A_REQUEST = "dhcp_not_a_request"
    RELAYED = "dhcp_relayed"
    """It came through a relay agent: nothing on an access link is one."""
    OTHER_HARDWARE_ADDRESS = "dhcp_other_hardware_address"
    """`chaddr` is not the frame's source: somebody asks for somebody else."""
    NO_HOME_ADDRESS = "dhcp_no_home_address"
    """The session has no IPv4 home address, or the LMA does not want a server here."""
    OTHER_SERVER = "dhcp_other_server"
    """The client has chosen another server (RFC 2131 §4.3.2)."""
    EXPIRED = "dhcp_expired"
    """The binding is at its end: there is no time to lease."""
    DECLINED = "dhcp_declined"
    RELEASED = "dhcp_released"
    UNKNOWN_TYPE = "dhcp_unknown_type"


def decode_request(frame: Ethernet) -> tuple[str, tuple[IPv4Address, Dhcp] | Fault]:
    """A client's message with the address it came from, or what is wrong with it, and with which of its layers."""
    packet = IPv4Packet.decode(frame.payload)
    if isinstance(packet, Fault):
        return "dhcp_ip", packet
    datagram = Udp.decode(packet.payload, packet.source, packet.destination)
    if isinstance(datagram, Fault):
        return "dhcp_udp", datagram
    request = Dhcp.decode(datagram.payload)
    return "dhcp", request if isinstance(request, Fault) else (packet.source, request)


def answer(
    request: Dhcp, source_mac: bytes, service: Service, settings: AccessSettings, now: float
) -> Dhcp | DhcpOutcome:
    """The reply to a client's message, or why there is none."""
    if request.op != DhcpOp.REQUEST:
        return DhcpOutcome.NOT_A_REQUEST
    if request.relay_address != _UNSPECIFIED:
        return DhcpOutcome.RELAYED
    if request.client_mac != source_mac:
        return DhcpOutcome.OTHER_HARDWARE_ADDRESS
    home, router = service.binding.ipv4, service.binding.ipv4_router
    if home is None or router is None or not service.dhcp_server:
        return DhcpOutcome.NO_HOME_ADDRESS
    server = request.option(DhcpOption.SERVER_IDENTIFIER)
    if server is not None and server != router.packed:
        return DhcpOutcome.OTHER_SERVER
    lease = int(min(settings.longest_lease, service.left(now)))
    match request.message_type:
        case DhcpMessageType.DECLINE:
            return DhcpOutcome.DECLINED
        case DhcpMessageType.RELEASE:
            return DhcpOutcome.RELEASED
        case DhcpMessageType.INFORM:
            return _reply(request, DhcpMessageType.ACK, _UNSPECIFIED, router, _configuration(service, None))
        case DhcpMessageType.DISCOVER | DhcpMessageType.REQUEST if lease < 1:
            return DhcpOutcome.EXPIRED
        case DhcpMessageType.DISCOVER:
            return _reply(request, DhcpMessageType.OFFER, home.ip, router, _configuration(service, lease))
        case DhcpMessageType.REQUEST if _asks_for(request) == home.ip:
            return _reply(request, DhcpMessageType.ACK, home.ip, router, _configuration(service, lease))
        case DhcpMessageType.REQUEST:
            return _refusal(request, router)
        case _:
            return DhcpOutcome.UNKNOWN_TYPE


def reply_frame(reply: Dhcp, router: IPv4Address, mac: bytes) -> bytes:
    """The reply as a frame to the client's own MAC address, whatever its IP destination (RFC 2131 §4.1)."""
    if reply.message_type == DhcpMessageType.NAK:
        destination = _LIMITED_BROADCAST
    elif reply.client_address != _UNSPECIFIED:
        destination = reply.client_address
    elif reply.flags & BROADCAST_FLAG:
        destination = _LIMITED_BROADCAST
    else:
        destination = reply.your_address
    datagram = Udp(SERVER_PORT, CLIENT_PORT, reply.encode()).encode(router, destination)
    packet = IPv4Packet(router, destination, IPProtocol.UDP, datagram, dont_fragment=False)
    return Ethernet(reply.client_mac, mac, EtherType.IPV4, packet.encode()).encode()


def _asks_for(request: Dhcp) -> IPv4Address | None:
    """The address a REQUEST is about: option 50 when selecting or rebooting, else `ciaddr` (RFC 2131 table 5)."""
    requested = request.option(DhcpOption.REQUESTED_ADDRESS)
    if requested is not None:
        return IPv4Address(requested) if len(requested) == 4 else None
    return request.client_address


def _configuration(service: Service, lease: int | None) -> list[tuple[int, bytes]]:
    home, router = service.binding.ipv4, service.binding.ipv4_router
    assert home is not None
    assert router is not None
    options: list[tuple[int, bytes]] = []
    if lease is not None:
        options += [
            (DhcpOption.LEASE_TIME, lease.to_bytes(4, "big")),
            (DhcpOption.RENEWAL_TIME, (lease // 2).to_bytes(4, "big")),
            (DhcpOption.REBINDING_TIME, (lease * 7 // 8).to_bytes(4, "big")),
        ]
    options += [(DhcpOption.SUBNET_MASK, home.netmask.packed), (DhcpOption.ROUTER, router.packed)]
    if service.ipv4_dns:
        options.append((DhcpOption.DOMAIN_NAME_SERVER, b"".join(server.packed for server in service.ipv4_dns)))
    options.append((DhcpOption.INTERFACE_MTU, service.link_mtu.to_bytes(2, "big")))
    return options


def _reply(
    request: Dhcp, kind: DhcpMessageType, address: IPv4Address, router: IPv4Address, options: list[tuple[int, bytes]]
) -> Dhcp:
    leading = [(DhcpOption.MESSAGE_TYPE, bytes((kind,))), (DhcpOption.SERVER_IDENTIFIER, router.packed)]
    client = request.option(DhcpOption.CLIENT_IDENTIFIER)
    if client is not None:  # RFC 6842
        options = [*options, (DhcpOption.CLIENT_IDENTIFIER, client)]
    return replace(
        request,
        op=DhcpOp.REPLY,
        options=(*leading, *options),
        client_address=request.client_address if kind == DhcpMessageType.ACK else _UNSPECIFIED,
        your_address=address,
        server_address=_UNSPECIFIED,
        seconds=0,
        hops=0,
    )


def _refusal(request: Dhcp, router: IPv4Address) -> Dhcp:
    text = b"not your home address"
    return _reply(request, DhcpMessageType.NAK, _UNSPECIFIED, router, [(DhcpOption.MESSAGE, text)])
