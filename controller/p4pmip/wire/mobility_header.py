"""The Mobility Header (RFC 6275 §6.1): `decode` never raises, `encode` pads, aligns and sums.

Offsets, in faults and of options, count from the Payload Proto octet. The checksum covers the IPv6 pseudo-header when
the addresses are IPv6; over UDP and IPv4 it is zero and the UDP checksum protects (RFC 5844 §4.1.3.1).
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv6Address
from typing import Any

from p4pmip.wire import message as m
from p4pmip.wire.checksum import IPAddress, transport_checksum
from p4pmip.wire.error import WireError
from p4pmip.wire.fault import Fault, Reason
from p4pmip.wire.numbers import (
    DEFAULT_CODEPOINTS,
    MOBILITY_HEADER_PROTOCOL,
    BindingAcknowledgementFlag,
    BindingUpdateFlag,
    Codepoints,
    HeartbeatFlag,
    MhType,
    RevocationFlag,
    RevocationType,
    UpdateNotificationFlag,
)
from p4pmip.wire.option_codec import decode_options, encode_options, padding
from p4pmip.wire.options import Option

__all__ = ["Checksum", "Decoded", "Fault", "Reason", "WireError", "decode", "encode", "with_checksum"]

NO_NEXT_HEADER = 59
_PREFIX = 6
"""Octets before the message data."""
_LONGEST = 256 * 8


class Checksum(StrEnum):
    """What became of the Mobility Header's checksum."""

    OK = "ok"
    BAD = "bad"
    ZERO = "zero"
    """Not computed by the sender, as over UDP."""
    UNCHECKED = "unchecked"
    """There were no IPv6 addresses to check it with."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """A decoded Mobility Header and all that is wrong with it."""

    message: m.Message | None
    """None only if there is nothing to decode: too short, a length below the type's minimum, another payload."""
    faults: tuple[Fault, ...]
    checksum: Checksum
    octets: bytes
    """The Mobility Header, as long as its Header Len says."""
    offsets: tuple[int, ...]
    """Where each of the message's options starts."""


# --- the fixed part of each message: its structure behind the checksum, how to build and how to take apart ------------

_Build = Callable[..., m.Message]

_U16 = struct.Struct(">H")
_BINDING_UPDATE = struct.Struct(">HHH")
_BINDING_ACKNOWLEDGEMENT = struct.Struct(">BBHH")
_BINDING_ERROR = struct.Struct(">Bx16s")
_HEARTBEAT = struct.Struct(">HI")
_REVOCATION = struct.Struct(">BBHH")
_UPDATE_NOTIFICATION = struct.Struct(">HHH")
_UPDATE_NOTIFICATION_ACKNOWLEDGEMENT = struct.Struct(">HB3x")
_EMPTY = struct.Struct(">2x")


def _build_update(fields: tuple[Any, ...], options: tuple[Option, ...]) -> m.Message:
    sequence, flags, lifetime = fields
    return m.BindingUpdate(sequence, BindingUpdateFlag(flags), lifetime, options)


def _build_acknowledgement(fields: tuple[Any, ...], options: tuple[Option, ...]) -> m.Message:
    status, flags, sequence, lifetime = fields
    return m.BindingAcknowledgement(status, BindingAcknowledgementFlag(flags), sequence, lifetime, options)


def _build_error(fields: tuple[Any, ...], options: tuple[Option, ...]) -> m.Message:
    return m.BindingError(fields[0], IPv6Address(fields[1]), options)


def _build_heartbeat(fields: tuple[Any, ...], options: tuple[Option, ...]) -> m.Message:
    return m.Heartbeat(HeartbeatFlag(fields[0]), fields[1], options)


def _build_revocation(fields: tuple[Any, ...], options: tuple[Option, ...]) -> m.Message:
    kind, code, sequence, flags = fields
    if kind == RevocationType.INDICATION:
        return m.BindingRevocationIndication(code, sequence, RevocationFlag(flags), options)
    return m.BindingRevocationAcknowledgement(code, sequence, RevocationFlag(flags), options)


