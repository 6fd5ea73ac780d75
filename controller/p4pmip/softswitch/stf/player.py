"""Plays the statements of an STF file: everything is written as P4Runtime entities."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from p4pmip.errors import P4pmipError
from p4pmip.softswitch.ir import MatchKind
from p4pmip.softswitch.stf.language import (
    Add,
    CheckCounter,
    Expect,
    Mirror,
    MulticastAssociate,
    MulticastGroup,
    MulticastNode,
    Packet,
    RegisterWrite,
    SetDefault,
    Statement,
    Wait,
)
from p4pmip.softswitch.target.bytestring import encode
from p4pmip.softswitch.target.schema import ActionRef, MatchField, Schema, TableSchema
from p4pmip.softswitch.target.stubs import p4runtime

T = TypeVar("T")


class Bench(Protocol):
    """The target under test."""

    schema: Schema

    def write(self, update: "p4runtime.Update") -> None:
        """Write one update."""

    def read(self, entity: "p4runtime.Entity") -> "list[p4runtime.Entity]":
        """Read entities."""

    def packet(self, port: int, frame: bytes) -> None:
        """Send a packet in."""

    def received(self, expected: int) -> list[tuple[int, bytes]]:
        """All packets that came out so far, in their order; so many should."""


@dataclass(slots=True)
class Player:
    """One file against one target."""

    bench: Bench
    _nodes: list[MulticastNode] = field(default_factory=list)
    _groups: dict[int, list[tuple[int, int]]] = field(default_factory=dict)
    _written: set[int] = field(default_factory=set)
    _expected: list[Expect] = field(default_factory=list)
    _ports: set[int] = field(default_factory=set)
    """Those that the file speaks of: only they have somebody at their other end."""
    _labels: dict[str, "p4runtime.TableEntry"] = field(default_factory=dict)

    def play(self, statements: Iterable[Statement]) -> list[str]:
        """Play all of it; what did not come as expected."""
        problems: list[str] = []
        for statement in statements:
            if not isinstance(statement, Packet | Expect):
                # Packets before a change are through before it.
                self.bench.received(len(self._expected))
            match statement:
                case Add():
                    self._add(statement)
                case SetDefault():
                    self._set_default(statement)
                case Packet(port, frame):
                    self._ports.add(port)
                    self.bench.packet(port, frame)
                case Expect():
                    self._ports.add(statement.port)
                    self._expected.append(statement)
                case MulticastGroup(group):
                    self._groups[group] = []
                case MulticastNode():
                    self._nodes.append(statement)
                case MulticastAssociate(group, node):
                    self._associate(group, node)
                case Mirror():
                    self._mirror(statement)
                case CheckCounter():
                    problems += self._check_counter(statement)
                case RegisterWrite():
                    self._register(statement)
                case Wait():
                    pass
        return problems + self._compare()

    # -- packets --

    def _compare(self) -> list[str]:
        received: dict[int, list[bytes]] = {}
        for port, frame in self.bench.received(len(self._expected)):
            received.setdefault(port, []).append(frame)
        wanted: dict[int, list[Expect]] = {}
        for one in self._expected:
            wanted.setdefault(one.port, []).append(one)
        problems = []
        for port in sorted(self._ports):
            got, expected = received.get(port, []), wanted.get(port, [])
            if len(got) != len(expected):
                problems.append(f"port {port}: {len(expected)} packets expected, {len(got)} came")
                continue
            problems += [
                f"port {port}: {one.nibbles} expected, {frame.hex().upper()} came"
                for one, frame in zip(expected, got, strict=True)
                if not fits(one, frame)
            ]
        return problems

    # -- entries --

    def _add(self, given: Add) -> None:
        table = _find(self.bench.schema.tables.values(), given.table, lambda one: one.name, "table")
        update = p4runtime.Update(type=p4runtime.Update.INSERT)
        entry = update.entity.table_entry
        entry.table_id = table.id
        for name, text in given.match:
            target = _find(table.fields, name, lambda one: one.name, f"field of {table.name}")
            _match(target, text, entry)
        if table.needs_priority:
            entry.priority = (given.priority or 0) + 1
        self._action(table, given.action, given.arguments, entry)
        if given.label is not None:
            self._labels[given.label] = entry
        self.bench.write(update)

    def _set_default(self, given: SetDefault) -> None:
        table = _find(self.bench.schema.tables.values(), given.table, lambda one: one.name, "table")
        update = p4runtime.Update(type=p4runtime.Update.MODIFY)
        update.entity.table_entry.table_id = table.id
        update.entity.table_entry.is_default_action = True
        self._action(table, given.action, given.arguments, update.entity.table_entry)
        self.bench.write(update)

    @staticmethod
    def _action(
        table: TableSchema, name: str, arguments: tuple[tuple[str, str], ...], entry: "p4runtime.TableEntry"
    ) -> None:
        ref: ActionRef = _find(table.actions.values(), name, lambda one: one.name, f"action of {table.name}")
        entry.action.action.action_id = ref.id
        numbers = {parameter: number for number, parameter, _ in ref.parameters}
        for parameter, text in arguments:
            if parameter not in numbers:
                raise P4pmipError(ref.name, parameter, "no such parameter", numbers)
            entry.action.action.params.add(param_id=numbers[parameter], value=encode(int(text, 0)))

    # -- replication, counters, registers --

    def _associate(self, group: int, node: int) -> None:
        replicas = self._groups.setdefault(group, [])
        replicas += [(port, self._nodes[node].instance) for port in self._nodes[node].ports]
        kind = p4runtime.Update.MODIFY if group in self._written else p4runtime.Update.INSERT
        update = p4runtime.Update(type=kind)
        into = update.entity.packet_replication_engine_entry.multicast_group_entry
        into.multicast_group_id = group
        for port, instance in replicas:
            into.replicas.add(egress_port=port, instance=instance)
        self._written.add(group)
        self.bench.write(update)

    def _mirror(self, given: Mirror) -> None:
        update = p4runtime.Update(type=p4runtime.Update.INSERT)
        into = update.entity.packet_replication_engine_entry.clone_session_entry
        into.session_id = given.session
        replicas = [(given.port, 0)] if given.port is not None else self._groups[given.group or 0]
        for port, instance in replicas:
            into.replicas.add(egress_port=port, instance=instance)
        self.bench.write(update)

    def _check_counter(self, given: CheckCounter) -> list[str]:
        if isinstance(given.index, str):
            data = self._direct(given.index)
        else:
            cells = _find(self.bench.schema.counters.values(), given.name, lambda one: one.name, "counter")
            wanted = p4runtime.Entity()
            wanted.counter_entry.counter_id, wanted.counter_entry.index.index = cells.id, given.index
            data = self.bench.read(wanted)[0].counter_entry.data
        value = data.packet_count if given.unit == "packets" else data.byte_count
        if given.value in (value, None):
            return []
        return [f"counter {given.name}({given.index}): {given.value} {given.unit} expected, {value} counted"]

    def _direct(self, label: str) -> "p4runtime.CounterData":
        """The counter of a labelled entry."""
        if label not in self._labels:
            raise P4pmipError("STF", label, "no entry has this label", self._labels)
        wanted = p4runtime.Entity()
        wanted.direct_counter_entry.table_entry.CopyFrom(self._labels[label])
        wanted.direct_counter_entry.table_entry.ClearField("action")
        return self.bench.read(wanted)[0].direct_counter_entry.data

    def _register(self, given: RegisterWrite) -> None:
        cells = _find(self.bench.schema.registers.values(), given.name, lambda one: one.name, "register")
        update = p4runtime.Update(type=p4runtime.Update.MODIFY)
        update.entity.register_entry.register_id = cells.id
        if given.index is not None:
            update.entity.register_entry.index.index = given.index
        update.entity.register_entry.data.bitstring = encode(given.value)
        self.bench.write(update)


def fits(expected: Expect, frame: bytes) -> bool:
    """Whether a packet is what was expected."""
    if expected.nibbles is None:
        return True
    got = frame.hex().upper()
    if len(got) < len(expected.nibbles) or (expected.exact and len(got) != len(expected.nibbles)):
        return False
    return all(want in ("*", have) for want, have in zip(expected.nibbles, got, strict=False))


def _match(target: MatchField, text: str, entry: "p4runtime.TableEntry") -> None:
    everything = (1 << target.width) - 1
    text, _, length = text.partition("/")
    value, mask = _wild(text, target.width)
    match target.kind:
        case MatchKind.EXACT:
            entry.match.add(field_id=target.id).exact.value = encode(value)
        case MatchKind.LPM:
            bits = int(length) if length else target.width if mask == everything else mask.bit_count()
            if bits:
                one = entry.match.add(field_id=target.id).lpm
                one.value, one.prefix_len = encode(value >> target.width - bits << target.width - bits), bits
        case MatchKind.TERNARY:
            if length:
                mask = everything ^ (1 << target.width - int(length)) - 1
            if mask:
                other = entry.match.add(field_id=target.id).ternary
                other.value, other.mask = encode(value & mask), encode(mask)
        case MatchKind.OPTIONAL:
            if mask:
                entry.match.add(field_id=target.id).optional.value = encode(value)
        case MatchKind.RANGE:
            low, _, high = text.partition("->")
            bounds = entry.match.add(field_id=target.id).range
            bounds.low, bounds.high = encode(int(low, 0)), encode(int(high or low, 0))


def _wild(text: str, width: int) -> tuple[int, int]:
    """A number of which `*` digits do not matter, and its mask."""
    everything = (1 << width) - 1
    if "->" in text:
        return 0, 0
    if "*" not in text:
        return int(text, 0) & everything, everything
    digits, bits = text[2:], {"0x": 4, "0b": 1, "0o": 3}[text[:2].lower()]
    value = mask = 0
    for digit in digits:
        known = digit != "*"
        value = value << bits | (int(digit, 16) if known else 0)
        mask = mask << bits | ((1 << bits) - 1 if known else 0)
    return value & everything, mask & everything


def _plain(name: str) -> str:
    """`extra$0.h` and `extra[0].h` are the same field."""
    return name.replace("$valid$", "isValid()").replace("[", "$").replace("]", "").lstrip(".")


def _find(known: Iterable[T], name: str, name_of: Callable[[T], str], what: str) -> T:
    """By its name, or by the end of its name, where only one fits."""
    wanted, listed = _plain(name), list(known)
    exact = [one for one in listed if _plain(name_of(one)) == wanted]
    ending = [
        one
        for one in listed
        if _plain(name_of(one)).endswith(f".{wanted}") or wanted.endswith(f".{_plain(name_of(one))}")
    ]
    valid = [one for one in listed if _plain(name_of(one)) == f"{wanted}.isValid()"]
    last = [one for one in listed if _plain(name_of(one)).rsplit(".", 1)[-1] == wanted.rsplit(".", 1)[-1]]
    for found in (exact, ending, valid, last):
        if len(found) == 1:
            return found[0]
    raise P4pmipError("STF", name, f"no such {what}", [name_of(one) for one in listed])
