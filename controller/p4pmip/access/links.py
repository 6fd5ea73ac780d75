"""A MAG on its access links: who is there, what each is told, and when one has gone (RFC 5213 §6).

Sans-IO: frames that the switch hands up go in with the time, effects come out. A mobile node is a MAC address on a
link; there may be several on one, and each is spoken to alone, by frames to its own MAC address.
"""

import heapq
import math
from collections import Counter, OrderedDict
from dataclasses import dataclass, field
from ipaddress import IPv6Address

from p4pmip.access import solicitation
from p4pmip.access.advertisement import advertisement, withdrawal
from p4pmip.access.dhcp_server import DhcpOutcome, answer, reply_frame
from p4pmip.access.effects import (
    AccessEffect,
    AddressReleased,
    AddressWanted,
    Detached,
    Direction,
    Inject,
    MobileNodeSeen,
    Transmit,
)
from p4pmip.access.frame import ALL_NODES, Punt, arp_request, echo_reply, link_local, neighbor_frame
from p4pmip.access.frame import neighbor_solicitation as solicitation_frame
from p4pmip.access.icmp_error import Cause, TokenBucket, Unanswered, error_frame
from p4pmip.access.served import AccessSettings, Service
from p4pmip.access.unforwarded import Fragments, unforwarded
from p4pmip.mobility.binding import Binding, IPAddress
from p4pmip.wire.arp import Arp
from p4pmip.wire.dhcpv4 import Dhcp
from p4pmip.wire.ethernet import Ethernet, EtherType
from p4pmip.wire.fault import Fault
from p4pmip.wire.icmpv6 import NeighborAdvertisement, NeighborSolicitation, RouterAdvertisement, RouterSolicitation
from p4pmip.wire.ip import IPv4Packet, decode_ip
from p4pmip.wire.udp import Udp

_Key = tuple[int, bytes]


@dataclass(slots=True)
class _Waiting:
    """A node that is not served yet, and what it will want to hear once it is."""

    seen: float
    asked: dict[str, Ethernet] = field(default_factory=dict)
    """The last frame of each kind that waits for its answer: nobody repeats a question within a second."""
    link_local: IPv6Address | None = None


@dataclass(slots=True)
class _Node:
    """A node that is served."""

    service: Service
    heard: float
    link_local: IPv6Address | None
    advertise_at: float
    probes: int = 0
    probed: float = 0.0
    detached: bool = False
    armed: float = math.inf
    """When its timer is due: any other one of its timers is a stale one."""


@dataclass(slots=True)
class _Link:
    waiting: OrderedDict[bytes, _Waiting] = field(default_factory=OrderedDict)
    errors: TokenBucket | None = None


