"""Attaches and handovers between node processes, with journals on disk and switches in processes of their own.

The LMA is one process, the two MAGs another (this one, which also asks for the attaches). An attach ends when the MAG
serves the mobile node: switch and journal of both ends hold the session then. Measured on the softswitch's native
executor and, where simple_switch_grpc is on PATH, on BMv2; all of them share the machine's cores. Beside the bounds
stands where the time goes: processor time of each process for one attach, and how long a change of a session waits
for its switch and for its journal. Run alone: `PYTHONPATH=. python bench/node.py [softswitch|bmv2]`.
"""

import asyncio
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from tests.kill import Process, free_target, switch
from tests.node.world import Document, document, write

from p4pmip.demo import figure1
from p4pmip.loop import run
from p4pmip.mobility.effects import Advertise
from p4pmip.node.client import NodeClient
from p4pmip.node.events import Listener
from p4pmip.node.node import Node
from p4pmip.node.service import Service
from p4pmip.store.latency import fsync_latency
from p4pmip.wire.numbers import HandoffIndicator

WARM, STORM, WINDOW = 500, 4000, 128
BMV2 = "simple_switch_grpc"
STEADY, RATE = 600, 100.0
COMPILE_SECONDS = 60.0
RATE_BOUND, LATENCY_BOUND = 1000.0, 10.0
LINK = figure1.ACCESS_PORTS[0]
NEW, MOVED = HandoffIndicator.ATTACHMENT_OVER_A_NEW_INTERFACE, HandoffIndicator.HANDOFF_BETWEEN_MAGS_SAME_INTERFACE
Row = dict[str, Any]


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
                asked[1].set_result(time.perf_counter() - asked[0])

    def attach(self, number: int, indicator: int = NEW) -> asyncio.Future[float]:
        """Attach one; the future has the seconds it took."""
        mac = b"\x02\x02" + number.to_bytes(4, "big")
        mn = mac.hex().encode() + b"@operator-a"
        future: asyncio.Future[float] = self._loop.create_future()
        self._waiting[mn] = (time.perf_counter(), future)
        self._node.attach(mn, LINK, mac, indicator)
        return future

    async def storm(self, first: int, count: int) -> float:
        """Attach so many, with `WINDOW` on their way; attaches per second."""
        began, room, asked = time.perf_counter(), asyncio.Semaphore(WINDOW), list[asyncio.Future[float]]()
        for number in range(first, first + count):
            await room.acquire()
            asked.append(self.attach(number))
            asked[-1].add_done_callback(lambda _: room.release())
        await asyncio.gather(*asked)
        return count / (time.perf_counter() - began)


async def _steady(ask: Callable[[int], asyncio.Future[float]], first: int) -> list[float]:
    """Milliseconds that each took, at a steady rate, sorted."""
    asked, began = list[asyncio.Future[float]](), time.perf_counter()
    for number in range(STEADY):
        await asyncio.sleep(max(0.0, began + number / RATE - time.perf_counter()))
        asked.append(ask(first + number))
    return sorted(1000 * seconds for seconds in await asyncio.gather(*asked))


def _processor(processes: dict[str, Process]) -> Counter[str]:
    """Seconds of processor time that each process has used, with its children's."""
    parents: dict[int, int] = {}
    ticks: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:  # it has ended meanwhile
                continue
            parents[int(entry.name)], ticks[int(entry.name)] = int(fields[1]), int(fields[11]) + int(fields[12])
    roots = {process.pid: name.removesuffix("-lma").removesuffix("-mag-1") for name, process in processes.items()}
    roots[os.getpid()] = "mags"
    used: Counter[str] = Counter()
    for number, ticked in ticks.items():
        while number and number not in roots:
            number = parents.get(number, 0)
        if number:
            used[roots[number]] += ticked / os.sysconf("SC_CLK_TCK")  # type: ignore[assignment]
    return used


async def _compiled(processes: dict[str, Process]) -> None:
    """Return once the switches are at rest: a native executor is compiled when the pipeline is set."""
    async with asyncio.timeout(COMPILE_SECONDS):
        while True:
            before = _processor(processes)
            await asyncio.sleep(0.5)
            used = _processor(processes)
            if all(used[name] - before[name] < 0.05 for name in used if name.startswith("switch")):
                return


