"""The local mobility anchor (RFC 5213 §5), with the GRE keys of draft-00 and RFC 5845.

How a PBU goes: `receive` decodes and authenticates it and runs the steps of §5.3.1 in their order; the lookup finds
its binding cache entry; the registrar proposes the session it leads to. The proposal is *pending*: it goes out as an
`Install`, and only `installed` makes it the entry's session and sends the PBA. `refused` drops the proposal with all
that was taken for it and answers 130, so that an existing session stays as it was.
"""

from p4pmip.mobility import revocation
from p4pmip.mobility.anchor_registration import OUTCOME, AnchorRegistration, Parked
from p4pmip.mobility.binding import IPAddress, Phase, Role
from p4pmip.mobility.cache import Entry, Match, Pending
from p4pmip.mobility.dialects import Kind
from p4pmip.mobility.endpoint import Path
from p4pmip.mobility.incoming import Incoming
from p4pmip.mobility.peer import PeerState
from p4pmip.mobility.registrar import Refusal
from p4pmip.mobility.request import Request
from p4pmip.mobility.session import Session
from p4pmip.mobility.timers import Timed
from p4pmip.wire.message import BindingRevocationIndication, BindingUpdate
from p4pmip.wire.numbers import (
    BindingUpdateFlag,
    RevocationFlag,
    RevocationStatus,
    RevocationTrigger,
    Status,
)
from p4pmip.wire.options import MobileNodeIdentifier, Option

_P = int(BindingUpdateFlag.P)
_HAS_LEFT = (*range(128), RevocationStatus.BINDING_DOES_NOT_EXIST)
"""Answers of a MAG that does not, or no longer, serve the mobile node."""
_SAME_ACCESS = RevocationTrigger.INTER_MAG_HANDOVER_SAME_ACCESS_TYPE
_OTHER_ACCESS = RevocationTrigger.INTER_MAG_HANDOVER_DIFFERENT_ACCESS_TYPE


