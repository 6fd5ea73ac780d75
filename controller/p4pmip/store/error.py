"""Why a journal could not do what it was asked."""

from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path

from p4pmip.errors import P4pmipError
from p4pmip.mobility.record import RecordError


class JournalReason(StrEnum):
    """What is the matter with a journal."""

    DISK_FULL = "disk_full"
    READ_ONLY = "read_only"
    CORRUPT = "corrupt"
    """The file, or a record in it, is not what was written."""
    LOCKED = "locked"
    """Another process has it open: a node runs once."""
    WRONG_NODE = "wrong_node"
    """The journal of another node."""
    WRONG_FORMAT = "wrong_format"
    """An SQLite file of something else, or of a later version; or no regular file at all."""
    CLOSED = "closed"
    IO_ERROR = "io_error"
    """Anything else the file system refuses."""


class JournalError(P4pmipError):
    """A journal cannot be opened, read or written; nothing of the refused commit is in it."""

    def __init__(self, path: Path, reason: JournalReason, problem: str) -> None:
        super().__init__("journal", str(path), f"{reason}: {problem}")
        self.reason = reason


@contextmanager
def corrupt_by_name(path: Path) -> Iterator[None]:
    """Records of the journal in this file are read meanwhile: one that cannot be makes it corrupt.

    Raises:
        JournalError: In place of a `RecordError`.
    """
    try:
        yield
    except RecordError as error:
        raise JournalError(path, JournalReason.CORRUPT, str(error)) from error
