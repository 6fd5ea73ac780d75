"""The journal on SQLite: what is committed is there, all of it or nothing, and what is wrong has a name."""

import errno
import os
import shutil
import sqlite3
import stat
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from p4pmip.store import Forget, Journal, JournalError, JournalReason, Record, SqliteJournal, fsync_latency

ALICE = Record("lma_binding", "alice@example.org", {"uplink_key": 0, "prefixes": ["2001:db8:1::/64"], "ipv4": None})
BOB = Record("lma_binding", "bob@example.org", {"uplink_key": 2**32 - 1})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "lma.db"


@pytest.fixture
def journal(path: Path) -> Iterator[SqliteJournal]:
    opened = SqliteJournal.open(path, "lma", 7)
    yield opened
    opened.close()


def _reopened(journal: Journal, path: Path) -> list[Record]:
    journal.close()
    again = SqliteJournal.open(path, "lma", 99)
    try:
        return list(again.load())
    finally:
        again.close()


def test_is_a_journal(journal: SqliteJournal) -> None:
    as_protocol: Journal = journal
    assert list(as_protocol.load()) == []


def test_records_survive_in_the_order_of_their_first_commit(journal: SqliteJournal, path: Path) -> None:
    newer = Record(ALICE.kind, ALICE.key, {"uplink_key": 0, "prefixes": []})
    journal.commit([ALICE, BOB])
    journal.commit([newer])
    assert _reopened(journal, path) == [newer, BOB]


def test_changes_of_one_commit_apply_in_order(journal: SqliteJournal, path: Path) -> None:
    journal.commit([ALICE, BOB, Forget(ALICE.kind, ALICE.key), Forget("tunnel_id", "never was")])
    assert _reopened(journal, path) == [BOB]


def test_kinds_keep_their_keys_apart(journal: SqliteJournal) -> None:
    records = [Record("tunnel_id", "1", {"id": 1}), Record("peer_id", "1", {"id": 2})]
    journal.commit(records)
    assert list(journal.load()) == records


def test_a_commit_that_fails_in_the_middle_changes_nothing(journal: SqliteJournal) -> None:
    journal.commit([ALICE])
    with pytest.raises(TypeError):
        journal.commit([Forget(ALICE.kind, ALICE.key), Record("lma_binding", "x", {"octets": b""})])
    with pytest.raises(JournalError):
        journal.commit([Forget(ALICE.kind, ALICE.key), Record("lma_binding", None, {})])  # type: ignore[arg-type]
    assert list(journal.load()) == [ALICE]
    journal.commit([BOB])
    assert list(journal.load()) == [ALICE, BOB]


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=40, deadline=None)
@given(
    changes=st.lists(
        st.tuples(
            st.sampled_from("ab"), st.text(max_size=2), st.none() | st.dictionaries(st.text(), _JSON, max_size=3)
        ),
        max_size=8,
    )
)
def test_any_sequence_of_changes_ends_as_in_a_dict(
    tmp_path_factory: pytest.TempPathFactory, changes: list[tuple[str, str, dict[str, object] | None]]
) -> None:
    expected: dict[tuple[str, str], dict[str, object]] = {}
    path = tmp_path_factory.mktemp("journal") / "mag.db"
    journal = SqliteJournal.open(path, "mag")
    for kind, key, payload in changes:
        if payload is None:
            expected.pop((kind, key), None)
            journal.commit([Forget(kind, key)])
        else:
            expected[kind, key] = payload
            journal.commit([Record(kind, key, payload)])
    journal.close()
    journal = SqliteJournal.open(path, "mag")
    assert {(record.kind, record.key): record.payload for record in journal.load()} == expected
    journal.close()


def test_only_the_owner_may_read_any_of_its_files(journal: SqliteJournal, path: Path) -> None:
    journal.commit([ALICE])
    files = list(path.parent.iterdir())
    assert {file.name for file in files} == {"lma.db", "lma.db-wal"}
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}


def test_a_file_that_others_could_read_is_made_private(path: Path) -> None:
    SqliteJournal.open(path, "lma").close()
    path.chmod(0o644)
    SqliteJournal.open(path, "lma").close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.requirement("R5847-3.2-1", "R5847-3.2-2")
def test_restart_counter_stays_over_restarts_and_grows_when_the_records_are_given_up(path: Path) -> None:
    journal = SqliteJournal.open(path, "lma", 7)
    assert journal.restart_counter == 7
    journal.commit([ALICE])
    journal.close()
    journal = SqliteJournal.open(path, "lma", 1000)
    assert journal.restart_counter == 7
    journal.clear()
    assert journal.restart_counter == 8
    journal.close()
    journal = SqliteJournal.open(path, "lma", 1000)
    assert (journal.restart_counter, list(journal.load())) == (8, [])
    journal.close()


