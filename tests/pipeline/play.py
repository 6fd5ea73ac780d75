"""Playing packet tests against a target: entries by P4Runtime, packets by its ports, reasons by its counters."""

import asyncio
import re
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Protocol

from tests.pipeline.statement import (
    Drop,
    Expect,
    Let,
    Meter,
    Packet,
    Place,
    Punt,
    Statement,
    Test,
    Write,
    is_hexadecimal,
    number,
)

from p4pmip.errors import P4pmipError
from p4pmip.forwarding.base import MeterRate
from p4pmip.forwarding.entry import Entry, Lpm, Match, Ternary
from p4pmip.forwarding.update import Operation, Update
from p4pmip.p4runtime.packetio import PacketIn
from p4pmip.p4runtime.schema import MatchKind, Schema
from p4pmip.p4runtime.session import Session

Builder = Callable[[str, dict[str, object]], object]
"""Makes a packet, or a piece of one, of words and the names given so far; `bytes()` of a packet is its octets."""

PATIENCE = 2.0
"""Seconds until what has not arrived is missing."""

_OPERATIONS = {"add": Operation.INSERT, "modify": Operation.MODIFY, "remove": Operation.DELETE}


class Ports(Protocol):
    """The data side of a target."""

    def receive(self, port: int, frame: bytes) -> None:
        """A frame enters."""

    def attach(self, port: int, sink: Callable[[bytes], None]) -> None:
        """Frames that leave by the port go to `sink`."""


@dataclass(slots=True)
class Outcome:
    """What became of a file's packets."""

    passed: int = 0
    failures: list[str] = field(default_factory=list)
    reasons: set[str] = field(default_factory=set)
    """Those that were given."""
    actions: set[tuple[str, str]] = field(default_factory=set)
    """Of entries that packets have met: table and action."""
    const_rows: set[tuple[str, tuple[tuple[str, Match], ...]]] = field(default_factory=set)
    """Entries of the program's own that packets have met."""


@dataclass(slots=True)
class _Check:
    """One packet with what is expected of it."""

    packet: Packet
    test: str
    expects: list[Expect] = field(default_factory=list)
    punts: list[Punt] = field(default_factory=list)
    drops: list[Drop] = field(default_factory=list)

    def expect(self, statement: Expect | Punt | Drop) -> None:
        match statement:
            case Expect():
                self.expects.append(statement)
            case Punt():
                self.punts.append(statement)
            case Drop():
                self.drops.append(statement)

    @property
    def reasons(self) -> Counter[str]:
        return Counter([punt.reason for punt in self.punts] + [drop.reason for drop in self.drops])


def no_builder(packet: str, _: dict[str, object]) -> object:
    """For files whose packets are all hexadecimal."""
    raise P4pmipError("packet", packet, "not hexadecimal")


