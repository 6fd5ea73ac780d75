"""Packets between a target's CPU port and the controller (P4Runtime v1 §"Packet I/O")."""

from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass

from p4pmip.errors import P4pmipError
from p4pmip.p4runtime.schema import Schema
from p4pmip.p4runtime.stubs import p4runtime_pb2
from p4pmip.p4runtime.wirecode import canonical

QUEUE_LIMIT = 256
"""Packets of one reason that wait for the controller."""


@dataclass(frozen=True, slots=True)
class PacketIn:
    """A packet that the pipeline sent to the controller, with the fields of the `packet_in` header."""

    reason: str
    """Name of the member in the program's enumeration, or the number where it has none."""
    ingress_port: int
    session_id: int
    aux: int
    payload: bytes


class PacketCodec:
    """Reads packet-in metadata and writes packet-out metadata by the names in the P4Info."""

    def __init__(self, schema: Schema) -> None:
        self._in = {variable.id: variable.name for variable in schema.packet_in.values()}
        self._out = schema.packet_out
        reasons = schema.reasons
        self._reasons: Mapping[int, str] = reasons.names if reasons is not None else {}

    def decode(self, packet: p4runtime_pb2.PacketIn) -> PacketIn:
        """Never fails: a field that is missing is 0, one that is not known is left out."""
        values = {self._in.get(item.metadata_id, ""): int.from_bytes(item.value, "big") for item in packet.metadata}
        reason = values.get("reason", 0)
        return PacketIn(
            self._reasons.get(reason, str(reason)),
            values.get("ingress_port", 0),
            values.get("session_id", 0),
            values.get("aux", 0),
            packet.payload,
        )

    def encode(self, payload: bytes, fields: Mapping[str, int]) -> p4runtime_pb2.PacketOut:
        """With every field of the header, 0 where not given; P4pmipError for an unknown one or one that is too wide."""
        for name, value in fields.items():
            if name not in self._out:
                raise P4pmipError(f"packet_out.{name}", value, "no such field", self._out)
            if not 0 <= value < 1 << self._out[name].width:
                raise P4pmipError(f"packet_out.{name}", value, f"does not fit {self._out[name].width} bits")
        packet = p4runtime_pb2.PacketOut(payload=payload)
        for name, variable in self._out.items():
            packet.metadata.add(metadata_id=variable.id, value=canonical(fields.get(name, 0)))
        return packet


class PacketQueue:
    """Packets that wait for the controller: one bounded queue a reason, taken in order of importance.

    A flood of one reason then costs its own packets only; `dropped` counts them by reason.
    """

    def __init__(self, importance: tuple[str, ...] = (), limit: int = QUEUE_LIMIT) -> None:
        self._importance = {reason: rank for rank, reason in enumerate(importance)}
        self._limit = limit
        self._queues: dict[str, deque[PacketIn]] = {}
        self.dropped: Counter[str] = Counter()

    def put(self, packet: PacketIn) -> None:
        """Keep the packet, or count it if its reason's queue is full."""
        queue = self._queues.get(packet.reason)
        if queue is None:
            self._queues[packet.reason] = queue = deque()
            # Reasons that were not ranked come after those that were, in order of appearance.
            rank = self._importance
            self._queues = dict(sorted(self._queues.items(), key=lambda item: rank.get(item[0], len(rank))))
        if len(queue) >= self._limit:
            self.dropped[packet.reason] += 1
        else:
            queue.append(packet)

    def take(self) -> PacketIn | None:
        """The oldest packet of the most important reason that has one."""
        for queue in self._queues.values():
            if queue:
                return queue.popleft()
        return None
