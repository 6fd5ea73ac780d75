"""strongSwan policies for a node's peers (draft-00 §8; RFC 5213 §4): ESP for the signalling and for the tunnels.

The pipeline itself does no ESP: these are for the hosts or gateways that the transport network runs through. What is
protected is the addresses' own traffic (transport mode), so that a tunnel whose ends are not the addresses of the
signalling has an IKE connection of its own, between its ends.
"""

import re
from collections.abc import Iterable, Iterator

from p4pmip.mobility.binding import IPAddress
from p4pmip.node.schema import Config
from p4pmip.wire.numbers import SIGNALLING_PORT

GRE, MOBILITY, TUNNEL_PORT = "gre", "135", 5437
_Ends = tuple[IPAddress, IPAddress]
_NOT_IN_A_SECTION = re.compile(r"[^A-Za-z0-9_-]")


def swanctl(config: Config, name: str) -> str:
    """The connections of a node, for `swanctl.conf`; pre-shared keys or certificates are the operator's to add."""
    lines, used = ["connections {"], set[str]()
    for peer, (signalling, tunnel) in _peers(config, name).items():
        section = _section(peer, used)
        if signalling == tunnel:
            lines += _connection(section, signalling, (*_signalling(signalling), *_tunnels(tunnel)))
        else:
            lines += _connection(section, signalling, _signalling(signalling))
            lines += _connection(_section(f"{section}-tunnel", used), tunnel, _tunnels(tunnel))
    return "\n".join([*lines, "}"]) + "\n"


def _section(peer: str, used: set[str]) -> str:
    """A section's name: swanctl's grammar has few characters for it, a peer's name in our configuration has all."""
    plain = name = _NOT_IN_A_SECTION.sub("-", peer)
    number = 1
    while name in used:
        number += 1
        name = f"{plain}-{number}"
    used.add(name)
    return name


def _peers(config: Config, name: str) -> dict[str, tuple[_Ends, _Ends]]:
    """The ends of the signalling and of the tunnel with every peer, ours first."""
    node = config.nodes[name]
    found = {peer: (one.address, one.tunnel or one.address) for peer, one in node.peers.items()}
    for other, one in config.nodes.items():
        linked = (node.mag and node.mag.lma == other) or (one.mag and one.mag.lma == name)
        if linked and other != name:
            found.setdefault(other, (one.signalling.address, one.tunnel.address))
    near = node.signalling.address, node.tunnel.address
    return {peer: ((near[0], far[0]), (near[1], far[1])) for peer, far in found.items()}


def _signalling(ends: _Ends) -> Iterator[tuple[str, str]]:
    yield "signalling", f"udp/{SIGNALLING_PORT}" if ends[0].version == 4 else MOBILITY


def _tunnels(ends: _Ends) -> Iterator[tuple[str, str]]:
    yield from (("tunnel-ipv6", "41"), ("tunnel-ipv4", "4"), (f"tunnel-{GRE}", GRE))
    if ends[0].version == 4:
        yield "tunnel-udp", f"udp/{TUNNEL_PORT}"


def _connection(section: str, ends: _Ends, children: Iterable[tuple[str, str]]) -> Iterator[str]:
    local, remote = ends
    yield f"  {section} {{"
    yield "    version = 2"
    yield f"    local_addrs = {local}"
    yield f"    remote_addrs = {remote}"
    yield "    proposals = aes256gcm16-prfsha384-ecp384, default"
    yield from ("    local {", "      auth = psk", f"      id = {local}", "    }")
    yield from ("    remote {", "      auth = psk", f"      id = {remote}", "    }")
    yield "    children {"
    for name, kind in children:
        yield from _child(name, f"{local}[{kind}]", f"{remote}[{kind}]")
    yield from ("    }", "  }")


def _child(name: str, local: str, remote: str) -> Iterator[str]:
    yield f"      {name} {{"
    yield "        mode = transport"
    yield f"        local_ts = {local}"
    yield f"        remote_ts = {remote}"
    yield "        esp_proposals = aes256gcm16-ecp384, default"
    yield "        start_action = trap"
    yield "        dpd_action = trap"
    yield "      }"
