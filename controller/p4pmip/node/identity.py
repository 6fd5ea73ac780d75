"""Who a mobile node is: its link-layer address, by policy, gives its MN-Identifier (RFC 5213 §6.6)."""

from dataclasses import dataclass

from p4pmip.mobility.config import Directory, Profile
from p4pmip.node.config import Config, Lma, Mag, NodeSettings
from p4pmip.node.context import link_id
from p4pmip.wire.ethernet import mac as mac_octets


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
