"""What is said about configurations that cannot be used, and that nothing else is said."""

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.node.world import EXAMPLE, Document, document, write

from p4pmip.cli.main import main
from p4pmip.node.config import ConfigError, load, parse


def _set(*path: str | int, to: object) -> Callable[[Document], None]:
    def change(content: Document) -> None:
        place = content
        for key in path[:-1]:
            place = place[key]  # type: ignore[index]
        place[path[-1]] = to  # type: ignore[index]

    return change


FINDINGS: list[tuple[Callable[[Document], None], str]] = [
    (
        _set("realms", "operator-a", "ipv4_pol", to="10.0.0.0/8"),
        "configuration: realms.operator-a.ipv4_pol: unknown key; did you mean ipv4_pool? "
        "(valid: dns, gre, ipv4_pool, ipv4_router, keys, prefix_length, prefix_pool)",
    ),
    (
        _set("realms", "operator-a", "gre", "wanted", to="keys"),
        "configuration: realms.operator-a.gre.wanted: Input should be 'none', 'mode' or 'key': 'keys'",
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
    assert main(["check", str(write(tmp_path / "bad.toml", content))]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 2


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


def test_ipsec_policies_are_swanctl_syntax(capsys: pytest.CaptureFixture[str]) -> None:
    """swanctl itself needs its daemon; its grammar is sections `name {`, settings `key = value` and `}`."""
    assert main(["ipsec", str(EXAMPLE), "--node", "lma"]) == 0
    depth, settings = 0, []
    for line in capsys.readouterr().out.splitlines():
        words = line.split()
        if words[-1] == "{":
            assert len(words) == 2
            depth += 1
        elif words == ["}"]:
            depth -= 1
        else:
            assert depth > 1
            assert words[1] == "="
            settings.append((words[0], " ".join(words[2:])))
        assert depth >= 0
    assert depth == 0
    assert ("local_ts", "2001:db8:100::1[gre]") in settings
    assert sum(key == "remote_addrs" for key, _ in settings) == 2
