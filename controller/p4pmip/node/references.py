"""What a configuration says in one place about another: names that must exist, things that must not collide."""

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from ipaddress import IPv6Network, ip_address, ip_network
from itertools import combinations
from pathlib import Path

from p4pmip.errors import P4pmipError
from p4pmip.node.schema import Config, MobileNode, NodeSettings, Realm
from p4pmip.node.secret import read_secret
from p4pmip.node.values import NAI_MAXIMUM, IPAddress, tcp_text

_SOCKET_PATH = 107
"""Octets of a Unix socket's path (unix(7))."""


def references(config: Config) -> Iterator[str]:
    """One line for everything that names something else and does not find it, and everything that collides."""
    for index, mobile_node in enumerate(config.mobile_nodes):
        yield from _mobile_node(config, f"mobile_nodes.{index}", mobile_node)
    yield from _doubles(config)
    yield from _overlapping_prefixes(config)
    yield from _pools(config)
    for name, node in config.nodes.items():
        yield from _role(config, name, node)
        yield from _ports(config, f"nodes.{name}", node)
        yield from _target(config, name, node)
        yield from _ways(config, name, node)
        yield from _files(config, name, node)
    yield from _shared(config)


def _mobile_node(config: Config, where: str, mobile_node: MobileNode) -> Iterator[str]:
    realm = config.realms.get(mobile_node.realm)
    if realm is None:
        yield f"{where}.realm: unknown realm: {mobile_node.realm!r} (valid: {', '.join(config.realms)})"
        return
    address, pool = mobile_node.ipv4, realm.ipv4_pool
    if address is not None:
        if pool is None or address not in pool:
            yield f"{where}.ipv4: not in the realm's ipv4_pool {pool}: '{address}'"
        elif address in (pool.network_address, pool.broadcast_address):
            yield f"{where}.ipv4: no host address of the realm's ipv4_pool {pool}: '{address}'"
        elif address == realm.router:
            yield f"{where}.ipv4: the router's address in realm {mobile_node.realm}: '{address}'"
    prefix = mobile_node.prefix
    if prefix is not None and (realm.prefix_pool is None or not prefix.subnet_of(realm.prefix_pool)):
        yield f"{where}.prefix: not in the realm's prefix_pool {realm.prefix_pool}: '{prefix}'"
    elif prefix is not None and prefix.prefixlen != realm.prefix_length:
        yield (
            f"{where}.prefix: not of the length in which the realm's prefix_pool is given to others: '{prefix}' "
            f"(valid: /{realm.prefix_length})"
        )


def _doubles(config: Config) -> Iterator[str]:
    seen: dict[tuple[str, object], int] = {}
    for index, mobile_node in enumerate(config.mobile_nodes):
        keys: list[tuple[str, object]] = [("nai", mobile_node.nai), *(("mac", mac) for mac in mobile_node.mac)]
        if mobile_node.ipv4 is not None:
            keys.append((f"ipv4 of realm {mobile_node.realm}", mobile_node.ipv4))
        for kind, value in keys:
            first = seen.setdefault((kind, value), index)
            if first != index:
                yield f"mobile_nodes.{index}: {kind} is already that of mobile_nodes.{first}: '{value}'"


def _overlapping_prefixes(config: Config) -> Iterator[str]:
    given = [(one.prefix, index) for index, one in enumerate(config.mobile_nodes) if one.prefix is not None]
    around: list[tuple[IPv6Network, int]] = []
    # In this order whatever lies in a prefix comes right after it.
    for prefix, index in sorted(given, key=lambda one: (one[0].network_address, one[0].prefixlen, one[1])):
        while around and not prefix.subnet_of(around[-1][0]):
            around.pop()
        if around:
            other, first = around[-1]
            yield f"mobile_nodes.{index}.prefix: overlaps that of mobile_nodes.{first}, {other}: '{prefix}'"
        around.append((prefix, index))


def _pools(config: Config) -> Iterator[str]:
    for (other, theirs), (name, mine) in combinations(config.realms.items(), 2):
        if mine.prefix_pool and theirs.prefix_pool and mine.prefix_pool.overlaps(theirs.prefix_pool):
            yield f"realms.{name}.prefix_pool: overlaps that of realm {other}: '{mine.prefix_pool}'"
    for name, realm in config.realms.items():
        if realm.gre.wanted != "key" and (others := _overlapping(config, name, realm)):
            yield (
                f"realms.{name}.gre.wanted: the ipv4_pool overlaps that of {', '.join(others)}, which only keys "
                f"tell apart: {realm.gre.wanted!r} (valid: 'key')"
            )


def _overlapping(config: Config, name: str, realm: Realm) -> list[str]:
    pool = realm.ipv4_pool
    return [
        other
        for other, theirs in config.realms.items()
        if other != name and pool is not None and theirs.ipv4_pool is not None and theirs.ipv4_pool.overlaps(pool)
    ]


