"""The whole figure running: switches, wires, hosts and nodes, for as long as the context lasts."""

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from random import SystemRandom

from p4pmip.demo import figure1
from p4pmip.demo.fabric import Fabric, Plug
from p4pmip.demo.figure1 import Subscriber
from p4pmip.demo.host import Host
from p4pmip.demo.recorder import Recorder
from p4pmip.demo.targets import Running, Starter
from p4pmip.mobility.endpoint import Endpoint
from p4pmip.mobility.session import Session
from p4pmip.node.events import Events
from p4pmip.node.node import Node
from p4pmip.p4runtime.target import Target
from p4pmip.store.sqlite import SqliteJournal

SECONDS = 5.0
"""For anything that should happen at once."""

Signalled = Callable[[bytes, Endpoint, Endpoint], None]


class Lab:
    """Two MAGs, an LMA, four mobile nodes, and a server in each operator's network."""

    def __init__(self, fabric: Fabric, recorder: Recorder, addresses: dict[str, str]) -> None:
        self.fabric = fabric
        self.recorder = recorder
        self.nodes: dict[str, Node] = {}
        self.events: dict[str, Events] = {}
        self.mobile_nodes: dict[str, Host] = {}
        self.servers: dict[str, Host] = {}
        self.names = {address: name for name, address in addresses.items()}
        self._changed = asyncio.Event()

    # --- people's hands -------------------------------------------------------------------------------

    def plug(self, subscriber: Subscriber, mag: str) -> None:
        """Put the mobile node's wire into the MAG."""
        self.fabric.connect(Plug(subscriber.name), Plug(mag, subscriber.port))

    def unplug(self, subscriber: Subscriber, mag: str) -> None:
        """Pull the wire; the MAG notices that its link is down."""
        self.fabric.disconnect(Plug(subscriber.name))
        self.nodes[mag].link_down(subscriber.port)

    # --- what is there --------------------------------------------------------------------------------

    def session(self, node: str, subscriber: Subscriber) -> Session | None:
        """The settled session of a mobile node at one end point."""
        wanted = subscriber.nai.encode()
        return next((session for session in self.nodes[node].sessions() if session.mn == wanted), None)

    async def until(self, condition: Callable[[], bool], what: str) -> None:
        """Wait for something that the nodes' events bring about.

        Raises:
            TimeoutError: It did not happen within `SECONDS`.
        """
        try:
            async with asyncio.timeout(SECONDS):
                while not condition():
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            raise TimeoutError(f"{what}: not within {SECONDS:g} s") from None

    def observe(self, node: str, event: object) -> None:
        """Something happened at a node."""
        self.events[node].observe(node, event)
        self._changed.set()


@asynccontextmanager
async def running(starter: Starter, keys: str, signalled: Signalled) -> AsyncIterator[Lab]:
    """Start everything; on leaving, nothing of it is left.

    Args:
        starter: The kind of switch.
        keys: What a pair of GRE keys stands for: `session` or `realm`.
        signalled: Sees each signalling message as it arrives.

    Raises:
        P4pmipError: A switch, an address or a file cannot be had.
    """
    async with AsyncExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="p4pmip-"))
        addresses = figure1.loopback_addresses(SystemRandom())
        fabric = Fabric(time.time)
        wires = [
            (
                Plug(figure1.LMA, figure1.TRANSPORT_PORT[figure1.LMA][mag]),
                Plug(mag, figure1.TRANSPORT_PORT[mag][figure1.LMA]),
            )
            for mag in figure1.MAGS
        ]
        lab = Lab(fabric, Recorder(wires), addresses)
        fabric.tap(lab.recorder.passed)

        targets: dict[str, Target] = {}
        switches: list[Running] = []
        for device_id, name in enumerate(figure1.NODES, 1):
            switch = await stack.enter_async_context(starter(name, device_id, Path(folder)))
            targets[name] = switch.target
            switches.append(switch)
            fabric.add_switch(name, switch.ports, figure1.ports_of(name))
        for one, other in wires:
            fabric.connect(one, other)
        _add_hosts(lab)

        config = figure1.configuration(addresses, targets, keys, folder)

        def arrived(octets: bytes, source: Endpoint, destination: Endpoint) -> None:
            lab.recorder.signalled(octets, source, destination, time.time())
            signalled(octets, source, destination)

        for name in figure1.NODES:
            lab.events[name] = Events(config, name)
            journal = SqliteJournal.open(Path(folder, f"{name}.db"), name)
            node = lab.nodes[name] = Node(config, name, targets[name], journal, lab.observe, arrived)
            stack.push_async_callback(node.stop)
            await node.open()
        for node in lab.nodes.values():
            await node.start()
        for switch in switches:
            switch.start()
        yield lab


def _add_hosts(lab: Lab) -> None:
    for subscriber in figure1.SUBSCRIBERS:
        lab.mobile_nodes[subscriber.name] = _host(lab, Host(subscriber.name, subscriber.mac))
    for operator in figure1.OPERATORS:
        server = Host(f"server of {operator}", figure1.SERVER_MAC[operator], figure1.SERVER_ADDRESS)
        server.router = figure1.SERVICE_ADDRESS
        lab.servers[operator] = _host(lab, server)
        lab.fabric.connect(Plug(server.name), Plug(figure1.LMA, figure1.SERVICE_PORT[operator]))


def _host(lab: Lab, host: Host) -> Host:
    host.transmit = lab.fabric.add_host(host.name, host.receive)
    return host
