"""The mobility options that p4pmip understands, as plain values, and `UnknownOption` for every other.

Pad1 and PadN are not among them: they say nothing, so decoding drops them and encoding puts them where the alignment
of the options demands them. Constructors do not check; `mobility_header.encode` refuses what does not fit.
"""

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import Self

from p4pmip.wire.numbers import IdentifierSubtype

_FRACTIONS = 65536


@dataclass(frozen=True, slots=True)
class AlternateCareOfAddress:
    """Alternate Care-of Address (RFC 6275 §6.2.5): the Proxy-CoA when it is not the source of the PBU."""

    address: IPv6Address


@dataclass(frozen=True, slots=True)
class MobileNodeIdentifier:
    """Mobile Node Identifier (RFC 4283 §3, RFC 8371 §4); an empty identifier is legal."""

    subtype: int
    identifier: bytes

    @classmethod
    def nai(cls, identifier: bytes | str) -> Self:
        """A Network Access Identifier (RFC 4282)."""
        return cls(IdentifierSubtype.NAI, identifier.encode() if isinstance(identifier, str) else identifier)


@dataclass(frozen=True, slots=True)
class Authentication:
    """Mobility message authentication (RFC 4285 §5); always the last option."""

    subtype: int
    spi: int
    authenticator: bytes


@dataclass(frozen=True, slots=True)
class ReplayProtection:
    """Mobility message replay protection (RFC 4285 §6): an NTP timestamp, 32.32 bits since 1900."""

    timestamp: int


@dataclass(frozen=True, slots=True)
class VendorSpecific:
    """Vendor specific (RFC 5094 §3)."""

    vendor: int
    """The SMI Network Management Private Enterprise Code."""
    subtype: int
    data: bytes


@dataclass(frozen=True, slots=True)
class ServiceSelection:
    """Service selection (RFC 5149 §3): a UTF-8 service name, an APN say, of at least one octet."""

    identifier: bytes


@dataclass(frozen=True, slots=True)
class HomeNetworkPrefix:
    """Home network prefix (RFC 5213 §8.3); `::` asks the LMA for one (ALL_ZERO)."""

    address: IPv6Address
    length: int


@dataclass(frozen=True, slots=True)
class HandoffIndicatorOption:
    """Handoff indicator (RFC 5213 §8.4)."""

    indicator: int


@dataclass(frozen=True, slots=True)
class AccessTechnologyOption:
    """Access technology type (RFC 5213 §8.5)."""

    technology: int


@dataclass(frozen=True, slots=True)
class LinkLayerIdentifier:
    """Mobile node link-layer identifier (RFC 5213 §8.6)."""

    identifier: bytes


@dataclass(frozen=True, slots=True)
class LinkLocalAddress:
    """Link-local address of the MAG on the access link (RFC 5213 §8.7)."""

    address: IPv6Address


@dataclass(frozen=True, slots=True)
class Timestamp:
    """Timestamp (RFC 5213 §8.8): 48 bits of seconds since 1970 and 16 bits of their fractions - not NTP's 32.32."""

    value: int

    @classmethod
    def from_utc(cls, seconds: float) -> Self:
        """The stamp of `seconds` since 1970-01-01 UTC."""
        return cls(round(seconds * _FRACTIONS))

    def to_utc(self) -> float:
        """Seconds since 1970-01-01 UTC."""
        return self.value / _FRACTIONS


@dataclass(frozen=True, slots=True)
class RestartCounter:
    """Restart counter (RFC 5847 §3.2)."""

    counter: int


@dataclass(frozen=True, slots=True)
class NatDetection:
    """NAT detection (RFC 5555 §3.2.2); `force` (F) asks for UDP encapsulation."""

    force: bool
    refresh_time: int
    """Seconds between keep-alives."""


@dataclass(frozen=True, slots=True)
class GreKey:
    """GRE key (draft-00 §6.1, RFC 5845 §6.1): `None` asks for GRE without keys (Length 2); 0 is a key like another."""

    key: int | None


@dataclass(frozen=True, slots=True)
class IPv4HomeAddressRequest:
    """IPv4 home address request (RFC 5844 §3.3.1); 0.0.0.0 asks the LMA for one."""

    address: IPv4Address
    prefix_length: int


@dataclass(frozen=True, slots=True)
class IPv4HomeAddressReply:
    """IPv4 home address reply (RFC 5844 §3.3.2)."""

    status: int
    prefix_length: int
    address: IPv4Address


@dataclass(frozen=True, slots=True)
class IPv4DefaultRouter:
    """IPv4 default-router address (RFC 5844 §3.3.3)."""

    address: IPv4Address


@dataclass(frozen=True, slots=True)
class IPv4DhcpSupportMode:
    """IPv4 DHCP support mode (RFC 5844 §3.3.4): the MAG serves DHCP (S) or relays it."""

    server: bool


@dataclass(frozen=True, slots=True)
class LmaUserPlaneAddress:
    """LMA user-plane address (RFC 7389 §4); `None` asks the LMA for it (Length 2)."""

    address: IPv4Address | IPv6Address | None


@dataclass(frozen=True, slots=True)
class UnknownOption:
    """Any other option, byte for byte."""

    type: int
    data: bytes


Option = (
    AlternateCareOfAddress
    | MobileNodeIdentifier
    | Authentication
    | ReplayProtection
    | VendorSpecific
    | ServiceSelection
    | HomeNetworkPrefix
    | HandoffIndicatorOption
    | AccessTechnologyOption
    | LinkLayerIdentifier
    | LinkLocalAddress
    | Timestamp
    | RestartCounter
    | NatDetection
    | GreKey
    | IPv4HomeAddressRequest
    | IPv4HomeAddressReply
    | IPv4DefaultRouter
    | IPv4DhcpSupportMode
    | LmaUserPlaneAddress
    | UnknownOption
)
