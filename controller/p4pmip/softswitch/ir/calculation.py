"""What checksums and hashes are calculated over."""

from dataclasses import dataclass

from p4pmip.softswitch.ir.expression import Expression
from p4pmip.softswitch.ir.storage import Header


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
