"""`p4pmip run` as a process: killed at a bad moment and started again, reloaded, told to stop."""

import asyncio
import re
import signal
import sys
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from urllib.request import urlopen

import pytest
from google.protobuf import text_encoding
from tests.node.world import SECONDS, Document, document, events_until, switches, write

from p4pmip.node.client import NodeClient

MN = "mn-1@operator-a.example"


async def start(path: Path, *more: str, nodes: int = 3) -> asyncio.subprocess.Process:
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "p4pmip.cli.main", "run", *more, str(path), stderr=asyncio.subprocess.PIPE
    )
    assert child.stderr is not None
    for _ in range(nodes):
        await said(child, " serves")
    return child


async def said(child: asyncio.subprocess.Process, words: str) -> str:
    """The next line of its log that has these words."""
    assert child.stderr is not None
    async with asyncio.timeout(SECONDS):
        while line := (await child.stderr.readline()).decode():
            if words in line:
                return line
    raise AssertionError(f"it ended without saying {words!r}")


def admin_places(folder: Path) -> set[str]:
    return {path.name for path in folder.glob("*.admin")}


async def bindings(folder: Path, name: str) -> list[dict[str, object]]:
    found = await asyncio.to_thread(NodeClient(str(folder / f"{name}.admin")).get, "/bindings")
    return list(found["bindings"])


async def test_a_killed_node_comes_back_with_its_bindings_and_keys(tmp_path: Path) -> None:
    async with switches(tmp_path):
        path = write(tmp_path / "figure-1.toml", document(tmp_path))
        child = await start(path)
        mag = NodeClient(str(tmp_path / "mag-1.admin"))
        await asyncio.to_thread(mag.post, "/attach", mn=MN, link="11")
        await asyncio.to_thread(events_until, NodeClient(str(tmp_path / "lma.admin")), "installed")
        before = await bindings(tmp_path, "lma")
        child.kill()
        await child.wait()

        child = await start(path)
        after = await bindings(tmp_path, "lma")
        drift = (await asyncio.to_thread(NodeClient(str(tmp_path / "lma.admin")).get, "/counters"))["drift"]
        assert [(one["mn"], one["uplink_key"], one["ipv4"]) for one in after] == [
            (one["mn"], one["uplink_key"], one["ipv4"]) for one in before
        ]
        assert not any(drift.get(kind) for kind in ("missing", "changed", "orphaned"))

        path.write_text(path.read_text() + "nonsense")
        child.send_signal(signal.SIGHUP)
        assert "not TOML" in await said(child, "not reloaded")
        assert await bindings(tmp_path, "lma")
        child.send_signal(signal.SIGTERM)
        await said(child, "stopping")
        assert await child.wait() == 0


async def test_what_the_switches_are_asked_is_logged_where_wanted(tmp_path: Path) -> None:
    """With the keys, so for the owner's eyes only."""
    log = tmp_path / "requests.log"
    async with switches(tmp_path):
        child = await start(write(tmp_path / "figure-1.toml", document(tmp_path)), "--p4runtime-log", str(log))
        await asyncio.to_thread(NodeClient(str(tmp_path / "mag-1.admin")).post, "/attach", mn=MN, link="11")
        await asyncio.to_thread(events_until, NodeClient(str(tmp_path / "lma.admin")), "installed")
        key = (await bindings(tmp_path, "lma"))[0]["uplink_key"]
        child.send_signal(signal.SIGTERM)
        assert await child.wait() == 0
    lines = log.read_text().splitlines()
    for words in ("StreamChannel arbitration", "action: VERIFY_AND_COMMIT", "Read ", "Write answered: ok"):
        assert any(words in line for line in lines), words
    assert isinstance(key, int)
    form = re.compile(rf"\d+\.\d{{6}} \[(lma|mag-1|mag-2)\] unix:{tmp_path}/\1\.sock/\d [A-Za-z]+ .+")
    assert [line for line in lines if not form.fullmatch(line)] == []
    escaped = text_encoding.CEscape(key.to_bytes(4, "big").lstrip(b"\0"), as_utf8=False)
    assert any("INSERT" in line and f'"{escaped}"' in line for line in lines)
    assert log.stat().st_mode & 0o777 == 0o600


async def test_a_bad_file_is_one_line_and_status_2(tmp_path: Path) -> None:
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "p4pmip.cli.main", "run", str(tmp_path / "none.toml"), stderr=asyncio.subprocess.PIPE
    )
    _, errors = await child.communicate()
    assert child.returncode == 2
    assert len(errors.splitlines()) == 1


def _foreign_address(folder: Path, mag: Document) -> str:
    mag["signalling"]["address"] = "192.0.2.77"
    return "signalling.address: Cannot assign requested address: '192.0.2.77:5436'"


def _used_admin(folder: Path, mag: Document) -> str:
    (folder / "mag-1.admin").touch()
    return f"admin: cannot listen: there is a file that is no socket: '{folder / 'mag-1.admin'}'"


def _spoilt_journal(folder: Path, mag: Document) -> str:
    (folder / "mag-1.db").write_text("no database" * 100)
    return f"journal: corrupt: file is not a database: '{folder / 'mag-1.db'}'"


@pytest.mark.parametrize("with_switches", [True, False])
@pytest.mark.parametrize("spoil", [_foreign_address, _used_admin, _spoilt_journal])
async def test_what_one_node_cannot_open_keeps_all_from_starting(
    spoil: Callable[[Path, Document], str], with_switches: bool, tmp_path: Path
) -> None:
    """Whether or not its switch is there, and before the other nodes touch theirs."""
    content = document(tmp_path)
    problem = spoil(tmp_path, content["nodes"]["mag-1"])
    before = admin_places(tmp_path)
    async with AsyncExitStack() as stack:
        if with_switches:
            await stack.enter_async_context(switches(tmp_path))
        child = await start(write(tmp_path / "figure-1.toml", content), nodes=0)
        async with asyncio.timeout(SECONDS):
            _, errors = await child.communicate()
    assert (child.returncode, errors.decode()) == (2, f"p4pmip: nodes.mag-1.{problem}\n")
    assert admin_places(tmp_path) == before


async def test_the_view_is_there_while_nodes_wait(tmp_path: Path) -> None:
    child = await start(write(tmp_path / "figure-1.toml", document(tmp_path)), "--view=127.0.0.1:0", nodes=0)
    url = (await said(child, "the live view is at")).split()[-1]
    page = await asyncio.to_thread(lambda: urlopen(url).read())
    assert b"<html" in page
    child.send_signal(signal.SIGHUP)
    assert "waiting for their switches" in await said(child, "not reloaded")
    child.send_signal(signal.SIGTERM)
    assert await child.wait() == 0
    assert not admin_places(tmp_path)