def _build_notification(fields: tuple[Any, ...], options: tuple[Option, ...]) -> m.Message:
    sequence, reason, flags = fields
    return m.UpdateNotification(sequence, reason, UpdateNotificationFlag(flags), options)


def _build_notification_acknowledgement(fields: tuple[Any, ...], options: tuple[Option, ...]) -> m.Message:
    return m.UpdateNotificationAcknowledgement(fields[0], fields[1], options)


def _build_refresh_request(_: tuple[Any, ...], options: tuple[Option, ...]) -> m.Message:
    return m.BindingRefreshRequest(options)


_MESSAGES: dict[int, tuple[struct.Struct, _Build]] = {
    MhType.BINDING_REFRESH_REQUEST: (_EMPTY, _build_refresh_request),
    MhType.BINDING_UPDATE: (_BINDING_UPDATE, _build_update),
    MhType.BINDING_ACKNOWLEDGEMENT: (_BINDING_ACKNOWLEDGEMENT, _build_acknowledgement),
    MhType.BINDING_ERROR: (_BINDING_ERROR, _build_error),
    MhType.HEARTBEAT: (_HEARTBEAT, _build_heartbeat),
    MhType.BINDING_REVOCATION: (_REVOCATION, _build_revocation),
    MhType.UPDATE_NOTIFICATION: (_UPDATE_NOTIFICATION, _build_notification),
    MhType.UPDATE_NOTIFICATION_ACKNOWLEDGEMENT: (
        _UPDATE_NOTIFICATION_ACKNOWLEDGEMENT,
        _build_notification_acknowledgement,
    ),
}


def _fixed_part(message: m.Message) -> tuple[int, bytes]:
    """The MH type of a message and what stands before its options."""
    match message:
        case m.BindingUpdate():
            return MhType.BINDING_UPDATE, _BINDING_UPDATE.pack(message.sequence, message.flags, message.lifetime)
        case m.BindingAcknowledgement():
            return MhType.BINDING_ACKNOWLEDGEMENT, _BINDING_ACKNOWLEDGEMENT.pack(
                message.status, message.flags, message.sequence, message.lifetime
            )
        case m.Heartbeat():
            return MhType.HEARTBEAT, _HEARTBEAT.pack(message.flags, message.sequence)
        case m.BindingRevocationIndication():
            return MhType.BINDING_REVOCATION, _REVOCATION.pack(
                RevocationType.INDICATION, message.trigger, message.sequence, message.flags
            )
        case m.BindingRevocationAcknowledgement():
            return MhType.BINDING_REVOCATION, _REVOCATION.pack(
                RevocationType.ACKNOWLEDGEMENT, message.status, message.sequence, message.flags
            )
        case m.BindingError():
            if message.home_address.version != 6:
                raise ValueError("the home address is not an IPv6 address")
            return MhType.BINDING_ERROR, _BINDING_ERROR.pack(message.status, message.home_address.packed)
        case m.BindingRefreshRequest():
            return MhType.BINDING_REFRESH_REQUEST, _EMPTY.pack()
        case m.UpdateNotification():
            return MhType.UPDATE_NOTIFICATION, _UPDATE_NOTIFICATION.pack(
                message.sequence, message.reason, message.flags
            )
        case m.UpdateNotificationAcknowledgement():
            return (
                MhType.UPDATE_NOTIFICATION_ACKNOWLEDGEMENT,
                _UPDATE_NOTIFICATION_ACKNOWLEDGEMENT.pack(message.sequence, message.status),
            )
        case m.UnknownMessage():
            if len(message.data) % 8 != 2:
                raise ValueError("the data of an unknown message are 8n+2 octets")
            return message.mh_type, message.data


# --- the two verbs ---------------------------------------------------------------------------------------------------


