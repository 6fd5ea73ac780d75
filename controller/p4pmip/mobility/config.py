"""The configuration of an LMA and of a MAG: frozen, checked on construction, under the variable names of the RFCs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from p4pmip.errors import P4pmipError
from p4pmip.mobility.binding import Granularity, Gre, IPAddress
from p4pmip.mobility.dialects import Dialect
from p4pmip.mobility.endpoint import Endpoint
from p4pmip.wire.authenticator import SecurityAssociation
from p4pmip.wire.numbers import DEFAULT_CODEPOINTS, AccessTechnology, Codepoints

KEY_MAXIMUM = 2**32 - 1
_HEARTBEAT_INTERVALS = (30.0, 3600.0)
_SHORTEST_BRI_DELAY = 0.5
_SHORTEST_REPLAY_WINDOW = 3.0
SESSION_ID_MAXIMUM = 2**32 - 1
FIXED_LINK_LOCAL = IPv6Address("fe80::200:5eff:fe00:5213")
"""Of every MAG, so that a mobile node sees one router wherever it is (RFC 6543)."""


class ConfigError(P4pmipError):
    """A configuration that contradicts itself."""


@dataclass(frozen=True, slots=True)
class GrePolicy:
    """The policy check (RFC 5845 §2.2): what one (MAG, LMA, MN) wants of GRE, and whether it insists."""

    wanted: Gre = Gre.KEYED
    required: bool = False

    def __post_init__(self) -> None:
        if self.wanted is Gre.PLAIN and self.required:
            raise ConfigError("gre.required", self.required, "a policy without GRE cannot require it", (False,))

    def allows(self, gre: Gre) -> bool:
        """Whether a session may run so."""
        if not self.required:
            return True
        return gre is Gre.KEYED or (gre is Gre.MODE and self.wanted is Gre.MODE)


@dataclass(frozen=True, slots=True)
class Realm:
    """One operator's address space."""

    name: str
    ipv4_pool: IPv4Network | None = None
    ipv4_router: IPv4Address | None = None
    """Default: the first address of the pool."""
    prefix_pool: IPv6Network | None = None
    prefix_length: int = 64
    gre: GrePolicy = GrePolicy()
    granularity: Granularity = Granularity.SESSION
    overlapping: bool = False
    """Its private IPv4 addresses are also another realm's: IPv4 sessions need keys (draft-00 §3.3.1, §5.2)."""

    @property
    def router(self) -> IPv4Address | None:
        """The IPv4 default router of its mobile nodes (RFC 5844 §3.1.2.1)."""
        if self.ipv4_router is not None or self.ipv4_pool is None:
            return self.ipv4_router
        return self.ipv4_pool[1] if self.ipv4_pool.prefixlen < 31 else self.ipv4_pool[0]


@dataclass(frozen=True, slots=True)
class Profile:
    """The policy profile of a mobile node (RFC 5213 §6.2), or of all those of one domain."""

    realm: str
    ipv4: bool = True
    """Entitled to IPv4 mobility (RFC 5844 §3.1.2.1)."""
    ipv6: bool = True
    proxy_registration: bool = True
    """Whether network-based mobility is enabled for it (status 152 if not)."""
    ipv4_home_address: IPv4Address | None = None
    """None: from the realm's pool."""
    prefixes: tuple[IPv6Network, ...] = ()
    """Of its first session; empty: from the realm's pool."""
    prefix_count: int = 1
    """Prefixes per session, where they come from the pool (RFC 5213 §5.3.2: one or more)."""
    gre: GrePolicy | None = None
    """None: the peer's, else the realm's."""
    lma: IPAddress | None = None
    """MAG: the anchor (LMAA); None: the MAG's default one."""
    technology: int = AccessTechnology.IEEE_802_3
    """MAG: what the access link is, where `attach` does not say."""


@dataclass(frozen=True, slots=True)
class Directory:
    """Who is served: mobile nodes by MN-Identifier, and domains by the part of the NAI behind its `@`."""

    mobile_nodes: Mapping[bytes, Profile] = field(default_factory=dict)
    domains: Mapping[bytes, Profile] = field(default_factory=dict)

    def lookup(self, mn: bytes) -> Profile | None:
        """The profile of a mobile node; None: not one of ours."""
        found = self.mobile_nodes.get(mn)
        if found is None and self.domains:
            found = self.domains.get(mn.rpartition(b"@")[2])
        return found


