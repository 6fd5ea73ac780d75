"""The configuration file's schema: every section, its keys, their defaults and what each must be by itself.

Finished configurations are frozen. What needs more than one section to be judged stands in `references`.
"""

from collections.abc import Mapping
from ipaddress import IPv4Address
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, StrictBool, StrictInt, model_validator

from p4pmip.node.values import (
    Address,
    AdminText,
    Destination,
    FilePath,
    InterfaceName,
    IPAddress,
    Ipv4Pool,
    Ipv4Text,
    MacText,
    MobileNodeMac,
    Nai,
    Name,
    Neighbours,
    Number,
    Prefix,
    PrefixPool,
    tcp_address,
)
from p4pmip.p4runtime.target import Target, parse_target

GreWanted = Literal["none", "mode", "key"]
DialectName = Literal["draft-00", "rfc5845", "rfc5845-strict"]
KEY_MAXIMUM = 2**32 - 1


class Section(BaseModel):
    """What every section shares: unknown keys are refused, nothing changes afterwards."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class GrePolicy(Section):
    """The policy check for GRE of one (MAG, LMA, MN) (draft-00 §3.3.1, §5.2; RFC 5845 §2.2)."""

    wanted: GreWanted = Field("key", description="no GRE, GRE without keys, or GRE with a pair of keys")
    required: StrictBool = Field(False, description="refuse (LMA) or give up (MAG) a session that would go without")

    @model_validator(mode="after")
    def _can_be(self) -> "GrePolicy":
        if self.wanted == "none" and self.required:
            raise ValueError("a policy without GRE cannot require it: wanted must be mode or key")
        return self


class Realm(Section):
    """One operator's address space. Realms may overlap: what keeps them apart is the GRE key."""

    ipv4_pool: Ipv4Pool | None = Field(None, description="IPv4 home addresses (RFC 5844)")
    ipv4_router: Ipv4Text | None = Field(None, description="IPv4 default router; default: the pool's first address")
    prefix_pool: PrefixPool | None = Field(None, description="home network prefixes are cut from here")
    prefix_length: StrictInt = Field(64, ge=1, le=64, description="length of one home network prefix; SLAAC needs 64")
    dns: tuple[Address, ...] = Field((), description="recursive name servers told to the mobile nodes")
    gre: GrePolicy = Field(GrePolicy(wanted="key", required=False), description="policy of sessions of this realm")
    keys: Literal["session", "realm"] = Field("session", description="what one pair of GRE keys stands for")

    @model_validator(mode="after")
    def _has_addresses(self) -> "Realm":
        if self.ipv4_pool is None and self.prefix_pool is None:
            raise ValueError("a realm needs ipv4_pool, prefix_pool or both")
        if self.ipv4_pool is not None and self.ipv4_pool.prefixlen > 30:
            raise ValueError(f"ipv4_pool {self.ipv4_pool} has no room for a router and a mobile node (/30 or shorter)")
        if self.ipv4_router is not None and (self.ipv4_pool is None or self.ipv4_router not in self.ipv4_pool):
            raise ValueError(f"ipv4_router {self.ipv4_router} is not in ipv4_pool {self.ipv4_pool}")
        if self.ipv4_pool and self.ipv4_router in (self.ipv4_pool.network_address, self.ipv4_pool.broadcast_address):
            raise ValueError(f"ipv4_router {self.ipv4_router} is no host address of ipv4_pool {self.ipv4_pool}")
        if self.prefix_pool is not None and self.prefix_pool.prefixlen > self.prefix_length:
            raise ValueError(f"prefix_pool {self.prefix_pool} is longer than prefix_length {self.prefix_length}")
        return self

    @property
    def router(self) -> IPv4Address | None:
        """The IPv4 default router (RFC 5844 §3.4)."""
        return self.ipv4_router or (None if self.ipv4_pool is None else self.ipv4_pool[1])


