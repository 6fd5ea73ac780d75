"""Messages and options in words, for people and for JSON. What came from the network is escaped."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import fields
from datetime import UTC, datetime
from enum import IntEnum, IntFlag
from ipaddress import IPv4Address, IPv6Address
from typing import Any, assert_never

from p4pmip.wire import message as m
from p4pmip.wire import numbers
from p4pmip.wire import options as o
from p4pmip.wire.mobility_header import Decoded
from p4pmip.wire.numbers import (
    DEFAULT_CODEPOINTS,
    LIFETIME_UNIT,
    Codepoints,
    MhType,
    OptionType,
)
from p4pmip.wire.option_codec import type_of

Json = dict[str, Any]

_ACRONYMS = ("IPv4", "IPv6", "GRE", "MAG", "LMA", "NAT", "DNS", "CGA", "DHCP", "FMIPv6", "MAAR", "DLIF", "NAI")
_SPELLING = {word.upper(): word for word in (*_ACRONYMS, "IMSI", "GUTI", "DUID", "EUI", "TMSI")}
_HYPHENS = re.compile(r"\b(Care) Of\b|\b(Link) (Layer|Local)\b|\b(P|EUI) (TMSI|48|64)\b")


def title(member: IntEnum) -> str:
    """The name of a registry's entry as one reads it: `GRE_KEY` is "GRE Key"."""
    words = " ".join(_SPELLING.get(word, word.capitalize()) for word in member.name.split("_"))
    return _HYPHENS.sub(lambda found: _hyphenate(found.group()), words)


def _hyphenate(words: str) -> str:
    first, second = words.split()
    return f"{first}-{second if first in ('P', 'EUI') else second.lower()}"


def name_of(registry: type[IntEnum], value: int) -> str:
    """The title of a number in its registry, or that it has none."""
    try:
        return title(registry(value))
    except ValueError:
        return f"unassigned ({value})"


def text(octets: bytes) -> str:
    """Octets that should be UTF-8 text, whatever cannot be shown escaped."""
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode()
        for letter in octets.decode("utf-8", "backslashreplace")
    )


# --- messages --------------------------------------------------------------------------------------------------------


def message_name(message: m.Message) -> str:
    """The RFC's name of a message."""
    match message:
        case m.BindingUpdate(flags=flags):
            return "Proxy Binding Update" if flags & numbers.BindingUpdateFlag.P else "Binding Update"
        case m.BindingAcknowledgement(flags=flags):
            proxy = flags & numbers.BindingAcknowledgementFlag.P
            return "Proxy Binding Acknowledgement" if proxy else "Binding Acknowledgement"
        case m.UnknownMessage(mh_type=kind):
            return name_of(MhType, kind)
        case _:
            return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", type(message).__name__)


def mobile_node_of(message: m.Message | None) -> bytes | None:
    """The MN-Identifier of a message, if it has one."""
    options = () if message is None or isinstance(message, m.UnknownMessage) else message.options
    return next((one.identifier for one in options if isinstance(one, o.MobileNodeIdentifier)), None)


def message_type(message: m.Message) -> int:
    """The MH type of a message."""
    return message.mh_type if isinstance(message, m.UnknownMessage) else _MH_TYPES[type(message)]


_MH_TYPES: Mapping[type, MhType] = {
    m.BindingRefreshRequest: MhType.BINDING_REFRESH_REQUEST,
    m.BindingUpdate: MhType.BINDING_UPDATE,
    m.BindingAcknowledgement: MhType.BINDING_ACKNOWLEDGEMENT,
    m.BindingError: MhType.BINDING_ERROR,
    m.Heartbeat: MhType.HEARTBEAT,
    m.BindingRevocationIndication: MhType.BINDING_REVOCATION,
    m.BindingRevocationAcknowledgement: MhType.BINDING_REVOCATION,
    m.UpdateNotification: MhType.UPDATE_NOTIFICATION,
    m.UpdateNotificationAcknowledgement: MhType.UPDATE_NOTIFICATION_ACKNOWLEDGEMENT,
}