@dataclass(frozen=True, slots=True)
class Peer:
    """What is agreed with one MAG or LMA."""

    address: IPAddress
    """Where its signalling comes from and goes to."""
    port: int | None = None
    """UDP port for messages that we start; None: the Mobility Header over IPv6."""
    tunnel: IPAddress | None = None
    """Its tunnel end point where that differs from `address` and is not signalled."""
    dialect: Dialect = Dialect.RFC5845
    gre: GrePolicy | None = None
    """For all sessions with this peer; None: the realm's."""
    udp: bool = False
    """IPv4-UDP encapsulation (RFC 5844 §4.1), with GRE in the TLV format (RFC 5845 §7)."""
    udp_required: bool = False
    """MAG: a session without UDP encapsulation is given up."""
    security: SecurityAssociation | None = None
    """RFC 4285; None: IPsec, or a network that needs neither."""
    realms: frozenset[str] | None = None
    """LMA: realms this MAG may register mobile nodes of; None: all (RFC 5213 §4: per-MAG authorisation)."""
    replay_protection: bool = False
    """RFC 4285 §6: its option in every PBU, beside the timestamp or sequence number of RFC 5213."""
    replay_window: float = 7.0
    """Seconds by which its replay protection may be off: "close enough"; more than 3."""
    heartbeat: bool = True
    revocation: bool = True
    """It understands Binding Revocation (RFC 5846)."""
    global_revocation: bool = False
    """LMA: this MAG may revoke all its bindings at once (RFC 5846 §8.2, §13)."""
    request_user_plane: bool = False
    """MAG: ask for the LMA's user-plane address (RFC 7389)."""
    codepoints: Codepoints = DEFAULT_CODEPOINTS

    def __post_init__(self) -> None:
        if self.replay_window <= _SHORTEST_REPLAY_WINDOW:
            raise ConfigError("replay_window", self.replay_window, "too short (RFC 4285 §5.1)", ("more than 3 s",))

    @property
    def endpoint(self) -> Endpoint:
        """Where messages go that we start."""
        return Endpoint(self.address, self.port)


@dataclass(frozen=True, slots=True)
class Common:
    """What an LMA's and a MAG's configuration share."""

    realms: Mapping[str, Realm]
    directory: Directory
    peers: tuple[Peer, ...]
    local: tuple[Endpoint, ...]
    """Signalling end points of our own, one per family at most; for messages that we start."""
    tunnel: tuple[IPAddress, ...] = ()
    """Tunnel end points of our own, one per family at most; none: the signalling address."""
    key_first: int = 0
    key_last: int = KEY_MAXIMUM
    key_quarantine: float = 30.0
    session_first: int = 1
    session_last: int = SESSION_ID_MAXIMUM
    restart_counter: int = 0
    """RFC 5847: one more than at the last start that lost the bindings; persisted by the node."""
    heartbeat_interval: float | None = 60.0
    """HEARTBEAT_INTERVAL, 30 to 3600 s; None: never asked, always answered."""
    missing_heartbeats_allowed: int = 3
    timestamp_based_approach_in_use: bool = True
    bri_max_retries: int = 1
    """BRIMaxRetriesNumber (RFC 5846 §11)."""
    init_min_delay_bris: float = 1.0
    """InitMINDelayBRIs, at least 0.5 s."""
    max_brack_timeout: float = 2.0
    """MAX_BRACK_TIMEOUT."""

    def __post_init__(self) -> None:
        if not 0 <= self.key_first <= self.key_last <= KEY_MAXIMUM:
            raise ConfigError("key_last", self.key_last, "no range of keys", (f"{self.key_first}-{KEY_MAXIMUM}",))
        if not 1 <= self.session_first <= self.session_last <= SESSION_ID_MAXIMUM:
            raise ConfigError("session_last", self.session_last, "no range of session ids")
        interval = self.heartbeat_interval
        if interval is not None and not _HEARTBEAT_INTERVALS[0] <= interval <= _HEARTBEAT_INTERVALS[1]:
            raise ConfigError("heartbeat_interval", interval, "out of range (RFC 5847 §5)", ("30-3600 seconds",))
        if self.init_min_delay_bris < _SHORTEST_BRI_DELAY:
            raise ConfigError("init_min_delay_bris", self.init_min_delay_bris, "too short (RFC 5846 §11)", ("0.5-",))
        for mn, profile in (*self.directory.mobile_nodes.items(), *self.directory.domains.items()):
            if profile.realm not in self.realms:
                raise ConfigError(f"profile {mn!r}", profile.realm, "unknown realm", self.realms)
        for peer in self.peers:
            if peer.replay_protection and peer.security is None:
                raise ConfigError("replay_protection", True, "protects signed messages only (RFC 4285 §6)")
        addresses = [peer.address for peer in self.peers]
        for address in addresses:
            if addresses.count(address) > 1:
                raise ConfigError("peers", str(address), "an address may stand once")

    def policy(self, peer: Peer, profile: Profile, ipv4: bool) -> GrePolicy:
        """The policy check for one session: the mobile node's, else the peer's, else the realm's.

        Args:
            peer: The other end.
            profile: The mobile node's.
            ipv4: Whether the session has an IPv4 home address: only that can overlap.
        """
        realm = self.realms[profile.realm]
        if realm.overlapping and ipv4:
            return _KEY_REQUIRED
        return profile.gre or peer.gre or realm.gre


