"""The mobile access gateway (RFC 5213 §6), with the GRE keys of draft-00 and RFC 5845.

How an attachment goes: `attach` sends a PBU and, if the LMA's tunnel end point is known, asks the switch to receive
under the downlink key it proposes (phase PROPOSED). The PBA decides about GRE by the dialect's table; what comes out
goes to switch and journal, and when they have it the mobile node is served (`Advertise`). A switch that refuses then
ends the binding at the LMA: nothing is advertised that cannot be forwarded.
"""

from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address, IPv6Address, IPv6Network
from random import Random

from p4pmip.mobility import heartbeat, revocation
from p4pmip.mobility.binding import AccessLink, Binding, Gre, IPAddress, Phase, Role, Tunnel
from p4pmip.mobility.config import GrePolicy, MagConfig
from p4pmip.mobility.dialects import Action, Memo, mag_decision, refresh_with_option, tlv_known
from p4pmip.mobility.effects import Advertise, Install, Withdraw
from p4pmip.mobility.endpoint import Endpoint, Path
from p4pmip.mobility.engine import Engine
from p4pmip.mobility.ordering import ntp
from p4pmip.mobility.peer import PeerState
from p4pmip.mobility.record import Record, from_record
from p4pmip.mobility.reply import Reply, parse
from p4pmip.mobility.session import Session, pack, unpack
from p4pmip.mobility.update_list import ListEntry, Outstanding, State
from p4pmip.wire import options as o
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
    BindingAcknowledgementFlag,
    BindingUpdateFlag,
    HandoffIndicator,
    RevocationFlag,
    RevocationStatus,
    RevocationTrigger,
    Status,
)

_P = int(BindingAcknowledgementFlag.P)
_PBU = BindingUpdateFlag.A | BindingUpdateFlag.P
_ANY_PREFIX = o.HomeNetworkPrefix(IPv6Address(0), 0)
_ANY_IPV4 = o.IPv4HomeAddressRequest(IPv4Address(0), 0)
_ASK_LINK_LOCAL = o.LinkLocalAddress(IPv6Address(0))
_DEREGISTRATION_TRIES = 3
_LONGEST_LIFETIME = 0xFFFF


