"""The binding cache of an LMA as the world sees it: what is settled, what is asked for, what is answered.

The layer below `anchor_registration`: it knows sessions, tickets and peers, and not why they change.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import replace
from random import Random

from p4pmip.mobility import heartbeat, revocation
from p4pmip.mobility.acknowledge import grant, refusal
from p4pmip.mobility.binding import Binding, Phase
from p4pmip.mobility.cache import BindingCache, Entry, Pending
from p4pmip.mobility.config import LmaConfig
from p4pmip.mobility.dialects import Kind
from p4pmip.mobility.effects import Install
from p4pmip.mobility.endpoint import Endpoint
from p4pmip.mobility.entity import Entity
from p4pmip.mobility.ordering import Disorder, from_ntp
from p4pmip.mobility.peer import PeerState
from p4pmip.mobility.record import Record
from p4pmip.mobility.registrar import Refusal, Registrar
from p4pmip.mobility.request import Request
from p4pmip.mobility.session import Session
from p4pmip.wire.message import BindingAcknowledgement
from p4pmip.wire.numbers import LIFETIME_UNIT
from p4pmip.wire.options import Timestamp


class AnchorCache(Entity[Entry]):
    """Sessions, their changes and their end."""

    def __init__(self, config: LmaConfig, random: Random | None = None) -> None:
        super().__init__(config, random)
        self.config = config
        self.cache = BindingCache()
        self._registrar = Registrar(config, self.cache, self.keys, self.random)
        self._stamps: dict[bytes, tuple[int, int]] = {}
        """Last accepted timestamp and replay protection of mobile nodes whose session is gone, while a window lasts."""
        self._old_stamps: deque[tuple[float, bytes, tuple[int, int]]] = deque()

    def sessions(self) -> Iterator[Session]:
        """The settled sessions, held ones included."""
        return (entry.session for entry in self.cache if entry.session is not None)

    def bindings(self) -> Iterator[Binding]:
        """What the switch is to hold."""
        return (session.binding for session in self.sessions())

    # --- changes ------------------------------------------------------------------------------------------------------

    def _change(self, entry: Entry, pending: Pending) -> None:
        """Ask the world for a change of an entry."""
        ticket = pending.ticket = self._ticket()
        entry.pending = pending
        self._open[ticket] = entry
        self.emit(Install(ticket, entry.session, pending.proposal))

    def delete(self, entry: Entry) -> None:
        """Let an entry go; one with a change pending goes when that is settled, by its deadline."""
        if entry.pending is not None:
            entry.pending.doomed = True
            return
        self.timers.disarm(entry)
        self._change(entry, Pending(0, None, None, 0.0))

    def _hold(self, entry: Entry, now: float) -> None:
        """As if the session had been de-registered."""
        session = entry.session
        if session is not None and session.phase is Phase.ACTIVE and entry.pending is None:
            deadline = now + self.config.min_delay_before_bce_delete
            self._change(entry, Pending(0, Kind.DEREGISTRATION, session._replace(phase=Phase.HELD), deadline))

    def release_ipv4(self, entry: Entry) -> None:
        """Let the IPv4 home address of an entry go; the prefixes stay (RFC 5846 §8.2)."""
        session = entry.session
        if entry.pending is not None:
            entry.pending.ipv4_doomed = True
            return
        if session is None or session.ipv4 is None or session.phase is Phase.HELD:
            return
        proposal = session._replace(ipv4=None, ipv4_router=None)
        self._change(entry, Pending(0, None, proposal, entry.deadline))

    def _overdue(self, entry: Entry, pending: Pending) -> None:
        """What was to happen to an entry while a change of it was pending."""
        if pending.doomed:
            self.delete(entry)
        elif pending.ipv4_doomed:
            self.release_ipv4(entry)

    def _end_of(self, entry: Entry) -> None:
        """Its lifetime or its hold is over."""
        if entry.pending is not None:
            entry.pending.lapsed = True
            return
        session = entry.session
        assert session is not None
        self.counters["hold_over" if session.phase is Phase.HELD else "binding_expired"] += 1
        self.delete(entry)

    def _settle(self, entry: Entry, pending: Pending, before: Session | None, now: float, utc: float) -> None:
        after = pending.proposal
        entry.session = after
        if before is not None:
            self._give_back(before, after, now)
            entry.peer.sessions -= 1
        if after is None:
            assert before is not None
            self.timers.disarm(entry)
            self.cache.remove(entry, before)
            self._free_session_id(before.session_id)
            self._keep_stamp(before, entry.peer, now, utc)
            self.counters["bindings_deleted"] += 1
            return
        if pending.request is not None and pending.request.peer is not None:
            entry.peer = pending.request.peer
        self._joined(entry, after, now)
        self.timers.arm(entry, pending.deadline)

    def _give_back(self, gone: Session, kept: Session | None, now: float) -> None:
        until = self._registrar.release(gone, kept, now)
        if until is not None:
            self._expire("key", str(gone.uplink_key), {}, until)

    def _joined(self, entry: Entry, session: Session, now: float) -> None:
        """One more session at a peer."""
        peer = entry.peer
        peer.local, peer.remote = session.path.local, session.path.peer
        peer.sessions += 1
        if peer.sessions == 1:
            self.peers.setdefault(peer.config.address, peer)
            heartbeat.start(self, peer, now)

    def _indicate(
        self,
        peer: PeerState | None,
        session: Session,
        trigger: int,
        purpose: revocation.Purpose,
        now: float,
        ipv4_only: bool = False,
    ) -> bool:
        """Tell a MAG that a session, or its IPv4 home address, is over; False if it does not know revocation."""
        if peer is None or not peer.revocation:
            return False
        flags, options = revocation.describe(session, ipv4_only)
        return revocation.indicate(self, peer, session.path, trigger, options, purpose, session.session_id, now, flags)

    # --- answers ------------------------------------------------------------------------------------------------------

    def _acknowledge(self, request: Request, pending: Pending, session: Session) -> None:
        answer = grant(
            request,
            session,
            pending.status,
            option=pending.option,
            tlv=pending.tlv,
            dhcp_server=self.config.dhcp_server,
            user_plane=request.user_plane_asked or self.config.domain_wide_lma_upa_support,
        )
        self._answer(request, answer)

    def _refuse(self, request: Request, refused: Refusal, disorder: Disorder | None = None) -> None:
        self.received(request.incoming, f"status_{int(refused.status)}")
        answer = refusal(
            request,
            refused.status,
            timestamp=None if disorder is None else disorder.timestamp,
            sequence=None if disorder is None else disorder.sequence,
            replay=None if disorder is None else disorder.replay,
            ipv4_status=refused.ipv4_status,
        )
        self._answer(request, answer)

    def _answer(self, request: Request, answer: BindingAcknowledgement) -> None:
        """To where the PBU came from, whatever its Alternate Care-of Address (RFC 5213 §5.3.6)."""
        self.reply(request.incoming, answer, request.care_of)

    # --- what outlives a session, and a restart -----------------------------------------------------------------------

    def _enter(self, now: float, utc: float) -> None:
        super()._enter(now, utc)
        while self._old_stamps and self._old_stamps[0][0] <= now:
            _, mn, stamps = self._old_stamps.popleft()
            if self._stamps.get(mn) == stamps:
                del self._stamps[mn]

    def _keep_stamp(self, session: Session, peer: PeerState, now: float, utc: float) -> None:
        """A replayed PBU must not bring back a session that has just gone."""
        window = 0.0
        if session.timestamp:
            window = Timestamp(session.timestamp).to_utc() + self.config.timestamp_validity_window - utc
        if session.replay:
            window = max(window, from_ntp(session.replay) + peer.config.replay_window - utc)
        if window > 0:
            stamps = {"timestamp": session.timestamp, "replay": session.replay}
            self._remember_stamp(session.mn, session.timestamp, session.replay, now + window)
            self._expire("stamp", session.mn.hex(), stamps, now + window)

    def _remember_stamp(self, mn: bytes, timestamp: int, replay: int, until: float) -> None:
        before = self._stamps.get(mn, (0, 0))
        stamps = self._stamps[mn] = max(timestamp, before[0]), max(replay, before[1])
        self._old_stamps.append((until, mn, stamps))

    def _restore_rest(self, records: Sequence[Record], now: float, utc: float) -> None:
        super()._restore_rest(records, now, utc)
        for record in records:
            if record.kind == "stamp":
                row = record.payload
                windows = (self.config.timestamp_validity_window, *(one.replay_window for one in self.config.peers))
                until = now + min(row["until"] - utc, max(windows))
                self._remember_stamp(bytes.fromhex(record.key), row["timestamp"], row["replay"], until)

    def _restore(self, session: Session, now: float, utc: float) -> None:
        peer = self.peers.get(session.path.peer.address)
        if peer is None:
            peer = self._stranger(session.path.peer) if self.config.any_mag else None
        if peer is None or session.realm not in self.config.realms:
            self.alarm(
                "binding_not_restored", f"{session.path.peer.address}, realm {session.realm}", session.session_id
            )
            return
        entry = Entry(peer)
        entry.session = session
        self.cache.add(entry, session)
        if session.uplink_key is not None:
            self.keys.restore(session.granularity, session.realm, session.uplink_key)
        if session.phase is Phase.HELD:
            left = self.config.min_delay_before_bce_delete
        else:
            left = min(max(session.expires_utc - utc, 0.0), session.lifetime * LIFETIME_UNIT)
        self.timers.arm(entry, now + left)
        self._joined(entry, session, now)

    def _stranger(self, source: Endpoint) -> PeerState:
        """A MAG that is not configured, where any may come; it is remembered once it has a session."""
        assert self.config.any_mag is not None
        config = replace(self.config.any_mag, address=source.address, port=source.port)
        return PeerState(config, self._local_of(source.address))

    # --- peers --------------------------------------------------------------------------------------------------------

    def peer_failed(self, peer: PeerState) -> None:
        """Bindings stay until their lifetime ends: the MAG may be back before (RFC 5847 §3.1)."""

    def peer_restarted(self, peer: PeerState, now: float) -> None:
        """The MAG knows none of its sessions any more: they are held, as if it had de-registered them."""
        for entry in [one for one in self.cache if one.peer is peer]:
            self._hold(entry, now)