async def _waits(node: Node, lma: NodeClient) -> dict[str, tuple[int, dict[str, float]]]:
    """Changes that were answered at each end, and the seconds they waited."""
    told = (await asyncio.to_thread(lma.get, "/health"))["changes"]
    return {
        "mag": (node.installer.count, dict(node.installer.seconds)),
        "lma": (told["count"], told["seconds"]),
    }


async def _measure(folder: Path, target: str) -> tuple[dict[str, float], dict[str, float]]:
    content = _configuration(folder)
    path = write(folder / "figure-1.toml", content)
    processes = {
        f"switch-{name}": switch(folder, name, node["target"], target) for name, node in content["nodes"].items()
    }
    processes["lma"] = Process(folder, "lma", "lma serves", "run", str(path), "--node", "lma")
    service = Service(path, figure1.MAGS)
    async with AsyncExitStack() as stack:
        for process in processes.values():
            await process.start()
            stack.push_async_callback(process.kill)
        await service.start()
        stack.push_async_callback(service.stop)
        drivers = []
        for name in figure1.MAGS:
            driver = Driver(service.nodes[name], stack.enter_context(service.events[name].listen()))
            listening = asyncio.create_task(driver.listen())
            stack.callback(listening.cancel)
            drivers.append(driver)
        one, two = drivers
        lma = NodeClient(str(folder / "lma.admin"))
        await one.storm(0, WARM)
        await _compiled(processes)
        before = _processor(processes)
        rate = await one.storm(WARM, STORM)
        used = _processor(processes)
        used.subtract(before)
        waits = await _waits(service.nodes["mag-1"], lma)
        attaches = await _steady(one.attach, WARM + STORM)
        later = await _waits(service.nodes["mag-1"], lma)
        handovers = await _steady(lambda number: two.attach(number, MOVED), WARM + STORM)
    figures = {"attaches": rate}
    for name, times in (("attach", attaches), ("handover", handovers)):
        figures |= {f"{name}_p50": statistics.median(times), f"{name}_p99": times[int(len(times) * 0.99)]}
    parts = {f"processor_{name}": 1000 * seconds / STORM for name, seconds in used.items() if seconds > 0}
    for end, (count, seconds) in later.items():
        for part in ("switch", "journal"):
            waited = seconds[part] - waits[end][1][part]
            parts[f"{end}_waits_for_{part}"] = 1000 * waited / (count - waits[end][0])
    return figures, parts


def measure(targets: tuple[str, ...] = ()) -> list[Row]:
    """The figures, each beside the latency of this disk's fsync in milliseconds."""
    rows: list[Row] = []
    for target in targets or ("softswitch", "bmv2"):
        if target == "bmv2" and shutil.which(BMV2) is None:
            rows.append(_skipped(_title(target, "attaches"), f"{BMV2} is not on PATH"))
            continue
        with tempfile.TemporaryDirectory(prefix="p4pmip-bench-") as temporary:
            folder = Path(temporary)
            fsync = statistics.median(1000 * one for one in fsync_latency(folder))
            figures, parts = run(_measure(folder, target))
        for name, value in figures.items():
            bound = RATE_BOUND if name == "attaches" else LATENCY_BOUND if name.endswith("p99") else None
            rows.append(_row(_title(target, name), value, "1/s" if name == "attaches" else "ms", fsync, bound))
        rows += [_row(_title(target, name), value, "ms", fsync, None) for name, value in parts.items()]
    return rows


def _title(target: str, name: str) -> str:
    return f"node, {target}: {name.replace('_', ' ')}"


def _skipped(name: str, why: str) -> Row:
    nothing = dict.fromkeys(("value", "peer_value", "ratio", "ok"))
    return _row(name, 0.0, "1/s", 1.0, RATE_BOUND) | nothing | {"skipped": why}


def _row(name: str, value: float, unit: str, fsync: float, bound: float | None) -> Row:
    good = bound is None or (value >= bound if unit == "1/s" else value <= bound)
    compared = unit == "ms" and "processor" not in name
    return {
        "name": name,
        "value": round(value, 3),
        "unit": unit,
        "peer": "fsync (median, ms)",
        "peer_value": round(fsync, 3),
        "ratio": round(value / fsync, 3) if compared else None,
        "bound": bound,
        "ok": good,
        "skipped": None,
    }


if __name__ == "__main__":
    for row in measure(tuple(sys.argv[1:])):
        print(*(f"{key}={value}" for key, value in row.items() if value is not None))
