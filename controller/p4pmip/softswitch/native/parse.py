"""Parser states and statements in machine code."""

from llvmlite import ir  # type: ignore[import-untyped]

from p4pmip.softswitch.bmv2.program import padded
from p4pmip.softswitch.ir import (
    Advance,
    Assign,
    CopyHeader,
    Count,
    Extract,
    Hash,
    Header,
    Log,
    ParserState,
    Peek,
    SetValid,
    Slot,
    Statement,
    Verify,
)
from p4pmip.softswitch.native.bits import I1, I8, I64, Unsupported, load_bits, resized
from p4pmip.softswitch.native.checksum import Checksums


class Parsing(Checksums):
    """States, extraction, and what actions do to headers and fields."""

    def _state(self, state: ParserState, states: dict[str, ir.Block]) -> None:
        b = self.b
        fuel = b.sub(self._load(self.fuel), I64(1))
        b.store(fuel, self.fuel)
        self._guard(b.icmp_unsigned("!=", fuel, I64(0)), self.slow_block)
        for statement in state.statements:
            self._statement(statement)
        if not state.transitions:
            b.branch(states[state.default] if state.default else self.parse_end)
            return
        key, width = padded(state.key)
        value = self.bits.low(key, width)
        for one in state.transitions:
            if one.value_set is not None:
                raise Unsupported("value set")
            masked = value if one.mask is None else b.and_(value, value.type(one.mask))
            wanted = one.value if one.mask is None else one.value & one.mask
            follow = self._block("next")
            target = states[one.next] if one.next else self.parse_end
            b.cbranch(b.icmp_unsigned("==", masked, value.type(wanted)), target, follow)
            b.position_at_end(follow)
        if not state.has_default:
            self._set_error("NoMatch")
            b.branch(self.parse_end)
        else:
            b.branch(states[state.default] if state.default else self.parse_end)

    def _there(self, octets: ir.Value) -> ir.Value:
        """Advance over octets that are there; PacketTooShort where they are not. Where they begin."""
        b = self.b
        start = self._load(self.offset)
        end = b.add(start, octets)
        short, go_on = self._block("short"), self._block("there")
        b.cbranch(b.icmp_unsigned("<=", end, self.length), go_on, short)
        b.position_at_end(short)
        self._set_error("PacketTooShort")
        b.branch(self.parse_end)
        b.position_at_end(go_on)
        return start

    def _peek(self, peek: Peek) -> ir.Value:
        b = self.b
        first, end = peek.offset // 8, -(-(peek.offset + peek.width) // 8)
        start = self._there(I64(end))
        at = b.gep(self.packet, [b.add(start, I64(first))], source_etype=I8)
        value = load_bits(b, at, end - first)
        value = b.lshr(value, value.type(8 * end - peek.offset - peek.width))
        return resized(b, value, peek.width)

    def _extract(self, header: Header) -> None:
        if header.length_offset is not None:
            raise Unsupported("varbit")
        b = self.b
        start = self._there(I64(header.octets))
        b.store(b.add(start, I64(header.octets)), self.offset)
        pointer = b.gep(self.packet, [start], source_etype=I8)
        at = 0
        for group in groups(header):
            width = sum(header.fields[index].width for index in group)
            value = load_bits(b, b.gep(pointer, [I64(at)], source_etype=I8), width // 8)
            at += width // 8
            left = width
            for index in group:
                field = header.fields[index]
                left -= field.width
                part = resized(b, b.lshr(value, value.type(left)) if left else value, field.width)
                b.store(part, self.slots[header.base + field.offset])
        b.store(I1(1), self.slots[header.base])
        for other in header.siblings:
            b.store(I1(0), self.slots[other])

    def _statement(self, statement: Statement) -> None:
        b = self.b
        match statement:
            case Assign(Slot() as target, value):
                b.store(self.bits.low(value, target.width), self.slots[target.index])
                if target.variable is not None and isinstance(value, Slot) and value.variable is not None:
                    b.store(self._load(self.slots[value.variable]), self.slots[target.variable])
            case SetValid(at, valid) if at.index is None and at.header.length_offset is None:
                self._set_valid(at.header, valid)
            case CopyHeader(target, source) if target.index is None and source.index is None:
                self._copy_header(target.header, source.header)
            case Extract(header, None):
                self._extract(header)
            case Advance(bits):
                self._advance(self.bits.low(bits, 64))
            case Verify(condition, error):
                self._verify(self.bits.truth(condition), self.bits.low(error, 32))
            case Count(counter, index):
                self._count(counter, self.bits.low(index, 64))
            case Hash(Slot() as target, base, calculation, size):
                full = 128
                total = b.add(
                    self.bits.low(base, full),
                    b.urem(resized(b, self._csum16(calculation), full), self._nonzero(self.bits.low(size, full))),
                )
                b.store(resized(b, total, target.width), self.slots[target.index])
            case Log():
                pass  # for traced packets, which the interpreter runs
            case _:
                raise Unsupported(type(statement).__name__)

    def _set_valid(self, header: Header, valid: bool) -> None:
        b = self.b
        flag = self.slots[header.base]
        was = b.load(flag, typ=I1)
        change = b.select(was, I64(0 if valid else -header.octets), I64(header.octets if valid else 0))
        b.store(b.add(self._load(self.size), change), self.size)
        b.store(I1(int(valid)), flag)
        if not valid:
            return
        for field in header.fields:
            slot, kind = self.slots[header.base + field.offset], ir.IntType(field.width)
            b.store(b.select(was, b.load(slot, typ=kind), kind(0)), slot)
        for other in header.siblings:
            b.store(I1(0), self.slots[other])

    def _copy_header(self, target: Header, source: Header) -> None:
        b = self.b
        if source.length_offset is not None:
            raise Unsupported("varbit")
        valid = b.load(self.slots[source.base], typ=I1)
        b.store(valid, self.slots[target.base])
        for one, other in zip(target.fields, source.fields, strict=True):
            slot, kind = self.slots[target.base + one.offset], ir.IntType(one.width)
            value = b.load(self.slots[source.base + other.offset], typ=kind)
            b.store(b.select(valid, value, b.load(slot, typ=kind)), slot)
        for other_flag in target.siblings:
            flag = self.slots[other_flag]
            b.store(b.select(valid, I1(0), b.load(flag, typ=I1)), flag)

    def _advance(self, bits: ir.Value) -> None:
        b = self.b
        self._guard(b.icmp_unsigned("==", b.and_(bits, I64(7)), I64(0)), self.slow_block)
        octets = b.lshr(bits, I64(3))
        start = self._there(octets)
        b.store(b.add(start, octets), self.offset)

    def _verify(self, condition: ir.Value, error: ir.Value) -> None:
        failed, go_on = self._block("failed"), self._block("verified")
        self.b.cbranch(condition, go_on, failed)
        self.b.position_at_end(failed)
        self._set("parser_error", error)
        self.b.branch(self.parse_end)
        self.b.position_at_end(go_on)


def groups(header: Header) -> list[list[int]]:
    """Fields that together are whole octets, as few at a time as possible."""
    found: list[list[int]] = [[]]
    width = 0
    for index, field in enumerate(header.fields):
        found[-1].append(index)
        width += field.width
        if width % 8 == 0:
            found.append([])
            width = 0
    return [group for group in found if group]
