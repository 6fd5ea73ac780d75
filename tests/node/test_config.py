"""What is said about configurations that cannot be used, and that nothing else is said."""

import re
from collections.abc import Callable
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from tests.node.world import EXAMPLE, Document, document, write

from p4pmip.cli.main import main
from p4pmip.forwarding.context import Ids
from p4pmip.mobility.binding import AccessLink, Binding, Granularity, Gre, Phase, Role, Tunnel
from p4pmip.node.config import ConfigError, load, parse
from p4pmip.node.context import context_of, link_mtu
from p4pmip.node.engines import lma_config, mag_config


def _set(*path: str | int, to: object) -> Callable[[Document], None]:
    def change(content: Document) -> None:
        place = content
        for key in path[:-1]:
            place = place[key]  # type: ignore[index]
        place[path[-1]] = to  # type: ignore[index]

    return change


FINDINGS: list[tuple[Callable[[Document], None], str]] = [
    (
        _set("nodes", "lma", "mag", to={"lma": "lma", "enable_mag_local_routing": True}),
        "configuration: nodes.lma: mag.enable_mag_local_routing: not on a node that is an LMA, too",
    ),
    (
        _set("realms", "operator-a", "ipv4_pol", to="10.0.0.0/8"),
        "configuration: realms.operator-a.ipv4_pol: unknown key; did you mean ipv4_pool? "
        "(valid: dns, gre, ipv4_pool, ipv4_router, keys, prefix_length, prefix_pool)",
    ),
    (
        _set("realms", "operator-a", "gre", "wanted", to="keys"),
        "configuration: realms.operator-a.gre.wanted: wrong value: 'keys' (valid: 'none' or 'mode' or 'key')",
    ),
    (
        _set("nodes", "mag-1", "signalling", "address", to="300.1.1.1"),
        "configuration: nodes.mag-1.signalling.address: wrong value: '300.1.1.1' (valid: IPv4 address or IPv6 address)",
    ),
    (
        _set("realms", "operator-a", "ipv4_pool", to="10.1.0.1/16"),
        "configuration: realms.operator-a.ipv4_pool: wrong value: '10.1.0.1/16' (valid: IPv4 network (host bits 0))",
    ),
    (
        _set("nodes", "mag-1", "tunnel", "dscp", to=99),
        "configuration: nodes.mag-1.tunnel.dscp: wrong value: 99 (valid: 'uniform' or integer 0..63)",
    ),
    (
        _set("nodes", "mag-1", "mag", "fixed_link_local", to="yes"),
        "configuration: nodes.mag-1.mag.fixed_link_local: wrong value: 'yes' (valid: boolean)",
    ),
    (
        _set("nodes", "mag-1", "mag", "lifetime", to="3600"),
        "configuration: nodes.mag-1.mag.lifetime: wrong value: '3600' (valid: integer 4..262140)",
    ),
    (
        _set("nodes", "mag-1", "mag", "idle_timeout", to=float("inf")),
        "configuration: nodes.mag-1.mag.idle_timeout: wrong value: inf (valid: number above 0)",
    ),
    (
        _set("nodes", "mag-1", "mag", "lma", to=True),
        "configuration: nodes.mag-1.mag.lma: wrong value: true (valid: string)",
    ),
    (
        _set("nodes", "mag-1", "ports", 0, "neighbours", to={"here": "02:00:00:00:00:01"}),
        "configuration: nodes.mag-1.ports.0.neighbours: wrong key: 'here' (valid: IPv4 address or IPv6 address)",
    ),
    (
        _set("mobile_nodes", 0, "mac", to=["02:00:00:01"]),
        "configuration: mobile_nodes.0.mac.0: a link-layer address is six octets, as in 02:00:00:00:00:01: "
        "'02:00:00:01'",
    ),
    (
        lambda content: content["nodes"].update({"a/b": content["nodes"].pop("mag-2")}),
        "configuration: nodes: wrong key: 'a/b' "
        "(valid: letters, digits, '.', '_' and '-', and neither '.' nor '-' first)",
    ),
    (
        lambda content: content["nodes"]["mag-1"].pop("signalling"),
        "configuration: nodes.mag-1.signalling: missing (valid: section Signalling)",
    ),
    (
        _set("nodes", to={}),
        "configuration: nodes: must not be empty",
    ),
    (
        _set("nodes", "mag-1", "admin", to="localhost:80"),
        "configuration: nodes.mag-1.admin: neither ADDRESS:PORT, with a numeric address, nor a socket's path "
        "(which may be ./PATH): 'localhost:80'",
    ),
    (
        _set("nodes", "mag-1", "admin", to="0.0.0.0:8080"),
        "configuration: nodes.mag-1.admin: every request names the address that it is for: give the one to listen at: "
        "'0.0.0.0:8080'",
    ),
    (
        _set("nodes", "mag-1", "admin", to="x" * 108),
        f"configuration: nodes.mag-1.admin: too long for a socket: '{'x' * 108}' (valid: 107 octets)",
    ),
    (
        _set("nodes", "mag-1", "journal", to="/nonexistent/mag-1.db"),
        "configuration: nodes.mag-1.journal: no such folder: '/nonexistent'",
    ),
    (
        _set("nodes", "mag-1", "journal", to="/"),
        "configuration: nodes.mag-1.journal: a folder: '/'",
    ),
    (
        _set("nodes", "lma", "peers", to={"other": {"address": "127.9.9.9", "realms": ["operator-c"]}}),
        "configuration: nodes.lma.peers.other.realms: unknown realm: 'operator-c' (valid: operator-a, operator-b)",
    ),
    (
        _set("nodes", "lma", "peers", to={"other": {"address": "127.9.9.9", "spi": 300, "secret_file": "/none"}}),
        "configuration: nodes.lma.peers.other.secret_file: cannot be read: No such file or directory: '/none'",
    ),
    (
        _set("realms", "operator-a", "gre", to={"wanted": "none", "required": True}),
        "configuration: realms.operator-a.gre: a policy without GRE cannot require it: wanted must be mode or key",
    ),
    (
        _set("realms", "operator-a", "gre", to={"wanted": "mode"}),
        "configuration: realms.operator-a.gre.wanted: the ipv4_pool overlaps that of operator-b, which only keys "
        "tell apart: 'mode' (valid: 'key')",
    ),
    (
        _set("mobile_nodes", 0, "realm", to="operator-c"),
        "configuration: mobile_nodes.0.realm: unknown realm: 'operator-c' (valid: operator-a, operator-b)",
    ),
    (
        _set("mobile_nodes", 0, "ipv4", to="192.0.2.1"),
        "configuration: mobile_nodes.0.ipv4: not in the realm's ipv4_pool 10.1.0.0/16: '192.0.2.1'",
    ),
    (
        _set("mobile_nodes", 0, "ipv4", to="10.1.0.1"),
        "configuration: mobile_nodes.0.ipv4: the router's address in realm operator-a: '10.1.0.1'",
    ),
    (
        _set("mobile_nodes", 1, "mac", to=["02:00:00:00:01:01"]),
        "configuration: mobile_nodes.1: mac is already that of mobile_nodes.0: '02:00:00:00:01:01'",
    ),
    (
        _set("nodes", "mag-1", "mag", "lma", to="lmb"),
        "configuration: nodes.mag-1.mag.lma: unknown peer: 'lmb' (valid: lma)",
    ),
    (
        _set("nodes", "mag-1", "mag", to={"lma": "mag-2"}),
        "configuration: nodes.mag-1.mag.lma: that node is no LMA: 'mag-2' (valid: lma)",
    ),
    (
        _set("nodes", "mag-1", "ports", 0, "neighbours", to={}),
        "configuration: nodes.mag-1: no way to the tunnel end point of lma: '2001:db8:100::1' "
        "(valid: a neighbour or gateway of a transport port, or a route)",
    ),
    (
        _set("nodes", "mag-1", "target", to="nowhere"),
        "configuration: nodes.mag-1.target: not HOST:PORT[/DEVICE_ID] nor a name in the inventory: 'nowhere' "
        "(valid: HOST:PORT[/DEVICE_ID])",
    ),
    (
        _set("nodes", "mag-1", "journal", to="mag-2.db"),
        "configuration: nodes.mag-2.journal: already that of nodes.mag-1: 'mag-2.db'",
    ),
    (
        _set("nodes", "mag-1", "signalling", to={"transport": "udp", "address": "2001:db8::1"}),
        "configuration: nodes.mag-1.signalling: transport udp is RFC 5844's: address must be IPv4",
    ),
    (
        _set("nodes", "lma", "lma", to={"key_first": 9, "key_last": 3}),
        "configuration: nodes.lma.lma: key_first 9 is above key_last 3",
    ),
    (
        _set("nodes", "lma", "peers", to={"x": {"address": "127.0.0.9", "tunnel": "ff02::1"}}),
        "configuration: nodes.lma.peers.x.tunnel: not the address of one node: 'ff02::1'",
    ),
    (
        _set("nodes", "mag-1", "ports", 1, "default_realm_limit", to=0),
        "configuration: nodes.mag-1.ports.1.default_realm_limit: wrong value: 0 (valid: integer 1..)",
    ),
    (
        _set("nodes", "mag-1", "ports", 1, to={"number": 11, "role": "access", "default_realm_limit": 9}),
        "configuration: nodes.mag-1.ports.1: default_realm_limit is for access ports with a realm",
    ),
    (
        _set("nodes", "lma", "ports", 2, "default_realm_limit", to=9),
        "configuration: nodes.lma.ports.2: default_realm_limit is for access ports with a realm",
    ),
    (
        _set("nodes", "lma", "signalling", "address", to=1),
        "configuration: nodes.lma.signalling.address: an address is a text: 1",
    ),
]


