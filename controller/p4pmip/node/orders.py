"""What a person asks of a MAG: attach, detach, move, with a mobile node named as people name it."""

from typing import Any

from p4pmip.errors import P4pmipError
from p4pmip.node.context import link_id
from p4pmip.node.node import Node
from p4pmip.node.schema import Port
from p4pmip.wire.describe import text
from p4pmip.wire.ethernet import mac as mac_octets
from p4pmip.wire.ethernet import mac_text
from p4pmip.wire.numbers import HandoffIndicator

Json = dict[str, Any]


def attach(node: Node, mn: str, link: str | None) -> Json:
    """Register a mobile node on an access link, as if it had just been noticed there.

    Raises:
        P4pmipError: The node is no MAG, or the mobile node or link is not known.
    """
    _mag(node, "attach")
    return _attach(node, mn, link, HandoffIndicator.ATTACHMENT_OVER_A_NEW_INTERFACE)


def move(node: Node, mn: str, link: str | None) -> Json:
    """Register a mobile node that comes from another MAG, or from another access link of this one.

    Raises:
        P4pmipError: As of `attach`.
    """
    _mag(node, "move")
    return _attach(node, mn, link, HandoffIndicator.HANDOFF_BETWEEN_MAGS_SAME_INTERFACE)


def detach(node: Node, mn: str) -> Json:
    """De-register a mobile node; at an LMA, revoke its bindings (RFC 5846), but for what a MAG on the same node has.

    Raises:
        P4pmipError: The mobile node is not attached.
    """
    nai, mac = _identity(node, mn)
    if node.mag is not None and any(session.mn == nai for session in node.mag.sessions()):
        node.detach(nai, mac if ":" in mn else None)
    elif node.lma is None or not node.revoke(nai):
        raise P4pmipError("MN", mn, f"is not attached to {node.name}")
    return {"node": node.name, "mn": text(nai)}


def _attach(node: Node, mn: str, link: str | None, indicator: HandoffIndicator) -> Json:
    nai, mac = _identity(node, mn)
    port = _access(node, link)
    if mac is None:
        raise P4pmipError("MN", mn, "has no link-layer address in the configuration: name it by that")
    if node.mag is not None:
        node.mag.forget_refusals(nai)  # a person asks: the administrative action of RFC 5213 §6.9.1.2
    session_id = node.attach(nai, link_id(port), mac, indicator)
    if session_id is None:
        raise P4pmipError("MN", mn, f"cannot be served by {node.name}; its log says why")
    return {"node": node.name, "mn": text(nai), "link": link_name(port), "session": session_id}


def _mag(node: Node, what: str) -> None:
    if node.mag is None:
        mags = [name for name, settings in node.config.nodes.items() if settings.mag is not None]
        raise P4pmipError("--node", node.name, f"cannot {what}: it is no MAG", mags)


def _identity(node: Node, mn: str) -> tuple[bytes, bytes | None]:
    """The MN-Identifier and link-layer address of a mobile node that is named by either."""
    for mobile_node in node.config.mobile_nodes:
        if mn == mobile_node.nai or mn.lower() in mobile_node.mac:
            macs = [mn.lower()] if mn.lower() in mobile_node.mac else list(mobile_node.mac)
            return mobile_node.nai.encode(), mac_octets(macs[0]) if macs else None
    octets, escaped = mn.encode("utf-8", "surrogatepass"), "\\" in mn
    for session in node.sessions():
        # An LMA knows no access link, but what the MAG says of the mobile node.
        mac = session.link_layer if session.access is None else session.access.mac
        if octets == session.mn or (mac and mn.lower() == mac_text(mac)) or (escaped and mn == text(session.mn)):
            return session.mn, mac if len(mac) == 6 else None
    if mn.count(":") == 5:
        mac = mac_octets(mn)
        for port in node.settings.ports:
            nai = node.identities.identify(mac, link_id(port)) if port.role == "access" else None
            if nai is not None:
                return nai, mac
    raise P4pmipError("MN", mn, "unknown mobile node", [one.nai for one in node.config.mobile_nodes])


def _access(node: Node, link: str | None) -> Port:
    links = {link_name(port): port for port in node.settings.ports if port.role == "access"}
    if link is None and len(links) == 1:
        return next(iter(links.values()))
    if link not in links:
        raise P4pmipError("LINK", link, "which access link?" if link is None else "no such access link", links)
    return links[link]


def link_name(port: Port) -> str:
    """How people call a link: its port's number, and its VLAN's behind a dot."""
    return str(port.number) if port.vlan is None else f"{port.number}.{port.vlan}"
