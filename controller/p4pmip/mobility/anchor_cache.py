"""The binding cache of an LMA as the world sees it: what is settled, what is asked for, what is answered.

The layer below `anchor_registration`: it knows sessions, tickets and peers, and not why they change.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from random import Random

from p4pmip.mobility import heartbeat, revocation
from p4pmip.mobility.acknowledge import grant, refusal
from p4pmip.mobility.binding import Binding, Phase
from p4pmip.mobility.cache import BindingCache, Entry, Pending
from p4pmip.mobility.config import LmaConfig
from p4pmip.mobility.dialects import Kind
from p4pmip.mobility.effects import Install, Journal
from p4pmip.mobility.endpoint import Endpoint
from p4pmip.mobility.entity import Entity
from p4pmip.mobility.ordering import Disorder, from_ntp
from p4pmip.mobility.peer import PeerState
from p4pmip.mobility.record import Forget, Record, of, read
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
        """Let the IPv4 home address of an entry go; the prefixes stay (RFC 5846 §8.2), or nothing does."""
        session = entry.session
        if entry.pending is not None:
            entry.pending.ipv4_doomed = True
            return
        if session is None or session.ipv4 is None or session.phase is Phase.HELD:
            return
        if not session.prefixes:
            self.delete(entry)
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
        left = entry.peer
        if before is not None:
            self._give_back(before, after, now)
            left.sessions -= 1
        if after is None:
            assert before is not None
            self._forget_stranger(left)
            self.timers.disarm(entry)
            self.cache.remove(entry, before)
            self.session_ids.give_back(before.session_id)
            self._keep_stamp(before, entry.peer, now, utc)
            self.counters["bindings_deleted"] += 1
            return
        if pending.request is not None and pending.request.peer is not None:
            entry.peer = pending.request.peer
        self._joined(entry, after, now)
        self._forget_stranger(left)
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
            if peer.stranger:
                self.peers[peer.config.address] = peer
            if self.peers.get(peer.config.address) is peer:
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

    def _expired(self, kind: str, key: str) -> None:
        super()._expired(kind, key)
        if kind == "stamp":
            del self._stamps[bytes.fromhex(key)]

    def _keep_stamp(self, session: Session, peer: PeerState, now: float, utc: float) -> None:
        """A replayed PBU must not bring back a session that has just gone."""
        window = 0.0
        if session.timestamp:
            window = self.config.timestamp_validity_window
            if not self.config.mobile_node_generated_timestamp_in_use:  # such a clock says nothing of ours
                window += Timestamp(session.timestamp).to_utc() - utc
        if session.replay:
            window = max(window, from_ntp(session.replay) + peer.config.replay_window - utc)
        if window > 0:
            mn, key = session.mn, session.mn.hex()
            before = self._stamps.get(mn, (0, 0))
            timestamp, replay = self._stamps[mn] = max(session.timestamp, before[0]), max(session.replay, before[1])
            until = max(now + window, self._until.get(("stamp", key), 0.0))
            self._expire("stamp", key, {"timestamp": timestamp, "replay": replay}, until)

    def _restore_rest(self, records: Sequence[Record], now: float, utc: float) -> None:
        super()._restore_rest(records, now, utc)
        for record in records:
            if record.kind == "stamp":
                mn, stamps, ends = read(record, _stamp_from)
                windows = (self.config.timestamp_validity_window, *(one.replay_window for one in self.config.peers))
                self._stamps[mn] = stamps
                self._expire_at("stamp", record.key, now + min(ends - utc, max(windows)))

    def _restore(self, session: Session, now: float, utc: float) -> None:
        peer = self.peers.get(session.path.peer.address)
        if peer is None:
            peer = self._stranger(session.path.peer) if self.config.any_mag else None
        if peer is None or session.realm not in self.config.realms:
            self._not_restored(session, f"{session.path.peer.address}, realm {session.realm}", session.realm)
            return
        self.session_ids.claim(session.session_id)
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
        """A MAG that is not configured, where any may come; it may say more than PBUs while it has a session."""
        assert self.config.any_mag is not None
        config = replace(self.config.any_mag, address=source.address, port=source.port)
        peer = self._meet(config)
        peer.config, peer.stranger = config, True
        return peer

    def _forget_stranger(self, peer: PeerState) -> None:
        """Addresses come off the wire: no more is kept of them than there are sessions."""
        if peer.stranger and not peer.sessions and self.peers.get(peer.config.address) is peer:
            self._drop_peer(peer)
            self.emit(Journal(Forget("peer", str(peer.config.address))))

    # --- peers --------------------------------------------------------------------------------------------------------

    def peer_failed(self, peer: PeerState) -> None:
        """Bindings stay until their lifetime ends: the MAG may be back before (RFC 5847 §3.1)."""

    def peer_restarted(self, peer: PeerState, now: float) -> None:
        """The MAG knows none of its sessions any more: they are held, as if it had de-registered them."""
        for entry in [one for one in self.cache if one.peer is peer]:
            self._hold(entry, now)


def _stamp_from(record: Record) -> tuple[bytes, tuple[int, int], float]:
    row = record.payload
    return bytes.fromhex(record.key), (of(int, row["timestamp"]), of(int, row["replay"])), float(row["until"])
