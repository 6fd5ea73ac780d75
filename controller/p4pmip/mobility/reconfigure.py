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
    known = {peer.address: peer for peer in config.peers}
    for address in [address for address in engine.peers if address not in known]:
        engine.timers.disarm(engine.peers.pop(address))
    for address, peer in known.items():
        state = engine.peers.get(address)
        if state is None:
            engine._add_peer(peer)
        else:
            state.config = peer
            if state.sessions:
                heartbeat.start(engine, state, now)