# --- what is wrong with a file ----------------------------------------------------------------------


def _overwrite(path: Path, old: bytes, new: bytes) -> None:
    octets = path.read_bytes()
    assert old in octets
    path.write_bytes(octets.replace(old, new))


def _not_sqlite(path: Path) -> None:
    path.write_bytes(b"not a database" * 100)


def _broken_page(path: Path) -> None:
    octets = bytearray(path.read_bytes())
    octets[4096:8192] = b"\xa5" * 4096
    path.write_bytes(octets)


def _other_database(path: Path) -> None:
    path.unlink()
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE journal (node TEXT, restart_counter INTEGER)")
    connection.close()


def _later_version(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 2")
    connection.close()


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (_not_sqlite, JournalReason.CORRUPT),
        (_broken_page, JournalReason.CORRUPT),
        (_other_database, JournalReason.WRONG_FORMAT),
        (_later_version, JournalReason.WRONG_FORMAT),
    ],
)
def test_a_spoilt_file_is_refused_by_name(path: Path, spoil: Callable[[Path], None], reason: JournalReason) -> None:
    journal = SqliteJournal.open(path, "lma")
    journal.commit([ALICE])
    journal.close()
    spoil(path)
    with pytest.raises(JournalError, match=f"^journal: {reason}: .*lma.db") as caught:
        SqliteJournal.open(path, "lma")
    assert caught.value.reason is reason


def test_a_changed_value_is_found_by_its_checksum(path: Path) -> None:
    journal = SqliteJournal.open(path, "lma")
    journal.commit([ALICE, BOB])
    journal.close()
    _overwrite(path, b'"uplink_key":0', b'"uplink_key":1')
    journal = SqliteJournal.open(path, "lma")
    with pytest.raises(JournalError, match=r"record lma_binding/alice@example\.org fails its checksum") as caught:
        list(journal.load())
    assert caught.value.reason is JournalReason.CORRUPT
    journal.close()


def test_what_is_no_json_is_corrupt_whatever_its_checksum(path: Path) -> None:
    journal = SqliteJournal.open(path, "lma")
    journal.commit([ALICE])
    journal._connection.execute("UPDATE record SET payload = ?, crc = ?", ("{", zlib.crc32(b"{")))
    with pytest.raises(JournalError, match=r"record lma_binding/alice@example\.org is no JSON") as caught:
        list(journal.load())
    assert caught.value.reason is JournalReason.CORRUPT
    journal.close()


@pytest.mark.parametrize("linked", [False, True])
def test_what_is_no_file_is_refused_and_left_alone(path: Path, linked: bool) -> None:
    pipe = path.with_name("pipe") if linked else path
    os.mkfifo(pipe)
    pipe.chmod(0o644)
    if linked:
        path.symlink_to(pipe)
    with pytest.raises(JournalError, match="no regular file") as caught:
        SqliteJournal.open(path, "lma")
    assert caught.value.reason is JournalReason.WRONG_FORMAT
    assert stat.S_IMODE(pipe.stat().st_mode) == 0o644


def test_the_journal_of_another_node_is_refused(journal: SqliteJournal, path: Path) -> None:
    journal.close()
    with pytest.raises(JournalError, match="it is the journal of lma, not of mag1") as caught:
        SqliteJournal.open(path, "mag1")
    assert caught.value.reason is JournalReason.WRONG_NODE


def test_a_journal_is_open_once(journal: SqliteJournal, path: Path) -> None:
    with pytest.raises(JournalError) as caught:
        SqliteJournal.open(path, "lma")
    assert caught.value.reason is JournalReason.LOCKED
    journal.commit([ALICE])


def test_a_closed_journal_remembers_nothing(journal: SqliteJournal) -> None:
    journal.close()
    with pytest.raises(JournalError) as caught:
        journal.commit([ALICE])
    assert caught.value.reason is JournalReason.CLOSED


def test_a_directory_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(JournalError) as caught:
        SqliteJournal.open(tmp_path / "nowhere" / "lma.db", "lma")
    assert caught.value.reason is JournalReason.IO_ERROR


# --- what the file system refuses -------------------------------------------------------------------

_CHILD = """
import os, resource, signal, sys
from pathlib import Path
from p4pmip.store import JournalError, Record, SqliteJournal

path, trouble = Path(sys.argv[1]), sys.argv[2]
if trouble == "read_only" and os.getuid() == 0:
    os.setuid(65534)  # root would be let through
try:
    journal = SqliteJournal.open(path, "lma")
    if trouble == "limit":
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
    for number in range(10_000):
        journal.commit([Record("n", str(number % 7), {"number": number, "text": "x" * 3000})])
        print(number, flush=True)
except JournalError as error:
    print(error.reason, flush=True)
"""