def _role(config: Config, name: str, node: NodeSettings) -> Iterator[str]:
    where = f"nodes.{name}"
    if node.mag is not None:
        others = {other: settings for other, settings in config.nodes.items() if settings.lma is not None}
        known = list(dict.fromkeys([*node.peers, *others]))
        if node.mag.lma not in known:
            what = "that node is no LMA" if node.mag.lma in config.nodes else "unknown peer"
            yield f"{where}.mag.lma: {what}: {node.mag.lma!r} (valid: {', '.join(known) or 'none is given'})"
        elif node.mag.lma in others and node.mag.lma not in node.peers:
            yield from _same_transport(where, node, node.mag.lma, others[node.mag.lma])
    for peer, settings in node.peers.items():
        for realm in settings.realms or ():
            if realm not in config.realms:
                yield f"{where}.peers.{peer}.realms: unknown realm: {realm!r} (valid: {', '.join(config.realms)})"
    for realm in node.lma.realms if node.lma else ():
        if realm not in config.realms:
            yield f"{where}.lma.realms: unknown realm: {realm!r} (valid: {', '.join(config.realms)})"
    if node.lma is not None and not node.lma.gre_supported:
        for realm in config.realms:
            if config.realms[realm].gre.wanted != "none":
                yield (
                    f"{where}.lma.gre_supported: realm {realm} wants GRE of an LMA without it: False "
                    f"(valid: True, or realms.{realm}.gre.wanted 'none')"
                )
    addresses: dict[IPAddress, str] = {}
    for peer, settings in node.peers.items():
        first = addresses.setdefault(settings.address, peer)
        if first != peer:
            yield f"{where}.peers.{peer}.address: already that of peer {first}: '{settings.address}'"
        if settings.address == node.signalling.address:
            yield f"{where}.peers.{peer}.address: the node's own signalling address: '{settings.address}'"
        elif settings.address.version != node.signalling.address.version:
            yield (
                f"{where}.peers.{peer}.address: cannot be reached from {node.signalling.address}: "
                f"'{settings.address}' (valid: an IPv{node.signalling.address.version} address)"
            )


def _files(config: Config, name: str, node: NodeSettings) -> Iterator[str]:
    """What a node will open must be there, or be possible to make."""
    where = f"nodes.{name}"
    admin = config.admin(name)
    for key, path in (("journal", config.journal(name)), ("admin", admin)):
        if isinstance(path, Path):
            if not path.parent.is_dir():
                yield f"{where}.{key}: no such folder: '{path.parent}'"
            elif path.is_dir():
                yield f"{where}.{key}: a folder: '{path}'"
    if isinstance(admin, Path) and len(str(admin).encode()) > _SOCKET_PATH:
        yield f"{where}.admin: too long for a socket: '{admin}' (valid: {_SOCKET_PATH} octets)"
    for peer, settings in node.peers.items():
        if settings.secret_file is not None:
            try:
                read_secret(f"{where}.peers.{peer}.secret_file", settings.secret_file)
            except P4pmipError as error:
                yield str(error)


def _same_transport(where: str, node: NodeSettings, lma: str, other: NodeSettings) -> Iterator[str]:
    mine, theirs = node.signalling, other.signalling
    if mine.address.version != theirs.address.version:
        yield (
            f"{where}.signalling.address: cannot reach that of {lma}, {theirs.address}: '{mine.address}' "
            f"(valid: an IPv{theirs.address.version} address)"
        )
    elif "in-band" in (mine.transport, theirs.transport) and mine.transport != theirs.transport:
        yield (
            f"{where}.signalling.transport: that of {lma} is {theirs.transport}: {mine.transport!r} "
            f"(valid: {theirs.transport!r})"
        )


def _ports(config: Config, where: str, node: NodeSettings) -> Iterator[str]:
    for index, port in enumerate(node.ports):
        if port.realm is not None and port.realm not in config.realms:
            yield f"{where}.ports.{index}.realm: unknown realm: {port.realm!r} (valid: {', '.join(config.realms)})"
        elif port.role == "access" and len(f"{bytes(6).hex()}@{port.realm}".encode()) > NAI_MAXIMUM:
            yield (
                f"{where}.ports.{index}.realm: too long for MAC@REALM, the NAI of those who are not known: "
                f"{port.realm!r} (valid: {NAI_MAXIMUM - 13} octets)"
            )
    if node.mag is not None and not any(port.role == "access" for port in node.ports):
        yield f"{where}.ports: a MAG needs a port with role access"
    if not any(port.role == "transport" for port in node.ports) and not (node.mag and node.lma):
        yield f"{where}.ports: a node needs a port with role transport"
    numbers = sorted({port.number for port in node.ports if port.role == "transport"})
    for index, route in enumerate(node.routes):
        if route.port not in numbers:
            choices = ", ".join(map(str, numbers))
            yield f"{where}.routes.{index}.port: no transport port: {route.port} (valid: {choices})"
        if route.via.version != route.to.version:
            yield f"{where}.routes.{index}.via: not of the family of {route.to}: '{route.via}'"
    yield from _next_hops(where, node)