class MobileAccessGateway(Engine):
    """A MAG without I/O.

    Args:
        config: What it serves, and how.
        random: The source of keys and jitter; default: the system's.
    """

    def __init__(self, config: MagConfig, random: Random | None = None) -> None:
        super().__init__(config, random)
        self.config = config
        self._list: dict[tuple[bytes, bytes], ListEntry] = {}
        """By MN-Identifier and link-layer address."""
        self._by_mn: dict[bytes, list[ListEntry]] = {}
        self._by_session: dict[int, ListEntry] = {}
        self._open: dict[int, ListEntry] = {}
        self._sequence = self.random.getrandbits(16)
        self._stamp = 0
        self._without: dict[tuple[bytes, IPAddress], float] = {}
        """Until when a mobile node's PBUs to an LMA carry no GRE Key option (draft-00 §4.2)."""

    # --- the world's inputs ------------------------------------------------------------------------------------------

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
        number = self._new_session_id(self._by_session)
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
        self._add(entry)
        self._register(entry, indicator, now, utc)
        return number if number in self._by_session else None

    def detach(self, mn: bytes, now: float, utc: float, mac: bytes | None = None) -> None:
        """A mobile node has left (one interface of it, if `mac` is given): de-register (RFC 5213 §6.9.1.4)."""
        self._enter(now, utc)
        for entry in list(self._by_mn.get(mn, ())):
            if mac is None or entry.access.mac == mac:
                if entry.state is State.STOPPED:
                    self._remove(entry, now)
                elif entry.state is not State.LEAVING:
                    self._leave(entry, now, utc)

    def receive(self, octets: bytes, source: Endpoint, destination: Endpoint, now: float, utc: float) -> None:
        """Process a Mobility Header that arrived; never raises on what it holds."""
        self._enter(now, utc)
        opened = self.open(octets, source, destination)
        if opened is None:
            return
        message, decoded, peer = opened
        match message:
            case BindingAcknowledgement() if int(message.flags) & _P:
                self._acknowledgement(message, decoded, peer, source, destination, now, utc)
            case Heartbeat():
                heartbeat.receive(self, message, decoded, peer, source, destination, now)
            case BindingRevocationIndication():
                self._revoked_by_lma(message, decoded, peer, source, destination, now)
            case BindingRevocationAcknowledgement():
                revocation.acknowledged(self, message, decoded, peer, source, destination, now)
            case BindingError():
                self.unrecognized(message, decoded, peer, source, destination, now)
            case _:
                self.received(message, source, destination, "ignored_not_for_a_mag")

    def handle_timer(self, now: float, utc: float) -> None:
        """Do what has come due."""
        self._enter(now, utc)
        for timed in self.timers.due(now):
            match timed:
                case ListEntry():
                    self._due(timed, now, utc)
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
        self._settled(entry, now)

    def refused(self, ticket: int, reason: str, now: float, utc: float) -> None:
        """The switch or the journal would not: a binding that was granted is given up (de-registered)."""
        self._enter(now, utc)
        entry = self._open.pop(ticket, None)
        if entry is None:
            self.counters["unknown_ticket"] += 1
            return
        self.counters["install_refused"] += 1
        self.alarm("install_refused", reason, entry.session_id)
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

    def restore(self, records: Iterable[Record], now: float, utc: float) -> None:
        """Take over what the journal holds, before anything else is asked of the engine.

        The switch is to be reconciled with `bindings`; mobile nodes are served again at once. A binding that was
        proposed but not granted is taken out.

        Raises:
            KeyError, ValueError, TypeError: a row was not written by this package.
        """
        self._enter(now, utc)
        records = list(records)
        self._restore_rest(records, now, utc)
        for record in records:
            if record.payload is not None and record.kind == "session":
                session = from_record(record.payload)
                if session.role is Role.MAG:
                    self._restore(session, now, utc)

    # --- what it holds -----------------------------------------------------------------------------------------------

    def sessions(self) -> Iterator[Session]:
        """What switch and journal hold."""
        return (entry.session for entry in self._list.values() if entry.session is not None)

    def bindings(self) -> Iterator[Binding]:
        """What the switch is to hold."""
        return (session.binding for session in self.sessions())

    def state(self, session_id: int) -> State | None:
        """What a binding update list entry is doing; None if there is no such entry."""
        entry = self._by_session.get(session_id)
        return None if entry is None else entry.state

    def forget_capabilities(self) -> None:
        """Offer GRE again to LMAs and for mobile nodes where it is remembered not to."""
        self._without.clear()
        for peer in self.peers.values():
            peer.lacks_gre_until = 0.0

    # --- PBUs --------------------------------------------------------------------------------------------------------

    def _attach_again(self, entry: ListEntry, access: AccessLink, now: float, utc: float) -> int:
        moved = entry.access != access
        entry.access = access
        if entry.state is State.LEAVING:
            entry.state = State.REGISTERING
            self._register(entry, entry.indicator, now, utc)
        elif moved and entry.state is State.BOUND and entry.wanted is not None:
            self._want(entry, entry.wanted._replace(access=access))
        elif entry.served and entry.session is not None:
            self._advertise(entry, now)
        return entry.session_id

    def _register(self, entry: ListEntry, indicator: int, now: float, utc: float, corrected: bool = False) -> None:
        """Send a PBU that is the first one, for this entry or for its LMA."""
        option = self._option(entry, initial=True, now=now)
        if option is Gre.KEYED and entry.key is None:
            owner = (entry.peer.config.address, entry.profile.realm)
            entry.key = self.keys.acquire(entry.granularity, owner, now)
            if entry.key is None:
                self.alarm("keys_exhausted", f"{self.common.key_first}-{self.common.key_last}", entry.session_id)
                self._stop(entry)
                return
        self._update(entry, indicator, self._lifetime(), option, now, utc, corrected)
        if option is Gre.KEYED and entry.wanted is None and entry.outstanding is not None:
            tunnel = self._expected_tunnel(entry, entry.outstanding.tlv)
            if tunnel is not None:
                self._want(entry, self._session(entry, Phase.PROPOSED, tunnel, Gre.KEYED, None, 0, utc))

    def _refresh(self, entry: ListEntry, now: float, utc: float, corrected: bool = False) -> None:
        if entry.renew:
            entry.renew = False
            self._register(entry, HandoffIndicator.HANDOFF_STATE_NOT_CHANGED, now, utc)
            return
        option = self._option(entry, initial=False, now=now)
        self._update(entry, HandoffIndicator.HANDOFF_STATE_NOT_CHANGED, self._lifetime(), option, now, utc, corrected)

    def _leave(self, entry: ListEntry, now: float, utc: float) -> None:
        """Stop serving and de-register; what was never granted is de-registered too: its PBA may be on the way."""
        self._withdraw(entry)
        entry.state = State.LEAVING
        self._update(entry, HandoffIndicator.HANDOFF_STATE_UNKNOWN, 0, Gre.PLAIN, now, utc)

    def _stop(self, entry: ListEntry) -> None:
        """Refused for good: nothing is sent or forwarded any more."""
        self._withdraw(entry)
        entry.state = State.STOPPED
        entry.outstanding = None
        self.timers.disarm(entry)
        self._want(entry, None)

    def _option(self, entry: ListEntry, *, initial: bool, now: float) -> Gre:
        """The GRE Key option of the next PBU (draft-00 §3.3, §4.2; RFC 5845 §3.3, §4.2)."""
        peer = entry.peer
        if not self.config.gre_supported:
            return Gre.PLAIN
        if entry.always_option:
            return Gre.KEYED
        without = self._without.get((entry.mn, peer.config.address), 0.0)
        if entry.never_option or now < peer.lacks_gre_until or now < without:
            return Gre.PLAIN
        if initial:
            wanted = self._policy(entry).wanted
            return max(wanted, entry.hint or Gre.PLAIN, key=_STRENGTH.__getitem__)
        held = entry.held or Gre.PLAIN
        return held if refresh_with_option(peer.config.dialect, held) else Gre.PLAIN

    def _policy(self, entry: ListEntry) -> GrePolicy:
        """The policy check, strengthened by the hint of the handoff process."""
        policy = self.config.policy(entry.peer.config, entry.profile, entry.profile.ipv4)
        if entry.hint is not None and entry.hint is not Gre.PLAIN and not policy.required:
            return GrePolicy(max(policy.wanted, entry.hint, key=_STRENGTH.__getitem__), required=True)
        return policy

    def _lifetime(self) -> int:
        """Asked for, in units of 4 s, rounded up."""
        return min(-(-self.config.lifetime // LIFETIME_UNIT), _LONGEST_LIFETIME)

    def _update(
        self,
        entry: ListEntry,
        indicator: int,
        lifetime: int,
        option: Gre,
        now: float,
        utc: float,
        corrected: bool = False,
    ) -> None:
        """Send a PBU anew and wait for its answer."""
        tlv = option is not Gre.PLAIN and entry.peer.config.udp and tlv_known(entry.peer.config.dialect)
        timeout = self.config.initial_bindack_timeout
        entry.outstanding = Outstanding(0, indicator, lifetime, option, tlv, timeout, corrected=corrected)
        self._transmit(entry, entry.outstanding, now, utc)

    def _transmit(self, entry: ListEntry, outstanding: Outstanding, now: float, utc: float) -> None:
        """Send a PBU, the first time or again: with a new sequence number and timestamp (RFC 5213 §6.9.4)."""
        peer = entry.peer
        assert peer.local is not None
        if self.config.timestamp_based_approach_in_use:
            self._sequence = (self._sequence + 1) % 65536
            entry.sequence = self._sequence
        else:
            entry.sequence = (entry.sequence + 1) % 65536
        outstanding.sequence = entry.sequence
        flags = _PBU
        if outstanding.tlv:
            flags |= BindingUpdateFlag.T
        if self.config.force_ipv4_udp_encapsulation_support:
            flags |= BindingUpdateFlag.F
        options = self._options(entry, outstanding, utc)
        message = BindingUpdate(outstanding.sequence, flags, outstanding.lifetime, options)
        self.send(message, peer.local, peer.remote, peer, self._care_of(entry))
        self.timers.arm(entry, now + outstanding.timeout)

    def _options(self, entry: ListEntry, outstanding: Outstanding, utc: float) -> tuple[o.Option, ...]:
        """RFC 5213 §6.9.1.1, .3 and .4; RFC 5844 §3.2.2; RFC 7389 §4."""
        profile, peer, ending = entry.profile, entry.peer, outstanding.lifetime == 0
        options: list[o.Option] = [o.MobileNodeIdentifier.nai(entry.mn)]
        nothing_known = not entry.prefixes and entry.ipv4 is None
        if profile.ipv6 and (not ending or entry.prefixes or nothing_known):
            known = [unpack(prefix) for prefix in entry.prefixes]
            options += [o.HomeNetworkPrefix(IPv6Address(address), length) for address, length in known] or [_ANY_PREFIX]
        options.append(o.HandoffIndicatorOption(outstanding.indicator))
        options.append(o.AccessTechnologyOption(entry.technology))
        options.append(o.LinkLayerIdentifier(entry.access.mac))
        if self.config.fixed_link_local is None:
            known_address = None if entry.wanted is None else entry.wanted.link_local
            options.append(_ASK_LINK_LOCAL if known_address is None else o.LinkLocalAddress(known_address))
        if self.config.timestamp_based_approach_in_use:
            self._stamp = max(o.Timestamp.from_utc(utc).value, self._stamp + 1)
            options.append(o.Timestamp(self._stamp))
        if peer.config.replay_protection:
            options.append(o.ReplayProtection(ntp(utc)))
        if outstanding.option is not Gre.PLAIN:
            options.append(o.GreKey(entry.key if outstanding.option is Gre.KEYED else None))
        if profile.ipv4 and (not ending or entry.ipv4 is not None or nothing_known):
            if entry.ipv4 is None:
                options.append(_ANY_IPV4)
            else:
                address, length = unpack(entry.ipv4)
                options.append(o.IPv4HomeAddressRequest(IPv4Address(address), length))
        if self.config.force_ipv4_udp_encapsulation_support:
            options.append(o.NatDetection(True, 0))
        care_of = self._care_of(entry)
        assert peer.local is not None
        if care_of.version == 6 and care_of != peer.local.address:
            options.append(o.AlternateCareOfAddress(IPv6Address(care_of)))
        if peer.config.request_user_plane and not ending:
            options.append(o.LmaUserPlaneAddress(None))
        return tuple(options)

    # --- tunnels -----------------------------------------------------------------------------------------------------

    def _care_of(self, entry: ListEntry) -> IPAddress:
        """Our tunnel end point towards an LMA: of the family of its own, where that is known."""
        peer = entry.peer
        assert peer.local is not None
        far = peer.user_plane or peer.config.tunnel
        if far is None and peer.config.request_user_plane and self.common.tunnel:
            return self.common.tunnel[0]  # the LMA answers with its end of the same family
        return self._tunnel_end((far or peer.config.address).version, peer.local) or peer.local.address

    def _expected_tunnel(self, entry: ListEntry, tlv: bool) -> Tunnel | None:
        """The tunnel, as far as it is known before the PBA."""
        peer = entry.peer
        far = peer.user_plane or peer.config.tunnel
        if far is None and not peer.config.request_user_plane:
            far = peer.config.address
        return None if far is None else self._tunnel_to(entry, far, tlv)

    def _tunnel_to(self, entry: ListEntry, far: IPAddress, udp: bool) -> Tunnel | None:
        assert entry.peer.local is not None
        near = self._tunnel_end(far.version, entry.peer.local)
        return None if near is None else entry.peer.tunnel(near, far, udp and far.version == 4)

    def _session(
        self,
        entry: ListEntry,
        phase: Phase,
        tunnel: Tunnel,
        gre: Gre,
        uplink: int | None,
        lifetime: int,
        utc: float,
        link_local: IPv6Address | None = None,
    ) -> Session:
        peer = entry.peer
        assert peer.local is not None
        return Session(
            role=Role.MAG,
            mn=entry.mn,
            realm=entry.profile.realm,
            session_id=entry.session_id,
            phase=phase,
            technology=entry.technology,
            link_layer=entry.access.mac,
            link_local=link_local,
            prefixes=entry.prefixes,
            ipv4=entry.ipv4,
            ipv4_router=entry.ipv4_router,
            tunnel=tunnel,
            path=peer.path(peer.local, peer.remote),
            gre=gre,
            granularity=entry.granularity,
            uplink_key=uplink,
            downlink_key=entry.key if gre is Gre.KEYED else None,
            lifetime=lifetime,
            expires_utc=utc + lifetime * LIFETIME_UNIT,
            timestamp=self._stamp,
            sequence=entry.sequence,
            access=entry.access,
        )

    # --- PBAs --------------------------------------------------------------------------------------------------------

    def _acknowledgement(
        self,
        message: BindingAcknowledgement,
        decoded: Decoded,
        peer: PeerState | None,
        source: Endpoint,
        destination: Endpoint,
        now: float,
        utc: float,
    ) -> None:
        reply = parse(message)
        entry = self._match(reply, peer)
        if entry is None or entry.outstanding is None:
            self.received(message, source, destination, "ignored_unmatched")
        elif not self.authentic(decoded, peer, self._care_of(entry)):
            self.received(message, source, destination, "ignored_not_authentic")
        elif any(fault.reason == Reason.DUPLICATE_OPTION for fault in decoded.faults):
            self.received(message, source, destination, "ignored_duplicate_option")
        elif not reply.echoes(entry, entry.outstanding.indicator):
            # RFC 5213 §6.9.1.2: ignored, and not sent again until somebody has looked.
            self.received(message, source, destination, "ignored_not_what_was_asked")
            self.alarm("pba_mismatch", str(source), entry.session_id)
            self.timers.disarm(entry)
        else:
            self.received(message, source, destination, f"status_{int(message.status)}")
            if entry.state is State.LEAVING:
                self._left(entry, reply, now, utc)
            elif message.status < 128 and message.lifetime:
                self._accepted(entry, reply, now, utc)
            else:
                self._rejected(entry, reply, now, utc)

    def _match(self, reply: Reply, peer: PeerState | None) -> ListEntry | None:
        """RFC 5213 §6.9.1.2: by MN-Identifier and sequence number; a 135 carries another number (RFC 6275 §9.5.1)."""
        waiting = [one for one in self._by_mn.get(reply.mn, ()) if one.outstanding is not None and one.peer is peer]
        for entry in waiting:
            if entry.outstanding is not None and entry.outstanding.sequence == reply.message.sequence:
                return entry
        out_of_window = reply.message.status == Status.SEQUENCE_NUMBER_OUT_OF_WINDOW
        return waiting[0] if out_of_window and len(waiting) == 1 else None

    def _left(self, entry: ListEntry, reply: Reply, now: float, utc: float) -> None:
        """The answer to a de-registration; its GRE option says nothing."""
        status, outstanding = reply.message.status, entry.outstanding
        assert outstanding is not None
        late = status in (Status.TIMESTAMP_LOWER_THAN_PREV_ACCEPTED, Status.SEQUENCE_NUMBER_OUT_OF_WINDOW)
        if late and not outstanding.corrected:
            entry.sequence = reply.message.sequence
            outstanding.corrected = True
            self._transmit(entry, outstanding, now, utc)
            return
        self._remove(entry, now)

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
        tlv = outstanding.tlv and reply.tlv and gre is not Gre.PLAIN
        if reply.user_plane is not None:
            peer.user_plane = reply.user_plane
        far = reply.user_plane or peer.config.tunnel or peer.config.address
        tunnel = self._tunnel_to(entry, far, tlv)
        entry.prefixes = reply.prefixes if entry.profile.ipv6 else ()
        entry.ipv4 = reply.ipv4 if entry.profile.ipv4 else None
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
            self.timers.arm(entry, now + lifetime * LIFETIME_UNIT * fraction)
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
                self._without[entry.mn, entry.peer.config.address] = until

    # --- refusals (RFC 5213 §6.9.1.2, draft-00 §4.2) -----------------------------------------------------------------

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
        match reply.message.status:
            case Status.SEQUENCE_NUMBER_OUT_OF_WINDOW | Status.TIMESTAMP_LOWER_THAN_PREV_ACCEPTED if once:
                entry.sequence = reply.message.sequence
                outstanding.corrected = True
                self._transmit(entry, outstanding, now, utc)
            case Status.SEQUENCE_NUMBER_OUT_OF_WINDOW | Status.TIMESTAMP_LOWER_THAN_PREV_ACCEPTED:
                outstanding.sequence = -1  # the retransmission timer goes on, with a fresh stamp
            case Status.TIMESTAMP_MISMATCH | Status.MIPV6_ID_MISMATCH:
                # Only once both clocks are right again; ours is not set by the LMA's stamp.
                skew = "" if reply.timestamp is None else f"{o.Timestamp(reply.timestamp).to_utc() - utc:+.3f} s"
                self.alarm("clock_skew", f"LMA {peer.config.address} {skew}".rstrip(), entry.session_id)
                outstanding.sequence = -1
            case Status.INSUFFICIENT_RESOURCES:
                outstanding.sequence = -1
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
            case _:
                self.alarm("registration_refused", f"status {int(reply.message.status)}", entry.session_id)
                self._stop(entry)

    def _again(self, entry: ListEntry, now: float, utc: float) -> None:
        """The refused PBU once more, with what the refusal taught; same handoff indicator."""
        outstanding = entry.outstanding
        assert outstanding is not None
        self._register(entry, outstanding.indicator, now, utc, corrected=True)

    # --- revocation (RFC 5846) ---------------------------------------------------------------------------------------

    def revoke_peer(self, address: IPAddress, now: float) -> int:
        """End all bindings with an LMA by one indication; answers how many there are."""
        peer = self.peers.get(address)
        if peer is None or peer.local is None:
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
            self.alarm("revocation_refused", f"LMA {done.peer.config.address}: status {status}")

    def _revoked_by_lma(
        self,
        message: BindingRevocationIndication,
        decoded: Decoded,
        peer: PeerState | None,
        source: Endpoint,
        destination: Endpoint,
        now: float,
    ) -> None:
        """RFC 5846 §9.2: the LMA has ended one session, or all."""
        if peer is None:
            self.received(message, source, destination, "ignored_unknown_peer")
            return
        if not self.authentic(decoded, peer, source.address):
            self.received(message, source, destination, "ignored_not_authentic")
            return
        if not message.flags & RevocationFlag.P:
            self.received(message, source, destination, "ignored_not_proxy")
            return
        entries = self._named(message, peer)
        status = self._revocation_status(message, peer, entries)
        revocation.answer(self, message, status, peer, source, destination)
        if status is RevocationStatus.SUCCESS:
            for entry in entries:
                self._end(entry, bool(message.flags & RevocationFlag.V), now)

    def _named(self, message: BindingRevocationIndication, peer: PeerState) -> list[ListEntry]:
        """The entries that an indication is about."""
        if message.flags & RevocationFlag.G:
            return [one for one in self._list.values() if one.peer is peer]
        identifier = next((one for one in message.options if isinstance(one, o.MobileNodeIdentifier)), None)
        if identifier is None:
            return []
        prefixes, ipv4 = revocation.addresses(message.options)
        return [
            one
            for one in self._by_mn.get(identifier.identifier, ())
            if one.peer is peer
            and one.state is not State.STOPPED
            and (
                not (prefixes or ipv4)
                or prefixes.intersection(one.prefixes)
                or (one.ipv4 is not None and pack(one.ipv4 >> 8, 0) in ipv4)
            )
        ]

    def _revocation_status(
        self, message: BindingRevocationIndication, peer: PeerState, entries: list[ListEntry]
    ) -> RevocationStatus:
        if message.flags & RevocationFlag.G:
            if message.trigger != RevocationTrigger.PER_PEER_POLICY:
                return RevocationStatus.REVOCATION_TRIGGER_NOT_SUPPORTED
            if not peer.config.global_revocation:
                return RevocationStatus.GLOBAL_REVOCATION_NOT_AUTHORIZED
        elif not any(isinstance(option, o.MobileNodeIdentifier) for option in message.options):
            return RevocationStatus.REVOKED_MOBILE_NODES_IDENTITY_REQUIRED
        elif message.trigger >= RevocationTrigger.PER_PEER_POLICY:
            return RevocationStatus.REVOCATION_TRIGGER_NOT_SUPPORTED
        if message.flags & RevocationFlag.V and not revocation.addresses(message.options)[1]:
            return RevocationStatus.IPV4_HOME_ADDRESS_OPTION_REQUIRED
        if not entries:
            return RevocationStatus.BINDING_DOES_NOT_EXIST
        unknown = message.trigger == RevocationTrigger.INTER_MAG_HANDOVER_UNKNOWN
        if unknown and any(entry.state is State.BOUND for entry in entries):
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

    # --- timers ------------------------------------------------------------------------------------------------------

    def _due(self, entry: ListEntry, now: float, utc: float) -> None:
        outstanding = entry.outstanding
        if outstanding is None:
            self._refresh(entry, now, utc)
            return
        if entry.state is State.LEAVING:
            self._want(entry, None)  # INITIAL_BINDACK_TIMEOUT has passed (RFC 5213 §6.9.1.4)
            if outstanding.tries >= _DEREGISTRATION_TRIES:
                self._remove(entry, now)
                return
        elif entry.state is State.BOUND and now >= entry.expires:
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

    # --- the switch and the journal ----------------------------------------------------------------------------------

    def _want(self, entry: ListEntry, session: Session | None) -> None:
        """Ask for a state of the session; one ticket at a time, the last wish wins."""
        entry.wanted = session
        if entry.ticket is None and entry.session is not session:
            entry.ticket = self._ticket()
            entry.asked = session
            self._open[entry.ticket] = entry
            self.emit(Install(entry.ticket, entry.session, session))

    def _settled(self, entry: ListEntry, now: float) -> None:
        before, entry.session, entry.ticket = entry.session, entry.asked, None
        had, has = _counts(before), _counts(entry.session)
        entry.peer.sessions += has - had
        if has > had and entry.peer.sessions == 1:
            heartbeat.start(self, entry.peer, now)
        self._proceed(entry, now)

    def _proceed(self, entry: ListEntry, now: float) -> None:
        """A ticket is answered: the next wish, or what waited for this one."""
        if entry.wanted is not entry.session:
            self._want(entry, entry.wanted)
        elif entry.state is State.BOUND and entry.session is not None and entry.session.phase is Phase.ACTIVE:
            self._advertise(entry, now)
        if entry.session_id not in self._by_session and entry.session is None and entry.ticket is None:
            self._released(entry, now)

    def _advertise(self, entry: ListEntry, now: float) -> None:
        assert entry.session is not None
        entry.served = True
        self.emit(Advertise(entry.session, max(entry.expires - now, 0.0), entry.dhcp_server))

    def _withdraw(self, entry: ListEntry) -> None:
        if entry.served and entry.session is not None:
            entry.served = False
            self.emit(Withdraw(entry.session))

    # --- the list ----------------------------------------------------------------------------------------------------

    def _add(self, entry: ListEntry) -> None:
        self._list[entry.mn, entry.access.mac] = entry
        self._by_mn.setdefault(entry.mn, []).append(entry)
        self._by_session[entry.session_id] = entry

    def _remove(self, entry: ListEntry, now: float) -> None:
        """The entry goes; its key and session id are free once the switch has let go of them."""
        self.timers.disarm(entry)
        entry.outstanding = None
        del self._list[entry.mn, entry.access.mac]
        others = self._by_mn[entry.mn]
        others.remove(entry)
        if not others:
            del self._by_mn[entry.mn]
        del self._by_session[entry.session_id]
        self._want(entry, None)
        if entry.session is None and entry.ticket is None:
            self._released(entry, now)

    def _released(self, entry: ListEntry, now: float) -> None:
        self._free_session_id(entry.session_id)
        if entry.key is not None:
            owner = (entry.peer.config.address, entry.profile.realm)
            until = self.keys.release(entry.granularity, owner, entry.key, now)
            if until is not None:
                self._expire("key", str(entry.key), {}, until)
            entry.key = None

    def _restore(self, session: Session, now: float, utc: float) -> None:
        profile = self.config.directory.lookup(session.mn)
        peer = self.peers.get(session.path.peer.address)
        if profile is None or peer is None or session.access is None or session.tunnel is None:
            self.alarm("binding_not_restored", f"LMA {session.path.peer.address}", session.session_id)
            return
        entry = ListEntry(session.mn, session.access, profile, peer, session.session_id)
        entry.technology, entry.granularity = session.technology, session.granularity
        entry.prefixes, entry.ipv4, entry.ipv4_router = session.prefixes, session.ipv4, session.ipv4_router
        entry.key, entry.sequence = session.downlink_key, session.sequence
        entry.session = entry.wanted = session
        self._stamp = max(self._stamp, session.timestamp)
        if entry.key is not None:
            self.keys.restore(entry.granularity, (peer.config.address, session.realm), entry.key)
        self._add(entry)
        peer.sessions += _counts(session)
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
        self.timers.arm(entry, now + max(0.0, left - lifetime * (1 - self.config.refresh_fraction)))
        self._advertise(entry, now)

    def peer_failed(self, peer: PeerState) -> None:
        """Bindings stay until their lifetime ends (RFC 5847 §3.1)."""

    def peer_restarted(self, peer: PeerState, now: float) -> None:
        """The LMA has lost its binding cache: register everything again, spread over a while."""
        bound = [entry for entry in self._list.values() if entry.peer is peer and entry.state is State.BOUND]
        for entry in bound:
            entry.renew, entry.outstanding = True, None
            self.timers.arm(entry, now + self.random.random() * len(bound) / _RENEWALS_PER_SECOND)


def _counts(session: Session | None) -> int:
    return int(session is not None and session.phase is Phase.ACTIVE)


_STRENGTH = {Gre.PLAIN: 0, Gre.MODE: 1, Gre.KEYED: 2}
_RENEWALS_PER_SECOND = 500.0
