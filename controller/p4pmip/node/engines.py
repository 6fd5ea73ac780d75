"""From the configuration file to the configurations of the engines: nothing is decided here."""

from collections.abc import Iterator
from dataclasses import replace
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

from p4pmip.errors import P4pmipError
from p4pmip.mobility.binding import Granularity, Gre, IPAddress
from p4pmip.mobility.config import FIXED_LINK_LOCAL, GrePolicy, LmaConfig, MagConfig, Peer, Realm
from p4pmip.mobility.dialects import Dialect
from p4pmip.mobility.endpoint import Endpoint
from p4pmip.node import config as file
from p4pmip.node.identity import directory
from p4pmip.node.secret import read_secret
from p4pmip.wire.authenticator import Algorithm, SecurityAssociation
from p4pmip.wire.numbers import DEFAULT_CODEPOINTS, SIGNALLING_PORT

SESSION_LAST = (1 << 31) - 1
SESSION_FIRST_BESIDE_LMA = 1 << 30
"""A MAG and an LMA on one switch divide the session ids between them."""

_WANTED = {"none": Gre.PLAIN, "mode": Gre.MODE, "key": Gre.KEYED}
_ALGORITHM = {"hmac-sha1-96": Algorithm.HMAC_SHA1_96, "hmac-sha256-128": Algorithm.HMAC_SHA256_128}
_GRANULARITY = {"session": Granularity.SESSION, "realm": Granularity.REALM}


def signalling_endpoint(node: file.NodeSettings) -> Endpoint:
    """Where the node's signalling comes and goes."""
    port = SIGNALLING_PORT if node.signalling.address.version == 4 else None
    return Endpoint(node.signalling.address, port)


def load(path: Path) -> file.Config:
    """Read a configuration file whose nodes can run, as far as the file tells.

    Raises:
        ConfigError: Something in it cannot be used.
    """
    config = file.load(path)
    findings = [f"{path}: {line}" for line in unfit(config)]
    if findings:
        raise file.ConfigError(findings)
    return config


def unfit(config: file.Config) -> Iterator[str]:
    """A line for each role that no engine can have."""
    for name in config.nodes:
        for role, made in (("lma", lma_config), ("mag", mag_config)):
            try:
                made(config, name)
            except P4pmipError as error:
                yield f"nodes.{name}.{role}: {error}"


def lma_config(config: file.Config, name: str, restart_counter: int = 0) -> LmaConfig | None:
    """The LMA of a node, if it is one.

    Raises:
        P4pmipError: A secret cannot be read, or parts contradict each other.
    """
    node = config.nodes[name]
    if node.lma is None:
        return None
    mags = {other: settings for other, settings in config.nodes.items() if settings.mag and settings.mag.lma == name}
    return LmaConfig(
        realms=_realms(config),
        directory=directory(config, node.lma),
        peers=_peers(node, mags),
        local=(signalling_endpoint(node),),
        tunnel=(node.tunnel.address,),
        key_first=node.lma.key_first,
        key_last=node.lma.key_last,
        key_quarantine=node.lma.key_quarantine,
        session_last=SESSION_LAST if node.mag is None else SESSION_FIRST_BESIDE_LMA - 1,
        restart_counter=restart_counter,
        **_common(node.lma),
        gre_supported=node.lma.gre_supported,
        revoke_on_handoff=node.lma.revoke_on_handoff,
        lifetime=node.lma.lifetime,
        min_delay_before_bce_delete=node.lma.min_delay_before_bce_delete,
        max_delay_before_new_bce_assign=node.lma.max_delay_before_new_bce_assign,
        timestamp_validity_window=node.lma.timestamp_validity_window,
        mobile_node_generated_timestamp_in_use=node.lma.mobile_node_generated_timestamp_in_use,
        accept_forced_ipv4_udp_encapsulation_request=node.lma.accept_forced_ipv4_udp_encapsulation_request,
        domain_wide_lma_upa_support=node.lma.domain_wide_lma_upa_support,
    )


