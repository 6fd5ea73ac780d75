"""What an engine knows of one mobility session: the part that must survive a restart.

A `Session` is a binding cache entry (RFC 5213 §5.1) or a binding update list entry (§6.1) with what RFC 5844 and
RFC 5845 add, as a frozen value. Addresses of the mobile node are integers here, because an anchor holds a million of
them; `binding` draws the picture that everyone else works with.
"""

from ipaddress import IPv4Address, IPv4Interface, IPv6Address, IPv6Network
from typing import NamedTuple

from p4pmip.mobility.binding import AccessLink, Binding, Granularity, Gre, Phase, Role, Tunnel
from p4pmip.mobility.endpoint import Path

PackedPrefix = int
"""An IPv6 prefix as `address << 8 | length`."""
PackedIPv4 = int
"""An IPv4 home address with its subnet's length, as `address << 8 | length`."""


def pack(address: int, length: int) -> int:
    """An address and a prefix length in one integer."""
    return address << 8 | length


def unpack(packed: int) -> tuple[int, int]:
    """The address and the prefix length of `pack`."""
    return packed >> 8, packed & 0xFF


class Session(NamedTuple):
    """One mobility session at one end point, as negotiated."""

    role: Role
    mn: bytes
    """MN-Identifier."""
    realm: str
    session_id: int
    phase: Phase
    technology: int
    """Access technology type."""
    link_layer: bytes
    """MN link-layer identifier; empty is RFC 5213's ALL_ZERO."""
    link_local: IPv6Address | None
    """The MAG's link-local address on the access link."""
    prefixes: tuple[PackedPrefix, ...]
    ipv4: PackedIPv4 | None
    ipv4_router: IPv4Address | None
    tunnel: Tunnel | None
    """None only at a MAG that does not know its LMA's tunnel end point yet."""
    path: Path
    gre: Gre
    granularity: Granularity
    uplink_key: int | None
    downlink_key: int | None
    lifetime: int
    """As granted, in units of 4 s."""
    expires_utc: float
    """When it ends, in seconds since 1970: read at a restart only; a running engine counts on its monotonic clock."""
    timestamp: int
    """Of the last accepted PBU, 64 bits; 0 in sequence mode (RFC 5213 §5.1)."""
    sequence: int
    """Of the last accepted PBU."""
    replay: int = 0
    """Of the last accepted replay protection option (RFC 4285 §6)."""
    access: AccessLink | None = None

    @property
    def binding(self) -> Binding:
        """The picture of this session for forwarding.

        Raises:
            ValueError: the tunnel end point of the LMA is not known yet.
        """
        if self.tunnel is None:
            raise ValueError("no binding without a tunnel")
        return Binding(
            role=self.role,
            mn=self.mn,
            realm=self.realm,
            session_id=self.session_id,
            phase=self.phase,
            prefixes=tuple(IPv6Network(unpack(prefix)) for prefix in self.prefixes),
            ipv4=None if self.ipv4 is None else IPv4Interface(unpack(self.ipv4)),
            ipv4_router=self.ipv4_router,
            tunnel=self.tunnel,
            gre=self.gre,
            granularity=self.granularity,
            uplink_key=self.uplink_key,
            downlink_key=self.downlink_key,
            access=self.access,
        )

    @property
    def receive_key(self) -> int | None:
        """The key this end point allocated."""
        return self.uplink_key if self.role is Role.LMA else self.downlink_key
