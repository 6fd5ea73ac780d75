"""A binding's entries: what its session needs, with the entries of the tunnel that it shares with others."""

from ipaddress import IPv6Network

from p4pmip.errors import P4pmipError
from p4pmip.forwarding.context import Context, is_ipv6, mac_number
from p4pmip.forwarding.entry import Entry, Lpm, Match
from p4pmip.forwarding.program import VRF_TRANSPORT, Direction, DscpMode, Encapsulation
from p4pmip.mobility.binding import Binding, Granularity, Gre, Phase, Role, Tunnel

Params = tuple[tuple[str, int], ...]
Matches = tuple[tuple[str, Match], ...]

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
    found = [tx, rx]
    _receive(found, binding, Direction.UPLINK, session_id, vrf, peer_id)
    found.append(_session(session_id, Direction.DOWNLINK, *_transmit(binding, tunnel_id)))
    for prefix in binding.prefixes:
        found.append(
            Entry("sess_dst_v6", (("vrf", vrf), ("address", _lpm(prefix))), "dl_session", (("session_id", session_id),))
        )
    if binding.ipv4 is not None:
        address = int(binding.ipv4.ip)
        found.append(
            Entry("sess_dst_v4", (("vrf", vrf), ("address", address)), "dl_session", (("session_id", session_id),))
        )
    return tuple(found)


def _gateway(binding: Binding, context: Context, session_id: int) -> tuple[Entry, ...]:
    access = binding.access
    if access is None:
        return ()
    link = context.link(access.link)
    mac = mac_number(access.mac)
    rx, tx, peer_id, tunnel_id = _tunnel(binding, context)
    found = [rx]
    _receive(found, binding, Direction.DOWNLINK, session_id, context.vrf(binding.realm), peer_id)
    nexthop_id = NEXTHOP_OF_SESSION | session_id
    found.append(nexthop(nexthop_id, link.port, link.vlan, mac_number(link.mac), mac, link.mtu))
    found.append(_session(session_id, Direction.DOWNLINK, "to_access", (("nexthop_id", nexthop_id),)))
    if binding.phase is Phase.PROPOSED:
        return tuple(found)
    found.append(tx)
    found.append(_session(session_id, Direction.UPLINK, *_transmit(binding, tunnel_id)))
    place = (("link_id", access.link), ("mac", mac))
    for prefix in binding.prefixes:
        found.append(Entry("mn_src_v6", (*place, ("address", _lpm(prefix))), "mn", (("session_id", session_id),)))
    if binding.ipv4 is not None:
        address = int(binding.ipv4.ip)
        found.append(Entry("mn_src_v4", (*place, ("address", address)), "mn", (("session_id", session_id),)))
    return tuple(found)


def _receive(
    found: list[Entry], binding: Binding, direction: Direction, session_id: int, vrf: int, peer_id: int
) -> None:
    """What tells whose a decapsulated packet is, and that it is theirs."""
    encapsulation = _encapsulation(binding)
    key = binding.receive_key if binding.gre is Gre.KEYED else None
    action: str
    params: Params
    scope: Matches
    where = (
        ("peer_id", peer_id),
        ("encapsulation", encapsulation),
        ("key_valid", int(key is not None)),
        ("gre_key", key or 0),
    )
    if key is not None and binding.granularity is Granularity.SESSION:
        params = (("session_id", session_id), ("vrf", vrf), ("direction", direction))
        if binding.phase is Phase.PROPOSED:
            found.append(Entry("gre_rx", where, "rx_session_unchecked", params))
            return
        found.append(Entry("gre_rx", where, "rx_session", params))
        table, scope, action, params = "session_address", (("session_id", session_id),), "NoAction", ()
    else:
        # Without a key nothing in the packet names the realm: such sessions are told apart by address alone, which is
        # why overlapping realms need keys (draft-00 §3.1).
        space = VRF_TRANSPORT if key is None else vrf
        found.append(Entry("gre_rx", where, "rx_vrf", (("vrf", space), ("direction", direction))))
        table, action, params = "realm_session", "realm_session", (("session_id", session_id), ("vrf", vrf))
        scope = (("peer_id", peer_id), ("encapsulation", encapsulation), ("vrf", space))
    for prefix in binding.prefixes:
        found.append(Entry(f"{table}_v6", (*scope, ("address", _lpm(prefix))), action, params))
    if binding.ipv4 is not None:
        found.append(Entry(f"{table}_v4", (*scope, ("address", int(binding.ipv4.ip))), action, params))


def _transmit(binding: Binding, tunnel_id: int) -> tuple[str, Params]:
    key = binding.transmit_key if binding.gre is Gre.KEYED else None
    if key is None:
        return "to_tunnel", (("tunnel_id", tunnel_id),)
    return "to_tunnel_keyed", (("tunnel_id", tunnel_id), ("gre_key", key))


def _session(session_id: int, direction: Direction, action: str, params: Params) -> Entry:
    return Entry("session", (("session_id", session_id), ("direction", direction)), action, params)


def _encapsulation(binding: Binding) -> Encapsulation:
    if binding.gre is Gre.PLAIN:
        return Encapsulation.UDP if binding.tunnel.udp else Encapsulation.IP
    return Encapsulation.UDP_GRE if binding.tunnel.udp else Encapsulation.GRE


def _tunnel(binding: Binding, context: Context) -> tuple[Entry, Entry, int, int]:
    """The tunnel's entries for receiving and for sending, its peer_id and its tunnel_id."""
    name = (binding.tunnel, _encapsulation(binding))
    known = context.tunnels.get(name)
    if known is None:
        known = context.tunnels[name] = _derive_tunnel(*name, context)
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
    match = (("nexthop_id", nexthop_id),)
    ethernet = (("src", src), ("dst", dst), ("mtu", mtu))
    if vlan:
        return Entry("nexthop", match, "l2_vlan", (("port", port), ("vlan_id", vlan), *ethernet))
    return Entry("nexthop", match, "l2", (("port", port), *ethernet))


def _lpm(prefix: IPv6Network) -> Lpm:
    return Lpm(int(prefix.network_address), prefix.prefixlen)
