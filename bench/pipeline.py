"""What the full program costs on BMv2, beside the least that routes: `python bench/pipeline.py` (root).

Several `simple_switch_grpc` in one network namespace, one with `programs/router.p4`, the others with `p4src/pmip.p4`
and a role and direction each, all between two veths of their own, take turns in short slices, so that whatever else the
machine does meets all of them. In its slice a switch gets frames as fast as they come out again, with a fixed number
under way: BMv2 collapses when it is flooded. The ratio is the median of the ratios of each round. The user's packet is
the same in all courses; where it comes in a tunnel, the frame is longer by the tunnel.
"""

import asyncio
import os
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from ipaddress import IPv4Interface, IPv6Address, IPv6Network, ip_address, ip_network
from pathlib import Path
from statistics import median
from typing import Any

from p4pmip.demo.targets import BMV2, thrift_words
from p4pmip.forwarding.base import base_entries
from p4pmip.forwarding.context import Context, Link, LinkRole, Neighbour, Realm, Route
from p4pmip.forwarding.entry import Entry, Lpm
from p4pmip.forwarding.session import entries
from p4pmip.forwarding.update import Operation, Update
from p4pmip.mobility.binding import AccessLink, Binding, Granularity, Gre, Phase, Role, Tunnel
from p4pmip.p4runtime.pipeline import Pipeline
from p4pmip.p4runtime.quirks import PROFILES
from p4pmip.p4runtime.session import Session
from p4pmip.p4runtime.target import Target
from p4pmip.wire.checksum import internet_checksum

HERE = Path(__file__).resolve().parent
PROGRAMS = HERE / "programs" / "build"
BOUND = 0.5
SESSIONS = 1000
SIZES = (64, 1400)
"""Octets of the user's packet with an Ethernet header."""
ROUNDS = 9
SECONDS = 0.6
"""Of a slice."""
WINDOW = 64
"""Frames under way."""
LMA, MAG = IPv6Address("2001:db8:a::1"), IPv6Address("2001:db8:b::1")
_IN, _OUT = bytes.fromhex("020000000001"), bytes.fromhex("020000000002")
_FROM, _TO = bytes.fromhex("020000000a01"), bytes.fromhex("020000000a02")


@dataclass(frozen=True, slots=True)
class Course:
    """A program with entries for one direction, and the frame that goes there."""

    name: str
    pipeline: Pipeline
    entries: tuple[Entry, ...]
    frame: bytes


def _ipv4(source: str, destination: str, length: int) -> bytes:
    header = bytes.fromhex("4500") + length.to_bytes(2, "big") + bytes.fromhex("00004000ff110000")
    header += ip_address(source).packed + ip_address(destination).packed
    checked = header[:10] + internet_checksum(header).to_bytes(2, "big") + header[12:]
    udp = bytes.fromhex("03e807d0") + (length - 20).to_bytes(2, "big") + bytes(2)
    return (checked + udp).ljust(length, b"\0")


def _ethernet(payload: bytes, ether_type: int = 0x0800) -> bytes:
    return _IN + _FROM + ether_type.to_bytes(2, "big") + payload


def _tunnelled(source: IPv6Address, destination: IPv6Address, key: int, inner: bytes) -> bytes:
    outer = bytes.fromhex("60000000") + (len(inner) + 8).to_bytes(2, "big") + bytes.fromhex("2f40")
    gre = bytes.fromhex("20000800") + key.to_bytes(4, "big")
    return _ethernet(outer + source.packed + destination.packed + gre + inner, 0x86DD)


_NODE, _HOST = "10.0.0.7", "172.16.0.10"


def _context(first: LinkRole, second: LinkRole, own: IPv6Address) -> Context:
    """A switch with one link on each of ports 1 and 2."""
    links = tuple(
        Link(port, port, role, mac, realm="a" if role is LinkRole.SERVICE else None)
        for port, role, mac in ((1, first, _IN), (2, second, _OUT))
    )
    realm = "a" if second is LinkRole.SERVICE else None
    gateway = ip_address("172.16.0.1") if realm else ip_address("fe80::1")
    everywhere = ip_network("0.0.0.0/0") if realm else ip_network("::/0")
    return Context(
        links,
        (own,),
        {"a": Realm(1)},
        (Neighbour(2, gateway, _TO),),
        (Route(everywhere, 2, gateway, realm),),
    )