class MobileNode(Section):
    """The policy profile of one mobile node (RFC 5213 §6.2)."""

    nai: Nai = Field(min_length=1, description="MN-Identifier (RFC 4283)")
    realm: str = Field(description="the operator whose addresses it has")
    mac: tuple[MobileNodeMac, ...] = Field((), description="link-layer addresses by which a MAG knows it")
    ipv4: Ipv4Text | None = Field(None, description="IPv4 home address; default: from the realm's pool")
    prefix: Prefix | None = Field(None, description="home network prefix; default: from the realm's pool")


class Peer(Section):
    """A MAG or LMA at the other end of the signalling."""

    address: Address = Field(description="where its signalling comes from")
    tunnel: Address | None = Field(None, description="its tunnel end point, where it differs and is not signalled")
    dialect: DialectName = Field("rfc5845", description="how GRE keys are negotiated with it")
    gre: GrePolicy | None = Field(None, description="policy for this peer, before the realm's")
    udp_tlv: StrictBool = Field(False, description="IPv4-UDP encapsulation with the TLV header (RFC 5845 §7)")
    spi: StrictInt | None = Field(None, ge=256, le=KEY_MAXIMUM, description="RFC 4285 security parameter index")
    secret_file: FilePath | None = Field(None, description="file (mode 0600) with the secret of that index")
    algorithm: Literal["hmac-sha1-96", "hmac-sha256-128"] = Field("hmac-sha1-96", description="of the authenticator")
    replay_protection: StrictBool = Field(False, description="RFC 4285 §6: every PBU carries its option; needs spi")
    replay_window: Number = Field(7.0, gt=3, description="seconds by which that may be off")
    realms: tuple[str, ...] | None = Field(
        None, description="at an LMA: realms of which this MAG may register mobile nodes; default: all (RFC 5213 §4)"
    )
    heartbeat: StrictBool = Field(True, description="false: it does not know heartbeats (RFC 5847)")
    revocation: StrictBool = Field(True, description="false: it does not know binding revocation (RFC 5846)")
    global_revocation: StrictBool = Field(
        False, description="at an LMA: this MAG may revoke all its bindings at once (RFC 5846 §13)"
    )
    gre_not_supported_status: StrictInt = Field(181, ge=128, le=255, description="draft-00: the number of TBA1")
    gre_required_status: StrictInt = Field(163, ge=128, le=255, description="draft-00: the number of TBA2")

    @model_validator(mode="after")
    def _secret_and_spi(self) -> "Peer":
        if (self.spi is None) != (self.secret_file is None):
            raise ValueError("spi and secret_file belong together")
        if self.replay_protection and self.spi is None:
            raise ValueError("replay_protection is of signed messages: it needs spi and secret_file")
        return self


class Signalling(Section):
    """Where a node's PBUs and PBAs come and go."""

    transport: Literal["mh", "udp", "in-band"] = Field(
        "mh",
        description="mh: this machine's sockets, the Mobility Header over IPv6; udp: its sockets, UDP 5436 over IPv4"
        " (RFC 5844); in-band: through the switch, whose address it then is, either by the address's family",
    )
    address: Address = Field(description="the LMA address (LMAA), or the MAG's end of the signalling")

    @model_validator(mode="after")
    def _family(self) -> "Signalling":
        if self.transport == "udp" and self.address.version != 4:
            raise ValueError("transport udp is RFC 5844's: address must be IPv4")
        if self.transport == "mh" and self.address.version != 6:
            raise ValueError("transport mh needs an IPv6 address")
        return self


