"""Proxy Binding Acknowledgements at a MAG: every status and what it means (RFC 5213 §6.9.1.2, draft-00 §4.2)."""

from p4pmip.mobility.binding import Gre, Phase
from p4pmip.mobility.dialects import Action, Memo, mag_decision
from p4pmip.mobility.gateway_registration import GatewayRegistration
from p4pmip.mobility.incoming import Incoming
from p4pmip.mobility.ordering import check_sequence, replay_skew
from p4pmip.mobility.peer import PeerState
from p4pmip.mobility.reply import Reply, parse
from p4pmip.mobility.update_list import NEVER, NOTHING, Denied, ListEntry, State
from p4pmip.wire import options as o
from p4pmip.wire.fault import Reason
from p4pmip.wire.message import BindingAcknowledgement
from p4pmip.wire.numbers import (
    LIFETIME_UNIT,
    Status,
)

_LATE = (Status.TIMESTAMP_LOWER_THAN_PREV_ACCEPTED, Status.SEQUENCE_NUMBER_OUT_OF_WINDOW)
_DENIED = {
    int(Status.PROXY_REG_NOT_ENABLED): Denied.SERVICE,
    int(Status.MIPV6_AUTH_FAIL): Denied.SERVICE,
    int(Status.NOT_AUTHORIZED_FOR_IPV4_MOBILITY_SERVICE): Denied.IPV4,
    int(Status.NOT_AUTHORIZED_FOR_IPV6_MOBILITY_SERVICE): Denied.IPV6,
}
"""Statuses after which something is not asked for again until an administrative action."""
_DENIALS = 65536
"""So many mobile nodes with a denial are remembered, whoever comes to an access link; then the oldest is forgotten."""
_MEMOS = 4096
"""So many memos of mobile nodes are kept before those that have run out are dropped."""