def _bindings(role: Role, access: int = 1) -> Iterable[Binding]:
    for number in range(SESSIONS):
        yield Binding(
            role, b"mn", "a", number + 1, Phase.ACTIVE,
            (IPv6Network((0x20010DB800F00000 + number << 64, 64)),), IPv4Interface((0x0A000000 + number, 16)), None,
            Tunnel(LMA, MAG) if role is Role.LMA else Tunnel(MAG, LMA),
            Gre.KEYED, Granularity.SESSION, 0x1000 + number, 0x2000 + number,
            AccessLink(access, (_FROM, _TO)[access - 1]) if role is Role.MAG else None,
        )  # fmt: skip


def courses(size: int) -> list[Course]:
    """The router first, then each direction of each role, for frames of a size."""
    ours = Pipeline.packaged()
    router = Pipeline.load(PROGRAMS / "router.p4info.txtpb", PROGRAMS / "router.json")
    routes = tuple(
        Entry("route", (("dst", Lpm(0xAC100000 + (number << 8), 24)),), "set_nexthop", (("nexthop_id", 1),))
        for number in range(SESSIONS)
    )
    l2 = (("port", 2), ("src", int.from_bytes(_OUT, "big")), ("dst", int.from_bytes(_TO, "big")))
    up, down = _ipv4(_NODE, _HOST, size - 14), _ipv4(_HOST, _NODE, size - 14)
    found = [Course("router", router, (*routes, Entry("nexthop", (("nexthop_id", 1),), "l2", l2)), _ethernet(up))]
    for name, role, access, context, frame in (
        ("MAG uplink", Role.MAG, 1, _context(LinkRole.ACCESS, LinkRole.TRANSPORT, MAG), _ethernet(up)),
        (
            "MAG downlink",
            Role.MAG,
            2,
            _context(LinkRole.TRANSPORT, LinkRole.ACCESS, MAG),
            _tunnelled(LMA, MAG, 0x2007, down),
        ),
        (
            "LMA uplink",
            Role.LMA,
            0,
            _context(LinkRole.TRANSPORT, LinkRole.SERVICE, LMA),
            _tunnelled(MAG, LMA, 0x1007, up),
        ),
        ("LMA downlink", Role.LMA, 0, _lma_downlink(), _ethernet(down)),
    ):
        wanted = {entry.key: entry for entry in base_entries(context)}
        for binding in _bindings(role, access):
            wanted.update((entry.key, entry) for entry in entries(binding, context))
        found.append(Course(name, ours, tuple(wanted.values()), frame))
    return found


def _lma_downlink() -> Context:
    return Context(
        (
            Link(1, 1, LinkRole.SERVICE, _IN, realm="a"),
            Link(2, 2, LinkRole.TRANSPORT, _OUT),
        ),
        (LMA,),
        {"a": Realm(1)},
        (Neighbour(2, IPv6Address("fe80::1"), _TO),),
        (Route(ip_network("::/0"), 2, IPv6Address("fe80::1")),),
    )


async def _run(*words: str) -> str:
    process = await asyncio.create_subprocess_exec(*words, stdout=asyncio.subprocess.PIPE)
    output, _ = await process.communicate()
    if process.returncode:
        raise OSError(f"{' '.join(words)}: status {process.returncode}")
    return output.decode()


@asynccontextmanager
async def _namespace(count: int) -> AsyncIterator[str]:
    """A namespace with a pair of veths for each of two ports of each switch."""
    name = f"p4pmip-bench-{os.getpid()}"
    await _run("ip", "netns", "add", name)
    try:
        inside = ("ip", "netns", "exec", name)
        await _run(*inside, "sysctl", "-qw", "net.ipv6.conf.default.disable_ipv6=1", "net.ipv6.conf.all.disable_ipv6=1")
        for switch in range(count):
            for port in (1, 2):
                ends = (f"s{switch}p{port}", f"h{switch}p{port}")
                await _run(*inside, "ip", "link", "add", ends[0], "type", "veth", "peer", "name", ends[1])
                for end in ends:
                    await _run(*inside, "ip", "link", "set", end, "up")
        yield name
    finally:
        await _run("ip", "netns", "del", name)


