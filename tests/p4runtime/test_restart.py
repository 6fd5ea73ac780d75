"""A controller process killed with -9, its switch changed behind its back, and started again; on both targets."""

import asyncio
import json
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest
from tests.node.world import document, events_until, write

from p4pmip.demo import figure1
from p4pmip.demo.targets import STARTERS, Running
from p4pmip.forwarding.entry import Entry
from p4pmip.forwarding.update import Operation, Update
from p4pmip.node.client import NodeClient
from p4pmip.p4runtime.pipeline import Pipeline
from p4pmip.p4runtime.session import Session
from p4pmip.wire.ip import internet_checksum

SECONDS = 30.0
SERVICE = figure1.SERVICE_PORT["operator-a"]
TRANSPORT = figure1.TRANSPORT_PORT["lma"]["mag-1"]
TOUCHED, UNTOUCHED = figure1.SUBSCRIBERS[1], figure1.SUBSCRIBERS[0]
ORPHAN = Entry("session", (("session_id", 999), ("direction", 2)), "to_tunnel", (("tunnel_id", 1),))


@dataclass
class World:
    """The LMA's switch, and the process of all three nodes."""

    folder: Path
    path: Path
    lma: Running
    child: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Returns when every node serves, which is when its switch holds what it should."""
        self.child = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "p4pmip.cli.main", "run", str(self.path), stderr=asyncio.subprocess.PIPE
        )
        assert self.child.stderr is not None
        serving, said = 0, b""
        async with asyncio.timeout(SECONDS):
            while serving < len(figure1.NODES):
                line = await self.child.stderr.readline()
                said += line
                assert line, said.decode()
                serving += b" serves" in line

    async def kill(self) -> None:
        """Without a word."""
        assert self.child is not None
        self.child.send_signal(signal.SIGKILL)
        await self.child.wait()

    def ask(self, node: str) -> NodeClient:
        """A node's admin socket."""
        return NodeClient(str(self.folder / f"{node}.admin"))

    async def attach(self, subscriber: figure1.Subscriber) -> None:
        """At MAG 1; returns when the LMA's switch has it."""
        before = len((await asyncio.to_thread(self.ask("lma").get, "/bindings"))["bindings"])
        post = self.ask("mag-1").post
        await asyncio.to_thread(post, "/attach", mn=subscriber.nai, link=str(subscriber.port))
        async with asyncio.timeout(SECONDS):
            while len((await asyncio.to_thread(self.ask("lma").get, "/bindings"))["bindings"]) == before:
                await asyncio.to_thread(events_until, self.ask("lma"), "installed")

    async def drift(self) -> dict[str, int]:
        """What the LMA's comparisons found since it started."""
        return dict((await asyncio.to_thread(self.ask("lma").get, "/counters"))["drift"])

    async def ready(self) -> bool:
        """Whether the LMA has its switch."""
        return bool((await asyncio.to_thread(self.ask("lma").get, "/health"))["ready"])

    async def diff(self, *source: str) -> tuple[int, dict[str, Any]]:
        """`p4pmip diff` of the LMA's switch: exit status and document."""
        target = f"{self.lma.target.address}/1"
        command = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "p4pmip.cli.main", "diff", target, *source, "--json", stdout=asyncio.subprocess.PIPE
        )
        output = (await command.communicate())[0]
        assert command.returncode is not None
        return command.returncode, json.loads(output)


@asynccontextmanager
async def lma_switch(kind: str, folder: Path) -> AsyncIterator[Running]:
    """The LMA's switch, at the place that the configuration names."""
    async with STARTERS[kind]("lma", 1, folder) as running:
        yield running


@pytest.fixture(params=["softswitch", pytest.param("bmv2", marks=pytest.mark.bmv2)])
def kind(request: pytest.FixtureRequest) -> str:
    """What the LMA's switch is."""
    return str(request.param)


@asynccontextmanager
async def world(kind: str, folder: Path, stack: AsyncExitStack) -> AsyncIterator[World]:
    """Switches and nodes, two mobile nodes attached; `stack` has the LMA's switch."""
    async with AsyncExitStack() as others:
        for number, name in enumerate(figure1.MAGS, 2):
            await others.enter_async_context(STARTERS["softswitch"](name, number, folder))
        lma = await stack.enter_async_context(lma_switch(kind, folder))
        here = World(folder, write(folder / "figure-1.toml", document(folder)), lma)
        try:
            await here.start()
            lma.start()
            for subscriber in (UNTOUCHED, TOUCHED):
                await here.attach(subscriber)
            yield here
        finally:
            if here.child is not None and here.child.returncode is None:
                await here.kill()


