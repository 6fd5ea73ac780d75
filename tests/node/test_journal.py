"""A journal whose rows are whole and yet not what a node writes: one line that names the row, and nothing starts."""

import asyncio
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.node.world import document, write

from p4pmip.errors import P4pmipError
from p4pmip.mobility.record import Record
from p4pmip.node.desired import desired_from_config
from p4pmip.node.service import Service
from p4pmip.store.error import JournalError, JournalReason
from p4pmip.store.sqlite import SqliteJournal

SESSION: dict[str, Any] = {
    "role": "lma",
    "mn": b"mn-1@operator-a.example".hex(),
    "realm": "operator-a",
    "session_id": 1,
    "phase": "active",
    "technology": 4,
    "link_layer": "020000000101",
    "link_local": None,
    "prefixes": [],
    "ipv4": "10.1.0.10/16",
    "ipv4_router": "10.1.0.1",
    "tunnel": {"local": "2001:db8::1", "peer": "2001:db8::2", "udp": False},
    "local": {"address": "127.0.0.1", "port": 5436},
    "peer": {"address": "127.0.0.2", "port": 5436},
    "gre": "keyed",
    "granularity": "session",
    "uplink_key": 1,
    "downlink_key": 2,
    "lifetime": 900,
    "expires_utc": 2e9,
    "timestamp": 0,
    "sequence": 0,
    "replay": 0,
    "access": None,
}


def journal(folder: Path, *records: Record) -> Path:
    """The configuration whose LMA has these rows."""
    opened = SqliteJournal.open(folder / "lma.db", "lma")
    opened.commit(records)
    opened.close()
    return write(folder / "figure-1.toml", document(folder))


_NO_SESSIONS: tuple[Any, ...] = ({"a": 1}, [], None, "text", 7)
ROWS: list[tuple[str, str, Any]] = [
    *(("session", "1", payload) for payload in _NO_SESSIONS),
    *(("session", "1", {**SESSION, key: "nonsense"}) for key in SESSION if key not in ("realm", "link_layer")),
    *(("session", "1", {**SESSION, key: None}) for key in ("realm", "link_layer", "tunnel", "expires_utc", "prefixes")),
    ("session", "1", {**SESSION, "tunnel": {"local": "2001:db8::1"}}),
    ("session", "1", {**SESSION, "access": {"link": "1", "mac": "00"}}),
    ("key", "1", {"a": 1}),
    ("key", "x", {"until": 1}),
    ("stamp", "61", {"a": 1}),
    ("stamp", "x", {"timestamp": 1, "replay": 1, "until": 1}),
    ("peer", "127.0.0.2", {"a": 1}),
    ("peer", "x", {"counter": 1}),
    ("id", "vrf/1", {"a": 1}),
    ("id", "vrf/1", {"kind": "vrf", "name": [["x"]], "number": 1}),
    ("id", "vrf/1", {"kind": "vrf", "name": ["x"], "number": "1"}),
    ("neighbour", "1/::1", {"a": 1}),
    ("neighbour", "1/::1", {"link": 1, "address": "x", "mac": ""}),
]


@pytest.mark.parametrize(("kind", "key", "payload"), ROWS)
async def test_a_row_that_no_node_wrote_is_named(tmp_path: Path, kind: str, key: str, payload: Any) -> None:
    path = journal(tmp_path, Record("other", "1", {}), Record(kind, key, payload))
    with pytest.raises(JournalError) as raised:
        await Service(path, ["lma"]).start()
    assert raised.value.reason is JournalReason.CORRUPT
    told = str(raised.value)
    assert told.startswith(f"nodes.lma.journal: corrupt: record {kind}/{key}: ")
    assert str(tmp_path / "lma.db") in told
    assert "\n" not in told
    SqliteJournal.open(tmp_path / "lma.db", "lma").close()  # it was let go


async def test_it_is_one_line_and_status_2(tmp_path: Path) -> None:
    path = journal(tmp_path, Record("session", "1", {"a": 1}))
    words = (sys.executable, "-m", "p4pmip.cli.main", "run", str(path), "--node", "lma")
    child = await asyncio.create_subprocess_exec(*words, stderr=asyncio.subprocess.PIPE)
    _, errors = await child.communicate()
    assert child.returncode == 2
    assert errors.decode() == (
        f"p4pmip: nodes.lma.journal: corrupt: record session/1: has no 'role': '{tmp_path / 'lma.db'}'\n"
    )


def test_rows_that_a_node_wrote_are_read(tmp_path: Path) -> None:
    rows = [Record("session", "1", SESSION), Record("id", "vrf/7", {"kind": "vrf", "name": ["x"], "number": 7})]
    assert list(desired_from_config(journal(tmp_path, *rows), "lma").sessions) == [1]


@pytest.mark.parametrize(("kind", "payload"), [("session", {"a": 1}), ("id", []), ("neighbour", {})])
def test_what_a_switch_should_hold_is_not_read_from_it(tmp_path: Path, kind: str, payload: Any) -> None:
    path = journal(tmp_path, Record(kind, "1", payload))
    with pytest.raises(P4pmipError, match=f"corrupt: record {kind}/1: "):
        desired_from_config(path, "lma")
