"""The entries that no binding asks for: links, own addresses, routes, neighbours; and the rates of the punt meters."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from ipaddress import ip_network

from p4pmip.forwarding.context import Context, IPNetwork, Link, LinkRole, is_ipv6, mac_number
from p4pmip.forwarding.entry import Entry, Lpm
from p4pmip.forwarding.program import VRF_TRANSPORT, PuntReason, Reason
from p4pmip.forwarding.session import nexthop
from p4pmip.mobility.binding import IPAddress

_SET_ROLE = {
    LinkRole.ACCESS: "set_access",
    LinkRole.TRANSPORT: "set_transport",
    LinkRole.SERVICE: "set_service",
}


def base_entries(context: Context) -> tuple[Entry, ...]:
    """Ports, own addresses, routes and next hops of a configuration, each key once.

    Raises:
        P4pmipError: A route or neighbour names a link or realm that does not exist.
    """
    found: dict[object, Entry] = {}
    # What comes first stays: own addresses before routes to the same place, neighbours before the routes over them.
    for entry in (*_links(context), *_addresses(context), *_neighbours(context), *_routes(context), *_pools(context)):
        found.setdefault(entry.key, entry)
    return tuple(found.values())


def _links(context: Context) -> Iterator[Entry]:
    for link in context.links:
        params: tuple[tuple[str, int], ...] = (("link_id", link.link_id),)
        if link.role is LinkRole.SERVICE:
            params = (("vrf", context.vrf(link.realm)), *params)
        yield Entry("port_vlan", (("port", link.port), ("vlan_id", link.vlan)), _SET_ROLE[link.role], params)
        yield Entry("my_station", (("link_id", link.link_id), ("mac", mac_number(link.mac))), "NoAction")


def _addresses(context: Context) -> Iterator[Entry]:
    for address in context.end_points:
        yield _local(VRF_TRANSPORT, address)
        yield _route(VRF_TRANSPORT, _host(address), "local")
        for realm in context.realms.values():
            # Nothing in a realm may reach an end point. An IPv4 address may however mean another host there.
            if is_ipv6(address) or not any(address in pool for pool in realm.pools):
                yield _local(realm.vrf, address)
                yield _route(realm.vrf, _host(address), "local")
    for link in context.links:
        vrf = _vrf(link, context)
        for address in link.addresses:
            yield _local(vrf, address)
            if not address.is_link_local:
                yield _route(vrf, _host(address), "stop", (("reason", Reason.ICMP),))
    for realm in context.realms.values():
        for address in realm.routers:
            yield _local(realm.vrf, address)
            yield _route(realm.vrf, _host(address), "stop", (("reason", Reason.ICMP),))


def _neighbours(context: Context) -> Iterator[Entry]:
    for neighbour in context.neighbours:
        link = context.link(neighbour.link_id)
        nexthop_id = nexthop_number(context, neighbour.link_id, neighbour.address)
        yield nexthop(nexthop_id, link.port, link.vlan, mac_number(link.mac), mac_number(neighbour.mac), link.mtu)
        if not neighbour.address.is_link_local:
            params = (("nexthop_id", nexthop_id),)
            yield _route(_vrf(link, context), _host(neighbour.address), "set_nexthop", params)


def _routes(context: Context) -> Iterator[Entry]:
    known = {(neighbour.link_id, neighbour.address) for neighbour in context.neighbours}
    for route in context.routes:
        context.link(route.link_id)
        vrf = context.vrf(route.realm)
        if route.via is not None and (route.link_id, route.via) in known:
            number = nexthop_number(context, route.link_id, route.via)
            yield _route(vrf, route.destination, "set_nexthop", (("nexthop_id", number),))
        else:
            yield _route(vrf, route.destination, "stop", (("reason", Reason.UNRESOLVED),))


def _pools(context: Context) -> Iterator[Entry]:
    for realm in context.realms.values():
        for pool in realm.pools:
            yield _route(realm.vrf, pool, "stop", (("reason", Reason.NO_BINDING),))


def nexthop_number(context: Context, link_id: int, address: IPAddress) -> int:
    """The id of the next hop that is a neighbour."""
    return context.ids.number("nexthop", (link_id, str(address)))


def _vrf(link: Link, context: Context) -> int:
    return context.vrf(link.realm) if link.role is LinkRole.SERVICE else VRF_TRANSPORT


def _local(vrf: int, address: IPAddress) -> Entry:
    table = "local_v6" if is_ipv6(address) else "local_v4"
    return Entry(table, (("vrf", vrf), ("address", int(address))), "is_local")


def _route(vrf: int, to: IPNetwork, action: str, params: tuple[tuple[str, int], ...] = ()) -> Entry:
    table = "route_v6" if to.version == 6 else "route_v4"
    match = (("vrf", vrf), *((("dst", Lpm(int(to.network_address), to.prefixlen)),) if to.prefixlen else ()))
    return Entry(table, match, action, params)


def _host(address: IPAddress) -> IPNetwork:
    return ip_network(address)


@dataclass(frozen=True, slots=True)
class MeterRate:
    """The rate of one cell of the program's `punts` meter, in packets."""

    index: int
    rate: int
    """Per second; what is beyond it is dropped."""
    burst: int


DEFAULT_RATES: Mapping[PuntReason, tuple[int, int]] = {
    PuntReason.SIGNALLING: (20000, 4000),
    PuntReason.ARP: (100, 50),
    PuntReason.NEIGHBOR_DISCOVERY: (100, 50),
    PuntReason.ROUTER_SOLICITATION: (50, 20),
    PuntReason.DHCP: (50, 20),
    PuntReason.ICMP: (100, 50),
    PuntReason.HOP_LIMIT: (100, 50),
    PuntReason.TOO_BIG: (500, 200),
    PuntReason.UNKNOWN_SOURCE: (100, 50),
    PuntReason.UNRESOLVED: (100, 50),
    PuntReason.LISTENER_REPORT: (50, 20),
}
"""(packets per second, burst) on each link. Signalling comes from peers, on transport links only."""


NO_LINK = 0
"""The link of what the switch received from itself: a tunnel between a MAG and an LMA that share it."""


def punt_meters(context: Context, rates: Mapping[PuntReason, tuple[int, int]] = DEFAULT_RATES) -> tuple[MeterRate, ...]:
    """The rates of packets to the controller, per kind and link."""
    return tuple(
        MeterRate(link_id << 4 | reason, rate, burst)
        for link_id in (NO_LINK, *(link.link_id for link in context.links))
        for reason, (rate, burst) in rates.items()
    )
