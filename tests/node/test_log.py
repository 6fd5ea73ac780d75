"""What node processes log in a real run: every line says whose it is, and who nobody's business is stands in none."""

import asyncio
import json
import re
import signal
import socket
import sys
from pathlib import Path

import pytest
from tests.node.world import SECONDS, Document, document, events_until, switches, write

from p4pmip.demo import figure1
from p4pmip.node.client import NodeClient
from p4pmip.node.log import without_identities

MN = "mn-1@operator-a.example"
ALL = ",".join(figure1.NODES)


class Run:
    """`p4pmip run` with its log."""

    def __init__(self, path: Path, level: str, *form: str) -> None:
        self._words = ("run", "--log-level", level, *form, str(path))
        self._heard: asyncio.Task[None] | None = None
        self._more = asyncio.Event()
        self.lines: list[str] = []

    async def start(self) -> None:
        self.child = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "p4pmip.cli.main", *self._words, stderr=asyncio.subprocess.PIPE
        )
        self._heard = asyncio.create_task(self._hear())

    async def _hear(self) -> None:
        assert self.child.stderr is not None
        while line := (await self.child.stderr.readline()).decode():
            self.lines.append(line)
            self._more.set()

    async def until(self, words: str, times: int = 1) -> None:
        """Return once some lines have these words."""
        async with asyncio.timeout(SECONDS):
            while sum(words in line for line in self.lines) < times:
                self._more.clear()
                await self._more.wait()

    async def end(self) -> None:
        self.child.send_signal(signal.SIGTERM)
        assert await self.child.wait() == 0
        assert self._heard is not None
        await self._heard


async def life(folder: Path, run: Run, content: Document) -> list[int]:
    """Everything that may be logged: switches that come and go, moves, strangers, reloads; answers the keys in use."""
    path = folder / "figure-1.toml"
    keys: list[int] = []
    client = {name: NodeClient(str(folder / f"{name}.admin")) for name in figure1.NODES}
    async with switches(folder):
        await run.until(" serves", 3)
        await asyncio.to_thread(client["mag-1"].post, "/attach", mn=MN, link="11")
        await asyncio.to_thread(events_until, client["lma"], "installed")
        for name in ("lma", "mag-1"):
            for row in (await asyncio.to_thread(client[name].get, "/bindings"))["bindings"]:
                keys += [row["uplink_key"], row["downlink_key"]]
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            stranger.sendto(b"\xff" * 40, (content["nodes"]["lma"]["signalling"]["address"], 5436))
        for words in (f"GET /desired {MN} 0x{keys[0]:08x}", f"POST /attach HTTP/1.1\r\nX {MN}"):
            reader, writer = await asyncio.open_unix_connection(folder / "mag-1.admin")
            writer.write(f"{words}\r\n\r\n".encode())
            assert b" 400 " in await reader.readline()
            writer.close()
        _, writer = await asyncio.open_unix_connection(folder / "mag-1.admin")
        body = "Content-Type: application/json\r\nContent-Length: 99\r\n\r\n"
        writer.write(f'POST /attach HTTP/1.1\r\nHost: x\r\n{body}{{"mn": "{MN}'.encode())
        await writer.drain()
        writer.close()  # in the middle
        await asyncio.to_thread(client["mag-2"].post, "/move", mn=MN, link="11")
    await run.until(": disconnected", 3)
    async with switches(folder):
        await run.until(": ready", 6)
        content["nodes"]["mag-2"]["mag"]["idle_timeout"] = 77
        write(path, content)
        run.child.send_signal(signal.SIGHUP)
        await run.until("needs a restart")
        content["mobile_nodes"].append(content["mobile_nodes"][0])
        write(path, content)
        run.child.send_signal(signal.SIGHUP)
        await run.until("not reloaded: ", 2)
        await run.end()
    return [key for key in keys if key is not None]


@pytest.mark.parametrize("level", ["info", "debug"])
async def test_every_line_names_its_node(tmp_path: Path, level: str) -> None:
    content = document(tmp_path)
    run = Run(write(tmp_path / "figure-1.toml", content), level, "--log-json")
    await run.start()
    keys = await life(tmp_path, run, content)
    lines = [json.loads(line) for line in run.lines]  # nothing else is on standard error
    assert keys
    assert {line["node"] for line in lines} == {ALL, *figure1.NODES}
    for name, number in zip(figure1.NODES, (1, 2, 3), strict=True):
        mine = [line["message"] for line in lines if line["node"] == name]
        assert f"{name} serves" in mine
        switch = f"switch unix:{tmp_path / name}.sock/{number}: "
        assert f"{switch}ready" in mine
        assert any(one.startswith(f"{switch}closed") for one in mine)
        assert not [one for one in mine if one.startswith("switch ") and not one.startswith(switch)]
    about_all = [line["message"].split(":")[0] for line in lines if line["node"] == ALL]
    assert set(about_all) == {"reloaded", "not reloaded", "stopping"}
    for line in lines:
        assert {"time", "level", "logger", "node", "message"} <= set(line)
        if line["level"] == "debug":
            continue
        text = json.dumps(line)
        assert not re.search(r"mn-\d@|@operator", text), line
        for key in keys:
            assert str(key) not in text
            assert f"{key:08x}" not in text
    if level == "debug":
        told = {(line["node"], line.get("mn"), line["message"]) for line in lines if "peer" in line}
        assert ("lma", MN, "accepted_initial") in told
        assert ("lma", MN, "accepted_handoff") in told
        assert ("mag-1", MN, "status_0") in told


async def test_the_text_says_the_same(tmp_path: Path) -> None:
    content = document(tmp_path)
    run = Run(write(tmp_path / "figure-1.toml", content), "info")
    await run.start()
    await life(tmp_path, run, content)
    form = re.compile(rf"[\d-]+ [\d:]+\.\d{{3}} [A-Z]+ \[({ALL}|{'|'.join(figure1.NODES)})(\|[^]]+)?\] .+\n")
    assert [line for line in run.lines if not form.fullmatch(line)] == []


def test_a_finding_about_a_mobile_node_is_logged_without_who_it_is() -> None:
    told = without_identities("x.toml: mobile_nodes.4: nai is already that of mobile_nodes.0: 'mn-1@a.example'")
    assert told == "x.toml: mobile_nodes.4: nai is already that of mobile_nodes.0"
    assert without_identities("mobile_nodes.4.nai: wrong value: 'x' (valid: y)") == "mobile_nodes.4.nai: wrong value"
    for other in (
        "x.toml: nodes.lma.target: already that of nodes.mag: 'h:1/0'",
        "x.toml: mobile_nodes.4.realm: unknown realm: 'x' (valid: y)",
    ):
        assert without_identities(other) == other
