"""The page's server without a browser: what it refuses, and what its headers say."""

import asyncio
import json
import re
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from importlib import resources
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from tests.node.world import EXAMPLE

from p4pmip.demo import figure1
from p4pmip.demo.lab import SECONDS, running
from p4pmip.demo.targets import STARTERS
from p4pmip.errors import P4pmipError
from p4pmip.node.admin import Admin
from p4pmip.view.server import ViewServer, address_of
from p4pmip.view.sources import Local


@pytest.fixture
async def url() -> AsyncIterator[str]:
    """The page of Figure 1."""
    async with running(STARTERS["softswitch"], "session", lambda *_: None) as lab:
        server = ViewServer([Local(node, lab.events[name]) for name, node in lab.nodes.items()], ("127.0.0.1", 0))
        yield await server.start()
        await server.stop()


async def test_files_headers_and_foreign_names(url: str) -> None:
    """Everything is served with its policy; another Host, another method and another file are not."""
    async with aiohttp.ClientSession() as http:
        for name in ("", "view.js", "topology.js", "view.css", "icon.svg", "state"):
            async with http.get(url + name) as answer:
                assert answer.status == 200, name
                assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
                assert answer.headers["X-Content-Type-Options"] == "nosniff"
        for name in ("server.py", "..%2fmodel.py", "message/1", "message/x"):
            async with http.get(url + name) as answer:
                assert answer.status == 404, name
        async with http.get(url, headers={"Host": "rebound.example"}) as answer:
            assert answer.status == 421
        async with http.post(url) as answer:
            assert answer.status == 405


async def test_what_is_no_request_is_refused_without_a_word(url: str, caplog: pytest.LogCaptureFixture) -> None:
    """Another case of the same Host is the same; what is no HTTP is not repeated in a log."""
    host, port = url.removeprefix("http://").rstrip("/").split(":")
    for words, status in (
        (f"GET / HTTP/1.1\r\nHost: LOCALHOST:{port}", 200),
        ("GET /mn-1@operator-a.example 0x5c4812c7", 400),
        ("GET / HTTP/1.1\r\nX mn-1@operator-a.example", 400),
    ):
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(f"{words}\r\n\r\n".encode())
        head = await reader.readuntil(b"\r\n\r\n")
        assert int(head.split()[1]) == status
        assert b"Content-Security-Policy" in head
        writer.close()
    assert caplog.records == []


def contrast(one: str, other: str) -> float:
    """The contrast ratio of two colours (WCAG 2.2)."""
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def luminance(colour: str) -> float:
    """The relative luminance of `#rgb` or `#rrggbb`."""
    digits = colour[1:] if len(colour) == 7 else "".join(digit * 2 for digit in colour[1:])
    values = [int(digits[place : place + 2], 16) / 255 for place in (0, 2, 4)]
    red, green, blue = (value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in values)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_colours_have_contrast() -> None:
    """Text 4.5 to 1, what is drawn 3 to 1, by day and by night."""
    css = resources.files("p4pmip.view").joinpath("page", "view.css").read_text(encoding="utf-8")
    schemes = [dict(re.findall(r"--(\w+): (#\w+)", text)) for text in re.findall(r":root \{(.*?)\}", css, re.DOTALL)]
    realms = re.findall(r"\.r\d \{ --realm: (#\w+); \}", css)
    assert len(schemes) == 2
    assert len(realms) == 12
    for number, scheme in enumerate(schemes):
        for ground in ("paper", "ground"):
            assert all(contrast(scheme[name], scheme[ground]) >= 4.5 for name in ("ink", "faint", "good", "bad"))
        assert contrast(scheme["bad"], scheme["warning"]) >= 4.5
        assert contrast(scheme["accent"], scheme["paper"]) >= 3
        assert contrast(scheme["wire"], scheme["paper"]) >= 3
        for realm in realms[6 * number : 6 * number + 6]:
            assert all(contrast(realm, scheme[ground]) >= 3 for ground in ("paper", "tube"))


