"""Bindings and contexts for the tests of this folder."""

from ipaddress import IPv4Address, IPv4Interface, IPv6Address, IPv6Network, ip_address, ip_network

from p4pmip.forwarding.context import Context, Link, LinkRole, Neighbour, Realm, Route
from p4pmip.mobility.binding import AccessLink, Binding, Granularity, Gre, Phase, Role, Tunnel

LMA = IPv6Address("2001:db8:a::1")
MAG_1 = IPv6Address("2001:db8:b::1")
MAG_2 = IPv6Address("2001:db8:c::1")
MAC = bytes.fromhex("020000000a01")

ANCHOR = Context(
    links=(
        Link(1, 1, LinkRole.TRANSPORT, bytes.fromhex("020000000001")),
        Link(2, 2, LinkRole.TRANSPORT, bytes.fromhex("020000000002")),
        Link(5, 5, LinkRole.SERVICE, bytes.fromhex("020000000005"), realm="a"),
        Link(6, 6, LinkRole.SERVICE, bytes.fromhex("020000000006"), realm="b", vlan=60, mtu=9000),
    ),
    end_points=(LMA, IPv4Address("192.0.2.1")),
    realms={
        "a": Realm(1, (ip_network("10.0.0.0/16"), ip_network("2001:db8:f0::/44")), (ip_address("10.0.0.254"),)),
        "b": Realm(2, (ip_network("192.0.2.0/24"),)),
    },
    neighbours=(
        Neighbour(1, MAG_1, bytes.fromhex("020000000f01")),
        Neighbour(2, MAG_2, bytes.fromhex("020000000f02")),
        Neighbour(5, ip_address("172.16.0.10"), bytes.fromhex("020000000c05")),
        Neighbour(5, ip_address("2001:db8:ffff::1"), bytes.fromhex("020000000c05")),
    ),
    routes=(
        Route(ip_network("0.0.0.0/0"), 5, ip_address("172.16.0.10"), "a"),
        Route(ip_network("::/0"), 5, ip_address("2001:db8:ffff::1"), "a"),
        Route(ip_network("172.16.0.0/24"), 5, None, "a"),
        Route(ip_network("0.0.0.0/0"), 6, ip_address("172.16.0.10"), "b"),
    ),
)
GATEWAY = Context(
    links=(
        Link(1, 1, LinkRole.TRANSPORT, bytes.fromhex("020000000001")),
        Link(3, 3, LinkRole.ACCESS, bytes.fromhex("020000000003"), mtu=1400),
        Link(4, 4, LinkRole.ACCESS, bytes.fromhex("020000000004"), vlan=40),
    ),
    end_points=(MAG_1,),
    realms={"a": Realm(1), "b": Realm(2)},
    neighbours=(Neighbour(1, LMA, bytes.fromhex("020000000f01")),),
)


def binding(role: Role, **changes: object) -> Binding:
    """MN-1's binding at one end of the tunnel between the LMA and MAG-1."""
    tunnel = Tunnel(LMA, MAG_1) if role is Role.LMA else Tunnel(MAG_1, LMA)
    values: dict[str, object] = {
        "role": role,
        "mn": b"mn-1@a.example",
        "realm": "a",
        "session_id": 1,
        "phase": Phase.ACTIVE,
        "prefixes": (IPv6Network("2001:db8:f1::/64"),),
        "ipv4": IPv4Interface("10.0.0.1/16"),
        "ipv4_router": IPv4Address("10.0.0.254"),
        "tunnel": tunnel,
        "gre": Gre.KEYED,
        "granularity": Granularity.SESSION,
        "uplink_key": 0x11,
        "downlink_key": 0x12,
        "access": AccessLink(3, MAC) if role is Role.MAG else None,
    }
    return Binding(**(values | changes))  # type: ignore[arg-type]
