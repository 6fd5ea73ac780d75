"""What a binding asks for, written out; and that the program takes it."""

from dataclasses import replace
from ipaddress import IPv4Address, IPv6Network

import pytest
from tests.forwarding.samples import ANCHOR, GATEWAY, LMA, MAC, MAG_1, binding

from p4pmip.errors import P4pmipError
from p4pmip.forwarding.base import base_entries, punt_meters
from p4pmip.forwarding.context import Context, Ids, Link, LinkRole, Neighbour, TunnelSettings
from p4pmip.forwarding.entry import Entry, Lpm, Ternary
from p4pmip.forwarding.program import PuntReason
from p4pmip.forwarding.session import entries
from p4pmip.mobility.binding import AccessLink, Granularity, Gre, Phase, Role, Tunnel
from p4pmip.p4runtime.pipeline import Pipeline

A = 0x20010DB8000A0000_0000000000000001
B = 0x20010DB8000B0000_0000000000000001
HNP = Lpm(0x20010DB800F10000_0000000000000000, 64)
HOA = 0x0A000001
OUTER = "hop_limit:0x40, dscp_mode:0xff, dscp:0x0, mtu:0x5dc"
KEYED = "gre_rx peer_id:0x1 encapsulation:0x2 key_valid:0x1"


def _shown(found: tuple[Entry, ...]) -> set[str]:
    def value(match: object) -> str:
        return f"{match.value:#x}/{match.length}" if isinstance(match, Lpm) else f"{match:#x}"

    return {
        f"{entry.table} {' '.join(f'{name}:{value(match)}' for name, match in entry.match)} "
        f"{entry.action}({', '.join(f'{name}:{number:#x}' for name, number in entry.params)})"
        for entry in found
    }


def _fresh(context: Context, **changes: object) -> Context:
    return replace(context, ids=Ids(), **changes)  # type: ignore[arg-type]


@pytest.mark.requirement(
    "D00-3.1-1",
    "D00-5.2-3",
    "D00-5.2-7",
    "R5845-5.2-3",
    "R5845-5.2-8",
    "R5213-5.3.2-6",
    "R5213-5.6.2-2",
    "R5844-3.1.2.2-5",
    "R5844-3.1.3-2",
)
def test_anchor_with_a_key_of_the_session() -> None:
    assert _shown(entries(binding(Role.LMA), _fresh(ANCHOR))) == {
        f"tunnel_rx_v6 vrf:0x0 local:{A:#x} peer:{B:#x} terminate(peer_id:0x1, dscp_mode:0xff)",
        f"tunnel_tx tunnel_id:0x1 encap_v6_gre(src:{A:#x}, dst:{B:#x}, {OUTER})",
        f"{KEYED} gre_key:0x11 rx_session(session_id:0x1, vrf:0x1, direction:0x1)",
        f"session_address_v6 session_id:0x1 address:{HNP.value:#x}/64 NoAction()",
        f"session_address_v4 session_id:0x1 address:{HOA:#x} NoAction()",
        "session session_id:0x1 direction:0x2 to_tunnel_keyed(tunnel_id:0x1, gre_key:0x12)",
        f"sess_dst_v6 vrf:0x1 address:{HNP.value:#x}/64 dl_session(session_id:0x1)",
        f"sess_dst_v4 vrf:0x1 address:{HOA:#x} dl_session(session_id:0x1)",
    }


@pytest.mark.requirement(
    "D00-3.1-1",
    "D00-4.2-9",
    "D00-4.2-10",
    "R5845-4.2-5",
    "R5845-4.2-13",
    "R5213-6.9.1.2-13",
    "R5213-6.10.5-1",
    "R5844-3.2.3.2-7",
    "R5844-3.2.4-2",
    "R5844-3.2.4-3",
)
def test_gateway_with_a_key_of_the_session() -> None:
    assert _shown(entries(binding(Role.MAG), _fresh(GATEWAY))) == {
        f"tunnel_rx_v6 vrf:0x0 local:{B:#x} peer:{A:#x} terminate(peer_id:0x1, dscp_mode:0xff)",
        f"tunnel_tx tunnel_id:0x1 encap_v6_gre(src:{B:#x}, dst:{A:#x}, {OUTER})",
        f"{KEYED} gre_key:0x12 rx_session(session_id:0x1, vrf:0x1, direction:0x2)",
        f"session_address_v6 session_id:0x1 address:{HNP.value:#x}/64 NoAction()",
        f"session_address_v4 session_id:0x1 address:{HOA:#x} NoAction()",
        "session session_id:0x1 direction:0x1 to_tunnel_keyed(tunnel_id:0x1, gre_key:0x11)",
        "session session_id:0x1 direction:0x2 to_access(nexthop_id:0x80000001)",
        "nexthop nexthop_id:0x80000001 l2(port:0x3, src:0x20000000003, dst:0x20000000a01, mtu:0x578)",
        f"mn_src_v6 link_id:0x3 mac:0x20000000a01 address:{HNP.value:#x}/64 mn(session_id:0x1)",
        f"mn_src_v4 link_id:0x3 mac:0x20000000a01 address:{HOA:#x} mn(session_id:0x1)",
    }


