"""A journal that fails, and messages that were heard before: refused, counted, and the bindings there are unharmed."""

import asyncio
import socket
from collections.abc import Callable
from pathlib import Path
from sqlite3 import Connection

import pytest
from tests.node.world import document, running, until

from p4pmip.mobility.binding import Phase
from p4pmip.mobility.effects import Install, Send
from p4pmip.node.install import Answered
from p4pmip.node.service import Service
from p4pmip.wire.message import BindingAcknowledgement, BindingUpdate
from p4pmip.wire.numbers import HandoffIndicator, Status

LINK = 11
NEW = HandoffIndicator.ATTACHMENT_OVER_A_NEW_INTERFACE


def attach(service: Service, number: int) -> None:
    mac = b"\x02\x05" + number.to_bytes(4, "big")
    service.nodes["mag-1"].attach(mac.hex().encode() + b"@operator-a", LINK, mac, NEW)


def full(connection: Connection, _path: Path) -> None:
    """SQLite's own limit of the file: what it answers is what a full disk answers."""
    connection.execute("PRAGMA max_page_count = 1")


def read_only(connection: Connection, _path: Path) -> None:
    """It refuses to write, as it does for a file system that has become read-only."""
    connection.execute("PRAGMA query_only = 1")


def corrupt(connection: Connection, path: Path) -> None:
    """Everything behind the first page is overwritten while the node runs, and nothing of it is in memory."""
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    with path.open("r+b") as file:
        size = file.seek(0, 2)
        file.seek(4096)
        file.write(b"\xff" * (size - 4096))
    connection.execute("PRAGMA shrink_memory")


@pytest.mark.parametrize(("spoil", "reason"), [(full, "disk_full"), (read_only, "read_only"), (corrupt, "corrupt")])
async def test_a_journal_that_fails_is_status_130_and_an_alarm(
    tmp_path: Path, spoil: Callable[[Connection, Path], None], reason: str
) -> None:
    async with running(tmp_path, document(tmp_path)) as (service, _):
        lma = service.nodes["lma"]
        attach(service, 0)
        await until(service, lambda: any(True for _ in lma.sessions()))
        spoil(lma.journal._journal._connection, tmp_path / "lma.db")  # type: ignore[attr-defined]
        with service.events["lma"].listen() as listener:
            number, refused = 0, ""
            while not refused:
                number += 1
                attach(service, number)
                while not isinstance((event := await listener.queue.get()).what, Answered):
                    pass
                refused = event.what.refused
        assert refused == reason
        assert lma.installer.counters[f"refused_{reason}"] == 1
        assert lma.lma is not None
        assert lma.lma.counters["alarm_install_refused"] == 1
        with service.events["lma"].listen(after=0) as listener:
            answers = []
            while not listener.queue.empty():
                what = listener.queue.get_nowait().what
                if isinstance(what, Send) and isinstance(what.message, BindingAcknowledgement):
                    answers.append(what.message.status)
        assert answers.count(Status.INSUFFICIENT_RESOURCES) == 1
        assert answers.count(Status.ACCEPTED) == number
        assert len(list(lma.sessions())) == number


async def test_a_replayed_pbu_changes_nothing(tmp_path: Path) -> None:
    content = document(tmp_path)
    mag = content["nodes"]["mag-1"]["signalling"]["address"]
    lma_address = (content["nodes"]["lma"]["signalling"]["address"], 5436)
    async with running(tmp_path, content) as (service, _):
        lma = service.nodes["lma"]
        with service.events["mag-1"].listen() as listener:
            attach(service, 1)
            while not isinstance((what := (await listener.queue.get()).what), Send):
                pass
        assert isinstance(what.message, BindingUpdate)
        await until(service, lambda: any(session.phase is Phase.ACTIVE for session in lma.sessions()))
        before = list(lma.sessions())
        with service.events["lma"].listen() as listener, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as replayer:
            replayer.setblocking(False)
            replayer.bind((mag, 0))
            await asyncio.get_running_loop().sock_sendto(replayer, what.octets, lma_address)
            while not isinstance((answer := (await listener.queue.get()).what), Send):
                pass
        assert isinstance(answer.message, BindingAcknowledgement)
        assert answer.message.status in (
            Status.TIMESTAMP_LOWER_THAN_PREV_ACCEPTED,
            Status.TIMESTAMP_MISMATCH,
        )
        assert list(lma.sessions()) == before


async def test_a_node_that_is_told_to_stop_finishes_what_is_under_way(tmp_path: Path) -> None:
    async with running(tmp_path, document(tmp_path)) as (service, _):
        lma = service.nodes["lma"]
        with service.events["lma"].listen() as listener:
            for number in range(60):
                attach(service, number)
            while not isinstance((await listener.queue.get()).what, Answered):
                pass
            await lma.stop()
        with service.events["lma"].listen(after=0) as listener:
            told = []
            while not listener.queue.empty():
                told.append(listener.queue.get_nowait().what)
        installs = [one for one in told if isinstance(one, Install)]
        answered = [one for one in told if isinstance(one, Answered)]
        sent = [one.message for one in told if isinstance(one, Send)]
        granted = [one for one in sent if isinstance(one, BindingAcknowledgement) and one.status == Status.ACCEPTED]
        assert len(installs) > 1
        assert {one.install.ticket for one in answered if not one.refused} == {one.ticket for one in installs}
        assert len(granted) == len(installs)
        held = len(list(lma.sessions()))
        assert held == len(granted)

        again = Service(tmp_path / "figure-1.toml", ["lma"])
        await service.admins["lma"].stop()
        await again.start()
        restarted = again.nodes["lma"]
        drift = restarted.switch.session.drift
        assert len(list(restarted.sessions())) == held
        assert not any(drift[kind] for kind in ("missing", "changed", "orphaned"))
        await again.stop()