@pytest.mark.parametrize(("change", "finding"), FINDINGS)
def test_each_finding_names_place_value_and_choices(
    change: Callable[[Document], None], finding: str, tmp_path: Path
) -> None:
    content = document(tmp_path)
    change(content)
    with pytest.raises(ConfigError) as raised:
        parse(content)
    assert list(raised.value.findings) == [finding]


LONG_REALM = "r" * 240 + "ü"
"""With it, MAC@REALM has 255 octets."""


def _long_default_realm(content: Document) -> None:
    content["realms"][LONG_REALM] = {"ipv4_pool": "10.9.0.0/16"}
    content["nodes"]["mag-1"]["ports"][1]["realm"] = LONG_REALM


def _prefixes(first: str, second: str) -> Callable[[Document], None]:
    def change(content: Document) -> None:
        content["realms"]["operator-a"]["prefix_pool"] = "2001:db8:a::/48"
        content["mobile_nodes"][0]["prefix"], content["mobile_nodes"][1]["prefix"] = first, second

    return change


def _two_names_of_a_switch(content: Document) -> None:
    content["nodes"]["mag-1"]["target"] = "localhost:9559/1"
    content["nodes"]["mag-2"]["target"] = "127.0.0.1:9559/1"


def _two_ways_to_a_file(content: Document) -> None:
    content["nodes"]["mag-1"]["journal"] = "mag-2.db"
    content["nodes"]["mag-2"]["journal"] = f"{Path().absolute()}/mag-2.db"


