"""Statements of parser states and actions."""

from dataclasses import dataclass

from p4pmip.softswitch.ir.calculation import Calculation
from p4pmip.softswitch.ir.expression import Expression, Target
from p4pmip.softswitch.ir.storage import Header, Place, Stack


@dataclass(frozen=True, slots=True)
class HeaderAt:
    """A header, or the element of its stack that is `stride * index` further."""

    header: Header
    index: Expression | None = None
    stride: int = 0
    count: int = 1


@dataclass(frozen=True, slots=True)
class Assign:
    """The value wrapped to the target's width."""

    target: Target
    value: Expression


@dataclass(frozen=True, slots=True)
class SetValid:
    """setValid of an invalid header zeroes its fields; both change the packet's length."""

    header: HeaderAt
    valid: bool


@dataclass(frozen=True, slots=True)
class CopyHeader:
    """Validity and, from a valid header, all fields."""

    target: HeaderAt
    source: HeaderAt


@dataclass(frozen=True, slots=True)
class CopyStack:
    """All elements and the next index."""

    target: Stack
    source: Stack


@dataclass(frozen=True, slots=True)
class Push:
    """Elements move to higher indices; `count` invalid ones come first."""

    stack: Stack
    count: int


@dataclass(frozen=True, slots=True)
class Pop:
    """The first `count` elements leave."""

    stack: Stack
    count: int


@dataclass(frozen=True, slots=True)
class Extract:
    """The header from the packet; `bits` is the length of its varbit field."""

    header: Header
    bits: Expression | None = None


@dataclass(frozen=True, slots=True)
class ExtractNext:
    """The next element of the stack from the packet; `member` chooses in a stack of unions."""

    stack: Stack
    member: int | None = None
    bits: Expression | None = None


@dataclass(frozen=True, slots=True)
class Advance:
    """Skip bits of the packet."""

    bits: Expression


@dataclass(frozen=True, slots=True)
class Verify:
    """Leave the parser with `error` unless the condition holds."""

    condition: Expression
    error: Expression


@dataclass(frozen=True, slots=True)
class Count:
    """Add the packet to a cell of an indirect counter."""

    counter: str
    index: Expression


@dataclass(frozen=True, slots=True)
class ExecuteMeter:
    """The colour of the packet by a cell of an indirect meter."""

    meter: str
    index: Expression
    target: Target


@dataclass(frozen=True, slots=True)
class RegisterRead:
    """A cell of a register; outside the array nothing happens."""

    target: Target
    register: str
    index: Expression


@dataclass(frozen=True, slots=True)
class RegisterWrite:
    """A cell of a register; outside the array nothing happens."""

    register: str
    index: Expression
    value: Expression


@dataclass(frozen=True, slots=True)
class Hash:
    """`base + calculation % size`."""

    target: Target
    base: Expression
    calculation: "Calculation"
    size: Expression


@dataclass(frozen=True, slots=True)
class Random:
    """A random number, both bounds included."""

    target: Target
    low: Expression
    high: Expression


@dataclass(frozen=True, slots=True)
class Digest:
    """Send this field list to the controller at the end of ingress."""

    list: Expression


@dataclass(frozen=True, slots=True)
class Clone:
    """Copy the packet at the end of the control to a clone session, keeping the fields of a list."""

    session: Expression
    list: Expression


@dataclass(frozen=True, slots=True)
class Resubmit:
    """Start ingress again with the packet as it came."""

    list: Expression


@dataclass(frozen=True, slots=True)
class Recirculate:
    """Start the parser again with the packet as it leaves."""

    list: Expression


@dataclass(frozen=True, slots=True)
class Truncate:
    """Cut the packet that leaves to so many octets."""

    octets: Expression


@dataclass(frozen=True, slots=True)
class Exit:
    """Leave the control."""


@dataclass(frozen=True, slots=True)
class Log:
    """A message for a person."""

    format: str
    values: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Assert:
    """Drop the packet, with this reason, unless the condition holds."""

    condition: Expression
    place: Place


Statement = (
    Assign
    | SetValid
    | CopyHeader
    | CopyStack
    | Push
    | Pop
    | Extract
    | ExtractNext
    | Advance
    | Verify
    | Count
    | ExecuteMeter
    | RegisterRead
    | RegisterWrite
    | Hash
    | Random
    | Digest
    | Clone
    | Resubmit
    | Recirculate
    | Truncate
    | Exit
    | Log
    | Assert
)
