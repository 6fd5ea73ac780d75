"""A Proxy Binding Acknowledgement as the MAG looks at it: each option under its name."""

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import Any

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
    replay: int | None
    forced_udp: bool
    """NAT Detection with F: IPv4-UDP encapsulation (RFC 5844 §4.2.2)."""
    gre: Gre
    key: int | None
    ipv4: PackedIPv4 | None
    """None: not granted."""
    ipv4_router: IPv4Address | None
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
        """Whether nothing in it differs from what was asked (RFC 5213 §6.9.1.2: HI, ATT and LL-ID are echoed)."""
        return (
            self.indicator in (None, indicator)
            and self.technology in (None, entry.technology)
            and self.link_layer in (None, entry.access.mac)
        )


def parse(message: BindingAcknowledgement) -> Reply:
    """Take a PBA apart; of an option that may stand once the first counts."""
    found: dict[type, Any] = {}  # an option by its class, which says its type
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
    replay = get(o.ReplayProtection)
    nat = get(o.NatDetection)
    gre = get(o.GreKey)
    ipv4 = get(o.IPv4HomeAddressReply)
    router = get(o.IPv4DefaultRouter)
    dhcp = get(o.IPv4DhcpSupportMode)
    user_plane = get(o.LmaUserPlaneAddress)
    if ipv4 is not None and (ipv4.status >= 128 or not int(ipv4.address)):
        ipv4 = None
    return Reply(
        message=message,
        mn=b"" if identifier is None else identifier.identifier,
        prefixes=tuple(prefixes),
        indicator=None if indicator is None else indicator.indicator,
        technology=None if technology is None else technology.technology,
        link_layer=None if link_layer is None else link_layer.identifier,
        link_local=None if link_local is None else link_local.address,
        timestamp=None if stamp is None else stamp.value,
        replay=None if replay is None else replay.timestamp,
        forced_udp=nat is not None and nat.force,
        gre=Gre.PLAIN if gre is None else Gre.MODE if gre.key is None else Gre.KEYED,
        key=None if gre is None else gre.key,
        ipv4=None if ipv4 is None else pack(int(ipv4.address), ipv4.prefix_length),
        ipv4_router=None if router is None else router.address,
        dhcp_server=True if dhcp is None else dhcp.server,
        user_plane=None if user_plane is None else user_plane.address,
    )
