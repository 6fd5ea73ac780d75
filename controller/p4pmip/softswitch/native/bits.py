"""Expressions as LLVM IR, over integers of exactly the width that is needed."""

from collections.abc import Callable

from llvmlite import ir  # type: ignore[import-untyped]

from p4pmip.softswitch.ir import (
    TRUTH,
    Argument,
    Binary,
    Choose,
    Const,
    Expression,
    Peek,
    Saturate,
    Slot,
    Unary,
    Wrap,
    span,
)

WIDEST = 512
"""Values that need more bits are left to the interpreter."""

I1, I8, I16, I32, I64 = (ir.IntType(width) for width in (1, 8, 16, 32, 64))
CHUNKS = (64, 32, 16, 8)

COMPARE = {"==", "!=", "<", "<=", ">", ">="}


class Unsupported(Exception):
    """Machine code does not do this: the packet goes to the interpreter."""


def resized(builder: ir.IRBuilder, value: ir.Value, width: int, signed: bool = False) -> ir.Value:
    """The value with another width, modulo 2^width or extended."""
    have = value.type.width
    if have == width:
        return value
    if have > width:
        return builder.trunc(value, ir.IntType(width))
    return (builder.sext if signed else builder.zext)(value, ir.IntType(width))


def load_bits(builder: ir.IRBuilder, pointer: ir.Value, octets: int) -> ir.Value:
    """Octets in network order as one number."""
    whole = ir.IntType(8 * octets)
    result, at = None, 0
    while at < octets:
        chunk = next(one for one in CHUNKS if one <= 8 * (octets - at))
        kind = ir.IntType(chunk)
        address = builder.bitcast(builder.gep(pointer, [I64(at)], source_etype=I8), kind.as_pointer())
        part = builder.load(address, align=1, typ=kind)
        part = builder.bswap(part) if chunk > 8 else part
        at += chunk // 8
        part = resized(builder, part, whole.width)
        left = 8 * (octets - at)
        part = builder.shl(part, whole(left)) if left else part
        result = part if result is None else builder.or_(result, part)
    assert result is not None
    return result


def store_bits(builder: ir.IRBuilder, pointer: ir.Value, value: ir.Value) -> None:
    """A number of whole octets in network order."""
    octets, at = value.type.width // 8, 0
    while at < octets:
        chunk = next(one for one in CHUNKS if one <= 8 * (octets - at))
        kind = ir.IntType(chunk)
        left = 8 * (octets - at) - chunk
        part = builder.lshr(value, value.type(left)) if left else value
        part = resized(builder, part, chunk)
        part = builder.bswap(part) if chunk > 8 else part
        address = builder.bitcast(builder.gep(pointer, [I64(at)], source_etype=I8), kind.as_pointer())
        builder.store(part, address, align=1)
        at += chunk // 8