class LocalMobilityAnchor(AnchorRegistration):
    """An LMA without I/O.

    Args:
        config: What it serves, and how.
        random: The source of keys and link-local addresses; default: the system's.
    """

    role = Role.LMA

    def _registration(self, incoming: Incoming, now: float, utc: float) -> bool:
        update = incoming.message
        if not isinstance(update, BindingUpdate) or not int(update.flags) & _P:
            return False
        self._binding_update(update, incoming, now, utc)
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
            self._acknowledge(request, pending, pending.proposal)
        if pending.proposal is not None:
            if pending.kind is Kind.HANDOFF and before is not None and before.phase is Phase.ACTIVE:
                self._left_behind(entry, before, pending.proposal, now)
            self._after(entry, now, utc)
            if pending.kind is Kind.HANDOFF and (pending.doomed or pending.ipv4_doomed):
                # Another MAG has it now, which nobody has told.
                purpose = revocation.Purpose.END if pending.doomed else revocation.Purpose.IPV4
                self._revoke(entry, RevocationTrigger.ADMINISTRATIVE_REASON, purpose, now)
            else:
                self._overdue(entry, pending)
        self._resume(entry, now, utc)

    def _left_behind(self, entry: Entry, before: Session, after: Session, now: float) -> None:
        """A handoff has taken a session from a MAG: what that has to hear (RFC 5846 §8.1).

        Its de-registration came while the handoff was pending, and so while the entry was its own: it is accepted,
        and there is nothing left to revoke.
        """
        for request in entry.waiting or ():
            if self._ends(request, before):
                assert entry.waiting is not None
                assert request.peer is not None
                entry.waiting.remove(request)
                self.received(request.incoming, OUTCOME[Kind.DEREGISTRATION])
                self._acknowledge(request, Pending(0, Kind.DEREGISTRATION, None, 0.0), before)
                return
        if self.config.revoke_on_handoff:
            trigger = _SAME_ACCESS if before.technology == after.technology else _OTHER_ACCESS
            peer = self.peers.get(before.path.peer.address)
            self._indicate(peer, before, trigger, revocation.Purpose.INFORM, now)

    def _ends(self, request: Request, session: Session) -> bool:
        """Whether a PBU is the de-registration of a whole session by its MAG."""
        mine = session.tunnel is not None and request.care_of == session.tunnel.peer
        return mine and not request.update.lifetime and self._registrar.ending(request, session).phase is Phase.HELD

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
            self.session_ids.give_back(pending.proposal.session_id)
        if pending.request is not None:
            self._refuse(pending.request, Refusal(Status.INSUFFICIENT_RESOURCES))
        if before is not None:
            pending.doomed |= pending.lapsed
            self._overdue(entry, pending)
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

    def revoke(
        self,
        mn: bytes,
        now: float,
        trigger: int = RevocationTrigger.ADMINISTRATIVE_REASON,
        *,
        ipv4_only: bool = False,
    ) -> int:
        """End the sessions of a mobile node and tell their MAGs; answers how many there were.

        A session ends when its MAG has acknowledged, or has not in time; at once if it does not know revocation.

        Args:
            mn: MN-Identifier.
            now: Monotonic seconds.
            trigger: Why, one of the triggers per mobile node.
            ipv4_only: End only the IPv4 home address of sessions that have prefixes too (V).
        """
        entries = [entry for entry in self.cache.of(mn) if entry.session is not None]
        for entry in entries:
            session = entry.session
            assert session is not None
            if ipv4_only and session.prefixes:
                if session.ipv4 is None:
                    continue
                purpose = revocation.Purpose.IPV4
            else:
                purpose = revocation.Purpose.END
            self._revoke(entry, trigger, purpose, now)
        return len(entries)

    def revoke_unknown(self, now: float) -> None:
        """Mobile nodes that another configuration does not have any more are served no longer."""
        for mn in {one.known.mn for one in self.cache if self.config.directory.lookup(one.known.mn) is None}:
            self.revoke(mn, now)

    def _revoke(self, entry: Entry, trigger: int, purpose: revocation.Purpose, now: float) -> None:
        """Tell the MAG that has a session, and end it when that has answered; at once if it cannot be told."""
        session = entry.session
        assert session is not None
        told = session.phase is not Phase.HELD and self._indicate(
            entry.peer, session, trigger, purpose, now, purpose is revocation.Purpose.IPV4
        )
        if not told:
            self._revocation_done(entry, purpose)

    def revoke_peer(self, address: IPAddress, now: float) -> int:
        """End all sessions with a MAG by one indication; answers how many there are."""
        return self._revoke_globally(address, RevocationTrigger.PER_PEER_POLICY, (), revocation.Purpose.PEER, now)

    def revoke_realm(self, address: IPAddress, domain: bytes, now: float) -> int:
        """End all sessions with a MAG whose NAI ends in `@domain` by one indication (RFC 5846 §8.1)."""
        who = (MobileNodeIdentifier.nai(b"@" + domain),)
        trigger = RevocationTrigger.REVOKING_MOBILITY_NODE_LOCAL_POLICY
        return self._revoke_globally(address, trigger, who, revocation.Purpose.DOMAIN, now)

    def _revoke_globally(
        self, address: IPAddress, trigger: int, who: tuple[Option, ...], purpose: revocation.Purpose, now: float
    ) -> int:
        peer = self.peers.get(address)
        if peer is None or peer.local is None:
            return 0
        flags = RevocationFlag.P | RevocationFlag.G
        path = Path(peer.local, peer.remote)
        revocation.indicate(self, peer, path, trigger, who, purpose, None, now, flags)
        named = revocation.named(who)
        return sum(1 for one in self.cache if one.peer is peer and revocation.in_domain(named.mn, one.known.mn))

    def revocation_over(self, done: revocation.Revocation, status: int | None, now: float) -> None:
        """An indication was answered, or given up."""
        entry = None if done.session_id is None else self.cache.sessions.get(done.session_id)
        match done.purpose:
            case revocation.Purpose.END | revocation.Purpose.IPV4 if entry is not None and entry.session is not None:
                if entry.peer is done.peer:
                    self._revocation_done(entry, done.purpose)
                else:  # it has gone on to another MAG, which is to hear it too
                    self._revoke(entry, done.message.trigger, done.purpose, now)
            case revocation.Purpose.RELEASE if entry is not None and status in _HAS_LEFT:
                self._hold(entry, now)
            case revocation.Purpose.PEER | revocation.Purpose.DOMAIN if status is None or status < 128:
                domain = revocation.named(done.message.options).mn
                for one in list(self.cache):
                    if one.peer is done.peer and revocation.in_domain(domain, one.known.mn):
                        self._left_by(one, done.peer)
            case revocation.Purpose.PEER | revocation.Purpose.DOMAIN:
                self.alarm("revocation_refused", f"MAG {done.peer.config.address}: status {status}")
            case _:
                pass

    def _revocation_done(self, entry: Entry, purpose: revocation.Purpose) -> None:
        if purpose is revocation.Purpose.IPV4:
            self.release_ipv4(entry)
        else:
            self.delete(entry)

    def _revoked(
        self,
        message: BindingRevocationIndication,
        incoming: Incoming,
        peer: PeerState,
        now: float,  # noqa: ARG002
    ) -> None:
        """RFC 5846 §8.2: a MAG ends sessions of its own, or all that it has here."""
        named = revocation.named(message.options)
        whole = bool(message.flags & RevocationFlag.G)
        entries = [entry for entry in (self.cache if whole else self.cache.of(named.mn or b"")) if entry.peer is peer]
        if whole and named.care_of is not None:
            entries = [entry for entry in entries if entry.known.tunnel and entry.known.tunnel.peer == named.care_of]
        elif not whole:
            entries = [entry for entry in entries if named.fits(entry.known.prefixes, entry.known.ipv4)]
        status = self._revocation_status(message, peer, named, entries)
        revocation.answer(self, message, incoming, status)
        if status is not RevocationStatus.SUCCESS:
            return
        for entry in entries:
            if not message.flags & RevocationFlag.V or not entry.known.prefixes:
                self._left_by(entry, peer)
            elif not _leaves(entry, peer):
                self.release_ipv4(entry)

    def _left_by(self, entry: Entry, peer: PeerState) -> None:
        """A MAG has given a session up, which goes; unless it is on its way to another MAG, and gets there."""
        if _leaves(entry, peer):
            assert entry.pending is not None
            entry.pending.lapsed = True
        else:
            self.delete(entry)

    def _revocation_status(
        self, message: BindingRevocationIndication, peer: PeerState, named: revocation.Named, entries: list[Entry]
    ) -> RevocationStatus:
        if not message.flags & RevocationFlag.P:
            return RevocationStatus.BINDING_DOES_NOT_EXIST  # every binding here is a proxy one
        if (misused := revocation.misused(message)) is not None:
            return misused
        if message.flags & RevocationFlag.G:
            if message.trigger != RevocationTrigger.PER_PEER_POLICY:
                return RevocationStatus.REVOCATION_FUNCTION_NOT_SUPPORTED
            if not peer.config.global_revocation or named.mn is None:
                return RevocationStatus.GLOBAL_REVOCATION_NOT_AUTHORIZED
        elif named.mn is None:
            return RevocationStatus.REVOKED_MOBILE_NODES_IDENTITY_REQUIRED
        elif message.flags & RevocationFlag.V and not named.ipv4:
            return RevocationStatus.IPV4_HOME_ADDRESS_OPTION_REQUIRED
        return RevocationStatus.SUCCESS if entries else RevocationStatus.BINDING_DOES_NOT_EXIST


def _leaves(entry: Entry, peer: PeerState) -> bool:
    """Whether a handoff from a MAG to another is pending."""
    pending = entry.pending
    if pending is None or pending.kind is not Kind.HANDOFF or pending.request is None:
        return False
    return pending.request.peer is not peer
