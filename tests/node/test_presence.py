"""Who is there and who has left, by the counters of the switch, and then by probes."""

import asyncio
import contextlib
from pathlib import Path

from tests.node.test_security import ALICE, host, server, works
from tests.node.world import document, running, until

from p4pmip.demo.fabric import Plug


async def test_a_node_that_talks_is_not_probed_and_one_that_is_silent_is_detached(tmp_path: Path) -> None:
    content = document(tmp_path)
    content["nodes"]["mag-1"]["mag"]["idle_timeout"] = 1.5
    async with running(tmp_path, content) as (service, fabric):
        alice = host(fabric, ALICE)
        far = server(fabric)
        await alice.dhcp(10)
        await works(alice)
        access = service.nodes["mag-1"].links.access
        probed = access.counters["probed"]
        until_then = asyncio.get_running_loop().time() + 3.6
        while asyncio.get_running_loop().time() < until_then:
            await alice.send_udp(far.address, b"talk")  # type: ignore[arg-type]
            await asyncio.sleep(0.05)
        assert access.counters["probed"] == probed
        fabric.disconnect(Plug(ALICE.name))
        await until(service, lambda: not list(service.nodes["mag-1"].sessions()))
        assert access.counters["detached"] == 1


async def test_who_cannot_be_registered_and_is_gone_is_not_asked_for_any_more(tmp_path: Path) -> None:
    """The LMA answers nobody; the mobile node has left before that was ever different (RFC 5213 §6.9.4)."""
    content = document(tmp_path)
    content["nodes"]["mag-1"]["mag"]["idle_timeout"] = 1.0
    async with running(tmp_path, content) as (service, fabric):
        lma, mag = service.nodes["lma"], service.nodes["mag-1"]
        await lma.stop()
        service.nodes.pop("lma")
        alice = host(fabric, ALICE)
        with contextlib.suppress(TimeoutError):
            await alice.dhcp(0.5)
        await until(service, lambda: mag.mag is not None and mag.mag.counters["sent_binding_update"] >= 1)
        await until(service, lambda: mag.links.access.counters["waiting_gone"] == 1)
        await until(service, lambda: mag.mag is not None and mag.mag.next_timer() is None)
        assert not list(mag.sessions())
