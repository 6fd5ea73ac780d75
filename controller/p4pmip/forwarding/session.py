"""A binding's entries: what its session needs, with the entries of the tunnel that it shares with others."""

from ipaddress import IPv6Network

from p4pmip.errors import P4pmipError
from p4pmip.forwarding.context import Context, is_ipv6, mac_number
from p4pmip.forwarding.entry import Entry, Lpm, action_form, key_form, make_entry
from p4pmip.forwarding.program import VRF_TRANSPORT, Direction, DscpMode, Encapsulation
from p4pmip.mobility.binding import Binding, Granularity, Gre, Phase, Role, Tunnel

NEXTHOP_OF_SESSION = 1 << 31
"""Added to a session id: the id of the next hop that is its mobile node."""

_ENCAPSULATE = {
    (6, Encapsulation.IP): "encap_v6_ip",
    (6, Encapsulation.GRE): "encap_v6_gre",
    (4, Encapsulation.IP): "encap_v4_ip",
    (4, Encapsulation.GRE): "encap_v4_gre",
    (4, Encapsulation.UDP): "encap_v4_udp",
    (4, Encapsulation.UDP_GRE): "encap_v4_udp_tlv_gre",
}

# An attach makes about ten entries, and of a session each: by their forms, not by names.
_GRE_RX = key_form("gre_rx", ("peer_id", "encapsulation", "key_valid", "gre_key"))
_RX_SESSION = action_form("rx_session", ("session_id", "vrf", "direction"))
_RX_SESSION_UNCHECKED = action_form("rx_session_unchecked", ("session_id", "vrf", "direction"))
_RX_VRF = action_form("rx_vrf", ("vrf", "direction"))

_SESSION_ADDRESS_V6 = key_form("session_address_v6", ("session_id", "address"))
_SESSION_ADDRESS_V4 = key_form("session_address_v4", ("session_id", "address"))
_NO_ACTION = action_form("NoAction")

_REALM_SESSION_V6 = key_form("realm_session_v6", ("peer_id", "encapsulation", "vrf", "address"))
_REALM_SESSION_V4 = key_form("realm_session_v4", ("peer_id", "encapsulation", "vrf", "address"))
_REALM_SESSION = action_form("realm_session", ("session_id", "vrf"))

_SESSION = key_form("session", ("session_id", "direction"))
_TO_TUNNEL = action_form("to_tunnel", ("tunnel_id",))
_TO_TUNNEL_KEYED = action_form("to_tunnel_keyed", ("tunnel_id", "gre_key"))
_TO_ACCESS = action_form("to_access", ("nexthop_id",))

_SESS_DST_V6 = key_form("sess_dst_v6", ("vrf", "address"))
_SESS_DST_V4 = key_form("sess_dst_v4", ("vrf", "address"))
_DL_SESSION = action_form("dl_session", ("session_id",))

_MN_SRC_V6 = key_form("mn_src_v6", ("link_id", "mac", "address"))
_MN_SRC_V4 = key_form("mn_src_v4", ("link_id", "mac", "address"))
_MN = action_form("mn", ("session_id",))
_MN_LOCAL = action_form("mn_local", ("session_id", "vrf"))

_NEXTHOP = key_form("nexthop", ("nexthop_id",))
_L2 = action_form("l2", ("port", "src", "dst", "mtu"))
_L2_VLAN = action_form("l2_vlan", ("port", "vlan_id", "src", "dst", "mtu"))


def entries(binding: Binding, context: Context) -> tuple[Entry, ...]:
    """The entries a binding asks for, shared ones included.

    Raises:
        P4pmipError: The context has no such realm or link, or the tunnel cannot be (UDP over IPv6).
    """
    if binding.phase is Phase.HELD:
        return ()  # its addresses fall back to their pool's drop
    session_id = binding.session_id + context.session_base
    if binding.role is Role.LMA:
        return _anchor(binding, context, session_id)
    return _gateway(binding, context, session_id)


