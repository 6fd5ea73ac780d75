"""What a binding is to everyone but the engine that negotiated it.

A `Binding` is the immutable picture of one mobility session at one end of the tunnel: a binding cache entry
(RFC 5213 §5.1) at the LMA or a binding update list entry (§6.1) at the MAG, with the fields that RFC 5844,
RFC 5845 and RFC 7389 add. Forwarding state is derived from it and from nothing else.
"""

from dataclasses import dataclass
from enum import Enum
from ipaddress import IPv4Address, IPv4Interface, IPv6Address, IPv6Network

IPAddress = IPv4Address | IPv6Address


class Role(Enum):
    """The end of the tunnel that holds the binding."""

    LMA = "lma"
    MAG = "mag"


class Gre(Enum):
    """What was agreed about GRE (draft-00 §3.2, §3.3; RFC 5845 §3.2, §3.3)."""

    __hash__ = object.__hash__  # members are singletons; `Enum` hashes the name, in Python

    PLAIN = "plain"
    """No GRE: IP-in-IP (or IPv4-UDP), RFC 5213's default."""
    MODE = "mode"
    """GRE encapsulation without keys."""
    KEYED = "keyed"
    """GRE encapsulation with an uplink and a downlink key."""


class Granularity(Enum):
    """What one pair of GRE keys stands for."""

    SESSION = "session"
    REALM = "realm"


class Phase(Enum):
    """How far the session has come, as its own switch must treat it."""

    PROPOSED = "proposed"
    """MAG, between PBU and PBA: decapsulate for the proposed downlink key, nothing else."""
    ACTIVE = "active"
    HELD = "held"
    """LMA, during MinDelayBeforeBCEDelete: addresses and keys are kept, traffic is dropped."""


@dataclass(frozen=True, slots=True)
class Tunnel:
    """The outer header between two tunnel end points, shared by all their sessions.

    `udp` is the IPv4-UDP encapsulation of RFC 5844 §4.1.3; with GRE it carries the TLV header (RFC 5845 §7).
    """

    local: IPAddress
    peer: IPAddress
    udp: bool = False


@dataclass(frozen=True, slots=True)
class AccessLink:
    """Where at a MAG the mobile node is: the access link's id and the node's link-layer address."""

    link: int
    mac: bytes


@dataclass(frozen=True, slots=True)
class Binding:
    """One mobility session at one end point."""

    role: Role
    mn: bytes
    """The MN-Identifier: the NAI as it came (RFC 4283)."""
    realm: str
    session_id: int
    """Small, unique at this end point, kept while the session lives; 0 is never used."""
    phase: Phase
    prefixes: tuple[IPv6Network, ...]
    """Home network prefixes."""
    ipv4: IPv4Interface | None
    """IPv4 home address with the length of its home subnet (RFC 5844)."""
    ipv4_router: IPv4Address | None
    tunnel: Tunnel
    gre: Gre
    granularity: Granularity
    uplink_key: int | None
    downlink_key: int | None
    access: AccessLink | None = None
    """MAG only."""

    @property
    def receive_key(self) -> int | None:
        """The key in the packets that arrive at this end: chosen here, so unique here."""
        return self.uplink_key if self.role is Role.LMA else self.downlink_key

    @property
    def transmit_key(self) -> int | None:
        """The key put into the packets that leave this end: chosen by the peer."""
        return self.downlink_key if self.role is Role.LMA else self.uplink_key
