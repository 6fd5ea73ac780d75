"""From an accepted PBU to the session it asks for: addresses, keys, tunnel, GRE (RFC 5213 §5.3.2 to §5.3.5).

A refusal leaves everything as it was: what was taken for a session that cannot be completed is given back.
"""

from ipaddress import IPv4Address, IPv6Address
from random import Random
from typing import NamedTuple

from p4pmip.mobility.binding import Gre, IPAddress, Phase, Role, Tunnel
from p4pmip.mobility.cache import BindingCache
from p4pmip.mobility.config import LmaConfig, Profile
from p4pmip.mobility.dialects import Kind, Verdict, lma_decision, tlv_known
from p4pmip.mobility.keys import KeyRing
from p4pmip.mobility.peer import PeerState
from p4pmip.mobility.pools import Pool
from p4pmip.mobility.request import Request
from p4pmip.mobility.session import PackedIPv4, PackedPrefix, Session, pack, unpack
from p4pmip.wire.numbers import (
    LIFETIME_UNIT,
    BindingUpdateFlag,
    IPv4HomeAddressStatus,
    Status,
)

_FORCED = int(BindingUpdateFlag.F)
_TLV = int(BindingUpdateFlag.T)
_LINK_LOCAL = int(IPv6Address("fe80::"))
_LOCAL_IDENTIFIER = 0xFCFF_FFFF_FFFF_FFFF
"""An interface identifier that is neither universal nor a group (RFC 4291 §2.5.1)."""


class Refusal(NamedTuple):
    """Why a PBU is refused."""

    status: int
    ipv4_status: int = IPv4HomeAddressStatus.FAILURE_REASON_UNSPECIFIED


class Proposal(NamedTuple):
    """The session that a PBU leads to, and how it is answered."""

    session: Session
    kind: Kind
    status: int
    option: bool
    tlv: bool
    counter: str | None = None


