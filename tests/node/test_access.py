"""What a MAG and its LMA say to mobile nodes themselves, and how many they serve, with switches that run."""

import asyncio
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

from tests.node.test_security import ALICE, BOB, CAROL, host, mac, server, works
from tests.node.world import SECONDS, document, running, switches, until, write

from p4pmip.access import ROUTER_LINK_LOCAL, ROUTER_MAC
from p4pmip.demo import figure1
from p4pmip.demo.fabric import Fabric, Passage, Plug
from p4pmip.demo.host import Host
from p4pmip.mobility.session import Session
from p4pmip.node.node import Node
from p4pmip.node.service import Service
from p4pmip.wire import icmpv6
from p4pmip.wire.echo import EchoReply, EchoRequest
from p4pmip.wire.ethernet import Ethernet, EtherType
from p4pmip.wire.fault import Fault
from p4pmip.wire.ip import IPProtocol, IPv6Packet

DEFAULT_ROUTER = IPv4Address("10.1.0.1")


async def test_the_anchor_answers_a_ping_through_the_tunnel_that_it_came_by(tmp_path: Path) -> None:
    async with running(tmp_path, document(tmp_path)) as (_, fabric):
        transport: list[Ethernet] = []

        def tap(passage: Passage) -> None:
            frame = Ethernet.decode(passage.frame)
            if passage.source == Plug("lma", 1) and isinstance(frame, Ethernet):
                transport.append(frame)

        fabric.tap(tap)
        alice, carol = host(fabric, ALICE), host(fabric, CAROL)  # one address, two realms
        for one in (alice, carol):
            await one.dhcp(SECONDS)
            for address in (DEFAULT_ROUTER, figure1.SERVICE_ADDRESS):
                before = len(one.received)
                assert await one.ping(address, SECONDS, one.name.encode())
                assert [(answer.source, answer.data) for answer in one.received[before:]] == [
                    (address, one.name.encode())
                ]
        assert transport
        for frame in transport:
            outer = IPv6Packet.decode(frame.payload)
            assert not isinstance(outer, Fault)
            assert (outer.next_header, str(outer.destination)) == (IPProtocol.GRE, figure1.TUNNEL["mag-1"])
            assert (frame.source, frame.destination) == (mac("lma"), mac("mag-1"))


async def test_a_ping_of_the_routers_link_local_address_is_answered(tmp_path: Path) -> None:
    content = document(tmp_path)
    content["realms"]["operator-a"]["prefix_pool"] = "2001:db8:a::/48"
    content["mobile_nodes"][0]["prefix"] = "2001:db8:a:1::/64"
    async with running(tmp_path, content) as (service, fabric):
        alice = host(fabric, ALICE)
        await alice.dhcp(SECONDS)
        heard: asyncio.Queue[IPv6Packet] = asyncio.Queue()

        def tap(passage: Passage) -> None:
            frame = Ethernet.decode(passage.frame)
            if passage.destination == Plug(alice.name) and isinstance(frame, Ethernet):
                packet = IPv6Packet.decode(frame.payload)
                if frame.destination == ALICE.mac and isinstance(packet, IPv6Packet):
                    heard.put_nowait(packet)

        fabric.tap(tap)
        for number, own in enumerate(("fe80::ff:fe00:101", "2001:db8:a:1::5")):
            source, request = IPv6Address(own), EchoRequest(number, 1, b"data")
            octets = icmpv6.encode(request, source, ROUTER_LINK_LOCAL)
            packet = IPv6Packet(source, ROUTER_LINK_LOCAL, IPProtocol.ICMPV6, octets)
            alice.transmit(Ethernet(ROUTER_MAC, ALICE.mac, EtherType.IPV6, packet.encode()).encode())
            async with asyncio.timeout(SECONDS):
                while True:
                    answer = await heard.get()
                    reply = icmpv6.decode(answer.payload, answer.source, answer.destination)
                    if isinstance(reply, EchoReply):
                        break
            assert (answer.source, answer.destination, reply) == (ROUTER_LINK_LOCAL, source, request.reply)
        assert "spoofed_source" not in service.nodes["mag-1"].links.access.counters