def _two_default_routes(content: Document) -> None:
    for index, octet in ((0, 1), (1, 2)):
        content["nodes"]["lma"]["ports"][index]["gateway"] = [f"192.0.2.{octet}"]


def _routes(*to: str) -> Callable[[Document], None]:
    return _set("nodes", "mag-1", "routes", to=[{"to": one, "via": "2001:db8:100::1", "port": 1} for one in to])


def _neighbour_on_two_ports(content: Document) -> None:
    content["nodes"]["lma"]["ports"][1]["neighbours"]["2001:db8:101::1"] = "02:00:00:00:00:99"


UNUSABLE: list[tuple[Callable[[Document], None], str]] = [
    (
        _set("mobile_nodes", 0, "nai", to="ü" * 127),
        f"mobile_nodes.0.nai: longer than 253 octets: '{'ü' * 127}'",
    ),
    (
        _set("nodes", "mag-1", "mag", "identity", to="ü" * 127),
        f"nodes.mag-1.mag.identity: longer than 253 octets: '{'ü' * 127}'",
    ),
    (
        _long_default_realm,
        f"nodes.mag-1.ports.1.realm: too long for MAC@REALM, the NAI of those who are not known: '{LONG_REALM}' "
        "(valid: 240 octets)",
    ),
    (
        _set("mobile_nodes", 0, "ipv4", to=167837706),
        "mobile_nodes.0.ipv4: an address is a text: 167837706",
    ),
    (
        _set("mobile_nodes", 0, "prefix", to=1),
        "mobile_nodes.0.prefix: a network is a text: 1",
    ),
    (
        _set("realms", "operator-a", "ipv4_pool", to=167837706),
        "realms.operator-a.ipv4_pool: a network is a text: 167837706",
    ),
    (
        _set("realms", "operator-a", "ipv4_router", to=167837697),
        "realms.operator-a.ipv4_router: an address is a text: 167837697",
    ),
    (
        _set("mobile_nodes", 0, "mac", to=["03:00:00:00:01:01"]),
        "mobile_nodes.0.mac.0: a link-layer address of a node is not a group address: '03:00:00:00:01:01'",
    ),
    (
        _set("mobile_nodes", 0, "mac", to=["00:00:00:00:00:00"]),
        "mobile_nodes.0.mac.0: a link-layer address of a node is not all zeros: '00:00:00:00:00:00'",
    ),
    (
        _set("mobile_nodes", 0, "mac", to=["00:00:5E:00:52:13"]),
        "mobile_nodes.0.mac.0: the router's link-layer address on every access link (RFC 6543): '00:00:5E:00:52:13'",
    ),
    (
        _set("realms", "operator-a", "ipv4_router", to="10.1.255.255"),
        "realms.operator-a: ipv4_router 10.1.255.255 is no host address of ipv4_pool 10.1.0.0/16",
    ),
    (
        _set("nodes", "mag-1", "admin", to="mag-2.db"),
        "nodes.mag-2.journal: already that of nodes.mag-1.admin: 'mag-2.db'",
    ),
    (
        _set("nodes", "mag-1", "admin", to="mag-1.db"),
        "nodes.mag-1.admin: already that of nodes.mag-1.journal: 'mag-1.db'",
    ),
    (
        _two_ways_to_a_file,
        f"nodes.mag-2.journal: already that of nodes.mag-1: '{Path().absolute()}/mag-2.db'",
    ),
    (
        _two_names_of_a_switch,
        "nodes.mag-2.target: already that of nodes.mag-1: '127.0.0.1:9559/1'",
    ),
    (
        _set("nodes", "lma", "ports", 0, "gateway", to=["192.0.2.1", "192.0.2.2"]),
        "nodes.lma.ports.0: gateway: more than one of a family: 192.0.2.1, 192.0.2.2",
    ),
    (
        _two_default_routes,
        "nodes.lma.ports.1.gateway: there is a default route by ports.0: '192.0.2.2'",
    ),
    (
        _routes("2001:db8:5::/48", "2001:db8:6::/48", "2001:DB8:5::/48"),
        "nodes.mag-1.routes.2.to: already that of routes.0: '2001:db8:5::/48'",
    ),
    (
        _set(
            "nodes",
            "mag-1",
            "ports",
            0,
            "neighbours",
            to={"2001:db8:100::1": "02:00:00:00:f0:01", "2001:DB8:100::1": "02:00:00:00:f0:02"},
        ),
        "nodes.mag-1.ports.0.neighbours: 2001:db8:100::1 is given twice",
    ),
    (
        _neighbour_on_two_ports,
        "nodes.lma.ports.1.neighbours: 2001:db8:101::1 has another address at ports.0, 02:00:00:00:f1:01: "
        "'02:00:00:00:00:99'",
    ),
    (
        _set("nodes", "mag-1", "ports", 1, "gateway", to=["192.0.2.1"]),
        "nodes.mag-1.ports.1: gateway is for transport and service ports: an access port has mobile nodes only",
    ),
    (
        _set("nodes", "mag-1", "ports", 1, "address", to=["192.0.2.1"]),
        "nodes.mag-1.ports.1: address is for transport and service ports: an access port has mobile nodes only",
    ),
    (
        _set("nodes", "mag-1", "ports", 1, "neighbours", to={"192.0.2.1": "02:00:00:00:00:01"}),
        "nodes.mag-1.ports.1: neighbours is for transport and service ports: an access port has mobile nodes only",
    ),
    (
        lambda content: content["nodes"]["lma"]["ports"].append({"number": 21, "role": "access"}),
        "nodes.lma: ports with role access on a node without section mag: 21",
    ),
    (
        _set("nodes", "mag-1", "ports", 1, "interface", to="eth 0"),
        "nodes.mag-1.ports.1.interface: an interface's name has 1 to 15 octets, none of them a blank, '/' or ':': "
        "'eth 0'",
    ),
    (
        _set("nodes", "mag-1", "ports", 1, "interface", to="a/b"),
        "nodes.mag-1.ports.1.interface: an interface's name has 1 to 15 octets, none of them a blank, '/' or ':': "
        "'a/b'",
    ),
    (
        _set("nodes", "mag-1", "ports", 1, "interface", to="x" * 16),
        f"nodes.mag-1.ports.1.interface: wrong value: '{'x' * 16}' (valid: string of length 1..15)",
    ),
    (
        _set("nodes", "mag-1", "mag", "initial_bindack_timeout", to=33.0),
        "nodes.mag-1.mag: initial_bindack_timeout 33.0 is above max_bindack_timeout 32.0",
    ),
    (
        _prefixes("2001:db8:a:10::/64", "2001:db8:a:10::/64"),
        "mobile_nodes.1.prefix: overlaps that of mobile_nodes.0, 2001:db8:a:10::/64: '2001:db8:a:10::/64'",
    ),
    (
        _prefixes("2001:db8:a:10::/63", "2001:db8:a:12::/64"),
        "mobile_nodes.0.prefix: not of the length in which the realm's prefix_pool is given to others: "
        "'2001:db8:a:10::/63' (valid: /64)",
    ),
]
UNUSABLE += [
    (
        _set("realms", "operator-a", "ipv4_pool", to=pool),
        f"realms.operator-a.ipv4_pool: no mobile node can have an address of {of}: '{pool}'",
    )
    for pool, of in (
        ("0.0.0.0/0", "0.0.0.0/8"),
        ("0.1.0.0/16", "0.0.0.0/8"),
        ("127.1.0.0/16", "127.0.0.0/8"),
        ("169.254.0.0/16", "169.254.0.0/16"),
        ("224.0.0.0/4", "224.0.0.0/3"),
        ("240.0.0.0/8", "224.0.0.0/3"),
    )
]
UNUSABLE += [
    (
        _set("realms", "operator-a", "prefix_pool", to=pool),
        f"realms.operator-a.prefix_pool: no mobile node can have an address of {of}: '{pool}'",
    )
    for pool, of in (("fe80::/10", "fe80::/10"), ("ff00::/8", "ff00::/8"), ("::/64", "::/8"), ("::/0", "::/8"))
]


