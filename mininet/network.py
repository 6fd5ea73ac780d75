"""The running lab of Figure 1: Mininet, switches, nodes and captures; what scenarios do, and what they look at."""

import asyncio
import json
import re
import sys
import time
from collections.abc import Callable, Coroutine
from decimal import Decimal
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import figure1
import machine
import mininet.net
from ending import Interrupts, Namespaces

from p4pmip.p4runtime import deployment
from p4pmip.p4runtime.client import Client
from p4pmip.p4runtime.pipeline import Pipeline
from p4pmip.p4runtime.reader import Reader
from p4pmip.p4runtime.target import parse_target
from p4pmip.p4runtime.view import View
from p4pmip.wire.capture import Frame, read
from p4pmip.wire.message import Message
from p4pmip.wire.mobility_header import Decoded
from p4pmip.wire.packet import decode_frame

HERE = Path(__file__).resolve().parent
NODES = ("lma", *figure1.MAGS)
T = TypeVar("T")
_EXECUTOR = re.compile(r"executor (\w+)")
_INTERFACE = re.compile(r"(lma|mag\d|air|control|op[ab]|mn\d)-eth\d+")
WAIT_SECONDS = 15.0


def _badly_ended(switch: figure1.PmipSwitch) -> list[str]:
    """What a node or softswitch says if it did not end well; BMv2 has no way to."""
    programs = [switch.node_program]
    if switch.settings.target != "bmv2":
        programs.append(switch.switch_program)
    started = [program for program in programs if program is not None and program.process is not None]
    return [
        f"{program.name} ended with status {program.process.returncode}; the end of {program.log}:\n{program.tail()}"
        for program in started
        if program.process.returncode
    ]


