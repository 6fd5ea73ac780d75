"""A Proxy Binding Update as the LMA looks at it: each option under its name."""

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import Any, cast

from p4pmip.mobility.binding import Gre, IPAddress
from p4pmip.mobility.config import Profile
from p4pmip.mobility.incoming import Incoming
from p4pmip.mobility.peer import PeerState
from p4pmip.mobility.session import PackedPrefix, pack
from p4pmip.wire import options as o
from p4pmip.wire.message import BindingUpdate
from p4pmip.wire.numbers import OptionType


@dataclass(slots=True)
class Request:
    """What a PBU asks, taken apart once."""

    update: BindingUpdate
    incoming: Incoming
    """The PBU as it came."""
    peer: PeerState | None
    mn: bytes
    identifier: o.MobileNodeIdentifier | None
    home_prefixes: list[o.HomeNetworkPrefix]
    prefixes: tuple[PackedPrefix, ...]
    """The NON_ZERO home network prefixes."""
    indicator: int | None
    technology: int | None
    link_layer: bytes
    """Empty: the option is absent, RFC 5213's ALL_ZERO."""
    link_local: IPv6Address | None
    timestamp: int | None
    gre: Gre
    key: int | None
    ipv4_requests: list[o.IPv4HomeAddressRequest]
    care_of: IPAddress
    """The Proxy-CoA: the tunnel end point, and what tells a refresh from a handoff."""
    user_plane_asked: bool
    replay: int | None
    profile: Profile | None = None
    """The mobile node's, once it has been looked up."""
    indicator_option: o.HandoffIndicatorOption | None = None
    technology_option: o.AccessTechnologyOption | None = None
    link_layer_option: o.LinkLayerIdentifier | None = None
    timestamp_option: o.Timestamp | None = None
    """As they came, to be echoed."""
    order_checked: bool = False
    """It passed the ordering check when it arrived, and waited since."""

    @property
    def ipv4(self) -> o.IPv4HomeAddressRequest | None:
        """The IPv4 Home Address Request."""
        return self.ipv4_requests[0] if self.ipv4_requests else None

    @property
    def ipv6(self) -> bool:
        """Whether home network prefixes are asked for."""
        return bool(self.home_prefixes)


def parse(update: BindingUpdate, incoming: Incoming) -> Request:
    """Take a PBU apart; of an option that may stand once the first counts."""
    found: dict[type, Any] = {}  # an option by its class, which says its type
    home_prefixes: list[o.HomeNetworkPrefix] = []
    ipv4_requests: list[o.IPv4HomeAddressRequest] = []
    ipv4_care_of: IPv4Address | None = None
    for option in update.options:
        kind = option.__class__
        if kind is o.UnknownOption:
            unknown = cast(o.UnknownOption, option)
            if unknown.type == OptionType.ALTERNATE_IPV4_CARE_OF_ADDRESS and len(unknown.data) == 4:
                ipv4_care_of = IPv4Address(unknown.data)
        elif kind not in found:
            found[kind] = option
        if kind is o.HomeNetworkPrefix:
            home_prefixes.append(cast(o.HomeNetworkPrefix, option))
        elif kind is o.IPv4HomeAddressRequest:
            ipv4_requests.append(cast(o.IPv4HomeAddressRequest, option))
    get = found.get
    identifier = get(o.MobileNodeIdentifier)
    indicator = get(o.HandoffIndicatorOption)
    technology = get(o.AccessTechnologyOption)
    link_layer = get(o.LinkLayerIdentifier)
    link_local = get(o.LinkLocalAddress)
    stamp = get(o.Timestamp)
    gre = get(o.GreKey)
    care_of = get(o.AlternateCareOfAddress)
    replay = get(o.ReplayProtection)
    address: IPAddress = incoming.source.address
    if care_of is not None:
        address = care_of.address
    elif ipv4_care_of is not None:
        address = ipv4_care_of
    elif incoming.peer is not None and incoming.peer.config.tunnel is not None:
        address = incoming.peer.config.tunnel
    return Request(
        update,
        incoming,
        incoming.peer,
        b"" if identifier is None else identifier.identifier,
        identifier,
        home_prefixes,
        tuple(
            [
                pack(number >> 128 - option.length << 128 - option.length, option.length)
                for option in home_prefixes
                if (number := int(option.address))
            ]
        ),
        None if indicator is None else indicator.indicator,
        None if technology is None else technology.technology,
        b"" if link_layer is None else link_layer.identifier,
        None if link_local is None else link_local.address,
        None if stamp is None else stamp.value,
        Gre.PLAIN if gre is None else Gre.MODE if gre.key is None else Gre.KEYED,
        None if gre is None else gre.key,
        ipv4_requests,
        address,
        o.LmaUserPlaneAddress in found,
        None if replay is None else replay.timestamp,
        None,
        indicator,
        technology,
        link_layer,
        stamp,
    )