_KEY_REQUIRED = GrePolicy(Gre.KEYED, required=True)


@dataclass(frozen=True, slots=True)
class LmaConfig(Common):
    """A local mobility anchor."""

    any_mag: Peer | None = None
    """What is agreed with a MAG that is not among the peers (its address is put in); None: it is refused with 154."""
    gre_supported: bool = True
    lifetime: int = 3600
    """Longest lifetime granted, seconds."""
    min_delay_before_bce_delete: float = 10.0
    """MinDelayBeforeBCEDelete, seconds."""
    max_delay_before_new_bce_assign: float = 1.5
    """MaxDelayBeforeNewBCEAssign, seconds; 0 skips the wait (RFC 5213 §5.4.1.2: MAY)."""
    timestamp_validity_window: float = 0.3
    """TimestampValidityWindow, seconds."""
    mobile_node_generated_timestamp_in_use: bool = False
    accept_forced_ipv4_udp_encapsulation_request: bool = False
    dhcp_server: bool = True
    """RFC 5844 §3.3.4: the MAG serves DHCP itself (S = 1), or relays it."""
    domain_wide_lma_upa_support: bool = False
    """RFC 7389 §5: tell the user-plane address to MAGs that do not ask."""
    revoke_on_handoff: bool = False
    """Send a Binding Revocation Indication to the MAG that was left (RFC 5846 §8.1)."""

    def __post_init__(self) -> None:
        Common.__post_init__(self)
        for mn, profile in self.directory.mobile_nodes.items():
            if profile.ipv4_home_address is not None and self.realms[profile.realm].router is None:
                problem = "its realm has no IPv4 default router (RFC 5844 §3.1.2.6)"
                raise ConfigError(f"profile {mn!r}", str(profile.ipv4_home_address), problem)
        if self.mobile_node_generated_timestamp_in_use and not self.timestamp_based_approach_in_use:
            raise ConfigError("mobile_node_generated_timestamp_in_use", True, "needs timestamps (RFC 5213 §9.3)")
        if not self.gre_supported:
            policies = [realm.gre for realm in self.realms.values()]
            policies += [peer.gre for peer in self.peers if peer.gre]
            policies += [profile.gre for profile in self.directory.mobile_nodes.values() if profile.gre]
            if any(policy.wanted is not Gre.PLAIN for policy in policies):
                raise ConfigError("gre_supported", False, "a policy wants GRE of an LMA without it")
            if any(realm.overlapping for realm in self.realms.values()):
                raise ConfigError("gre_supported", False, "overlapping realms need GRE keys")


@dataclass(frozen=True, slots=True)
class MagConfig(Common):
    """A mobile access gateway."""

    lma: IPAddress | None = None
    """The anchor of mobile nodes whose profile names none."""
    lifetime: int = 3600
    """Asked for, seconds."""
    refresh_fraction: float = 0.7
    """A binding is refreshed at about this part of its lifetime."""
    refresh_jitter: float = 0.1
    """Up to this part of the lifetime earlier, at random."""
    initial_bindack_timeout: float = 1.0
    max_bindack_timeout: float = 32.0
    """INITIAL_BINDACK_TIMEOUT, MAX_BINDACK_TIMEOUT, seconds (RFC 6275 §12)."""
    fixed_link_local: IPv6Address | None = FIXED_LINK_LOCAL
    """FixedMAGLinkLocalAddressOnAllAccessLinks (RFC 6543 by default); None is ALL_ZERO: the LMA keeps one per node."""
    force_ipv4_udp_encapsulation_support: bool = False
    identity: bytes = b""
    """MAG-Identity: the MN-Identifier of a revocation of everything (RFC 5846 §9.1)."""
    gre_supported: bool = True
    capability_memo: float = 3600.0
    """Seconds for which it is remembered that an LMA lacks GRE."""
