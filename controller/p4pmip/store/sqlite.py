"""The journal as one SQLite file: write-ahead log, synchronised on every commit, held by one process.

A record carries the CRC-32 of its payload, since SQLite's own integrity check sees the shape of the file but not the
values in it.
"""

import errno
import json
import os
import sqlite3
import stat
import threading
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self, TypeVar

from p4pmip.mobility.record import Change, Forget, Record
from p4pmip.store.error import JournalError, JournalReason

_APPLICATION_ID = 0x50344D50
_VERSION = 1
_SCHEMA = """
CREATE TABLE record (
    number INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    key TEXT NOT NULL,
    payload TEXT NOT NULL,
    crc INTEGER NOT NULL,
    UNIQUE (kind, key)
) STRICT;
CREATE TABLE journal (node TEXT NOT NULL, restart_counter INTEGER NOT NULL) STRICT;
"""
_PUT = "INSERT INTO record (kind, key, payload, crc) VALUES "
_REPLACES = " ON CONFLICT (kind, key) DO UPDATE SET payload = excluded.payload, crc = excluded.crc"
_FORGET = "DELETE FROM record WHERE (kind, key) IN (VALUES "
_ROWS = 500
"""Rows of one statement. Between two statements other threads of the process are let in, and each may keep the
interpreter for a while: a commit is to be few statements, not few rows."""
_TEXT = json.JSONEncoder(separators=(",", ":")).encode

_Thing = TypeVar("_Thing")

_REASONS = {
    sqlite3.SQLITE_FULL: JournalReason.DISK_FULL,
    sqlite3.SQLITE_READONLY: JournalReason.READ_ONLY,
    sqlite3.SQLITE_CORRUPT: JournalReason.CORRUPT,
    sqlite3.SQLITE_NOTADB: JournalReason.CORRUPT,
    sqlite3.SQLITE_BUSY: JournalReason.LOCKED,
}
_ERRNO_REASONS = {
    errno.EACCES: JournalReason.READ_ONLY,
    errno.EPERM: JournalReason.READ_ONLY,
    errno.EROFS: JournalReason.READ_ONLY,
    errno.ENOSPC: JournalReason.DISK_FULL,
    errno.EDQUOT: JournalReason.DISK_FULL,
}


class SqliteJournal:
    """A `Journal` in the file `path`."""

    def __init__(self, path: Path, connection: sqlite3.Connection, restart_counter: int) -> None:
        self._path = path
        self._connection = connection
        self._restart_counter = restart_counter
        self._lock = threading.Lock()

    @classmethod
    def open(cls, path: Path, node: str, first_restart_counter: int = 0) -> Self:
        """Open the journal of `node`, made with mode 0600 where there is none.

        Args:
            path: The SQLite file; its directory must be there.
            node: Whose journal it is.
            first_restart_counter: The restart counter of a new journal: above any that this node had before, as the
                time in seconds is, since a node whose journal is gone has lost its bindings (RFC 5847 §3.4).

        Raises:
            JournalError: It cannot be used, or is corrupt.
        """
        with _named_errors(path):
            _make_private(path)
            connection = sqlite3.connect(path, timeout=1.0, isolation_level=None, check_same_thread=False)
            try:
                return cls(path, connection, _prepare(path, connection, node, first_restart_counter))
            except BaseException:
                connection.close()
                raise

    @property
    def path(self) -> Path:
        """See `Journal`."""
        return self._path

    @property
    def restart_counter(self) -> int:
        """See `Journal`."""
        return self._restart_counter

    def commit(self, changes: Iterable[Change]) -> None:
        """See `Journal`."""
        statements = list(_statements(changes))
        if len(statements) == 1:  # which is a transaction by itself
            with self._lock, _named_errors(self._path):
                self._connection.execute(*statements[0])
        elif statements:
            with self._transaction() as connection:
                for statement, parameters in statements:
                    connection.execute(statement, parameters)

    def load(self) -> Iterator[Record]:
        """See `Journal`."""
        with self._lock, _named_errors(self._path):
            rows = self._connection.execute("SELECT kind, key, payload, crc FROM record ORDER BY number").fetchall()
        for kind, key, payload, crc in rows:
            if zlib.crc32(payload.encode()) != crc:
                raise JournalError(self._path, JournalReason.CORRUPT, f"record {kind}/{key} fails its checksum")
            try:
                values = json.loads(payload)
            except (ValueError, RecursionError) as error:
                raise JournalError(self._path, JournalReason.CORRUPT, f"record {kind}/{key} is no JSON") from error
            yield Record(kind, key, values)

    def clear(self) -> None:
        """See `Journal`."""
        with self._transaction() as connection:
            connection.execute("DELETE FROM record")
            connection.execute("UPDATE journal SET restart_counter = ?", (self._restart_counter + 1,))
        self._restart_counter += 1

    def close(self) -> None:
        """See `Journal`."""
        with self._lock, _named_errors(self._path):
            self._connection.close()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock, _named_errors(self._path), _all_or_nothing(self._connection):
            yield self._connection