class Lab:
    """The running topology; leaving the `with` block ends every process, interface and namespace of it.

    A signal that comes meanwhile interrupts what is done in the block, and not the beginning and the end.
    """

    def __init__(self, settings: figure1.Settings) -> None:
        self.settings = settings
        self.directory = settings.directory
        self.captures = self.directory / "captures"
        self.left_over: list[str] = []
        """Processes that could not be ended."""
        self.badly_ended: list[str] = []
        """Programs that ended by themselves, or with an error when they were told to: the last lines of their logs."""
        self.interrupts = Interrupts()
        self._programs: list[figure1.Program] = []
        self._net = None
        self._ended = False
        self._namespaces: Namespaces | None = None

    def __enter__(self) -> "Lab":
        self.interrupts.begin()
        try:
            self.captures.mkdir(parents=True, exist_ok=True)
            self._net = mininet.net.Mininet(topo=figure1.Figure1(settings=self.settings), controller=None, build=False)
            self._build()
            self.interrupts.allow()
            self._start()
        except BaseException:
            self.end()
            # Ctrl-C reaches the programs that Mininet asks too: what it then says of them is not the cause.
            self.interrupts.check()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()

    def _build(self) -> None:
        try:
            self.net.build()
        finally:
            self._namespaces = Namespaces([node.pid for node in self.net.values()])

    def _start(self) -> None:
        # The captures come first: the first packet matters.
        captures = [self._capture(name) for name in (*NODES, "air", "control")]
        for program, files in captures:
            program.await_ready(lambda files=files: all(file.exists() for file in files))  # type: ignore[misc]
        self.net.start()

    def _capture(self, name: str) -> tuple[figure1.Program, list[Path]]:
        node = self[name]
        interfaces = [str(one) for port, one in node.intfs.items() if port and port < figure1.CONTROL_PORT]
        command = [sys.executable, str(HERE / "capture.py"), str(self.captures), *interfaces]
        program = figure1.Program(node, f"capture {name}", command, self.captures / f"{name}.log", self.directory)
        self._programs.append(program)
        program.start()
        return program, [self.captures / f"{one}.pcap" for one in interfaces]

    def end(self) -> None:
        """End everything, if that has not been done.

        Leaving the block does it; who catches what came out of the block does it again, for a signal in the very moment
        of leaving.
        """
        self.interrupts.refuse()
        if self._ended:
            return
        self._ended = True
        try:
            if self._net is not None:
                switches = [self[name] for name in NODES if name in self.net]
                figure1.PmipSwitch.batchShutdown(switches)
                figure1.end(self._programs)
                self.badly_ended = [told for switch in switches for told in _badly_ended(switch)]
        finally:
            # Not by Mininet, which asks shells that may have been interrupted at work.
            if self._namespaces is not None:
                self.left_over = self._namespaces.end()
            if self._net is not None:
                for node in self.net.values():
                    node.cleanup()
            self.interrupts.end()

    def __getitem__(self, name: str):  # type: ignore[no-untyped-def]
        """A host, switch or LAN of the topology."""
        assert self._net is not None
        return self._net[name]

    @property
    def net(self):  # type: ignore[no-untyped-def]
        """Mininet's own view."""
        return self._net

    # --- what a scenario does ---------------------------------------------------------------------

    def attach(self, *mobile_nodes: str, mag: str = "mag1", seconds: float = WAIT_SECONDS) -> None:
        """Switch mobile nodes on in a MAG's cell, and wait for their addresses.

        Raises:
            Failure: One gets none.
        """
        for name in mobile_nodes:
            figure1.run(self[name], f"ip link set {name}-eth0 down")
            self.move(name, mag)
            figure1.run(self[name], f"ip link set {name}-eth0 up")
        clients = {name: self[name].dhcp_client(int(seconds)) for name in mobile_nodes if 4 in self.settings.families}
        for name in mobile_nodes:
            if 6 in self.settings.families:
                self.until(lambda name=name: self.ipv6(name), f"{name} has an address by SLAAC", seconds)  # type: ignore[misc]
        for name, client in clients.items():
            said, _ = client.communicate()
            if client.returncode:
                raise figure1.Failure(f"{name} got no address by DHCP: {said[-500:]}\n{self.tails()}")

    def move(self, mobile_node: str, mag: str | None) -> None:
        """Bring a mobile node into a MAG's cell (None: into none)."""
        self["air"].move(mobile_node, mag)

    def ipv6(self, mobile_node: str) -> str | None:
        """Its global address, once the host may use it."""
        found = json.loads(self[mobile_node].cmd("ip -j -6 address show scope global -tentative") or "[]")
        addresses = [one["local"] for link in found for one in link.get("addr_info", ()) if one.get("local")]
        return addresses[0] if addresses else None

    def ipv4(self, mobile_node: str) -> str | None:
        """Its IPv4 address."""
        found = json.loads(self[mobile_node].cmd("ip -j -4 address show scope global") or "[]")
        addresses = [one["local"] for link in found for one in link.get("addr_info", ()) if one.get("local")]
        return addresses[0] if addresses else None

    def ping(self, host: str, destination: str, count: int = 5, size: int = 56, more: str = "") -> int:
        """How many of `count` pings were answered."""
        # Ping waits an interval for the last answer: for a few, that has to be long enough on a busy machine.
        interval = 0.2 if count <= 5 else 0.05
        command = f"ping -n -q -c {count} -i {interval} -W 1 -s {size} {more} {destination}"
        said = self[host].cmd(command)
        received = [part.split()[0] for part in said.split(",") if "received" in part]
        return int(received[0]) if received else 0

    def until(self, condition: Callable[[], object], what: str, seconds: float = WAIT_SECONDS) -> None:
        """Wait for something to become true.

        Raises:
            Failure: It does not.
        """
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                raise figure1.Failure(f"not within {seconds:g} s: {what}\n{self.tails()}")
            time.sleep(0.02)

    # --- what a scenario looks at -----------------------------------------------------------------

    def tables(self, switch: str, *names: str) -> dict[str, list[dict[str, Any]]]:
        """What a switch holds, by table, as `p4pmip tables --raw --json` shows it; all tables, or those named."""

        async def look(reader: Reader, pipeline: Pipeline) -> dict[str, list[dict[str, Any]]]:
            view = View(pipeline.schema, {}, True)
            return {
                name: [view.json(row) async for row in reader.rows(name, counters=True)]
                for name in names or pipeline.schema.tables
            }

        return self._read(switch, look)

    def drops(self, switch: str) -> dict[str, int]:
        """Why a switch dropped packets, and how many."""

        async def look(reader: Reader, _pipeline: Pipeline) -> dict[str, int]:
            return dict(await reader.drops())

        return self._read(switch, look)

    def _read(self, switch: str, look: Callable[[Reader, Pipeline], Coroutine[None, None, T]]) -> T:
        """Look at a switch as anybody may while its node controls it."""

        async def work() -> T:
            async with Client(parse_target(self[switch].target)) as client:
                pipeline = await deployment.running(client)
                if pipeline is None:
                    raise figure1.Failure(f"{switch} runs no pipeline")
                return await look(Reader(client, pipeline), pipeline)

        return asyncio.run(work())

    def keys(self, switch: str) -> set[int]:
        """The GRE keys that a switch accepts."""
        return {int(entry["key"]["gre_key"]) for entry in self.tables(switch, "gre_rx")["gre_rx"]}

    def frames(self, interface: str) -> tuple[Frame, ...]:
        """What has arrived at an interface of a switch or LAN."""
        return read((self.captures / f"{interface}.pcap").read_bytes()).frames

    def arrivals(self, lan: str, peer: str) -> tuple[Frame, ...]:
        """What has arrived at a LAN from one that hangs on it."""
        return self.frames(self[lan].peers()[peer])

    def order(self, node: str, *words: str) -> None:
        """Ask a node for something over its admin socket: `attach`, `detach` or `move`.

        Raises:
            Failure: It refuses.
        """
        command = [*figure1.p4pmip(), words[0], "--node", str(self[node].admin), *words[1:]]
        said, error, status = self[node].pexec(command)
        if status:
            raise figure1.Failure(f"p4pmip {' '.join(words)} at {node}: {said}{error}")

    def bindings(self, node: str) -> list[dict[str, object]]:
        """What a node has negotiated, as `p4pmip bindings --json` shows it."""
        said, error, status = self[node].pexec(
            [*figure1.p4pmip(), "bindings", "--json", "--node", str(self[node].admin)]
        )
        if status:
            raise figure1.Failure(f"p4pmip bindings at {node}: {said}{error}")
        found: list[dict[str, object]] = json.loads(said)["bindings"]
        return found

    def modified(self, switch: str, table: str, since: int) -> int:
        """When (ns) a switch had taken the first MODIFY of a table's entry after a moment, as its node saw it.

        Raises:
            Failure: There was none.
        """
        entry = f"table_entry {{ table_id: {Pipeline.packaged().schema.table(table).id} "
        asked = False
        for line in (self[switch].logs / "p4runtime.log").read_text().splitlines():
            seconds, _, told = line.partition(" ")
            now = int(Decimal(seconds) * 10**9)
            asked = asked or (now >= since and "type: MODIFY" in told and entry in told)
            if asked and "Write answered: " in told:
                if told.endswith("ok"):
                    return now
                asked = False  # all of it was refused, or taken back: it is asked for again
        raise figure1.Failure(f"no entry of {table} has been modified at {switch}")

    def signalled(self, sender: str) -> list[Decoded]:
        """What a node has signalled, in its order."""
        decoded = (decode_frame(frame).signalling for frame in self.arrivals("control", sender))
        return [one for one in decoded if one is not None]

    def messages(self, sender: str) -> list[Message]:
        """Of these, what could be decoded."""
        return [one.message for one in self.signalled(sender) if one.message is not None]

    def executors(self) -> set[str]:
        """What runs the switches' packets: simple_switch_grpc, or as the softswitches say of themselves."""
        if self.settings.target == "bmv2":
            return {machine.BMV2}
        said = (self[name].switch_program.log.read_text() for name in NODES)
        return {word.strip() for text in said for word in _EXECUTOR.findall(text)}

    def tails(self) -> str:
        """The last lines of the nodes' logs."""
        return "\n".join(f"--- {name}\n{self[name].node_program.tail(5)}" for name in NODES)

    def traces(self) -> list[str]:
        """What is left where every process can see it: interfaces that came out of a namespace, processes."""
        found = [one.name for one in Path("/sys/class/net").iterdir() if _INTERFACE.match(one.name)]
        for entry in Path("/proc").iterdir():
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0") if entry.name.isdecimal() else []
            except OSError:  # it has just ended
                continue
            if any(bytes(self.directory) in word for word in words):
                found.append(f"process {entry.name}: {b' '.join(words).decode(errors='replace')}")
        return found
