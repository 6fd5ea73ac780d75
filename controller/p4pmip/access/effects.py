"""What the access side asks of the world: frozen values, drained with `effects()` and carried out in their order.

Frames are untagged; who sends them adds the VLAN tag of the link, if it has one.
"""

from dataclasses import dataclass
from enum import Enum

from p4pmip.mobility.binding import IPAddress


class Direction(Enum):
    """Of a session's packets, as seen from the mobile node."""

    UPLINK = 1
    DOWNLINK = 2


@dataclass(frozen=True, slots=True)
class Transmit:
    """Send a frame out of a link."""

    link: int
    frame: bytes


@dataclass(frozen=True, slots=True)
class Inject:
    """Let a frame continue through the switch in a session, as if it had just been routed: a fragment, an error."""

    session_id: int
    direction: Direction
    frame: bytes


@dataclass(frozen=True, slots=True)
class MobileNodeSeen:
    """A node that is not served has sent something: a hint to identify it and attach it (RFC 5213 §6.9.1.1)."""

    link: int
    mac: bytes
    address: IPAddress | None
    """The address it used, if it has one."""


@dataclass(frozen=True, slots=True)
class Detached:
    """A node has left the link (RFC 5213 §6.9.1.4): it was idle and has answered no probe.

    One that is not served is not probed: it was silent for as long, or there are too many others. What is asked of
    the LMA for it is to end all the same (RFC 5213 §6.9.4).
    """

    link: int
    mac: bytes


@dataclass(frozen=True, slots=True)
class AddressReleased:
    """The mobile node gave back its IPv4 home address by DHCP (RFC 5844 §3.4.1)."""

    link: int
    mac: bytes


@dataclass(frozen=True, slots=True)
class AddressWanted:
    """A served node without an IPv4 home address asks for one by DHCP (RFC 5844 §3.4.3)."""

    link: int
    mac: bytes


@dataclass(frozen=True, slots=True)
class NeighbourChanged:
    """The MAC address of a next hop is known, is another, or (None) is known no longer."""

    link: int
    address: IPAddress
    mac: bytes | None


Attachment = MobileNodeSeen | Detached | AddressReleased | AddressWanted
"""What a MAG is to know of its mobile nodes."""
AccessEffect = Transmit | Inject | Attachment
RouterEffect = Transmit | Inject | NeighbourChanged
