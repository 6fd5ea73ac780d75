"""Those who may not: refused and counted, at nodes with switches that run, while everybody else is served."""

import asyncio
import socket
import time
from collections import Counter
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from random import Random

from tests.node.world import SECONDS, Document, document, running, until

from p4pmip.demo import figure1
from p4pmip.demo.fabric import Fabric, Plug
from p4pmip.demo.figure1 import SUBSCRIBERS, Subscriber
from p4pmip.demo.host import Host
from p4pmip.mobility.binding import Phase
from p4pmip.mobility.effects import Send
from p4pmip.mobility.session import Session
from p4pmip.node.service import Service
from p4pmip.wire import options as o
from p4pmip.wire.checksum import internet_checksum
from p4pmip.wire.ethernet import Ethernet, EtherType
from p4pmip.wire.gre import Gre
from p4pmip.wire.ip import IPProtocol, IPv4Packet, IPv6Packet
from p4pmip.wire.message import BindingAcknowledgement, BindingUpdate
from p4pmip.wire.mobility_header import decode, encode
from p4pmip.wire.numbers import BindingUpdateFlag, HandoffIndicator, Status
from p4pmip.wire.udp import Udp

ALICE, BOB, CAROL = SUBSCRIBERS[:3]
"""Two of one operator, and one of the other, who has ALICE's address there."""


def host(fabric: Fabric, one: Subscriber, mag: str = "mag-1") -> Host:
    found = Host(one.name, one.mac)
    found.transmit = fabric.add_host(one.name, found.receive)
    fabric.connect(Plug(one.name), Plug(mag, one.port))
    return found


def server(fabric: Fabric, operator: str = "operator-a") -> Host:
    name = f"server of {operator}"
    found = Host(name, figure1.SERVER_MAC[operator], figure1.SERVER_ADDRESS)
    found.router = figure1.SERVICE_ADDRESS
    found.transmit = fabric.add_host(name, found.receive)
    fabric.connect(Plug(name), Plug("lma", figure1.SERVICE_PORT[operator]))
    return found


async def works(one: Host) -> None:
    """The mobile node reaches its server."""
    assert await one.ping(figure1.SERVER_ADDRESS, SECONDS)


async def drops(service: Service, node: str) -> Counter[str]:
    """What the switch of a node has dropped, by the names of the program's reasons."""
    return Counter(await service.nodes[node].switch.session.reader.drops())


def counted(service: Service, node: str) -> dict[str, int]:
    engine = service.nodes[node].engines[0]
    return dict(engine.counters)


def sessions(service: Service, node: str = "lma") -> list[Session]:
    return list(service.nodes[node].sessions())


def secured(folder: Path, content: Document, mag: str, at_mag: bytes, at_lma: bytes) -> None:
    """An association of RFC 4285 between a MAG and the LMA, as each of them has it."""
    address = {name: node["signalling"]["address"] for name, node in content["nodes"].items()}
    for node, peer, secret in (("lma", mag, at_lma), (mag, "lma", at_mag)):
        path = folder / f"{node}-{peer}.secret"
        path.write_bytes(secret)
        path.chmod(0o600)
        peers = content["nodes"][node].setdefault("peers", {})
        peers[peer] = {"address": address[peer], "spi": 300, "secret_file": str(path)}


async def say(content: Document, mag: str | None, octets: bytes) -> BindingAcknowledgement:
    """Say it to the LMA from a MAG's address, or from nobody's; the answer."""
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as speaker:
        speaker.setblocking(False)
        speaker.bind(("127.0.0.1" if mag is None else content["nodes"][mag]["signalling"]["address"], 0))
        await loop.sock_sendto(speaker, octets, (content["nodes"]["lma"]["signalling"]["address"], 5436))
        async with asyncio.timeout(SECONDS):
            answer = decode(await loop.sock_recv(speaker, 2048)).message
    assert isinstance(answer, BindingAcknowledgement)
    return answer


def update(mn: str, utc: float, sequence: int = 7) -> bytes:
    """A PBU that would be good at `utc`."""
    options = (
        o.MobileNodeIdentifier.nai(mn.encode()),
        o.HandoffIndicatorOption(HandoffIndicator.HANDOFF_BETWEEN_MAGS_SAME_INTERFACE),
        o.AccessTechnologyOption(4),
        o.Timestamp.from_utc(utc),
        o.GreKey(99),
        o.IPv4HomeAddressRequest(ALICE.address.__class__(0), 0),
    )
    return encode(BindingUpdate(sequence, BindingUpdateFlag.A | BindingUpdateFlag.P, 900, options))