class Port(Section):
    """What hangs on one port of the switch."""

    number: StrictInt = Field(ge=1, le=509, description="the switch's port number")
    role: Literal["access", "transport", "service"] = Field(
        description="mobile nodes; between MAG and LMA; an operator's network behind the LMA"
    )
    vlan: StrictInt | None = Field(None, ge=1, le=4094, description="default: untagged frames")
    mac: MacText | None = Field(None, description="the node's own link-layer address on this port")
    address: tuple[Address, ...] = Field((), description="addresses the node answers for on this port")
    interface: InterfaceName | None = Field(
        None,
        description="access: this machine's interface behind the port: when it goes down, everybody on it has left",
    )
    realm: str | None = Field(None, description="service: the operator behind the port; access: the default realm")
    default_realm_limit: StrictInt = Field(
        128,
        ge=1,
        description="access: mobile nodes at a time that are here by the default realm alone; who stands in"
        " `mobile_nodes` is neither counted nor refused",
    )
    mtu: StrictInt = Field(1500, ge=1280, le=65535, description="of the link, in octets of IP")
    neighbours: Neighbours = Field(default_factory=dict, description="static next hops; others by ARP/ND")
    gateway: tuple[Address, ...] = Field((), description="next hops of the default routes (one per family)")

    @model_validator(mode="after")
    def _realm_where_needed(self) -> "Port":
        if self.interface is not None and self.role != "access":
            raise ValueError("interface is for access ports: only there somebody can leave")
        if "default_realm_limit" in self.model_fields_set and (self.role != "access" or self.realm is None):
            raise ValueError("default_realm_limit is for access ports with a realm")
        if self.role == "service" and self.realm is None:
            raise ValueError("a service port needs a realm")
        if self.role == "transport" and self.realm is not None:
            raise ValueError("a transport port has no realm")
        for key in ("address", "neighbours", "gateway"):
            if self.role == "access" and getattr(self, key):
                raise ValueError(f"{key} is for transport and service ports: an access port has mobile nodes only")
        if len({gateway.version for gateway in self.gateway}) < len(self.gateway):
            raise ValueError(f"gateway: more than one of a family: {', '.join(map(str, self.gateway))}")
        return self


class Route(Section):
    """A static route of the transport network."""

    to: Destination = Field(description="destination")
    via: Address = Field(description="next hop")
    port: StrictInt = Field(description="the port that it is reached by")


class Keys(Section):
    """What both roles say about the keys that they allocate."""

    key_first: StrictInt = Field(0, ge=0, le=KEY_MAXIMUM, description="smallest GRE key to allocate")
    key_last: StrictInt = Field(KEY_MAXIMUM, ge=0, le=KEY_MAXIMUM, description="largest GRE key to allocate")
    key_quarantine: Number = Field(30.0, ge=0, description="seconds a released key rests")

    @model_validator(mode="after")
    def _range(self) -> "Keys":
        if self.key_first > self.key_last:
            raise ValueError(f"key_first {self.key_first} is above key_last {self.key_last}")
        return self


class Engine(Keys):
    """What both roles have of the RFCs' variables."""

    heartbeat_interval: Number = Field(
        60.0, description="seconds between heartbeats to a peer, 30 to 3600 (RFC 5847 §5); 0: none are sent"
    )
    missing_heartbeats_allowed: StrictInt = Field(
        3, ge=0, description="unanswered ones until a peer counts as unreachable"
    )
    timestamp_based_approach_in_use: StrictBool = Field(
        True, description="false: PBUs are ordered by sequence numbers; the same in the whole domain (RFC 5213 §9.3)"
    )
    bri_max_retries: StrictInt = Field(1, ge=0, description="BRIMaxRetriesNumber (RFC 5846 §11)")
    init_min_delay_bris: Number = Field(1.0, ge=0.5, description="InitMINDelayBRIs, seconds")
    max_brack_timeout: Number = Field(2.0, gt=0, description="MAX_BRACK_TIMEOUT, seconds")

    @model_validator(mode="after")
    def _interval(self) -> "Engine":
        if self.heartbeat_interval and not 30 <= self.heartbeat_interval <= 3600:
            raise ValueError(f"heartbeat_interval {self.heartbeat_interval} is not 0 or 30 to 3600 seconds")
        return self