@pytest.mark.requirement("R5213-6.10.3-1", "R5213-6.10.5-4", "R5213-9.2-1")
def test_gateway_with_local_routing() -> None:
    plain = _shown(entries(binding(Role.MAG), _fresh(GATEWAY)))
    local = _shown(entries(binding(Role.MAG), _fresh(GATEWAY, local_routing=True)))
    assert plain - local == {line for line in plain if line.startswith("mn_src")}
    assert local - plain == {
        f"mn_src_v6 link_id:0x3 mac:0x20000000a01 address:{HNP.value:#x}/64 mn_local(session_id:0x1, vrf:0x1)",
        f"mn_src_v4 link_id:0x3 mac:0x20000000a01 address:{HOA:#x} mn_local(session_id:0x1, vrf:0x1)",
        f"sess_dst_v6 vrf:0x1 address:{HNP.value:#x}/64 dl_session(session_id:0x1)",
        f"sess_dst_v4 vrf:0x1 address:{HOA:#x} dl_session(session_id:0x1)",
    }
    proposed = binding(Role.MAG, phase=Phase.PROPOSED, prefixes=(), ipv4=None, uplink_key=None)
    assert entries(proposed, _fresh(GATEWAY, local_routing=True)) == entries(proposed, _fresh(GATEWAY))


@pytest.mark.requirement("R5213-6.10.5-3", "OUR-PROPOSED-1")
def test_gateway_between_pbu_and_pba_only_receives() -> None:
    proposed = binding(Role.MAG, phase=Phase.PROPOSED, prefixes=(), ipv4=None, uplink_key=None)
    assert _shown(entries(proposed, _fresh(GATEWAY))) == {
        f"tunnel_rx_v6 vrf:0x0 local:{B:#x} peer:{A:#x} terminate(peer_id:0x1, dscp_mode:0xff)",
        f"{KEYED} gre_key:0x12 rx_session_unchecked(session_id:0x1, vrf:0x1, direction:0x2)",
        "session session_id:0x1 direction:0x2 to_access(nexthop_id:0x80000001)",
        "nexthop nexthop_id:0x80000001 l2(port:0x3, src:0x20000000003, dst:0x20000000a01, mtu:0x578)",
    }


@pytest.mark.requirement("D00-3.1-2")
def test_a_key_of_the_realm_is_shared_and_the_address_finds_the_session() -> None:
    found = _shown(entries(binding(Role.LMA, granularity=Granularity.REALM), _fresh(ANCHOR)))
    assert f"{KEYED} gre_key:0x11 rx_vrf(vrf:0x1, direction:0x1)" in found
    where = "peer_id:0x1 encapsulation:0x2 vrf:0x1"
    assert f"realm_session_v4 {where} address:{HOA:#x} realm_session(session_id:0x1, vrf:0x1)" in found
    assert f"realm_session_v6 {where} address:{HNP.value:#x}/64 realm_session(session_id:0x1, vrf:0x1)" in found
    assert not any(line.startswith("session_address") for line in found)


