"""Figure 1 as `p4pmip run` has it: its example file with switches of this process, random addresses and changes."""

import asyncio
import json
import time
import tomllib
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from random import SystemRandom
from typing import Any

from p4pmip.demo import figure1
from p4pmip.demo.fabric import Fabric, Plug
from p4pmip.demo.targets import STARTERS
from p4pmip.node.client import NodeClient
from p4pmip.node.service import Service

EXAMPLE = Path(__file__).parents[2] / "examples" / "figure-1" / "figure-1.toml"
SECONDS = 60.0
LOOK = 0.5
"""Seconds between two looks without an event: a counter may change after the last one."""
Document = dict[str, Any]


def document(folder: Path) -> Document:
    """The example, its signalling on random loopback addresses and its switches behind sockets in `folder`."""
    found = tomllib.loads(EXAMPLE.read_text())
    for number, (name, address) in enumerate(figure1.loopback_addresses(SystemRandom()).items(), 1):
        found["nodes"][name]["signalling"]["address"] = address
        found["nodes"][name]["target"] = f"unix:{folder / name}.sock/{number}"
        found["nodes"][name]["admin"] = f"{name}.admin"
        for port in found["nodes"][name]["ports"]:
            if port["role"] == "access":
                port["realm"] = "operator-a"
    return found


def toml(value: object) -> str:
    """A value as TOML has it, tables inline."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {toml(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    return json.dumps(value)


def write(path: Path, content: Document) -> Path:
    """A configuration file."""
    path.write_text("".join(f"{json.dumps(key)} = {toml(value)}\n" for key, value in content.items()))
    return path


@asynccontextmanager
async def switches(folder: Path) -> AsyncIterator[Fabric]:
    """The three softswitches with their wires."""
    async with AsyncExitStack() as stack:
        fabric = Fabric(time.time)
        for number, name in enumerate(figure1.NODES, 1):
            switch = await stack.enter_async_context(STARTERS["softswitch"](name, number, folder))
            fabric.add_switch(name, switch.ports, figure1.ports_of(name))
        for mag in figure1.MAGS:
            fabric.connect(
                Plug(figure1.LMA, figure1.TRANSPORT_PORT[figure1.LMA][mag]),
                Plug(mag, figure1.TRANSPORT_PORT[mag][figure1.LMA]),
            )
        yield fabric


@asynccontextmanager
async def running(folder: Path, content: Document) -> AsyncIterator[tuple[Service, Fabric]]:
    """Switches, and the nodes of a configuration in this process."""
    async with switches(folder) as fabric:
        service = Service(write(folder / "figure-1.toml", content))
        await service.start()
        try:
            yield service, fabric
        finally:
            await service.stop()


async def until(service: Service, condition: Callable[[], bool]) -> None:
    """Return once something is so that the nodes' events bring about."""
    async with AsyncExitStack() as stack:
        listeners = [stack.enter_context(events.listen()) for events in service.events.values()]
        async with asyncio.timeout(SECONDS):
            while not condition():
                waiting = [asyncio.ensure_future(listener.queue.get()) for listener in listeners]
                await asyncio.wait(waiting, timeout=LOOK, return_when=asyncio.FIRST_COMPLETED)
                for task in waiting:
                    task.cancel()


def events_until(node: NodeClient, kind: str) -> list[Document]:
    """What has happened at a node, up to the first event of a kind."""
    found = []
    for event in node.events(after=0):
        found.append(event)
        if event["event"] == kind:
            break
    return found
