"""Mobility options: octets to values and back.

One row per option: its type, alignment, reader and writer. A reader gets the whole Mobility Header, where the
option's data begin and how long they are (they are there: the caller looked), and answers the option or the reason it
is no good. A writer gives the data that follow Type and Length. Reserved bits are zero on sending, ignored on receipt.
"""

import struct
from collections.abc import Callable, Mapping
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address
from typing import Any, NamedTuple

from p4pmip.wire import options as o
from p4pmip.wire.error import WireError
from p4pmip.wire.fault import Fault, Reason
from p4pmip.wire.numbers import Codepoints, OptionType

Reader = Callable[[bytes, int, int], o.Option | Reason]
Writer = Callable[[Any], bytes]

_U16 = struct.Struct(">H")
_U32 = struct.Struct(">I")
_U64 = struct.Struct(">Q")
# Plain integers: looking an enumeration's member up costs as much as reading an option.
_PAD1 = int(OptionType.PAD1)
_PADN = int(OptionType.PADN)
_ANY = (1, 0)
_BY_SIZE = (0, 0)
"""An alignment that depends on the option's length."""


class Layout(NamedTuple):
    """How an option stands in a message: its type and `(n, x)` for an alignment of xn+y, and its writer."""

    type: int
    alignment: tuple[int, int]
    write: Writer


# --- reading ---------------------------------------------------------------------------------------------------------


def _read_alternate_care_of_address(octets: bytes, at: int, length: int) -> o.Option | Reason:
    if length != 16:
        return Reason.BAD_OPTION_LENGTH
    return o.AlternateCareOfAddress(IPv6Address(octets[at : at + 16]))


def _read_mobile_node_identifier(octets: bytes, at: int, length: int) -> o.Option | Reason:
    if length < 1:
        return Reason.BAD_OPTION_LENGTH
    return o.MobileNodeIdentifier(octets[at], octets[at + 1 : at + length])


def _read_authentication(octets: bytes, at: int, length: int) -> o.Option | Reason:
    if length < 5:
        return Reason.BAD_OPTION_LENGTH
    return o.Authentication(octets[at], _U32.unpack_from(octets, at + 1)[0], octets[at + 5 : at + length])


def _read_replay_protection(octets: bytes, at: int, length: int) -> o.Option | Reason:
    if length != 8:
        return Reason.BAD_OPTION_LENGTH
    return o.ReplayProtection(_U64.unpack_from(octets, at)[0])


def _read_vendor_specific(octets: bytes, at: int, length: int) -> o.Option | Reason:
    if length < 5:
        return Reason.BAD_OPTION_LENGTH
    return o.VendorSpecific(_U32.unpack_from(octets, at)[0], octets[at + 4], octets[at + 5 : at + length])


def _read_service_selection(octets: bytes, at: int, length: int) -> o.Option | Reason:
    if length < 1:
        return Reason.BAD_OPTION_LENGTH
    return o.ServiceSelection(octets[at : at + length])


def _read_home_network_prefix(octets: bytes, at: int, length: int) -> o.Option | Reason:
    if length != 18:
        return Reason.BAD_OPTION_LENGTH
    address, prefix_length = IPv6Address(octets[at + 2 : at + 18]), octets[at + 1]
    if prefix_length > 128 and int(address):  # with ALL_ZERO the length means nothing: RFC 5213 leaves it open
        return Reason.BAD_OPTION_VALUE
    return o.HomeNetworkPrefix(address, prefix_length)


def _read_handoff_indicator(octets: bytes, at: int, length: int) -> o.Option | Reason:
    if length != 2:
        return Reason.BAD_OPTION_LENGTH
    return o.HandoffIndicatorOption(octets[at + 1])


def _read_access_technology(octets: bytes, at: int, length: int) -> o.Option | Reason:
    if length != 2:
        return Reason.BAD_OPTION_LENGTH
    return o.AccessTechnologyOption(octets[at + 1])


def _read_link_layer_identifier(octets: bytes, at: int, length: int) -> o.Option | Reason:
    if length < 2:
        return Reason.BAD_OPTION_LENGTH
    return o.LinkLayerIdentifier(octets[at + 2 : at + length])


def _read_link_local_address(octets: bytes, at: int, length: int) -> o.Option | Reason:
    if length != 16:
        return Reason.BAD_OPTION_LENGTH
    return o.LinkLocalAddress(IPv6Address(octets[at : at + 16]))


def _read_timestamp(octets: bytes, at: int, length: int) -> o.Option | Reason:
    if length != 8:
        return Reason.BAD_OPTION_LENGTH
    return o.Timestamp(_U64.unpack_from(octets, at)[0])