_STATUSES: Mapping[type, type[IntEnum]] = {
    m.BindingAcknowledgement: numbers.Status,
    m.BindingError: numbers.BindingErrorStatus,
    m.BindingRevocationAcknowledgement: numbers.RevocationStatus,
    m.UpdateNotificationAcknowledgement: numbers.UpdateNotificationStatus,
}


def message_json(decoded: Decoded, codepoints: Codepoints = DEFAULT_CODEPOINTS) -> Json | None:
    """A message for `json.dumps`: numbers are integers, addresses text, octets hexadecimal digits."""
    message = decoded.message
    if message is None:
        return None
    result: Json = {"type": int(message_type(message)), "name": message_name(message)}
    result |= dict.fromkeys(("sequence", "flags", "lifetime_s", "status"))
    for field in fields(message):
        value = getattr(message, field.name)
        match field.name:
            case "options" | "mh_type":
                pass
            case "lifetime":
                result["lifetime_s"] = value * LIFETIME_UNIT
            case name:
                result[name] = _plain(value)
    result["options"] = [
        option_json(option, decoded.octets, offset, codepoints) for option, offset in _options(decoded)
    ]
    return result


def message_lines(decoded: Decoded, codepoints: Codepoints = DEFAULT_CODEPOINTS) -> list[str]:
    """A message as a tree: a line for it, and an indented one, with its offset, for each option."""
    message = decoded.message
    if message is None:
        return ["undecodable"]
    lines = [", ".join((message_name(message), *_message_words(message)))]
    for option, offset in _options(decoded):
        kind = type_of(option, codepoints)
        words = ", ".join(_option_words(option))
        lines.append(f"  {offset:4}  {option_name(option)} ({kind}), length {decoded.octets[offset + 1]}: {words}")
    return lines


def _message_words(message: m.Message) -> Iterator[str]:
    for field in fields(message):
        value = getattr(message, field.name)
        match field.name:
            case "options" | "mh_type":
                pass
            case "flags":
                yield f"flags {_letters(value)}"
            case "lifetime":
                yield f"lifetime {value * LIFETIME_UNIT} s"
            case "status":
                yield f"status {value} {_constant(_STATUSES[type(message)], value)}"
            case "trigger":
                yield f"trigger {value} {_constant(numbers.RevocationTrigger, value)}"
            case "reason":
                yield f"reason {value} {_constant(numbers.UpdateNotificationReason, value)}"
            case "data":
                yield f"{len(value)} octets {value.hex()}"
            case name:
                yield f"{name.replace('_', ' ')} {value}"


def _options(decoded: Decoded) -> Iterator[tuple[o.Option, int]]:
    if decoded.message is not None and not isinstance(decoded.message, m.UnknownMessage):
        yield from zip(decoded.message.options, decoded.offsets, strict=True)


def _letters(flags: IntFlag) -> str:
    named = sorted(flags, reverse=True)
    letters = "".join(str(flag.name) for flag in named)
    return f"{letters or '-'} (0x{int(flags):x})"


def _constant(registry: type[IntEnum], value: int) -> str:
    try:
        return registry(value).name
    except ValueError:
        return "(unassigned)"


def _plain(value: object) -> object:
    match value:
        case IPv4Address() | IPv6Address():
            return str(value)
        case bytes():
            return value.hex()
        case IntEnum() | IntFlag():
            return int(value)
        case _:
            return value


# --- options ---------------------------------------------------------------------------------------------------------


def option_name(option: o.Option) -> str:
    """The registry's name of an option."""
    match option:
        case o.GreKey():  # its number may be another than IANA's
            return title(OptionType.GRE_KEY)
        case o.LmaUserPlaneAddress():
            return title(OptionType.LMA_USER_PLANE_ADDRESS)
        case _:
            return name_of(OptionType, type_of(option, DEFAULT_CODEPOINTS))


