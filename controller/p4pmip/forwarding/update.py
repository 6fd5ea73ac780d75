"""Changes of entries: what `forwarding` orders and `p4runtime` writes."""

from collections.abc import Callable
from enum import IntEnum
from functools import partial
from typing import NamedTuple

from p4pmip.forwarding.entry import Entry


class Operation(IntEnum):
    """What an update does; the values are those of P4Runtime's `Update.Type`."""

    INSERT = 1
    MODIFY = 2
    DELETE = 3


class Update(NamedTuple):
    """One change of one entry; of a deleted one only the key counts."""

    operation: Operation
    entry: Entry


make_update: Callable[[tuple[Operation, Entry]], Update] = partial(tuple.__new__, Update)
"""An update from a pair, for where many are made."""