class Registrar:
    """Proposes sessions; owns the address pools of the realms."""

    def __init__(self, config: LmaConfig, cache: BindingCache, keys: KeyRing, random: Random) -> None:
        self._config = config
        self._cache = cache
        self._keys = keys
        self._random = random
        self._prefixes: dict[str, Pool] = {}
        self._ipv4: dict[str, Pool] = {}
        self._routers: dict[str, IPv4Address | None] = {}
        for name, realm in config.realms.items():
            self._routers[name] = realm.router
            profiles = [one for one in config.directory.mobile_nodes.values() if one.realm == name]
            if realm.prefix_pool is not None:
                static = {
                    pack(int(prefix.network_address), prefix.prefixlen) for one in profiles for prefix in one.prefixes
                }
                self._prefixes[name] = Pool.of_prefixes(realm.prefix_pool, realm.prefix_length, static)
            if realm.ipv4_pool is not None:
                length = realm.ipv4_pool.prefixlen
                addresses = [one.ipv4_home_address for one in profiles]
                own = {pack(int(address), length) for address in (*addresses, realm.router) if address is not None}
                self._ipv4[name] = Pool.of_addresses(realm.ipv4_pool, own)

    def asked_ipv4(self, request: Request, profile: Profile) -> PackedIPv4 | None:
        """The IPv4 home address that a PBU names, with the length of its realm's subnet."""
        asked = request.ipv4
        if asked is None or not (number := int(asked.address)):
            return None
        pool = self._config.realms[profile.realm].ipv4_pool
        return pack(number, asked.prefix_length or 32 if pool is None else pool.prefixlen)

    def propose(
        self,
        request: Request,
        profile: Profile,
        peer: PeerState,
        base: Session | None,
        session_id: int,
        now: float,
        utc: float,
    ) -> Proposal | Refusal:
        """The session that an initial, refresh or handoff PBU leads to."""
        if int(request.update.flags) & _FORCED and not self._config.accept_forced_ipv4_udp_encapsulation_request:
            return Refusal(Status.ADMINISTRATIVELY_PROHIBITED)
        local = self._local_end(request)
        if local is None:
            return Refusal(Status.INVALID_CARE_OF_ADDRESS)
        if base is None:
            kind, held = Kind.INITIAL, Gre.PLAIN
        else:
            assert base.tunnel is not None
            kind = Kind.REFRESH if base.tunnel.peer == request.care_of else Kind.HANDOFF
            held = base.gre
        ipv4_stays = base is not None and base.ipv4 is not None and kind is Kind.REFRESH
        policy = self._config.policy(peer.config, profile, request.ipv4 is not None or ipv4_stays)
        decision = lma_decision(
            peer.config.dialect,
            kind,
            request.gre,
            held,
            policy.wanted,
            policy.required,
            self._config.gre_supported,
        )
        if decision.refused:
            codepoints = peer.config.codepoints
            return Refusal(codepoints.required if decision.verdict is Verdict.REQUIRED else codepoints.not_required)
        prefixes = self._choose_prefixes(request, profile, base, kind)
        if isinstance(prefixes, Refusal):
            return prefixes
        ipv4 = self._choose_ipv4(request, profile, base, kind)
        if isinstance(ipv4, Refusal):
            self._return_prefixes(profile.realm, prefixes, base)
            return ipv4
        realm = self._config.realms[profile.realm]
        keyed = base is not None and base.gre is Gre.KEYED
        granularity = base.granularity if base is not None and keyed else realm.granularity
        uplink = downlink = None
        if decision.becomes is Gre.KEYED:
            if base is not None and keyed:
                uplink = base.uplink_key
            else:
                uplink = self._keys.acquire(granularity, realm.name, now)
                if uplink is None:
                    self._return_prefixes(profile.realm, prefixes, base)
                    self._return_ipv4(profile.realm, ipv4, base)
                    return Refusal(Status.INSUFFICIENT_RESOURCES)
            downlink = request.key if request.gre is Gre.KEYED or base is None else base.downlink_key
        kept = base.tunnel if base is not None and kind is Kind.REFRESH and base.gre is not Gre.PLAIN else None
        tunnel, tlv, status = self._tunnel(request, peer, local, decision.option, decision.becomes, kept)
        if decision.verdict is Verdict.ACCEPTED_NOT_REQUIRED:
            status = Status.GRE_KEY_OPTION_NOT_REQUIRED
        lifetime = min(request.update.lifetime, max(1, self._config.lifetime // LIFETIME_UNIT))
        assert request.technology is not None
        session = Session(
            role=Role.LMA,
            mn=request.mn if base is None else base.mn,
            realm=realm.name,
            session_id=session_id,
            phase=Phase.ACTIVE,
            technology=request.technology,
            link_layer=request.link_layer,
            link_local=self._link_local(request, base),
            prefixes=prefixes,
            ipv4=ipv4,
            ipv4_router=None if ipv4 is None else self._routers[realm.name],
            tunnel=tunnel,
            path=peer.path(request.incoming.destination, request.incoming.source),
            gre=decision.becomes,
            granularity=granularity,
            uplink_key=uplink,
            downlink_key=downlink,
            lifetime=lifetime,
            expires_utc=utc + lifetime * LIFETIME_UNIT,
            timestamp=request.timestamp or 0,
            sequence=request.update.sequence,
            replay=max(request.replay or 0, 0 if base is None else base.replay),
        )
        return Proposal(session, kind, status, decision.option is not Gre.PLAIN, tlv, decision.counter)

    def ending(self, request: Request, session: Session) -> Session:
        """What a de-registration leaves: the session held, or without the one family that was named.

        RFC 5213 §5.3.5; RFC 5844 §3.1.2.5: a PBU that names one address family ends the service of that family only.
        """
        held = session.phase is Phase.HELD
        ipv6 = () if not held and request.ipv6 and _left_ipv4(request, session) else session.prefixes
        ipv4 = None if not held and request.ipv4 is not None and _left_ipv6(request, session) else session.ipv4
        partial = (ipv6, ipv4) != (session.prefixes, session.ipv4)
        return session._replace(
            phase=Phase.ACTIVE if partial else Phase.HELD,
            link_local=self._link_local(request, session),
            prefixes=ipv6,
            ipv4=ipv4,
            ipv4_router=None if ipv4 is None else session.ipv4_router,
            timestamp=request.timestamp or 0,
            sequence=request.update.sequence,
            replay=max(request.replay or 0, session.replay),
        )

    @staticmethod
    def entitled(request: Request, profile: Profile) -> Refusal | None:
        """What this mobile node may ask for, before its entry is looked up (RFC 5844 §3.1.2.1)."""
        if request.ipv6 and not profile.ipv6:
            return Refusal(Status.NOT_AUTHORIZED_FOR_IPV6_MOBILITY_SERVICE)
        if request.ipv4_requests and not profile.ipv4:
            return Refusal(
                Status.NOT_AUTHORIZED_FOR_IPV4_MOBILITY_SERVICE, IPv4HomeAddressStatus.ADMINISTRATIVELY_PROHIBITED
            )
        if len(request.ipv4_requests) > 1:
            return Refusal(Status.MULTIPLE_IPV4_HOME_ADDRESS_ASSIGNMENT_NOT_SUPPORTED)
        return None

    # --- tunnel and link-local address -------------------------------------------------------------------------------

    def _local_end(self, request: Request) -> IPAddress | None:
        """Our tunnel end point for a Proxy-CoA; None if we have none of its family."""
        care_of = request.care_of
        for address in self._config.tunnel:
            if address.version == care_of.version:
                return address
        own = request.incoming.destination.address
        return own if not self._config.tunnel and own.version == care_of.version else None

    def _tunnel(
        self,
        request: Request,
        peer: PeerState,
        local: IPAddress,
        option: Gre,
        becomes: Gre,
        kept: Tunnel | None,
    ) -> tuple[Tunnel, bool, int]:
        """The tunnel, the T flag of the answer, and its status (RFC 5845 §7.2, §7.4; RFC 5844 §4.1.3.1).

        `kept` is that of a session with GRE which is refreshed: its format does not change (RFC 5845 §7.2).
        """
        if becomes is Gre.PLAIN:
            udp = local.version == 4 and bool(int(request.update.flags) & _FORCED)
            return peer.tunnel(local, request.care_of, udp), False, Status.ACCEPTED
        asked = bool(int(request.update.flags) & _TLV) and tlv_known(peer.config.dialect)
        udp = kept.udp if kept is not None else asked and peer.config.udp and local.version == 4
        status = Status.ACCEPTED
        if asked and not udp and option is not Gre.PLAIN:
            status = Status.GRE_TUNNELING_BUT_TLV_HEADER_NOT_SUPPORTED
        return peer.tunnel(local, request.care_of, udp), asked and udp, status

    def _link_local(self, request: Request, base: Session | None) -> IPv6Address | None:
        """RFC 5213 §5.3.6: the MAG's address on the access link is kept, or made, or what the MAG says."""
        known = None if base is None else base.link_local
        if request.link_local is None:
            return known
        if int(request.link_local):
            return request.link_local
        return known or IPv6Address(_LINK_LOCAL | self._random.getrandbits(64) & _LOCAL_IDENTIFIER)

    # --- addresses ---------------------------------------------------------------------------------------------------

    def _choose_prefixes(
        self, request: Request, profile: Profile, base: Session | None, kind: Kind
    ) -> tuple[PackedPrefix, ...] | Refusal:
        if base is not None and base.prefixes and (request.ipv6 or kind is Kind.REFRESH):
            return base.prefixes
        if not request.ipv6:
            return ()  # RFC 5844 §3.1.2.4: a handoff that does not ask for them releases them
        if len(request.prefixes) == len(request.home_prefixes):  # one ALL_ZERO among them: allocated (§5.3.2)
            good = len(request.prefixes) == len(set(request.prefixes))
            if not good or not all(self._may_have_prefix(prefix, profile) for prefix in request.prefixes):
                return Refusal(Status.NOT_AUTHORIZED_FOR_HOME_NETWORK_PREFIX)
            return request.prefixes
        held = self._cache.prefixes
        if profile.prefixes:
            static = tuple(pack(int(prefix.network_address), prefix.prefixlen) for prefix in profile.prefixes)
            if not any(prefix in held for prefix in static):
                return static
        pool = self._prefixes.get(profile.realm)
        found: list[int] = []
        for _ in range(profile.prefix_count):
            prefix = None if pool is None else pool.take(held.__contains__)
            if prefix is None:
                self._return_prefixes(profile.realm, tuple(found), None)
                return Refusal(Status.INSUFFICIENT_RESOURCES)
            found.append(prefix)
        return tuple(found)

    def _may_have_prefix(self, prefix: PackedPrefix, profile: Profile) -> bool:
        """RFC 5213 §5.3.2: owned by the LMA, authorised for the mobile node, and nobody's."""
        if prefix in self._cache.prefixes:
            return False
        address, length = unpack(prefix)
        if any((int(own.network_address), own.prefixlen) == (address, length) for own in profile.prefixes):
            return True
        pool = self._prefixes.get(profile.realm)
        return pool is not None and prefix in pool and not pool.reserved(prefix)

    def _choose_ipv4(
        self, request: Request, profile: Profile, base: Session | None, kind: Kind
    ) -> PackedIPv4 | Refusal | None:
        if request.ipv4 is None:
            return base.ipv4 if base is not None and kind is Kind.REFRESH else None
        asked = self.asked_ipv4(request, profile)
        refusal = Refusal(
            Status.NOT_AUTHORIZED_FOR_IPV4_HOME_ADDRESS, IPv4HomeAddressStatus.ADMINISTRATIVELY_PROHIBITED
        )
        if base is not None and base.ipv4 is not None:
            return base.ipv4 if asked in (None, base.ipv4) else refusal
        pool = self._ipv4.get(profile.realm)
        held = self._cache.ipv4.setdefault(profile.realm, {})
        own = None
        if profile.ipv4_home_address is not None:
            own = pack(int(profile.ipv4_home_address), self._ipv4_length(profile.realm))
        if asked is not None:
            mine = asked == own or (own is None and pool is not None and asked in pool and not pool.reserved(asked))
            return asked if mine and asked not in held else refusal
        if own is not None and own not in held:
            return own
        taken = None if pool is None or own is not None else pool.take(held.__contains__)
        return Refusal(Status.INSUFFICIENT_RESOURCES) if taken is None else taken

    def _ipv4_length(self, realm: str) -> int:
        pool = self._config.realms[realm].ipv4_pool
        return 32 if pool is None else pool.prefixlen

    # --- giving back -------------------------------------------------------------------------------------------------

    def release(self, gone: Session, kept: Session | None, now: float) -> float | None:
        """Give back what one session held and the other does not; answers until when its key rests.

        Args:
            gone: The session that was, or that was proposed and refused.
            kept: The one that is; None if none is.
            now: Monotonic seconds.
        """
        for prefix in gone.prefixes:
            if kept is None or prefix not in kept.prefixes:
                del self._cache.prefixes[prefix]
                if (pool := self._prefixes.get(gone.realm)) is not None:
                    pool.give_back(prefix)
        if gone.ipv4 is not None and (kept is None or kept.ipv4 != gone.ipv4):
            del self._cache.ipv4[gone.realm][gone.ipv4]
            self._return_ipv4(gone.realm, gone.ipv4, None)
        if gone.uplink_key is not None and (kept is None or kept.uplink_key is None):
            return self._keys.release(gone.granularity, gone.realm, gone.uplink_key, now)
        return None

    def _return_prefixes(self, realm: str, prefixes: tuple[PackedPrefix, ...], base: Session | None) -> None:
        pool = self._prefixes.get(realm)
        if pool is not None and (base is None or prefixes != base.prefixes):
            for prefix in prefixes:
                pool.give_back(prefix)

    def _return_ipv4(self, realm: str, ipv4: PackedIPv4 | None, base: Session | None) -> None:
        pool = self._ipv4.get(realm)
        if pool is not None and ipv4 is not None and (base is None or ipv4 != base.ipv4):
            pool.give_back(ipv4)


def _left_ipv6(request: Request, session: Session) -> bool:
    """Whether a de-registration leaves the prefixes alone."""
    return bool(session.prefixes) and not request.ipv6


def _left_ipv4(request: Request, session: Session) -> bool:
    """Whether a de-registration leaves the IPv4 home address alone."""
    return session.ipv4 is not None and request.ipv4 is None
