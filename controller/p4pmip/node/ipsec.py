"""strongSwan policies for a node's peers (draft-00 §8; RFC 5213 §4): ESP for the signalling and for the tunnels.

The pipeline itself does no ESP: these are for the hosts or gateways that the transport network runs through.
"""

from collections.abc import Iterator

from p4pmip.mobility.binding import IPAddress
from p4pmip.node.schema import SIGNALLING_PORT, Config, NodeSettings

GRE, MOBILITY = "gre", "135"


def swanctl(config: Config, name: str) -> str:
    """The connections of a node, for `swanctl.conf`; pre-shared keys or certificates are the operator's to add."""
    lines = ["connections {"]
    for peer, (signalling, tunnel) in _peers(config, name).items():
        lines += _connection(config.nodes[name], peer, signalling, tunnel)
    return "\n".join([*lines, "}"]) + "\n"


def _peers(config: Config, name: str) -> dict[str, tuple[IPAddress, IPAddress]]:
    """Signalling address and tunnel end point of every peer."""
    node = config.nodes[name]
    found = {peer: (one.address, one.tunnel or one.address) for peer, one in node.peers.items()}
    for other, one in config.nodes.items():
        linked = (node.mag and node.mag.lma == other) or (one.mag and one.mag.lma == name)
        if linked and other != name:
            found.setdefault(other, (one.signalling.address, one.tunnel.address))
    return found


def _connection(node: NodeSettings, peer: str, signalling: IPAddress, tunnel: IPAddress) -> Iterator[str]:
    local = node.signalling.address
    port = f"udp/{SIGNALLING_PORT}" if local.version == 4 else MOBILITY
    yield f"  {peer} {{"
    yield "    version = 2"
    yield f"    local_addrs = {local}"
    yield f"    remote_addrs = {signalling}"
    yield "    proposals = aes256gcm16-prfsha384-ecp384, default"
    yield from ("    local {", "      auth = psk", f"      id = {local}", "    }")
    yield from ("    remote {", "      auth = psk", f"      id = {signalling}", "    }")
    yield "    children {"
    yield from _child("signalling", f"{local}[{port}]", f"{signalling}[{port}]")
    ends = (node.tunnel.address, tunnel)
    for kind in ("41", "4", GRE, *(("udp/5437",) if tunnel.version == 4 else ())):
        label = {"41": "ipv6", "4": "ipv4", "udp/5437": "udp"}.get(kind, kind)
        yield from _child(f"tunnel-{label}", f"{ends[0]}[{kind}]", f"{ends[1]}[{kind}]")
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
