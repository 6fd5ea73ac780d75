"""The Proxy Binding Acknowledgement: what it echoes and what it grants.

RFC 5213 §5.3.6, RFC 5844 §3.1.2.6 and §4.2.2, RFC 4285 §6, RFC 5845, RFC 7389.
"""

from ipaddress import IPv4Address, IPv6Address

from p4pmip.mobility.binding import Gre
from p4pmip.mobility.request import Request
from p4pmip.mobility.session import Session, unpack
from p4pmip.wire import options as o
from p4pmip.wire.message import BindingAcknowledgement
from p4pmip.wire.numbers import BindingAcknowledgementFlag, IdentifierSubtype, IPv4HomeAddressStatus

_P = BindingAcknowledgementFlag.P
_P_AND_T = BindingAcknowledgementFlag.P | BindingAcknowledgementFlag.T
_NO_IDENTIFIER = o.MobileNodeIdentifier(IdentifierSubtype.NAI, b"")
_NO_INDICATOR = o.HandoffIndicatorOption(0)
_NO_TECHNOLOGY = o.AccessTechnologyOption(0)
_DHCP = {server: o.IPv4DhcpSupportMode(server) for server in (False, True)}
_FORCED_UDP = o.NatDetection(True, 0)
_ANY_PREFIX = o.HomeNetworkPrefix(IPv6Address(0), 0)


def grant(
    request: Request,
    session: Session,
    status: int,
    *,
    option: bool,
    tlv: bool,
    dhcp_server: bool,
    user_plane: bool,
) -> BindingAcknowledgement:
    """The answer to a PBU that was accepted.

    Args:
        request: The PBU.
        session: What it led to.
        status: Below 128.
        option: Whether the GRE Key option is returned.
        tlv: Whether the T flag is (RFC 5845 §7).
        dhcp_server: RFC 5844 §3.3.4.
        user_plane: Whether our user-plane address is told (RFC 7389).
    """
    ending = request.update.lifetime == 0
    options: list[o.Option] = [request.identifier or _NO_IDENTIFIER]
    if request.home_prefixes:  # a PBU about IPv4 alone is answered without prefixes (RFC 5844 §3.1.2.6)
        if not session.prefixes:  # released by this very PBU
            options += request.home_prefixes
        for prefix in session.prefixes:
            address, length = unpack(prefix)
            options.append(o.HomeNetworkPrefix(IPv6Address(address), length))
    _echo(options, request)
    if request.link_local is not None and session.link_local is not None:
        options.append(o.LinkLocalAddress(session.link_local))
    if request.timestamp_option is not None:
        options.append(request.timestamp_option)
    if option:
        options.append(o.GreKey(session.uplink_key if session.gre is Gre.KEYED else None))
    asked = request.ipv4
    if asked is not None:
        if session.ipv4 is None:  # released by this very PBU
            options.append(o.IPv4HomeAddressReply(0, asked.prefix_length, asked.address))
        else:
            ipv4, length = unpack(session.ipv4)
            options.append(o.IPv4HomeAddressReply(IPv4HomeAddressStatus.SUCCESS, length, IPv4Address(ipv4)))
            if session.ipv4_router is not None:
                options.append(o.IPv4DefaultRouter(session.ipv4_router))
            options.append(_DHCP[dhcp_server])
    if session.tunnel is not None and session.tunnel.udp and session.gre is Gre.PLAIN:
        options.append(_FORCED_UDP)
    if request.replay is not None:
        options.append(o.ReplayProtection(request.replay))
    if user_plane and session.tunnel is not None:
        options.append(o.LmaUserPlaneAddress(session.tunnel.local))
    return BindingAcknowledgement(
        status, _P_AND_T if tlv else _P, request.update.sequence, 0 if ending else session.lifetime, tuple(options)
    )


def refusal(
    request: Request,
    status: int,
    *,
    timestamp: int | None = None,
    sequence: int | None = None,
    replay: int | None = None,
    ipv4_status: int = IPv4HomeAddressStatus.FAILURE_REASON_UNSPECIFIED,
) -> BindingAcknowledgement:
    """The answer to a PBU that was refused.

    Args:
        request: The PBU.
        status: 128 or above.
        timestamp: Our time, where the status is about the PBU's.
        sequence: The last accepted one, with status 135.
        replay: Our time beside the fraction of the PBU's, with status 144 (RFC 4285 §6).
        ipv4_status: Of the IPv4 Home Address Reply, if the PBU had a request.
    """
    options: list[o.Option] = [request.identifier or _NO_IDENTIFIER]
    if request.home_prefixes or request.ipv4 is None:
        options += request.home_prefixes or [_ANY_PREFIX]
    _echo(options, request)
    if request.link_local is not None:
        options.append(o.LinkLocalAddress(request.link_local))
    if request.timestamp_option is not None:
        options.append(request.timestamp_option if timestamp is None else o.Timestamp(timestamp))
    if request.replay is not None:
        options.append(o.ReplayProtection(request.replay if replay is None else replay))
    if request.ipv4 is not None:
        options.append(o.IPv4HomeAddressReply(ipv4_status, request.ipv4.prefix_length, request.ipv4.address))
    return BindingAcknowledgement(
        status, _P, request.update.sequence if sequence is None else sequence, 0, tuple(options)
    )


def _echo(options: list[o.Option], request: Request) -> None:
    options.append(request.indicator_option or _NO_INDICATOR)
    options.append(request.technology_option or _NO_TECHNOLOGY)
    if request.link_layer_option is not None:
        options.append(request.link_layer_option)