class GatewayAnswers(GatewayRegistration):
    """From a PBA to a binding, to another PBU, or to the end."""

    def _acknowledgement(self, message: BindingAcknowledgement, incoming: Incoming, now: float, utc: float) -> None:
        reply = parse(message)
        entry = self._match(reply, incoming.peer)
        if entry is None or entry.outstanding is None:
            self.received(incoming, "ignored_unmatched")
        elif not self.authentic(incoming, self._care_of(entry)):
            self.received(incoming, "ignored_not_authentic")
        elif any(fault.reason == Reason.DUPLICATE_OPTION for fault in incoming.decoded.faults):
            self.received(incoming, "ignored_duplicate_option")
        elif not reply.echoes(entry, entry.outstanding.indicator):
            # RFC 5213 §6.9.1.2: ignored, and not sent again until somebody has looked.
            self.received(incoming, "ignored_not_what_was_asked")
            self.alarm("pba_mismatch", str(incoming.source), entry.session_id)
            self._silence(entry, now)
        elif reply.replay != entry.outstanding.replay and message.status != Status.MIPV6_ID_MISMATCH:
            self.received(incoming, "ignored_other_replay_protection")
        else:
            self.received(incoming, f"status_{int(message.status)}")
            if entry.state is State.LEAVING:
                self._left(entry, reply, now, utc)
            elif entry.outstanding.released is not None:
                self._released_ipv4(entry, reply, now, utc)
            elif message.status < 128 and message.lifetime:
                self._accepted(entry, reply, now, utc)
            else:
                self._rejected(entry, reply, now, utc)

    def _match(self, reply: Reply, peer: PeerState | None) -> ListEntry | None:
        """RFC 5213 §6.9.1.2: by MN-Identifier and sequence number.

        A 135 carries the last accepted number instead (RFC 6275 §9.5.1). Where ours is newer than that, it is about an
        earlier PBU, or about a second copy of one.
        """
        waiting = [one for one in self._by_mn.get(reply.mn, ()) if one.outstanding is not None and one.peer is peer]
        for entry in waiting:
            if entry.outstanding is not None and entry.outstanding.sequence == reply.message.sequence:
                return entry
        if reply.message.status != Status.SEQUENCE_NUMBER_OUT_OF_WINDOW or len(waiting) != 1:
            return None
        (entry,) = waiting
        assert entry.outstanding is not None
        ours = entry.outstanding.sequence
        return None if ours == NEVER or check_sequence(ours, reply.message.sequence) is None else entry

    def _silence(self, entry: ListEntry, now: float) -> None:
        """Send the PBU no more; a binding that there is ends with its lifetime."""
        assert entry.outstanding is not None
        match entry.state:
            case State.BOUND:
                self._deny(entry, Denied.SERVICE)
                entry.outstanding.silenced = True
                self.timers.arm(entry, entry.expires)
            case State.LEAVING:
                self._remove(entry, now)
            case _:
                self._deny(entry, Denied.SERVICE)
                self._stop(entry)

    def _left(self, entry: ListEntry, reply: Reply, now: float, utc: float) -> None:
        """The answer to a de-registration; its GRE option says nothing."""
        outstanding = entry.outstanding
        assert outstanding is not None
        in_vain = reply.message.status in _LATE and outstanding.corrected
        if in_vain or not self._sent_again(entry, reply, now, utc):
            self._remove(entry, now)

    def _released_ipv4(self, entry: ListEntry, reply: Reply, now: float, utc: float) -> None:
        """The answer to the de-registration of the IPv4 home address alone: the binding goes on without it."""
        if self._sent_again(entry, reply, now, utc):
            return
        entry.outstanding = None
        self.timers.arm(entry, max(now, entry.refresh_at))
        if not entry.released:  # it is wanted again already
            self._refresh(entry, now, utc)

    def _sent_again(self, entry: ListEntry, reply: Reply, now: float, utc: float) -> bool:
        """Whether a PBU was refused for what time mends: it is sent again, at once if that helps, or by its timer."""
        outstanding, peer = entry.outstanding, entry.peer
        assert outstanding is not None
        once = not outstanding.corrected
        match reply.message.status:
            case Status.MIPV6_ID_MISMATCH if once and reply.replay is not None:
                peer.replay_skew = replay_skew(reply.replay, utc)
                self._transmit_newer(entry, reply, now, utc)
            case status if status in _LATE and once:
                self._transmit_newer(entry, reply, now, utc)
            case Status.TIMESTAMP_MISMATCH | Status.MIPV6_ID_MISMATCH:
                # Only once both clocks are right again; ours is not set by the LMA's stamp.
                skew = "" if reply.timestamp is None else f"{o.Timestamp(reply.timestamp).to_utc() - utc:+.3f} s"
                self.alarm("clock_skew", f"LMA {peer.config.address} {skew}".rstrip(), entry.session_id)
                outstanding.sequence = NEVER
            case status if status in (*_LATE, Status.INSUFFICIENT_RESOURCES):
                outstanding.sequence = NEVER  # the retransmission timer goes on, with a fresh stamp
            case _:
                return False
        return True

    def _transmit_newer(self, entry: ListEntry, reply: Reply, now: float, utc: float) -> None:
        """Once more, newer than what the LMA has seen."""
        assert entry.outstanding is not None
        entry.sequence = reply.message.sequence
        entry.outstanding.corrected = True
        self._transmit(entry, entry.outstanding, now, utc)

    def _accepted(self, entry: ListEntry, reply: Reply, now: float, utc: float) -> None:
        outstanding, peer = entry.outstanding, entry.peer
        assert outstanding is not None
        entry.outstanding = None
        decision = mag_decision(
            peer.config.dialect, outstanding.option, reply.answer(peer.config.codepoints), reply.gre, entry.held
        )
        if decision.counter is not None:
            self.counters[decision.counter] += 1
        if decision.memo is not None:
            self._remember(entry, decision.memo, now)
        gre, uplink = self._outcome(entry, decision.action, reply)
        tlv = outstanding.tlv and reply.tlv
        if gre is Gre.PLAIN:
            tlv = reply.forced_udp
        elif decision.action in (Action.KEEP, Action.UPDATE) and entry.wanted is not None and entry.wanted.tunnel:
            tlv = entry.wanted.tunnel.udp  # RFC 5845 §7.2: the format stays while the mobile node does
        if reply.user_plane is not None:
            peer.user_plane = reply.user_plane
        far = reply.user_plane or peer.config.tunnel or peer.config.address
        tunnel = self._tunnel_to(entry, far, tlv)
        ipv6, ipv4 = self._families(entry)
        entry.prefixes = reply.prefixes if ipv6 else ()
        entry.ipv4 = reply.ipv4 if ipv4 else None
        entry.ipv4_router = reply.ipv4_router
        entry.dhcp_server = reply.dhcp_server
        entry.state = State.BOUND
        if gre is None or not self._policy(entry).allows(gre):
            self._give_up(entry, "gre_policy", now, utc)
        elif tunnel is None or (peer.config.udp_required and not tlv):
            self._give_up(entry, "tunnel_policy", now, utc)
        elif not entry.prefixes and entry.ipv4 is None:
            self._give_up(entry, "no_address", now, utc)
        else:
            if reply.message.status == Status.GRE_TUNNELING_BUT_TLV_HEADER_NOT_SUPPORTED and not outstanding.tlv:
                self.counters["unexpected_status"] += 1
            lifetime = reply.message.lifetime
            entry.expires = now + lifetime * LIFETIME_UNIT
            fraction = self.config.refresh_fraction - self.random.random() * self.config.refresh_jitter
            entry.refresh_at = now + lifetime * LIFETIME_UNIT * fraction
            self.timers.arm(entry, entry.refresh_at)
            link_local = reply.link_local or (None if entry.wanted is None else entry.wanted.link_local)
            self._want(
                entry, self._session(entry, Phase.ACTIVE, tunnel, gre, uplink, lifetime, utc, link_local=link_local)
            )

    def _outcome(self, entry: ListEntry, action: Action, reply: Reply) -> tuple[Gre | None, int | None]:
        """What the binding has of GRE, and its uplink key; None: it must not be."""
        known = entry.wanted
        uplink = None if known is None else known.uplink_key
        match action:
            case Action.KEYED:
                return Gre.KEYED, reply.key
            case Action.UPDATE:
                return Gre.KEYED, reply.key
            case Action.MODE:
                return Gre.MODE, None
            case Action.PLAIN:
                return Gre.PLAIN, None
            case Action.KEEP:
                return entry.held, uplink
            case _:
                return None, None

    def _give_up(self, entry: ListEntry, name: str, now: float, utc: float) -> None:
        """A binding that was granted and cannot be used: never forward plain what must not be (draft-00 §5.2)."""
        self.alarm(name, f"LMA {entry.peer.config.address}, realm {entry.profile.realm}", entry.session_id)
        self._leave(entry, now, utc)

    def _remember(self, entry: ListEntry, memo: Memo, now: float) -> None:
        until = now + self.config.capability_memo
        match memo:
            case Memo.SESSION:
                entry.never_option = True
            case Memo.LMA:
                entry.peer.lacks_gre_until = until
            case Memo.MOBILE_NODE:
                if len(self._without) >= _MEMOS:
                    self._without = {key: end for key, end in self._without.items() if end > now}
                self._without[entry.mn, entry.peer.config.address] = until

    # --- refusals (RFC 5213 §6.9.1.2, draft-00 §4.2) ------------------------------------------------------------------

    def _rejected(self, entry: ListEntry, reply: Reply, now: float, utc: float) -> None:
        outstanding, peer = entry.outstanding, entry.peer
        assert outstanding is not None
        decision = mag_decision(
            peer.config.dialect, outstanding.option, reply.answer(peer.config.codepoints), reply.gre, entry.held
        )
        if decision.memo is not None:
            self._remember(entry, decision.memo, now)
        once = not outstanding.corrected
        match decision.action:
            case Action.RESEND_WITH if once and self.config.gre_supported:
                entry.always_option = True
                self._again(entry, now, utc)
                return
            case Action.RESEND_WITHOUT if once and self._policy(entry).allows(Gre.PLAIN):
                self._again(entry, now, utc)
                return
            case Action.RESEND_WITH | Action.RESEND_WITHOUT | Action.ALARM:
                self.alarm("possible_misconfiguration", f"status {int(reply.message.status)}", entry.session_id)
                self._stop(entry)
                return
            case _:
                pass
        if self._sent_again(entry, reply, now, utc):
            return
        match reply.message.status:
            case (
                Status.NOT_AUTHORIZED_FOR_HOME_NETWORK_PREFIX
                | Status.BCE_PBU_PREFIX_SET_DO_NOT_MATCH
                | Status.NOT_AUTHORIZED_FOR_IPV4_HOME_ADDRESS
            ) if once and (entry.prefixes or entry.ipv4 is not None):
                self._withdraw(entry)
                self._want(entry, None)
                entry.state = State.REGISTERING
                entry.prefixes, entry.ipv4 = (), None
                self._again(entry, now, utc)
            case status:
                denied = _DENIED.get(int(status), NOTHING)
                if denied:
                    self._deny(entry, denied)
                self.alarm("registration_refused", f"status {int(status)}", entry.session_id)
                if denied and not denied & Denied.SERVICE and any(self._families(entry)):
                    self._forget_addresses(entry, denied)
                    self._again(entry, now, utc)
                else:
                    self._stop(entry)

    def _deny(self, entry: ListEntry, denied: Denied) -> None:
        """Not to be asked for again until an administrative action."""
        key = entry.mn, entry.peer.config.address
        self._denied[key] = self._denied.pop(key, NOTHING) | denied
        if len(self._denied) > _DENIALS:
            del self._denied[next(iter(self._denied))]

    def _forget_addresses(self, entry: ListEntry, denied: Denied) -> None:
        """The mobile node may not have a family: what there is goes on without it."""
        if denied & Denied.IPV4:
            entry.ipv4 = entry.ipv4_router = None
        if denied & Denied.IPV6:
            entry.prefixes = ()
        if entry.wanted is not None and entry.state is State.BOUND:
            left = entry.wanted._replace(ipv4=entry.ipv4, ipv4_router=entry.ipv4_router, prefixes=entry.prefixes)
            self._want(entry, left)

    def _again(self, entry: ListEntry, now: float, utc: float) -> None:
        """The refused PBU once more, with what the refusal taught; same handoff indicator."""
        outstanding = entry.outstanding
        assert outstanding is not None
        self._register(entry, outstanding.indicator, now, utc, corrected=True)
