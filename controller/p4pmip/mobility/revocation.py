"""Binding revocation: telling the other end that bindings are over (RFC 5846).

What both roles share: numbering an indication, sending it again, matching its acknowledgement. What an indication ends
is the role's.
"""

from collections.abc import Iterable
from enum import Enum
from ipaddress import IPv4Address, IPv6Address

from p4pmip.mobility.endpoint import Endpoint, Path
from p4pmip.mobility.engine import Engine
from p4pmip.mobility.peer import PeerState
from p4pmip.mobility.session import PackedIPv4, PackedPrefix, Session, pack, unpack
from p4pmip.mobility.timers import Timed
from p4pmip.wire import options as o
from p4pmip.wire.message import BindingRevocationAcknowledgement, BindingRevocationIndication
from p4pmip.wire.mobility_header import Decoded
from p4pmip.wire.numbers import OptionType, RevocationFlag

_P = RevocationFlag.P


class Purpose(Enum):
    """What the sender does when its indication is acknowledged, or given up."""

    END = "end"
    """The session ends, whatever the answer."""
    INFORM = "inform"
    """Nothing: the session has gone on elsewhere."""
    RELEASE = "release"
    """If the peer agrees that the mobile node has left, the session is as good as de-registered."""
    PEER = "peer"
    """All sessions with the peer end, unless it refuses."""


class Revocation(Timed):
    """An indication that has not been acknowledged; its deadline is the next retransmission."""

    __slots__ = ("message", "path", "peer", "purpose", "session_id", "timeout", "tries")

    def __init__(
        self,
        peer: PeerState,
        path: Path,
        message: BindingRevocationIndication,
        purpose: Purpose,
        session_id: int | None,
        timeout: float,
    ) -> None:
        super().__init__()
        self.peer = peer
        self.path = path
        self.message = message
        self.purpose = purpose
        self.session_id = session_id
        self.timeout = timeout
        self.tries = 0


def describe(session: Session) -> list[o.Option]:
    """The options that name one session: MN-Identifier, and all its addresses (RFC 5846 §5.1)."""
    options: list[o.Option] = [o.MobileNodeIdentifier.nai(session.mn)]
    for prefix in session.prefixes:
        address, length = unpack(prefix)
        options.append(o.HomeNetworkPrefix(IPv6Address(address), length))
    if session.ipv4 is not None:
        number, length = unpack(session.ipv4)
        data = (length << 10).to_bytes(2, "big") + IPv4Address(number).packed
        options.append(o.UnknownOption(OptionType.IPV4_HOME_ADDRESS, data))  # RFC 5555 §3.1.1
    return options


def addresses(options: Iterable[o.Option]) -> tuple[set[PackedPrefix], set[PackedIPv4]]:
    """The prefixes and IPv4 home addresses that an indication names; IPv4 ones with the length 0."""
    prefixes: set[int] = set()
    ipv4: set[int] = set()
    for option in options:
        if isinstance(option, o.HomeNetworkPrefix) and int(option.address):
            prefixes.add(pack(int(option.address), option.length))
        elif isinstance(option, o.UnknownOption) and option.type == OptionType.IPV4_HOME_ADDRESS:
            ipv4.add(pack(int.from_bytes(option.data[2:6], "big"), 0))
    return prefixes, ipv4


def indicate(
    engine: Engine,
    peer: PeerState,
    path: Path,
    trigger: int,
    options: Iterable[o.Option],
    purpose: Purpose,
    session_id: int | None,
    now: float,
    flags: RevocationFlag = _P,
) -> None:
    """Send a Binding Revocation Indication and wait for its acknowledgement."""
    engine.revoked = (engine.revoked + 1) % 65536
    message = BindingRevocationIndication(trigger, engine.revoked, flags, tuple(options))
    revocation = Revocation(peer, path, message, purpose, session_id, engine.common.init_min_delay_bris)
    engine.revocations[peer.config.address, engine.revoked] = revocation
    _transmit(engine, revocation, now)


def again(engine: Engine, revocation: Revocation, now: float) -> None:
    """No acknowledgement came: send the same once more, or give up (RFC 5846 §7.3)."""
    if revocation.tries > engine.common.bri_max_retries:
        engine.counters["revocation_unanswered"] += 1
        engine.finish_revocation(revocation, None, now)
    else:
        _transmit(engine, revocation, now)


def acknowledged(
    engine: Engine,
    message: BindingRevocationAcknowledgement,
    decoded: Decoded,
    peer: PeerState | None,
    source: Endpoint,
    destination: Endpoint,
    now: float,
) -> None:
    """A Binding Revocation Acknowledgement: matched by sequence number, or ignored (RFC 5846 §7.2)."""
    revocation = None if peer is None else engine.revocations.get((peer.config.address, message.sequence))
    if revocation is None:
        engine.received(message, source, destination, "ignored_unmatched")
    elif not engine.authentic(decoded, peer, source.address):
        engine.received(message, source, destination, "ignored_not_authentic")
    elif message.flags != revocation.message.flags:
        engine.received(message, source, destination, "ignored_other_flags")
    else:
        engine.received(message, source, destination, f"revocation_status_{int(message.status)}")
        engine.finish_revocation(revocation, message.status, now)


def known(
    engine: Engine,
    message: BindingRevocationIndication,
    decoded: Decoded,
    peer: PeerState | None,
    source: Endpoint,
    destination: Endpoint,
) -> PeerState | None:
    """The peer that an indication comes from, if it is one of ours and its message authentic."""
    if peer is None:
        engine.received(message, source, destination, "ignored_unknown_peer")
    elif not engine.authentic(decoded, peer, source.address):
        engine.received(message, source, destination, "ignored_not_authentic")
    else:
        return peer
    return None


def answer(
    engine: Engine,
    message: BindingRevocationIndication,
    status: int,
    peer: PeerState,
    source: Endpoint,
    destination: Endpoint,
) -> None:
    """Acknowledge an indication: its sequence number, its flags, its MN-Identifier (RFC 5846 §5.2)."""
    engine.received(message, source, destination, f"revocation_answered_{int(status)}")
    identifiers = tuple(option for option in message.options if isinstance(option, o.MobileNodeIdentifier))
    reply = BindingRevocationAcknowledgement(status, message.sequence, message.flags, identifiers)
    engine.send(reply, destination, source, peer)


def _transmit(engine: Engine, revocation: Revocation, now: float) -> None:
    revocation.tries += 1
    path = revocation.path
    engine.send(revocation.message, path.local, path.peer, revocation.peer)
    engine.timers.arm(revocation, now + revocation.timeout)
    revocation.timeout = min(revocation.timeout * 2, engine.common.max_brack_timeout)