@pytest.mark.parametrize(("change", "finding"), UNUSABLE)
def test_what_cannot_work_is_one_line(change: Callable[[Document], None], finding: str, tmp_path: Path) -> None:
    content = document(tmp_path)
    change(content)
    with pytest.raises(ConfigError) as raised:
        parse(content)
    assert list(raised.value.findings) == [f"configuration: {finding}"]


def test_each_overlap_of_prefixes_has_its_line(tmp_path: Path) -> None:
    content = document(tmp_path)
    content["realms"]["operator-a"] |= {"prefix_pool": "2001:db8:a::/48", "prefix_length": 63}
    given = ("2001:db8:a:10::/63", "2001:db8:a:11::/64", "2001:db8:a:10::/64", "2001:db8:a:12::/63")
    names = (f"mn-{number}@operator-a.example" for number in range(len(given)))
    content["mobile_nodes"] = [
        {"nai": name, "realm": "operator-a", "prefix": prefix} for name, prefix in zip(names, given, strict=True)
    ]
    with pytest.raises(ConfigError) as raised:
        parse(content)
    overlaps = [one for one in raised.value.findings if "overlaps" in one]
    assert overlaps == [
        f"configuration: mobile_nodes.{index}.prefix: overlaps that of mobile_nodes.0, {given[0]}: '{given[index]}'"
        for index in (2, 1)
    ]


