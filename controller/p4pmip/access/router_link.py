"""A link on which a node is a router for other routers and hosts."""

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from p4pmip.access.frame import link_local
from p4pmip.mobility.binding import IPAddress

IPNetwork = IPv4Network | IPv6Network


@dataclass(frozen=True, slots=True)
class RouterLink:
    """One of them: of the transport network, or an operator's behind an LMA."""

    link: int
    mac: bytes
    addresses: tuple[IPAddress, ...] = ()
    """Its own."""
    realm: str | None = None
    """Whose address space is behind it; None: the transport network."""
    proxied: tuple[IPNetwork, ...] = ()
    """Pools of home addresses and prefixes: what others on the link take for on-link is reached through this node."""
    on_link: tuple[IPNetwork, ...] = ()
    """What is reached without a further router."""

    @property
    def link_local(self) -> IPv6Address:
        """Its link-local address, by its MAC address."""
        return link_local(self.mac)

    @property
    def ipv4(self) -> IPv4Address | None:
        """The address it speaks from over IPv4."""
        return next((address for address in self.addresses if isinstance(address, IPv4Address)), None)

    @property
    def ipv6(self) -> IPv6Address | None:
        """The address it speaks from over IPv6, beyond the link."""
        return next((address for address in self.addresses if isinstance(address, IPv6Address)), None)