async def test_the_stream_begins_with_everything(url: str) -> None:
    """And is numbered, so that a browser that comes back gets what it missed."""
    async with aiohttp.ClientSession() as http, http.get(url + "events") as answer:
        assert answer.content_type == "text/event-stream"
        first = await answer.content.readline()
        assert first.startswith(b"id: ")
        assert b'"reset": true' in await answer.content.readline()


@pytest.mark.parametrize(
    ("text", "meant"),
    [("127.0.0.1:0", ("127.0.0.1", 0)), ("localhost:80", ("127.0.0.1", 80)), ("[::1]:8080", ("::1", 8080))],
)
def test_addresses(text: str, meant: tuple[str, int]) -> None:
    """As people write them."""
    assert address_of(text) == meant


@pytest.mark.parametrize("text", ["", "8080", "127.0.0.1", "127.0.0.1:x", "127.0.0.1:65536", "example.org:80"])
def test_no_addresses(text: str) -> None:
    """One line with what would be right."""
    with pytest.raises(P4pmipError, match="--view"):
        address_of(text)


def test_an_address_that_cannot_be_had_is_told_before_anything_starts(tmp_path: Path) -> None:
    """In one line that names the option, whoever serves the page."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        for words, place in (
            (["demo", "--view", address], "--view"),
            (["view", "--at", address, str(tmp_path / "no.sock")], "--at"),
            (["run", "--view", address, str(EXAMPLE)], "--view"),
        ):
            done = subprocess.run(
                [sys.executable, "-m", "p4pmip.cli.main", *words], cwd=tmp_path, capture_output=True, text=True
            )
            told = f"p4pmip: {place}: cannot listen: Address already in use: '{address}'\n"
            assert (done.returncode, done.stdout, done.stderr) == (2, "", told)


async def test_nodes_of_other_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`p4pmip view` shows what their admin sockets and switches say, by their names, and that one is gone."""
    monkeypatch.chdir(tmp_path)
    async with AsyncExitStack() as stack:
        lab = await stack.enter_async_context(running(STARTERS["softswitch"], "session", lambda *_: None))
        admins = {name: Admin(node, lab.events[name]) for name, node in lab.nodes.items()}
        for admin in admins.values():
            await admin.start()
        words = ["-m", "p4pmip.cli.main", "view"]
        process = await asyncio.create_subprocess_exec(sys.executable, *words, stdout=asyncio.subprocess.PIPE)
        assert process.stdout is not None
        url = (await process.stdout.readline()).decode().split()[-1]
        lab.plug(figure1.SUBSCRIBERS[0], "mag-1")
        await lab.mobile_nodes["mn-1"].dhcp(SECONDS)
        session = lab.session("lma", figure1.SUBSCRIBERS[0])
        assert session is not None
        async with aiohttp.ClientSession() as http, http.get(url + "events") as answer:
            shown: dict[str, Any] = {}
            async with asyncio.timeout(SECONDS):
                async for line in answer.content:
                    if line.startswith(b"data:"):
                        shown |= json.loads(line[5:])["set"]
                    if _complete(shown, session.session_id):
                        break
            assert shown[f"session/lma/{session.session_id}"]["uplink_key"] == session.uplink_key
            assert shown["node/mag-1"]["roles"] == ["mag"]
            await admins["mag-2"].stop()
            async with asyncio.timeout(SECONDS):
                async for line in answer.content:
                    if line.startswith(b"data:"):
                        shown |= json.loads(line[5:])["set"]
                    if shown["node/mag-2"]["state"] == "unreachable":
                        break
        process.terminate()
        assert await process.wait() == 0
        for name in ("lma", "mag-1"):
            await admins[name].stop()


def _complete(shown: dict[str, Any], session: int) -> bool:
    """Whether the page would show the session, its messages by the nodes' names, its entries and its packets."""
    messages = [one for key, one in shown.items() if key.startswith("message/")]
    return (
        f"session/lma/{session}" in shown
        and f"traffic/lma/{session}" in shown
        and bool(shown.get("table/lma/session", {}).get("count"))
        and any((one["from"], one["to"]) == ("mag-1", "lma") for one in messages)
        and any((one["from"], one["to"]) == ("lma", "mag-1") for one in messages)
    )