class AccessLinks:
    """Every access link of one MAG.

    Attributes:
        counters: What was answered, and by name what was not.
    """

    def __init__(self, settings: AccessSettings | None = None) -> None:
        self._settings = settings or AccessSettings()
        self._links: dict[int, _Link] = {}
        self._nodes: dict[_Key, _Node] = {}
        self._timers: list[tuple[float, _Key]] = []
        self._effects: list[AccessEffect] = []
        self.counters: Counter[str] = Counter()

    def effects(self) -> list[AccessEffect]:
        """What is to be done, once."""
        effects, self._effects = self._effects, []
        return effects

    def serving(self, link: int, mac: bytes) -> Service | None:
        """What a node is told, if it is served."""
        node = self._nodes.get((link, mac))
        return None if node is None else node.service

    def services(self) -> tuple[Service, ...]:
        """What every node that is served is told."""
        return tuple(node.service for node in self._nodes.values())

    # --- what the node asks of the access side ---------------------------------------------------

    def serve(self, service: Service, now: float) -> None:
        """Serve a mobile node, or serve it anew after its binding has changed: prefixes that are gone are taken back.

        Raises:
            ValueError: The binding has no access link.
        """
        access = service.binding.access
        if access is None:
            raise ValueError("a binding without an access link is not a MAG's")
        key = (access.link, access.mac)
        waiting = self._link(access.link).waiting.pop(access.mac, None)
        earlier = self._nodes.get(key)
        hint = earlier.link_local if earlier else waiting.link_local if waiting else None
        node = _Node(service, earlier.heard if earlier else now, hint, math.inf)
        self._nodes[key] = node
        self._advertise(key, node, now, earlier.service if earlier else None)
        for reason, frame in waiting.asked.items() if waiting is not None else ():
            self._receive(key, frame, reason, now, 0, 0)
        self._arm(key, node)

    def withdraw(self, binding: Binding) -> None:
        """Stop serving a mobile node, and take back what it was told (RFC 5213 §6.12)."""
        access = binding.access
        node = self._nodes.pop((access.link, access.mac), None) if access is not None else None
        if access is None or node is None:
            self.counters["withdrawn_twice"] += 1
        elif node.service.binding.prefixes:
            self._send_advertisement((access.link, access.mac), node, withdrawal(node.service, self._settings))

    def heard(self, link: int, mac: bytes, now: float) -> None:
        """The node has been seen sending, by the switch's counters for one."""
        node = self._nodes.get((link, mac))
        if node is not None and not node.detached:
            node.heard, node.probes = max(node.heard, now), 0

    def probe(self, link: int, mac: bytes, now: float) -> None:
        """Ask a node now whether it is still there: its entries in the switch were idle for long enough."""
        node = self._nodes.get((link, mac))
        if node is not None and not node.detached and not node.probes:
            self._probe((link, mac), node, now)
            self._arm((link, mac), node)

    def next_timer(self) -> float | None:
        """When `handle_timer` wants to be called."""
        return self._timers[0][0] if self._timers else None

    def handle_timer(self, now: float) -> None:
        """Advertise and probe where it is time to."""
        while self._timers and self._timers[0][0] <= now:
            due, key = heapq.heappop(self._timers)
            node = self._nodes.get(key)
            if node is None or due != node.armed:
                continue
            if node.advertise_at <= now:
                self._advertise(key, node, now, None)
            if self._probe_at(node) <= now:
                self._probe(key, node, now)
            self._arm(key, node)

    # --- what the switch hands up ----------------------------------------------------------------

    def receive(self, link: int, frame: bytes, reason: str, now: float, session_id: int = 0, mtu: int = 0) -> None:
        """Take a frame that the switch did not forward.

        Args:
            link: The access link it came from.
            frame: As received.
            reason: Why it was handed up: a `Punt`.
            now: Monotonic seconds.
            session_id: The session it belongs to, if the switch found one.
            mtu: For `Punt.TOO_BIG`: the size that would fit.
        """
        ethernet = Ethernet.decode(frame)
        if isinstance(ethernet, Fault):
            self._count("ethernet", ethernet)
        elif ethernet.source[0] & 1 or not any(ethernet.source):
            self.counters["source_mac"] += 1
        elif ethernet.source == self._settings.router_mac:
            self.counters["own_mac"] += 1
        else:
            self._receive((link, ethernet.source), ethernet, reason, now, session_id, mtu)

    def _receive(self, key: _Key, frame: Ethernet, reason: str, now: float, session_id: int, mtu: int) -> None:
        match reason:
            case Punt.ARP:
                self._receive_arp(key, frame, now)
            case Punt.NEIGHBOR_DISCOVERY | Punt.ROUTER_SOLICITATION:
                self._receive_neighbor(key, frame, now)
            case Punt.DHCP:
                self._receive_dhcp(key, frame, now)
            case Punt.UNKNOWN_SOURCE:
                self._receive_unknown(key, frame, now)
            case Punt.ICMP:
                self._receive_echo(key, frame, now)
            case Punt.HOP_LIMIT:
                self._receive_unforwarded(key, frame, Cause.HOP_LIMIT, now, session_id, mtu)
            case Punt.TOO_BIG:
                self._receive_unforwarded(key, frame, Cause.TOO_BIG, now, session_id, mtu)
            case _:
                self.counters["unexpected_reason"] += 1

    def _receive_arp(self, key: _Key, frame: Ethernet, now: float) -> None:
        packet = Arp.decode(frame.payload)
        if isinstance(packet, Fault):
            self._count("arp", packet)
            return
        node = self._notice(key, packet.sender_ip, now)
        if node is None:
            self._wait(key, Punt.ARP, frame)
            return
        outcome = solicitation.arp(packet, frame, node.service, self._settings)
        self._transmit_or_count(key[0], outcome, "arp_reply")

    def _receive_neighbor(self, key: _Key, frame: Ethernet, now: float) -> None:
        found = solicitation.decode(frame)
        if isinstance(found, Fault):
            self._count("nd", found)
            return
        packet, message = found
        used = packet.source
        if used.is_unspecified and isinstance(message, NeighborSolicitation):
            used = message.target  # the address it is about to take
        node = self._notice(key, used, now)
        if node is None:
            if not isinstance(message, RouterSolicitation):  # that is answered unasked
                self._wait(key, Punt.NEIGHBOR_DISCOVERY, frame)
            return
        match message:
            case RouterSolicitation() if not node.service.binding.prefixes:
                self.counters["rs_without_prefix"] += 1
            case RouterSolicitation():
                self._send_advertisement(key, node, advertisement(node.service, self._settings, now))
            case NeighborSolicitation():
                outcome = solicitation.neighbor(packet, message, frame, node.service, self._settings)
                self._transmit_or_count(key[0], outcome, "neighbor_advertisement")
            case NeighborAdvertisement(target) if target == node.service.link_local:
                self.counters["nd_router_address_conflict"] += 1
            case NeighborAdvertisement():
                self.counters["nd_advertised"] += 1

    def _receive_dhcp(self, key: _Key, frame: Ethernet, now: float) -> None:
        if frame.ether_type == EtherType.IPV6:
            self._notice(key, None, now)
            self.counters["dhcpv6_not_served"] += 1
            return
        packet = IPv4Packet.decode(frame.payload)
        if isinstance(packet, Fault):
            self._count("dhcp_ip", packet)
            return
        datagram = Udp.decode(packet.payload, packet.source, packet.destination)
        if isinstance(datagram, Fault):
            self._count("dhcp_udp", datagram)
            return
        request = Dhcp.decode(datagram.payload)
        if isinstance(request, Fault):
            self._count("dhcp", request)
            return
        node = self._notice(key, packet.source, now)
        if node is not None:
            self._answer_dhcp(key, node, request, now)
        else:
            self._wait(key, Punt.DHCP, frame)

    def _receive_unknown(self, key: _Key, frame: Ethernet, now: float) -> None:
        packet = decode_ip(frame.payload)
        if isinstance(packet, Fault):
            self._count("ip", packet)
        elif self._notice(key, packet.source, now) is not None:
            self.counters["spoofed_source"] += 1

    def _receive_echo(self, key: _Key, frame: Ethernet, now: float) -> None:
        packet = decode_ip(frame.payload)
        if isinstance(packet, Fault):
            self._count("ip", packet)
            return
        node = self._notice(key, packet.source, now)
        if node is None:
            return
        routers = (node.service.link_local, node.service.binding.ipv4_router)
        reply = echo_reply(frame, packet, self._settings.router_mac) if packet.destination in routers else None
        self._transmit_or_count(key[0], reply or "icmp_ignored", "echo_reply")

    def _receive_unforwarded(
        self, key: _Key, frame: Ethernet, cause: Cause, now: float, session_id: int, mtu: int
    ) -> None:
        node = self._nodes.get(key)
        if node is None:
            self.counters["error_not_served"] += 1
            return
        self.heard(*key, now)
        found = unforwarded(cause, frame, mtu, node.service.binding.ipv4_router, node.service.link_local)
        if isinstance(found, Fragments):
            self.counters["fragmented"] += 1
            self._effects += [Inject(session_id, Direction.UPLINK, piece) for piece in found.frames]
        elif isinstance(found, Unanswered):
            self.counters[found] += 1
        elif not self._errors(key[0]).take(now):
            self.counters[Unanswered.RATE] += 1
        else:
            self._transmit_or_count(key[0], error_frame(frame, found, self._settings.router_mac), f"error_{cause}")

    # --- who is there ----------------------------------------------------------------------------

    def _notice(self, key: _Key, address: IPAddress | None, now: float) -> _Node | None:
        """The node that sent something, if it is served; otherwise it is reported, and remembered for a while."""
        node = self._nodes.get(key)
        own = address if isinstance(address, IPv6Address) and address.is_link_local else None
        if node is not None:
            self.heard(*key, now)
            node.link_local = own or node.link_local
            return node
        link, mac = key
        known = self._link(link).waiting
        waiting = known.get(mac)
        if waiting is None:
            if len(known) >= self._settings.waiting_per_link:
                known.popitem(last=False)
                self.counters["waiting_forgotten"] += 1
            known[mac] = waiting = _Waiting(-math.inf)
        waiting.link_local = own or waiting.link_local
        if now - waiting.seen >= self._settings.seen_interval:
            waiting.seen = now
            hint = None if address is None or address.is_unspecified or address.is_link_local else address
            self._effects.append(MobileNodeSeen(link, mac, hint))
        return None

    def _wait(self, key: _Key, reason: Punt, frame: Ethernet) -> None:
        """Keep what a node asked until it is served."""
        self._link(key[0]).waiting[key[1]].asked[reason] = frame

    def _probe_at(self, node: _Node) -> float:
        if node.detached:
            return math.inf
        return node.probed + self._settings.probe_interval if node.probes else node.heard + self._settings.idle_timeout

    def _probe(self, key: _Key, node: _Node, now: float) -> None:
        """Ask the node for a sign of life, by every address that it is known to have (RFC 4861 §7.3.3)."""
        link, mac = key
        if node.probes >= self._settings.probes:
            node.detached = True
            self.counters["detached"] += 1
            self._effects.append(Detached(link, mac))
            return
        node.probes, node.probed = node.probes + 1, now
        self.counters["probed"] += 1
        router, binding = self._settings.router_mac, node.service.binding
        if binding.ipv4 is not None and binding.ipv4_router is not None:
            request = arp_request(router, binding.ipv4_router, binding.ipv4.ip, mac)
            self._effects.append(Transmit(link, request))
        if binding.prefixes:
            target = node.link_local or link_local(mac)
            frame = solicitation_frame(router, node.service.link_local, target, mac, target)
            self._effects.append(Transmit(link, frame))

    def _arm(self, key: _Key, node: _Node) -> None:
        node.armed = min(node.advertise_at, self._probe_at(node))
        if node.armed < math.inf:
            heapq.heappush(self._timers, (node.armed, key))

    # --- what it is told -------------------------------------------------------------------------

    def _advertise(self, key: _Key, node: _Node, now: float, earlier: Service | None) -> None:
        gone = node.service.without(earlier)
        if not node.service.binding.prefixes and not gone:
            return
        if node.service.binding.prefixes:
            # In time for the node to hear again before what it was told runs out.
            interval = min(self._settings.advertisement_interval, self._settings.router_lifetime / 3)
            node.advertise_at = now + interval if node.service.left(now) > 0 else math.inf
            message = advertisement(node.service, self._settings, now, gone)
        else:
            assert earlier is not None
            message = withdrawal(earlier, self._settings)
        self._send_advertisement(key, node, message)

    def _send_advertisement(self, key: _Key, node: _Node, message: RouterAdvertisement) -> None:
        """To the node's own MAC address, whatever the IP destination (RFC 6085)."""
        link, mac = key
        destination = node.link_local or ALL_NODES
        frame = neighbor_frame(message, self._settings.router_mac, node.service.link_local, mac, destination)
        self._transmit_or_count(link, frame, "router_advertisement")

    def _answer_dhcp(self, key: _Key, node: _Node, request: Dhcp, now: float) -> None:
        outcome = answer(request, key[1], node.service, self._settings, now)
        router = node.service.binding.ipv4_router
        if isinstance(outcome, DhcpOutcome) or router is None:
            self.counters[str(outcome)] += 1
            if outcome is DhcpOutcome.RELEASED:
                self._effects.append(AddressReleased(*key))
            elif outcome is DhcpOutcome.NO_HOME_ADDRESS and node.service.dhcp_server:
                self._effects.append(AddressWanted(*key))  # the client asks again by then
            return
        self._transmit_or_count(key[0], reply_frame(outcome, router, self._settings.router_mac), "dhcp_reply")

    def _transmit_or_count(self, link: int, outcome: bytes | str, what: str) -> None:
        if isinstance(outcome, str):
            self.counters[outcome] += 1
        else:
            self.counters[what] += 1
            self._effects.append(Transmit(link, outcome))

    def _count(self, what: str, fault: Fault) -> None:
        self.counters[f"{what}_{fault.reason}"] += 1

    def _link(self, link: int) -> _Link:
        return self._links.setdefault(link, _Link())

    def _errors(self, link: int) -> TokenBucket:
        known = self._link(link)
        if known.errors is None:
            known.errors = TokenBucket(self._settings.error_rate, self._settings.error_burst)
        return known.errors