async def test_a_wrong_authenticator_registers_nobody(tmp_path: Path) -> None:
    content = document(tmp_path)
    secured(tmp_path, content, "mag-1", b"the same", b"the same")
    secured(tmp_path, content, "mag-2", b"another", b"than this")
    async with running(tmp_path, content) as (service, fabric):
        alice, bob = host(fabric, ALICE), host(fabric, BOB, "mag-2")
        server(fabric)
        # Asked again and again: the first packet may come before its MAG serves.
        asking = asyncio.create_task(bob.dhcp(SECONDS))
        refused = f"status_{int(Status.MIPV6_AUTH_FAIL)}"
        await until(service, lambda: refused in counted(service, "lma"))
        await until(service, lambda: "ignored_not_authentic" in counted(service, "mag-2"))
        await alice.dhcp(SECONDS)
        await works(alice)
        assert not asking.done()
        asking.cancel()
        assert [session.mn for session in sessions(service)] == [ALICE.nai.encode()]


async def test_an_unknown_gateway_is_refused(tmp_path: Path) -> None:
    content = document(tmp_path)
    async with running(tmp_path, content) as (service, fabric):
        alice = host(fabric, ALICE)
        server(fabric)
        await alice.dhcp(SECONDS)
        before = sessions(service)
        for mn in (ALICE.nai, BOB.nai):  # one that it would take away, and one that it would bring
            answer = await say(content, None, update(mn, time.time()))
            assert answer.status == Status.MAG_NOT_AUTHORIZED_FOR_PROXY_REG
        assert counted(service, "lma")[f"status_{int(Status.MAG_NOT_AUTHORIZED_FOR_PROXY_REG)}"] == 2
        assert sessions(service) == before
        await works(alice)


async def test_a_replayed_authenticator_and_stale_stamps_change_nothing(tmp_path: Path) -> None:
    content = document(tmp_path)
    secured(tmp_path, content, "mag-1", b"secret", b"secret")
    async with running(tmp_path, content) as (service, fabric):
        alice = host(fabric, ALICE)
        server(fabric)
        with service.events["mag-1"].listen() as listener:
            await alice.dhcp(SECONDS)
            while not isinstance((sent := listener.queue.get_nowait().what), Send):
                pass
        before = sessions(service)
        again = await say(content, "mag-1", sent.octets)
        assert again.status in (Status.TIMESTAMP_LOWER_THAN_PREV_ACCEPTED, Status.TIMESTAMP_MISMATCH)
        stale = await say(content, "mag-2", update(BOB.nai, time.time() - 3600))
        assert stale.status == Status.TIMESTAMP_MISMATCH
        statuses = Counter((f"status_{int(again.status)}", f"status_{int(stale.status)}"))
        assert {name: count for name, count in counted(service, "lma").items() if name in statuses} == statuses
        assert sessions(service) == before
        await works(alice)


async def test_a_wall_clock_that_steps_back_harms_nobody(tmp_path: Path) -> None:
    async with running(tmp_path, document(tmp_path)) as (service, fabric):
        alice, bob = host(fabric, ALICE), host(fabric, BOB)
        server(fabric)
        await alice.dhcp(SECONDS)
        lma, right = service.nodes["lma"], service.nodes["lma"]._clock
        lma._clock = lambda: (right()[0], right()[1] - 3600)  # type: ignore[method-assign]
        asking = asyncio.create_task(bob.dhcp(SECONDS))
        await until(service, lambda: f"status_{int(Status.TIMESTAMP_MISMATCH)}" in counted(service, "lma"))
        await until(service, lambda: "alarm_clock_skew" in counted(service, "mag-1"))
        assert [session.mn for session in sessions(service)] == [ALICE.nai.encode()]
        await works(alice)
        lma._clock = right  # type: ignore[method-assign]
        await asking
        await works(bob)


