"""v1model around a program: parser, ingress, traffic manager, egress, deparser.

Sans-IO and deterministic: `process` takes a packet and the time and hands over what leaves. The order of what happens
at the end of ingress and egress is BMv2's (docs/simple_switch.md there): clone, digest, resubmit, multicast, drop,
unicast; then clone, drop, recirculate, send.
"""

from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING

from p4pmip.errors import P4pmipError
from p4pmip.softswitch.interpreter import Interpreter
from p4pmip.softswitch.ir import FieldList, Program, Slot
from p4pmip.softswitch.native.layout import (
    VERDICT_DROP_EGRESS,
    VERDICT_DROP_INGRESS,
    VERDICT_SEND,
    VERDICT_SLOW,
    headers_fit,
)
from p4pmip.softswitch.packet import Packet, Trace
from p4pmip.softswitch.replication import Replica, Replication
from p4pmip.softswitch.state import CounterArray, MeterCells, RegisterArray
from p4pmip.softswitch.tables import Entry, Group, MatchTable, Member

if TYPE_CHECKING:
    from p4pmip.softswitch.native.executor import NativeExecutor

PASSES_LIMIT = 256
"""A packet that starts again more often (resubmitted, recirculated, cloned from a clone) is dropped and counted."""


class InstanceType(IntEnum):
    """v1model's instance_type, with BMv2's numbers."""

    NORMAL = 0
    INGRESS_CLONE = 1
    EGRESS_CLONE = 2
    COALESCED = 3
    RECIRC = 4
    REPLICATION = 5
    RESUBMIT = 6


@dataclass(slots=True)
class Profile:
    """The members and groups of an action profile."""

    name: str
    size: int
    members: dict[int, Member] = field(default_factory=dict)
    groups: dict[int, Group] = field(default_factory=dict)


Output = Callable[[int, bytes], None]

DROPS = {VERDICT_DROP_INGRESS: "ingress", VERDICT_DROP_EGRESS: "egress"}


