"""Proxy Binding Updates of a MAG: when they carry what (RFC 5213 §6.9.1, draft-00 §3.3 and §4.2, RFC 5845 §3.3)."""

from ipaddress import IPv4Address, IPv6Address

from p4pmip.mobility.binding import Gre, IPAddress, Phase, Role, Tunnel
from p4pmip.mobility.config import GrePolicy
from p4pmip.mobility.dialects import refresh_with_option, tlv_known
from p4pmip.mobility.gateway_list import GatewayList
from p4pmip.mobility.ordering import ntp
from p4pmip.mobility.session import PackedIPv4, Session, unpack
from p4pmip.mobility.update_list import NEVER, NOTHING, Denied, ListEntry, Outstanding, State
from p4pmip.wire import options as o
from p4pmip.wire.message import (
    BindingUpdate,
)
from p4pmip.wire.numbers import (
    LIFETIME_UNIT,
    BindingUpdateFlag,
    HandoffIndicator,
    OptionType,
)

_PBU = BindingUpdateFlag.A | BindingUpdateFlag.P
_ANY_PREFIX = o.HomeNetworkPrefix(IPv6Address(0), 0)
_ANY_IPV4 = o.IPv4HomeAddressRequest(IPv4Address(0), 0)
_ASK_LINK_LOCAL = o.LinkLocalAddress(IPv6Address(0))
_LONGEST_LIFETIME = 0xFFFF
_STAMP_SECOND = 65536
_CLOCKLESS_BITS = 11
"""Of an NTP time, a float of seconds knows no more than the others (RFC 4285 §6: random)."""
_MAX_UPDATE_RATE = 3
"""MAX_UPDATE_RATE (RFC 6275 §12), per second: per binding, or no MAG would scale."""
_STRENGTH = {Gre.PLAIN: 0, Gre.MODE: 1, Gre.KEYED: 2}


