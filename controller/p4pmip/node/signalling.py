"""A node's signalling: its transport as the configuration wants it, and when messages are taken and sent."""

from collections import Counter
from collections.abc import Callable, Coroutine

from p4pmip.mobility import effects as mobility
from p4pmip.mobility.endpoint import Endpoint
from p4pmip.node.engines import signalling_endpoint
from p4pmip.node.inband import InBandTransport
from p4pmip.node.links import Links
from p4pmip.node.schema import NodeSettings
from p4pmip.node.transport import MobilityHeaderTransport, Receiver, Transport, UdpTransport
from p4pmip.p4runtime.writer import Writer
from p4pmip.wire.numbers import SIGNALLING_PORT

NOT_READY, STOPPING = "not_ready", "stopping"
"""Why a message that came was not taken."""


class Signalling:
    """Where the messages of one node come and go.

    Args:
        node: Its configuration.
        links: Its ports, for signalling in-band.
        writer: What its switch is asked with.
        receive: Gets what comes while nothing closes it.
        spawn: Runs a coroutine beside the others of the node.

    Attributes:
        closed: Why nothing is taken: by this name it is counted. Empty: everything is.
    """

    def __init__(
        self,
        node: NodeSettings,
        links: Links,
        writer: Writer,
        receive: Receiver,
        spawn: Callable[[Coroutine[None, None, None]], object],
    ) -> None:
        self._node = node
        self._links = links
        self._writer = writer
        self._receive = receive
        self._spawn = spawn
        self._transport: Transport | None = None
        self._outbox: list[mobility.Send] = []
        self._refused: Counter[str] = Counter()
        self.closed = NOT_READY

    @property
    def counters(self) -> Counter[str]:
        """What the transport could not do, and what was not taken."""
        return self._refused if self._transport is None else self._refused + self._transport.counters

    async def open(self) -> None:
        """Take hold of the address.

        Raises:
            TransportError: It cannot be used on this machine.
        """
        self._transport = await _open_transport(self._node, self._links, self._arrived)

    async def close(self) -> None:
        """Let go of the address."""
        if self._transport is not None:
            await self._transport.close()

    def send(self, effect: mobility.Send) -> None:
        """Send a message."""
        if self._transport is not None:
            self._transport.send(effect.octets, effect.destination)

    def send_behind_switch(self, effect: mobility.Send) -> None:
        """First the switch, then the message: once an LMA has a PBU, packets with its key may come."""
        if not self._outbox and self._writer.flushed:
            self.send(effect)
            return
        self._outbox.append(effect)
        if len(self._outbox) == 1:
            self._spawn(self._empty_outbox())

    async def _empty_outbox(self) -> None:
        await self._writer.flush()
        messages, self._outbox = self._outbox, []
        for effect in messages:
            self.send(effect)

    def parameter_problem(self, effect: mobility.ParameterProblem) -> None:
        """Say where a message is wrong; beside a raw socket, ICMPv6 is the kernel's."""
        if isinstance(self._transport, InBandTransport):
            self._transport.parameter_problem(effect.octets, effect.pointer, effect.source)

    def _arrived(self, octets: bytes, source: Endpoint, destination: Endpoint) -> None:
        if self.closed:
            self._refused[self.closed] += 1
        else:
            self._receive(octets, source, destination)


async def _open_transport(node: NodeSettings, links: Links, receive: Receiver) -> Transport:
    signalling = node.signalling
    if signalling.transport == "in-band":
        transport = InBandTransport(signalling_endpoint(node), receive, links.send)
        links.signalling = transport.arrived
        return transport
    if signalling.transport == "udp":
        assert signalling.address.version == 4
        return await UdpTransport.open(signalling.address, SIGNALLING_PORT, receive)
    assert signalling.address.version == 6
    return MobilityHeaderTransport(signalling.address, receive)
