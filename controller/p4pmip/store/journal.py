"""What a node asks of its journal, whatever keeps it."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Protocol

from p4pmip.mobility.record import Change, Record


class Journal(Protocol):
    """The memory of one node across restarts; may be used from any thread, one call at a time."""

    @property
    def path(self) -> Path:
        """The file that it is in, for people."""

    @property
    def restart_counter(self) -> int:
        """The Restart Counter of RFC 5847 §3.4: it grows when bindings were lost, and only then."""

    def commit(self, changes: Iterable[Change]) -> None:
        """Remember all of `changes`, in their order, or nothing: on return they survive the loss of process and power.

        Raises:
            JournalError: Nothing was changed.
        """

    def load(self) -> Iterator[Record]:
        """Every record, in the order in which the keys were first committed.

        Raises:
            JournalError: A record is not what was committed.
        """

    def clear(self) -> None:
        """Give up every record, and let the peers know by a larger restart counter.

        Raises:
            JournalError: Nothing was changed.
        """

    def close(self) -> None:
        """Let go of the file; nothing can be committed afterwards."""