def decode(
    octets: bytes,
    source: IPAddress | None = None,
    destination: IPAddress | None = None,
    codepoints: Codepoints = DEFAULT_CODEPOINTS,
) -> Decoded:
    """Decode a Mobility Header from its Payload Proto on; never raises.

    The checksum is looked at first (RFC 6275 §9.2): what else is wrong with octets that it does not vouch for is
    nobody's to answer.

    Args:
        octets: The header and whatever follows it in the packet.
        source: With `destination`, IPv6 addresses that the checksum is verified with.
        destination: See `source`.
        codepoints: The type numbers of options that draft-00 left open.
    """
    available = len(octets)
    if available < 8:
        return Decoded(None, (Fault(available, Reason.TRUNCATED),), Checksum.UNCHECKED, octets, ())
    total = (octets[1] + 1) * 8
    if total > available:
        return Decoded(None, (Fault(1, Reason.TRUNCATED),), Checksum.UNCHECKED, octets, ())
    faults: list[Fault] = []
    if total < available:
        faults.append(Fault(total, Reason.TRAILING_OCTETS))
        octets = octets[:total]
    checksum = _verify(octets, source, destination)
    if checksum is Checksum.BAD:
        faults.append(Fault(4, Reason.BAD_CHECKSUM))
    if octets[0] != NO_NEXT_HEADER:
        faults.append(Fault(0, Reason.BAD_PAYLOAD_PROTO))
        return Decoded(None, tuple(faults), checksum, octets, ())

    kind = octets[2]
    known = _MESSAGES.get(kind)
    if known is None or (kind == MhType.BINDING_REVOCATION and octets[6] not in (1, 2)):
        return Decoded(m.UnknownMessage(kind, octets[_PREFIX:]), tuple(faults), checksum, octets, ())
    layout, build = known
    start = _PREFIX + layout.size
    if total < start:
        faults.append(Fault(1, Reason.BAD_HEADER_LENGTH))
        return Decoded(None, tuple(faults), checksum, octets, ())
    options, offsets = decode_options(octets, start, faults, codepoints)
    message = build(layout.unpack_from(octets, _PREFIX), options)
    return Decoded(message, tuple(faults), checksum, octets, offsets)


def encode(
    message: m.Message,
    source: IPAddress | None = None,
    destination: IPAddress | None = None,
    codepoints: Codepoints = DEFAULT_CODEPOINTS,
) -> bytes:
    """Encode a message with its options in the order given, padded to 8 octets.

    With IPv6 addresses the checksum is computed, otherwise it is 0 (RFC 5844 §4.1.3.1).

    Raises:
        WireError: a value does not fit its field, or the message is longer than 2048 octets.
    """
    try:
        kind, fixed = _fixed_part(message)
        octets = bytearray((NO_NEXT_HEADER, 0, kind, 0, 0, 0))
    except (ValueError, struct.error) as error:
        raise WireError(type(message).__name__, message, f"does not fit the wire ({error})") from error
    octets += fixed
    if not isinstance(message, m.UnknownMessage):
        encode_options(octets, message.options, codepoints)
    if gap := -len(octets) % 8:
        octets += padding(gap)
    if len(octets) > _LONGEST:
        raise WireError(type(message).__name__, len(octets), f"the message is longer than {_LONGEST} octets")
    octets[1] = len(octets) // 8 - 1
    return with_checksum(octets, source, destination)


def with_checksum(octets: bytearray, source: IPAddress | None, destination: IPAddress | None) -> bytes:
    """An encoded Mobility Header, its checksum (0 so far) computed if there are IPv6 addresses to do it with."""
    if source is not None and destination is not None and source.version == 6:
        _U16.pack_into(octets, 4, transport_checksum(octets, source, destination, MOBILITY_HEADER_PROTOCOL))
    return bytes(octets)


def _verify(octets: bytes, source: IPAddress | None, destination: IPAddress | None) -> Checksum:
    if source is not None and destination is not None and source.version == 6:
        bad = transport_checksum(octets, source, destination, MOBILITY_HEADER_PROTOCOL)
        return Checksum.BAD if bad else Checksum.OK
    return Checksum.UNCHECKED if octets[4] or octets[5] else Checksum.ZERO
