"""What a MAG knows of a node that it serves, and the settings of the access side."""

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, IPv6Network
from math import inf

from p4pmip.mobility.binding import Binding, IPAddress
from p4pmip.mobility.timers import Timed
from p4pmip.wire.ethernet import mac

ROUTER_MAC = mac("00-00-5e-00-52-13")
ROUTER_LINK_LOCAL = IPv6Address("fe80::200:5eff:fe00:5213")
"""RFC 6543: the same on every access link of every MAG, so that a node that moved still sees its router."""


@dataclass(frozen=True, slots=True)
class AccessSettings:
    """How a MAG behaves on its access links; times in seconds, rates per second."""

    router_mac: bytes = ROUTER_MAC
    advertisement_interval: float = 600.0
    """MaxRtrAdvInterval (RFC 4861 §6.2.1), for each node by itself."""
    router_lifetime: float = 1800.0
    """AdvDefaultLifetime, at most what the binding has left."""
    longest_lease: float = 86400.0
    """DHCP lease, at most what the binding has left."""
    idle_timeout: float = 60.0
    """Without a sign of life from a node, it is probed."""
    probe_interval: float = 1.0
    """RETRANS_TIMER (RFC 4861 §10)."""
    probes: int = 3
    """MAX_UNICAST_SOLICIT (RFC 4861 §10)."""
    seen_interval: float = 1.0
    """A node that is not served is reported no more often than this."""
    waiting_per_link: int = 256
    """Nodes of one link that are remembered while they are not served, and for `idle_timeout` at the most."""
    error_rate: float = 20.0
    """ICMP errors of one link."""
    error_burst: float = 20.0


@dataclass(frozen=True, slots=True)
class Service:
    """What a mobile node is told: its binding and what goes with it.

    `link_mtu` is the smaller of the tunnel's and the access link's MTU (RFC 5213 §6.9.5).
    """

    binding: Binding
    expires: float
    """When the binding ends, on the monotonic clock."""
    link_mtu: int
    dns: tuple[IPAddress, ...] = ()
    link_local: IPv6Address = ROUTER_LINK_LOCAL
    dhcp_server: bool = True

    def left(self, now: float) -> float:
        """Seconds that the binding has left, not below 0."""
        return max(0.0, self.expires - now)

    @property
    def ipv4_dns(self) -> tuple[IPv4Address, ...]:
        """For DHCP."""
        return tuple(server for server in self.dns if isinstance(server, IPv4Address))

    @property
    def ipv6_dns(self) -> tuple[IPv6Address, ...]:
        """For Router Advertisements."""
        return tuple(server for server in self.dns if isinstance(server, IPv6Address))

    def owns(self, address: IPAddress) -> bool:
        """Whether the address is the mobile node's."""
        if isinstance(address, IPv4Address):
            return self.binding.ipv4 is not None and address == self.binding.ipv4.ip
        return any(address in prefix for prefix in self.binding.prefixes)

    def without(self, earlier: "Service | None") -> tuple[IPv6Network, ...]:
        """Prefixes that an earlier service had and this one has not: to be taken back (RFC 5213 §6.12)."""
        if earlier is None:
            return ()
        return tuple(prefix for prefix in earlier.binding.prefixes if prefix not in self.binding.prefixes)


class ServedNode(Timed):
    """A node that is served, and what is known of its being there; its deadline is the next advertisement or probe.

    Args:
        key: Its link and MAC address.
        service: What it is told.
        heard: When it sent something last.
        link_local: Its own link-local address, if that is known.
    """

    __slots__ = ("advertise_at", "detached", "heard", "key", "link_local", "probed", "probes", "service")

    def __init__(self, key: tuple[int, bytes], service: Service, heard: float, link_local: IPv6Address | None) -> None:
        super().__init__()
        self.key = key
        self.service = service
        self.heard = heard
        self.link_local = link_local
        self.advertise_at = inf
        self.probes = 0
        """Without an answer, since it was heard."""
        self.probed = 0.0
        self.detached = False
        """No probe was answered: it has been reported."""

    def hear(self, now: float) -> None:
        """It has sent something."""
        if not self.detached:
            self.heard, self.probes = max(self.heard, now), 0

    def probe_at(self, settings: AccessSettings) -> float:
        """When it is to be probed, or (once the last probe was not answered) given up."""
        if self.detached:
            return inf
        return self.probed + settings.probe_interval if self.probes else self.heard + settings.idle_timeout
