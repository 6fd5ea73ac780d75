"""What targets do differently, as data: code asks the profile, never the target's name.

The P4Runtime specification leaves some of it open (order inside a batch, reconcile-and-commit, read-back of const
entries); the rest is where a target departs from it. `docs/p4runtime.md` gives the reference for every value.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from p4pmip.errors import P4pmipError


@dataclass(frozen=True, slots=True)
class Quirks:
    """How one kind of target behaves; the defaults promise nothing but the specification."""

    ordered_batches: bool = False
    """The updates of one WriteRequest take effect in the order given, which the specification does not promise."""
    modify: bool = True
    """MODIFY of a table entry works; where it does not, it becomes DELETE and then INSERT."""
    batches: bool = True
    """A WriteRequest may hold more than one update."""
    reconcile_and_commit: bool = False
    """RECONCILE_AND_COMMIT keeps the entries that fit the new pipeline."""
    verify: bool = True
    """VERIFY is implemented apart from the commit."""
    max_batch: int = 1024
    """Updates per WriteRequest."""
    in_flight: int = 2
    """WriteRequests outstanding at once."""
    promotes_itself: bool = False
    """When the primary leaves, the target makes a backup primary without being asked."""
    table_full: str = ""
    """Pattern of the message with which a full table is refused, where the code is not RESOURCE_EXHAUSTED."""
    election_id_taken: str = r"election id .*\b(used|exists)\b"
    """Pattern of the message that ends a stream whose election id another controller holds."""

    @property
    def updates_at_once(self) -> int:
        """How many updates a WriteRequest may hold."""
        return self.max_batch if self.batches else 1

    def with_changes(self, changes: Mapping[str, Any], place: str) -> "Quirks":
        """These quirks with some values replaced; P4pmipError names an unknown one or one of the wrong type."""
        known = {field.name: type(getattr(self, field.name)) for field in fields(self)}
        for name, value in changes.items():
            if name not in known:
                raise P4pmipError(f"{place}.{name}", value, "no such quirk", known)
            if type(value) is not known[name]:
                raise P4pmipError(f"{place}.{name}", value, f"must be {known[name].__name__}")
            if known[name] is int and value < 1:
                raise P4pmipError(f"{place}.{name}", value, "must be above 0")
            if known[name] is str:
                try:
                    re.compile(value)
                except re.error as error:
                    raise P4pmipError(f"{place}.{name}", value, f"not a regular expression ({error})") from None
        return replace(self, **changes)


PROFILES: Mapping[str, Quirks] = {
    "generic": Quirks(),
    "softswitch": Quirks(ordered_batches=True),
    "bmv2": Quirks(
        ordered_batches=True,
        # It replays every entry as an INSERT after a wipe, so traffic stops and counters restart (PI, device_mgr.cpp).
        reconcile_and_commit=False,
        promotes_itself=True,
        table_full=r"error when adding match entry",
    ),
    "stratum": Quirks(reconcile_and_commit=True),
    "no-modify": Quirks(modify=False),
    "one-by-one": Quirks(batches=False, max_batch=1),
}
"""The kinds of target that an inventory may name."""


def profile(name: str, place: str = "quirks") -> Quirks:
    """The quirks of a named kind of target; P4pmipError lists the names."""
    if name not in PROFILES:
        raise P4pmipError(place, name, "no such kind of target", PROFILES)
    return PROFILES[name]
