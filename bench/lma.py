"""An LMA's switch with sessions, and the frames of their mobile nodes: what `bench/softswitch.py` measures with."""

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface, IPv6Address, IPv6Network, ip_address, ip_network

from p4pmip.forwarding.base import base_entries
from p4pmip.forwarding.context import Context, Link, LinkRole, Neighbour, Realm, Route
from p4pmip.forwarding.entry import Entry
from p4pmip.forwarding.session import entries
from p4pmip.mobility.binding import Binding, Granularity, Gre, Phase, Role, Tunnel
from p4pmip.wire.checksum import internet_checksum

SERVICE, TRANSPORT = 1, 2
"""The switch's ports: to the realm's network, and to the MAG."""

_LMA, _MAG = IPv6Address("2001:db8:a::1"), IPv6Address("2001:db8:b::1")
_MACS = {SERVICE: bytes.fromhex("020000000001"), TRANSPORT: bytes.fromhex("020000000002")}
_HOSTS = {SERVICE: bytes.fromhex("020000000a01"), TRANSPORT: bytes.fromhex("020000000a02")}
_GATEWAY = ip_address("172.16.0.1")
_CORRESPONDENT = ip_address("172.16.0.10")
_FIRST_HOST = 0x0A000001
_UPLINK, _DOWNLINK = 0x10000, 0x20000
"""The first GRE key of each direction."""

TUNNEL_OCTETS = 48
"""What an IPv6 and a GRE header with a key add to a frame."""


@dataclass(frozen=True, slots=True)
class Direction:
    """Frames that enter at one port and leave at the other."""

    name: str
    enters: int
    leaves: int


UPLINK = Direction("uplink", TRANSPORT, SERVICE)
DOWNLINK = Direction("downlink", SERVICE, TRANSPORT)


def lma_entries(sessions: int) -> tuple[Entry, ...]:
    """What an LMA writes for so many sessions, an IPv4 address and a prefix each."""
    context = Context(
        (
            Link(SERVICE, SERVICE, LinkRole.SERVICE, _MACS[SERVICE], realm="a"),
            Link(TRANSPORT, TRANSPORT, LinkRole.TRANSPORT, _MACS[TRANSPORT]),
        ),
        (_LMA,),
        {"a": Realm(1)},
        (
            Neighbour(SERVICE, _GATEWAY, _HOSTS[SERVICE]),
            Neighbour(TRANSPORT, IPv6Address("fe80::1"), _HOSTS[TRANSPORT]),
        ),
        (
            Route(ip_network("0.0.0.0/0"), SERVICE, _GATEWAY, "a"),
            Route(ip_network("::/0"), TRANSPORT, IPv6Address("fe80::1")),
        ),
    )
    wanted = {entry.key: entry for entry in base_entries(context)}
    for number in range(sessions):
        binding = Binding(
            Role.LMA, b"mn", "a", number + 1, Phase.ACTIVE, (IPv6Network((0x20010DB800F00000 + number << 64, 64)),),
            IPv4Interface((_FIRST_HOST + number, 16)), None, Tunnel(_LMA, _MAG), Gre.KEYED, Granularity.SESSION,
            _UPLINK + number, _DOWNLINK + number, None,
        )  # fmt: skip
        wanted.update((entry.key, entry) for entry in entries(binding, context))
    return tuple(wanted.values())


def frame(direction: Direction, session: int, octets: int) -> bytes:
    """A frame of a mobile node of `octets` with its Ethernet header; in the tunnel it has TUNNEL_OCTETS more."""
    host = IPv4Address(_FIRST_HOST + session)
    ends = (host, _CORRESPONDENT) if direction is UPLINK else (_CORRESPONDENT, host)
    packet = _udp(ends[0].packed, ends[1].packed, octets - 14)
    kind = 0x0800
    if direction is UPLINK:
        tunnel = bytes.fromhex("60000000") + (len(packet) + 8).to_bytes(2, "big") + bytes.fromhex("2f40")
        tunnel += _MAG.packed + _LMA.packed + bytes.fromhex("20000800") + (_UPLINK + session).to_bytes(4, "big")
        packet, kind = tunnel + packet, 0x86DD
    return _MACS[direction.enters] + _HOSTS[direction.enters] + kind.to_bytes(2, "big") + packet


def _udp(source: bytes, destination: bytes, length: int) -> bytes:
    header = bytes.fromhex("4500") + length.to_bytes(2, "big") + bytes.fromhex("00004000ff110000")
    header += source + destination
    checked = header[:10] + internet_checksum(header).to_bytes(2, "big") + header[12:]
    # A UDP checksum of 0 is none (RFC 768): what stands behind it may change.
    return (checked + bytes.fromhex("03e807d0") + (length - 20).to_bytes(2, "big") + bytes(2)).ljust(length, b"\0")
