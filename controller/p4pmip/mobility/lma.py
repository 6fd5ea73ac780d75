"""The local mobility anchor (RFC 5213 §5), with the GRE keys of draft-00 and RFC 5845.

How a PBU goes: `receive` decodes and authenticates it and runs the steps of §5.3.1 in their order; the lookup finds
its binding cache entry; the registrar proposes the session it leads to. The proposal is *pending*: it goes out as an
`Install`, and only `installed` makes it the entry's session and sends the PBA. `refused` drops the proposal with all
that was taken for it and answers 130, so that an existing session stays as it was.
"""

from p4pmip.mobility import revocation
from p4pmip.mobility.anchor_registration import AnchorRegistration, Parked
from p4pmip.mobility.binding import IPAddress, Phase, Role
from p4pmip.mobility.cache import Entry, Match
from p4pmip.mobility.dialects import Kind
from p4pmip.mobility.endpoint import Endpoint, Path
from p4pmip.mobility.peer import PeerState
from p4pmip.mobility.registrar import Refusal
from p4pmip.mobility.timers import Timed
from p4pmip.wire.message import (
    BindingRevocationIndication,
    BindingUpdate,
    Message,
)
from p4pmip.wire.mobility_header import Decoded
from p4pmip.wire.numbers import (
    BindingUpdateFlag,
    RevocationFlag,
    RevocationStatus,
    RevocationTrigger,
    Status,
)
from p4pmip.wire.options import MobileNodeIdentifier

_P = int(BindingUpdateFlag.P)
_SAME_ACCESS = RevocationTrigger.INTER_MAG_HANDOVER_SAME_ACCESS_TYPE
_OTHER_ACCESS = RevocationTrigger.INTER_MAG_HANDOVER_DIFFERENT_ACCESS_TYPE


class LocalMobilityAnchor(AnchorRegistration):
    """An LMA without I/O.

    Args:
        config: What it serves, and how.
        random: The source of keys and link-local addresses; default: the system's.
    """

    role = Role.LMA

    def _registration(
        self,
        message: Message,
        decoded: Decoded,
        peer: PeerState | None,
        source: Endpoint,
        destination: Endpoint,
        now: float,
        utc: float,
    ) -> bool:
        if not isinstance(message, BindingUpdate) or not int(message.flags) & _P:
            return False
        self._binding_update(message, decoded, peer, source, destination, now, utc)
        return True

    def _due(self, timed: Timed, now: float, utc: float) -> None:
        match timed:
            case Entry():
                self._end_of(timed)
            case Parked():
                del self._parked[timed.request.mn]
                self._place(timed.request, Match(), now, utc)

    # --- the end of a ticket ------------------------------------------------------------------------------------------

    def _installed(self, entry: Entry, now: float, utc: float) -> None:
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

    def _refused(self, entry: Entry, now: float, utc: float) -> None:
        """What was stays, and the PBU is answered with 130."""
        assert entry.pending is not None
        pending, before = entry.pending, entry.session
        if pending.proposal is None or pending.proposal.phase is Phase.HELD:
            # Nobody can refuse an end: the session goes, and what the switch still holds is for a reconcile to find.
            self._installed(entry, now, utc)
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

    def _session_id(self, entry: Entry) -> int:
        return entry.known.session_id

    def _after(self, entry: Entry, now: float, utc: float) -> None:
        """What follows a change: a MAG that was left is told, a PBU that waited for this goes on."""
        session = entry.session
        assert session is not None
        parked = self._parked.get(session.mn)
        if parked is not None and parked.entry is entry and session.phase is Phase.HELD:
            del self._parked[session.mn]
            self.timers.disarm(parked)
            self._place(parked.request, Match(entry), now, utc)

    # --- revocation (RFC 5846) ----------------------------------------------------------------------------------------

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

    def _revoked(
        self,
        message: BindingRevocationIndication,
        peer: PeerState,
        source: Endpoint,
        destination: Endpoint,
        now: float,  # noqa: ARG002
    ) -> None:
        """RFC 5846 §8.2: a MAG can only end everything it has here, and only if it may."""
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
