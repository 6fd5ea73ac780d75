"""Where a signalling message comes from or goes to."""

from dataclasses import dataclass

from p4pmip.mobility.binding import IPAddress


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An address and how the Mobility Header is carried there.

    `port` None: directly over IPv6 (RFC 6275 §6.1); otherwise in UDP (RFC 5844 §4.1.3.1).
    """

    address: IPAddress
    port: int | None = None

    def __str__(self) -> str:
        if self.port is None:
            return str(self.address)
        return f"{self.address}:{self.port}" if self.address.version == 4 else f"[{self.address}]:{self.port}"


@dataclass(frozen=True, slots=True)
class Path:
    """The two signalling end points of a session, as its own node sees them."""

    local: Endpoint
    peer: Endpoint
