"""A Proxy Binding Update as the LMA looks at it: each option under its name."""

from dataclasses import dataclass
from ipaddress import IPv6Address

from p4pmip.mobility.binding import Gre, IPAddress
from p4pmip.mobility.endpoint import Endpoint
from p4pmip.mobility.peer import PeerState
from p4pmip.mobility.session import PackedPrefix, pack
from p4pmip.wire import options as o
from p4pmip.wire.message import BindingUpdate


@dataclass(slots=True)
class Request:
    """What a PBU asks, taken apart once."""

    update: BindingUpdate
    source: Endpoint
    destination: Endpoint
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
    forced_udp: bool
    replay: int | None
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


def parse(update: BindingUpdate, source: Endpoint, destination: Endpoint, peer: PeerState | None) -> Request:
    """Take a PBU apart; of an option that may stand once the first counts."""
    found: dict[type, o.Option] = {}
    home_prefixes: list[o.HomeNetworkPrefix] = []
    ipv4_requests: list[o.IPv4HomeAddressRequest] = []
    for option in update.options:
        if isinstance(option, o.HomeNetworkPrefix):
            home_prefixes.append(option)
        elif isinstance(option, o.IPv4HomeAddressRequest):
            ipv4_requests.append(option)
        else:
            found.setdefault(option.__class__, option)
    get = found.get
    identifier = get(o.MobileNodeIdentifier)
    indicator = get(o.HandoffIndicatorOption)
    technology = get(o.AccessTechnologyOption)
    link_layer = get(o.LinkLayerIdentifier)
    link_local = get(o.LinkLocalAddress)
    stamp = get(o.Timestamp)
    gre = get(o.GreKey)
    care_of = get(o.AlternateCareOfAddress)
    nat = get(o.NatDetection)
    replay = get(o.ReplayProtection)
    key = gre.key if isinstance(gre, o.GreKey) else None
    address: IPAddress = source.address
    if isinstance(care_of, o.AlternateCareOfAddress):
        address = care_of.address
    elif peer is not None and peer.config.tunnel is not None:
        address = peer.config.tunnel
    return Request(
        update=update,
        source=source,
        destination=destination,
        peer=peer,
        mn=identifier.identifier if isinstance(identifier, o.MobileNodeIdentifier) else b"",
        identifier=identifier if isinstance(identifier, o.MobileNodeIdentifier) else None,
        home_prefixes=home_prefixes,
        prefixes=tuple(
            pack(number >> 128 - option.length << 128 - option.length, option.length)
            for option in home_prefixes
            if (number := int(option.address))
        ),
        indicator=indicator.indicator if isinstance(indicator, o.HandoffIndicatorOption) else None,
        technology=technology.technology if isinstance(technology, o.AccessTechnologyOption) else None,
        link_layer=link_layer.identifier if isinstance(link_layer, o.LinkLayerIdentifier) else b"",
        link_local=link_local.address if isinstance(link_local, o.LinkLocalAddress) else None,
        timestamp=stamp.value if isinstance(stamp, o.Timestamp) else None,
        gre=Gre.PLAIN if gre is None else Gre.MODE if key is None else Gre.KEYED,
        key=key,
        ipv4_requests=ipv4_requests,
        care_of=address,
        user_plane_asked=o.LmaUserPlaneAddress in found,
        forced_udp=isinstance(nat, o.NatDetection) and nat.force,
        replay=replay.timestamp if isinstance(replay, o.ReplayProtection) else None,
    )
