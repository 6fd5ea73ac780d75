"""What entries depend on besides bindings: configuration, resolved neighbours, and the small ids of shared entries.

A `Context` is one picture of it. When something changes, `dataclasses.replace` makes the next one, and the delta of the
two sets of base entries is what the switch has to be told.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from p4pmip.errors import P4pmipError
from p4pmip.forwarding.entry import Entry
from p4pmip.forwarding.program import VRF_TRANSPORT, Encapsulation
from p4pmip.mobility.binding import IPAddress

IPNetwork = IPv4Network | IPv6Network


class LinkRole(Enum):
    """What kind of link a port (and VLAN) is."""

    ACCESS = "access"
    TRANSPORT = "transport"
    SERVICE = "service"


@dataclass(frozen=True, slots=True)
class Link:
    """One port, or one VLAN on it."""

    link_id: int
    """1..4095, unique at this switch; for access links the id that bindings name."""
    port: int
    role: LinkRole
    mac: bytes
    """The switch's own link-layer address there."""
    vlan: int = 0
    """0: untagged."""
    mtu: int = 1500
    realm: str | None = None
    """Service links: whose network it is."""
    addresses: tuple[IPAddress, ...] = ()
    """Addresses that the controller answers for on this link."""


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A next hop whose link-layer address is known."""

    link_id: int
    address: IPAddress
    mac: bytes


@dataclass(frozen=True, slots=True)
class Route:
    """A static route of the transport network (`realm` None) or of an operator's network."""

    destination: IPNetwork
    link_id: int
    via: IPAddress | None = None
    """None: on-link."""
    realm: str | None = None


@dataclass(frozen=True, slots=True)
class Realm:
    """An operator's address space at this switch."""

    vrf: int
    """1..65535, unique at this switch."""
    pools: tuple[IPNetwork, ...] = ()
    """What home addresses and prefixes are taken from: packets for those without a binding end here."""
    routers: tuple[IPAddress, ...] = ()
    """Addresses in the realm that the LMA answers for, such as the IPv4 default router."""


@dataclass(frozen=True, slots=True)
class TunnelSettings:
    """The outer header that is put in front, and what becomes of the DSCP (RFC 2983)."""

    hop_limit: int = 64
    dscp: int | None = None
    """None: copied from and to the inner header; otherwise fixed, and the inner one is left alone."""
    mtu: int = 1500
    """MTU of the path between the tunnel end points."""


class Ids:
    """Small numbers for what has a long name, given once and never taken back.

    `journal` is what a restart needs: each number of a kind with what it stands for.
    """

    def __init__(self, journal: Iterable[tuple[str, tuple[object, ...], int]] = ()) -> None:
        self._numbers: dict[tuple[str, tuple[object, ...]], int] = {}
        self._last: dict[str, int] = {}
        self.new: list[tuple[str, tuple[object, ...], int]] = []
        """Given since this list was last emptied: for the journal."""
        for kind, name, number in journal:
            self._numbers[kind, name] = number
            self._last[kind] = max(number, self._last.get(kind, 0))

    def number(self, kind: str, name: tuple[object, ...]) -> int:
        """The number of `name` among its kind; the next free one, from 1, if it has none yet."""
        known = self._numbers.get((kind, name))
        if known is not None:
            return known
        number = self._last.get(kind, 0) + 1
        self._last[kind] = self._numbers[kind, name] = number
        self.new.append((kind, name, number))
        return number


@dataclass(frozen=True, slots=True)
class Context:
    """Everything but bindings that the entries of one switch are derived from."""

    links: tuple[Link, ...]
    end_points: tuple[IPAddress, ...]
    """Own addresses in the transport network: tunnel end points and signalling addresses."""
    realms: Mapping[str, Realm] = field(default_factory=dict)
    neighbours: tuple[Neighbour, ...] = ()
    routes: tuple[Route, ...] = ()
    tunnel: TunnelSettings = TunnelSettings()
    peers: Mapping[IPAddress, TunnelSettings] = field(default_factory=dict)
    """Settings of single peers."""
    local_routing: bool = False
    """EnableMAGLocalRouting (RFC 5213 §9.2): between the mobile nodes of a realm at this MAG."""
    session_base: int = 0
    """Added to the session ids of bindings, so that a MAG and an LMA can share a switch."""
    ids: Ids = field(default_factory=Ids, compare=False)
    _links: dict[int, Link] = field(init=False, repr=False, compare=False)
    tunnels: dict[tuple[int, int, int, int, Encapsulation], tuple[Entry, Entry, int, int]] = field(
        init=False, repr=False, compare=False, default_factory=dict
    )
    """Derived and shared: by versions, addresses and encapsulation, the entries of each tunnel with its peer_id and
    tunnel_id."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "_links", {link.link_id: link for link in self.links})
        if len(self._links) != len(self.links):
            raise P4pmipError("links", [link.link_id for link in self.links], "link ids must differ")

    def link(self, link_id: int) -> Link:
        """The link of this id; P4pmipError if there is none."""
        try:
            return self._links[link_id]
        except KeyError:
            raise P4pmipError("link", link_id, "no such link", self._links) from None

    def vrf(self, realm: str | None) -> int:
        """The VRF of a realm, or of the transport network; P4pmipError if there is no such realm."""
        if realm is None:
            return VRF_TRANSPORT
        try:
            return self.realms[realm].vrf
        except KeyError:
            raise P4pmipError("realm", realm, "no such realm", self.realms) from None

    def settings(self, peer: IPAddress) -> TunnelSettings:
        """The settings of the tunnel to a peer."""
        return self.peers.get(peer, self.tunnel)


def mac_number(mac: bytes) -> int:
    """A link-layer address as entries have it."""
    return int.from_bytes(mac, "big")


def is_ipv6(address: IPv4Address | IPv6Address) -> bool:
    """Which of a pair of tables an address belongs to."""
    return address.version == 6
