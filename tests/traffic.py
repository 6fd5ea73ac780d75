"""User traffic of one session through switches that are processes of their own: a mobile node and its server."""

import asyncio
from contextlib import AsyncExitStack
from ipaddress import IPv4Address

from p4pmip.access.served import ROUTER_MAC
from p4pmip.demo import figure1
from p4pmip.demo.dataplane import Dataplane
from p4pmip.demo.fabric import Fabric, Plug
from p4pmip.demo.host import Host
from p4pmip.wire.ethernet import mac

MAC = mac("02:0a:00:00:00:01")
ACCESS, SERVICE = figure1.ACCESS_PORTS[1], figure1.SERVICE_PORT["operator-a"]
CONNECT_SECONDS, ARRIVE_SECONDS = 10.0, 5.0
INTERVAL = 0.005


class Traffic:
    """Datagrams both ways, every one of which has to arrive.

    Args:
        addresses: Of the packet services of both switches: `lma` and `mag-1`.
    """

    def __init__(self, addresses: dict[str, str]) -> None:
        self._addresses = addresses
        self._stack = AsyncExitStack()
        self._sent = 0
        self._node = Host("mn", MAC)
        self._server = Host("server", figure1.SERVER_MAC["operator-a"], figure1.SERVER_ADDRESS)
        self._server.router = figure1.SERVICE_ADDRESS
        self._server.neighbours[figure1.SERVICE_ADDRESS] = mac(figure1.port_mac("lma", SERVICE))

    async def close(self) -> None:
        """Take the wires off."""
        await self._stack.aclose()

    async def connect(self) -> None:
        """Wire everything up, also anew after a switch was killed; the switches have their pipelines."""
        await self._stack.aclose()
        fabric = Fabric(lambda: 0.0)
        for number, (name, address) in enumerate(self._addresses.items(), 1):
            ports = Dataplane(address, number)
            self._stack.push_async_callback(ports.close)
            await ports.connect(CONNECT_SECONDS)
            fabric.add_switch(name, ports, figure1.ports_of(name))
            ports.start()
        for host, plug in ((self._node, Plug("mag-1", ACCESS)), (self._server, Plug("lma", SERVICE))):
            host.transmit = fabric.add_host(host.name, host.receive)
            fabric.connect(Plug(host.name), plug)
        fabric.connect(
            Plug("lma", figure1.TRANSPORT_PORT["lma"]["mag-1"]), Plug("mag-1", figure1.TRANSPORT_PORT["mag-1"]["lma"])
        )

    def attached(self, address: str) -> None:
        """The mobile node has this home address."""
        self._node.address = IPv4Address(address)
        self._node.router = IPv4Address("10.1.0.1")
        self._node.neighbours[self._node.router] = ROUTER_MAC

    async def exchange(self) -> None:
        """One datagram each way."""
        assert self._node.address is not None
        self._sent += 1
        data = self._sent.to_bytes(8, "big")
        await self._node.send_udp(figure1.SERVER_ADDRESS, data)
        await self._server.send_udp(self._node.address, data)

    async def flow(self) -> None:
        """Until cancelled."""
        while True:
            await self.exchange()
            await asyncio.sleep(INTERVAL)

    async def lost(self) -> tuple[int, int]:
        """Datagrams that were sent since the last call, both ways together, and how many of them did not arrive."""
        last = self._sent.to_bytes(8, "big")
        for host in (self._node, self._server):
            await host.wait_for(lambda datagram: datagram.data == last, ARRIVE_SECONDS)
        arrived = sum(len({datagram.data for datagram in host.received}) for host in (self._node, self._server))
        sent, self._sent = 2 * self._sent, 0
        for host in (self._node, self._server):
            host.received.clear()
        return sent, sent - arrived
