"""The configuration file: its schema, and the checks that need more than one field.

One TOML file describes realms, mobile nodes and any number of nodes. It is validated as a whole before anything
starts: a `ConfigError` carries every finding, each with its place, the value and the valid choices. Finished
configurations are frozen.
"""

import difflib
import tomllib
from collections.abc import Iterator, Mapping
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from p4pmip.errors import P4pmipError

IPAddress = IPv4Address | IPv6Address
GreWanted = Literal["none", "mode", "key"]
DialectName = Literal["draft-00", "rfc5845", "rfc5845-strict"]
SIGNALLING_PORT = 5436
KEY_MAXIMUM = 2**32 - 1


class ConfigError(P4pmipError):
    """A configuration that cannot be used; `findings` has one line for each thing wrong."""

    def __init__(self, findings: list[str]) -> None:
        super().__init__("configuration", "", "; ".join(findings))
        self.findings = tuple(findings)

    def __str__(self) -> str:
        return "\n".join(self.findings)


def _mac(text: str) -> str:
    octets = text.lower().split(":")
    if len(octets) != 6 or any(len(octet) != 2 or set(octet) - set("0123456789abcdef") for octet in octets):
        raise ValueError("a link-layer address is six octets, as in 02:00:00:00:00:01")
    if int(octets[0], 16) & 1:
        raise ValueError("a link-layer address of a node is not a group address")
    return ":".join(octets)


MacText = Annotated[str, AfterValidator(_mac)]


class Section(BaseModel):
    """What every section shares: unknown keys are refused, nothing changes afterwards."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class GrePolicy(Section):
    """The policy check for GRE of one (MAG, LMA, MN) (draft-00 §3.3.1, §5.2; RFC 5845 §2.2)."""

    wanted: GreWanted = Field("key", description="no GRE, GRE without keys, or GRE with a pair of keys")
    required: bool = Field(False, description="refuse (LMA) or give up (MAG) a session that would go without")


class Realm(Section):
    """One operator's address space. Realms may overlap: what keeps them apart is the GRE key."""

    ipv4_pool: IPv4Network | None = Field(None, description="IPv4 home addresses (RFC 5844)")
    ipv4_router: IPv4Address | None = Field(None, description="IPv4 default router; default: the pool's first address")
    prefix_pool: IPv6Network | None = Field(None, description="home network prefixes are cut from here")
    prefix_length: int = Field(64, ge=1, le=64, description="length of one home network prefix")
    dns: tuple[IPAddress, ...] = Field((), description="recursive name servers told to the mobile nodes")
    gre: GrePolicy = Field(GrePolicy(wanted="key", required=False), description="policy of sessions of this realm")
    keys: Literal["session", "realm"] = Field("session", description="what one pair of GRE keys stands for")

    @model_validator(mode="after")
    def _has_addresses(self) -> "Realm":
        if self.ipv4_pool is None and self.prefix_pool is None:
            raise ValueError("a realm needs ipv4_pool, prefix_pool or both")
        if self.ipv4_router is not None and (self.ipv4_pool is None or self.ipv4_router not in self.ipv4_pool):
            raise ValueError(f"ipv4_router {self.ipv4_router} is not in ipv4_pool {self.ipv4_pool}")
        if self.prefix_pool is not None and self.prefix_pool.prefixlen > self.prefix_length:
            raise ValueError(f"prefix_pool {self.prefix_pool} is longer than prefix_length {self.prefix_length}")
        return self

    @property
    def router(self) -> IPv4Address | None:
        """The IPv4 default router (RFC 5844 §3.4)."""
        return self.ipv4_router or (None if self.ipv4_pool is None else self.ipv4_pool[1])


class MobileNode(Section):
    """The policy profile of one mobile node (RFC 5213 §6.2)."""

    nai: str = Field(min_length=1, max_length=253, description="MN-Identifier (RFC 4283)")
    realm: str
    mac: tuple[MacText, ...] = Field((), description="link-layer addresses by which a MAG knows it")
    ipv4: IPv4Address | None = Field(None, description="IPv4 home address; default: from the realm's pool")
    prefix: IPv6Network | None = Field(None, description="home network prefix; default: from the realm's pool")


