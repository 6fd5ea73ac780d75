"""The local mobility anchor (RFC 5213 §5), with the GRE keys of draft-00 and RFC 5845.

How a PBU goes: `receive` decodes and authenticates it and runs the steps of §5.3.1 in their order; the lookup finds
its binding cache entry; the registrar proposes the session it leads to. The proposal is *pending*: it goes out as an
`Install`, and only `installed` makes it the entry's session and sends the PBA. `refused` drops the proposal with all
that was taken for it and answers 130, so that an existing session stays as it was.

What another PBU does to an entry with a change pending:

=================  ==============================  ===============================================================
pending            the other PBU                   what happens
=================  ==============================  ===============================================================
any                of a MAG without one waiting    it waits, and is processed when the change is settled
any                of a MAG with one waiting       it takes that one's place (a retransmission, or a newer wish)
=================  ==============================  ===============================================================

A PBU that waited is looked up anew, so that after a deletion it is an initial one and after a handoff to its own MAG a
refresh; its timestamp is still compared with the last accepted one, but not with the clock.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import replace
from random import Random

from p4pmip.mobility import heartbeat, revocation
from p4pmip.mobility.acknowledge import grant, refusal
from p4pmip.mobility.binding import Binding, IPAddress, Phase, Role
from p4pmip.mobility.cache import BindingCache, Entry, Match, Pending, lookup
from p4pmip.mobility.config import LmaConfig, Profile
from p4pmip.mobility.dialects import Kind
from p4pmip.mobility.effects import Install
from p4pmip.mobility.endpoint import Endpoint, Path
from p4pmip.mobility.engine import Engine
from p4pmip.mobility.ordering import Disorder, check_replay, check_sequence, check_timestamp
from p4pmip.mobility.peer import PeerState
from p4pmip.mobility.record import Record, from_record
from p4pmip.mobility.registrar import Refusal, Registrar
from p4pmip.mobility.request import Request, parse
from p4pmip.mobility.session import Session
from p4pmip.mobility.timers import Timed
from p4pmip.wire.fault import Reason
from p4pmip.wire.message import (
    BindingAcknowledgement,
    BindingError,
    BindingRevocationAcknowledgement,
    BindingRevocationIndication,
    BindingUpdate,
    Heartbeat,
)
from p4pmip.wire.mobility_header import Decoded
from p4pmip.wire.numbers import (
    LIFETIME_UNIT,
    BindingUpdateFlag,
    RevocationFlag,
    RevocationStatus,
    RevocationTrigger,
    Status,
)
from p4pmip.wire.options import MobileNodeIdentifier, Timestamp

_P = int(BindingUpdateFlag.P)


class Parked(Timed):
    """A PBU with HI = 4 that waits for the de-registration of its mobile node's one entry (RFC 5213 §5.4.1.2)."""

    __slots__ = ("entry", "request")

    def __init__(self, request: Request, entry: Entry) -> None:
        super().__init__()
        self.request = request
        self.entry = entry