class Pipeline:
    """One loaded program with its tables, counters, meters, registers and replication.

    Attributes:
        drops: Packets dropped, by reason.
        on_digest: Called with the id of a digest and its values.
    """

    def __init__(self, program: Program, drop_port: int = 511) -> None:
        self.program = program
        self.drop_port = drop_port
        self.tables = {name: MatchTable(table) for name, table in program.tables.items()}
        self.counters = {name: CounterArray(name, size) for name, size in program.counters.items()}
        self.meters = {
            name: MeterCells(name, meter.size, meter.unit == "bytes") for name, meter in program.meters.items()
        }
        self.registers = {name: RegisterArray(name, *shape) for name, shape in program.registers.items()}
        self.profiles = {name: Profile(name, profile.size) for name, profile in program.profiles.items()}
        self.value_sets: dict[str, set[int]] = {name: set() for name in program.value_sets}
        self.replication = Replication()
        self.drops: Counter[str] = Counter()
        self.on_digest: Callable[[int, tuple[int, ...]], None] | None = None
        self._zero = [0] * program.slots
        for header in program.headers.values():
            self._zero[header.base] = int(header.metadata)
        self._slots = program.standard
        self._traced: Interpreter | None = None
        self.native: NativeExecutor | None = None
        self._plain = self._interpreter(trace=False)
        self.reset()

    def _interpreter(self, trace: bool) -> Interpreter:
        cells: dict[str, CounterArray | MeterCells | RegisterArray] = {}
        for known in (self.counters, self.meters, self.registers):
            cells.update(known)
        return Interpreter(self.program, self.tables, cells, self.value_sets, self.drop_port, trace)

    def use_native(self, cpu_port: int) -> "NativeExecutor | None":
        """Run packets in machine code from now on, as far as machine code goes; None if the program is not for it.

        Raises:
            P4pmipError: there is no llvmlite here.
        """
        try:
            from p4pmip.softswitch.native.executor import NativeExecutor
        except ImportError as error:
            raise P4pmipError("executor", "native", f"needs llvmlite: {error}", ["interpreter"]) from error
        if headers_fit(self.program):
            try:
                self.native = NativeExecutor(self.program, self.tables, self.counters, self.drop_port, cpu_port)
            except RuntimeError as error:
                # LLVM's own refusal: the interpreter does all of it.
                self.native = None
                self.drops[f"native_refused: {error}"] += 0
        return self.native

    @property
    def source(self) -> str:
        """The Python that runs."""
        return self._plain.text

    def reset(self) -> None:
        """Tables as the program itself fills them, everything else empty."""
        for table in self.tables.values():
            table.clear()
            definition = table.table
            action = definition.default_action
            table.default = Entry((), 0, -1 if action is None else action, definition.default_arguments)
            for const in definition.entries:
                match = tuple((part, 0) if isinstance(part, int) else part for part in const.match)
                priority = const.priority if table.needs_priority else 0
                entry = Entry(match, priority, const.action, const.arguments)
                entry.const = True
                table.insert(entry)

    # -- packets --

    def process(self, port: int, data: bytes, now: float, output: Output, trace: Trace | None = None) -> None:
        """Run one packet that came in on a port; `output` is called for each packet that leaves."""
        if self.native is not None and trace is None and not self.native.looping:
            verdict, to, leaving = self.native.run(port, data, now)
            if verdict == VERDICT_SEND:
                output(to, leaving)
                return
            if verdict != VERDICT_SLOW:
                self.drops[DROPS[verdict]] += 1
                return
        self.interpret(port, data, now, output, trace)

    def interpret(self, port: int, data: bytes, now: float, output: Output, trace: Trace | None = None) -> None:
        """Run one packet in the interpreter, whatever the executor."""
        f = self._zero.copy()
        slots = self._slots
        f[slots["ingress_port"]] = port
        f[slots["packet_length"]] = len(data)
        f[slots["ingress_global_timestamp"]] = _microseconds(now)
        p = Packet(data, f, now, trace)
        if trace is None:
            run = self._plain
        else:
            run = self._traced = self._traced or self._interpreter(trace=True)
        again = self._ingress(run, p, output)
        if again:
            self._passes(run, again, output)

    def _passes(self, run: Interpreter, packets: list[Packet], output: Output) -> None:
        """Packets that start again: resubmitted and recirculated ones."""
        waiting = deque(packets)
        for _ in range(PASSES_LIMIT):
            if not waiting:
                return
            waiting.extend(self._ingress(run, waiting.popleft(), output))
        self.drops["passes_limit"] += len(waiting)

    def _ingress(self, run: Interpreter, p: Packet, output: Output) -> list[Packet]:
        f, slots = p.fields, self._slots
        run.parse(p)
        f[slots["parser_error"]] = run.error_code(p.error)
        run.verify(p, f)
        run.control("ingress", p)
        again: list[Packet] = []
        if p.failed is not None:
            return self._drop(p.failed)
        if p.clone_session is not None:
            again += self._clone_ingress(run, p, output)
        if p.digest and self.on_digest is not None:
            self.on_digest(p.digest, run.digests[p.digest](p, f))
        if p.resubmit:
            return [*again, self._restart(p, p.data, p.resubmit, InstanceType.RESUBMIT)]
        group = f[slots["mcast_grp"]]
        if group:
            f[slots["instance_type"]] = InstanceType.REPLICATION
            return again + self._replicate(run, p, self.replication.groups.get(group, ()), output)
        port = f[slots["egress_spec"]]
        if port == self.drop_port:
            return again + self._drop("ingress")
        f[slots["instance_type"]] = InstanceType.NORMAL
        return again + self._egress(run, p, port, output)

    def _egress(self, run: Interpreter, p: Packet, port: int, output: Output) -> list[Packet]:
        f, slots = p.fields, self._slots
        p.reset()
        f[slots["egress_port"]] = port
        f[slots["egress_spec"]] = self.drop_port + 1 & 0x1FF
        f[slots["packet_length"]] = p.length
        f[slots["egress_global_timestamp"]] = _microseconds(p.now)
        run.control("egress", p)
        if p.failed is not None:
            return self._drop(p.failed)
        # The clone is as the packet is now, and leaves after it.
        copied = None if p.clone_session is None else self._clone_egress(p)
        again = self._leave(run, p, port, output)
        if copied is not None:
            copy, replicas = copied
            again += self._replicate(run, copy, replicas, output)
        return again

    def _leave(self, run: Interpreter, p: Packet, port: int, output: Output) -> list[Packet]:
        """Dropped, recirculated or sent."""
        f = p.fields
        if f[self._slots["egress_spec"]] == self.drop_port:
            return self._drop("egress")
        run.update(p, f)
        data: bytes = run.deparse(p, f)
        if p.truncate is not None:
            data = data[: p.truncate]
        if p.recirculate:
            return [self._restart(p, data, p.recirculate, InstanceType.RECIRC)]
        output(port, data)
        return []

    def _drop(self, reason: str) -> list[Packet]:
        self.drops[reason] += 1
        return []

    # -- copies --

    def _copy(self, p: Packet, data: bytes) -> Packet:
        """The packet again, before its parser, all metadata zero."""
        copy = Packet(data, self._zero.copy(), p.now, p.trace)
        copy.fields[self._slots["packet_length"]] = len(data)
        return copy

    def _keep(self, p: Packet, copy: Packet, chosen: int, kind: InstanceType) -> None:
        """Carry the fields of a field list over to a copy."""
        kept = self.program.field_lists.get(chosen)
        if kept is not None:
            for slot in _slots(kept):
                copy.fields[slot] = p.fields[slot]
        copy.fields[self._slots["instance_type"]] = kind

    def _restart(self, p: Packet, data: bytes, chosen: int, kind: InstanceType) -> Packet:
        """Only the field list survives: no standard metadata does, not even the ingress port."""
        copy = self._copy(p, data)
        if kind is InstanceType.RESUBMIT:
            copy.ingress_length = p.ingress_length
        self._keep(p, copy, chosen, kind)
        return copy

    def _clone_ingress(self, run: Interpreter, p: Packet, output: Output) -> list[Packet]:
        session = self.replication.sessions.get(p.clone_session or 0)
        if session is None:
            self.drops["clone_session_unknown"] += 1
            return []
        copy = self._copy(p, p.data)
        copy.fields[self._slots["ingress_port"]] = p.fields[self._slots["ingress_port"]]
        run.parse(copy)
        for slot in self.program.metadata:
            copy.fields[slot] = self._zero[slot]
        self._keep(p, copy, p.clone_list, InstanceType.INGRESS_CLONE)
        copy.truncate = session.length or None
        return self._replicate(run, copy, session.replicas, output)

    def _clone_egress(self, p: Packet) -> tuple[Packet, tuple[Replica, ...]] | None:
        session = self.replication.sessions.get(p.clone_session or 0)
        if session is None:
            self.drops["clone_session_unknown"] += 1
            return None
        copy = self._duplicate(p)
        for slot in self.program.metadata:
            copy.fields[slot] = self._zero[slot]
        self._keep(p, copy, p.clone_list, InstanceType.EGRESS_CLONE)
        copy.truncate = session.length or None
        return copy, session.replicas

    def _duplicate(self, p: Packet) -> Packet:
        """The packet with all its headers, as it is now."""
        copy = Packet(p.data, p.fields.copy(), p.now, p.trace)
        copy.offset, copy.length, copy.ingress_length = p.offset, p.length, p.ingress_length
        copy.truncate = p.truncate
        return copy

    def _replicate(self, run: Interpreter, p: Packet, replicas: tuple[Replica, ...], output: Output) -> list[Packet]:
        again: list[Packet] = []
        if not replicas:
            self._drop("no_replicas")
        for replica in replicas:
            copy = self._duplicate(p)
            copy.fields[self._slots["egress_rid"]] = replica.instance
            again += self._egress(run, copy, replica.port, output)
        return again


def _slots(kept: FieldList) -> list[int]:
    return [value.index for value in kept.values if isinstance(value, Slot)]


def _microseconds(now: float) -> int:
    return int(now * 1_000_000) & 0xFFFF_FFFF_FFFF
