"""Proxy Binding Updates at an LMA: the steps of RFC 5213 §5.3.1 in their order, and where a PBU goes.

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

from random import Random

from p4pmip.mobility import revocation
from p4pmip.mobility.anchor_cache import AnchorCache
from p4pmip.mobility.binding import IPAddress, Phase
from p4pmip.mobility.cache import Entry, Match, Pending, lookup
from p4pmip.mobility.config import LmaConfig, Profile
from p4pmip.mobility.dialects import Kind
from p4pmip.mobility.incoming import Incoming
from p4pmip.mobility.ordering import Disorder, check_replay, check_sequence, check_timestamp
from p4pmip.mobility.registrar import Refusal
from p4pmip.mobility.request import Request, parse
from p4pmip.mobility.timers import Timed
from p4pmip.wire.fault import Reason
from p4pmip.wire.message import BindingUpdate
from p4pmip.wire.numbers import LIFETIME_UNIT, RevocationTrigger, Status

OUTCOME = {kind: f"accepted_{kind.value}" for kind in Kind}
"""What is counted of a PBU that was accepted."""


class Parked(Timed):
    """A PBU with HI = 4 that waits for the de-registration of its mobile node's one entry (RFC 5213 §5.4.1.2)."""

    __slots__ = ("entry", "request")

    def __init__(self, request: Request, entry: Entry) -> None:
        super().__init__()
        self.request = request
        self.entry = entry


def _routable(address: IPAddress) -> bool:
    """Whether an address can be one node's in a routed network (RFC 6275 §6.1.7)."""
    return not (address.is_multicast or address.is_unspecified or address.is_loopback or address.is_link_local)


class AnchorRegistration(AnchorCache):
    """From a PBU to a change of the binding cache, or to a refusal."""

    def __init__(self, config: LmaConfig, random: Random | None = None) -> None:
        super().__init__(config, random)
        self._parked: dict[bytes, Parked] = {}

    def _binding_update(self, update: BindingUpdate, incoming: Incoming, now: float, utc: float) -> None:
        if incoming.peer is None and self.config.any_mag is not None:
            incoming = incoming._replace(peer=self._stranger(incoming.source))
        request = parse(update, incoming)
        if incoming.peer is not None:
            authentic = self.authentic(incoming, request.care_of)
            if authentic is None:
                self.received(incoming, "ignored_not_authentic")
                return
            if not authentic:
                self._refuse(request, Refusal(Status.MIPV6_AUTH_FAIL))
                return
        if request.care_of is not incoming.source.address and not _routable(request.care_of):
            self.received(incoming, "ignored_bad_care_of_address")
            return
        status = self._check(request)
        if status is not None:
            self._refuse(request, Refusal(status))
            return
        self._ordered(request, now, utc)

    def _check(self, request: Request) -> int | None:
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
        faults = request.incoming.decoded.faults
        if faults and any(fault.reason == Reason.DUPLICATE_OPTION for fault in faults):
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
        refused = None if status is None else Refusal(status)
        if refused is None and request.update.lifetime:
            refused = self._registrar.entitled(request, profile)
        if refused is None and match.status is not None:
            refused = Refusal(match.status)
        if refused is not None:
            self._refuse(request, refused, disorder)
            return
        self._place(request, match, now, utc)

    def _lookup(self, request: Request, profile: Profile) -> Match:
        return lookup(self.cache, request, profile.realm, self._registrar.asked_ipv4(request, profile))

    def _disorder(self, request: Request, match: Match, utc: float) -> Disorder | None:
        """Step 9. The comparand is the mobile node's newest timestamp, or the entry's sequence number."""
        assert request.peer is not None
        last, replay = self._stamps.get(request.mn, (0, 0))
        for entry in self.cache.of(request.mn):
            if entry.session is not None:
                last, replay = max(last, entry.session.timestamp), max(replay, entry.session.replay)
        peer = request.peer.config
        if peer.replay_protection:
            disorder = check_replay(request, replay, peer.replay_window, utc)
            if disorder is not None:
                return disorder
        if request.timestamp is not None:
            return check_timestamp(request, last, self.config, utc)
        if match.entry is not None and match.entry.session is not None:
            return check_sequence(request.update.sequence, match.entry.session.sequence)
        return None

    # --- where a PBU goes ---------------------------------------------------------------------------------------------

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
            if other.incoming.source.address == request.incoming.source.address:
                waiting[index] = request
                self.received(request.incoming, "waiting_superseding")
                return
        waiting.append(request)
        self.received(request.incoming, "waiting")

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
        parked = self._parked.get(request.mn)
        if parked is not None:
            parked.request, parked.entry = request, entry
        else:
            parked = self._parked[request.mn] = Parked(request, entry)
            self.timers.arm(parked, now + delay)
            if self.config.revoke_on_handoff:
                trigger = RevocationTrigger.INTER_MAG_HANDOVER_UNKNOWN
                self._indicate(entry.peer, entry.session, trigger, revocation.Purpose.RELEASE, now)
        self.received(request.incoming, "waiting_for_deregistration")
        return True

    def _register(self, request: Request, entry: Entry | None, now: float, utc: float) -> None:
        profile, peer = request.profile, request.peer
        assert profile is not None
        assert peer is not None
        base = None if entry is None else entry.session
        number = self.session_ids.take() if base is None else base.session_id
        if number is None:
            self._refuse(request, Refusal(Status.INSUFFICIENT_RESOURCES))
            return
        proposal = self._registrar.propose(request, profile, peer, base, number, now, utc)
        if isinstance(proposal, Refusal):
            if base is None:
                self.session_ids.give_back(number)
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
        self.received(request.incoming, OUTCOME[kind])

    def _deregister(self, request: Request, entry: Entry | None, now: float) -> None:
        """RFC 5213 §5.3.5, and per family by RFC 5844 §3.1.2.6."""
        session = None if entry is None else entry.session
        if entry is None or session is None:
            self.received(request.incoming, "ignored_unknown_session")
            return
        assert session.tunnel is not None
        revocation.make_moot(self, request.peer, session.session_id)
        if session.tunnel.peer != request.care_of:
            self.received(request.incoming, "ignored_stale_deregistration")
            return
        proposal = self._registrar.ending(request, session)
        deadline = entry.deadline
        if session.phase is Phase.ACTIVE and proposal.phase is Phase.HELD:
            deadline = now + self.config.min_delay_before_bce_delete
        self._change(entry, Pending(0, Kind.DEREGISTRATION, proposal, deadline, request))
        self.received(request.incoming, OUTCOME[Kind.DEREGISTRATION])