class LocalMobilityAnchor(Engine):
    """An LMA without I/O.

    Args:
        config: What it serves, and how.
        random: The source of keys and link-local addresses; default: the system's.
    """

    def __init__(self, config: LmaConfig, random: Random | None = None) -> None:
        super().__init__(config, random)
        self.config = config
        self.cache = BindingCache()
        self._registrar = Registrar(config, self.cache, self.keys, self.random)
        self._open: dict[int, Entry] = {}
        """Entries by their open ticket."""
        self._parked: dict[bytes, Parked] = {}
        self._stamps: dict[bytes, int] = {}
        """Last accepted timestamps of mobile nodes whose session is gone, while the window lasts."""
        self._old_stamps: deque[tuple[float, bytes, int]] = deque()

    # --- the world's inputs ------------------------------------------------------------------------------------------

    def receive(self, octets: bytes, source: Endpoint, destination: Endpoint, now: float, utc: float) -> None:
        """Process a Mobility Header that arrived; never raises on what it holds."""
        self._enter(now, utc)
        opened = self.open(octets, source, destination)
        if opened is None:
            return
        message, decoded, peer = opened
        match message:
            case BindingUpdate() if int(message.flags) & _P:
                self._binding_update(message, decoded, peer, source, destination, now, utc)
            case Heartbeat():
                heartbeat.receive(self, message, decoded, peer, source, destination, now)
            case BindingRevocationIndication():
                self._revoked_by_mag(message, decoded, peer, source, destination)
            case BindingRevocationAcknowledgement():
                revocation.acknowledged(self, message, decoded, peer, source, destination, now)
            case BindingError():
                self.unrecognized(message, decoded, peer, source, destination, now)
            case _:
                self.received(message, source, destination, "ignored_not_for_an_lma")

    def handle_timer(self, now: float, utc: float) -> None:
        """Do what has come due."""
        self._enter(now, utc)
        for timed in self.timers.due(now):
            match timed:
                case Entry():
                    self._end_of(timed)
                case Parked():
                    del self._parked[timed.request.mn]
                    self._place(timed.request, Match(), now, utc)
                case PeerState():
                    heartbeat.beat(self, timed, now)
                case revocation.Revocation():
                    revocation.again(self, timed, now)

    def installed(self, ticket: int, now: float, utc: float) -> None:
        """The switch and the journal hold what `Install` asked for."""
        self._enter(now, utc)
        entry = self._open.pop(ticket, None)
        if entry is None:
            self.counters["unknown_ticket"] += 1
            return
        assert entry.pending is not None
        pending, before = entry.pending, entry.session
        entry.pending = None
        self._settle(entry, pending, before, now, utc)
        request = pending.request
        if request is not None and pending.proposal is not None:
            self._acknowledge(request, pending, pending.proposal, entry.peer)
        if pending.proposal is not None:
            if pending.kind is Kind.HANDOFF and before is not None and self.config.revoke_on_handoff:
                same = before.technology == pending.proposal.technology
                trigger = _SAME_ACCESS if same else _OTHER_ACCESS
                left = self.peers.get(before.path.peer.address)
                self._indicate(left, before, trigger, revocation.Purpose.INFORM, now)
            self._after(entry, now, utc)
            if pending.doomed:
                self.delete(entry)
        self._resume(entry, now, utc)

    def refused(self, ticket: int, reason: str, now: float, utc: float) -> None:
        """The switch or the journal would not: what was stays, and the PBU is answered with 130."""
        self._enter(now, utc)
        entry = self._open.pop(ticket, None)
        if entry is None:
            self.counters["unknown_ticket"] += 1
            return
        assert entry.pending is not None
        pending, before = entry.pending, entry.session
        self.counters["install_refused"] += 1
        self.alarm("install_refused", reason, entry.known.session_id)
        if pending.proposal is None or pending.proposal.phase is Phase.HELD:
            # Nobody can refuse an end: the session goes, and what the switch still holds is for a reconcile to find.
            self._open[ticket] = entry
            self.installed(ticket, now, utc)
            return
        entry.pending = None
        self._give_back(pending.proposal, before, now)
        if before is None:
            self.cache.remove(entry, pending.proposal)
            self._free_session_id(pending.proposal.session_id)
        if pending.request is not None:
            self._refuse(pending.request, Refusal(Status.INSUFFICIENT_RESOURCES))
        if before is not None and (pending.lapsed or pending.doomed):
            self.delete(entry)
        self._resume(entry, now, utc)

    def restore(self, records: Iterable[Record], now: float, utc: float) -> None:
        """Take over what the journal holds, before anything else is asked of the engine.

        Nothing is installed: the switch is to be reconciled with `bindings`. Lifetimes go on by wall clock.

        Raises:
            KeyError, ValueError, TypeError: a row was not written by this package.
        """
        self._enter(now, utc)
        records = list(records)
        self._restore_rest(records, now, utc)
        for record in records:
            if record.payload is not None and record.kind == "session":
                session = from_record(record.payload)
                if session.role is Role.LMA:
                    self._restore(session, now, utc)
            elif record.payload is not None and record.kind == "stamp":
                until = now + min(record.payload["until"] - utc, self.config.timestamp_validity_window)
                self._remember_stamp(bytes.fromhex(record.key), record.payload["timestamp"], until)

    # --- what it holds -----------------------------------------------------------------------------------------------

    def sessions(self) -> Iterator[Session]:
        """The settled sessions, held ones included."""
        return (entry.session for entry in self.cache if entry.session is not None)

    def bindings(self) -> Iterator[Binding]:
        """What the switch is to hold."""
        return (session.binding for session in self.sessions())

    # --- revocation (RFC 5846) ---------------------------------------------------------------------------------------

    def revoke(self, mn: bytes, now: float, trigger: int = RevocationTrigger.ADMINISTRATIVE_REASON) -> int:
        """End the sessions of a mobile node and tell their MAGs; answers how many there were.

        A session ends when its MAG has acknowledged, or has not in time; at once if it does not know revocation.
        """
        sessions = [entry.session for entry in self.cache.of(mn) if entry.session is not None]
        for session in sessions:
            entry = self.cache.sessions[session.session_id]
            if session.phase is Phase.HELD or not self._indicate(
                entry.peer, session, trigger, revocation.Purpose.END, now
            ):
                self.delete(entry)
        return len(sessions)

    def revoke_peer(self, address: IPAddress, now: float) -> int:
        """End all sessions with a MAG by one indication; answers how many there are."""
        peer = self.peers.get(address)
        if peer is None or peer.local is None:
            return 0
        path = Path(peer.local, peer.remote)
        flags = RevocationFlag.P | RevocationFlag.G
        trigger = RevocationTrigger.PER_PEER_POLICY
        revocation.indicate(self, peer, path, trigger, (), revocation.Purpose.PEER, None, now, flags)
        return peer.sessions

    def revocation_over(self, done: revocation.Revocation, status: int | None, now: float) -> None:
        """An indication was answered, or given up."""
        entry = None if done.session_id is None else self.cache.sessions.get(done.session_id)
        match done.purpose:
            case revocation.Purpose.END if entry is not None:
                self.delete(entry)
            case revocation.Purpose.RELEASE if entry is not None and status == RevocationStatus.SUCCESS:
                self._hold(entry, now)
            case revocation.Purpose.PEER if status is None or status < 128:
                for one in [one for one in self.cache if one.peer is done.peer]:
                    self.delete(one)
            case revocation.Purpose.PEER:
                self.alarm("revocation_refused", f"MAG {done.peer.config.address}: status {status}")
            case _:
                pass

    def _indicate(
        self, peer: PeerState | None, session: Session, trigger: int, purpose: revocation.Purpose, now: float
    ) -> bool:
        """Tell a MAG that a session is over; False if it does not know revocation."""
        if peer is None or not peer.revocation:
            return False
        options = revocation.describe(session)
        revocation.indicate(self, peer, session.path, trigger, options, purpose, session.session_id, now)
        return True

    def _revoked_by_mag(
        self,
        message: BindingRevocationIndication,
        decoded: Decoded,
        peer: PeerState | None,
        source: Endpoint,
        destination: Endpoint,
    ) -> None:
        """RFC 5846 §8.2: a MAG can only end everything it has here, and only if it may."""
        if peer is None:
            self.received(message, source, destination, "ignored_unknown_peer")
            return
        if not self.authentic(decoded, peer, source.address):
            self.received(message, source, destination, "ignored_not_authentic")
            return
        entries = [entry for entry in self.cache if entry.peer is peer]
        if not message.flags & RevocationFlag.G or message.trigger != RevocationTrigger.PER_PEER_POLICY:
            status = RevocationStatus.REVOCATION_TRIGGER_NOT_SUPPORTED
        elif not peer.config.global_revocation:
            status = RevocationStatus.GLOBAL_REVOCATION_NOT_AUTHORIZED
        elif not any(isinstance(option, MobileNodeIdentifier) for option in message.options):
            status = RevocationStatus.REVOKED_MOBILE_NODES_IDENTITY_REQUIRED
        elif not entries:
            status = RevocationStatus.BINDING_DOES_NOT_EXIST
        else:
            status = RevocationStatus.SUCCESS
        revocation.answer(self, message, status, peer, source, destination)
        if status is RevocationStatus.SUCCESS:
            for entry in entries:
                self.delete(entry)

    # --- a PBU: the steps of RFC 5213 §5.3.1 in their order ----------------------------------------------------------

    def _binding_update(
        self,
        update: BindingUpdate,
        decoded: Decoded,
        peer: PeerState | None,
        source: Endpoint,
        destination: Endpoint,
        now: float,
        utc: float,
    ) -> None:
        if peer is None and self.config.any_mag is not None:
            peer = self._stranger(source)
        request = parse(update, source, destination, peer)
        if peer is not None:
            authentic = self.authentic(decoded, peer, request.care_of)
            if authentic is None:
                self.received(update, source, destination, "ignored_unknown_security_association")
                return
            if not authentic:
                self._refuse(request, Refusal(Status.MIPV6_AUTH_FAIL))
                return
            if peer.config.replay_protection:
                sessions = (entry.known for entry in self.cache.of(request.mn))
                if (status := check_replay(request, sessions, utc)) is not None:
                    self._refuse(request, Refusal(status))
                    return
        status = self._check(request, decoded)
        if status is not None:
            self._refuse(request, Refusal(status))
            return
        self._ordered(request, now, utc)

    def _check(self, request: Request, decoded: Decoded) -> int | None:
        """Steps 4 to 8: the first thing that is wrong decides."""
        if not request.mn:
            return Status.MISSING_MN_IDENTIFIER_OPTION
        if request.peer is None:
            return Status.MAG_NOT_AUTHORIZED_FOR_PROXY_REG
        profile = request.profile = self.config.directory.lookup(request.mn)
        realms = request.peer.config.realms
        if profile is not None and realms is not None and profile.realm not in realms:
            return Status.MAG_NOT_AUTHORIZED_FOR_PROXY_REG
        if profile is None:
            return Status.NOT_LMA_FOR_THIS_MOBILE_NODE
        if not profile.proxy_registration:
            return Status.PROXY_REG_NOT_ENABLED
        if decoded.faults and any(fault.reason == Reason.DUPLICATE_OPTION for fault in decoded.faults):
            return Status.REASON_UNSPECIFIED  # two GRE Key options: ours, after the steps that name the sender
        return None

    def _ordered(self, request: Request, now: float, utc: float) -> None:
        """Steps 9 to 13; a PBU that waited comes here again."""
        profile = request.profile
        assert profile is not None
        match = self._lookup(request, profile)
        disorder = self._disorder(request, match, utc)
        status = None
        if disorder is not None:
            status = disorder.status
        elif not request.home_prefixes and not request.ipv4_requests:
            status = Status.MISSING_HOME_NETWORK_PREFIX_OPTION
        elif request.indicator is None:
            status = Status.MISSING_HANDOFF_INDICATOR_OPTION
        elif request.technology is None:
            status = Status.MISSING_ACCESS_TECH_TYPE_OPTION
        else:
            status = match.status
        if status is not None:
            self._refuse(request, Refusal(status), disorder)
            return
        self._place(request, match, now, utc)

    def _lookup(self, request: Request, profile: Profile) -> Match:
        return lookup(self.cache, request, profile.realm, self._registrar.asked_ipv4(request, profile))

    def _disorder(self, request: Request, match: Match, utc: float) -> Disorder | None:
        """Step 9. The comparand is the mobile node's newest timestamp, or the entry's sequence number."""
        if request.timestamp is not None:
            last = self._stamps.get(request.mn, 0)
            for entry in self.cache.of(request.mn):
                if entry.session is not None and entry.session.timestamp > last:
                    last = entry.session.timestamp
            return check_timestamp(request, last, self.config, utc)
        if match.entry is not None and match.entry.session is not None:
            return check_sequence(request.update.sequence, match.entry.session.sequence)
        return None

    # --- where a PBU goes --------------------------------------------------------------------------------------------

    def _place(self, request: Request, match: Match, now: float, utc: float) -> None:
        """Step 13: wait, or register, or de-register."""
        entry = match.entry
        ending = request.update.lifetime == 0
        if entry is not None and entry.pending is not None:
            self._wait(entry, request)
        elif match.wait and entry is not None and self._park(request, entry, now):
            pass
        elif ending:
            self._deregister(request, None if match.wait else entry, now)
        elif match.wait and entry is not None and entry.session is not None and entry.session.phase is Phase.ACTIVE:
            self._register(request, None, now, utc)
        else:
            self._register(request, entry, now, utc)

    def _wait(self, entry: Entry, request: Request) -> None:
        """The table in this module's docstring."""
        request.order_checked = True
        waiting = entry.waiting = entry.waiting or []
        for index, other in enumerate(waiting):
            if other.source.address == request.source.address:
                waiting[index] = request
                self.received(request.update, request.source, request.destination, "waiting_superseding")
                return
        waiting.append(request)
        self.received(request.update, request.source, request.destination, "waiting")

    def _resume(self, entry: Entry, now: float, utc: float) -> None:
        """The change is settled: those who waited for it."""
        waiting, entry.waiting = entry.waiting, None
        for request in waiting or ():
            self._ordered(request, now, utc)

    def _park(self, request: Request, entry: Entry, now: float) -> bool:
        """RFC 5213 §5.4.1.2: wait for the de-registration, unless it has been or nobody wants to wait."""
        delay = self.config.max_delay_before_new_bce_assign
        assert entry.session is not None
        if request.update.lifetime == 0 or not delay or entry.session.phase is Phase.HELD:
            return False
        request.order_checked = True
        parked = self._parked.get(request.mn)
        if parked is not None:
            parked.request = request
        else:
            parked = self._parked[request.mn] = Parked(request, entry)
            self.timers.arm(parked, now + delay)
            if self.config.revoke_on_handoff:
                trigger = RevocationTrigger.INTER_MAG_HANDOVER_UNKNOWN
                self._indicate(entry.peer, entry.session, trigger, revocation.Purpose.RELEASE, now)
        self.received(request.update, request.source, request.destination, "waiting_for_deregistration")
        return True

    def _register(self, request: Request, entry: Entry | None, now: float, utc: float) -> None:
        profile, peer = request.profile, request.peer
        assert profile is not None
        assert peer is not None
        base = None if entry is None else entry.session
        number = self._new_session_id(self.cache.sessions) if base is None else base.session_id
        if number is None:
            self._refuse(request, Refusal(Status.INSUFFICIENT_RESOURCES))
            return
        proposal = self._registrar.propose(request, profile, peer, base, number, now, utc)
        if isinstance(proposal, Refusal):
            if base is None:
                self._free_session_id(number)
            self._refuse(request, proposal)
            return
        session, kind = proposal.session, proposal.kind
        if entry is None:
            entry = Entry(peer)
            self.cache.add(entry, session)
        else:
            self.cache.hold(entry, session)
        if proposal.counter is not None:
            self.counters[proposal.counter] += 1
        deadline = now + session.lifetime * LIFETIME_UNIT
        pending = Pending(0, kind, session, deadline, request, proposal.status, proposal.option, proposal.tlv)
        self._change(entry, pending)
        self.received(request.update, request.source, request.destination, _OUTCOME[kind])

    def _deregister(self, request: Request, entry: Entry | None, now: float) -> None:
        """RFC 5213 §5.3.5, and per family by RFC 5844 §3.1.2.6."""
        session = None if entry is None else entry.session
        if entry is None or session is None:
            self.received(request.update, request.source, request.destination, "ignored_unknown_session")
            return
        assert session.tunnel is not None
        if session.tunnel.peer != request.care_of:
            self.received(request.update, request.source, request.destination, "ignored_stale_deregistration")
            return
        proposal = self._registrar.ending(request, session)
        deadline = entry.deadline
        if session.phase is Phase.ACTIVE and proposal.phase is Phase.HELD:
            deadline = now + self.config.min_delay_before_bce_delete
        self._change(entry, Pending(0, Kind.DEREGISTRATION, proposal, deadline, request))
        self.received(request.update, request.source, request.destination, _OUTCOME[Kind.DEREGISTRATION])

    # --- changes -----------------------------------------------------------------------------------------------------

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
            self._keep_stamp(before, now, utc)
            self.counters["bindings_deleted"] += 1
            return
        if pending.request is not None and pending.request.peer is not None:
            entry.peer = pending.request.peer
        self._joined(entry, after, now)
        self.timers.arm(entry, pending.deadline)

    def _after(self, entry: Entry, now: float, utc: float) -> None:
        """What follows a change: a MAG that was left is told, a PBU that waited for this goes on."""
        session = entry.session
        assert session is not None
        parked = self._parked.get(session.mn)
        if parked is not None and parked.entry is entry and session.phase is Phase.HELD:
            del self._parked[session.mn]
            self.timers.disarm(parked)
            self._place(parked.request, Match(entry), now, utc)

    def _give_back(self, gone: Session, kept: Session | None, now: float) -> None:
        until = self._registrar.release(gone, kept, now)
        if until is not None:
            self._expire("key", str(gone.uplink_key), {}, until)

    # --- answers -----------------------------------------------------------------------------------------------------

    def _acknowledge(self, request: Request, pending: Pending, session: Session, peer: PeerState) -> None:
        answer = grant(
            request,
            session,
            pending.status,
            option=pending.option,
            tlv=pending.tlv,
            dhcp_server=self.config.dhcp_server,
            user_plane=request.user_plane_asked or self.config.domain_wide_lma_upa_support,
        )
        self._answer(request, answer, peer)

    def _refuse(self, request: Request, refused: Refusal, disorder: Disorder | None = None) -> None:
        self.received(request.update, request.source, request.destination, f"status_{int(refused.status)}")
        answer = refusal(
            request,
            refused.status,
            timestamp=None if disorder is None else disorder.timestamp,
            sequence=None if disorder is None else disorder.sequence,
            ipv4_status=refused.ipv4_status,
        )
        self._answer(request, answer, request.peer)

    def _answer(self, request: Request, answer: BindingAcknowledgement, peer: PeerState | None) -> None:
        """To where the PBU came from, whatever its Alternate Care-of Address (RFC 5213 §5.3.6)."""
        self.send(answer, request.destination, request.source, peer, request.care_of)

    # --- small things ------------------------------------------------------------------------------------------------

    def _stranger(self, source: Endpoint) -> PeerState:
        """A MAG that is not configured, where any may come; it is remembered once it has a session."""
        assert self.config.any_mag is not None
        config = replace(self.config.any_mag, address=source.address, port=source.port)
        return PeerState(config, self._local_of(source.address))

    def _enter(self, now: float, utc: float) -> None:
        super()._enter(now, utc)
        while self._old_stamps and self._old_stamps[0][0] <= now:
            _, mn, timestamp = self._old_stamps.popleft()
            if self._stamps.get(mn) == timestamp:
                del self._stamps[mn]

    def _keep_stamp(self, session: Session, now: float, utc: float) -> None:
        """A replayed PBU must not bring back a session that has just gone."""
        until = now + Timestamp(session.timestamp).to_utc() + self.config.timestamp_validity_window - utc
        if session.timestamp and until > now:
            self._remember_stamp(session.mn, session.timestamp, until)
            self._expire("stamp", session.mn.hex(), {"timestamp": session.timestamp}, until)

    def _remember_stamp(self, mn: bytes, timestamp: int, until: float) -> None:
        self._stamps[mn] = max(timestamp, self._stamps.get(mn, 0))
        self._old_stamps.append((until, mn, timestamp))

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

    def _joined(self, entry: Entry, session: Session, now: float) -> None:
        """One more session at a peer."""
        peer = entry.peer
        peer.local, peer.remote = session.path.local, session.path.peer
        peer.sessions += 1
        if peer.sessions == 1:
            self.peers.setdefault(peer.config.address, peer)
            heartbeat.start(self, peer, now)

    def peer_failed(self, peer: PeerState) -> None:
        """Bindings stay until their lifetime ends: the MAG may be back before (RFC 5847 §3.1)."""

    def peer_restarted(self, peer: PeerState, now: float) -> None:
        """The MAG knows none of its sessions any more: they are held, as if it had de-registered them."""
        for entry in [one for one in self.cache if one.peer is peer]:
            self._hold(entry, now)

    def _hold(self, entry: Entry, now: float) -> None:
        """As if the session had been de-registered."""
        session = entry.session
        if session is not None and session.phase is Phase.ACTIVE and entry.pending is None:
            deadline = now + self.config.min_delay_before_bce_delete
            self._change(entry, Pending(0, Kind.DEREGISTRATION, session._replace(phase=Phase.HELD), deadline))


_SAME_ACCESS = RevocationTrigger.INTER_MAG_HANDOVER_SAME_ACCESS_TYPE
_OTHER_ACCESS = RevocationTrigger.INTER_MAG_HANDOVER_DIFFERENT_ACCESS_TYPE
_OUTCOME = {kind: f"accepted_{kind.value}" for kind in Kind}