def _read_restart_counter(octets: bytes, at: int, length: int) -> o.Option | Reason:
    if length != 4:
        return Reason.BAD_OPTION_LENGTH
    return o.RestartCounter(_U32.unpack_from(octets, at)[0])


def _read_nat_detection(octets: bytes, at: int, length: int) -> o.Option | Reason:
    if length != 6:
        return Reason.BAD_OPTION_LENGTH
    return o.NatDetection(octets[at] > 127, _U32.unpack_from(octets, at + 2)[0])


def _read_gre_key(octets: bytes, at: int, length: int) -> o.Option | Reason:
    if length == 6:
        return o.GreKey(_U32.unpack_from(octets, at + 2)[0])
    return o.GreKey(None) if length == 2 else Reason.BAD_OPTION_LENGTH


def _read_ipv4_home_address_request(octets: bytes, at: int, length: int) -> o.Option | Reason:
    if length != 6:
        return Reason.BAD_OPTION_LENGTH
    prefix_length = octets[at] >> 2
    if prefix_length > 32:
        return Reason.BAD_OPTION_VALUE
    return o.IPv4HomeAddressRequest(IPv4Address(octets[at + 2 : at + 6]), prefix_length)


def _read_ipv4_home_address_reply(octets: bytes, at: int, length: int) -> o.Option | Reason:
    if length != 6:
        return Reason.BAD_OPTION_LENGTH
    prefix_length = octets[at + 1] >> 2
    if prefix_length > 32:
        return Reason.BAD_OPTION_VALUE
    return o.IPv4HomeAddressReply(octets[at], prefix_length, IPv4Address(octets[at + 2 : at + 6]))


def _read_ipv4_default_router(octets: bytes, at: int, length: int) -> o.Option | Reason:
    if length != 6:
        return Reason.BAD_OPTION_LENGTH
    return o.IPv4DefaultRouter(IPv4Address(octets[at + 2 : at + 6]))


def _read_ipv4_dhcp_support_mode(octets: bytes, at: int, length: int) -> o.Option | Reason:
    if length != 2:
        return Reason.BAD_OPTION_LENGTH
    return o.IPv4DhcpSupportMode(bool(octets[at + 1] & 1))


def _read_lma_user_plane_address(octets: bytes, at: int, length: int) -> o.Option | Reason:
    match length:
        case 2:
            return o.LmaUserPlaneAddress(None)
        case 6:
            return o.LmaUserPlaneAddress(IPv4Address(octets[at + 2 : at + 6]))
        case 18:
            return o.LmaUserPlaneAddress(IPv6Address(octets[at + 2 : at + 18]))
        case _:
            return Reason.BAD_OPTION_LENGTH


# --- writing ---------------------------------------------------------------------------------------------------------


def _packed(address: IPv4Address | IPv6Address, family: int) -> bytes:
    if address.version != family:
        raise ValueError(f"{address} is not an IPv{family} address")
    return address.packed


def _write_mobile_node_identifier(option: o.MobileNodeIdentifier) -> bytes:
    return bytes((option.subtype,)) + option.identifier


def _write_authentication(option: o.Authentication) -> bytes:
    return struct.pack(">BI", option.subtype, option.spi) + option.authenticator


def _write_vendor_specific(option: o.VendorSpecific) -> bytes:
    return struct.pack(">IB", option.vendor, option.subtype) + option.data


def _write_service_selection(option: o.ServiceSelection) -> bytes:
    if not option.identifier:
        raise ValueError("the identifier is empty")
    return option.identifier


def _write_home_network_prefix(option: o.HomeNetworkPrefix) -> bytes:
    if option.length > 128 and int(option.address):
        raise ValueError(f"{option.length} is no prefix length")
    return bytes((0, option.length)) + _packed(option.address, 6)


def _write_nat_detection(option: o.NatDetection) -> bytes:
    return struct.pack(">HI", 0x8000 if option.force else 0, option.refresh_time)


def _write_gre_key(option: o.GreKey) -> bytes:
    return b"\0\0" if option.key is None else b"\0\0" + _U32.pack(option.key)


def _prefix_length_bits(prefix_length: int) -> int:
    if not 0 <= prefix_length <= 32:
        raise ValueError(f"{prefix_length} is no prefix length")
    return prefix_length << 2


def _write_ipv4_home_address_request(option: o.IPv4HomeAddressRequest) -> bytes:
    return bytes((_prefix_length_bits(option.prefix_length), 0)) + _packed(option.address, 4)


