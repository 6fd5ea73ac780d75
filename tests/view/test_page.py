"""The page in a real browser, in front of a lab whose nodes and switches are real."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from tests.view.chromium import BROWSER, browser

from p4pmip.demo import figure1
from p4pmip.demo.figure1 import Subscriber
from p4pmip.demo.lab import SECONDS, Lab, running
from p4pmip.demo.targets import STARTERS
from p4pmip.view.server import ViewServer
from p4pmip.view.sources import Local

pytestmark = pytest.mark.skipif(BROWSER is None, reason="chromium is not installed (Debian: apt-get install chromium)")

HTML = "<img src=x onerror=document.title='owned'>"


@asynccontextmanager
async def viewed() -> AsyncIterator[tuple[Lab, str]]:
    """Figure 1, and the address of its page."""
    async with running(STARTERS["softswitch"], "session", lambda *_: None) as lab:
        server = ViewServer([Local(node, lab.events[name]) for name, node in lab.nodes.items()], ("127.0.0.1", 0))
        url = await server.start()
        try:
            yield lab, url
        finally:
            await server.stop()


async def attach(lab: Lab, subscriber: Subscriber, mag: str = "mag-1") -> None:
    """A mobile node comes and gets its address."""
    lab.plug(subscriber, mag)
    host = lab.mobile_nodes[subscriber.name]
    host.neighbours.clear()
    await host.dhcp(SECONDS)


def at(subscriber: Subscriber, mag: str) -> str:
    """A condition: the page shows the mobile node at a MAG, in the picture and in the table."""
    return (
        f"[...document.querySelectorAll('.mobile.active')].some((one) => one.dataset.mn === '{subscriber.nai}'"
        f" && one.dataset.mag === '{mag}') && [...document.querySelectorAll('#session-rows tr')].some((one) =>"
        f" one.cells[0].textContent === '{subscriber.nai}' && one.cells[3].textContent === '{mag}')"
    )


async def test_attach_move_and_detach_are_seen(tmp_path: Path) -> None:
    """With keys, addresses, messages, entries and drops as the nodes have them."""
    mover, other = figure1.SUBSCRIBERS[0], figure1.SUBSCRIBERS[2]
    async with viewed() as (lab, url), browser(tmp_path) as page:
        await page.open(url)
        await page.until("document.getElementById('connection').textContent === 'live'")
        await attach(lab, mover)
        await attach(lab, other)
        await page.until(at(mover, "mag-1"))
        await page.until(at(other, "mag-1"))
        session = lab.session("lma", mover)
        assert session is not None
        assert session.uplink_key is not None
        row = "[...document.querySelectorAll('#session-rows tr')].find((one) => one.textContent.includes('mn-1'))"
        assert await page.evaluate(f"{row}.cells[5].textContent") == f"0x{session.uplink_key:08x}"
        assert await page.evaluate(f"{row}.cells[2].textContent") == str(mover.address)

        await lab.mobile_nodes[mover.name].ping(figure1.SERVER_ADDRESS, SECONDS)
        await page.until(f"{row}.cells[7].textContent.includes('(1)')")
        await lab.mobile_nodes[mover.name].send_udp(figure1.SUBSCRIBERS[3].address, b"nobody")
        await page.until("document.querySelector('#drop-rows').textContent.includes('no binding')")

        await page.evaluate("document.querySelector('#messages li:last-child button').click()")
        await page.until("document.getElementById('details').open")
        assert "Proxy Binding Update" in await page.evaluate("document.getElementById('details').textContent")
        assert "GRE Key" in await page.evaluate("document.getElementById('details').textContent")
        await page.evaluate("document.getElementById('details').close()")

        table = (
            "[...document.querySelectorAll('#table-nodes details')].find((one) => one.textContent.includes('gre_rx'))"
        )
        await page.until(table)
        await page.evaluate(f"{table}.open = true")
        await page.until(f"{table}.textContent.includes('rx_session')")

        lab.unplug(mover, "mag-1")
        await attach(lab, mover, "mag-2")
        await page.until(at(mover, "mag-2"))
        await page.until("document.getElementById('announcement').textContent.includes('mag-2')")
        lab.unplug(mover, "mag-2")
        await page.until("!document.querySelector('#session-rows').textContent.includes('mn-1')")
        await page.until("document.querySelectorAll('.mobile').length === 1")
        assert page.problems == []


async def test_what_the_network_says_is_shown_as_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An NAI may be any octets."""
    first, *others = figure1.SUBSCRIBERS
    hostile = Subscriber(HTML, first.operator, first.mac, first.address, first.port)
    monkeypatch.setattr(figure1, "SUBSCRIBERS", (hostile, *others))
    async with viewed() as (lab, url), browser(tmp_path) as page:
        await page.open(url)
        await attach(lab, hostile)
        await page.until("document.querySelectorAll('#session-rows tr').length === 1")
        assert await page.evaluate("document.querySelector('#session-rows th').textContent") == hostile.nai
        await page.evaluate("document.querySelector('#messages button').click()")
        await page.until("document.getElementById('details').open")
        assert await page.evaluate("document.querySelectorAll('img').length") == 0
        assert await page.evaluate("document.title") == "p4pmip: live view"
        assert page.problems == []


async def test_a_lost_connection_is_said_and_the_rest_of_the_page_stays(tmp_path: Path) -> None:
    """What is shown is then known to be old."""
    async with browser(tmp_path) as page:
        async with viewed() as (lab, url):
            await page.open(url)
            await attach(lab, figure1.SUBSCRIBERS[0])
            await page.until(at(figure1.SUBSCRIBERS[0], "mag-1"))
        await page.until("document.getElementById('connection').className === 'bad'")
        assert await page.evaluate("document.querySelectorAll('#session-rows tr').length") == 1


def _keep(path: Path, picture: bytes) -> None:
    path.write_bytes(picture)


async def pictures(folder: Path, scratch: Path) -> None:
    """The screenshots of the documentation: a handover under traffic, and the same in the dark."""
    async with viewed() as (lab, url), browser(scratch) as page:
        await page.open(url)
        for subscriber in figure1.SUBSCRIBERS:
            await attach(lab, subscriber)
        lab.unplug(figure1.SUBSCRIBERS[0], "mag-1")
        await attach(lab, figure1.SUBSCRIBERS[0], "mag-2")
        await lab.mobile_nodes["mn-1"].send_udp(figure1.SUBSCRIBERS[3].address, b"nobody")

        async def talk() -> None:
            while True:
                for subscriber in figure1.SUBSCRIBERS:
                    await lab.mobile_nodes[subscriber.name].ping(figure1.SERVER_ADDRESS, SECONDS, bytes(400))

        talking = asyncio.create_task(talk())
        await page.until(at(figure1.SUBSCRIBERS[0], "mag-2"))
        await page.until("document.querySelector('#drop-rows').textContent.includes('no binding')")
        await page.until("document.querySelectorAll('.session.busy').length === 4")
        await page.settle()
        _keep(folder / "view.png", await page.screenshot())
        await page.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark"}])
        await page.evaluate(
            "[...document.querySelectorAll('#messages button')].find((one) => one.textContent.includes('PBA')).click()"
        )
        await page.until("document.getElementById('details').open")
        _keep(folder / "view-message.png", await page.screenshot())
        talking.cancel()


if __name__ == "__main__":  # python -m tests.view.test_page docs
    import sys
    import tempfile

    with tempfile.TemporaryDirectory() as scratch:
        asyncio.run(pictures(Path(sys.argv[1]), Path(scratch)))