async def test_a_forged_source_does_not_leave_the_access_link(tmp_path: Path) -> None:
    async with running(tmp_path, document(tmp_path)) as (service, fabric):
        alice, bob, correspondent = host(fabric, ALICE), host(fabric, BOB), server(fabric)
        await alice.dhcp(SECONDS)
        await bob.dhcp(SECONDS)
        await works(bob)
        own, bob.address = bob.address, ALICE.address
        await bob.send_udp(figure1.SERVER_ADDRESS, b"as alice")
        bob.address = own
        access = service.nodes["mag-1"].links.access
        async with asyncio.timeout(SECONDS):
            while not access.counters["spoofed_source"]:
                await works(bob)
        assert not any(datagram.data == b"as alice" for datagram in correspondent.received)
        await works(alice)


async def test_a_key_of_another_realm_opens_nothing(tmp_path: Path) -> None:
    async with running(tmp_path, document(tmp_path)) as (service, fabric):
        alice, bob, carol = host(fabric, ALICE), host(fabric, BOB), host(fabric, CAROL)
        servers = {operator: server(fabric, operator) for operator in figure1.OPERATORS}
        for one in (alice, bob, carol):
            await one.dhcp(SECONDS)
            await works(one)
        before = await drops(service, "lma"), await drops(service, "mag-1")
        (uplink,) = {one.uplink_key for one in sessions(service) if one.mn == CAROL.nai.encode()}
        (downlink,) = {one.downlink_key for one in sessions(service) if one.mn == CAROL.nai.encode()}
        ends = {name: IPv6Address(figure1.TUNNEL[name]) for name in ("mag-1", "lma")}
        for near, far, source, destination, key in (
            ("mag-1", "lma", BOB.address, figure1.SERVER_ADDRESS, uplink),
            ("lma", "mag-1", figure1.SERVER_ADDRESS, BOB.address, downlink),
        ):
            datagram = Udp(40000, 40000, b"with carol's key").encode(source, destination)
            inner = IPv4Packet(source, destination, IPProtocol.UDP, datagram).encode()
            gre = Gre(EtherType.IPV4, inner, key).encode()
            outer = IPv6Packet(ends[near], ends[far], IPProtocol.GRE, gre).encode()
            fabric.send(Plug(near, 1), Ethernet(mac(far), mac(near), EtherType.IPV6, outer).encode())
        for one in (alice, bob, carol):  # what comes after it has overtaken nothing
            await works(one)
        assert await drops(service, "lma") - before[0] == Counter(SESSION_ADDRESS=1)
        assert await drops(service, "mag-1") - before[1] == Counter(SESSION_ADDRESS=1)
        received = [one for end in (*servers.values(), alice, bob, carol) for one in end.received]
        assert not any(one.data == b"with carol's key" for one in received)


def mac(node: str) -> bytes:
    """Of a node's first transport port."""
    return bytes.fromhex(figure1.port_mac(node, 1).replace(":", ""))


def in_band(folder: Path) -> Document:
    """The example with IPv4 tunnels, and signalling that goes through the switches."""
    content = document(folder)
    for name, node in content["nodes"].items():
        node["tunnel"]["address"] = {"lma": "192.0.2.1", "mag-1": "192.0.2.2", "mag-2": "192.0.2.3"}[name]
        node["signalling"] = {"transport": "in-band", "address": node["tunnel"]["address"]}
        for port in node["ports"]:
            if port["role"] == "transport":
                ((neighbour, mac),) = port["neighbours"].items()
                other = next(key for key, end in figure1.TUNNEL.items() if end == neighbour)
                known = {"lma": "192.0.2.1", "mag-1": "192.0.2.2", "mag-2": "192.0.2.3"}[other]
                port["neighbours"], port["address"] = {known: mac}, []
    return content


