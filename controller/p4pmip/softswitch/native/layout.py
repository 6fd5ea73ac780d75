"""How entries and tables lie in memory, for machine code and for what writes them."""

from dataclasses import dataclass

from p4pmip.softswitch.ir import Program, Table

VERDICT_SLOW, VERDICT_SEND, VERDICT_DROP_INGRESS, VERDICT_DROP_EGRESS = range(1, 5)
"""What became of a packet: the interpreter must take it, it leaves, it was dropped."""

KIND_SHIFT, PORT_SHIFT = 56, 32
"""A result is `verdict << KIND_SHIFT | port << PORT_SHIFT | length`."""

WORD = 64

# Words of an entry's record after its key. A record is never changed while machine code can find it.
ACTION, FLAGS, PRIORITY, SEQUENCE, CELL, ARGUMENTS = range(6)

# Words of the cell whose address stands in CELL: what machine code changes.
PACKETS, OCTETS, LAST_HIT, CELL_WORDS = range(4)

SLOW = 1
"""In FLAGS: the packet that hits this entry is the interpreter's (a meter is configured)."""

# Words of a group after its masks.
CAPACITY_MASK, MOST, SLOTS, GROUP_WORDS = range(4)

EMPTY, GONE = 0, 1
"""What a hash slot holds besides the address of an entry."""

MULTIPLY = (0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F)
WORD_MASK = (1 << 64) - 1


@dataclass(frozen=True, slots=True)
class TableLayout:
    """One table."""

    words: int
    """Of its key."""
    entry_words: int
    """Of the record of an entry."""
    arguments: int
    """Of its arguments, at most."""
    width: int


def table_layout(program: Program, table: Table) -> TableLayout:
    """The layout of a table's key and entries."""
    width = sum(field.width for field in table.key)
    words = max(1, -(-width // WORD))
    arguments = max((argument_words(program, one) for one in table.actions), default=0)
    return TableLayout(words, words + ARGUMENTS + arguments, arguments, width)


def argument_words(program: Program, action: int) -> int:
    """All parameters of an action."""
    return sum(-(-width // WORD) for _, width in program.actions[action].parameters)


def argument_at(program: Program, action: int, index: int) -> int:
    """The word where a parameter begins, after ARGUMENTS."""
    return sum(-(-width // WORD) for _, width in program.actions[action].parameters[:index])


def split(value: int, words: int) -> tuple[int, ...]:
    """A number as words, the lowest first."""
    return tuple(value >> WORD * at & WORD_MASK for at in range(words))


GROWTH = 2048
"""Octets that headers may add to a frame in machine code's buffers."""


def headers_fit(program: Program) -> bool:
    """Whether what leaves always fits the buffer."""
    return sum(header.octets for header in program.deparser) <= GROWTH
