"""The mobile access gateway (RFC 5213 §6), with the GRE keys of draft-00 and RFC 5845.

How an attachment goes: `attach` sends a PBU and, if the LMA's tunnel end point is known, asks the switch to receive
under the downlink key it proposes (phase PROPOSED). The PBA decides about GRE by the dialect's table; what comes out
goes to switch and journal, and when they have it the mobile node is served (`Advertise`). A switch that refuses then
ends the binding at the LMA: nothing is advertised that cannot be forwarded.
"""

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Network

from p4pmip.mobility import heartbeat, revocation
from p4pmip.mobility.binding import AccessLink, Gre, IPAddress, Phase, Role
from p4pmip.mobility.endpoint import Path
from p4pmip.mobility.gateway_answers import GatewayAnswers
from p4pmip.mobility.gateway_list import counts
from p4pmip.mobility.incoming import Incoming
from p4pmip.mobility.peer import PeerState
from p4pmip.mobility.session import Session, pack
from p4pmip.mobility.timers import Timed
from p4pmip.mobility.update_list import NOTHING, Denied, ListEntry, State
from p4pmip.wire import options as o
from p4pmip.wire.message import BindingAcknowledgement, BindingRevocationIndication
from p4pmip.wire.numbers import (
    LIFETIME_UNIT,
    BindingAcknowledgementFlag,
    HandoffIndicator,
    RevocationFlag,
    RevocationStatus,
    RevocationTrigger,
)

_P = int(BindingAcknowledgementFlag.P)
_DEREGISTRATION_TRIES = 3
_HANDOVER = (
    RevocationTrigger.INTER_MAG_HANDOVER_SAME_ACCESS_TYPE,
    RevocationTrigger.INTER_MAG_HANDOVER_DIFFERENT_ACCESS_TYPE,
)
_RENEWALS_PER_SECOND = 500.0


