"""Figure 1 of the draft as data: two operators with the same addresses, four mobile nodes, two MAGs, one LMA."""

import itertools
from dataclasses import dataclass
from ipaddress import IPv4Address
from random import Random
from typing import Any

from p4pmip.node import config as file
from p4pmip.p4runtime.target import Target
from p4pmip.wire.ethernet import mac

LMA, MAGS = "lma", ("mag-1", "mag-2")
NODES = (LMA, *MAGS)
OPERATORS = ("operator-a", "operator-b")
SERVER_ADDRESS = IPv4Address("172.16.0.10")
"""Of the correspondent node in either operator: they overlap too."""
SERVICE_ADDRESS = IPv4Address("172.16.0.1")
"""Of the LMA in either operator's network."""
TRANSPORT_PORT = {"lma": {"mag-1": 1, "mag-2": 2}, "mag-1": {"lma": 1}, "mag-2": {"lma": 1}}
SERVICE_PORT = {"operator-a": 11, "operator-b": 12}
ACCESS_PORTS = (11, 12, 13, 14)
TUNNEL = {"lma": "2001:db8:100::1", "mag-1": "2001:db8:101::1", "mag-2": "2001:db8:102::1"}
HOLD = 0.5
"""Seconds: MinDelayBeforeBCEDelete here, so that the demo need not wait for RFC 5213's ten."""


@dataclass(frozen=True, slots=True)
class Subscriber:
    """A mobile node of the figure."""

    name: str
    operator: str
    mac: bytes
    address: IPv4Address
    port: int
    """The access port it uses, at whichever MAG."""

    @property
    def nai(self) -> str:
        """Its MN-Identifier."""
        return f"{self.name}@{self.operator}.example"


SUBSCRIBERS = (
    Subscriber("mn-1", "operator-a", mac("02:00:00:00:01:01"), IPv4Address("10.1.0.10"), 11),
    Subscriber("mn-2", "operator-a", mac("02:00:00:00:01:02"), IPv4Address("10.1.0.20"), 12),
    Subscriber("mn-3", "operator-b", mac("02:00:00:00:01:03"), IPv4Address("10.1.0.10"), 13),
    Subscriber("mn-4", "operator-b", mac("02:00:00:00:01:04"), IPv4Address("10.1.0.30"), 14),
)
SERVER_MAC = {"operator-a": mac("02:00:00:00:0a:0a"), "operator-b": mac("02:00:00:00:0b:0b")}
_NODE_OCTET = {"lma": 0xF0, "mag-1": 0xF1, "mag-2": 0xF2}


def port_mac(node: str, port: int) -> str:
    """A node's own link-layer address on one of its ports."""
    return f"02:00:00:00:{_NODE_OCTET[node]:02x}:{port:02x}"


def loopback_addresses(random: Random) -> dict[str, str]:
    """An address of 127/8 for the signalling of each node, none of them 127.0.0.1."""
    drawn: set[str] = set()
    while len(drawn) < len(NODES):
        drawn.add(f"127.{random.randint(1, 254)}.{random.randint(0, 255)}.{random.randint(1, 254)}")
    return dict(zip(NODES, sorted(drawn), strict=True))


def configuration(signalling: dict[str, str], targets: dict[str, Target], keys: str, folder: str) -> file.Config:
    """The figure as a configuration file would have it."""
    return file.parse(
        {
            "realms": {
                operator: {
                    "ipv4_pool": "10.1.0.0/16",
                    "keys": keys,
                    "gre": {"wanted": "key", "required": True},
                }
                for operator in OPERATORS
            },
            "mobile_nodes": [
                {
                    "nai": one.nai,
                    "realm": one.operator,
                    "mac": [one.mac.hex(":")],
                    "ipv4": str(one.address),
                }
                for one in SUBSCRIBERS
            ],
            "nodes": {
                name: {
                    "signalling": {"transport": "udp", "address": signalling[name]},
                    "tunnel": {"address": TUNNEL[name]},
                    "target": f"{targets[name].address}/{targets[name].device_id}",
                    "journal": f"{folder}/{name}.db",
                    "ports": _ports(name),
                    **_role(name),
                }
                for name in NODES
            },
        }
    )


def _role(name: str) -> dict[str, Any]:
    if name == LMA:
        return {"lma": {"min_delay_before_bce_delete": HOLD}}
    return {"mag": {"lma": LMA}}


def _ports(name: str) -> list[dict[str, Any]]:
    transport = [
        {
            "number": port,
            "role": "transport",
            "mac": port_mac(name, port),
            "address": [TUNNEL[name]],
            "neighbours": {TUNNEL[other]: port_mac(other, TRANSPORT_PORT[other][name])},
        }
        for other, port in TRANSPORT_PORT[name].items()
    ]
    if name != LMA:
        return transport + [{"number": port, "role": "access"} for port in ACCESS_PORTS]
    return transport + [
        {
            "number": SERVICE_PORT[operator],
            "role": "service",
            "realm": operator,
            "mac": port_mac(name, SERVICE_PORT[operator]),
            "address": [str(SERVICE_ADDRESS)],
            "neighbours": {str(SERVER_ADDRESS): SERVER_MAC[operator].hex(":")},
            "gateway": [str(SERVER_ADDRESS)],
        }
        for operator in OPERATORS
    ]


def ports_of(name: str) -> tuple[int, ...]:
    """The ports of a node's switch that have wires."""
    return (*TRANSPORT_PORT[name].values(), *(SERVICE_PORT.values() if name == LMA else ACCESS_PORTS))


def overlapping() -> tuple[Subscriber, Subscriber]:
    """The two mobile nodes that hold one address in two operators."""
    for one, other in itertools.combinations(SUBSCRIBERS, 2):
        if one.address == other.address:
            return one, other
    raise AssertionError("the figure has such a pair")
