"""Expressions as Python source: `p` is the packet, `f` its slots, `a` the arguments of the action that runs."""

from p4pmip.softswitch.ir import (
    TRUTH,
    Argument,
    Binary,
    Choose,
    Const,
    Expression,
    Indexed,
    Peek,
    Saturate,
    Slot,
    Target,
    Unary,
    Wrap,
    span,
)

PLAIN = frozenset(["+", "-", "*", "&", "|", "^", "==", "!=", "<", "<=", ">", ">=", "and", "or"])
FUNCTIONS = {"/": "divide", "%": "modulo"}


def source(expression: Expression) -> str:
    """A Python expression with the same value."""
    match expression:
        case Const(value):
            return str(value) if abs(value) < 10 else hex(value)
        case Slot(index):
            return f"f[{index}]"
        case Indexed(base, stride, count, index):
            return f"at(f, {base}, {stride}, {count}, {source(index)})"
        case Argument(index):
            return f"a[{index}]"
        case Peek(offset, width):
            return f"peek(p, {offset}, {width})"
        case Unary("not", operand):
            return f"(not {source(operand)})"
        case Unary("bool", operand):
            return f"({source(operand)} != 0)"
        case Unary("int", operand):
            return f"(1 if {source(operand)} else 0)"
        case Unary(op, operand):
            return f"({op}{source(operand)})"
        case Choose(condition, yes, no):
            return f"({source(yes)} if {source(condition)} else {source(no)})"
        case Wrap(operand, width):
            return wrapped(source(operand), width)
        case Saturate(operand, width, signed):
            low, high = (-1 << width - 1, (1 << width - 1) - 1) if signed else (0, (1 << width) - 1)
            return f"saturate({source(operand)}, {low}, {high})"
        case Binary(op, left, right):
            return _binary(op, left, right)


def _truth(expression: Expression) -> str:
    """A Python expression whose value is 0 or 1."""
    return source(expression) if span(expression) in ((1, False), (0, False)) else f"({source(expression)} != 0)"


def _binary(op: str, left: Expression, right: Expression) -> str:
    if op in ("and", "or"):
        return f"({_truth(left)} {op} {_truth(right)})"
    if op in PLAIN:
        return f"({source(left)} {op} {source(right)})"
    if op in FUNCTIONS:
        return f"{FUNCTIONS[op]}({source(left)}, {source(right)})"
    if isinstance(right, Const):
        return f"({source(left)} {op} {min(right.value, 4096)})"
    return f"{'shift_left' if op == '<<' else 'shift_right'}({source(left)}, {source(right)})"


def wrapped(text: str, width: int) -> str:
    """The two's complement number in the low `width` bits of a Python expression."""
    half = 1 << width - 1
    return f"(({text} + {half:#x} & {(1 << width) - 1:#x}) - {half:#x})"


def fitted(value: Expression, width: int, signed: bool) -> str:
    """The value as a slot of this width takes it."""
    needs, negative = span(value)
    text = source(value)
    if isinstance(value, Unary | Binary) and value.op in TRUTH:
        return f"(1 if {text} else 0)"
    if signed:
        return text if needs + (not negative) <= width else wrapped(text, width)
    if needs <= width and not negative:
        return text
    return f"{text} & {(1 << width) - 1:#x}"


def store(target: Target, text: str) -> str:
    """The Python statement that writes a slot."""
    if isinstance(target, Slot):
        return f"f[{target.index}] = {text}"
    return f"put(f, {target.base}, {target.stride}, {target.count}, {source(target.index)}, {text})"


def assign(target: Target, value: Expression) -> list[str]:
    """The Python statements of an assignment; a varbit takes its length with it."""
    lines = [store(target, fitted(value, target.width, target.signed))]
    if isinstance(target, Slot) and target.variable is not None and isinstance(value, Slot) and value.variable:
        lines.append(f"f[{target.variable}] = f[{value.variable}]")
    return lines