class Peer(Section):
    """A MAG or LMA at the other end of the signalling."""

    address: IPAddress = Field(description="where its signalling comes from")
    tunnel: IPAddress | None = Field(None, description="its tunnel end point, where it differs and is not signalled")
    dialect: DialectName = "rfc5845"
    gre: GrePolicy | None = Field(None, description="policy for this peer, before the realm's")
    udp_tlv: bool = Field(False, description="IPv4-UDP encapsulation with the TLV header (RFC 5845 §7)")
    spi: int | None = Field(None, ge=256, le=KEY_MAXIMUM, description="RFC 4285 security parameter index")
    secret_file: Path | None = Field(None, description="file (mode 0600) with the secret of that index")
    algorithm: Literal["hmac-sha1-96", "hmac-sha256-128"] = "hmac-sha1-96"

    @model_validator(mode="after")
    def _secret_and_spi(self) -> "Peer":
        if (self.spi is None) != (self.secret_file is None):
            raise ValueError("spi and secret_file belong together")
        return self


class Signalling(Section):
    """Where a node's PBUs and PBAs come and go."""

    transport: Literal["mh", "udp", "in-band"] = "mh"
    address: IPAddress

    @model_validator(mode="after")
    def _family(self) -> "Signalling":
        if self.transport == "udp" and self.address.version != 4:
            raise ValueError("transport udp is RFC 5844's: address must be IPv4")
        if self.transport != "udp" and self.address.version != 6:
            raise ValueError(f"transport {self.transport} needs an IPv6 address")
        return self


class Port(Section):
    """What hangs on one port of the switch."""

    number: int = Field(ge=1, le=509, description="the switch's port number")
    role: Literal["access", "transport", "service"]
    vlan: int | None = Field(None, ge=1, le=4094)
    mac: MacText | None = Field(None, description="the node's own link-layer address on this port")
    address: tuple[IPAddress, ...] = Field((), description="addresses the node answers for on this port")
    realm: str | None = Field(None, description="service: the operator behind the port; access: the default realm")
    mtu: int = Field(1500, ge=1280, le=65535)
    neighbours: dict[IPAddress, MacText] = Field(default_factory=dict, description="static next hops; others by ARP/ND")
    gateway: tuple[IPAddress, ...] = Field((), description="next hops of the default routes (one per family)")

    @model_validator(mode="after")
    def _realm_where_needed(self) -> "Port":
        if self.role == "service" and self.realm is None:
            raise ValueError("a service port needs a realm")
        if self.role == "transport" and self.realm is not None:
            raise ValueError("a transport port has no realm")
        return self


class Route(Section):
    """A static route of the transport network."""

    to: IPv4Network | IPv6Network
    via: IPAddress
    port: int


class Lma(Section):
    """A local mobility anchor's own variables, by the names of the RFCs (RFC 5213 §9.1 and others)."""

    realms: tuple[str, ...] = Field((), description="realms anchored here; default: all")
    key_first: int = Field(0, ge=0, le=KEY_MAXIMUM)
    key_last: int = Field(KEY_MAXIMUM, ge=0, le=KEY_MAXIMUM)
    key_quarantine: float = Field(30.0, ge=0, description="seconds a released key rests")
    min_delay_before_bce_delete: float = Field(10.0, ge=0, description="seconds")
    max_delay_before_new_bce_assign: float = Field(1.5, ge=0, description="seconds")
    timestamp_validity_window: float = Field(0.3, gt=0, description="seconds")
    lifetime: int = Field(3600, ge=4, le=262140, description="longest lifetime granted, seconds")
    gre_supported: bool = Field(True, description="false: an LMA without GRE")
    heartbeat_interval: float | None = Field(60.0, description="seconds; none: no heartbeats sent")


class Mag(Section):
    """A mobile access gateway's own variables."""

    lma: str = Field(description="the peer (or node) that anchors its mobile nodes")
    key_first: int = Field(0, ge=0, le=KEY_MAXIMUM)
    key_last: int = Field(KEY_MAXIMUM, ge=0, le=KEY_MAXIMUM)
    key_quarantine: float = Field(30.0, ge=0, description="seconds a released key rests")
    lifetime: int = Field(3600, ge=4, le=262140, description="lifetime asked for, seconds")
    heartbeat_interval: float | None = Field(60.0, description="seconds; none: no heartbeats sent")
    idle_timeout: float = Field(60.0, gt=0, description="seconds without traffic before a node is probed")