class Bits:
    """Lowers expressions at the builder's place. `peek` reads the packet; `argument` the entry that runs."""

    def __init__(
        self,
        builder: ir.IRBuilder,
        slots: list[ir.Value],
        peek: Callable[[Peek], ir.Value],
        argument: Callable[[Argument], ir.Value],
    ) -> None:
        self.builder = builder
        self.slots = slots
        self.peek = peek
        self.argument = argument

    def truth(self, expression: Expression) -> ir.Value:
        """Whether it is not 0."""
        b = self.builder
        match expression:
            case Unary("not", operand):
                return b.not_(self.truth(operand))
            case Unary("bool" | "int", operand):
                return self.truth(operand)
            case Binary("and", left, right):
                return b.and_(self.truth(left), self.truth(right))
            case Binary("or", left, right):
                return b.or_(self.truth(left), self.truth(right))
            case Binary(op, left, right) if op in COMPARE:
                return self._compare(op, left, right)
            case _:
                value = self.full(expression)
                return b.icmp_unsigned("!=", value, value.type(0))

    def full(self, expression: Expression) -> ir.Value:
        """The value with all the bits it can need."""
        return self.low(expression, max(1, span(expression)[0]))

    def low(self, expression: Expression, width: int) -> ir.Value:
        """The value modulo 2^width."""
        if width > WIDEST or span(expression)[0] > 4096:
            raise Unsupported("width")
        b, kind = self.builder, ir.IntType(width)
        match expression:
            case Const(value):
                return kind(value & (1 << width) - 1)
            case Slot(index, have, signed):
                loaded = b.load(self.slots[index], typ=ir.IntType(have))
                return resized(b, loaded, width, signed)
            case Argument():
                return resized(b, self.argument(expression), width)
            case Peek():
                return resized(b, self.peek(expression), width)
            case Choose(condition, yes, no):
                return b.select(self.truth(condition), self.low(yes, width), self.low(no, width))
            case Wrap(operand, have):
                return resized(b, self.low(operand, have), width, signed=True)
            case Saturate():
                return self._saturate(expression, width)
            case Unary("~", operand):
                return b.not_(self.low(operand, width))
            case Unary("-", operand):
                return b.neg(self.low(operand, width))
            case Unary() | Binary() if expression.op in TRUTH or expression.op == "int":
                return resized(b, self.truth(expression), width)
            case Binary("<<", left, right):
                return self._shift_left(left, right, width)
            case Binary(">>", left, right):
                return self._shift_right(left, right, width)
            case Binary("/" | "%" as op, left, right):
                return self._divide(op, left, right, width)
            case Binary(op, left, right):
                one, two = self.low(left, width), self.low(right, width)
                make = {"+": b.add, "-": b.sub, "*": b.mul, "&": b.and_, "|": b.or_, "^": b.xor}[op]
                return make(one, two)
            case _:
                raise Unsupported(type(expression).__name__)

    def _compare(self, op: str, left: Expression, right: Expression) -> ir.Value:
        (a, a_signed), (b, b_signed) = span(left), span(right)
        signed = a_signed or b_signed
        width = max(a + (signed and not a_signed), b + (signed and not b_signed), 1)
        compare = self.builder.icmp_signed if signed else self.builder.icmp_unsigned
        return compare(op, self.low(left, width), self.low(right, width))

    def _saturate(self, expression: Saturate, width: int) -> ir.Value:
        b = self.builder
        have = span(expression.operand)
        full = max(have[0] + 1, expression.width + 1)
        value = self.low(expression.operand, full)
        kind = ir.IntType(full)
        low, high = (-1 << expression.width - 1, (1 << expression.width - 1) - 1)
        if not expression.signed:
            low, high = 0, (1 << expression.width) - 1
        value = b.select(b.icmp_signed("<", value, kind(low)), kind(low), value)
        value = b.select(b.icmp_signed(">", value, kind(high)), kind(high), value)
        return resized(b, value, width, signed=True)

    def _shift_left(self, left: Expression, right: Expression, width: int) -> ir.Value:
        b = self.builder
        value = self.low(left, width)
        if isinstance(right, Const):
            return b.shl(value, value.type(right.value)) if right.value < width else value.type(0)
        amount = self.full(right)
        full = max(width, amount.type.width, 16)
        wide, by = resized(b, value, full), resized(b, amount, full)
        inside = b.icmp_unsigned("<", by, by.type(width))
        shifted = b.shl(wide, b.select(inside, by, by.type(0)))
        return resized(b, b.select(inside, shifted, wide.type(0)), width)

    def _shift_right(self, left: Expression, right: Expression, width: int) -> ir.Value:
        b = self.builder
        signed = span(left)[1]
        value = self.full(left)
        amount = self.full(right)
        full = max(value.type.width, amount.type.width, 16)
        wide, by = resized(b, value, full, signed), resized(b, amount, full)
        inside = b.icmp_unsigned("<", by, by.type(full))
        by = b.select(inside, by, by.type(full - 1))
        shifted = (b.ashr if signed else b.lshr)(wide, by)
        if not signed:
            shifted = b.select(inside, shifted, wide.type(0))
        return resized(b, shifted, width, signed)

    def _divide(self, op: str, left: Expression, right: Expression, width: int) -> ir.Value:
        (a, a_signed), (c, c_signed) = span(left), span(right)
        if a_signed or c_signed or max(a, c) > 128:
            raise Unsupported(op)
        b, full = self.builder, max(a, c, 1)
        one, two = self.low(left, full), self.low(right, full)
        zero = b.icmp_unsigned("==", two, two.type(0))
        safe = b.select(zero, two.type(1), two)
        value = b.udiv(one, safe) if op == "/" else b.urem(one, safe)
        return resized(b, b.select(zero, value.type(0), value), width)
