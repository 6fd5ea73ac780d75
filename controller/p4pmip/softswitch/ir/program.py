"""Parser states, actions, tables, controls, and the whole program."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from p4pmip.softswitch.ir.calculation import Calculation
from p4pmip.softswitch.ir.expression import Expression, Slot, Target
from p4pmip.softswitch.ir.statement import Exit, Statement
from p4pmip.softswitch.ir.storage import NOWHERE, Header, Place, Stack


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
    otherwise: str | None
    """Where none ran: on a miss of a table without a default action."""
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
