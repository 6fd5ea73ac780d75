"""A session as people see it: the rows of `GET /bindings`."""

from typing import Any

from p4pmip.mobility.binding import Role
from p4pmip.mobility.session import Session
from p4pmip.node.config import Config
from p4pmip.wire.describe import text

COLUMNS = ("mn", "realm", "ipv4", "hnp", "mag", "state", "uplink_key", "downlink_key")


def binding_json(config: Config, node: str, session: Session) -> dict[str, Any]:
    """One session at one end point; several home network prefixes stand in one text, with blanks between."""
    # Not by way of `Session.binding`: a session that is only proposed may have no tunnel yet.
    picture = session.binding if session.tunnel is not None else None
    prefixes = () if picture is None else picture.prefixes
    return {
        "mn": text(session.mn),
        "realm": session.realm,
        "ipv4": None if picture is None or picture.ipv4 is None else str(picture.ipv4.ip),
        "hnp": " ".join(map(str, prefixes)) or None,
        "mag": node if session.role is Role.MAG else config.name_of(node, session.path.peer.address),
        "state": session.phase.value,
        "uplink_key": session.uplink_key,
        "downlink_key": session.downlink_key,
    }
