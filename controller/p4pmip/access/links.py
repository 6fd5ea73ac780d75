"""A MAG on its access links: who is there, what each is told, and when one has gone (RFC 5213 §6).

Sans-IO: frames that the switch hands up go in with the time, effects come out. A mobile node is a MAC address on a
link; there may be several on one, and each is spoken to alone, by frames to its own MAC address.
"""

import math
from collections import Counter
from ipaddress import IPv6Address

from p4pmip.access import solicitation
from p4pmip.access.advertisement import advertisement, withdrawal
from p4pmip.access.dhcp_server import DhcpOutcome, answer, decode_request, reply_frame
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
from p4pmip.access.served import AccessSettings, ServedNode, Service
from p4pmip.access.unforwarded import Fragments, unforwarded
from p4pmip.access.waiting import Waiting, WaitingNodes
from p4pmip.mobility.binding import Binding, IPAddress
from p4pmip.mobility.timers import Timers
from p4pmip.wire.arp import Arp
from p4pmip.wire.dhcpv4 import Dhcp
from p4pmip.wire.ethernet import Ethernet, EtherType
from p4pmip.wire.fault import Fault
from p4pmip.wire.icmpv6 import NeighborAdvertisement, NeighborSolicitation, RouterAdvertisement, RouterSolicitation
from p4pmip.wire.ip import IPv4Packet, IPv6Packet, decode_ip

_Key = tuple[int, bytes]


class _Link:
    def __init__(self, settings: AccessSettings) -> None:
        self.waiting = WaitingNodes(settings)
        self.errors = TokenBucket(settings.error_rate, settings.error_burst)