def test_prefixes_of_another_length_are_a_realms_choice(tmp_path: Path) -> None:
    content = document(tmp_path)
    content["realms"]["operator-a"] |= {"prefix_pool": "2001:db8:a::/48", "prefix_length": 56}
    content["mobile_nodes"][0]["prefix"] = "2001:db8:a:100::/56"
    assert parse(content).mobile_nodes[0].prefix is not None


def test_a_switch_may_have_device_id_0(tmp_path: Path) -> None:
    content = document(tmp_path)
    content["nodes"]["mag-1"]["target"] = "127.0.0.1:9559/0"
    assert parse(content).target("mag-1").device_id == 0


def test_overlapping_prefix_pools_are_found(tmp_path: Path) -> None:
    content = document(tmp_path)
    for realm in content["realms"].values():
        realm["prefix_pool"] = "2001:db8:a::/48"
    with pytest.raises(ConfigError, match=r"realms\.operator-b\.prefix_pool: overlaps that of realm operator-a"):
        parse(content)


def test_every_finding_has_its_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content = document(tmp_path)
    content["mobile_nodes"][0]["realm"] = "x"
    content["mobile_nodes"][1]["realm"] = "y"
    content["mobile_nodes"][1]["imsi"] = 1  # what the file says otherwise is judged all the same
    content["nodes"]["mag-1"]["mga"] = {}
    assert main(["check", str(write(tmp_path / "bad.toml", content))]) == 2
    findings = capsys.readouterr().err.splitlines()
    assert [line.split(": ")[1] for line in findings] == [
        "mobile_nodes.1.imsi",
        "nodes.mag-1.mga",
        "mobile_nodes.0.realm",
        "mobile_nodes.1.realm",
    ]