class GatewayRegistration(GatewayList):
    """From what a mobile node needs to the PBU that asks for it."""

    def forget_refusals(self, mn: bytes | None = None) -> None:
        """An administrative action: what was refused may be asked for again (RFC 5213 §6.9.1.2).

        Args:
            mn: For one mobile node; None: for all, and GRE is offered again to LMAs that seemed to lack it.
        """
        self._without = {key: until for key, until in self._without.items() if mn not in (None, key[0])}
        self._denied = {key: denied for key, denied in self._denied.items() if mn not in (None, key[0])}
        if mn is None:
            for peer in self.peers.values():
                peer.lacks_gre_until, peer.global_refused = 0.0, False

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

    def upload_link_local(self, session_id: int, address: IPv6Address, now: float, utc: float) -> None:
        """Use another link-local address on the access link, because the mobile node has ours (RFC 5213 §6.8).

        The LMA is told at once, so that the next MAG uses it too.
        """
        self._enter(now, utc)
        entry = self._by_session.get(session_id)
        if entry is not None and entry.state is State.BOUND and entry.wanted is not None:
            self._want(entry, entry.wanted._replace(link_local=address))
            if entry.outstanding is None or entry.outstanding.released is None:
                self._refresh(entry, now, utc)
            else:
                entry.refresh_at = now  # as soon as that has been answered

    def release_ipv4(self, session_id: int, now: float, utc: float) -> None:
        """The mobile node has given its IPv4 home address back: de-register it alone (RFC 5844 §3.2.3.3, §3.4.3)."""
        self._enter(now, utc)
        entry = self._by_session.get(session_id)
        if entry is None or entry.state is not State.BOUND or entry.wanted is None or entry.ipv4 is None:
            return
        if not entry.prefixes:
            self._leave(entry, now, utc)
            return
        address, entry.released = entry.ipv4, True
        entry.ipv4 = entry.ipv4_router = None
        self._want(entry, entry.wanted._replace(ipv4=None, ipv4_router=None))
        self._update(entry, HandoffIndicator.HANDOFF_STATE_UNKNOWN, 0, Gre.PLAIN, now, utc, released=address)

    def request_ipv4(self, session_id: int, now: float, utc: float) -> None:
        """The mobile node wants an IPv4 home address (again): ask for one (RFC 5844 §3.2.3.3, §3.4.3)."""
        self._enter(now, utc)
        entry = self._by_session.get(session_id)
        if entry is None or entry.state is not State.BOUND or entry.ipv4 is not None or not entry.profile.ipv4:
            return
        entry.released = False
        if entry.outstanding is None and self._families(entry)[1]:
            self._refresh(entry, now, utc)

    def _families(self, entry: ListEntry) -> tuple[bool, bool]:
        """Whether prefixes are asked for, and whether an IPv4 home address is."""
        denied = self._denied.get((entry.mn, entry.peer.config.address), NOTHING)
        profile = entry.profile
        ipv4 = profile.ipv4 and not denied & Denied.IPV4 and not entry.released
        return profile.ipv6 and not denied & Denied.IPV6, ipv4

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
        policy = self.config.policy(entry.peer.config, entry.profile, self._families(entry)[1])
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
        released: PackedIPv4 | None = None,
    ) -> None:
        """Send a PBU anew and wait for its answer."""
        tlv = option is not Gre.PLAIN and entry.peer.config.udp and tlv_known(entry.peer.config.dialect)
        timeout = self.config.initial_bindack_timeout
        entry.outstanding = Outstanding(
            0, indicator, lifetime, option, tlv, timeout, corrected=corrected, released=released
        )
        self._transmit(entry, entry.outstanding, now, utc)

    def _transmit(self, entry: ListEntry, outstanding: Outstanding, now: float, utc: float) -> None:
        """Send a PBU, the first time or again: with a new sequence number and timestamp (RFC 5213 §6.9.4)."""
        peer = entry.peer
        assert peer.local is not None
        if len(entry.sent) == _MAX_UPDATE_RATE and now < entry.sent[0] + 1.0:
            outstanding.sequence = NEVER
            self.counters["rate_limited"] += 1
            self.timers.arm(entry, entry.sent[0] + 1.0)
            return
        entry.sent = (*entry.sent, now)[-_MAX_UPDATE_RATE:]
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
        """RFC 5213 §6.9.1.1, .3 and .4; RFC 5844 §3.2.3.1 and .3; RFC 4285 §6; RFC 7389 §4."""
        peer, ending = entry.peer, outstanding.lifetime == 0
        options: list[o.Option] = [o.MobileNodeIdentifier.nai(entry.mn)]
        ipv6, ipv4 = self._families(entry)
        known_ipv4 = entry.ipv4
        if outstanding.released is not None:
            ipv6, ipv4, known_ipv4 = False, True, outstanding.released
        nothing_known = not entry.prefixes and known_ipv4 is None
        if ipv6 and (not ending or entry.prefixes or nothing_known):
            known = [unpack(prefix) for prefix in entry.prefixes]
            options += [o.HomeNetworkPrefix(IPv6Address(address), length) for address, length in known] or [_ANY_PREFIX]
        options.append(o.HandoffIndicatorOption(outstanding.indicator))
        options.append(o.AccessTechnologyOption(entry.technology))
        if any(entry.access.mac):
            options.append(o.LinkLayerIdentifier(entry.access.mac))
        if self.config.fixed_link_local is None:
            known_address = None if entry.wanted is None else entry.wanted.link_local
            options.append(_ASK_LINK_LOCAL if known_address is None else o.LinkLocalAddress(known_address))
        if self.config.timestamp_based_approach_in_use:
            stamp = o.Timestamp.from_utc(utc).value
            if 0 <= self._stamp - stamp < _STAMP_SECOND:  # a clock that was set back further is believed
                stamp = self._stamp + 1
            self._stamp = stamp
            options.append(o.Timestamp(self._stamp))
        if peer.config.replay_protection:
            noise = self.random.getrandbits(_CLOCKLESS_BITS)
            peer.replay = outstanding.replay = max(ntp(utc + peer.replay_skew, noise), peer.replay + 1)
            options.append(o.ReplayProtection(outstanding.replay))
        if outstanding.option is not Gre.PLAIN:
            options.append(o.GreKey(entry.key if outstanding.option is Gre.KEYED else None))
        if ipv4 and (not ending or known_ipv4 is not None or nothing_known):
            if known_ipv4 is None:
                options.append(_ANY_IPV4)
            else:
                address, length = unpack(known_ipv4)
                options.append(o.IPv4HomeAddressRequest(IPv4Address(address), length))
        care_of = self._care_of(entry)
        assert peer.local is not None
        if care_of != peer.local.address:
            if care_of.version == 6:
                options.append(o.AlternateCareOfAddress(IPv6Address(care_of)))
            else:
                options.append(o.UnknownOption(OptionType.ALTERNATE_IPV4_CARE_OF_ADDRESS, care_of.packed))
        if peer.config.request_user_plane and not ending:
            options.append(o.LmaUserPlaneAddress(None))
        return tuple(options)

    # --- tunnels ------------------------------------------------------------------------------------------------------

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
