"""The messages of the Mobility Header that p4pmip speaks, as plain values.

Constructors do not check: what does not fit its field is refused by `mobility_header.encode`, with the name of the
message or option it stands in.
"""

from dataclasses import dataclass
from ipaddress import IPv6Address

from p4pmip.wire.numbers import (
    BindingAcknowledgementFlag,
    BindingUpdateFlag,
    HeartbeatFlag,
    RevocationFlag,
    UpdateNotificationFlag,
)
from p4pmip.wire.options import Option


@dataclass(frozen=True, slots=True)
class BindingRefreshRequest:
    """Binding Refresh Request (RFC 6275 §6.1.2)."""

    options: tuple[Option, ...] = ()


@dataclass(frozen=True, slots=True)
class BindingUpdate:
    """Binding Update (RFC 6275 §6.1.7); with flag P a Proxy Binding Update (RFC 5213 §8.1)."""

    sequence: int
    flags: BindingUpdateFlag
    lifetime: int
    """In units of 4 seconds; 0 de-registers."""
    options: tuple[Option, ...] = ()


@dataclass(frozen=True, slots=True)
class BindingAcknowledgement:
    """Binding Acknowledgement (RFC 6275 §6.1.8); with flag P a Proxy Binding Acknowledgement (RFC 5213 §8.2)."""

    status: int
    """Below 128 the binding is accepted."""
    flags: BindingAcknowledgementFlag
    sequence: int
    lifetime: int
    """In units of 4 seconds."""
    options: tuple[Option, ...] = ()


@dataclass(frozen=True, slots=True)
class BindingError:
    """Binding Error (RFC 6275 §6.1.9)."""

    status: int
    home_address: IPv6Address
    options: tuple[Option, ...] = ()


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """Heartbeat request or response (RFC 5847 §3.1)."""

    flags: HeartbeatFlag
    sequence: int
    """32 bits."""
    options: tuple[Option, ...] = ()


@dataclass(frozen=True, slots=True)
class BindingRevocationIndication:
    """Binding Revocation Indication (RFC 5846 §5.1)."""

    trigger: int
    sequence: int
    flags: RevocationFlag
    options: tuple[Option, ...] = ()


@dataclass(frozen=True, slots=True)
class BindingRevocationAcknowledgement:
    """Binding Revocation Acknowledgement (RFC 5846 §5.2)."""

    status: int
    sequence: int
    flags: RevocationFlag
    options: tuple[Option, ...] = ()


@dataclass(frozen=True, slots=True)
class UpdateNotification:
    """Update Notification (RFC 7077 §4.1)."""

    sequence: int
    reason: int
    flags: UpdateNotificationFlag
    options: tuple[Option, ...] = ()


@dataclass(frozen=True, slots=True)
class UpdateNotificationAcknowledgement:
    """Update Notification Acknowledgement (RFC 7077 §4.2)."""

    sequence: int
    status: int
    options: tuple[Option, ...] = ()


@dataclass(frozen=True, slots=True)
class UnknownMessage:
    """A message of another type: what follows the checksum, as it came (its length is 8n+2)."""

    mh_type: int
    data: bytes


Message = (
    BindingRefreshRequest
    | BindingUpdate
    | BindingAcknowledgement
    | BindingError
    | Heartbeat
    | BindingRevocationIndication
    | BindingRevocationAcknowledgement
    | UpdateNotification
    | UpdateNotificationAcknowledgement
    | UnknownMessage
)