def test_what_an_engine_cannot_be_is_said_before_any_node_starts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = document(tmp_path)
    content["nodes"]["lma"]["lma"] |= {
        "mobile_node_generated_timestamp_in_use": True,
        "timestamp_based_approach_in_use": False,
    }
    path = write(tmp_path / "figure-1.toml", content)
    finding = f"{path}: nodes.lma.lma: mobile_node_generated_timestamp_in_use: needs timestamps (RFC 5213 §9.3): True\n"
    assert main(["check", str(path)]) == 2
    assert capsys.readouterr().err == finding
    assert main(["run", str(path)]) == 2
    assert capsys.readouterr().err == f"p4pmip: {finding}"
    assert [one.name for one in tmp_path.iterdir()] == ["figure-1.toml"]


def test_the_example_is_good(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(EXAMPLE)]) == 0
    assert "2 realms, lma (LMA), mag-1 (MAG), mag-2 (MAG)" in capsys.readouterr().out


def test_relative_files_are_beside_the_configuration(tmp_path: Path) -> None:
    content = document(tmp_path)
    content["nodes"]["lma"]["journal"] = "here.db"
    config = load(write(tmp_path / "figure-1.toml", content))
    assert config.journal("lma") == tmp_path / "here.db"
    assert config.journal("mag-1") == tmp_path / "mag-1.db"
    assert config.admin("mag-1") == tmp_path / "mag-1.admin"


def test_a_secret_that_others_may_read_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content = document(tmp_path)
    secret = tmp_path / "secret"
    secret.write_text("shared\n")
    secret.chmod(0o644)
    peer = {"address": content["nodes"]["mag-1"]["signalling"]["address"], "spi": 256, "secret_file": "secret"}
    content["nodes"]["lma"]["peers"] = {"mag-1": peer}
    path = write(tmp_path / "figure-1.toml", content)
    assert main(["check", str(path)]) == 2
    assert "others may read it (mode 0644)" in capsys.readouterr().err
    secret.chmod(0o600)
    assert main(["check", str(path)]) == 0


Section = dict[str, Any]


def swanctl_sections(text: str) -> Section:
    """Sections `name {`, settings `key = value` and `}`: swanctl itself needs its daemon."""
    root: Section = {}
    stack = [root]
    for line in text.splitlines():
        stripped = line.strip()
        if stripped == "}":
            stack.pop()
        elif matched := re.fullmatch(r"([A-Za-z0-9_-]+) \{", stripped):
            assert matched[1] not in stack[-1]
            stack.append(stack[-1].setdefault(matched[1], {}))
        else:
            matched = re.fullmatch(r"([a-z_]+) = ([^{}#=\"\n]+)", stripped)
            assert matched, line
            assert len(stack) > 2, line
            stack[-1][matched[1]] = matched[2]
    assert stack == [root]
    return root["connections"]  # type: ignore[no-any-return]


