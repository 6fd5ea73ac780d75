"""Next hops on the links of a router: whose MAC address is asked for, known, or to be asked for again.

The states of RFC 4861 §7.3.2 for a controller whose packets are forwarded by a switch: it sees no traffic, so a known
neighbour is confirmed anew at every interval, by unicast first, and one that is gone is asked for until it is back.
ARP follows the same states (RFC 1122 §2.3.2.1).
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from ipaddress import IPv4Address

from p4pmip.access.effects import NeighbourChanged, RouterEffect, Transmit
from p4pmip.access.frame import UNSPECIFIED_IPV4, arp_request, neighbor_solicitation, solicited_node
from p4pmip.access.router_link import RouterLink
from p4pmip.mobility.binding import IPAddress
from p4pmip.wire.ethernet import multicast_mac


class NeighbourState(Enum):
    """How sure the MAC address is."""

    INCOMPLETE = "incomplete"
    REACHABLE = "reachable"
    PROBE = "probe"


@dataclass(frozen=True, slots=True)
class NeighbourSettings:
    """Times in seconds."""

    retransmit: float = 1.0
    """RETRANS_TIMER (RFC 4861 §10); it doubles while nobody answers."""
    retransmit_most: float = 30.0
    reachable: float = 30.0
    """REACHABLE_TIME."""
    probes: int = 3
    """MAX_UNICAST_SOLICIT."""
    on_demand: int = 1024
    """Neighbours that only a packet asked for, at most; they are given up when nobody answers."""


@dataclass(slots=True)
class _Neighbour:
    kept: bool
    """A next hop that is asked for until it is forgotten, not one that a packet happened to need."""
    due: float
    state: NeighbourState = NeighbourState.INCOMPLETE
    mac: bytes | None = None
    attempts: int = 0


_Key = tuple[int, IPAddress]


class NeighbourCache:
    """The neighbours of every link of one router."""

    def __init__(self, settings: NeighbourSettings) -> None:
        self._settings = settings
        self._known: dict[_Key, _Neighbour] = {}

    def mac(self, link: int, address: IPAddress) -> bytes | None:
        """The MAC address, if it is known."""
        neighbour = self._known.get((link, address))
        return None if neighbour is None else neighbour.mac

    def resolve(self, link: int, address: IPAddress, now: float, kept: bool) -> bool:
        """Ask for an address, at the next `handle_timer`; False if there is no room for another one."""
        neighbour = self._known.get((link, address))
        if neighbour is not None:
            neighbour.kept = neighbour.kept or kept
            return True
        if not kept and sum(not known.kept for known in self._known.values()) >= self._settings.on_demand:
            return False
        self._known[link, address] = _Neighbour(kept, now)
        return True

    def forget(self, link: int, address: IPAddress) -> None:
        """Ask no more."""
        self._known.pop((link, address), None)

    def learnt(
        self, link: int, address: IPAddress, mac: bytes, now: float, override: bool = True
    ) -> list[RouterEffect]:
        """The neighbour has said where it is; without `override` a MAC address that is known stays (§7.2.5)."""
        neighbour = self._known.get((link, address))
        if neighbour is None or (not override and neighbour.mac not in (None, mac)):
            return []
        changed = neighbour.mac != mac
        neighbour.mac, neighbour.state, neighbour.attempts = mac, NeighbourState.REACHABLE, 0
        neighbour.due = now + self._settings.reachable
        return [NeighbourChanged(link, address, mac)] if changed else []

    def next_timer(self) -> float | None:
        """When `handle_timer` wants to be called."""
        due = min((neighbour.due for neighbour in self._known.values()), default=math.inf)
        return due if due < math.inf else None

    def handle_timer(self, now: float, links: Mapping[int, RouterLink]) -> list[RouterEffect]:
        """Ask where it is time to."""
        effects: list[RouterEffect] = []
        for key, neighbour in list(self._known.items()):
            if neighbour.due <= now:
                effects += self._ask(key, neighbour, now, links[key[0]])
        return effects

    def _ask(self, key: _Key, neighbour: _Neighbour, now: float, link: RouterLink) -> list[RouterEffect]:
        settings, effects = self._settings, list[RouterEffect]()
        if neighbour.state is NeighbourState.REACHABLE:
            neighbour.state = NeighbourState.PROBE
        if neighbour.attempts >= settings.probes and (neighbour.state is NeighbourState.PROBE or not neighbour.kept):
            if neighbour.mac is not None:
                effects.append(NeighbourChanged(*key, None))
            if not neighbour.kept:
                del self._known[key]
                return effects
            neighbour.state, neighbour.mac, neighbour.attempts = NeighbourState.INCOMPLETE, None, 0
        wait = settings.retransmit
        if neighbour.state is NeighbourState.INCOMPLETE:
            wait = min(settings.retransmit_most, wait * 2 ** min(neighbour.attempts, 16))
        neighbour.attempts += 1
        neighbour.due = now + wait
        return [*effects, Transmit(key[0], _question(link, key[1], neighbour.mac))]


def _question(link: RouterLink, address: IPAddress, mac: bytes | None) -> bytes:
    """To everyone, or to the neighbour alone if its MAC address is only to be confirmed."""
    if isinstance(address, IPv4Address):
        source = link.ipv4 or UNSPECIFIED_IPV4
        return arp_request(link.mac, source, address) if mac is None else arp_request(link.mac, source, address, mac)
    source6 = link.link_local if address.is_link_local else link.ipv6 or link.link_local
    if mac is not None:
        return neighbor_solicitation(link.mac, source6, address, mac, address)
    group = solicited_node(address)
    return neighbor_solicitation(link.mac, source6, address, multicast_mac(group), group)