async def test_a_host_that_tags_its_frames_with_a_priority_alone_is_served(tmp_path: Path) -> None:
    """802.1Q: VLAN 0 is no VLAN; answers go out untagged."""
    async with running(tmp_path, document(tmp_path)) as (service, fabric):
        alice, correspondent = host(fabric, ALICE), server(fabric)
        untagged, heard = alice.transmit, []
        alice.transmit = lambda frame: untagged(frame[:12] + b"\x81\x00\xa0\x00" + frame[12:])
        fabric.tap(lambda passage: heard.append(passage.frame) if passage.destination == Plug(alice.name) else None)
        await alice.dhcp(SECONDS)
        await works(alice)
        assert await alice.ping(DEFAULT_ROUTER, SECONDS)
        assert correspondent.received
        assert heard
        assert not any(frame[12:14] == b"\x81\x00" for frame in heard)
        assert "unknown_link" not in service.nodes["mag-1"].links.counters


def crowd(fabric: Fabric, count: int, port: int) -> list[Host]:
    """Hosts that share an access link."""
    hosts = [Host(f"stranger {number}", b"\x02\0\0\0\x77" + bytes((number,))) for number in range(count)]

    def receive(frame: bytes) -> None:
        for one in hosts:
            one.receive(frame)

    transmit = fabric.add_host("crowd", receive)
    fabric.connect(Plug("crowd"), Plug("mag-1", port))
    for one in hosts:
        one.transmit = transmit
    return hosts


def silent(_frame: bytes) -> None:
    """Nothing is sent."""


def gone(mag: Node, session: Session) -> bool:
    """Whether a MAG has nothing more to do with a mobile node."""
    assert mag.mag is not None
    return mag.mag.state(session.session_id) is None


async def test_a_crowd_on_one_link_leaves_addresses_for_subscribers(tmp_path: Path) -> None:
    """A dozen strangers where there are not many more addresses; then the node restarts."""
    content = document(tmp_path)
    content["realms"]["operator-a"]["ipv4_pool"] = "10.1.0.0/28"
    del content["mobile_nodes"][1]["ipv4"]  # so BOB's is from what is left of the pool
    for port in content["nodes"]["mag-1"]["ports"]:
        if port["number"] == BOB.port + 1:
            port["default_realm_limit"] = 4
    path = write(tmp_path / "figure-1.toml", content)
    async with switches(tmp_path) as fabric:
        service = Service(path)
        await service.start()
        strangers = crowd(fabric, 12, BOB.port + 1)
        asking = [asyncio.create_task(one.dhcp(SECONDS)) for one in strangers]
        await until(service, lambda: service.nodes["mag-1"].counters["default_realm_full"] >= 8)
        await until(service, lambda: sum(task.done() for task in asking) == 4)
        bob = host(fabric, BOB)
        assert await bob.dhcp(SECONDS)
        assert len(list(service.nodes["lma"].sessions())) == 5
        for task in asking:
            task.cancel()
        await asyncio.gather(*asking, return_exceptions=True)

        await service.stop()
        service = Service(path)
        await service.start()
        try:
            inside = [one for one in strangers if one.address is not None]
            outside = [one for one in strangers if one.address is None]
            assert (len(inside), len(outside)) == (4, 8)
            mag = service.nodes["mag-1"]
            knocking = asyncio.create_task(outside[0].dhcp(SECONDS))
            await until(service, lambda: mag.counters["default_realm_full"] == 1)
            knocking.cancel()
            (left,) = [one for one in mag.sessions() if one.link_layer == inside[0].mac]
            # What it said after its detachment would bring it back: so its answer to the probe comes first.
            await until(service, lambda: mag.links.access.counters["arp_reply_received"] >= 5)
            inside[0].transmit = silent
            mag.detach(left.mn)
            await until(service, lambda: gone(mag, left))
            assert await outside[1].dhcp(SECONDS)
        finally:
            await service.stop()
