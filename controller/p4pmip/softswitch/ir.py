"""The representation between what p4c compiled and what executes it.

A program is slots, and code over slots. Every field and every validity flag is one slot: a non-negative integer of a
known width (a signed field holds its signed value). A header is a run of slots, its validity flag first; the elements
of a stack follow each other at a fixed stride, so that an index known only at run time is an addition. Expressions are
evaluated with unlimited precision, as the BMv2 JSON defines them, and wrapped where they are assigned; `span` tells how
many bits a value can need, so that an executor with machine words can choose them beforehand.

Nothing here knows BMv2's JSON, P4Runtime or how code is run.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum


@dataclass(frozen=True, slots=True)
class Place:
    """Where something stands in the P4 source."""

    file: str = ""
    line: int = 0
    column: int = 0
    fragment: str = ""

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}" if self.file else "the program"


NOWHERE = Place()


# -- storage --


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a header: its slot is the header's `base` plus `offset`."""

    name: str
    width: int
    """In bits; the largest width of a varbit."""
    signed: bool
    offset: int
    variable: bool = False


@dataclass(frozen=True, slots=True)
class Header:
    """A header, a metadata struct, or one element of a stack."""

    name: str
    base: int
    """The slot of the validity flag."""
    fields: tuple[Field, ...]
    metadata: bool
    octets: int
    """Without the varbit field."""
    length_offset: int | None = None
    """Where the length in bits of the varbit field stands, if there is one."""
    siblings: tuple[int, ...] = ()
    """The validity flags of the other members of its header union."""

    @property
    def slots(self) -> int:
        """How many slots it takes."""
        return 1 + len(self.fields) + (self.length_offset is not None)


@dataclass(frozen=True, slots=True)
class Stack:
    """A header stack (or a stack of header unions: then `members` names the headers of its first element)."""

    name: str
    next: int
    """The slot of the index of the next element to extract."""
    elements: tuple[Header, ...]
    stride: int
    members: tuple[tuple[Header, ...], ...] = ()
    """For a union stack: for each element, the members of its union."""

    @property
    def size(self) -> int:
        """How many elements it has."""
        return len(self.members or self.elements)


# -- expressions --


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


# -- statements --


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


# -- parser, controls, tables --


@dataclass(frozen=True, slots=True)
class Transition:
    """To `next` (None: the parser ends) if `key & mask == value`, or if the key is in the value set."""

    value: int
    mask: int | None
    next: str | None
    value_set: str | None = None


@dataclass(frozen=True, slots=True)
class ParserState:
    """Statements, then the first transition that fits, else `default`."""

    name: str
    statements: tuple[Statement, ...]
    key: tuple[Expression, ...]
    transitions: tuple[Transition, ...]
    default: str | None
    has_default: bool
    place: Place = NOWHERE


@dataclass(frozen=True, slots=True)
class ValueSet:
    """A parser value set: the padded widths of what a select compares with it."""

    name: str
    width: int


class MatchKind(Enum):
    """How a key field is compared."""

    EXACT = "exact"
    LPM = "lpm"
    TERNARY = "ternary"
    RANGE = "range"
    OPTIONAL = "optional"


@dataclass(frozen=True, slots=True)
class KeyField:
    """One field of a table's key."""

    name: str
    value: Expression
    width: int
    match: MatchKind


@dataclass(frozen=True, slots=True)
class Block:
    """Statements, then on to another block of the action: `yes`, or `no` where there is a condition that does not hold.

    None ends the action.
    """

    statements: tuple[Statement, ...]
    yes: int | None = None
    condition: Expression | None = None
    no: int | None = None


@dataclass(frozen=True, slots=True)
class Action:
    """What an entry runs, beginning with its first block. Names are not unique, ids are."""

    id: int
    name: str
    parameters: tuple[tuple[str, int], ...]
    blocks: tuple[Block, ...]
    place: Place = NOWHERE

    @property
    def may_exit(self) -> bool:
        """Whether it can leave the control."""
        return any(isinstance(one, Exit) for block in self.blocks for one in block.statements)


@dataclass(frozen=True, slots=True)
class ConstEntry:
    """An entry written in the P4 source: for each key field its exact value, (value, length), (value, mask) or
    (low, high) by the field's match kind."""

    match: tuple[int | tuple[int, int], ...]
    action: int
    arguments: tuple[int, ...]
    priority: int
    """Higher wins."""