def _next_hops(where: str, node: NodeSettings) -> Iterator[str]:
    """A switch has one way to a destination, and a neighbour of its network one link-layer address."""
    ways: dict[object, str] = {}
    macs: dict[object, tuple[str, str]] = {}
    for index, route in enumerate(node.routes):
        first = ways.setdefault((None, route.to), f"routes.{index}")
        if first != f"routes.{index}":
            yield f"{where}.routes.{index}.to: already that of {first}: '{route.to}'"
    for index, port in enumerate(node.ports):
        for gateway in port.gateway:
            everything = ip_network("0.0.0.0/0" if gateway.version == 4 else "::/0")
            first = ways.setdefault((port.realm, everything), f"ports.{index}")
            if first != f"ports.{index}":
                yield f"{where}.ports.{index}.gateway: there is a default route by {first}: '{gateway}'"
        for address, mac in port.neighbours.items():
            known, first = macs.setdefault((port.realm, address), (mac, f"ports.{index}"))
            if known != mac and not address.is_link_local:
                yield f"{where}.ports.{index}.neighbours: {address} has another address at {first}, {known}: '{mac}'"


def _target(config: Config, name: str, node: NodeSettings) -> Iterator[str]:
    try:
        config.target(name)
    except P4pmipError as error:
        choices = ", ".join(["HOST:PORT[/DEVICE_ID]", *map(str, error.choices)])
        yield f"nodes.{name}.target: {error.problem}: {node.target!r} (valid: {choices})"


def _ways(config: Config, name: str, node: NodeSettings) -> Iterator[str]:
    """Every tunnel end point that is known from the file must have a route."""
    ends: dict[str, IPAddress] = {}
    for other, settings in config.nodes.items():
        linked = (node.mag and node.mag.lma == other and settings.lma) or (
            settings.mag and settings.mag.lma == name and node.lma
        )
        if linked and other != name:
            ends[other] = settings.tunnel.address
    for other, peer in node.peers.items():
        if peer.tunnel is not None:
            ends[other] = peer.tunnel
    for other, address in ends.items():
        if address.version != node.tunnel.address.version:
            yield (
                f"nodes.{name}.tunnel.address: not of the family of that of {other}, {address}: "
                f"'{node.tunnel.address}' (valid: an IPv{address.version} address)"
            )
        elif not _reaches(node, address):
            yield (
                f"nodes.{name}: no way to the tunnel end point of {other}: '{address}' "
                "(valid: a neighbour or gateway of a transport port, or a route)"
            )


def _reaches(node: NodeSettings, address: IPAddress) -> bool:
    transport = [port for port in node.ports if port.role == "transport"]
    return (
        any(address in port.neighbours for port in transport)
        or any(gateway.version == address.version for port in transport for gateway in port.gateway)
        or any(route.to.version == address.version and address in route.to for route in node.routes)
    )


def _shared(config: Config) -> Iterator[str]:
    """What only one node of a file may have, and only once."""
    what: dict[tuple[str, ...], Callable[[str, str], object]] = {
        ("target",): lambda name, _: _switch(config, name),
        ("journal", "admin"): lambda name, key: config.journal(name) if key == "journal" else config.admin(name),
        ("signalling.address",): lambda name, _: config.nodes[name].signalling.address,
        ("tunnel.address",): lambda name, _: config.nodes[name].tunnel.address,
    }
    for keys, value_of in what.items():
        seen: dict[object, tuple[str, str]] = {}
        for name in config.nodes:
            for key in keys:
                value = value_of(name, key)
                first = seen.setdefault(os.path.realpath(value) if isinstance(value, Path) else value, (name, key))
                if first != (name, key):
                    where = f"nodes.{first[0]}" + (f".{first[1]}" if first[1] != key else "")
                    shown = tcp_text(*value) if isinstance(value, tuple) else value
                    yield f"nodes.{name}.{key}: already that of {where}: '{shown}'"


def _switch(config: Config, name: str) -> str:
    """Where the switch of a node is, whatever the file calls it."""
    try:
        target = config.target(name)
    except P4pmipError:
        return config.nodes[name].target
    host, _, port = target.address.rpartition(":")
    host = host.lower().removeprefix("[").removesuffix("]")
    if host == "unix":
        return f"unix:{os.path.realpath(port)}/{target.device_id}"
    with suppress(ValueError):
        host = str(ip_address("127.0.0.1" if host == "localhost" else host))
    return f"{tcp_text(host, int(port))}/{target.device_id}"
