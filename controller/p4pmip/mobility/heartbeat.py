"""Heartbeats: is the peer there, and has it lost its bindings? (RFC 5847)

Both roles do the same; what a peer's restart means to them is theirs (`Engine.peer_restarted`). A heartbeat is asked of
a peer with bindings only, and answered to every peer.
"""

from p4pmip.mobility.effects import Journal
from p4pmip.mobility.engine import Engine
from p4pmip.mobility.incoming import Incoming
from p4pmip.mobility.peer import PeerState
from p4pmip.mobility.record import Record
from p4pmip.wire.message import Heartbeat
from p4pmip.wire.numbers import HeartbeatFlag
from p4pmip.wire.options import RestartCounter

_REQUEST = HeartbeatFlag(0)
_RESPONSE = HeartbeatFlag.R
_UNSOLICITED = HeartbeatFlag.U | HeartbeatFlag.R


def start(engine: Engine, peer: PeerState, now: float) -> None:
    """The peer has a binding: ask it from now on, if anybody is to be asked."""
    interval = engine.common.heartbeat_interval
    if interval is not None and peer.heartbeats and peer.deadline > now + interval:
        peer.waiting = False
        engine.timers.arm(peer, now + interval)


def beat(engine: Engine, peer: PeerState, now: float) -> None:
    """HEARTBEAT_INTERVAL has passed: count what was not answered, and ask again (RFC 5847 §3.1)."""
    interval = engine.common.heartbeat_interval
    if interval is None or not peer.sessions or not peer.heartbeats or peer.local is None:
        return
    if peer.waiting:
        peer.missing += 1
        if peer.missing > engine.common.missing_heartbeats_allowed and peer.alive:
            peer.alive = False
            engine.alarm("peer_unreachable", str(peer.config.address))
            engine.peer_failed(peer)
    peer.waiting = True
    peer.sequence = (peer.sequence + 1) % 2**32
    engine.send(Heartbeat(_REQUEST, peer.sequence), peer.local, peer.remote, peer)
    engine.timers.arm(peer, now + interval)


def announce(engine: Engine) -> None:
    """Tell every peer that our bindings are lost: the restart counter, unasked (RFC 5847 §3.2)."""
    for peer in engine.peers.values():
        if peer.local is not None:
            counter = RestartCounter(engine.common.restart_counter)
            engine.send(Heartbeat(_UNSOLICITED, 0, (counter,)), peer.local, peer.remote, peer)


def receive(engine: Engine, message: Heartbeat, incoming: Incoming, now: float) -> None:
    """A request is answered; a response says that the peer lives, and whether it forgot."""
    peer = incoming.peer
    if peer is None:
        engine.received(incoming, "ignored_unknown_peer")
    elif not engine.authentic(incoming, incoming.source.address):
        engine.received(incoming, "ignored_not_authentic")
    elif not message.flags & HeartbeatFlag.R:
        engine.received(incoming, "answered")
        counter = RestartCounter(engine.common.restart_counter)
        engine.reply(incoming, Heartbeat(_RESPONSE, message.sequence, (counter,)))
    elif not message.flags & HeartbeatFlag.U and (not peer.waiting or message.sequence != peer.sequence):
        engine.received(incoming, "ignored_unmatched_response")
    else:
        engine.received(incoming, "alive")
        peer.waiting, peer.missing, peer.alive = False, 0, True
        _count(engine, message, peer, now)


def _count(engine: Engine, message: Heartbeat, peer: PeerState, now: float) -> None:
    option = next((one for one in message.options if isinstance(one, RestartCounter)), None)
    if option is None or option.counter == peer.counter:
        return
    known, peer.counter = peer.counter, option.counter
    engine.emit(Journal(Record("peer", str(peer.config.address), {"counter": option.counter})))
    if known is not None:
        engine.alarm("peer_restarted", str(peer.config.address))
        engine.peer_restarted(peer, now)