def packet_to(address: IPv4Address) -> bytes:
    """A frame from the operator's network to a mobile node."""
    header = bytearray(bytes.fromhex("450000200000000040fd0000ac10000a") + address.packed)
    header[10:12] = internet_checksum(bytes(header)).to_bytes(2, "big")
    mac = bytes.fromhex(figure1.port_mac("lma", SERVICE).replace(":", ""))
    return mac + figure1.SERVER_MAC["operator-a"] + b"\x08\x00" + bytes(header) + b"how are you?"


class Ping:
    """Packets to a mobile node, one after the other; each must leave for its MAG before the next is sent."""

    def __init__(self, running: Running, address: IPv4Address) -> None:
        self.sent = self.came = 0
        self._ports, self._frame = running.ports, packet_to(address)
        self._out: asyncio.Queue[bytes] = asyncio.Queue()
        running.ports.attach(TRANSPORT, self._out.put_nowait)

    async def during(self, work: "asyncio.Task[None]") -> None:
        """Until something is done, and once more."""
        last = False
        while not last:
            last = work.done()
            self.sent += 1
            self._ports.receive(SERVICE, self._frame)
            await asyncio.wait_for(self._out.get(), SECONDS)
            self.came += 1
            await asyncio.sleep(0)
        await work


def only(tables: list[dict[str, Any]]) -> tuple[str, dict[str, Any]]:
    """The one entry of a list of a difference, with its table."""
    ((table, entries),) = [(one["table"], one["entries"]) for one in tables]
    (entry,) = entries
    return table, entry


async def test_a_killed_controller_repairs_exactly_what_was_changed(kind: str, tmp_path: Path) -> None:
    async with AsyncExitStack() as stack, world(kind, tmp_path, stack) as here:
        await here.kill()
        async with await Session.open(here.lma.target, Pipeline.packaged()) as other:
            held = {entry.key: entry for table in other.reconciler.tables async for entry in other.read_table(table)}
            address = int(TOUCHED.address)
            (gone,) = (
                entry for entry in held.values()
                if entry.table == "sess_dst_v4" and dict(entry.match) == {"vrf": 1, "address": address}
            )  # fmt: skip
            session_id = dict(gone.params)["session_id"]
            (right,) = (
                entry for entry in held.values()
                if entry.table == "session" and dict(entry.match)["session_id"] == session_id
            )  # fmt: skip
            changed = Entry(right.table, right.match, "to_tunnel", (("tunnel_id", 77),))
            updates = [Update(Operation.MODIFY, changed), Update(Operation.DELETE, gone)]
            await other.writer.apply([[*updates, Update(Operation.INSERT, ORPHAN)]])

        status, plan = await here.diff("--config", str(here.path))
        assert status == 1
        table, entry = only(plan["insert"])
        assert (table, entry["key"]["address"], entry["session"], entry["mn"]) == (
            "sess_dst_v4", str(TOUCHED.address), session_id, TOUCHED.nai
        )  # fmt: skip
        table, entry = only(plan["modify"])
        assert (table, entry["action"], entry["params"]) == ("session", right.action, dict(right.params))
        table, entry = only(plan["delete"])
        assert (table, entry["session"], entry["action"]) == ("session", 999, "to_tunnel")
        assert plan["equal"] == len(held) - 2

        ping = Ping(here.lma, UNTOUCHED.address)
        await ping.during(asyncio.create_task(here.start()))
        assert ping.came == ping.sent > 3
        drift = await here.drift()
        assert {name: drift[name] for name in ("missing", "changed", "orphaned")} == {
            "missing": 1, "changed": 1, "orphaned": 1
        }  # fmt: skip
        status, plan = await here.diff("--node", str(tmp_path / "lma.admin"))
        assert (status, plan) == (0, {"insert": [], "modify": [], "delete": [], "equal": len(held)})


async def test_a_restarted_switch_is_refilled_while_its_controller_runs(kind: str, tmp_path: Path) -> None:
    stack = AsyncExitStack()
    async with stack, world(kind, tmp_path, stack) as here:
        _, before = await here.diff("--node", str(tmp_path / "lma.admin"))
        filled = (await here.drift())["missing"]
        await stack.aclose()
        began = time.monotonic()
        async with lma_switch(kind, tmp_path) as running:
            here.lma = running
            async with asyncio.timeout(SECONDS):
                while (await here.drift())["missing"] == filled or not await here.ready():
                    await asyncio.to_thread(events_until, here.ask("lma"), "switch")
            status, after = await here.diff("--node", str(tmp_path / "lma.admin"))
            assert (status, after) == (0, before)
            drift = await here.drift()
            assert drift["orphaned"] == drift["changed"] == 0
            assert drift["missing"] >= filled + before["equal"]
            assert time.monotonic() - began < SECONDS
            running.start()
            ping = Ping(running, TOUCHED.address)
            await ping.during(asyncio.create_task(asyncio.sleep(0)))
            assert ping.came == ping.sent