def ipsec_of(path: Path, capsys: pytest.CaptureFixture[str]) -> Section:
    assert main(["ipsec", str(path), "--node", "lma"]) == 0
    return swanctl_sections(capsys.readouterr().out)


def protected(connection: Section) -> set[tuple[str, str]]:
    """Every child's traffic, which transport mode protects only between the connection's own ends."""
    for child in connection["children"].values():
        for end in ("local", "remote"):
            assert child[f"{end}_ts"].partition("[")[0] == connection[f"{end}_addrs"] == connection[end]["id"]
    return {(child["local_ts"], child["remote_ts"]) for child in connection["children"].values()}


def test_ipsec_policies_of_tunnels_between_other_addresses(capsys: pytest.CaptureFixture[str]) -> None:
    found = ipsec_of(EXAMPLE, capsys)
    assert list(found) == ["mag-1", "mag-1-tunnel", "mag-2", "mag-2-tunnel"]
    assert protected(found["mag-1"]) == {("127.82.1.1[udp/5436]", "127.82.1.2[udp/5436]")}
    kinds = ("41", "4", "gre")
    tunnels = {(f"2001:db8:100::1[{kind}]", f"2001:db8:101::1[{kind}]") for kind in kinds}
    assert protected(found["mag-1-tunnel"]) == tunnels