class AccessLinks:
    """Every access link of one MAG.

    Attributes:
        counters: What was answered, and by name what was not.
    """

    def __init__(self, settings: AccessSettings | None = None) -> None:
        self._settings = settings or AccessSettings()
        self._links: dict[int, _Link] = {}
        self._nodes: dict[_Key, ServedNode] = {}
        self._timers = Timers()
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
        waiting = self._link(access.link).waiting.take(access.mac)
        earlier = self._nodes.get(key)
        hint = earlier.link_local if earlier else waiting.link_local if waiting else None
        node = self._nodes[key] = ServedNode(key, service, earlier.heard if earlier else now, hint)
        if earlier is not None:
            self._timers.disarm(earlier)
        self._advertise(key, node, now, earlier.service if earlier else None)
        for reason, frame in waiting.asked.items() if waiting is not None else ():
            self._receive(key, frame, reason, now, 0, 0)
        self._arm(node)

    def withdraw(self, binding: Binding) -> None:
        """Stop serving a mobile node, and take back what it was told (RFC 5213 §6.12)."""
        access = binding.access
        node = self._nodes.pop((access.link, access.mac), None) if access is not None else None
        if access is None or node is None:
            self.counters["withdrawn_twice"] += 1
            return
        self._timers.disarm(node)
        # It may be there all the same: whether it is, it will say by itself, or by its silence.
        self._wait_for((access.link, access.mac), node.heard)
        if node.service.binding.prefixes:
            self._send_advertisement((access.link, access.mac), node, withdrawal(node.service, self._settings))

    def heard(self, link: int, mac: bytes, now: float) -> None:
        """The node has been seen sending, by the switch's counters for one."""
        node = self._nodes.get((link, mac))
        if node is not None:
            node.hear(now)

    def probe(self, link: int, mac: bytes, now: float) -> None:
        """Ask a node now whether it is still there: its entries in the switch were idle for long enough."""
        node = self._nodes.get((link, mac))
        if node is not None and not node.detached and not node.probes:
            self._probe((link, mac), node, now)
            self._arm(node)

    def next_timer(self) -> float | None:
        """When `handle_timer` wants to be called."""
        due = [timer for link in self._links.values() if (timer := link.waiting.next_timer()) is not None]
        if (timer := self._timers.next()) is not None:
            due.append(timer)
        return min(due, default=None)

    def handle_timer(self, now: float) -> None:
        """Advertise and probe where it is time to; who is not served and says nothing any more has left."""
        for number, link in self._links.items():
            for mac in link.waiting.gone(now):
                self.counters["waiting_gone"] += 1
                self._effects.append(Detached(number, mac))
        for node in self._timers.due(now):
            assert isinstance(node, ServedNode)
            if node.advertise_at <= now:
                self._advertise(node.key, node, now, None)
            if node.probe_at(self._settings) <= now:
                self._probe(node.key, node, now)
            self._arm(node)

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
                # Forged, or link-local, which is no session's: so comes a ping of a router address that the LMA keeps.
                self._receive_packet(key, frame, now, "spoofed_source")
            case Punt.LISTENER_REPORT:
                # A MAG forwards no groups (RFC 6224 is not there), but somebody is there.
                self._receive_packet(key, frame, now, "listener_report")
            case Punt.ICMP:
                self._receive_packet(key, frame, now, "icmp_ignored")
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
            self._ask_later(key, Punt.ARP, frame, now)
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
                self._ask_later(key, Punt.NEIGHBOR_DISCOVERY, frame, now)
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
        layer, found = decode_request(frame)
        if isinstance(found, Fault):
            self._count(layer, found)
            return
        source, request = found
        node = self._notice(key, source, now)
        if node is not None:
            self._answer_dhcp(key, node, request, now)
        else:
            self._ask_later(key, Punt.DHCP, frame, now)

    def _receive_packet(self, key: _Key, frame: Ethernet, now: float, otherwise: str) -> None:
        """A packet that is not to be forwarded: the router answers a ping; what else it is, is counted."""
        packet = decode_ip(frame.payload)
        if isinstance(packet, Fault):
            self._count("ip", packet)
            return
        node = self._notice(key, packet.source, now)
        if node is not None:
            self._transmit_or_count(key[0], self._echo_reply(node, frame, packet) or otherwise, "echo_reply")

    def _echo_reply(self, node: ServedNode, frame: Ethernet, packet: IPv4Packet | IPv6Packet) -> bytes | None:
        """The answer to a ping of the router from one of the node's own addresses."""
        own = packet.source == node.link_local or node.service.owns(packet.source)
        routers = (node.service.link_local, node.service.binding.ipv4_router)
        return echo_reply(frame, packet, self._settings.router_mac) if own and packet.destination in routers else None

    def _receive_unforwarded(
        self, key: _Key, frame: Ethernet, cause: Cause, now: float, session_id: int, mtu: int
    ) -> None:
        node = self._nodes.get(key)
        if node is None:
            self.counters["error_not_served"] += 1
            return
        node.hear(now)
        found = unforwarded(cause, frame, mtu, node.service.binding.ipv4_router, node.service.link_local)
        if isinstance(found, Fragments):
            self.counters["fragmented"] += 1
            self._effects += [Inject(session_id, Direction.UPLINK, piece) for piece in found.frames]
        elif isinstance(found, Unanswered):
            self.counters[found] += 1
        elif not self._link(key[0]).errors.take(now):
            self.counters[Unanswered.RATE] += 1
        else:
            self._transmit_or_count(key[0], error_frame(frame, found, self._settings.router_mac), f"error_{cause}")

    # --- who is there ----------------------------------------------------------------------------

    def _notice(self, key: _Key, address: IPAddress | None, now: float) -> ServedNode | None:
        """The node that sent something, if it is served; otherwise it is reported, and remembered for a while."""
        node = self._nodes.get(key)
        own = address if isinstance(address, IPv6Address) and address.is_link_local else None
        if node is not None:
            node.hear(now)
            node.link_local = own or node.link_local
            return node
        waiting = self._wait_for(key, now)
        waiting.link_local = own or waiting.link_local
        if now - waiting.reported >= self._settings.seen_interval:
            waiting.reported = now
            hint = None if address is None or address.is_unspecified or address.is_link_local else address
            self._effects.append(MobileNodeSeen(*key, hint))
        return None

    def _wait_for(self, key: _Key, heard: float) -> Waiting:
        """Remember a node that is not served; where there are too many, who was silent for longest has left."""
        number, mac = key
        nodes = self._link(number).waiting
        waiting = nodes.hear(mac, heard)
        for other in nodes.crowd():
            self.counters["waiting_forgotten"] += 1
            self._effects.append(Detached(number, other))
        return waiting

    def _ask_later(self, key: _Key, reason: Punt, frame: Ethernet, now: float) -> None:
        """Keep what a node asked until it is served."""
        self._wait_for(key, now).asked[reason] = frame

    def _probe(self, key: _Key, node: ServedNode, now: float) -> None:
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

    def _arm(self, node: ServedNode) -> None:
        due = min(node.advertise_at, node.probe_at(self._settings))
        if due < math.inf:
            self._timers.arm(node, due)

    # --- what it is told -------------------------------------------------------------------------

    def _advertise(self, key: _Key, node: ServedNode, now: float, earlier: Service | None) -> None:
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

    def _send_advertisement(self, key: _Key, node: ServedNode, message: RouterAdvertisement) -> None:
        """To the node's own MAC address, whatever the IP destination (RFC 6085)."""
        link, mac = key
        destination = node.link_local or ALL_NODES
        frame = neighbor_frame(message, self._settings.router_mac, node.service.link_local, mac, destination)
        self._transmit_or_count(link, frame, "router_advertisement")

    def _answer_dhcp(self, key: _Key, node: ServedNode, request: Dhcp, now: float) -> None:
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
        known = self._links.get(link)
        if known is None:
            known = self._links[link] = _Link(self._settings)
        return known