async def test_hosts_do_not_speak_to_the_anchor_as_a_gateway(tmp_path: Path) -> None:
    async with running(tmp_path, in_band(tmp_path)) as (service, fabric):
        alice, bob = host(fabric, ALICE), host(fabric, BOB)
        server(fabric)
        for one in (alice, bob):
            await one.dhcp(SECONDS)
            await works(one)
        before, lma = sessions(service), counted(service, "lma")
        dropped = await drops(service, "lma"), await drops(service, "mag-1")
        access = service.nodes["mag-1"].links.access
        spoofed = access.counters["spoofed_source"]
        target = ALICE.address.__class__("192.0.2.1")
        # Through its own tunnel, from its home address and from a MAG's, and to its own MAG.
        for source, destination in ((ALICE.address, target), (target.__class__("192.0.2.2"), target),
                                    (ALICE.address, target.__class__("192.0.2.2"))):  # fmt: skip
            datagram = Udp(5436, 5436, update(ALICE.nai, time.time())).encode(source, destination)
            packet = IPv4Packet(source, destination, IPProtocol.UDP, datagram).encode()
            router = alice.neighbours[alice.router]  # type: ignore[index]
            alice.transmit(Ethernet(router, ALICE.mac, EtherType.IPV4, packet).encode())
        for one in (alice, bob):
            await works(one)
        assert await drops(service, "lma") - dropped[0] == Counter(DECAPSULATED_LOCAL=1)
        assert await drops(service, "mag-1") - dropped[1] == Counter(UNTRUSTED_SIGNALLING=1)
        await until(service, lambda: access.counters["spoofed_source"] > spoofed)
        assert access.counters["spoofed_source"] == spoofed + 1
        assert counted(service, "lma") == lma
        assert sessions(service) == before


async def test_a_flood_from_one_link_leaves_others_in_peace(tmp_path: Path) -> None:
    random = Random(1)
    async with running(tmp_path, document(tmp_path)) as (service, fabric):
        alice, bob, carol = host(fabric, ALICE), host(fabric, BOB), host(fabric, CAROL)
        for operator in figure1.OPERATORS:
            server(fabric, operator)
        await carol.dhcp(SECONDS)
        before = await drops(service, "mag-1")
        flood = 0

        async def shout() -> None:
            nonlocal flood
            while True:
                for _ in range(50):
                    flood += 1
                    kind = random.choice((EtherType.ARP, EtherType.IPV4, EtherType.IPV6))
                    octets = random.randbytes(random.randrange(80))
                    alice.transmit(Ethernet(b"\xff" * 6, b"\x02" + random.randbytes(5), kind, octets).encode())
                await asyncio.sleep(0)

        shouting = asyncio.create_task(shout())
        await bob.dhcp(SECONDS)
        for one in (bob, carol):
            await works(one)
        shouting.cancel()
        await asyncio.gather(shouting, return_exceptions=True)
        dropped = await drops(service, "mag-1") - before
        assert dropped["METER"] > 0  # of ARP, of which every packet would go to the controller
        assert dropped["MALFORMED"] > 0
        assert dropped.total() <= flood
        assert "alarm_defect" not in service.nodes["mag-1"].counters
        active = {session.mn for session in sessions(service) if session.phase is Phase.ACTIVE}
        assert active == {BOB.nai.encode(), CAROL.nai.encode()}


async def test_broken_messages_change_nothing(tmp_path: Path) -> None:
    content, random = document(tmp_path), Random(2)
    async with running(tmp_path, content) as (service, fabric):
        alice = host(fabric, ALICE)
        server(fabric)
        await alice.dhcp(SECONDS)
        before, told = sessions(service), Counter(counted(service, "lma"))
        lma = (content["nodes"]["lma"]["signalling"]["address"], 5436)
        whole = update(ALICE.nai, time.time())
        loop = asyncio.get_running_loop()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as noise:
            noise.setblocking(False)
            noise.bind((content["nodes"]["mag-2"]["signalling"]["address"], 0))
            for _ in range(200):
                broken = bytearray(whole[: random.randrange(len(whole))])
                for at in range(0, len(broken), 9):
                    broken[at] = random.randrange(256)
                await loop.sock_sendto(noise, bytes(broken), lma)
        await until(service, lambda: sum((Counter(counted(service, "lma")) - told).values()) >= 200)
        refused = Counter(counted(service, "lma")) - told
        assert not [name for name in refused if name.startswith(("accepted", "waiting"))]
        assert refused["truncated"] > 0
        assert "alarm_defect" not in service.nodes["lma"].counters
        assert sessions(service) == before
        await works(alice)


