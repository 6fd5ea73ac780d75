"""Where things stand: slots, headers, stacks; and places in the P4 source."""

from dataclasses import dataclass


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