def option_json(option: o.Option, octets: bytes, offset: int, codepoints: Codepoints) -> Json:
    """An option for `json.dumps`, with where it stands in the Mobility Header and its Length there."""
    result: Json = {
        "type": int(type_of(option, codepoints)),
        "name": option_name(option),
        "length": octets[offset + 1],
        "offset": offset,
    }
    match option:
        case o.HomeNetworkPrefix(address, length):
            return result | {"prefix": str(address), "prefix_length": length}
        case o.MobileNodeIdentifier(numbers.IdentifierSubtype.NAI as subtype, identifier):
            return result | {"subtype": int(subtype), "identifier": text(identifier)}
        case o.ServiceSelection(identifier):
            return result | {"identifier": text(identifier)}
        case o.Timestamp(value):
            return result | {"value": value, "utc": _utc(option)}
        case _:
            own = {field.name: _plain(getattr(option, field.name)) for field in fields(option)}
            return result | own


def _utc(stamp: o.Timestamp) -> str | None:
    """ISO 8601, or None where the calendar ends before the stamp."""
    try:
        return datetime.fromtimestamp(stamp.to_utc(), UTC).isoformat()
    except (OverflowError, ValueError, OSError):
        return None


def _option_words(option: o.Option) -> Iterator[str]:
    match option:
        case o.GreKey(key):
            yield "no key (GRE without keys)" if key is None else f"key {key} (0x{key:08x})"
        case o.MobileNodeIdentifier(subtype, identifier):
            shown = text(identifier) if subtype == numbers.IdentifierSubtype.NAI else identifier.hex()
            yield f"{name_of(numbers.IdentifierSubtype, subtype)} {shown or '(empty)'}"
        case o.HomeNetworkPrefix(address, length):
            yield f"{address}/{length}"
        case o.HandoffIndicatorOption(indicator):
            yield f"{indicator} {name_of(numbers.HandoffIndicator, indicator)}"
        case o.AccessTechnologyOption(technology):
            yield f"{technology} {_constant(numbers.AccessTechnology, technology)}"
        case o.LinkLayerIdentifier(identifier):
            yield identifier.hex(":") or "(empty)"
        case o.Timestamp(value):
            yield f"{_utc(option) or 'beyond the calendar'} (0x{value:016x})"
        case o.ServiceSelection(identifier):
            yield text(identifier)
        case o.IPv4HomeAddressRequest(address, length):
            yield f"{address}/{length}"
        case o.IPv4HomeAddressReply(status, length, address):
            yield f"{address}/{length}"
            yield f"status {status} {_constant(numbers.IPv4HomeAddressStatus, status)}"
        case o.IPv4DhcpSupportMode(server):
            yield "the MAG is a DHCP server" if server else "the MAG is a DHCP relay"
        case o.LmaUserPlaneAddress(address):
            yield "asked for" if address is None else str(address)
        case o.Authentication(subtype, spi, authenticator):
            yield f"subtype {subtype}"
            yield f"SPI {spi}"
            yield f"authenticator {authenticator.hex()}"
        case o.VendorSpecific(vendor, subtype, data):
            yield f"vendor {vendor}"
            yield f"subtype {subtype}"
            yield data.hex()
        case o.NatDetection(force, refresh_time):
            yield f"force UDP {'yes' if force else 'no'}"
            yield f"refresh time {refresh_time} s"
        case o.AlternateCareOfAddress(address) | o.LinkLocalAddress(address) | o.IPv4DefaultRouter(address):
            yield str(address)
        case o.RestartCounter(counter):
            yield str(counter)
        case o.ReplayProtection(timestamp):
            yield f"0x{timestamp:016x}"
        case o.UnknownOption(_, data):
            yield data.hex() or "(empty)"
        case _:
            assert_never(option)
