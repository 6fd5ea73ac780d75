"""What a node says of itself: health, counters, metrics."""

from collections.abc import Iterator, Mapping
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from p4pmip.node.engines import signalling_endpoint
from p4pmip.node.node import Node
from p4pmip.p4runtime.arbitration import State

Json = dict[str, Any]


def health(node: Node) -> Json:
    """Whether the node does its work, and what is in the way if it does not."""
    session = node.switch.session
    alarms = {name: count for part in counters(node).values() for name, count in part.items() if "alarm" in name}
    return {
        "node": node.name,
        "roles": [role for role, engine in (("lma", node.lma), ("mag", node.mag)) if engine is not None],
        "signalling": str(signalling_endpoint(node.settings)),
        "tunnel": str(node.settings.tunnel.address),
        "ready": session.state is State.READY,
        "switch": {
            "target": session.target.label,
            "address": f"{session.target.address}/{session.target.device_id}",
            "state": session.state.value,
            "reason": session.reason,
        },
        "sessions": sum(1 for _ in node.sessions()),
        "peers": [
            {
                "name": node.config.name_of(node.name, address),
                "address": str(address),
                "alive": peer.alive,
                "sessions": peer.sessions,
            }
            for engine in node.engines
            for address, peer in engine.peers.items()
        ],
        "changes": {"count": node.installer.count, "seconds": node.installer.seconds},
        "alarms": alarms,
    }


def counters(node: Node) -> dict[str, dict[str, int]]:
    """Everything that is counted, by the part of the node that counts it."""
    parts: dict[str, Mapping[str, int]] = {
        "node": node.counters + node.installer.counters,
        "access": node.links.access.counters,
        "router": node.links.router.counters,
        "links": node.links.counters,
        "presence": node.presence.counters,
        "switch": node.switch.counters,
        "writer": node.switch.session.writer.counters,
        "drift": node.switch.session.drift,
        "packets_dropped": node.switch.session.packet_queue.dropped,
        "journal": node.journal.counters,
        "transport": node.signalling.counters,
    }
    if node.lma is not None:
        parts["lma"] = node.lma.counters
    if node.mag is not None:
        parts["mag"] = node.mag.counters
    return {part: dict(sorted(counted.items())) for part, counted in parts.items()}


class Metrics(Collector):
    """A node for Prometheus."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)

    def text(self) -> bytes:
        """The exposition."""
        return generate_latest(self._registry)

    def collect(self) -> Iterator[CounterMetricFamily | GaugeMetricFamily]:
        """What is measured, now."""
        node, name = self._node, self._node.name
        events = CounterMetricFamily("p4pmip_events", "What was counted", labels=("node", "part", "name"))
        for part, counted in counters(node).items():
            for event, count in counted.items():
                events.add_metric((name, part, event), count)
        yield events
        sessions: dict[tuple[str, str, str], int] = {}
        for session in node.sessions():
            key = (session.role.value, session.realm, session.phase.value)
            sessions[key] = sessions.get(key, 0) + 1
        held = GaugeMetricFamily("p4pmip_sessions", "Mobility sessions", labels=("node", "role", "realm", "phase"))
        for key, count in sessions.items():
            held.add_metric((name, *key), count)
        yield held
        ready = GaugeMetricFamily("p4pmip_switch_ready", "1 if the switch can be written", labels=("node",))
        ready.add_metric((name,), float(node.switch.session.state is State.READY))
        yield ready
        alive = GaugeMetricFamily("p4pmip_peer_alive", "1 if the peer answers heartbeats", labels=("node", "peer"))
        for engine in node.engines:
            for address, peer in engine.peers.items():
                alive.add_metric((name, str(address)), float(peer.alive))
        yield alive
        taken = CounterMetricFamily(
            "p4pmip_install_seconds", "Time from a change to its answer", labels=("node", "part")
        )
        for part, seconds in node.installer.seconds.items():
            taken.add_metric((name, part), seconds)
        yield taken
        answered = CounterMetricFamily("p4pmip_installs", "Changes of sessions that were answered", labels=("node",))
        answered.add_metric((name,), node.installer.count)
        yield answered
