"""Sockets for signalling: the Mobility Header over IPv6, and in UDP over IPv4.

A transport moves octets between end points and decides nothing. Its receiver gets the octets with the end points they
came from and were sent to.
"""

import asyncio
import logging
import socket
import struct
from collections import Counter
from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Protocol, cast

from p4pmip.errors import P4pmipError
from p4pmip.mobility.endpoint import Endpoint

Receiver = Callable[[bytes, Endpoint, Endpoint], None]
"""(octets, source, destination)."""

MOBILITY_HEADER = 135
_LARGEST = 65535
_AT_ONCE = 64
"""Messages that are taken before others of the event loop have their turn."""
_LOGGER = logging.getLogger(__name__)


class TransportError(P4pmipError):
    """A signalling address cannot be used on this machine."""


class Transport(Protocol):
    """One way for signalling to come and go."""

    @property
    def local(self) -> Endpoint:
        """Our end."""

    @property
    def counters(self) -> Counter[str]:
        """What could not be done, by name."""

    def send(self, octets: bytes, destination: Endpoint) -> None:
        """Send once; a loss is the engine's to repair, as on any network."""

    async def close(self) -> None:
        """Let go of the address, so that it can be taken again; nothing if that has been done."""


class UdpTransport(asyncio.DatagramProtocol):
    """The Mobility Header in UDP over IPv4 (RFC 5844 §4.1.3.1)."""

    def __init__(self, local: Endpoint, receive: Receiver) -> None:
        self.local = local
        self.counters: Counter[str] = Counter()
        self._receive = receive
        self._transport: asyncio.DatagramTransport | None = None
        self._closed = asyncio.Event()

    @classmethod
    async def open(cls, address: IPv4Address, port: int, receive: Receiver) -> "UdpTransport":
        """Bind the address.

        Raises:
            TransportError: It is not this machine's, or taken.
        """
        protocol = cls(Endpoint(address, port), receive)
        bound = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        try:
            bound.bind((str(address), port))  # here, since uvloop does not say why it cannot
        except OSError as error:
            bound.close()
            raise TransportError("signalling.address", f"{address}:{port}", error.strerror or str(error)) from error
        await asyncio.get_running_loop().create_datagram_endpoint(lambda: protocol, sock=bound)
        return protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """asyncio: the socket is there."""
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """asyncio: a datagram came."""
        self._receive(data, Endpoint(ip_address(addr[0]), addr[1]), self.local)

    def error_received(self, exc: Exception) -> None:
        """asyncio: the network refused something that was sent before."""
        self.counters["send_refused"] += 1
        _LOGGER.debug("%s: %s", self.local, exc)

    def send(self, octets: bytes, destination: Endpoint) -> None:
        """Send one datagram."""
        if self._transport is None or self._transport.is_closing():
            self.counters["send_refused"] += 1
            return
        self._transport.sendto(octets, (str(destination.address), destination.port))

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        """asyncio: the socket is closed."""
        self._closed.set()

    async def close(self) -> None:
        """Let go of the address."""
        if self._transport is not None:
            self._transport.close()
            await self._closed.wait()


class MobilityHeaderTransport:
    """The Mobility Header directly over IPv6 (RFC 6275 §6.1): a raw socket, so it needs CAP_NET_RAW.

    Linux fills the checksum on the way out and drops what has a wrong one on the way in.
    """

    def __init__(self, address: IPv6Address, receive: Receiver) -> None:
        self.local = Endpoint(address)
        self.counters: Counter[str] = Counter()
        self._receive = receive
        try:
            self._socket = socket.socket(socket.AF_INET6, socket.SOCK_RAW | socket.SOCK_NONBLOCK, MOBILITY_HEADER)
        except OSError as error:
            raise TransportError(
                "signalling.transport", "mh", f"a raw socket: {error.strerror}; run as root, or use udp or in-band"
            ) from error
        try:
            self._socket.bind((str(address), 0))
            self._socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
        except OSError as error:
            self._socket.close()
            raise TransportError("signalling.address", str(address), error.strerror or str(error)) from error
        asyncio.get_running_loop().add_reader(self._socket, self._readable)

    def _readable(self) -> None:
        for _ in range(_AT_ONCE):
            try:
                octets, ancillary, _, address = self._socket.recvmsg(_LARGEST, socket.CMSG_SPACE(20))
            except BlockingIOError:
                return
            except OSError:
                self.counters["receive_failed"] += 1
                return
            destination = self.local
            for level, kind, data in ancillary:
                if (level, kind) == (socket.IPPROTO_IPV6, socket.IPV6_PKTINFO):
                    destination = Endpoint(IPv6Address(struct.unpack_from("16s", data)[0]))
            self._receive(octets, Endpoint(IPv6Address(address[0].partition("%")[0])), destination)

    def send(self, octets: bytes, destination: Endpoint) -> None:
        """Send one Mobility Header."""
        try:
            self._socket.sendto(octets, (str(destination.address), 0))
        except OSError as error:
            self.counters["send_refused"] += 1
            _LOGGER.debug("%s to %s: %s", self.local, destination, error)

    async def close(self) -> None:
        """Let go of the address; nothing if that has been done."""
        if self._socket.fileno() != -1:
            asyncio.get_running_loop().remove_reader(self._socket)
            self._socket.close()