def _write_ipv4_home_address_reply(option: o.IPv4HomeAddressReply) -> bytes:
    return bytes((option.status, _prefix_length_bits(option.prefix_length))) + _packed(option.address, 4)


def _write_lma_user_plane_address(option: o.LmaUserPlaneAddress) -> bytes:
    return b"\0\0" if option.address is None else b"\0\0" + option.address.packed


# --- the tables ------------------------------------------------------------------------------------------------------

_READERS: Mapping[int, Reader] = {
    OptionType.ALTERNATE_CARE_OF_ADDRESS: _read_alternate_care_of_address,
    OptionType.MOBILE_NODE_IDENTIFIER: _read_mobile_node_identifier,
    OptionType.AUTHENTICATION: _read_authentication,
    OptionType.REPLAY_PROTECTION: _read_replay_protection,
    OptionType.VENDOR_SPECIFIC: _read_vendor_specific,
    OptionType.SERVICE_SELECTION: _read_service_selection,
    OptionType.HOME_NETWORK_PREFIX: _read_home_network_prefix,
    OptionType.HANDOFF_INDICATOR: _read_handoff_indicator,
    OptionType.ACCESS_TECHNOLOGY_TYPE: _read_access_technology,
    OptionType.MOBILE_NODE_LINK_LAYER_IDENTIFIER: _read_link_layer_identifier,
    OptionType.LINK_LOCAL_ADDRESS: _read_link_local_address,
    OptionType.TIMESTAMP: _read_timestamp,
    OptionType.RESTART_COUNTER: _read_restart_counter,
    OptionType.NAT_DETECTION: _read_nat_detection,
    OptionType.IPV4_HOME_ADDRESS_REQUEST: _read_ipv4_home_address_request,
    OptionType.IPV4_HOME_ADDRESS_REPLY: _read_ipv4_home_address_reply,
    OptionType.IPV4_DEFAULT_ROUTER_ADDRESS: _read_ipv4_default_router,
    OptionType.IPV4_DHCP_SUPPORT_MODE: _read_ipv4_dhcp_support_mode,
}

_LAYOUTS: Mapping[type, Layout] = {
    o.AlternateCareOfAddress: Layout(
        OptionType.ALTERNATE_CARE_OF_ADDRESS, (8, 6), lambda option: _packed(option.address, 6)
    ),
    o.MobileNodeIdentifier: Layout(OptionType.MOBILE_NODE_IDENTIFIER, _ANY, _write_mobile_node_identifier),
    o.Authentication: Layout(OptionType.AUTHENTICATION, _BY_SIZE, _write_authentication),
    o.ReplayProtection: Layout(OptionType.REPLAY_PROTECTION, (8, 2), lambda option: _U64.pack(option.timestamp)),
    o.VendorSpecific: Layout(OptionType.VENDOR_SPECIFIC, (4, 2), _write_vendor_specific),
    o.ServiceSelection: Layout(OptionType.SERVICE_SELECTION, _ANY, _write_service_selection),
    o.HomeNetworkPrefix: Layout(OptionType.HOME_NETWORK_PREFIX, (8, 4), _write_home_network_prefix),
    o.HandoffIndicatorOption: Layout(OptionType.HANDOFF_INDICATOR, _ANY, lambda option: bytes((0, option.indicator))),
    o.AccessTechnologyOption: Layout(
        OptionType.ACCESS_TECHNOLOGY_TYPE, _ANY, lambda option: bytes((0, option.technology))
    ),
    o.LinkLayerIdentifier: Layout(
        OptionType.MOBILE_NODE_LINK_LAYER_IDENTIFIER, _BY_SIZE, lambda option: b"\0\0" + option.identifier
    ),
    o.LinkLocalAddress: Layout(OptionType.LINK_LOCAL_ADDRESS, (8, 6), lambda option: _packed(option.address, 6)),
    o.Timestamp: Layout(OptionType.TIMESTAMP, (8, 2), lambda option: _U64.pack(option.value)),
    o.RestartCounter: Layout(OptionType.RESTART_COUNTER, (4, 2), lambda option: _U32.pack(option.counter)),
    o.NatDetection: Layout(OptionType.NAT_DETECTION, (4, 0), _write_nat_detection),
    o.IPv4HomeAddressRequest: Layout(OptionType.IPV4_HOME_ADDRESS_REQUEST, (4, 0), _write_ipv4_home_address_request),
    o.IPv4HomeAddressReply: Layout(OptionType.IPV4_HOME_ADDRESS_REPLY, (4, 0), _write_ipv4_home_address_reply),
    o.IPv4DefaultRouter: Layout(
        OptionType.IPV4_DEFAULT_ROUTER_ADDRESS, (4, 0), lambda option: b"\0\0" + _packed(option.address, 4)
    ),
    o.IPv4DhcpSupportMode: Layout(
        OptionType.IPV4_DHCP_SUPPORT_MODE, _ANY, lambda option: _U16.pack(1 if option.server else 0)
    ),
}