class TunnelSettings(Section):
    """The outer header this node writes (RFC 2473, RFC 2983, RFC 6040)."""

    address: IPAddress = Field(description="Proxy-CoA or LMA user-plane address")
    hop_limit: int = Field(64, ge=1, le=255)
    dscp: Literal["uniform"] | Annotated[int, Field(ge=0, le=63)] = "uniform"
    mtu: int = Field(1500, ge=1280, le=65535, description="MTU of the path between the tunnel end points")


class NodeSettings(Section):
    """One node: an engine or two on one switch."""

    signalling: Signalling
    tunnel: TunnelSettings
    target: str = Field(description="the switch: HOST:PORT[/DEVICE_ID]")
    journal: Path | None = Field(None, description="SQLite file of the bindings; default: NODE.db beside the file")
    admin: str | None = Field(None, description="admin API: a Unix socket path, or ADDR:PORT")
    peers: dict[str, Peer] = Field(default_factory=dict, description="peers that are not nodes of this file")
    ports: tuple[Port, ...] = Field(min_length=1)
    routes: tuple[Route, ...] = ()
    lma: Lma | None = None
    mag: Mag | None = None

    @model_validator(mode="after")
    def _roles_and_ports(self) -> "NodeSettings":
        if self.lma is None and self.mag is None:
            raise ValueError("a node needs a section lma, mag or both")
        numbers = [(port.number, port.vlan) for port in self.ports]
        doubles = sorted({number for number in numbers if numbers.count(number) > 1}, key=str)
        if doubles:
            raise ValueError(f"ports given twice: {', '.join(str(number) for number, _ in doubles)}")
        return self


class Config(Section):
    """The whole file."""

    realms: dict[str, Realm] = Field(min_length=1)
    mobile_nodes: tuple[MobileNode, ...] = ()
    nodes: dict[str, NodeSettings] = Field(min_length=1)

    def overlapping(self, name: str) -> bool:
        """Whether the IPv4 pool of the realm shares addresses with another one (draft-00 §3.1: keys are needed)."""
        mine = self.realms[name].ipv4_pool
        return mine is not None and any(
            other != name and realm.ipv4_pool is not None and realm.ipv4_pool.overlaps(mine)
            for other, realm in self.realms.items()
        )


