"""Another configuration for an engine that runs: sessions stay as they are, what comes later goes by the new one."""

from dataclasses import replace

from p4pmip.mobility import heartbeat
from p4pmip.mobility.config import Common, LmaConfig, MagConfig
from p4pmip.mobility.engine import Engine
from p4pmip.mobility.lma import LocalMobilityAnchor
from p4pmip.mobility.mag import MobileAccessGateway
from p4pmip.mobility.registrar import Registrar


def reconfigure(engine: Engine, config: LmaConfig | MagConfig, now: float) -> None:
    """Give an engine another configuration; ranges of keys and session ids, and the restart counter, stay.

    A peer that is no longer in it is refused from now on; its sessions end with their lifetime. What LMAs have refused
    may be asked of them again: this is the administrative action of RFC 5213 §6.9.1.2.
    """
    before: Common = engine.common
    kept = {name: getattr(before, name) for name in ("key_first", "key_last", "session_first", "session_last")}
    if isinstance(engine, LocalMobilityAnchor) and isinstance(config, LmaConfig):
        config = replace(config, restart_counter=before.restart_counter, **kept)
        engine.config = engine.common = config
        engine._registrar = Registrar(config, engine.cache, engine.keys, engine.random)
    elif isinstance(engine, MobileAccessGateway) and isinstance(config, MagConfig):
        config = replace(config, restart_counter=before.restart_counter, **kept)
        engine.config = engine.common = config
        engine.forget_refusals()
    else:
        raise TypeError(f"{type(config).__name__} is not for a {type(engine).__name__}")
    known = {peer.address for peer in config.peers}
    any_mag = config.any_mag if isinstance(config, LmaConfig) else None
    for state in [state for address, state in engine.peers.items() if address not in known]:
        if any_mag is None or not state.sessions:
            engine._drop_peer(state)
        else:
            state.config = replace(any_mag, address=state.config.address, port=state.config.port)
            state.stranger = True
    for peer in config.peers:
        engine._add_peer(peer)
    for state in engine.peers.values():
        if state.sessions:
            heartbeat.start(engine, state, now)
