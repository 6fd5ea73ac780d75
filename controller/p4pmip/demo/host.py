"""The hosts of the demo: just enough of an IPv4 stack to be a mobile node or a correspondent node.

They speak ARP, DHCPv4, ICMP echo and UDP over a wire of the fabric, answer what they are asked, and keep every
datagram that reached them: the claims of the demo are checked against these.
"""

import asyncio
import itertools
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Address

from p4pmip.wire import icmpv4
from p4pmip.wire.arp import Arp, ArpOperation
from p4pmip.wire.dhcpv4 import Dhcp, DhcpMessageType, DhcpOp, DhcpOption
from p4pmip.wire.echo import EchoReply, EchoRequest
from p4pmip.wire.ethernet import Ethernet, EtherType
from p4pmip.wire.fault import Fault
from p4pmip.wire.ip import IPProtocol, IPv4Packet
from p4pmip.wire.udp import Udp

BROADCAST = b"\xff" * 6
DHCP_SERVER_PORT, DHCP_CLIENT_PORT = 67, 68
DATA_PORT = 40000
RESOLVE_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class Datagram:
    """An IPv4 packet that a host took for its own."""

    source: IPv4Address
    destination: IPv4Address
    protocol: int
    ttl: int
    data: bytes
    """Of ICMP echo and UDP: what the sender put in."""