def load(path: Path) -> Config:
    """Read and check a configuration file.

    Raises:
        ConfigError: Something in it cannot be used.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError([f"{path}: cannot be read: {error}"]) from error
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError([f"{path}: not TOML: {error}"]) from error
    return parse(data, str(path))


def parse(data: Mapping[str, Any], place: str = "configuration") -> Config:
    """Check a configuration given as plain data.

    Raises:
        ConfigError: Something in it cannot be used.
    """
    try:
        config = Config.model_validate(data)
    except ValidationError as error:
        raise ConfigError([f"{place}: {line}" for line in _lines(error)]) from error
    findings = [f"{place}: {line}" for line in _references(config)]
    if findings:
        raise ConfigError(findings)
    return config


def _lines(error: ValidationError) -> Iterator[str]:
    for finding in error.errors(include_url=False):
        where = ".".join(str(part) for part in finding["loc"] if not str(part).startswith(("literal[", "constrained")))
        message = finding["msg"].removeprefix("Value error, ")
        if finding["type"] == "extra_forbidden":
            choices = _keys_at(finding["loc"][:-1])
            near = difflib.get_close_matches(str(finding["loc"][-1]), choices, 1)
            hint = f"; did you mean {near[0]}?" if near else ""
            yield f"{where}: unknown key{hint} (valid: {', '.join(choices)})"
        elif finding["type"] == "missing":
            yield f"{where}: missing"
        elif finding["type"].startswith("value_error") or isinstance(finding["input"], dict):
            yield f"{where}: {message}"
        else:
            yield f"{where}: {message}: {finding['input']!r}"


def _keys_at(location: tuple[int | str, ...]) -> list[str]:
    """The keys that are valid at a place, found by walking the schema along it."""
    schema: Any = Config.model_json_schema()
    definitions = schema["$defs"]
    for part in location:
        schema = _resolve(schema, definitions)
        if "properties" in schema and part in schema["properties"]:
            schema = schema["properties"][part]
        elif "additionalProperties" in schema:
            schema = schema["additionalProperties"]
        else:
            schema = schema.get("items", schema)
    return sorted(_resolve(schema, definitions).get("properties", {}))


def _resolve(schema: Any, definitions: Any) -> Any:
    while True:
        if "$ref" in schema:
            schema = definitions[schema["$ref"].rsplit("/", 1)[1]]
        elif "anyOf" in schema:
            schema = next((one for one in schema["anyOf"] if one.get("type") != "null"), {})
        elif "allOf" in schema:
            schema = schema["allOf"][0]
        else:
            return schema


def _references(config: Config) -> Iterator[str]:
    """Everything that names something else, and everything that must not collide."""
    realms = ", ".join(config.realms)
    for index, mobile_node in enumerate(config.mobile_nodes):
        where = f"mobile_nodes.{index}"
        realm = config.realms.get(mobile_node.realm)
        if realm is None:
            yield f"{where}.realm: unknown realm: {mobile_node.realm!r} (valid: {realms})"
            continue
        if mobile_node.ipv4 is not None and (realm.ipv4_pool is None or mobile_node.ipv4 not in realm.ipv4_pool):
            yield f"{where}.ipv4: not in the realm's ipv4_pool {realm.ipv4_pool}: '{mobile_node.ipv4}'"
        if mobile_node.prefix is not None and (
            realm.prefix_pool is None or not mobile_node.prefix.subnet_of(realm.prefix_pool)
        ):
            yield f"{where}.prefix: not in the realm's prefix_pool {realm.prefix_pool}: '{mobile_node.prefix}'"
    yield from _doubles(config)
    for name, node in config.nodes.items():
        yield from _node_references(config, name, node)


def _doubles(config: Config) -> Iterator[str]:
    seen: dict[tuple[str, object], int] = {}
    for index, mobile_node in enumerate(config.mobile_nodes):
        keys: list[tuple[str, object]] = [("nai", mobile_node.nai), *(("mac", mac) for mac in mobile_node.mac)]
        if mobile_node.ipv4 is not None:
            keys.append((f"ipv4 of realm {mobile_node.realm}", mobile_node.ipv4))
        for kind, value in keys:
            first = seen.setdefault((kind, value), index)
            if first != index:
                yield f"mobile_nodes.{index}: {kind} is already that of mobile_nodes.{first}: '{value}'"
    names = list(config.realms)
    for index, name in enumerate(names):
        for other in names[:index]:
            mine, theirs = config.realms[name], config.realms[other]
            if mine.prefix_pool and theirs.prefix_pool and mine.prefix_pool.overlaps(theirs.prefix_pool):
                yield f"realms.{name}.prefix_pool: overlaps that of realm {other}: '{mine.prefix_pool}'"
            for which, realm in ((name, mine), (other, theirs)):
                if config.overlapping(which) and realm.gre.wanted != "key":
                    yield (
                        f"realms.{which}.gre.wanted: an overlapping ipv4_pool needs keys: "
                        f"{realm.gre.wanted!r} (valid: key)"
                    )


def _node_references(config: Config, name: str, node: NodeSettings) -> Iterator[str]:
    where = f"nodes.{name}"
    known = [*node.peers, *(other for other in config.nodes if other != name or node.lma)]
    if node.mag is not None and node.mag.lma not in known:
        yield f"{where}.mag.lma: unknown peer: {node.mag.lma!r} (valid: {', '.join(known)})"
    elif node.mag is not None and node.mag.lma in config.nodes and config.nodes[node.mag.lma].lma is None:
        yield f"{where}.mag.lma: that node is no LMA: {node.mag.lma!r}"
    for realm in node.lma.realms if node.lma else ():
        if realm not in config.realms:
            yield f"{where}.lma.realms: unknown realm: {realm!r} (valid: {', '.join(config.realms)})"
    for index, port in enumerate(node.ports):
        if port.realm is not None and port.realm not in config.realms:
            yield f"{where}.ports.{index}.realm: unknown realm: {port.realm!r} (valid: {', '.join(config.realms)})"
    if node.mag is not None and not any(port.role == "access" for port in node.ports):
        yield f"{where}.ports: a MAG needs a port with role access"
    if not any(port.role == "transport" for port in node.ports) and not (node.mag and node.lma):
        yield f"{where}.ports: a node needs a port with role transport"
    numbers = {port.number for port in node.ports}
    for index, route in enumerate(node.routes):
        if route.port not in numbers:
            yield (
                f"{where}.routes.{index}.port: no such port: {route.port} "
                f"(valid: {', '.join(str(number) for number in sorted(numbers))})"
            )