def _anchor(binding: Binding, context: Context, session_id: int) -> tuple[Entry, ...]:
    vrf = context.vrf(binding.realm)
    rx, tx, peer_id, tunnel_id = _tunnel(binding, context)
    prefixes = [_lpm(prefix) for prefix in binding.prefixes]
    address = None if binding.ipv4 is None else int(binding.ipv4)
    found = [tx, rx]
    _receive(found, binding, Direction.UPLINK, session_id, vrf, peer_id, prefixes, address)
    found.append(_transmit(binding, Direction.DOWNLINK, session_id, tunnel_id))
    _reachable(found, session_id, vrf, prefixes, address)
    return tuple(found)


def _reachable(found: list[Entry], session_id: int, vrf: int, prefixes: list[Lpm], address: int | None) -> None:
    """Packets of its realm that are for the mobile node enter its downlink here."""
    for prefix in prefixes:
        found.append(make_entry((_SESS_DST_V6, vrf, prefix, _DL_SESSION, session_id)))
    if address is not None:
        found.append(make_entry((_SESS_DST_V4, vrf, address, _DL_SESSION, session_id)))


def _gateway(binding: Binding, context: Context, session_id: int) -> tuple[Entry, ...]:
    access = binding.access
    if access is None:
        return ()
    link = context.link(access.link)
    mac = mac_number(access.mac)
    rx, tx, peer_id, tunnel_id = _tunnel(binding, context)
    prefixes = [_lpm(prefix) for prefix in binding.prefixes]
    address = None if binding.ipv4 is None else int(binding.ipv4)
    found = [rx]
    vrf = context.vrf(binding.realm)
    _receive(found, binding, Direction.DOWNLINK, session_id, vrf, peer_id, prefixes, address)
    nexthop_id = NEXTHOP_OF_SESSION | session_id
    found.append(nexthop(nexthop_id, link.port, link.vlan, mac_number(link.mac), mac, link.mtu))
    found.append(make_entry((_SESSION, session_id, Direction.DOWNLINK, _TO_ACCESS, nexthop_id)))
    if binding.phase is Phase.PROPOSED:
        return tuple(found)
    found.append(tx)
    found.append(_transmit(binding, Direction.UPLINK, session_id, tunnel_id))
    entering = (_MN_LOCAL, session_id, vrf) if context.local_routing else (_MN, session_id)
    for prefix in prefixes:
        found.append(make_entry((_MN_SRC_V6, access.link, mac, prefix, *entering)))
    if address is not None:
        found.append(make_entry((_MN_SRC_V4, access.link, mac, address, *entering)))
    if context.local_routing:
        _reachable(found, session_id, vrf, prefixes, address)
    return tuple(found)


def _receive(
    found: list[Entry],
    binding: Binding,
    direction: Direction,
    session_id: int,
    vrf: int,
    peer_id: int,
    prefixes: list[Lpm],
    address: int | None,
) -> None:
    """What tells whose a decapsulated packet is, and that it is theirs."""
    encapsulation = _encapsulation(binding)
    key = binding.receive_key if binding.gre is Gre.KEYED else None
    if key is not None and binding.granularity is Granularity.SESSION:
        where = (_GRE_RX, peer_id, encapsulation, 1, key)
        if binding.phase is Phase.PROPOSED:
            found.append(make_entry((*where, _RX_SESSION_UNCHECKED, session_id, vrf, direction)))
            return
        found.append(make_entry((*where, _RX_SESSION, session_id, vrf, direction)))
        for prefix in prefixes:
            found.append(make_entry((_SESSION_ADDRESS_V6, session_id, prefix, _NO_ACTION)))
        if address is not None:
            found.append(make_entry((_SESSION_ADDRESS_V4, session_id, address, _NO_ACTION)))
        return
    # Without a key nothing in the packet names the realm: such sessions are told apart by address alone, which is
    # why overlapping realms need keys (draft-00 §3.1).
    space = VRF_TRANSPORT if key is None else vrf
    found.append(
        make_entry((_GRE_RX, peer_id, encapsulation, int(key is not None), key or 0, _RX_VRF, space, direction))
    )
    scope = (peer_id, encapsulation, space)
    for prefix in prefixes:
        found.append(make_entry((_REALM_SESSION_V6, *scope, prefix, _REALM_SESSION, session_id, vrf)))
    if address is not None:
        found.append(make_entry((_REALM_SESSION_V4, *scope, address, _REALM_SESSION, session_id, vrf)))


