"""What must survive a restart, as rows for the journal: plain values that JSON can hold.

A session is journalled under its session id with every `Install` that changes it (`effects.Install.after`), before the
answer `installed`. What is not a session comes as an effect of its own (`effects.Journal`):

======== ======================= ==================================================================================
kind     key                     payload
======== ======================= ==================================================================================
session  the session id          `to_record`
key      the GRE key             {"until": utc seconds}: released, not to be allocated again before that
stamp    the MN-Identifier, hex  {"timestamp": ..., "replay": ..., "until": ...}: the last accepted ones of a mobile
                                 node whose session is gone
peer     its address             {"counter": ...}: the last restart counter that it sent (RFC 5847)
======== ======================= ==================================================================================

What is to be there no longer is a `Forget`. The journal keeps rows of other owners beside these (`store.journal`).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface, IPv6Address, IPv6Network, ip_address
from typing import Any, TypeVar

from p4pmip.errors import P4pmipError
from p4pmip.mobility.binding import AccessLink, Granularity, Gre, Phase, Role, Tunnel
from p4pmip.mobility.endpoint import Endpoint, Path
from p4pmip.mobility.session import Session, pack, unpack


@dataclass(frozen=True, slots=True)
class Record:
    """One row of the journal: `payload` under (`kind`, `key`), whose latest version counts."""

    kind: str
    key: str
    payload: dict[str, Any]
    """JSON-able; what comes back is equal to it."""


@dataclass(frozen=True, slots=True)
class Forget:
    """A row that is to be there no longer; one that never was is no fault."""

    kind: str
    key: str


Change = Record | Forget
_T = TypeVar("_T")


class RecordError(P4pmipError):
    """A row of a journal is not one that this package writes."""

    def __init__(self, record: Record, problem: str) -> None:
        super().__init__(f"record {record.kind}/{record.key}", None, problem)


def read(record: Record, reader: Callable[[Record], _T]) -> _T:
    """What a reader makes of a row.

    Raises:
        RecordError: It can make nothing of it.
    """
    try:
        return reader(record)
    except KeyError as error:
        raise RecordError(record, f"has no {error}") from error
    except (ValueError, TypeError, AttributeError, OverflowError) as error:
        raise RecordError(record, str(error)) from error


def of(kind: type[_T], value: object) -> _T:
    """A value of a row, if it is of its kind; TypeError otherwise."""
    if not isinstance(value, kind):
        raise TypeError(f"{value!r} is no {kind.__name__}")
    return value


def session_change(session_id: int, session: Session | None) -> Change:
    """The row of a session, or (None) that there is none any more."""
    if session is None:
        return Forget("session", str(session_id))
    return Record("session", str(session_id), to_record(session))


def to_record(session: Session) -> dict[str, Any]:
    """A session as plain JSON-able values; `from_record` is its inverse."""
    return {
        "role": session.role.value,
        "mn": session.mn.hex(),
        "realm": session.realm,
        "session_id": session.session_id,
        "phase": session.phase.value,
        "technology": session.technology,
        "link_layer": session.link_layer.hex(),
        "link_local": None if session.link_local is None else str(session.link_local),
        "prefixes": [str(IPv6Network(unpack(prefix))) for prefix in session.prefixes],
        "ipv4": None if session.ipv4 is None else str(IPv4Interface(unpack(session.ipv4))),
        "ipv4_router": None if session.ipv4_router is None else str(session.ipv4_router),
        "tunnel": None
        if session.tunnel is None
        else {"local": str(session.tunnel.local), "peer": str(session.tunnel.peer), "udp": session.tunnel.udp},
        "local": _endpoint_to(session.path.local),
        "peer": _endpoint_to(session.path.peer),
        "gre": session.gre.value,
        "granularity": session.granularity.value,
        "uplink_key": session.uplink_key,
        "downlink_key": session.downlink_key,
        "lifetime": session.lifetime,
        "expires_utc": session.expires_utc,
        "timestamp": session.timestamp,
        "sequence": session.sequence,
        "replay": session.replay,
        "access": None if session.access is None else {"link": session.access.link, "mac": session.access.mac.hex()},
    }


def from_record(payload: Mapping[str, Any]) -> Session:
    """The session of a journalled row.

    Raises:
        KeyError, ValueError, TypeError: the row was not written by `to_record`.
    """
    role, tunnel, access = Role(payload["role"]), payload["tunnel"], payload["access"]
    if tunnel is None and role is Role.LMA:
        raise ValueError("no tunnel")
    ipv4 = None if payload["ipv4"] is None else IPv4Interface(payload["ipv4"])
    networks = [IPv6Network(prefix) for prefix in payload["prefixes"]]
    return Session(
        role=role,
        mn=bytes.fromhex(payload["mn"]),
        realm=of(str, payload["realm"]),
        session_id=of(int, payload["session_id"]),
        phase=Phase(payload["phase"]),
        technology=of(int, payload["technology"]),
        link_layer=bytes.fromhex(payload["link_layer"]),
        link_local=None if payload["link_local"] is None else IPv6Address(payload["link_local"]),
        prefixes=tuple(pack(int(network.network_address), network.prefixlen) for network in networks),
        ipv4=None if ipv4 is None else pack(int(ipv4.ip), ipv4.network.prefixlen),
        ipv4_router=None if payload["ipv4_router"] is None else IPv4Address(payload["ipv4_router"]),
        tunnel=None
        if tunnel is None
        else Tunnel(ip_address(tunnel["local"]), ip_address(tunnel["peer"]), of(bool, tunnel["udp"])),
        path=Path(_endpoint_from(payload["local"]), _endpoint_from(payload["peer"])),
        gre=Gre(payload["gre"]),
        granularity=Granularity(payload["granularity"]),
        uplink_key=_int_or_none(payload["uplink_key"]),
        downlink_key=_int_or_none(payload["downlink_key"]),
        lifetime=of(int, payload["lifetime"]),
        expires_utc=float(payload["expires_utc"]),
        timestamp=of(int, payload["timestamp"]),
        sequence=of(int, payload["sequence"]),
        replay=of(int, payload["replay"]),
        access=None if access is None else AccessLink(of(int, access["link"]), bytes.fromhex(access["mac"])),
    )


def _endpoint_to(endpoint: Endpoint) -> dict[str, Any]:
    return {"address": str(endpoint.address), "port": endpoint.port}


def _endpoint_from(payload: Mapping[str, Any]) -> Endpoint:
    return Endpoint(ip_address(payload["address"]), _int_or_none(payload["port"]))


def _int_or_none(value: object) -> int | None:
    return None if value is None else of(int, value)