async def test_broken_frames_of_the_transport_link_are_counted_by_reason(tmp_path: Path) -> None:
    random = Random(3)
    async with running(tmp_path, in_band(tmp_path)) as (service, fabric):
        alice, bob = host(fabric, ALICE), host(fabric, BOB)
        correspondent = server(fabric)
        for one in (alice, bob):
            await one.dhcp(SECONDS)
            await works(one)
        (key,) = {one.uplink_key for one in sessions(service) if one.mn == ALICE.nai.encode()}
        near, far = IPv4Address("192.0.2.2"), IPv4Address("192.0.2.1")
        datagram = Udp(40000, 40000, b"broken").encode(ALICE.address, figure1.SERVER_ADDRESS)
        inner = IPv4Packet(ALICE.address, figure1.SERVER_ADDRESS, IPProtocol.UDP, datagram).encode()
        bobs = IPv4Packet(BOB.address, figure1.SERVER_ADDRESS, IPProtocol.UDP, datagram).encode()
        gre = Gre(EtherType.IPV4, inner, key).encode()

        def tunnel(payload: bytes, source: IPv4Address = near) -> bytes:
            return IPv4Packet(source, far, IPProtocol.GRE, payload).encode()

        def to_lma(packet: bytes, kind: int = EtherType.IPV4, destination: bytes = mac("lma")) -> bytes:
            return Ethernet(destination, mac("mag-1"), kind, packet).encode()

        def signalling(octets: bytes) -> bytes:
            return IPv4Packet(near, far, IPProtocol.UDP, Udp(5436, 5436, octets).encode(near, far)).encode()

        whole, said = tunnel(gre), signalling(update(ALICE.nai, time.time()))
        part = bytearray(IPv4Packet(near, far, IPProtocol.UDP, bytes(16)).encode())
        part[6:8], part[10:12] = b"\x20\x00", b"\0\0"  # more fragments follow
        part[10:12] = internet_checksum(bytes(part[:20])).to_bytes(2, "big")
        faults = {
            "STATION": to_lma(whole, destination=mac("mag-2")),
            "ETHER_TYPE": to_lma(whole, 0x1234),
            "MALFORMED": to_lma(whole[:-20]),
            "CHECKSUM": to_lma(whole[:10] + b"\xff\xff" + whole[12:]),
            "FRAGMENT": to_lma(bytes(part)),
            "TUNNEL_PEER": to_lma(tunnel(gre, IPv4Address("192.0.2.99"))),
            "GRE_HEADER": to_lma(tunnel(b"\x20\x01" + gre[2:])),
            "GRE_PROTOCOL": to_lma(tunnel(gre[:2] + b"\x12\x34" + gre[4:])),
            "TUNNEL_HEADER": to_lma(tunnel(gre[:20])),
            "TUNNEL_KEY": to_lma(tunnel(gre[:4] + ((key or 0) ^ 1).to_bytes(4, "big") + gre[8:])),
            "SESSION_ADDRESS": to_lma(tunnel(gre[:8] + bobs)),
            "LOCAL": to_lma(IPv4Packet(near, far, IPProtocol.UDP, Udp(9, 9, b"").encode(near, far)).encode()),
        }
        before, lma = sessions(service), service.nodes["lma"]
        dropped, told = await drops(service, "lma"), Counter(counted(service, "lma"))
        for frame in faults.values():
            fabric.send(Plug("mag-1", 1), frame)
        for one in (alice, bob):
            await works(one)
        assert await drops(service, "lma") - dropped == Counter(dict.fromkeys(faults, 1))

        fabric.send(Plug("mag-1", 1), to_lma(said[:-1] + bytes((said[-1] ^ 1,))))  # its UDP checksum
        fabric.send(Plug("mag-1", 1), to_lma(signalling(b"\x3b\0")))
        await until(service, lambda: "truncated" in Counter(counted(service, "lma")) - told)
        assert lma.signalling.counters["malformed"] == 1
        for _ in range(500):
            broken = bytearray(to_lma(random.choice((whole, said))))
            del broken[random.randrange(14, len(broken)) :]
            for _ in range(3):
                broken[random.randrange(6, len(broken))] = random.randrange(256)
            fabric.send(Plug("mag-1", 1), bytes(broken))
        for one in (alice, bob):
            await works(one)
        assert (await drops(service, "lma") - dropped).total() > len(faults) + 100
        assert not any(one.data == b"broken" for one in correspondent.received)
        assert "alarm_defect" not in lma.counters
        assert sessions(service) == before