@pytest.mark.requirement("R5845-7.1-1", "R5213-5.6.1-1", "R5844-3.1.2.2-5", "R5844-3.2.3.2-7")
@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize(
    ("gre", "udp", "encapsulation", "action"),
    [
        (Gre.PLAIN, False, 1, "encap_v4_ip"),
        (Gre.MODE, False, 2, "encap_v4_gre"),
        (Gre.PLAIN, True, 3, "encap_v4_udp"),
        (Gre.MODE, True, 4, "encap_v4_udp_tlv_gre"),
        (Gre.KEYED, True, 4, "encap_v4_udp_tlv_gre"),
    ],
)
def test_each_encapsulation(role: Role, gre: Gre, udp: bool, encapsulation: int, action: str) -> None:
    ends = IPv4Address("192.0.2.1"), IPv4Address("192.0.2.2")
    one = binding(role, gre=gre, tunnel=Tunnel(*ends, udp=udp))
    found = {entry.table: entry for entry in entries(one, _fresh(ANCHOR if role is Role.LMA else GATEWAY))}
    assert found["tunnel_tx"].action == action
    assert "tunnel_rx_v4" in found
    key = dict(found["gre_rx"].match)
    assert key["encapsulation"] == encapsulation
    assert (key["key_valid"], found["gre_rx"].action) == ((1, "rx_session") if gre is Gre.KEYED else (0, "rx_vrf"))
    if gre is not Gre.KEYED:
        # Without a key the scope is not the realm's, and the session's entry brings the realm back.
        assert dict(found["realm_session_v4"].match)["vrf"] == 0
        assert dict(found["realm_session_v4"].params)["vrf"] == 1
        assert found["session"].action in ("to_tunnel", "to_access")


@pytest.mark.requirement("R5213-5.3.5-4", "R5844-3.1.2.5-1")
def test_a_held_session_has_no_entries() -> None:
    assert entries(binding(Role.LMA, phase=Phase.HELD), ANCHOR) == ()
    assert entries(binding(Role.MAG, phase=Phase.HELD), GATEWAY) == ()


def test_a_tagged_access_link() -> None:
    found = entries(binding(Role.MAG, access=AccessLink(4, MAC)), _fresh(GATEWAY))
    ethernet = "src:0x20000000004, dst:0x20000000a01, mtu:0x5dc"
    assert f"nexthop nexthop_id:0x80000001 l2_vlan(port:0x4, vlan_id:0x28, {ethernet})" in _shown(found)


def test_session_ids_of_two_engines_on_one_switch_are_kept_apart() -> None:
    found = entries(binding(Role.MAG), _fresh(GATEWAY, session_base=1 << 24))
    ids = {value for entry in found for name, value in (*entry.match, *entry.params) if name == "session_id"}
    assert ids == {(1 << 24) + 1}


def test_settings_of_a_single_peer() -> None:
    context = _fresh(ANCHOR, peers={MAG_1: TunnelSettings(hop_limit=9, dscp=46, mtu=1400)})
    found = {entry.table: dict(entry.params) for entry in entries(binding(Role.LMA), context)}
    assert found["tunnel_tx"] | {"hop_limit": 9, "dscp_mode": 3, "dscp": 46, "mtu": 1400} == found["tunnel_tx"]
    assert found["tunnel_rx_v6"]["dscp_mode"] == 3


def test_ids_are_journalled_and_come_back() -> None:
    ids = Ids()
    first = entries(binding(Role.LMA), replace(ANCHOR, ids=ids))
    entries(binding(Role.LMA, tunnel=Tunnel(LMA, LMA)), replace(ANCHOR, ids=ids))
    again = Ids(ids.new)
    assert entries(binding(Role.LMA), replace(ANCHOR, ids=again)) == first
    assert again.new == []
    assert again.number("peer", ("another",)) == 3


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"realm": "z"}, "realm: no such realm: 'z' (valid: a, b)"),
        ({"tunnel": Tunnel(LMA, MAG_1, udp=True)}, "no such encapsulation"),
        ({"tunnel": Tunnel(LMA, IPv4Address("192.0.2.2"))}, "no such encapsulation"),
    ],
)
def test_what_cannot_be_is_said(changes: dict[str, object], problem: str) -> None:
    with pytest.raises(P4pmipError, match=problem.replace("(", r"\(").replace(")", r"\)")):
        entries(binding(Role.LMA, **changes), _fresh(ANCHOR))
    with pytest.raises(P4pmipError, match="link: no such link: 9"):
        entries(binding(Role.MAG, access=AccessLink(9, MAC)), GATEWAY)


def test_link_ids_must_differ() -> None:
    link = Link(1, 1, LinkRole.TRANSPORT, MAC)
    with pytest.raises(P4pmipError, match="link ids must differ"):
        Context((link, link), ())


