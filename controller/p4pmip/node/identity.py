"""Who a mobile node is: its link-layer address, by policy, gives its MN-Identifier (RFC 5213 §6.6)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import islice

from p4pmip.mobility.config import Directory, Profile
from p4pmip.node.config import Config, Lma, Mag, NodeSettings
from p4pmip.node.context import link_id
from p4pmip.wire.ethernet import mac as mac_octets

_LOOKS = 64


@dataclass(frozen=True, slots=True)
class Identities:
    """The MN-Identifier of a link-layer address on an access link."""

    known: dict[bytes, bytes]
    defaults: dict[int, str]
    """Access port → the realm of nodes that are not known."""

    def identify(self, mac: bytes, link: int) -> bytes | None:
        """The NAI; None: nobody of ours."""
        nai = self.known.get(mac)
        if nai is None and link in self.defaults:
            nai = f"{mac.hex()}@{self.defaults[link]}".encode()
        return nai


def identities(config: Config, node: NodeSettings) -> Identities:
    """The identities that a MAG of this node knows."""
    return Identities(
        {mac_octets(mac): mobile_node.nai.encode() for mobile_node in config.mobile_nodes for mac in mobile_node.mac},
        {link_id(port): port.realm for port in node.ports if port.role == "access" and port.realm is not None},
    )


class Guests:
    """Mobile nodes that are on an access link by its default realm alone: on each only so many at a time.

    Who can send on a link can have any number of link-layer addresses there, and would take the realm's whole pool.

    Args:
        limits: Access link → how many.
        there: Whether a link-layer address is registered on an access link, or about to be.
    """

    def __init__(self, limits: Mapping[int, int], there: Callable[[bytes, int], bool]) -> None:
        self._limits = limits
        self._there = there
        self._guests: dict[int, dict[bytes, None]] = {link: {} for link in limits}

    def note(self, mac: bytes, link: int) -> None:
        """One is there from before a restart."""
        if link in self._guests:
            self._guests[link][mac] = None

    def admit(self, mac: bytes, link: int) -> bool:
        """Whether one may be registered: there is room, or it has its place already."""
        guests, limit = self._guests[link], self._limits[link]
        if mac in guests:
            return True
        if len(guests) >= limit:
            # Who has left is found out when room is needed; of very many only some at once, each in its turn.
            for other in [*islice(guests, _LOOKS)]:
                del guests[other]
                if self._there(other, link):
                    self.note(other, link)
        if len(guests) >= limit:
            return False
        self.note(mac, link)
        return True


def guest_limits(node: NodeSettings) -> dict[int, int]:
    """How many mobile nodes each access link with a default realm takes for its sake."""
    return {
        link_id(port): port.default_realm_limit
        for port in node.ports
        if port.role == "access" and port.realm is not None
    }


def directory(config: Config, role: Lma | Mag) -> Directory:
    """The policy profiles: named mobile nodes, and each realm's name as the domain of those that are not."""
    served = role.realms if isinstance(role, Lma) and role.realms else tuple(config.realms)
    entitled = {
        name: Profile(
            name, ipv4=config.realms[name].ipv4_pool is not None, ipv6=config.realms[name].prefix_pool is not None
        )
        for name in served
    }
    return Directory(
        mobile_nodes={
            mobile_node.nai.encode(): Profile(
                mobile_node.realm,
                ipv4=entitled[mobile_node.realm].ipv4,
                ipv6=entitled[mobile_node.realm].ipv6,
                ipv4_home_address=mobile_node.ipv4,
                prefixes=() if mobile_node.prefix is None else (mobile_node.prefix,),
            )
            for mobile_node in config.mobile_nodes
            if mobile_node.realm in entitled
        },
        domains={name.encode(): profile for name, profile in entitled.items()},
    )