def _statements(changes: Iterable[Change]) -> Iterator[tuple[str, list[str | int]]]:
    """What brings all of them about: of several changes to one key the last one counts. What makes room comes first."""
    last = {(change.kind, change.key): change for change in changes}
    for keys in _pieces([key for key, change in last.items() if isinstance(change, Forget)]):
        yield _FORGET + ",".join(["(?,?)"] * len(keys)) + ")", [word for key in keys for word in key]
    for records in _pieces([change for change in last.values() if isinstance(change, Record)]):
        parameters: list[str | int] = []
        for record in records:
            text = _TEXT(record.payload)
            parameters += (record.kind, record.key, text, zlib.crc32(text.encode()))
        yield _PUT + ",".join(["(?,?,?,?)"] * len(records)) + _REPLACES, parameters


def _pieces(things: list[_Thing]) -> Iterator[list[_Thing]]:
    return (things[at : at + _ROWS] for at in range(0, len(things), _ROWS))


def _make_private(path: Path) -> None:
    """Let only the owner read the file: it names mobile nodes and holds keys. SQLite gives its log the same mode."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY, 0o600)
    try:
        mode = os.fstat(descriptor).st_mode
        if not stat.S_ISREG(mode):
            raise JournalError(path, JournalReason.WRONG_FORMAT, "it is no regular file")
        if mode & 0o077:
            os.fchmod(descriptor, 0o600)
    finally:
        os.close(descriptor)
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)  # the name of a new file must survive a loss of power as its content does
    finally:
        os.close(directory)


def _prepare(path: Path, connection: sqlite3.Connection, node: str, first_restart_counter: int) -> int:
    """Take hold of the file, check it, and give it its tables if it is new; returns the restart counter."""
    # One process at a time, and so no shared memory file beside the log.
    connection.execute("PRAGMA locking_mode = EXCLUSIVE")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    with _all_or_nothing(connection):
        if not connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]:
            _create(connection, node, first_restart_counter)
        _check(path, connection)
        owner, restart_counter = connection.execute("SELECT node, restart_counter FROM journal").fetchone()
        if owner != node:
            raise JournalError(path, JournalReason.WRONG_NODE, f"it is the journal of {owner}, not of {node}")
        # A write that changes nothing: a file that cannot be written to is found now, not at the first binding.
        connection.execute("UPDATE journal SET restart_counter = restart_counter")
    return int(restart_counter)


def _create(connection: sqlite3.Connection, node: str, first_restart_counter: int) -> None:
    for statement in _SCHEMA.split(";"):
        connection.execute(statement)
    connection.execute("INSERT INTO journal VALUES (?, ?)", (node, first_restart_counter))
    connection.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {_VERSION}")


def _check(path: Path, connection: sqlite3.Connection) -> None:
    found = connection.execute("PRAGMA integrity_check(1)").fetchone()[0]
    if found != "ok":
        raise JournalError(path, JournalReason.CORRUPT, " ".join(found.split()))
    application = connection.execute("PRAGMA application_id").fetchone()[0]
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if (application, version) != (_APPLICATION_ID, _VERSION):
        problem = f"not a journal of version {_VERSION}: application id {application:#x}, version {version}"
        raise JournalError(path, JournalReason.WRONG_FORMAT, problem)


@contextmanager
def _all_or_nothing(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        with suppress(sqlite3.Error):  # what went wrong may have rolled back already
            connection.execute("ROLLBACK")
        raise


@contextmanager
def _named_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.ProgrammingError as error:
        raise JournalError(path, JournalReason.CLOSED, str(error)) from error
    except sqlite3.Error as error:
        # The low octet is the primary result code (SQLite's "extended result codes").
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
        reason = _REASONS.get(code, JournalReason.IO_ERROR)
        if reason is JournalReason.IO_ERROR and _on_read_only(path):
            reason = JournalReason.READ_ONLY  # which it has become while the file was open: SQLite does not tell
        raise JournalError(path, reason, str(error)) from error
    except OSError as error:
        reason = _ERRNO_REASONS.get(error.errno or 0, JournalReason.IO_ERROR)
        raise JournalError(path, reason, error.strerror or str(error)) from error


def _on_read_only(path: Path) -> bool:
    """Whether the file system takes no writes (any more)."""
    try:
        return bool(os.statvfs(path).f_flag & os.ST_RDONLY)
    except OSError:
        return False