@pytest.mark.requirement("R5213-5.6.2-1", "R5844-3.1.3-1", "R7389-1-1")
def test_base_entries_of_an_anchor() -> None:
    found = _shown(base_entries(_fresh(ANCHOR)))
    assert {line for line in found if line.startswith(("port_vlan", "my_station"))} == {
        "port_vlan port:0x1 vlan_id:0x0 set_transport(link_id:0x1)",
        "port_vlan port:0x2 vlan_id:0x0 set_transport(link_id:0x2)",
        "port_vlan port:0x5 vlan_id:0x0 set_service(vrf:0x1, link_id:0x5)",
        "port_vlan port:0x6 vlan_id:0x3c set_service(vrf:0x2, link_id:0x6)",
        "my_station link_id:0x1 mac:0x20000000001 NoAction()",
        "my_station link_id:0x2 mac:0x20000000002 NoAction()",
        "my_station link_id:0x5 mac:0x20000000005 NoAction()",
        "my_station link_id:0x6 mac:0x20000000006 NoAction()",
    }
    assert {line for line in found if line.startswith(("local_v4", "route_v4"))} == {
        "local_v4 vrf:0x0 address:0xc0000201 is_local()",
        "local_v4 vrf:0x1 address:0xc0000201 is_local()",
        # In realm b 192.0.2.1 may be a mobile node.
        "local_v4 vrf:0x1 address:0xa0000fe is_local()",
        "route_v4 vrf:0x0 dst:0xc0000201/32 local()",
        "route_v4 vrf:0x1 dst:0xc0000201/32 local()",
        "route_v4 vrf:0x1 dst:0xa0000fe/32 stop(reason:0x6)",
        "route_v4 vrf:0x1 dst:0xa000000/16 stop(reason:0x25)",
        "route_v4 vrf:0x2 dst:0xc0000200/24 stop(reason:0x25)",
        "route_v4 vrf:0x1 dst:0xac10000a/32 set_nexthop(nexthop_id:0x3)",
        "route_v4 vrf:0x1 dst:0xac100000/24 stop(reason:0xa)",
        "route_v4 vrf:0x1 set_nexthop(nexthop_id:0x3)",
        # Realm b's gateway is not known yet.
        "route_v4 vrf:0x2 stop(reason:0xa)",
    }
    assert "nexthop nexthop_id:0x3 l2(port:0x5, src:0x20000000005, dst:0x20000000c05, mtu:0x5dc)" in found


def test_a_neighbour_that_is_found_changes_what_goes_over_it() -> None:
    ids = Ids()
    before = base_entries(replace(ANCHOR, ids=ids))
    neighbour = Neighbour(6, IPv4Address("172.16.0.10"), MAC)
    after = base_entries(replace(ANCHOR, ids=ids, neighbours=(*ANCHOR.neighbours, neighbour)))
    assert _shown(tuple(set(after) - set(before))) == {
        "nexthop nexthop_id:0x5 l2_vlan(port:0x6, vlan_id:0x3c, src:0x20000000006, dst:0x20000000a01, mtu:0x2328)",
        "route_v4 vrf:0x2 dst:0xac10000a/32 set_nexthop(nexthop_id:0x5)",
        "route_v4 vrf:0x2 set_nexthop(nexthop_id:0x5)",
    }


def test_every_derived_entry_fits_the_program() -> None:
    codec = Pipeline.packaged().codec
    derived = [*base_entries(ANCHOR), *base_entries(GATEWAY)]
    local = replace(GATEWAY, local_routing=True)
    for role, context in ((Role.LMA, ANCHOR), (Role.MAG, GATEWAY), (Role.MAG, local)):
        for gre in Gre:
            for granularity in Granularity:
                for phase in Phase:
                    one = binding(role, gre=gre, granularity=granularity, phase=phase)
                    derived += entries(one, context)
                    derived += entries(replace(one, prefixes=(IPv6Network("2001:db8:f2::/63"),)), context)
    for entry in derived:
        assert codec.decode(codec.message(entry)) == entry
    assert not any(isinstance(match, Ternary) for entry in derived for _, match in entry.match)


def test_meters_are_by_link_and_kind() -> None:
    meters = {meter.index: meter for meter in punt_meters(GATEWAY)}
    assert len(meters) == (len(GATEWAY.links) + 1) * len(PuntReason), "link 0 is what goes round inside the switch"
    assert meters[0 << 4 | 7].rate > 0
    assert meters[3 << 4 | 2].rate > 0
