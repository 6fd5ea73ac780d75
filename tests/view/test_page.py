"""The page in a real browser, in front of a lab whose nodes and switches are real."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from tests.view.chromium import BROWSER, Page, browser

from p4pmip.demo import figure1
from p4pmip.demo.figure1 import Subscriber
from p4pmip.demo.lab import SECONDS, Lab, running
from p4pmip.demo.targets import STARTERS
from p4pmip.view.model import Model
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
        await page.until(f"{row}.cells[7].textContent.endsWith('1 packet')")
        await lab.mobile_nodes[mover.name].send_udp(figure1.SUBSCRIBERS[3].address, b"nobody")
        await page.until("document.querySelector('#drop-rows').textContent.includes('no binding')")

        await page.evaluate("document.querySelector('#messages li:last-child button').click()")
        await page.until("document.getElementById('details').open")
        assert "Proxy Binding Update" in await page.evaluate("document.getElementById('details').textContent")
        assert "GRE Key (33)" in await page.evaluate("document.getElementById('details').textContent")
        assert f"0x{session.downlink_key:08x}" in await page.evaluate("document.getElementById('details').textContent")
        await page.evaluate("document.getElementById('details').close()")

        table = (
            "[...document.querySelectorAll('#table-nodes details')].find((one) => one.textContent.includes('gre_rx'))"
        )
        await page.until(table)
        await page.evaluate(f"{table}.open = true")
        await page.until(f"{table}.textContent.includes('gre_key=0x{session.uplink_key:08x}')")
        await page.evaluate("document.getElementById('session-filter').value = 'mn-3'")
        await page.evaluate("document.getElementById('session-filter').dispatchEvent(new Event('input'))")
        await page.until("document.querySelectorAll('#session-rows tr').length === 1")
        await page.evaluate("document.getElementById('session-filter').value = ''")
        await page.evaluate("document.getElementById('session-filter').dispatchEvent(new Event('input'))")

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
        await page.until("document.getElementById('troubles').textContent.includes('No connection since')")
        assert await page.evaluate("document.querySelectorAll('#session-rows tr').length") == 1


# --- many, hostile, none, gone: from a source that says so ---------------------------------------------

NAMES = (HTML + "@evil.example", "<script>alert(1)</script>@evil.example", "m" * 120 + "@b.example", "\u202e@b.example")
GATEWAYS = ("mag-1", "mag-2", "a-gateway-with-a-long-name")


class Told:
    """A source that tells what a test says: an LMA and its MAGs, and mobile nodes in turn at each."""

    def __init__(self, mobile_nodes: int, gone: str = "") -> None:
        self.mobile_nodes = mobile_nodes
        self.gone = gone

    async def introduce(self, model: Model) -> None:
        """Tell everything at once."""
        for name in ("lma", *GATEWAYS):
            roles = ["lma" if name == "lma" else "mag"]
            state, reason = ("unreachable", "no node answers") if name == self.gone else ("ready", "")
            model.node(name, roles=roles, tunnel="2001:db8::1", target="127.0.0.1:9559/1", state=state, reason=reason)
        model.sessions("lma", ((number, self._row(number)) for number in range(self.mobile_nodes)))

    async def watch(self, model: Model) -> None:
        """Nothing more happens."""

    def _row(self, number: int) -> dict[str, object]:
        realm = "ab"[number % 2]
        nai = NAMES[number] if number < len(NAMES) else f"mn-{number}@{realm}.example"
        address = {"ipv4": f"10.0.0.{number + 1}", "hnp": "2001:db8:a::/64"}
        keys = {"uplink_key": number, "downlink_key": 2**32 - 1 - number}
        return {"mn": nai, "realm": realm, **address, "mag": GATEWAYS[number % 3], "state": "active", **keys}


@asynccontextmanager
async def told(source: Told) -> AsyncIterator[str]:
    """The address of a page of that source."""
    server = ViewServer([source], ("127.0.0.1", 0))
    try:
        yield await server.start()
    finally:
        await server.stop()


OVERLAPS = """(() => {
    const boxes = [...document.querySelectorAll('#mobiles text, #nodes text')].filter((one) => one.textContent)
        .map((one) => one.getBoundingClientRect());
    return boxes.some((a, n) => boxes.slice(n + 1).some((b) => Math.min(a.right, b.right) - Math.max(a.left, b.left) > 3
        && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 2));
})()"""
"""Whether two texts of the picture cover each other by more than the air around letters."""
DRAWN_ANEW = "document.getElementById('map').viewBox.baseVal.width === document.getElementById('map').clientWidth"
"""Whether the picture fits its place."""


async def test_thirty_mobile_nodes_with_hostile_names_are_legible(tmp_path: Path) -> None:
    """At each width of the window: no name on another, nothing beside it, names as text."""
    async with told(Told(30)) as url, browser(tmp_path) as page:
        await page.open(url)
        await page.until("document.querySelectorAll('.mobile').length === 30")
        # Nothing is on its way then when the picture has been drawn.
        await page.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-reduced-motion", "value": "reduce"}])
        for width in (1920, 1400, 1024, 390):
            await page.resize(width, 900)
            await page.until(f"innerWidth === {width} && {DRAWN_ANEW} && !{OVERLAPS}")
            assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth"), width
            names = "[...document.querySelectorAll('.mobile text:first-of-type')].map((one) => one.textContent)"
            assert all(await page.evaluate(names)), width
        shown = await page.evaluate("[...document.querySelectorAll('#session-rows th')].map((one) => one.textContent)")
        assert set(NAMES) < set(shown)
        assert await page.evaluate("document.querySelectorAll('main img, main script').length") == 0
        assert await page.evaluate("document.title") == "p4pmip: live view"
        assert page.problems == []


async def test_nothing_is_said_to_be_nothing(tmp_path: Path) -> None:
    """Without mobile nodes and messages each part of the page says so."""
    async with told(Told(0)) as url, browser(tmp_path) as page:
        await page.open(url)
        await page.until("document.querySelectorAll('.node').length === 4")
        empty = "[...document.querySelectorAll('.empty')].filter((one) => one.checkVisibility())"
        attached = "No mobile node is attached."
        said = [attached, "None.", "No message yet.", attached, "No table has been read yet."]
        assert await page.evaluate(f"{empty}.map((one) => one.textContent)") == said


async def test_a_node_that_is_gone_is_said_to_be(tmp_path: Path) -> None:
    """In words above the page, in its box, and beside what was last seen of it."""
    async with told(Told(3, gone="lma")) as url, browser(tmp_path) as page:
        await page.open(url)
        await page.until("document.querySelectorAll('#session-rows tr').length === 3")
        assert "lma does not answer" in await page.evaluate("document.getElementById('troubles').textContent")
        assert "no answer" in await page.evaluate("document.querySelector('.node.bad').textContent")
        assert (
            await page.evaluate("document.querySelector('#session-rows tr').cells[4].textContent")
            == "active, as last seen"
        )


async def test_by_keyboard(tmp_path: Path) -> None:
    """The first tab leads past the picture; every control has a name; a message opens and closes without a mouse."""
    async with viewed() as (lab, url), browser(tmp_path) as page:
        await page.open(url)
        await attach(lab, figure1.SUBSCRIBERS[0])
        await page.until("document.querySelectorAll('#messages button').length >= 2")
        await press(page, "Tab")
        assert await page.evaluate("document.activeElement.getAttribute('href')") == "#sessions"
        unnamed = await page.evaluate(
            "[...document.querySelectorAll('button, input, [tabindex=\"0\"]')].filter((one) => !(one.textContent.trim()"
            " || one.labels?.length || one.getAttribute('aria-label') || one.getAttribute('aria-labelledby'))).length"
        )
        assert unnamed == 0
        await page.evaluate("document.querySelector('#messages button').focus()")
        await press(page, "Enter")
        await page.until("document.getElementById('details').open")
        await press(page, "Escape")
        await page.until("!document.getElementById('details').open")
        await page.until("document.activeElement === document.querySelector('#messages button')")


KEYS = {"Tab": 9, "Enter": 13, "Escape": 27}


async def press(page: Page, key: str) -> None:
    """A key goes down and up."""
    codes = {"Tab": 9, "Enter": 13, "Escape": 27}
    text = {"text": "\r"} if key == "Enter" else {}
    for kind in ("keyDown", "keyUp"):
        await page.call(
            "Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=codes[key], **text
        )


DRAWN = 25.0
"""Seconds of traffic, so that there are rates of the last minute to be seen on a screenshot."""


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
        await page.until("document.querySelectorAll('.link.busy').length === 4")
        await asyncio.sleep(DRAWN)
        await page.settle()
        await page.call(
            "Emulation.setDeviceMetricsOverride", width=1400, height=1020, deviceScaleFactor=1, mobile=False
        )
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