def _transmit(binding: Binding, direction: Direction, session_id: int, tunnel_id: int) -> Entry:
    key = binding.transmit_key if binding.gre is Gre.KEYED else None
    if key is None:
        return make_entry((_SESSION, session_id, direction, _TO_TUNNEL, tunnel_id))
    return make_entry((_SESSION, session_id, direction, _TO_TUNNEL_KEYED, tunnel_id, key))


def _encapsulation(binding: Binding) -> Encapsulation:
    if binding.gre is Gre.PLAIN:
        return Encapsulation.UDP if binding.tunnel.udp else Encapsulation.IP
    return Encapsulation.UDP_GRE if binding.tunnel.udp else Encapsulation.GRE


def _tunnel(binding: Binding, context: Context) -> tuple[Entry, Entry, int, int]:
    """The tunnel's entries for receiving and for sending, its peer_id and its tunnel_id."""
    tunnel, encapsulation = binding.tunnel, _encapsulation(binding)
    local, peer = tunnel.local, tunnel.peer
    # Numbers: what ipaddress makes of hash() and == is slow.
    name = (local.version, int(local), peer.version, int(peer), encapsulation)
    known = context.tunnels.get(name)
    if known is None:
        known = context.tunnels[name] = _derive_tunnel(tunnel, encapsulation, context)
    return known


def _derive_tunnel(tunnel: Tunnel, encapsulation: Encapsulation, context: Context) -> tuple[Entry, Entry, int, int]:
    local, peer, settings = tunnel.local, tunnel.peer, context.settings(tunnel.peer)
    action = _ENCAPSULATE.get((local.version, encapsulation))
    if action is None or local.version != peer.version:
        choices = sorted({f"IPv{version} {kind.name}" for version, kind in _ENCAPSULATE})
        raise P4pmipError("tunnel", f"{local} to {peer} {encapsulation.name}", "no such encapsulation", choices)
    peer_id = context.ids.number("peer", (str(local), str(peer)))
    tunnel_id = context.ids.number("tunnel", (str(local), str(peer), encapsulation.name))
    mode = DscpMode.UNIFORM if settings.dscp is None else DscpMode.PIPE
    rx = Entry(
        "tunnel_rx_v6" if is_ipv6(local) else "tunnel_rx_v4",
        (("vrf", VRF_TRANSPORT), ("local", int(local)), ("peer", int(peer))),
        "terminate",
        (("peer_id", peer_id), ("dscp_mode", mode)),
    )
    tx = Entry(
        "tunnel_tx",
        (("tunnel_id", tunnel_id),),
        action,
        (
            ("src", int(local)),
            ("dst", int(peer)),
            ("hop_limit", settings.hop_limit),
            ("dscp_mode", mode),
            ("dscp", settings.dscp or 0),
            ("mtu", settings.mtu),
        ),
    )
    return rx, tx, peer_id, tunnel_id


def nexthop(nexthop_id: int, port: int, vlan: int, src: int, dst: int, mtu: int) -> Entry:
    """The last step: a port, perhaps a VLAN, and both link-layer addresses."""
    if vlan:
        return make_entry((_NEXTHOP, nexthop_id, _L2_VLAN, port, vlan, src, dst, mtu))
    return make_entry((_NEXTHOP, nexthop_id, _L2, port, src, dst, mtu))


def _lpm(prefix: IPv6Network) -> Lpm:
    return Lpm(int(prefix.network_address), prefix.prefixlen)