def test_ipsec_policies_of_tunnels_between_the_same_addresses(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """In one connection; and a peer's name may have characters that no section's may."""
    content = document(tmp_path)
    for node in content["nodes"].values():
        node["signalling"] = {"transport": "mh", "address": node["tunnel"]["address"]}
    content["nodes"]["lma"]["peers"] = {
        "p q # } {": {"address": "2001:db8:8::1"},
        "p.q # } {": {"address": "2001:db8:9::1", "tunnel": "2001:db8:9::2"},
    }
    content["nodes"]["lma"]["ports"][0]["neighbours"]["2001:db8:9::2"] = "02:00:00:00:09:02"
    found = ipsec_of(write(tmp_path / "same.toml", content), capsys)
    kinds = ("135", "41", "4", "gre")
    ends = {(f"2001:db8:100::1[{kind}]", f"2001:db8:101::1[{kind}]") for kind in kinds}
    assert protected(found["mag-1"]) == ends
    plain = "p q # } {".translate(dict.fromkeys(map(ord, " #}{"), "-"))
    assert sorted(found) == ["mag-1", "mag-2", plain, f"{plain}-2", f"{plain}-2-tunnel"]


def test_ipsec_policies_of_all_nodes_are_those_of_each(capsys: pytest.CaptureFixture[str]) -> None:
    parts = []
    for name in ("lma", "mag-1", "mag-2"):
        assert main(["ipsec", str(EXAMPLE), "--node", name]) == 0
        parts.append(f"# {name}\n{capsys.readouterr().out}")
    assert main(["ipsec", str(EXAMPLE)]) == 0
    assert capsys.readouterr().out == "".join(parts)
    assert main(["ipsec", str(EXAMPLE), "--node", "mag-9"]) == 2
    assert capsys.readouterr().err == "p4pmip: --node: no such node: 'mag-9' (valid: lma, mag-1, mag-2)\n"


@pytest.mark.requirement(
    "R5213-4-3",
    "R5213-9.1-1",
    "R5213-9.2-1",
    "R5213-9.3-1",
    "R5844-5.1-1",
    "R5844-5.2-1",
    "R5847-5-1",
    "R5847-5-2",
    "R5846-11-1",
    "R5846-13-1",
    "R7389-5-1",
)
def test_every_variable_of_the_rfcs_reaches_its_engine(tmp_path: Path) -> None:
    content = document(tmp_path)
    common: Document = {
        "heartbeat_interval": 77.0,
        "missing_heartbeats_allowed": 5,
        "timestamp_based_approach_in_use": True,
        "bri_max_retries": 4,
        "init_min_delay_bris": 0.7,
        "max_brack_timeout": 9.0,
        "key_first": 5,
        "key_last": 6,
        "key_quarantine": 7.0,
        "lifetime": 400,
    }
    anchor: Document = {
        "min_delay_before_bce_delete": 3.0,
        "max_delay_before_new_bce_assign": 0.5,
        "timestamp_validity_window": 0.2,
        "mobile_node_generated_timestamp_in_use": True,
        "accept_forced_ipv4_udp_encapsulation_request": True,
        "domain_wide_lma_upa_support": True,
        "revoke_on_handoff": False,
    }
    gateway: Document = {
        "refresh_fraction": 0.6,
        "initial_bindack_timeout": 2.0,
        "max_bindack_timeout": 16.0,
        "force_ipv4_udp_encapsulation_support": True,
    }
    content["nodes"]["lma"]["lma"] |= common | anchor
    content["nodes"]["mag-1"]["mag"] |= common | gateway | {"fixed_link_local": False, "identity": "mag-one"}
    content["nodes"]["mag-1"]["mag"]["enable_mag_local_routing"] = True
    secret = tmp_path / "secret"
    secret.write_bytes(b"0123456789abcdef")
    secret.chmod(0o600)
    address = content["nodes"]["mag-1"]["signalling"]["address"]
    content["nodes"]["lma"]["peers"] = {
        "mag-1": {
            "address": address,
            "spi": 256,
            "secret_file": str(secret),
            "replay_protection": True,
            "replay_window": 9.0,
            "realms": ["operator-b"],
            "heartbeat": False,
            "revocation": False,
            "global_revocation": True,
            "gre_not_supported_status": 199,
            "gre_required_status": 200,
        }
    }
    config = load(write(tmp_path / "all.toml", content))
    lma, mag = lma_config(config, "lma"), mag_config(config, "mag-1")
    assert lma is not None
    assert mag is not None
    for engine, wanted in ((lma, common | anchor), (mag, common | gateway)):
        assert {name: getattr(engine, name) for name in wanted} == wanted
    assert (mag.fixed_link_local, mag.identity) == (None, b"mag-one")
    assert [context_of(config, config.nodes[name], Ids()).local_routing for name in ("lma", "mag-1")] == [False, True]
    peer = next(one for one in lma.peers if str(one.address) == address)
    assert (peer.realms, peer.replay_protection, peer.replay_window) == (frozenset({"operator-b"}), True, 9.0)
    assert (peer.heartbeat, peer.revocation, peer.global_revocation) == (False, False, True)
    assert (peer.codepoints.not_required, peer.codepoints.required) == (199, 200)


@pytest.mark.requirement("R5213-6.9.2-3", "R5213-6.9.5-1", "R5213-6.9.5-2", "R5213-6.9.5-3", "R5844-3.4.3-4")
@pytest.mark.parametrize(
    ("gre", "udp", "outer", "mtu", "told"),
    [
        (Gre.KEYED, False, "2001:db8::", 1500, 1452),
        (Gre.MODE, False, "2001:db8::", 1500, 1456),
        (Gre.PLAIN, False, "2001:db8::", 1500, 1460),
        (Gre.KEYED, False, "192.0.2.", 1400, 1372),
        (Gre.KEYED, True, "192.0.2.", 1400, 1360),
        (Gre.PLAIN, True, "192.0.2.", 1400, 1372),
        (Gre.KEYED, False, "2001:db8::", 9000, 1500),
    ],
)
def test_the_mtu_that_is_told_is_the_tunnels_or_the_links(
    gre: Gre, udp: bool, outer: str, mtu: int, told: int, tmp_path: Path
) -> None:
    content = document(tmp_path)
    content["nodes"]["mag-1"]["tunnel"]["mtu"] = mtu
    config = load(write(tmp_path / "mtu.toml", content))
    context = context_of(config, config.nodes["mag-1"], Ids())
    tunnel = Tunnel(ip_address(outer + "1"), ip_address(outer + "2"), udp)
    access = next(port.number for port in config.nodes["mag-1"].ports if port.role == "access")
    binding = replace(BINDING, gre=gre, tunnel=tunnel, access=AccessLink(access, bytes(6)))
    assert link_mtu(binding, context) == told


BINDING = Binding(
    Role.MAG, b"mn", "operator-a", 1, Phase.ACTIVE, (), None, None, Tunnel(ip_address("::1"), ip_address("::2")),
    Gre.PLAIN, Granularity.SESSION, None, None,
)  # fmt: skip