@dataclass(frozen=True, slots=True)
class Table:
    """A table and where the control goes after it."""

    name: str
    key: tuple[KeyField, ...]
    actions: tuple[int, ...]
    default_action: int | None
    default_arguments: tuple[int, ...]
    default_const: bool
    size: int
    direct_counter: bool
    direct_meter: str | None
    meter_target: Target | None
    idle_timeout: bool
    profile: str | None
    entries: tuple[ConstEntry, ...]
    immutable: bool
    next: Mapping[int, str | None]
    """By the action that ran."""
    on_hit: str | None
    on_miss: str | None
    by_hit: bool
    """Whether `on_hit` and `on_miss` decide instead of `next`."""
    place: Place = NOWHERE


@dataclass(frozen=True, slots=True)
class Condition:
    """An `if` of a control."""

    name: str
    condition: Expression
    yes: str | None
    no: str | None
    place: Place = NOWHERE


@dataclass(frozen=True, slots=True)
class ActionCall:
    """An action run without a table."""

    name: str
    action: int
    next: str | None


Node = Table | Condition | ActionCall


@dataclass(frozen=True, slots=True)
class Control:
    """A graph of nodes without cycles; None ends it."""

    name: str
    first: str | None
    nodes: Mapping[str, Node]


@dataclass(frozen=True, slots=True)
class Payload:
    """What the parser did not extract."""


@dataclass(frozen=True, slots=True)
class Bits:
    """A value of so many bits, left out while `header` (a validity flag) is 0."""

    value: Expression
    width: int
    header: int | None


@dataclass(frozen=True, slots=True)
class WholeHeader:
    """All fields of a header, while it is valid."""

    header: Header


@dataclass(frozen=True, slots=True)
class Calculation:
    """A checksum or hash over these inputs, one after the other."""

    name: str
    algorithm: str
    inputs: tuple[Payload | Bits | WholeHeader, ...]


@dataclass(frozen=True, slots=True)
class Checksum:
    """A field that must equal (verify) or takes (update) a calculation while the condition holds."""

    name: str
    target: Slot
    header: int | None
    """The validity flag of the target's header."""
    calculation: Calculation
    condition: Expression | None
    place: Place = NOWHERE


@dataclass(frozen=True, slots=True)
class MeterArray:
    """An indirect meter, or (direct) the meter of each entry of a table."""

    name: str
    unit: str
    """`bytes` or `packets`."""
    size: int
    direct: bool


@dataclass(frozen=True, slots=True)
class FieldList:
    """Fields that survive a clone, resubmit or recirculate, or that make a digest."""

    id: int
    name: str
    values: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Selector:
    """How an action selector chooses a member of a group."""

    calculation: Calculation


@dataclass(frozen=True, slots=True)
class Profile:
    """An action profile, or with a selector an action selector."""

    name: str
    size: int
    selector: Selector | None


@dataclass(frozen=True, slots=True)
class Program:
    """Everything that executes."""

    name: str
    slots: int
    slot_names: tuple[str, ...]
    headers: Mapping[str, Header]
    stacks: Mapping[str, Stack]
    standard: Mapping[str, int]
    """The slots of v1model's standard metadata, by field name."""
    errors: Mapping[str, int]
    first_state: str | None
    states: Mapping[str, ParserState]
    value_sets: Mapping[str, ValueSet]
    verify: tuple[Checksum, ...]
    ingress: Control
    egress: Control
    update: tuple[Checksum, ...]
    deparser: tuple[Header, ...]
    deparser_statements: tuple[Statement, ...]
    actions: Mapping[int, Action]
    counters: Mapping[str, int]
    """Indirect counters and their sizes."""
    direct_counters: Mapping[str, str]
    """The table of each direct counter."""
    meters: Mapping[str, MeterArray]
    registers: Mapping[str, tuple[int, int]]
    """(size, width)."""
    profiles: Mapping[str, Profile]
    digests: Mapping[int, FieldList]
    field_lists: Mapping[int, FieldList]
    metadata: tuple[int, ...] = field(default=())
    """The slots that are not headers': zeroed when a packet starts again."""

    @property
    def tables(self) -> dict[str, Table]:
        """All tables, ingress first."""
        return {
            name: node
            for control in (self.ingress, self.egress)
            for name, node in control.nodes.items()
            if isinstance(node, Table)
        }
