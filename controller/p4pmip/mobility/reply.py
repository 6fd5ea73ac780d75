"""A Proxy Binding Acknowledgement as the MAG looks at it: each option under its name."""

from dataclasses import dataclass
from ipaddress import IPv6Address

from p4pmip.mobility.binding import Gre, IPAddress
from p4pmip.mobility.dialects import Answer
from p4pmip.mobility.session import PackedIPv4, PackedPrefix, pack
from p4pmip.mobility.update_list import ListEntry
from p4pmip.wire import options as o
from p4pmip.wire.message import BindingAcknowledgement
from p4pmip.wire.numbers import BindingAcknowledgementFlag, Codepoints, Status

_TLV = int(BindingAcknowledgementFlag.T)


@dataclass(frozen=True, slots=True)
class Reply:
    """What a PBA says, taken apart once."""

    message: BindingAcknowledgement
    mn: bytes
    prefixes: tuple[PackedPrefix, ...]
    indicator: int | None
    technology: int | None
    link_layer: bytes | None
    link_local: IPv6Address | None
    timestamp: int | None
    gre: Gre
    key: int | None
    ipv4: PackedIPv4 | None
    """None: not granted."""
    ipv4_router: int | None
    dhcp_server: bool
    user_plane: IPAddress | None

    @property
    def tlv(self) -> bool:
        """The T flag (RFC 5845 §7)."""
        return bool(self.message.flags & _TLV)

    def answer(self, codepoints: Codepoints) -> Answer:
        """What the status says about GRE."""
        status = self.message.status
        if status == Status.GRE_KEY_OPTION_NOT_REQUIRED:
            return Answer.NOT_REQUIRED
        if status < 128:
            return Answer.ACCEPTED
        if status == codepoints.not_required:
            return Answer.NOT_SUPPORTED
        return Answer.REQUIRED if status == codepoints.required else Answer.REFUSED

    def echoes(self, entry: ListEntry, indicator: int) -> bool:
        """Whether it is about what was asked (RFC 5213 §6.9.1.2: HI, ATT and the link-layer identifier are echoed)."""
        return (
            self.indicator == indicator
            and self.technology == entry.technology
            and self.link_layer in (None, entry.access.mac)
        )


def parse(message: BindingAcknowledgement) -> Reply:
    """Take a PBA apart; of an option that may stand once the first counts."""
    found: dict[type, o.Option] = {}
    prefixes: list[PackedPrefix] = []
    for option in message.options:
        if isinstance(option, o.HomeNetworkPrefix):
            if number := int(option.address):
                prefixes.append(pack(number >> 128 - option.length << 128 - option.length, option.length))
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
    ipv4 = get(o.IPv4HomeAddressReply)
    router = get(o.IPv4DefaultRouter)
    dhcp = get(o.IPv4DhcpSupportMode)
    user_plane = get(o.LmaUserPlaneAddress)
    key = gre.key if isinstance(gre, o.GreKey) else None
    granted = isinstance(ipv4, o.IPv4HomeAddressReply) and ipv4.status < 128 and int(ipv4.address)
    return Reply(
        message=message,
        mn=identifier.identifier if isinstance(identifier, o.MobileNodeIdentifier) else b"",
        prefixes=tuple(prefixes),
        indicator=indicator.indicator if isinstance(indicator, o.HandoffIndicatorOption) else None,
        technology=technology.technology if isinstance(technology, o.AccessTechnologyOption) else None,
        link_layer=link_layer.identifier if isinstance(link_layer, o.LinkLayerIdentifier) else None,
        link_local=link_local.address if isinstance(link_local, o.LinkLocalAddress) else None,
        timestamp=stamp.value if isinstance(stamp, o.Timestamp) else None,
        gre=Gre.PLAIN if gre is None else Gre.MODE if key is None else Gre.KEYED,
        key=key,
        ipv4=pack(int(ipv4.address), ipv4.prefix_length)
        if granted and isinstance(ipv4, o.IPv4HomeAddressReply)
        else None,
        ipv4_router=int(router.address) if isinstance(router, o.IPv4DefaultRouter) else None,
        dhcp_server=dhcp.server if isinstance(dhcp, o.IPv4DhcpSupportMode) else True,
        user_plane=user_plane.address if isinstance(user_plane, o.LmaUserPlaneAddress) else None,
    )