def mag_config(config: file.Config, name: str, restart_counter: int = 0) -> MagConfig | None:
    """The MAG of a node, if it is one.

    Raises:
        P4pmipError: A secret cannot be read, or parts contradict each other.
    """
    node = config.nodes[name]
    if node.mag is None:
        return None
    anchors = {node.mag.lma: config.nodes[node.mag.lma]} if node.mag.lma in config.nodes else {}
    anchor = node.peers.get(node.mag.lma)
    return MagConfig(
        realms=_realms(config),
        directory=directory(config, node.mag),
        peers=_peers(node, anchors, request_user_plane=True),
        local=(signalling_endpoint(node),),
        tunnel=(node.tunnel.address,),
        key_first=node.mag.key_first,
        key_last=node.mag.key_last,
        key_quarantine=node.mag.key_quarantine,
        session_first=1 if node.lma is None else SESSION_FIRST_BESIDE_LMA,
        session_last=SESSION_LAST,
        restart_counter=restart_counter,
        **_common(node.mag),
        refresh_fraction=node.mag.refresh_fraction,
        initial_bindack_timeout=node.mag.initial_bindack_timeout,
        max_bindack_timeout=node.mag.max_bindack_timeout,
        fixed_link_local=FIXED_LINK_LOCAL if node.mag.fixed_link_local else None,
        force_ipv4_udp_encapsulation_support=node.mag.force_ipv4_udp_encapsulation_support,
        identity=(node.mag.identity or name).encode(),
        lma=anchor.address if anchor else anchors[node.mag.lma].signalling.address,
        lifetime=node.mag.lifetime,
    )


def engine_configs(config: file.Config, name: str) -> list[LmaConfig | MagConfig]:
    """The configurations of the engines of a node.

    Raises:
        P4pmipError: They cannot be had.
    """
    found = (lma_config(config, name), mag_config(config, name))
    return [one for one in found if one is not None]


def _common(settings: file.Engine) -> dict[str, Any]:
    return {
        "heartbeat_interval": settings.heartbeat_interval or None,
        "missing_heartbeats_allowed": settings.missing_heartbeats_allowed,
        "timestamp_based_approach_in_use": settings.timestamp_based_approach_in_use,
        "bri_max_retries": settings.bri_max_retries,
        "init_min_delay_bris": settings.init_min_delay_bris,
        "max_brack_timeout": settings.max_brack_timeout,
    }


def _realms(config: file.Config) -> dict[str, Realm]:
    return {
        name: Realm(
            name,
            realm.ipv4_pool,
            realm.router,
            realm.prefix_pool,
            realm.prefix_length,
            _policy(realm.gre),
            _GRANULARITY[realm.keys],
            config.overlapping(name),
        )
        for name, realm in config.realms.items()
    }


def _policy(policy: file.GrePolicy) -> GrePolicy:
    return GrePolicy(_WANTED[policy.wanted], policy.required)


def _peers(
    node: file.NodeSettings, others: dict[str, file.NodeSettings], request_user_plane: bool = False
) -> tuple[Peer, ...]:
    """Peers by configuration, and the nodes of the same file, which a peer of the same name says more about."""
    peers = [_peer(name, peer, others.get(name), request_user_plane) for name, peer in node.peers.items()]
    peers += [
        Peer(
            other.signalling.address,
            signalling_endpoint(other).port,
            request_user_plane=request_user_plane and other.tunnel.address != other.signalling.address,
        )
        for name, other in others.items()
        if name not in node.peers
    ]
    return tuple(peers)


def _peer(name: str, peer: file.Peer, other: file.NodeSettings | None, request_user_plane: bool) -> Peer:
    tunnel: IPAddress | None = peer.tunnel
    return Peer(
        peer.address,
        SIGNALLING_PORT if isinstance(peer.address, IPv4Address) else None,
        tunnel,
        Dialect(peer.dialect),
        None if peer.gre is None else _policy(peer.gre),
        udp=peer.udp_tlv,
        security=_security(name, peer),
        realms=None if peer.realms is None else frozenset(peer.realms),
        replay_protection=peer.replay_protection,
        replay_window=peer.replay_window,
        heartbeat=peer.heartbeat,
        revocation=peer.revocation,
        global_revocation=peer.global_revocation,
        codepoints=replace(
            DEFAULT_CODEPOINTS, not_required=peer.gre_not_supported_status, required=peer.gre_required_status
        ),
        request_user_plane=request_user_plane
        and tunnel is None
        and (other is None or other.tunnel.address != other.signalling.address),
    )


def _security(name: str, peer: file.Peer) -> SecurityAssociation | None:
    if peer.spi is None or peer.secret_file is None:
        return None
    return SecurityAssociation(
        peer.spi, read_secret(f"peers.{name}.secret_file", peer.secret_file), _ALGORITHM[peer.algorithm]
    )