class Host:
    """A host with one interface."""

    def __init__(self, name: str, mac: bytes, address: IPv4Address | None = None) -> None:
        self.name = name
        self.mac = mac
        self.address = address
        self.router: IPv4Address | None = None
        self.mtu = 1500
        self.received: list[Datagram] = []
        self.neighbours: dict[IPv4Address, bytes] = {}
        self.on_datagram: Callable[[Datagram], None] = lambda _: None
        self.transmit: Callable[[bytes], None] = lambda _: None
        self._identifiers = itertools.count(1)
        self._answers: set[asyncio.Task[None]] = set()
        self._waiting: list[tuple[Callable[[object], bool], asyncio.Future[object]]] = []

    # -- sending -----------------------------------------------------------------------------------

    async def dhcp(self, seconds: float) -> IPv4Address:
        """Get an address as any host does: DISCOVER, OFFER, REQUEST, ACK.

        Raises:
            TimeoutError: No answer within `seconds`.
        """
        offer = await self._dhcp_exchange(DhcpMessageType.DISCOVER, (), DhcpMessageType.OFFER, seconds)
        asked = [(int(DhcpOption.REQUESTED_ADDRESS), offer.your_address.packed)]
        server = offer.option(DhcpOption.SERVER_IDENTIFIER)
        if server is not None:
            asked.append((int(DhcpOption.SERVER_IDENTIFIER), server))
        acknowledged = await self._dhcp_exchange(DhcpMessageType.REQUEST, tuple(asked), DhcpMessageType.ACK, seconds)
        self.address = acknowledged.your_address
        router = acknowledged.option(DhcpOption.ROUTER)
        self.router = IPv4Address(router[:4]) if router else None
        mtu = acknowledged.option(DhcpOption.INTERFACE_MTU)
        self.mtu = int.from_bytes(mtu, "big") if mtu else 1500
        return self.address

    async def ping(self, destination: IPv4Address, seconds: float, data: bytes = b"") -> bool:
        """One echo request; whether its reply came within `seconds`."""
        identifier = next(self._identifiers)
        reply = self._expect(lambda seen: isinstance(seen, EchoReply) and seen.identifier == identifier)
        request = icmpv4.encode(EchoRequest(identifier, 1, data))
        try:
            async with asyncio.timeout(seconds):
                await self.send_ip(destination, IPProtocol.ICMP, request)
                await reply
        except TimeoutError:
            return False
        return True

    async def send_udp(self, destination: IPv4Address, data: bytes, port: int = DATA_PORT) -> None:
        """One UDP datagram from the port it goes to."""
        assert self.address is not None
        await self.send_ip(destination, IPProtocol.UDP, Udp(port, port, data).encode(self.address, destination))

    async def send_ip(self, destination: IPv4Address, protocol: int, payload: bytes) -> None:
        """One IPv4 packet by way of the router, whose link-layer address is asked for first where unknown.

        Raises:
            TimeoutError: The router did not answer.
        """
        assert self.address is not None
        hop = self.router or destination
        if hop not in self.neighbours:
            async with asyncio.timeout(RESOLVE_SECONDS):
                await self._resolve(hop)
        packet = IPv4Packet(self.address, destination, protocol, payload)
        self.transmit(Ethernet(self.neighbours[hop], self.mac, EtherType.IPV4, packet.encode()).encode())

    async def wait_for(self, wanted: Callable[[Datagram], bool], seconds: float) -> bool:
        """Whether a datagram like this has come, or comes within `seconds`."""
        if any(wanted(datagram) for datagram in self.received):
            return True
        coming = self._expect(lambda seen: isinstance(seen, Datagram) and wanted(seen))
        try:
            async with asyncio.timeout(seconds):
                await coming
        except TimeoutError:
            return False
        return True

    # -- receiving ---------------------------------------------------------------------------------

    def receive(self, frame: bytes) -> None:
        """A frame from the wire."""
        ethernet = Ethernet.decode(frame)
        if isinstance(ethernet, Fault) or (ethernet.destination != self.mac and not ethernet.destination[0] & 1):
            return
        if ethernet.ether_type == EtherType.ARP:
            self._receive_arp(ethernet)
        elif ethernet.ether_type == EtherType.IPV4:
            packet = IPv4Packet.decode(ethernet.payload)
            if not isinstance(packet, Fault):
                self._receive_ip(packet)

    def _receive_arp(self, ethernet: Ethernet) -> None:
        arp = Arp.decode(ethernet.payload)
        if isinstance(arp, Fault):
            return
        self.neighbours[arp.sender_ip] = arp.sender_mac
        self._seen(arp)
        if arp.operation == ArpOperation.REQUEST and arp.target_ip == self.address:
            reply = Arp(ArpOperation.REPLY, self.mac, arp.target_ip, arp.sender_mac, arp.sender_ip)
            self.transmit(Ethernet(arp.sender_mac, self.mac, EtherType.ARP, reply.encode()).encode())

    def _receive_ip(self, packet: IPv4Packet) -> None:
        if packet.protocol == IPProtocol.UDP:
            udp = Udp.decode(packet.payload, packet.source, packet.destination)
            if isinstance(udp, Fault):
                return
            if udp.destination_port == DHCP_CLIENT_PORT:
                self._seen(Dhcp.decode(udp.payload))
            elif packet.destination == self.address:
                self._keep(packet, udp.payload)
        elif packet.protocol == IPProtocol.ICMP and packet.destination == self.address:
            message = icmpv4.decode(packet.payload)
            if isinstance(message, EchoRequest | EchoReply):
                self._keep(packet, message.data)
                self._seen(message)
            if isinstance(message, EchoRequest):
                self._answer(packet, message)

    def _answer(self, packet: IPv4Packet, request: EchoRequest) -> None:
        payload = icmpv4.encode(EchoReply(request.identifier, request.sequence, request.data))
        answer = asyncio.get_running_loop().create_task(self.send_ip(packet.source, IPProtocol.ICMP, payload))
        self._answers.add(answer)
        answer.add_done_callback(self._answers.discard)

    def _keep(self, packet: IPv4Packet, data: bytes) -> None:
        datagram = Datagram(packet.source, packet.destination, packet.protocol, packet.ttl, data)
        self.received.append(datagram)
        self.on_datagram(datagram)
        self._seen(datagram)

    # -- waiting -----------------------------------------------------------------------------------

    async def _resolve(self, hop: IPv4Address) -> None:
        assert self.address is not None
        answer = self._expect(lambda seen: isinstance(seen, Arp) and seen.sender_ip == hop)
        request = Arp(ArpOperation.REQUEST, self.mac, self.address, bytes(6), hop)
        self.transmit(Ethernet(BROADCAST, self.mac, EtherType.ARP, request.encode()).encode())
        await answer

    async def _dhcp_exchange(
        self, kind: int, more: tuple[tuple[int, bytes], ...], expected: int, seconds: float
    ) -> Dhcp:
        transaction = int.from_bytes(self.mac[2:], "big") + next(self._identifiers) & 0xFFFFFFFF
        message = Dhcp(
            DhcpOp.REQUEST,
            transaction,
            self.mac,
            ((int(DhcpOption.MESSAGE_TYPE), bytes([kind])), *more),
        )
        answer = self._expect(
            lambda seen: isinstance(seen, Dhcp) and seen.transaction_id == transaction and seen.message_type == expected
        )
        none, everyone = IPv4Address(0), IPv4Address("255.255.255.255")
        datagram = Udp(DHCP_CLIENT_PORT, DHCP_SERVER_PORT, message.encode()).encode(none, everyone)
        packet = IPv4Packet(none, everyone, IPProtocol.UDP, datagram)
        self.transmit(Ethernet(BROADCAST, self.mac, EtherType.IPV4, packet.encode()).encode())
        async with asyncio.timeout(seconds):
            seen = await answer
        assert isinstance(seen, Dhcp)
        return seen

    def _expect(self, wanted: Callable[[object], bool]) -> asyncio.Future[object]:
        future: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        self._waiting.append((wanted, future))
        return future

    def _seen(self, thing: object) -> None:
        still = []
        for wanted, future in self._waiting:
            if not future.done() and wanted(thing):
                future.set_result(thing)
            elif not future.done():
                still.append((wanted, future))
        self._waiting = still
