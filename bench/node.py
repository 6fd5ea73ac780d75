"""Attaches and handovers between node processes, with journals on disk and softswitches in processes of their own.

The LMA is one process, the two MAGs another (this one). An attach ends when the MAG serves the mobile node: switch and
journal of both ends hold the session then. Run alone: `PYTHONPATH=. python bench/node.py`.
"""

import asyncio
import statistics
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.kill import Process, free_target
from tests.node.world import Document, document, write

from p4pmip.demo import figure1
from p4pmip.mobility.effects import Advertise
from p4pmip.node.events import Listener
from p4pmip.node.node import Node
from p4pmip.node.service import Service
from p4pmip.store.latency import fsync_latency
from p4pmip.wire.numbers import HandoffIndicator

STORM, WINDOW = 3000, 128
STEADY, RATE = 500, 100.0
RATE_BOUND, LATENCY_BOUND = 1000.0, 10.0
LINK = figure1.ACCESS_PORTS[0]


def _configuration(folder: Path) -> Document:
    found = document(folder)
    del found["mobile_nodes"]
    for number, node in enumerate(found["nodes"].values(), 1):
        node["target"] = free_target(number)
        for port in node["ports"]:
            if port["role"] == "access":
                port["realm"] = "operator-a"
    return found


class Driver:
    """Attaches mobile nodes to a MAG and knows how long each took."""

    def __init__(self, node: Node, listener: Listener) -> None:
        self._node = node
        self._listener = listener
        self._loop = asyncio.get_running_loop()
        self._waiting: dict[bytes, tuple[float, asyncio.Future[float]]] = {}

    async def listen(self) -> None:
        """Settle what was asked for, for ever."""
        while True:
            event = await self._listener.queue.get()
            if isinstance(event.what, Advertise) and (asked := self._waiting.pop(event.what.session.mn, None)):
                asked[1].set_result(self._loop.time() - asked[0])

    def attach(self, number: int, indicator: int) -> asyncio.Future[float]:
        """Attach one; the future has the seconds it took."""
        mac = b"\x02\x02" + number.to_bytes(4, "big")
        mn = mac.hex().encode() + b"@operator-a"
        future: asyncio.Future[float] = self._loop.create_future()
        self._waiting[mn] = (self._loop.time(), future)
        self._node.attach(mn, LINK, mac, indicator)
        return future


async def _storm(driver: Driver) -> float:
    """Attaches per second with so many on their way."""
    loop = asyncio.get_running_loop()
    started, open_ones = loop.time(), set[asyncio.Future[float]]()
    for number in range(STORM):
        if len(open_ones) >= WINDOW:
            _, open_ones = await asyncio.wait(open_ones, return_when=asyncio.FIRST_COMPLETED)
        open_ones.add(driver.attach(number, HandoffIndicator.ATTACHMENT_OVER_A_NEW_INTERFACE))
    await asyncio.wait(open_ones)
    return STORM / (loop.time() - started)


async def _steady(ask: Callable[[int], asyncio.Future[float]]) -> list[float]:
    """Milliseconds that each took, at a steady rate, sorted."""
    asked = []
    for number in range(STEADY):
        asked.append(ask(STORM + number))
        await asyncio.sleep(1 / RATE)
    return sorted(1000 * seconds for seconds in await asyncio.gather(*asked))


async def _measure(folder: Path) -> dict[str, float]:
    content = _configuration(folder)
    path = write(folder / "figure-1.toml", content)
    processes = []
    for number, (name, node) in enumerate(content["nodes"].items(), 1):
        address = node["target"].partition("/")[0]
        arguments = ["switch", "--no-p4", "--device-id", str(number), "--", "--grpc-server-addr", address]
        processes.append(Process(folder, f"switch-{name}", address, *arguments, "--cpu-port", "510"))
    lma = ("run", str(path), "--node", "lma", "--log-level", "info")
    processes.append(Process(folder, "lma", "lma serves", *lma))
    service = Service(path, figure1.MAGS)
    try:
        for process in processes:
            await process.start()
        await service.start()
        with service.events["mag-1"].listen() as first, service.events["mag-2"].listen() as second:
            one, two = Driver(service.nodes["mag-1"], first), Driver(service.nodes["mag-2"], second)
            listening = [asyncio.create_task(driver.listen()) for driver in (one, two)]
            rate = await _storm(one)
            new = HandoffIndicator.ATTACHMENT_OVER_A_NEW_INTERFACE
            attaches = await _steady(lambda number: one.attach(number, new))
            moved = HandoffIndicator.HANDOFF_BETWEEN_MAGS_SAME_INTERFACE
            handovers = await _steady(lambda number: two.attach(number, moved))
            for task in listening:
                task.cancel()
    finally:
        await service.stop()
        for process in reversed(processes):
            await process.kill()
    found = {"node.attaches": rate}
    for name, times in (("attach", attaches), ("handover", handovers)):
        found |= {f"node.{name}_p50": statistics.median(times), f"node.{name}_p99": times[int(len(times) * 0.99)]}
    return found


def measure() -> list[dict[str, Any]]:
    """The figures, each beside the latency of this disk's fsync in milliseconds."""
    with tempfile.TemporaryDirectory(prefix="p4pmip-bench-") as temporary:
        folder = Path(temporary)
        fsync = statistics.median(1000 * one for one in fsync_latency(folder))
        found = asyncio.run(_measure(folder))
    rows: list[dict[str, Any]] = []
    for name, value in found.items():
        rate = name == "node.attaches"
        bound = RATE_BOUND if rate else LATENCY_BOUND if name.endswith("p99") else None
        good = bound is None or (value >= bound if rate else value <= bound)
        rows.append(
            {
                "name": name,
                "value": round(value, 3),
                "unit": "1/s" if rate else "ms",
                "peer": None if rate else "fsync (median, ms)",
                "peer_value": None if rate else round(fsync, 3),
                "ratio": None if rate else round(value / fsync, 3),
                "bound": bound,
                "ok": good,
                "skipped": None,
            }
        )
    return rows


if __name__ == "__main__":
    for row in measure():
        print(*(f"{key}={value}" for key, value in row.items()), file=sys.stdout)
