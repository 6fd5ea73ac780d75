"""Links that go down, in a network namespace of their own."""

import asyncio
import ctypes
import logging
import shutil
import subprocess
import sys

import pytest

from p4pmip import loop
from p4pmip.node.carrier import Carriers


async def watch() -> None:
    """In a namespace of its own: a pair of interfaces, whose other end goes down."""
    lost: asyncio.Queue[int] = asyncio.Queue()
    told: asyncio.Queue[str] = asyncio.Queue()
    handler = logging.Handler()
    handler.emit = lambda record: told.put_nowait(record.getMessage())  # type: ignore[method-assign]
    logging.getLogger("p4pmip").addHandler(handler)
    watching = asyncio.create_task(Carriers({"here": (11, 515), "nowhere": (9,)}, lost.put_nowait).run())
    async with asyncio.timeout(10):
        assert (await told.get()).startswith("interface nowhere is not there")
    ip("link", "set", "other", "down")  # an interface that nobody asked about
    ip("link", "set", "there", "down")
    async with asyncio.timeout(10):
        assert [await lost.get(), await lost.get()] == [11, 515]
    ip("link", "set", "there", "up")
    ip("link", "delete", "here")
    async with asyncio.timeout(10):
        assert [await lost.get(), await lost.get()] == [11, 515]
    assert lost.empty()
    assert told.empty()
    watching.cancel()
    ip("link", "delete", "other")


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)


def in_namespace() -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(0x40000000):  # CLONE_NEWNET
        raise OSError(ctypes.get_errno(), "no namespace")
    for run in (asyncio.run, loop.run):  # the nodes' own loop is another one
        links()
        run(watch())


def links() -> None:
    ip("link", "add", "here", "type", "veth", "peer", "name", "there")
    ip("link", "add", "other", "type", "veth", "peer", "name", "another")
    for name in ("here", "there", "other", "another"):
        ip("link", "set", name, "up")


@pytest.mark.root
@pytest.mark.skipif(shutil.which("ip") is None, reason="iproute2 is not installed")
def test_a_link_that_goes_down_is_noticed() -> None:
    subprocess.run([sys.executable, __file__], check=True, timeout=60)


if __name__ == "__main__":
    in_namespace()
