"""A node's side of its ports: packets from the switch to whoever answers them, and what those want sent.

The access side of a MAG, the router side of the transport network and of the operators' networks, and in-band
signalling all hang on the same packet stream.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable
from ipaddress import ip_network

from p4pmip.access import effects as access
from p4pmip.access.links import AccessLinks
from p4pmip.access.router import RouterLinks
from p4pmip.access.router_link import RouterLink
from p4pmip.access.served import AccessSettings, Service
from p4pmip.forwarding.program import CPU_PORT
from p4pmip.mobility.binding import Binding, IPAddress
from p4pmip.node.config import Config, NodeSettings, Port
from p4pmip.node.context import link_id, own_mac
from p4pmip.node.timer import Timer
from p4pmip.p4runtime.packetio import PacketIn
from p4pmip.p4runtime.session import Session
from p4pmip.p4runtime.status import TargetError
from p4pmip.wire.ethernet import EtherType

SIGNALLING = "SIGNALLING"
_LOGGER = logging.getLogger(__name__)
_VLAN = EtherType.VLAN.to_bytes(2, "big")

AccessHandler = Callable[[access.Attachment], None]
NeighbourHandler = Callable[[access.NeighbourChanged], None]


def router_links(config: Config, node: NodeSettings) -> tuple[RouterLink, ...]:
    """The links on which a node is a router: its transport and service ports."""
    return tuple(_router_link(config, port) for port in node.ports if port.role != "access")


def _router_link(config: Config, port: Port) -> RouterLink:
    realm = None if port.realm is None else config.realms[port.realm]
    pools = () if realm is None else tuple(pool for pool in (realm.ipv4_pool, realm.prefix_pool) if pool is not None)
    on_link = tuple(ip_network(address) for address in (*port.neighbours, *port.gateway))
    return RouterLink(link_id(port), own_mac(port), port.address, port.realm, pools, on_link)


def access_interfaces(node: NodeSettings) -> dict[str, tuple[int, ...]]:
    """The interfaces of this machine behind access ports, and the links on each."""
    found: dict[str, tuple[int, ...]] = {}
    for port in node.ports:
        if port.role == "access" and port.interface is not None:
            found[port.interface] = (*found.get(port.interface, ()), link_id(port))
    return found


class Links:
    """Everything behind a node's ports."""

    def __init__(
        self,
        config: Config,
        node: NodeSettings,
        settings: AccessSettings,
        on_access: AccessHandler,
        on_neighbour: NeighbourHandler,
        binding_of: Callable[[int], Binding | None],
    ) -> None:
        self.access = AccessLinks(settings)
        self.router = RouterLinks(router_links(config, node), binding_of)
        self.counters: Counter[str] = Counter()
        self._access = {link_id(port) for port in node.ports if port.role == "access"}
        self._places = {link_id(port): (port.number, port.vlan) for port in node.ports}
        self._link_at = {place: link for link, place in self._places.items()}
        self._on_access = on_access
        self._on_neighbour = on_neighbour
        self._transport = next((link_id(port) for port in node.ports if port.role == "transport"), None)
        self.signalling: Callable[[bytes], None] = self._unexpected
        """Takes the frames that the switch hands up as signalling; only a node with in-band signalling expects any."""
        self._timer = Timer(self._timed)
        self._outgoing: asyncio.Queue[tuple[bytes, dict[str, int]]] = asyncio.Queue(4096)

    async def run(self, session: Session) -> None:
        """Send what is to be sent, until cancelled."""
        while True:
            payload, fields = await self._outgoing.get()
            try:
                await session.packet_out(payload, **fields)
            except TargetError as error:
                self.counters["packet_out_lost"] += 1
                _LOGGER.debug("packet-out lost: %s", error)

    def receive(self, packet: PacketIn, now: float) -> None:
        """A packet from the switch."""
        frame, vlan = _untag(packet.payload)
        if packet.reason == SIGNALLING:
            self.signalling(frame)
            return
        if packet.ingress_port == CPU_PORT and self._transport is not None:
            # The node's own packet, which met a next hop that is not known yet.
            self.router.receive(self._transport, frame, packet.reason, now, packet.session_id, packet.aux)
            self.act()
            return
        link = self._link_at.get((packet.ingress_port, vlan))
        if link is None:
            self.counters["unknown_link"] += 1
            return
        side = self.access if link in self._access else self.router
        side.receive(link, frame, packet.reason, now, packet.session_id, packet.aux)
        self.act()

    def _unexpected(self, _frame: bytes) -> None:
        self.counters["unexpected_signalling"] += 1

    def send(self, payload: bytes, **fields: int) -> None:
        """A packet into the switch, by way of its stream; too many at once are counted and lost, as on any link."""
        try:
            self._outgoing.put_nowait((payload, fields))
        except asyncio.QueueFull:
            self.counters["packet_out_overflow"] += 1

    def act(self) -> None:
        """Carry out what both sides have queued, and look after their timers."""
        for effect in (*self.access.effects(), *self.router.effects()):
            match effect:
                case access.Transmit(link, frame):
                    port, vlan = self._places[link]
                    self.send(frame if vlan is None else _tag(frame, vlan), egress_port=port)
                case access.Inject(session_id, direction, frame):
                    self.send(frame, submit_to_ingress=1, session_id=session_id, direction=direction.value)
                case access.NeighbourChanged():
                    self._on_neighbour(effect)
                case _:
                    self._on_access(effect)
        self._arm()

    def resolve(self, link: int, address: IPAddress) -> None:
        """Ask for the link-layer address of a next hop."""
        self.router.resolve(link, address, self._now())
        self.act()

    def probe(self, service: Service) -> None:
        """Ask a mobile node whether it is still there."""
        place = service.binding.access
        if place is not None:
            self.access.probe(place.link, place.mac, self._now())
            self.act()

    def close(self) -> None:
        """No more timers."""
        self._timer.close()

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()

    def _arm(self) -> None:
        self._timer.arm(self.access.next_timer())
        self._timer.arm(self.router.next_timer())

    def _timed(self) -> None:
        now = self._now()
        self.access.handle_timer(now)
        self.router.handle_timer(now)
        self.act()


def _untag(frame: bytes) -> tuple[bytes, int | None]:
    if frame[12:14] != _VLAN or len(frame) < 16:
        return frame, None
    # VLAN 0 says a priority only (802.1Q): it is no VLAN.
    return frame[:12] + frame[16:], int.from_bytes(frame[14:16], "big") & 0xFFF or None


def _tag(frame: bytes, vlan: int) -> bytes:
    return frame[:12] + _VLAN + vlan.to_bytes(2, "big") + frame[12:]
