"""Binding revocation: telling the other end that bindings are over (RFC 5846).

What both roles share: numbering an indication, sending it again, matching its acknowledgement. What an indication ends
is the role's.
"""

from collections.abc import Iterable, Sequence
from enum import Enum
from ipaddress import IPv4Address, IPv6Address
from typing import NamedTuple

from p4pmip.mobility.binding import IPAddress
from p4pmip.mobility.endpoint import Path
from p4pmip.mobility.engine import Engine
from p4pmip.mobility.incoming import Incoming
from p4pmip.mobility.peer import PeerState
from p4pmip.mobility.session import PackedIPv4, PackedPrefix, Session, pack, unpack
from p4pmip.mobility.timers import Timed
from p4pmip.wire import options as o
from p4pmip.wire.message import BindingRevocationAcknowledgement, BindingRevocationIndication
from p4pmip.wire.numbers import IdentifierSubtype, RevocationFlag, RevocationStatus, RevocationTrigger

_P = RevocationFlag.P
_SEQUENCES = 65536
_TRIGGERS = frozenset(RevocationTrigger)


class Purpose(Enum):
    """What the sender does when its indication is acknowledged, or given up."""

    END = "end"
    """The session ends, whatever the answer."""
    INFORM = "inform"
    """Nothing: the session has gone on elsewhere."""
    RELEASE = "release"
    """If the peer agrees that the mobile node has left, the session is as good as de-registered."""
    IPV4 = "ipv4"
    """The IPv4 home address of the session is released, whatever the answer."""
    PEER = "peer"
    """All sessions with the peer end, unless it refuses."""
    DOMAIN = "domain"
    """All sessions with the peer of mobile nodes of one domain end, unless it refuses."""


class Revocation(Timed):
    """An indication that has not been acknowledged; its deadline is the next retransmission."""

    __slots__ = ("message", "moot", "path", "peer", "purpose", "session_id", "timeout", "tries")

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
        self.moot = False
        """The peer has ended the session by itself: an answer is welcome, and not asked for again."""


def describe(session: Session, ipv4_only: bool = False) -> tuple[RevocationFlag, list[o.Option]]:
    """The flags and options of an indication about one session, or about its IPv4 home address only (RFC 5846 §8.1).

    A session without prefixes has nothing else that tells it from others of its mobile node.
    """
    options: list[o.Option] = [o.MobileNodeIdentifier.nai(session.mn)]
    ipv4_only = ipv4_only or not session.prefixes
    if ipv4_only and session.ipv4 is not None:
        number, length = unpack(session.ipv4)
        options.append(o.IPv4HomeAddressRequest(IPv4Address(number), length))
    else:
        for prefix in session.prefixes:
            address, length = unpack(prefix)
            options.append(o.HomeNetworkPrefix(IPv6Address(address), length))
    care_of = None if session.tunnel is None else session.tunnel.peer
    if isinstance(care_of, IPv6Address) and care_of != session.path.peer.address:
        options.append(o.AlternateCareOfAddress(care_of))
    return (_P | RevocationFlag.V if ipv4_only else _P), options


class Named(NamedTuple):
    """What an indication is about, as its options say it."""

    mn: bytes | None
    """None: no MN-Identifier option (of the subtype that RFC 5846 §5.1 knows)."""
    prefixes: frozenset[PackedPrefix]
    ipv4: frozenset[PackedIPv4]
    """With the length 0."""
    care_of: IPAddress | None
    any: bool
    """There is any option, the authentication option apart."""

    def fits(self, prefixes: tuple[PackedPrefix, ...], ipv4: PackedIPv4 | None) -> bool:
        """Whether a session of the mobile node is named: by one of its addresses, or by the MN-Identifier alone."""
        return (
            not (self.prefixes or self.ipv4)
            or not self.prefixes.isdisjoint(prefixes)
            or (ipv4 is not None and pack(ipv4 >> 8, 0) in self.ipv4)
        )


def named(options: Sequence[o.Option]) -> Named:
    """Take the options of an indication apart (RFC 5846 §5.1)."""
    mn: bytes | None = None
    prefixes: set[int] = set()
    ipv4: set[int] = set()
    care_of: IPAddress | None = None
    for option in options:
        match option:
            case o.MobileNodeIdentifier(IdentifierSubtype.NAI, identifier) if mn is None:
                mn = identifier
            case o.HomeNetworkPrefix(address, length) if int(address):
                prefixes.add(pack(int(address) >> 128 - length << 128 - length, length))
            case o.IPv4HomeAddressRequest(address, _):
                ipv4.add(pack(int(address), 0))
            case o.AlternateCareOfAddress(address):
                care_of = address
            case _:
                pass
    anything = any(not isinstance(option, o.Authentication) for option in options)
    return Named(mn, frozenset(prefixes), frozenset(ipv4), care_of, anything)


