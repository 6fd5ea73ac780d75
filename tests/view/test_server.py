"""The page's server without a browser: what it refuses, and what its headers say."""

from collections.abc import AsyncIterator

import aiohttp
import pytest

from p4pmip.demo.lab import running
from p4pmip.demo.targets import STARTERS
from p4pmip.errors import P4pmipError
from p4pmip.view.server import ViewServer, address_of


@pytest.fixture
async def url() -> AsyncIterator[str]:
    """The page of Figure 1."""
    async with running(STARTERS["softswitch"], "session", lambda *_: None) as lab:
        server = ViewServer([(node, lab.events[name]) for name, node in lab.nodes.items()], ("127.0.0.1", 0))
        yield await server.start()
        await server.stop()


async def test_files_headers_and_foreign_names(url: str) -> None:
    """Everything is served with its policy; another Host, another method and another file are not."""
    async with aiohttp.ClientSession() as http:
        for name in ("", "view.js", "view.css", "icon.svg", "state"):
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