@lru_cache(maxsize=16)
def _tables(codepoints: Codepoints) -> tuple[Mapping[int, Reader], Mapping[type, Layout]]:
    readers, layouts = dict(_READERS), dict(_LAYOUTS)
    readers[codepoints.gre_key_option] = _read_gre_key
    readers[codepoints.lma_user_plane_address_option] = _read_lma_user_plane_address
    layouts[o.GreKey] = Layout(codepoints.gre_key_option, (4, 0), _write_gre_key)
    layouts[o.LmaUserPlaneAddress] = Layout(
        codepoints.lma_user_plane_address_option, (8, 2), _write_lma_user_plane_address
    )
    return readers, layouts


def type_of(option: o.Option, codepoints: Codepoints) -> int:
    """The option's type number on the wire."""
    if isinstance(option, o.UnknownOption):
        return option.type
    return _tables(codepoints)[1][type(option)].type


def decode_options(
    octets: bytes, position: int, faults: list[Fault], codepoints: Codepoints
) -> tuple[tuple[o.Option, ...], tuple[int, ...]]:
    """The options from `position` to the end of a Mobility Header, and where each starts; adds to `faults`.

    A malformed option is skipped and reported; one that reaches beyond the end is reported and ends the walk.
    """
    readers = _tables(codepoints)[0]
    gre_key, gre_key_seen = codepoints.gre_key_option, False
    end = len(octets)
    found: list[o.Option] = []
    offsets: list[int] = []
    while position < end:
        kind = octets[position]
        if kind == _PAD1:
            position += 1
            continue
        at = position + 2
        if at > end or (following := at + octets[position + 1]) > end:
            faults.append(Fault(position, Reason.OPTION_TRUNCATED))
            break
        if kind != _PADN:
            reader = readers.get(kind)
            option = (
                o.UnknownOption(kind, octets[at:following]) if reader is None else reader(octets, at, following - at)
            )
            if isinstance(option, Reason):
                faults.append(Fault(position, option))
            else:
                if kind == gre_key:
                    if gre_key_seen:
                        faults.append(Fault(position, Reason.DUPLICATE_OPTION))
                    gre_key_seen = True
                found.append(option)
                offsets.append(position)
        position = following
    return tuple(found), tuple(offsets)


def encode_options(message: bytearray, options: tuple[o.Option, ...], codepoints: Codepoints) -> None:
    """Append `options` to a message, each where its alignment wants it.

    Raises:
        WireError: a value does not fit its field, or an option is none.
    """
    layouts = _tables(codepoints)[1]
    for option in options:
        layout = layouts.get(option.__class__)
        try:
            if layout is None:
                kind, (step, phase), data = _unknown(option)
            else:
                kind, (step, phase), write = layout
                data = write(option)
            if not step:
                step, phase = _alignment_by_size(kind, len(data))
            gap = (phase - len(message)) % step
            if gap:
                message += padding(gap)
            message.append(kind)
            message.append(len(data))
            message += data
        except (ValueError, struct.error) as error:
            raise WireError(type(option).__name__, option, f"does not fit the wire ({error})") from error


def padding(size: int) -> bytes:
    """Pad1 or PadN of `size` octets in all."""
    return b"\0" if size == 1 else bytes((OptionType.PADN, size - 2)) + bytes(size - 2)


def _unknown(option: o.Option) -> tuple[int, tuple[int, int], bytes]:
    if not isinstance(option, o.UnknownOption):
        raise ValueError("not a mobility option")
    if option.type in (OptionType.PAD1, OptionType.PADN):
        raise ValueError("padding is the encoder's own")
    return option.type, _ANY, option.data


def _alignment_by_size(kind: int, length: int) -> tuple[int, int]:
    if kind == OptionType.AUTHENTICATION:
        # 4n+1 (RFC 4285 §5); of the two places in 8 octets, the one where no padding follows the last option.
        phase = -(length + 2) % 8
        return (8, phase) if phase % 4 == 1 else (4, 1)
    size = length - 2  # RFC 5213 §8.6: "aligned appropriately", based on the size of the identifier
    step = min(size & -size, 8) or 1
    return step, -4 % step