class Lma(Engine):
    """A local mobility anchor's own variables, by the names of the RFCs (RFC 5213 §9.1 and others)."""

    realms: tuple[str, ...] = Field((), description="realms anchored here; default: all")
    min_delay_before_bce_delete: Number = Field(
        10.0, ge=0, description="seconds for which a de-registered binding is held"
    )
    max_delay_before_new_bce_assign: Number = Field(
        1.5, ge=0, description="seconds for which a PBU waits for the old MAG's de-registration"
    )
    timestamp_validity_window: Number = Field(0.3, gt=0, description="seconds by which a timestamp may be off")
    lifetime: StrictInt = Field(3600, ge=4, le=262140, description="longest lifetime granted, seconds")
    gre_supported: StrictBool = Field(True, description="false: an LMA without GRE")
    revoke_on_handoff: StrictBool = Field(True, description="tell the MAG that a node has left (RFC 5846 §8.1)")
    mobile_node_generated_timestamp_in_use: StrictBool = Field(
        False, description="timestamps are the mobile nodes' own: no window (RFC 5213 §9.3)"
    )
    accept_forced_ipv4_udp_encapsulation_request: StrictBool = Field(False, description="RFC 5844 §5.1")
    domain_wide_lma_upa_support: StrictBool = Field(
        False, description="tell the tunnel end point to MAGs that do not ask for it (RFC 7389 §5)"
    )


class Mag(Engine):
    """A mobile access gateway's own variables."""

    lma: str = Field(description="the peer (or node) that anchors its mobile nodes")
    lifetime: StrictInt = Field(3600, ge=4, le=262140, description="lifetime asked for, seconds")
    refresh_fraction: Number = Field(0.7, gt=0.1, lt=1, description="part of a lifetime after which it is extended")
    initial_bindack_timeout: Number = Field(1.0, gt=0, description="seconds until a PBU is sent again (RFC 6275 §12)")
    max_bindack_timeout: Number = Field(32.0, gt=0, description="longest time between two, seconds")
    fixed_link_local: StrictBool = Field(
        True, description="RFC 6543's router address on every access link; false: the LMA keeps one per mobile node"
    )
    force_ipv4_udp_encapsulation_support: StrictBool = Field(False, description="RFC 5844 §5.2")
    enable_mag_local_routing: StrictBool = Field(
        False, description="RFC 5213 §9.2: mobile nodes of one realm reach each other here, not by way of the LMA"
    )
    identity: Nai = Field("", description="MAG-Identity, for revocations of everything (RFC 5846 §9.2)")
    idle_timeout: Number = Field(60.0, gt=0, description="seconds without traffic before a node is probed")

    @model_validator(mode="after")
    def _timeouts(self) -> "Mag":
        if self.initial_bindack_timeout > self.max_bindack_timeout:
            raise ValueError(
                f"initial_bindack_timeout {self.initial_bindack_timeout} is above "
                f"max_bindack_timeout {self.max_bindack_timeout}"
            )
        return self


class TunnelSettings(Section):
    """The outer header this node writes (RFC 2473, RFC 2983, RFC 6040)."""

    address: Address = Field(description="Proxy-CoA or LMA user-plane address")
    hop_limit: StrictInt = Field(64, ge=1, le=255, description="hop limit or TTL")
    dscp: Literal["uniform"] | Annotated[StrictInt, Field(ge=0, le=63)] = Field(
        "uniform", description="uniform: copied at both ends; a number: that, and the inner one stays (pipe)"
    )
    mtu: StrictInt = Field(1500, ge=1280, le=65535, description="MTU of the path between the tunnel end points")