@asynccontextmanager
async def _switch(namespace: str, number: int, folder: Path, course: Course) -> AsyncIterator[None]:
    """A BMv2 that forwards for `course`."""
    address = f"unix:{folder}/{number}.sock"
    process = await asyncio.create_subprocess_exec(
        "ip", "netns", "exec", namespace, BMV2, "--no-p4", "-i", f"1@s{number}p1", "-i", f"2@s{number}p2",
        "--device-id", "1", *thrift_words(), "--", "--grpc-server-addr", address, "--cpu-port", "510",
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        target = Target(address, 1, course.name, quirks=PROFILES["bmv2"])
        async with await Session.open(target, course.pipeline) as session:
            # In the order of the pipeline's references: what is pointed to first.
            await session.writer.apply([[Update(Operation.INSERT, entry) for entry in course.entries]])
            yield
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def _slice(namespace: str, number: int, course: Course) -> float:
    """Frames a second that a switch forwards.

    Raises:
        OSError: It lost more than one in a hundred, which a window should not let it.
    """
    words = (f"h{number}p1", f"h{number}p2", str(SECONDS), str(WINDOW), course.frame.hex())
    output = await _run("ip", "netns", "exec", namespace, sys.executable, str(HERE / "blast.py"), *words)
    sent, arrived, in_the_end, took = (float(word) for word in output.split())
    if in_the_end < 0.99 * sent:
        raise OSError(f"{course.name}: {sent:.0f} frames sent, {in_the_end:.0f} arrived")
    return arrived / took


async def _measure(size: int) -> list[dict[str, Any]]:
    found = courses(size)
    with tempfile.TemporaryDirectory() as folder:
        async with _namespace(len(found)) as namespace, AsyncExitStack() as switches:
            for number, course in enumerate(found):
                await switches.enter_async_context(_switch(namespace, number, Path(folder), course))
            for number, course in enumerate(found):  # what is made once is not measured
                await _slice(namespace, number, course)
            rounds = [
                [await _slice(namespace, number, course) for number, course in enumerate(found)] for _ in range(ROUNDS)
            ]
    rows = []
    for number, course in enumerate(found[1:], 1):
        ratio = median(one[number] / one[0] for one in rounds)
        value, peer = median(one[number] for one in rounds), median(one[0] for one in rounds)
        rows.append(_row(f"BMv2: {course.name}, {size} octets", value, peer, ratio))
    return rows


def _skipped(reason: str) -> list[dict[str, Any]]:
    return [_row("BMv2: packets per second", None, None, None) | {"skipped": reason}]


def _row(name: str, value: float | None, peer: float | None, ratio: float | None) -> dict[str, Any]:
    return {
        "name": name,
        "value": value,
        "unit": "packets/s",
        "peer": "two-table IPv4 router",
        "peer_value": peer,
        "ratio": ratio,
        "bound": BOUND,
        "ok": None if ratio is None else ratio >= BOUND,
        "skipped": None,
    }


def measure() -> list[dict[str, Any]]:
    """The figures, one row each; a row that says why where they cannot be taken."""
    if shutil.which(BMV2) is None:
        return _skipped(f"{BMV2} is not on PATH")
    if os.geteuid() != 0:
        return _skipped("needs root, for a network namespace")
    return [row for size in SIZES for row in asyncio.run(_measure(size))]


if __name__ == "__main__":
    for row in measure():
        if row["skipped"]:
            print(f"{row['name']}: {row['skipped']}")
        else:
            print(f"{row['name']}: {row['value']:,.0f} beside {row['peer_value']:,.0f}, ratio {row['ratio']:.2f}")
