"""From the configuration file to the context that entries are derived from."""

from collections.abc import Iterable, Iterator
from ipaddress import ip_network

from p4pmip.access.served import ROUTER_LINK_LOCAL, ROUTER_MAC
from p4pmip.forwarding.context import (
    Context,
    Ids,
    Link,
    LinkRole,
    Neighbour,
    Realm,
    Route,
    TunnelSettings,
)
from p4pmip.mobility.binding import Binding, Gre, IPAddress
from p4pmip.mobility.record import Record, of, read
from p4pmip.node.config import Config, NodeSettings, Port
from p4pmip.wire.ethernet import mac as mac_octets

ID_KIND = "id"
_IPV4_HEADER, _IPV6_HEADER, _UDP_HEADER, _TLV_HEADER, _GRE_HEADER, _GRE_KEY = 20, 40, 8, 4, 4, 4


def journalled_ids(records: Iterable[Record]) -> Ids:
    """The small ids that a journal remembers.

    Raises:
        RecordError: A row was not written by this package.
    """
    return Ids(read(record, _id_from) for record in records if record.kind == ID_KIND)


def _id_from(record: Record) -> tuple[str, tuple[object, ...], int]:
    row = record.payload
    name = tuple(of(list, row["name"]))
    hash(name)
    return of(str, row["kind"]), name, of(int, row["number"])


def new_ids(ids: Ids) -> Iterator[Record]:
    """Rows for the ids given since the last call."""
    given, ids.new[:] = list(ids.new), []
    for kind, name, number in given:
        yield Record(ID_KIND, f"{kind}/{number}", {"kind": kind, "name": list(name), "number": number})


def link_id(port: Port) -> int:
    """The id of the link on a port and VLAN: the port's number where it is untagged."""
    return port.number if port.vlan is None else 512 + (port.number * 4096 + port.vlan) % 3584


def own_mac(port: Port) -> bytes:
    """The node's link-layer address on a port: configured, RFC 6543's on an access link, else made from its number."""
    if port.mac is not None:
        return mac_octets(port.mac)
    return ROUTER_MAC if port.role == "access" else bytes((2, 0, 0, 0x50, *port.number.to_bytes(2, "big")))


def context_of(config: Config, node: NodeSettings, ids: Ids) -> Context:
    """Everything but bindings that the entries of a node's switch are derived from."""
    anchored = node.lma is not None
    dscp = None if node.tunnel.dscp == "uniform" else node.tunnel.dscp
    return Context(
        links=tuple(_link(port) for port in node.ports),
        end_points=tuple(dict.fromkeys(_end_points(node))),
        realms={name: _realm(config, name, ids, anchored) for name in config.realms},
        neighbours=tuple(_neighbours(node)),
        routes=tuple(_routes(node)),
        tunnel=TunnelSettings(node.tunnel.hop_limit, dscp, node.tunnel.mtu),
        local_routing=node.mag is not None and node.mag.enable_mag_local_routing,
        ids=ids,
    )


def _end_points(node: NodeSettings) -> Iterator[IPAddress]:
    yield node.tunnel.address
    if node.signalling.transport == "in-band":
        yield node.signalling.address


def _link(port: Port) -> Link:
    # A ping of the router comes up from whichever of its addresses a mobile node sends it.
    router = (ROUTER_LINK_LOCAL,) if port.role == "access" else ()
    return Link(
        link_id(port),
        port.number,
        LinkRole(port.role),
        own_mac(port),
        port.vlan or 0,
        port.mtu,
        port.realm if port.role == "service" else None,
        (*port.address, *router),
    )


def _realm(config: Config, name: str, ids: Ids, anchored: bool) -> Realm:
    realm = config.realms[name]
    number = ids.number("vrf", (name,))
    if not anchored:
        return Realm(number)
    pools = tuple(pool for pool in (realm.ipv4_pool, realm.prefix_pool) if pool is not None)
    return Realm(number, pools, () if realm.router is None else (realm.router,))


def _neighbours(node: NodeSettings) -> Iterator[Neighbour]:
    for port in node.ports:
        for address, mac in port.neighbours.items():
            yield Neighbour(link_id(port), address, mac_octets(mac))


def _routes(node: NodeSettings) -> Iterator[Route]:
    ports = {port.number: port for port in node.ports}
    for route in node.routes:
        yield Route(route.to, link_id(ports[route.port]), route.via)
    for port in node.ports:
        for address in port.gateway:
            everything = ip_network("0.0.0.0/0" if address.version == 4 else "::/0")
            yield Route(everything, link_id(port), address, port.realm)


def next_hops(context: Context) -> Iterator[tuple[int, IPAddress]]:
    """Links and addresses whose link-layer address has to be found, since no static one is given."""
    known = {(neighbour.link_id, neighbour.address) for neighbour in context.neighbours}
    for route in context.routes:
        if route.via is not None and (route.link_id, route.via) not in known:
            yield route.link_id, route.via


def link_mtu(binding: Binding, context: Context) -> int:
    """What a mobile node may send: the smaller of the access link's MTU and what the tunnel carries (§6.9.5)."""
    tunnel = context.settings(binding.tunnel.peer).mtu - tunnel_overhead(binding)
    return tunnel if binding.access is None else min(tunnel, context.link(binding.access.link).mtu)


def tunnel_overhead(binding: Binding) -> int:
    """Octets that the tunnel puts in front of a packet."""
    gre = {Gre.PLAIN: 0, Gre.MODE: _GRE_HEADER, Gre.KEYED: _GRE_HEADER + _GRE_KEY}[binding.gre]
    udp = (_UDP_HEADER + (_TLV_HEADER if gre else 0)) if binding.tunnel.udp else 0
    return (_IPV6_HEADER if binding.tunnel.peer.version == 6 else _IPV4_HEADER) + udp + gre