def _last_lines(path: Path, trouble: str, *within: str, before: str = "") -> list[str]:
    words = [*within, sys.executable, "-c", f"{before}\n{_CHILD}", str(path), trouble]
    done = subprocess.run(words, capture_output=True, text=True, check=True, timeout=60)
    return done.stdout.split()


def test_what_a_full_disk_refuses_was_not_acknowledged_and_the_rest_is_there(path: Path) -> None:
    *acknowledged, reason = _last_lines(path, "limit")
    assert reason in (JournalReason.IO_ERROR, JournalReason.DISK_FULL)
    journal = SqliteJournal.open(path, "lma")
    numbers = {record.key: record.payload["number"] for record in journal.load()}
    assert numbers == {str(int(number) % 7): int(number) for number in acknowledged[-7:]}
    journal.commit([ALICE])
    journal.close()


def _commit_all(journal: SqliteJournal, numbers: Iterator[int]) -> None:
    for number in numbers:
        journal.commit([Record("n", str(number), {"text": "x" * 3000})])


def test_a_full_file_system_is_a_full_disk(path: Path) -> None:
    """The same with the result code that SQLite gives for ENOSPC."""
    journal = SqliteJournal.open(path, "lma")
    journal._connection.execute("PRAGMA max_page_count = 20")
    with pytest.raises(JournalError) as caught:
        _commit_all(journal, iter(range(1000)))
    assert caught.value.reason is JournalReason.DISK_FULL
    kept = list(journal.load())
    assert [record.key for record in kept] == [str(number) for number in range(len(kept))]
    journal.commit([Forget("n", "0"), Forget("n", "1"), Record("n", "again", {"text": "x" * 3000})])
    journal.close()


def test_a_directory_that_cannot_be_written_to(tmp_path: Path) -> None:
    directory = tmp_path / "ro"
    directory.mkdir()
    directory.chmod(0o555)
    for parent in (tmp_path, *tmp_path.parents):
        if parent.name.startswith("pytest-"):
            parent.chmod(0o755)  # the child, who is nobody, has to come this far
    assert _last_lines(directory / "lma.db", "read_only") == [JournalReason.READ_ONLY]
    assert not (directory / "lma.db").exists()


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (errno.EROFS, JournalReason.READ_ONLY),
        (errno.EACCES, JournalReason.READ_ONLY),
        (errno.ENOSPC, JournalReason.DISK_FULL),
        (errno.EIO, JournalReason.IO_ERROR),
    ],
)
@pytest.mark.parametrize("call", ["open", "fchmod", "fsync"])
def test_what_the_file_system_says_has_a_name(
    path: Path, call: str, code: int, reason: JournalReason, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_arguments: object) -> None:
        raise OSError(code, os.strerror(code))

    path.touch(0o644)
    monkeypatch.setattr(os, call, refuse)
    with pytest.raises(JournalError) as caught:
        SqliteJournal.open(path, "lma")
    assert caught.value.reason is reason
    assert os.strerror(code) in str(caught.value)


def test_a_file_system_that_becomes_read_only(path: Path) -> None:
    """As one does after an error of its disk: SQLite tells no more than that a write failed."""
    read_only = "import os; os.statvfs = lambda _: os.statvfs_result((0,) * 8 + (os.ST_RDONLY, 255))"
    *acknowledged, reason = _last_lines(path, "limit", before=read_only)
    assert acknowledged
    assert reason == JournalReason.READ_ONLY


@pytest.mark.root
@pytest.mark.skipif(shutil.which("unshare") is None, reason="unshare is not on PATH")
@pytest.mark.parametrize("there", [False, True])
def test_a_file_system_that_is_read_only(tmp_path: Path, there: bool) -> None:
    make = (
        "from pathlib import Path; from p4pmip.store import SqliteJournal; "
        'SqliteJournal.open(Path("lma.db"), "lma").close()'
    )
    script = f"""
        set -e
        mount -t tmpfs none {tmp_path}
        cd {tmp_path}
        {f"{sys.executable} -c '{make}'" if there else "true"}
        mount -o remount,ro {tmp_path}
        exec "$@"
    """
    lines = _last_lines(tmp_path / "lma.db", "", "unshare", "-m", "sh", "-c", script, "sh")
    assert lines == [JournalReason.READ_ONLY]


def test_fsync_latency_is_measured(tmp_path: Path) -> None:
    latencies = fsync_latency(tmp_path, 5)
    assert len(latencies) == 5
    assert 0 < latencies[0] <= latencies[-1] < 10
    assert not list(tmp_path.iterdir())