def in_domain(domain: bytes | None, mn: bytes) -> bool:
    """Whether a mobile node is of the domain that an indication names (`...@domain`); None names all."""
    return domain is None or mn.rpartition(b"@")[2] == domain.rpartition(b"@")[2]


def misused(message: BindingRevocationIndication) -> RevocationStatus | None:
    """The status for an indication whose trigger nobody knows, or is not for what it asks (RFC 5846 §6.2.1)."""
    if message.trigger not in _TRIGGERS:
        return RevocationStatus.REVOCATION_TRIGGER_NOT_SUPPORTED
    if bool(message.flags & RevocationFlag.G) != (message.trigger >= RevocationTrigger.PER_PEER_POLICY):
        return RevocationStatus.REVOCATION_FUNCTION_NOT_SUPPORTED
    return None


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
) -> bool:
    """Send a Binding Revocation Indication and wait for its acknowledgement; False if it cannot be numbered."""
    for _ in range(_SEQUENCES):
        engine.revoked = (engine.revoked + 1) % _SEQUENCES
        if (peer.config.address, engine.revoked) not in engine.revocations:
            break
    else:  # RFC 5846 §5.1: no two outstanding ones have the same number
        engine.counters["revocation_without_number"] += 1
        return False
    message = BindingRevocationIndication(trigger, engine.revoked, flags, tuple(options))
    revocation = Revocation(peer, path, message, purpose, session_id, engine.common.init_min_delay_bris)
    engine.revocations[peer.config.address, engine.revoked] = revocation
    if session_id is not None:
        engine.revocations_of.setdefault(session_id, []).append(revocation)
    _transmit(engine, revocation, now)
    return True


def again(engine: Engine, revocation: Revocation, now: float) -> None:
    """No acknowledgement came: send the same once more, or give up (RFC 5846 §6.3)."""
    if revocation.moot:
        engine.finish_revocation(revocation, RevocationStatus.SUCCESS, now)
    elif revocation.tries > engine.common.bri_max_retries:
        engine.counters["revocation_unanswered"] += 1
        engine.finish_revocation(revocation, None, now)
    else:
        _transmit(engine, revocation, now)


def make_moot(engine: Engine, peer: PeerState | None, session_id: int) -> None:
    """The peer has de-registered the session: it is not told again, for it would only answer that it has none."""
    for revocation in engine.revocations_of.get(session_id, ()):
        if revocation.peer is peer:
            revocation.moot = True


def acknowledged(engine: Engine, message: BindingRevocationAcknowledgement, incoming: Incoming, now: float) -> None:
    """A Binding Revocation Acknowledgement: matched by sequence number, or ignored (RFC 5846 §6.2.2)."""
    peer = incoming.peer
    revocation = None if peer is None else engine.revocations.get((peer.config.address, message.sequence))
    if revocation is None:
        engine.received(incoming, "ignored_unmatched")
    elif not engine.authentic(incoming, incoming.source.address):
        engine.received(incoming, "ignored_not_authentic")
    elif message.flags != revocation.message.flags:
        engine.received(incoming, "ignored_other_flags")
    else:
        engine.received(incoming, f"revocation_status_{int(message.status)}")
        engine.finish_revocation(revocation, message.status, now)


def known(engine: Engine, incoming: Incoming) -> PeerState | None:
    """The peer that an indication comes from, if it is one of ours and its message authentic."""
    if incoming.peer is None:
        engine.received(incoming, "ignored_unknown_peer")
    elif not engine.authentic(incoming, incoming.source.address):
        engine.received(incoming, "ignored_not_authentic")
    else:
        return incoming.peer
    return None


def answer(engine: Engine, message: BindingRevocationIndication, incoming: Incoming, status: int) -> None:
    """Acknowledge an indication: its sequence number, its flags, its MN-Identifier (RFC 5846 §5.2)."""
    engine.received(incoming, f"revocation_answered_{int(status)}")
    identifiers = tuple(option for option in message.options if isinstance(option, o.MobileNodeIdentifier))
    engine.reply(incoming, BindingRevocationAcknowledgement(status, message.sequence, message.flags, identifiers))


def _transmit(engine: Engine, revocation: Revocation, now: float) -> None:
    revocation.tries += 1
    path = revocation.path
    engine.send(revocation.message, path.local, path.peer, revocation.peer)
    engine.timers.arm(revocation, now + revocation.timeout)
    revocation.timeout = min(revocation.timeout * 2, engine.common.max_brack_timeout)
