"""Expressions, and how many bits their values can need."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Const:
    """A constant, of either sign."""

    value: int


@dataclass(frozen=True, slots=True)
class Slot:
    """A slot known beforehand."""

    index: int
    width: int
    signed: bool
    name: str
    variable: int | None = None
    """The slot of its length in bits, for a varbit."""


@dataclass(frozen=True, slots=True)
class Indexed:
    """The slot `base + stride * index`: reading outside `count` gives 0, writing there does nothing."""

    base: int
    stride: int
    count: int
    index: "Expression"
    width: int
    signed: bool
    name: str


@dataclass(frozen=True, slots=True)
class Argument:
    """A parameter of the action that runs."""

    index: int
    width: int
    name: str


@dataclass(frozen=True, slots=True)
class Peek:
    """Bits of the packet after the parser's place, without extracting them; a packet too short is a parser error."""

    offset: int
    width: int


@dataclass(frozen=True, slots=True)
class Unary:
    """`~`, `-`, `not`, `bool` (not zero) and `int` (of a truth value)."""

    op: str
    operand: "Expression"


@dataclass(frozen=True, slots=True)
class Binary:
    """`+ - * / % << >> & | ^ == != < <= > >= and or`."""

    op: str
    left: "Expression"
    right: "Expression"


@dataclass(frozen=True, slots=True)
class Choose:
    """`condition ? yes : no`."""

    condition: "Expression"
    yes: "Expression"
    no: "Expression"


@dataclass(frozen=True, slots=True)
class Wrap:
    """The value taken as a two's complement number of `width` bits."""

    operand: "Expression"
    width: int


@dataclass(frozen=True, slots=True)
class Saturate:
    """The nearest value that `width` bits can hold."""

    operand: "Expression"
    width: int
    signed: bool


Expression = Const | Slot | Indexed | Argument | Peek | Unary | Binary | Choose | Wrap | Saturate
Target = Slot | Indexed

TRUTH = frozenset({"==", "!=", "<", "<=", ">", ">=", "and", "or", "not", "bool"})
"""Operators whose value is a truth value."""

UNBOUNDED_SHIFT = 2048
"""A left shift by this much or more gives 0: every value that is kept is narrower."""


def span(expression: Expression) -> tuple[int, bool]:
    """(width, signed): the value always fits `width` bits, two's complement if signed."""
    match expression:
        case Const(value):
            return (value.bit_length(), False) if value >= 0 else ((-value - 1).bit_length() + 1, True)
        case Slot() | Indexed():
            return expression.width, expression.signed
        case Argument() | Peek():
            return expression.width, False
        case Wrap(_, width):
            return width, True
        case Saturate(_, width, signed):
            return width, signed
        case Choose(_, yes, no):
            return _join(span(yes), span(no))
        case Unary("~" | "-", operand):
            return _widen(span(operand)) + 1, True
        case Unary():
            return 1, False
        case Binary(op, left, right):
            return _binary_span(op, span(left), span(right), right)


def _widen(of: tuple[int, bool]) -> int:
    """How many bits the value needs as a signed number."""
    return of[0] + (not of[1])


def _join(a: tuple[int, bool], b: tuple[int, bool]) -> tuple[int, bool]:
    if a[1] or b[1]:
        return max(_widen(a), _widen(b)), True
    return max(a[0], b[0]), False


def _binary_span(op: str, a: tuple[int, bool], b: tuple[int, bool], right: Expression) -> tuple[int, bool]:
    joined = _join(a, b)
    match op:
        case "+":
            return joined[0] + 1, joined[1]
        case "-":
            return max(_widen(a), _widen(b)) + 1, True
        case "*":
            return a[0] + b[0], joined[1]
        case "<<":
            shift = right.value if isinstance(right, Const) else min((1 << min(b[0], 11)) - 1, UNBOUNDED_SHIFT)
            return a[0] + max(shift, 0), a[1]
        case ">>":
            return a
        case "/":
            return a[0] + joined[1], joined[1]
        case "%":
            return joined
        case "&":
            if not a[1] and not b[1]:
                return min(a[0], b[0]), False
            if not a[1] or not b[1]:
                return (b if a[1] else a)[0], False
            return joined
        case "|" | "^":
            return joined
        case _:
            return 1, False