class NodeSettings(Section):
    """One node: an engine or two on one switch."""

    signalling: Signalling = Field(description="where its PBUs and PBAs come and go")
    tunnel: TunnelSettings = Field(description="its tunnel end point")
    target: str = Field(description="the switch: HOST:PORT[/DEVICE_ID], or the name of a target in `inventory`")
    journal: FilePath | None = Field(None, description="SQLite file of the bindings; default: NODE.db beside the file")
    admin: AdminText | None = Field(
        None, description="admin API: a Unix socket's path, or ADDRESS:PORT; default: NODE.sock beside the file"
    )
    reconcile_interval: Number = Field(
        300.0,
        ge=0,
        description="seconds between comparisons of the switch with what it should hold; 0: at connects only",
    )
    peers: dict[str, Peer] = Field(default_factory=dict, description="peers that are not nodes of this file")
    ports: tuple[Port, ...] = Field(min_length=1, description="what hangs on the switch")
    routes: tuple[Route, ...] = Field((), description="static routes of the transport network")
    lma: Lma | None = Field(None, description="there: the node is an LMA")
    mag: Mag | None = Field(None, description="there: the node is a MAG; it may be both")

    @model_validator(mode="after")
    def _roles_and_ports(self) -> "NodeSettings":
        if self.lma is None and self.mag is None:
            raise ValueError("a node needs a section lma, mag or both")
        if self.lma is not None and self.mag is not None and self.mag.enable_mag_local_routing:
            raise ValueError("mag.enable_mag_local_routing: not on a node that is an LMA, too")
        access = [str(port.number) for port in self.ports if port.role == "access"]
        if access and self.mag is None:
            raise ValueError(f"ports with role access on a node without section mag: {', '.join(access)}")
        numbers = [(port.number, port.vlan) for port in self.ports]
        doubles = sorted({number for number in numbers if numbers.count(number) > 1}, key=str)
        if doubles:
            raise ValueError(f"ports given twice: {', '.join(str(number) for number, _ in doubles)}")
        return self


class Config(Section):
    """The whole file."""

    realms: dict[str, Realm] = Field(min_length=1, description="operators, by name")
    mobile_nodes: tuple[MobileNode, ...] = Field((), description="who may attach")
    nodes: dict[Name, NodeSettings] = Field(min_length=1, description="MAGs and LMAs, by name")
    inventory: FilePath | None = Field(
        None, description="TOML file of targets by name, with their TLS files and what they do differently"
    )
    _folder: Path = PrivateAttr(default=Path())
    _targets: Mapping[str, Target] = PrivateAttr(default_factory=dict)

    def placed(self, folder: Path, targets: Mapping[str, Target]) -> "Config":
        """The same configuration, as that of a file in `folder` with an inventory of `targets`."""
        self._folder = folder
        self._targets = targets
        return self

    def with_targets_of(self, other: "Config") -> "Config":
        """The same configuration with the targets of another, where that knows them."""
        targets = {**self._targets, **other._targets}
        return self.model_copy(update={"inventory": other.inventory}).placed(self._folder, targets)

    def target(self, name: str) -> Target:
        """The switch of a node.

        Raises:
            P4pmipError: `target` is neither an address nor in the inventory.
        """
        return parse_target(self.nodes[name].target, self._targets)

    def journal(self, name: str) -> Path:
        """The journal of a node."""
        return self.nodes[name].journal or self._folder / f"{name}.db"

    def admin(self, name: str) -> Path | tuple[str, int]:
        """Where the admin API of a node listens: a Unix socket, or a TCP address and port."""
        text = self.nodes[name].admin
        if text is None:
            return self._folder / f"{name}.sock"
        return tcp_address(text) or self._folder / text

    def name_of(self, name: str, address: IPAddress) -> str:
        """What the file of node `name` calls the peer whose signalling comes from an address."""
        for other, peer in self.nodes[name].peers.items():
            if peer.address == address:
                return other
        for other, node in self.nodes.items():
            if node.signalling.address == address:
                return other
        return str(address)

    def overlapping(self, name: str) -> bool:
        """Whether the IPv4 pool of the realm shares addresses with another one (draft-00 §3.1: keys are needed)."""
        mine = self.realms[name].ipv4_pool
        return mine is not None and any(
            other != name and realm.ipv4_pool is not None and realm.ipv4_pool.overlaps(mine)
            for other, realm in self.realms.items()
        )