class MobileAccessGateway(GatewayAnswers):
    """A MAG without I/O.

    Args:
        config: What it serves, and how.
        random: The source of keys and jitter; default: the system's.
    """

    role = Role.MAG

    # --- the world's inputs -------------------------------------------------------------------------------------------

    def attach(
        self,
        mn: bytes,
        access: AccessLink,
        now: float,
        utc: float,
        *,
        indicator: int = HandoffIndicator.HANDOFF_STATE_UNKNOWN,
        technology: int | None = None,
        hint: Gre | None = None,
        prefixes: Iterable[IPv6Network] = (),
        ipv4: IPv4Address | None = None,
    ) -> int | None:
        """A mobile node is on the access link; answers its session id, None if it cannot be served.

        Args:
            mn: MN-Identifier.
            access: Where it is; its link-layer address tells its interfaces apart.
            now: Monotonic seconds.
            utc: Seconds since 1970.
            indicator: Handoff indicator: 1 for a new interface, 2 or 3 only if that is certain (RFC 5213 §6.9.1.1).
            technology: Access technology type; None: the profile's.
            hint: That GRE, or GRE with keys, is required, from the handoff process (draft-00 §3.3.2).
            prefixes: Home network prefixes, where a context transfer told them.
            ipv4: IPv4 home address, likewise.
        """
        self._enter(now, utc)
        entry = self._list.get((mn, access.mac))
        if entry is not None and entry.state is not State.STOPPED:
            return self._attach_again(entry, access, now, utc)
        if entry is not None:
            self._remove(entry, now)
        profile = self.config.directory.lookup(mn)
        if profile is None or not profile.proxy_registration:
            self.counters["attach_denied"] += 1
            return None
        address = profile.lma or self.config.lma
        peer = None if address is None else self.peers.get(address)
        if peer is None or peer.local is None:
            self.alarm("no_lma", f"{address} for a mobile node of realm {profile.realm}")
            return None
        if self._denied.get((mn, peer.config.address), NOTHING) & Denied.SERVICE:
            self.counters["attach_denied"] += 1
            return None
        number = self.session_ids.take()
        if number is None:
            self.alarm("session_ids_exhausted", f"{len(self._by_session)} in use")
            return None
        entry = ListEntry(mn, access, profile, peer, number)
        entry.indicator = indicator
        entry.technology = profile.technology if technology is None else technology
        entry.hint = hint
        entry.prefixes = tuple(pack(int(one.network_address), one.prefixlen) for one in (*prefixes,))
        entry.ipv4 = None if ipv4 is None else pack(int(ipv4), 32)
        entry.granularity = self.config.realms[profile.realm].granularity
        entry.sequence = self.random.getrandbits(16)  # so that no answer to an earlier life of it fits by chance
        self._add(entry)
        self._register(entry, indicator, now, utc)
        return number if number in self._by_session else None

    def detach(self, mn: bytes, now: float, utc: float, mac: bytes | None = None, link: int | None = None) -> None:
        """A mobile node has left: de-register (RFC 5213 §6.9.1.4).

        Args:
            mn: MN-Identifier.
            now: Monotonic seconds.
            utc: Seconds since 1970.
            mac: Only its interface of this link-layer address; None: every one.
            link: Only if it was on this access link: it may be on another by now.
        """
        self._enter(now, utc)
        for entry in list(self._by_mn.get(mn, ())):
            if mac in (None, entry.access.mac) and link in (None, entry.access.link):
                self._detach(entry, now, utc)

    def link_down(self, link: int, now: float, utc: float) -> None:
        """An access link went down: everybody on it has left, those too that are only being registered."""
        self._enter(now, utc)
        for entry in [one for one in self._list.values() if one.access.link == link]:
            self._detach(entry, now, utc)

    def detach_unknown(self, now: float, utc: float) -> None:
        """Mobile nodes that another configuration does not have any more have left."""
        self._enter(now, utc)
        for entry in [one for one in self._list.values() if self.config.directory.lookup(one.mn) is None]:
            self._detach(entry, now, utc)

    def _detach(self, entry: ListEntry, now: float, utc: float) -> None:
        if entry.state is State.STOPPED:
            self._remove(entry, now)
        elif entry.state is not State.LEAVING:
            self._leave(entry, now, utc)

    def _registration(self, incoming: Incoming, now: float, utc: float) -> bool:
        acknowledgement = incoming.message
        if not isinstance(acknowledgement, BindingAcknowledgement) or not int(acknowledgement.flags) & _P:
            return False
        self._acknowledgement(acknowledgement, incoming, now, utc)
        return True

    def _installed(self, entry: ListEntry, now: float, utc: float) -> None:  # noqa: ARG002
        self._settled(entry, now)

    def _refused(self, entry: ListEntry, now: float, utc: float) -> None:
        """A binding that was granted is given up (de-registered)."""
        asked = entry.asked
        if asked is None:
            self._settled(entry, now)  # nobody can refuse an end: a reconcile finds what is left
            return
        entry.ticket = None
        if entry.wanted is asked:
            entry.wanted = entry.session
        if asked.phase is Phase.ACTIVE and entry.state is State.BOUND:
            self._leave(entry, now, utc)
        self._proceed(entry, now)

    def _session_id(self, entry: ListEntry) -> int:
        return entry.session_id

    def _attach_again(self, entry: ListEntry, access: AccessLink, now: float, utc: float) -> int:
        moved = entry.access != access
        if moved:
            self._withdraw(entry)  # where it was
        entry.access = access
        if entry.state is State.LEAVING:
            entry.state = State.REGISTERING
            self._register(entry, entry.indicator, now, utc)
        elif moved and entry.state is State.BOUND and entry.wanted is not None:
            self._want(entry, entry.wanted._replace(access=access))
        elif entry.state is State.BOUND and self._may_ask(entry):
            if entry.served and entry.session is not None:
                self._advertise(entry, now)
            self._register(entry, entry.indicator, now, utc)  # it may have been elsewhere meanwhile
        return entry.session_id

    def _may_ask(self, entry: ListEntry) -> bool:
        """Whether nothing is being asked, nor forbidden to be (RFC 5213 §6.9.1.2)."""
        if entry.outstanding is None:
            return True
        denied = self._denied.get((entry.mn, entry.peer.config.address), NOTHING)
        return entry.outstanding.silenced and not denied & Denied.SERVICE

    def _restore(self, session: Session, now: float, utc: float) -> None:
        """Mobile nodes are served again at once; a binding that was proposed but not granted is taken out."""
        profile = self.config.directory.lookup(session.mn)
        peer = self.peers.get(session.path.peer.address)
        if profile is None or peer is None or session.access is None or session.tunnel is None:
            owner = (session.path.peer.address, session.realm)
            self._not_restored(session, f"LMA {session.path.peer.address}", owner)
            return
        if (known := self._list.get((session.mn, session.access.mac))) is not None:
            self._remove(known, now)  # it was on its way out of the journal when the newer one came into it
        self.session_ids.claim(session.session_id)
        entry = ListEntry(session.mn, session.access, profile, peer, session.session_id)
        entry.technology, entry.granularity = session.technology, session.granularity
        entry.prefixes, entry.ipv4, entry.ipv4_router = session.prefixes, session.ipv4, session.ipv4_router
        entry.key, entry.sequence = session.downlink_key, session.sequence
        entry.session = entry.wanted = session
        self._stamp = max(self._stamp, session.timestamp)
        if entry.key is not None:
            self.keys.restore(entry.granularity, (peer.config.address, session.realm), entry.key)
        self._add(entry)
        peer.sessions += counts(session)
        heartbeat.start(self, peer, now)
        if session.phase is not Phase.ACTIVE:
            self._remove(entry, now)
            return
        if session.tunnel.peer != peer.config.tunnel and peer.config.request_user_plane:
            peer.user_plane = session.tunnel.peer
        entry.state = State.BOUND
        lifetime = session.lifetime * LIFETIME_UNIT
        left = min(max(session.expires_utc - utc, 0.0), float(lifetime))
        entry.expires = now + left
        entry.refresh_at = now + max(0.0, left - lifetime * (1 - self.config.refresh_fraction))
        self.timers.arm(entry, entry.refresh_at)
        self._advertise(entry, now)

    def _due(self, timed: Timed, now: float, utc: float) -> None:
        assert isinstance(timed, ListEntry)
        entry = timed
        outstanding = entry.outstanding
        if outstanding is None:
            self._refresh(entry, now, utc)
            return
        if outstanding.silenced:
            self._stop(entry)
            return
        if entry.state is State.LEAVING:
            self._want(entry, None)  # INITIAL_BINDACK_TIMEOUT has passed (RFC 5213 §6.9.1.4)
            if outstanding.tries >= _DEREGISTRATION_TRIES:
                self._remove(entry, now)
                return
        elif entry.wanted is not None and entry.wanted.phase is Phase.ACTIVE and now >= entry.expires:
            self.counters["binding_expired"] += 1
            self._withdraw(entry)
            self._want(entry, None)
            entry.state = State.REGISTERING
            self._register(entry, HandoffIndicator.HANDOFF_STATE_UNKNOWN, now, utc)
            return
        outstanding.tries += 1
        outstanding.corrected = False
        outstanding.timeout = min(outstanding.timeout * 2, self.config.max_bindack_timeout)
        self.counters["retransmissions"] += 1
        self._transmit(entry, outstanding, now, utc)

    def peer_restarted(self, peer: PeerState, now: float) -> None:
        """The LMA has lost its binding cache: register everything again, spread over a while."""
        bound = [entry for entry in self._list.values() if entry.peer is peer and entry.state is State.BOUND]
        for entry in bound:
            entry.renew, entry.outstanding = True, None
            self.timers.arm(entry, now + self.random.random() * len(bound) / _RENEWALS_PER_SECOND)

    # --- revocation (RFC 5846) ----------------------------------------------------------------------------------------

    def revoke_peer(self, address: IPAddress, now: float) -> int:
        """End all bindings with an LMA by one indication; answers how many there are, 0 if it has refused that."""
        peer = self.peers.get(address)
        if peer is None or peer.local is None or peer.global_refused:
            return 0
        path, flags = Path(peer.local, peer.remote), RevocationFlag.P | RevocationFlag.G
        who = (o.MobileNodeIdentifier.nai(self.config.identity),)
        trigger = RevocationTrigger.PER_PEER_POLICY
        revocation.indicate(self, peer, path, trigger, who, revocation.Purpose.PEER, None, now, flags)
        return peer.sessions

    def revocation_over(self, done: revocation.Revocation, status: int | None, now: float) -> None:
        """An indication was answered, or given up: a MAG only sends those that end everything."""
        if status is None or status < 128:
            for entry in [one for one in self._list.values() if one.peer is done.peer]:
                self._withdraw(entry)
                self._remove(entry, now)
        else:
            done.peer.global_refused = status == RevocationStatus.GLOBAL_REVOCATION_NOT_AUTHORIZED
            self.alarm("revocation_refused", f"LMA {done.peer.config.address}: status {status}")

    def _revoked(self, message: BindingRevocationIndication, incoming: Incoming, peer: PeerState, now: float) -> None:
        """RFC 5846 §9.1: the LMA has ended one session, those of a domain, or all."""
        named = revocation.named(message.options)
        entries = self._named(message, peer, named)
        status = self._revocation_status(message, named, entries)
        revocation.answer(self, message, incoming, status)
        if status is RevocationStatus.SUCCESS:
            for entry in entries:
                self._end(entry, bool(message.flags & RevocationFlag.V), now)

    def _named(self, message: BindingRevocationIndication, peer: PeerState, named: revocation.Named) -> list[ListEntry]:
        """The entries that an indication is about."""
        if message.flags & RevocationFlag.G:
            return [one for one in self._list.values() if one.peer is peer and revocation.in_domain(named.mn, one.mn)]
        entries = [one for one in self._by_mn.get(named.mn or b"", ()) if one.peer is peer]
        return [one for one in entries if one.state is not State.STOPPED and named.fits(one.prefixes, one.ipv4)]

    def _revocation_status(
        self, message: BindingRevocationIndication, named: revocation.Named, entries: list[ListEntry]
    ) -> RevocationStatus:
        if not message.flags & RevocationFlag.P:
            return RevocationStatus.BINDING_DOES_NOT_EXIST  # every binding here is a proxy one
        if (misused := revocation.misused(message)) is not None:
            return misused
        if message.trigger == RevocationTrigger.PER_PEER_POLICY:
            return RevocationStatus.REVOCATION_FUNCTION_NOT_SUPPORTED if named.any else RevocationStatus.SUCCESS
        if message.trigger == RevocationTrigger.REVOKING_MOBILITY_NODE_LOCAL_POLICY:
            known = named.mn is not None and b"@" in named.mn and entries
            return RevocationStatus.SUCCESS if known else RevocationStatus.REVOKED_MOBILE_NODES_IDENTITY_REQUIRED
        if named.mn is None:
            return RevocationStatus.REVOKED_MOBILE_NODES_IDENTITY_REQUIRED
        if message.flags & RevocationFlag.V and not named.ipv4:
            return RevocationStatus.IPV4_HOME_ADDRESS_OPTION_REQUIRED
        if not entries:
            return RevocationStatus.BINDING_DOES_NOT_EXIST
        if message.trigger == RevocationTrigger.INTER_MAG_HANDOVER_UNKNOWN:
            attached = any(entry.state is State.BOUND for entry in entries)
        else:  # it came back before the news of its leaving did
            attached = message.trigger in _HANDOVER and any(_registering(entry) for entry in entries)
        if attached:
            return RevocationStatus.MOBILE_NODE_IS_ATTACHED_TO_THE_MAG
        return RevocationStatus.SUCCESS

    def _end(self, entry: ListEntry, ipv4_only: bool, now: float) -> None:
        """Without a de-registration: the LMA knows."""
        if ipv4_only and entry.prefixes and entry.wanted is not None:
            entry.ipv4 = entry.ipv4_router = None
            self._want(entry, entry.wanted._replace(ipv4=None, ipv4_router=None))
            return
        self._withdraw(entry)
        self._remove(entry, now)


def _registering(entry: ListEntry) -> bool:
    """Whether a PBU that asks for a binding is out."""
    return entry.outstanding is not None and entry.outstanding.lifetime > 0
