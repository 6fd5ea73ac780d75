"""A node on its transport and service links: it finds its next hops, and is found by others (RFC 826, RFC 4861).

Sans-IO, like `AccessLinks`, whose counterpart it is on the side of the network.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from ipaddress import IPv4Address, IPv6Address

from p4pmip.access.effects import Direction, Inject, RouterEffect, Transmit
from p4pmip.access.frame import Punt, arp_reply, echo_reply, neighbor_advertisement
from p4pmip.access.icmp_error import Cause, TokenBucket, Unanswered, error_frame
from p4pmip.access.neighbour import NeighbourCache, NeighbourSettings
from p4pmip.access.router_link import RouterLink
from p4pmip.access.solicitation import decode as decode_neighbor
from p4pmip.access.unforwarded import Fragments, unforwarded
from p4pmip.mobility.binding import Binding, IPAddress, Role
from p4pmip.wire.arp import Arp, ArpOperation
from p4pmip.wire.ethernet import Ethernet
from p4pmip.wire.fault import Fault
from p4pmip.wire.icmpv6 import NeighborAdvertisement, NeighborSolicitation
from p4pmip.wire.ip import decode_ip
from p4pmip.wire.neighbor_option import SourceLinkLayerAddress, TargetLinkLayerAddress

_ERROR_RATE = 100.0
_ERROR_BURST = 50.0


class RouterLinks:
    """Every transport and service link of one node.

    Attributes:
        counters: What was answered, and by name what was not.
    """

    def __init__(
        self,
        links: Iterable[RouterLink],
        binding: Callable[[int], Binding | None] = lambda _: None,
        settings: NeighbourSettings | None = None,
    ) -> None:
        """Start with these links; `binding` gives the binding of a session id, for errors about its packets."""
        self._links = {link.link: link for link in links}
        self._binding = binding
        self._neighbours = NeighbourCache(settings or NeighbourSettings())
        self._errors = {link: TokenBucket(_ERROR_RATE, _ERROR_BURST) for link in self._links}
        self._effects: list[RouterEffect] = []
        self.counters: Counter[str] = Counter()

    def effects(self) -> list[RouterEffect]:
        """What is to be done, once."""
        effects, self._effects = self._effects, []
        return effects

    def mac(self, link: int, address: IPAddress) -> bytes | None:
        """The MAC address of a neighbour, if it is known."""
        return self._neighbours.mac(link, address)

    def resolve(self, link: int, address: IPAddress, now: float) -> None:
        """Find a next hop and keep it found: `NeighbourChanged` tells of it, until `forget`."""
        self._neighbours.resolve(link, address, now, kept=True)
        self.handle_timer(now)

    def forget(self, link: int, address: IPAddress) -> None:
        """A next hop is needed no more."""
        self._neighbours.forget(link, address)

    def next_timer(self) -> float | None:
        """When `handle_timer` wants to be called."""
        return self._neighbours.next_timer()

    def handle_timer(self, now: float) -> None:
        """Ask for neighbours where it is time to."""
        self._effects += self._neighbours.handle_timer(now, self._links)

    def receive(self, link: int, frame: bytes, reason: str, now: float, session_id: int = 0, mtu: int = 0) -> None:
        """Take a frame that the switch did not forward; see `AccessLinks.receive`."""
        known, ethernet = self._links.get(link), Ethernet.decode(frame)
        if known is None:
            self.counters["unknown_link"] += 1
        elif isinstance(ethernet, Fault):
            self._count("ethernet", ethernet)
        elif ethernet.source[0] & 1 or ethernet.source == known.mac:
            self.counters["source_mac"] += 1
        elif _tunnelled(known, session_id) and self._binding(session_id) is None:
            self.counters["session_ended"] += 1  # meanwhile: an answer would leave on the transport network
        else:
            self._receive(known, ethernet, reason, now, session_id, mtu)

    def _receive(self, link: RouterLink, frame: Ethernet, reason: str, now: float, session_id: int, mtu: int) -> None:
        match reason:
            case Punt.ARP:
                self._receive_arp(link, frame, now)
            case Punt.NEIGHBOR_DISCOVERY:
                self._receive_neighbor(link, frame, now)
            case Punt.ICMP:
                self._receive_echo(link, frame, session_id)
            case Punt.UNRESOLVED:
                self._receive_unresolved(link, frame, now, session_id)
            case Punt.HOP_LIMIT:
                self._receive_unforwarded(link, frame, Cause.HOP_LIMIT, now, session_id, mtu)
            case Punt.TOO_BIG:
                self._receive_unforwarded(link, frame, Cause.TOO_BIG, now, session_id, mtu)
            case _:
                self.counters["unexpected_reason"] += 1

    def _receive_arp(self, link: RouterLink, frame: Ethernet, now: float) -> None:
        packet = Arp.decode(frame.payload)
        if isinstance(packet, Fault):
            self._count("arp", packet)
            return
        if packet.sender_mac != frame.source:
            self.counters["arp_other_mac"] += 1
            return
        if not packet.sender_ip.is_unspecified:
            self._effects += self._neighbours.learnt(link.link, packet.sender_ip, packet.sender_mac, now)
        if packet.operation != ArpOperation.REQUEST:
            self.counters["arp_reply_received"] += 1
        elif packet.target_ip == packet.sender_ip:
            self.counters["arp_own_address"] += 1
        elif self._answers_for(link, packet.target_ip):
            self._transmit(link, arp_reply(packet, link.mac), "arp_reply")
        else:
            self.counters["arp_other_address"] += 1

    def _receive_neighbor(self, link: RouterLink, frame: Ethernet, now: float) -> None:
        found = decode_neighbor(frame)
        if isinstance(found, Fault):
            self._count("nd", found)
            return
        packet, message = found
        match message:
            case NeighborSolicitation(target, options):
                if not packet.source.is_unspecified:
                    mac = _mac(options, SourceLinkLayerAddress) or frame.source
                    self._effects += self._neighbours.learnt(link.link, packet.source, mac, now)
                if self._answers_for(link, target):
                    answer = neighbor_advertisement(link.mac, target, target, frame.source, packet.source)
                    self._transmit(link, answer, "neighbor_advertisement")
                else:
                    self.counters["nd_other_address"] += 1
            case NeighborAdvertisement(target, override=override, options=options):
                self.counters["nd_advertised"] += 1
                mac = _mac(options, TargetLinkLayerAddress) or frame.source
                self._effects += self._neighbours.learnt(link.link, target, mac, now, override)
            case _:
                self.counters["nd_router_solicitation"] += 1

    def _answers_for(self, link: RouterLink, address: IPAddress) -> bool:
        return (
            address in link.addresses
            or address == link.link_local
            or any(address.version == pool.version and address in pool for pool in link.proxied)
        )

    def _receive_echo(self, link: RouterLink, frame: Ethernet, session_id: int) -> None:
        packet = decode_ip(frame.payload)
        reply = None if isinstance(packet, Fault) else echo_reply(frame, packet, link.mac)
        if isinstance(packet, Fault) or reply is None:
            self.counters["icmp_ignored"] += 1
        elif not _tunnelled(link, session_id):
            self._transmit(link, reply, "echo_reply")
        elif not _leads_back(self._binding(session_id), packet.source):
            self.counters["echo_no_way_back"] += 1
        else:
            self.counters["echo_reply"] += 1
            self._effects.append(Inject(session_id, Direction.DOWNLINK, reply))

    def _receive_unresolved(self, link: RouterLink, frame: Ethernet, now: float, session_id: int) -> None:
        packet = decode_ip(frame.payload)
        if isinstance(packet, Fault):
            self._count("ip", packet)
            return
        binding = self._binding(session_id)
        realm = link.realm if binding is None else binding.realm
        for other in self._links.values():
            if other.realm == realm and any(
                packet.destination.version == network.version and packet.destination in network
                for network in other.on_link
            ):
                if not self._neighbours.resolve(other.link, packet.destination, now, kept=False):
                    self.counters["neighbours_full"] += 1
                self.handle_timer(now)
                return
        self.counters["unresolved_off_link"] += 1

    def _receive_unforwarded(
        self, link: RouterLink, frame: Ethernet, cause: Cause, now: float, session_id: int, mtu: int
    ) -> None:
        packet = decode_ip(frame.payload)
        if isinstance(packet, Fault):
            self.counters[Unanswered.MALFORMED] += 1
            return
        binding = self._binding(session_id)
        tunnelled = _tunnelled(link, session_id)
        ipv4, ipv6 = self._speaks_as(link, binding if tunnelled else None)
        found = unforwarded(cause, frame, mtu, ipv4, ipv6)
        if isinstance(found, Fragments):
            self.counters["fragmented"] += 1
            sent_by_node = binding is not None and _owns(binding, packet.source)
            direction = Direction.UPLINK if sent_by_node else Direction.DOWNLINK
            self._effects += [Inject(session_id, direction, piece) for piece in found.frames]
        elif isinstance(found, Unanswered):
            self.counters[found] += 1
        elif tunnelled and not _leads_back(binding, packet.source):
            self.counters["error_no_way_back"] += 1
        elif not self._errors[link.link].take(now):
            self.counters[Unanswered.RATE] += 1
        elif tunnelled:
            self.counters[f"error_{cause}"] += 1
            self._effects.append(Inject(session_id, Direction.DOWNLINK, error_frame(frame, found, link.mac)))
        else:
            self._transmit(link, error_frame(frame, found, link.mac), f"error_{cause}")

    def _speaks_as(self, link: RouterLink, binding: Binding | None) -> tuple[IPv4Address | None, IPv6Address | None]:
        """The addresses that errors come from: in a realm, this node's own there."""
        if binding is None:
            return link.ipv4, link.ipv6 or link.link_local
        of_realm = [other for other in self._links.values() if other.realm == binding.realm]
        ipv6 = next((other.ipv6 for other in of_realm if other.ipv6 is not None), link.ipv6)
        return binding.ipv4_router, ipv6

    def _transmit(self, link: RouterLink, frame: bytes, what: str) -> None:
        self.counters[what] += 1
        self._effects.append(Transmit(link.link, frame))

    def _count(self, what: str, fault: Fault) -> None:
        self.counters[f"{what}_{fault.reason}"] += 1


def _tunnelled(link: RouterLink, session_id: int) -> bool:
    """Whether a packet came out of a tunnel: that of a session which came by a transport link did."""
    return session_id != 0 and link.realm is None


def _leads_back(binding: Binding | None, source: IPAddress) -> bool:
    """Whether what answers a packet out of a tunnel gets to who sent it: at an LMA, down the mobile node's session."""
    return binding is not None and binding.role is Role.LMA and _owns(binding, source)


def _owns(binding: Binding, address: IPAddress) -> bool:
    if isinstance(address, IPv4Address):
        return binding.ipv4 is not None and binding.ipv4.ip == address
    return any(address in prefix for prefix in binding.prefixes)


def _mac(
    options: tuple[object, ...], kind: type[SourceLinkLayerAddress] | type[TargetLinkLayerAddress]
) -> bytes | None:
    return next((option.address for option in options if isinstance(option, kind)), None)