class Player:
    """Plays statements on a target that a session is ready for."""

    def __init__(self, session: Session, ports: Ports, numbers: Iterable[int], build: Builder = no_builder) -> None:
        self._session = session
        self._schema: Schema = session.pipeline.schema
        self._ports = ports
        self._build = build
        self._frames: list[tuple[int, bytes]] = []
        self._punted: list[PacketIn] = []
        self._news = asyncio.Event()
        self._names: dict[str, object] = {}
        self._written: dict[object, Entry] = {}
        for port in numbers:
            ports.attach(port, lambda frame, port=port: self._left(port, frame))  # type: ignore[misc]

    def _left(self, port: int, frame: bytes) -> None:
        self._frames.append((port, frame))
        self._news.set()

    async def play(self, statements: Iterable[Statement]) -> Outcome:
        """Play a file, then take back its entries.

        Raises:
            P4pmipError: The text names what the program does not have, or the target refused an entry.
        """
        outcome, test = Outcome(), ""
        check: _Check | None = None
        self._names.clear()
        listener = asyncio.create_task(self._listen())
        try:
            for statement in statements:
                if isinstance(statement, Expect | Punt | Drop):
                    if check is None:
                        raise P4pmipError(str(statement.place), type(statement).__name__, "no packet before it")
                    check.expect(statement)
                    continue
                if check is not None:
                    await self._check(check, outcome)
                    check = None
                match statement:
                    case Test():
                        test = statement.name
                    case Packet():
                        check = _Check(statement, test)
                    case Let():
                        self._names[statement.name] = self._piece(statement.place, statement.packet)
                    case Write():
                        await self._write(statement)
                    case Meter():
                        await self._meter(statement)
            if check is not None:
                await self._check(check, outcome)
            await self._cover(outcome)
        finally:
            listener.cancel()
            await self._clean()
        return outcome

    async def _cover(self, outcome: Outcome) -> None:
        """Note which entries packets have met; tables without counters tell nothing."""
        for table in self._schema.tables.values():
            async for row in self._session.reader.rows(table.name, counters=True):
                if row.counter is not None and row.counter.packets:
                    outcome.actions.add((table.name, row.entry.action))
                    if row.const:
                        outcome.const_rows.add((table.name, row.entry.match))

    async def _listen(self) -> None:
        async for packet in self._session.packets():
            self._punted.append(packet)
            self._news.set()

    # --- entries --------------------------------------------------------------------------------------

    async def _write(self, write: Write) -> None:
        entry = self._entry(write)
        operation = _OPERATIONS[write.operation]
        if operation is Operation.DELETE:
            if entry.key not in self._written:
                raise P4pmipError(str(write.place), write.table, "no such entry was added")
            entry = self._written[entry.key]
        await self._session.writer.apply([[Update(operation, entry)]])
        if operation is Operation.DELETE:
            self._written.pop(entry.key, None)
        else:
            self._written[entry.key] = entry

    async def _clean(self) -> None:
        updates = [Update(Operation.DELETE, entry) for entry in reversed(self._written.values())]
        self._written.clear()
        await self._session.writer.apply([updates])

    async def _meter(self, meter: Meter) -> None:
        reason = number(meter.place, meter.reason, self._enumeration("Reason"))
        rate = MeterRate(meter.link << 4 | reason & 15, meter.rate, meter.burst)
        await self._session.writer.set_meters(self._schema, [rate])

    def _entry(self, write: Write) -> Entry:
        table = self._schema.table(write.table, str(write.place))
        given = dict(write.match)
        matches: list[tuple[str, Match]] = []
        for name, key in table.fields.items():
            if name in given:
                match = self._match(write.place, name, key.kind, key.width, given.pop(name))
                if match is not None:
                    matches.append((name, match))
        if given:
            raise P4pmipError(str(write.place), ", ".join(given), f"not a key of {table.name}", table.fields)
        params = tuple((name, self._value(write.place, name, text)) for name, text in write.params)
        return Entry(table.name, tuple(matches), write.action, params, write.priority)

    def _match(self, place: Place, name: str, kind: MatchKind, width: int, text: str) -> Match | None:
        if kind is MatchKind.LPM:
            value, _, length = text.partition("/")
            bits = int(length) if length else width
            return Lpm(self._value(place, name, value), bits) if bits else None
        if kind is MatchKind.TERNARY:
            value, _, mask = text.partition("&&&")
            bits = self._value(place, name, mask) if mask else (1 << width) - 1
            return Ternary(self._value(place, name, value), bits) if bits else None
        return self._value(place, name, text)

    def _value(self, place: Place, name: str, text: str) -> int:
        return number(place, text, self._enumeration("".join(part.capitalize() for part in name.split("_"))))

    def _enumeration(self, name: str) -> dict[str, int]:
        known = self._schema.enumerations.get(name)
        return {} if known is None else {member: value for value, member in known.names.items()}

    # --- packets --------------------------------------------------------------------------------------

    def _piece(self, place: Place, packet: str) -> object:
        try:
            return self._build(packet, self._names)
        except P4pmipError:
            raise
        except Exception as error:  # whatever the builder's language makes of a slip of the pen
            raise P4pmipError(str(place), packet, f"not a packet ({error})") from error

    def _octets(self, place: Place, packet: str) -> bytes:
        if is_hexadecimal(packet):
            return bytes.fromhex(packet)
        return bytes(self._piece(place, packet))  # type: ignore[call-overload, no-any-return]

    async def _check(self, check: _Check, outcome: Outcome) -> None:
        if not (check.expects or check.punts or check.drops):
            raise P4pmipError(str(check.packet.place), check.packet.packet, "nothing is expected of this packet")
        before = await self._reasons()
        self._frames.clear()
        self._punted.clear()
        await self._send(check.packet)
        found: Counter[str] = Counter()
        try:
            async with asyncio.timeout(PATIENCE):
                await self._arrival(lambda: len(self._frames) >= len(check.expects))
                await self._arrival(lambda: len(self._punted) >= len(check.punts))
                while found != check.reasons:
                    found = await self._reasons() - before
        except TimeoutError:
            pass  # the comparison below says what is missing
        found = await self._reasons() - before
        faults = [*self._compare(check), *self._compare_punts(check)]
        if found != check.reasons:
            faults.append(f"reasons given: {_listed(found)}; expected: {_listed(check.reasons)}")
        outcome.reasons.update(found)
        if faults:
            outcome.failures.append(f"{check.packet.place}: {check.test}: {'; '.join(faults)}")
        else:
            outcome.passed += 1

    async def _send(self, packet: Packet) -> None:
        octets = self._octets(packet.place, packet.packet)
        if packet.port is not None:
            self._ports.receive(packet.port, octets)
        else:
            fields = {name: self._value(packet.place, name, text) for name, text in packet.fields}
            await self._session.packet_out(octets, **fields)

    async def _arrival(self, there: Callable[[], bool]) -> None:
        while not there():
            self._news.clear()
            await self._news.wait()

    async def _reasons(self) -> Counter[str]:
        cells = await self._session.counter("reasons")
        return Counter({name: cells[index].packets for name, index in self._enumeration("Reason").items()})

    def _compare(self, check: _Check) -> list[str]:
        left = list(self._frames)
        faults = []
        for expect in check.expects:
            fits = next((one for one in left if one[0] == expect.port and self._same(expect, one[1])), None)
            if fits is None:
                faults.append(f"port {expect.port}: missing {self._shown(expect)}")
            else:
                left.remove(fits)
        return faults + [f"port {port}: unexpected {frame.hex()}" for port, frame in left]

    def _compare_punts(self, check: _Check) -> list[str]:
        left = list(self._punted)
        faults = []
        for punt in check.punts:
            fits = next((one for one in left if self._punt_fits(punt, one)), None)
            if fits is None:
                fields = " ".join(f"{name}:{value}" for name, value in punt.fields)
                faults.append(f"to the controller: missing {punt.reason} {fields} {self._shown(punt)}")
            else:
                left.remove(fits)
        for one in left:
            fields = f"ingress_port:{one.ingress_port} session_id:{one.session_id} aux:{one.aux}"
            faults.append(f"to the controller: unexpected {one.reason} {fields} {one.payload.hex()}")
        return faults

    def _punt_fits(self, punt: Punt, packet: PacketIn) -> bool:
        return (
            packet.reason == punt.reason
            and all(getattr(packet, name) == self._value(punt.place, name, text) for name, text in punt.fields)
            and self._same(punt, packet.payload)
        )

    def _same(self, wanted: Expect | Punt, octets: bytes) -> bool:
        if is_hexadecimal(wanted.packet):
            return fits(wanted.packet, octets)
        return self._octets(wanted.place, wanted.packet) == octets

    def _shown(self, wanted: Expect | Punt) -> str:
        return wanted.packet if is_hexadecimal(wanted.packet) else self._octets(wanted.place, wanted.packet).hex()


def fits(pattern: str, octets: bytes) -> bool:
    """Whether octets are as a pattern of digits and `*`; without a final `$` more may follow, as in p4c's tests."""
    digits = re.sub(r"\s", "", pattern).lower()
    exact = digits.endswith("$")
    digits, found = digits.removesuffix("$"), octets.hex()
    if len(found) < len(digits) or (exact and len(found) != len(digits)):
        return False
    return all(one in ("*", other) for one, other in zip(digits, found, strict=False))


def _listed(reasons: Counter[str]) -> str:
    return ", ".join(f"{count} {name}" for name, count in sorted(reasons.items())) or "none"
