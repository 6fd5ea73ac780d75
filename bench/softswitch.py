"""Our full program through the softswitch's executors and BMv2: packets per second, and the latency of one packet.

    python bench/softswitch.py [--target native|interpreter|bmv2 …] [--sessions N] [--octets N …]

An LMA with 10,000 sessions, written over P4Runtime by the same client into every target, each with two pairs of veths
of its own in one network namespace (root). Frames of all sessions come in turn, uplink and downlink, of 64 and 1400
octets as the mobile node has them. The targets take turns; each climbs a ladder of offered rates of its own. A rate
is *lossless* when every frame arrived, and the *best* rate is the most that arrived at whatever rate was offered:
BMv2 collapses when it is flooded, so lossless is compared with lossless and best with best. Latency is taken at half of
BMv2's lossless rate, from just before the system call that sends to the kernel's time of arrival.
"""

import argparse
import asyncio
import ctypes
import os
import shutil
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from blaster import Blaster  # type: ignore[import-not-found]
from lma import DOWNLINK, UPLINK, Direction, frame, lma_entries  # type: ignore[import-not-found]

from p4pmip.demo.targets import BMV2, thrift_words
from p4pmip.forwarding.update import Operation, Update
from p4pmip.p4runtime.pipeline import Pipeline
from p4pmip.p4runtime.quirks import PROFILES
from p4pmip.p4runtime.session import Session
from p4pmip.p4runtime.target import Target

SESSIONS = 10_000
SIZES = (64, 1400)
BOUND = 10.0
SECONDS = 0.5
"""Of one rate."""
ROUNDS = 2
FIRST = {"native": 200_000.0, "interpreter": 10_000.0, "bmv2": 8_000.0}
"""Where each ladder begins."""
STEP = 1.25
CLONE_NEWNET = 0x40000000
_SO_TIMESTAMPNS, _SO_RCVBUFFORCE = 35, 33
_STAMP = struct.Struct("!QI")


@dataclass(slots=True)
class Best:
    """The highest rates of a target, in frames per second."""

    lossless: float = 0.0
    best: float = 0.0


@dataclass(slots=True)
class Switch:
    """A running target and the far ends of its veths."""

    target: str
    interfaces: tuple[str, str]
    """By the switch's ports, 1 and 2."""

    def far(self, port: int) -> str:
        """The interface at the other end of a port."""
        return self.interfaces[port - 1]


# --- starting -----------------------------------------------------------------------------------------


def isolate() -> None:
    """Into a network namespace of our own.

    Raises:
        OSError: it needs root.
    """
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "network namespaces need root")
    Path("/proc/sys/net/ipv6/conf/default/disable_ipv6").write_text("1")


def link(switch: int, port: int) -> str:
    """A pair of veths for a port; the far end."""
    near, far = f"s{switch}p{port}", f"h{switch}p{port}"
    subprocess.run(["ip", "link", "add", far, "type", "veth", "peer", "name", near], check=True)
    for one in (far, near):
        subprocess.run(["ip", "link", "set", one, "mtu", "9000", "up"], check=True)
    return far


def command(target: str, number: int, address: str) -> list[str]:
    """How a target is started."""
    ports = ["-i", f"1@s{number}p1", "-i", f"2@s{number}p2", "--device-id", "1", "--no-p4"]
    own = ["--", "--grpc-server-addr", address, "--cpu-port", "510"]
    if target == "bmv2":
        return [BMV2, *ports, *thrift_words(), *own]
    return [sys.executable, "-m", "p4pmip.cli.main", "switch", *ports, "--executor", target, *own]


@asynccontextmanager
async def started(target: str, number: int, folder: Path, sessions: int) -> AsyncIterator[Switch]:
    """A target with all its entries."""
    switch = Switch(target, (link(number, 1), link(number, 2)))
    address = f"unix:{folder}/{number}.sock"
    process = await asyncio.create_subprocess_exec(
        *command(target, number, address), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        quirks = PROFILES["bmv2" if target == "bmv2" else "softswitch"]
        async with await Session.open(Target(address, 1, target, quirks=quirks), Pipeline.packaged()) as session:
            await session.writer.apply([[Update(Operation.INSERT, entry) for entry in lma_entries(sessions)]])
        yield switch
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


# --- rates --------------------------------------------------------------------------------------------


async def climb(switch: Switch, direction: Direction, frames: Sequence[bytes]) -> Best:
    """One climb of the ladder: until a third is lost, or the generator can no more."""
    result = Best()
    blaster = Blaster(switch.far(direction.enters), frames)
    try:
        # What is made once, and what is learnt, is not measured.
        await asyncio.to_thread(blaster.trial, switch.far(direction.leaves), FIRST[switch.target], SECONDS / 2)
        rate, going = FIRST[switch.target], True
        while going:
            sent, arrived, took = await asyncio.to_thread(blaster.trial, switch.far(direction.leaves), rate, SECONDS)
            result.best = max(result.best, arrived / took)
            if arrived >= sent:
                result.lossless = max(result.lossless, arrived / took)
            going = arrived >= sent * 2 / 3 and sent >= 0.7 * rate * took
            rate *= STEP
    finally:
        blaster.close()
    return result


async def ladders(switches: Iterable[Switch], direction: Direction, octets: int, sessions: int) -> dict[str, Best]:
    """All targets in turn, more than once; the higher counts."""
    frames = [frame(direction, session, octets) for session in range(sessions)]
    rates = {switch.target: Best() for switch in switches}
    for _ in range(ROUNDS):
        for switch in switches:
            found, held = await climb(switch, direction, frames), rates[switch.target]
            held.lossless, held.best = max(held.lossless, found.lossless), max(held.best, found.best)
    return rates


# --- latency ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Latency:
    """Seconds from sending to arrival, of those that arrived."""

    p50: float
    p99: float
    lost: int


def latency(switch: Switch, direction: Direction, octets: int, sessions: int, rate: float) -> Latency:
    """One frame at a time with its time and number at its end; the kernel says when it came out."""
    with (
        socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as out,
        socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as into,
    ):
        out.setsockopt(263, 20, 1)
        out.bind((switch.far(direction.enters), 0))
        into.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        into.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, 256 << 20)
        into.setsockopt(263, 23, 1)
        into.bind((switch.far(direction.leaves), 3))
        into.setblocking(False)
        bodies = [frame(direction, session, octets)[: -_STAMP.size] for session in range(sessions)]
        sent, clock = 0, time.clock_gettime_ns
        began = due = time.perf_counter()
        while (now := time.perf_counter()) < began + 2 * SECONDS:
            if now < due:
                continue
            out.send(bodies[sent % sessions] + _STAMP.pack(clock(time.CLOCK_REALTIME), sent))
            sent += 1
            due = max(due, now - 1 / rate) + 1 / rate
        time.sleep(0.3)
        took = list(_arrivals(into))
    took.sort()
    if not took:
        return Latency(0.0, 0.0, sent)
    return Latency(statistics.median(took), took[len(took) * 99 // 100], sent - len(took))


def _arrivals(into: socket.socket) -> Iterable[float]:
    while True:
        try:
            octets, ancillary, _, _ = into.recvmsg(2048, 64)
        except BlockingIOError:
            return
        seconds, nanoseconds = struct.unpack("@qq", ancillary[0][2])
        sent, _ = _STAMP.unpack(octets[-_STAMP.size :])
        yield (seconds * 1_000_000_000 + nanoseconds - sent) / 1e9


# --- all of it ----------------------------------------------------------------------------------------


@dataclass(slots=True)
class Case:
    """One direction with frames of one size, and what each target made of it."""

    direction: Direction
    octets: int
    rates: dict[str, Best]
    latencies: dict[str, Latency] = field(default_factory=dict)
    rate: float = 0.0
    """At which the latencies were taken."""

    @property
    def name(self) -> str:
        """For a person."""
        return f"{self.direction.name}, {self.octets} octets"


async def run(targets: Sequence[str], sessions: int, sizes: Sequence[int]) -> list[Case]:
    """All cases on all targets."""
    isolate()
    cases = []
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        switches = [
            await stack.enter_async_context(started(target, number, folder, sessions))
            for number, target in enumerate(targets)
        ]
        for direction in (UPLINK, DOWNLINK):
            for octets in sizes:
                case = Case(direction, octets, await ladders(switches, direction, octets, sessions))
                cases.append(case)
                slowest = case.rates.get("bmv2", min(case.rates.values(), key=lambda one: one.lossless))
                case.rate = slowest.lossless / 2
                for switch in switches if case.rate else ():
                    found = await asyncio.to_thread(latency, switch, direction, octets, sessions, case.rate)
                    case.latencies[switch.target] = found
    return cases


def rows(cases: Iterable[Case]) -> Iterable[dict[str, Any]]:
    """The table's rows: each executor beside BMv2."""
    for case in cases:
        for target in ("native", "interpreter"):
            bound = BOUND if target == "native" else None
            for what in ("lossless", "best"):
                value, peer = getattr(case.rates[target], what), getattr(case.rates["bmv2"], what)
                yield _row(f"{target}: {case.name}, {what}", value, "packets/s", peer, bound)
            for what in ("p50", "p99"):
                values = {one: getattr(case.latencies[one], what) * 1e6 for one in (target, "bmv2")}
                name = f"{target}: {case.name}, latency {what} at {case.rate:,.0f}/s"
                yield _row(name, values[target], "µs", values["bmv2"], None)


def _row(name: str, value: float, unit: str, peer: float, bound: float | None) -> dict[str, Any]:
    ratio = value / peer if peer else None
    return {
        "name": name,
        "value": value,
        "unit": unit,
        "peer": "BMv2",
        "peer_value": peer,
        "ratio": ratio,
        "bound": bound,
        "ok": None if bound is None or ratio is None else ratio >= bound,
        "skipped": None,
    }


def _skipped(reason: str) -> list[dict[str, Any]]:
    row = _row("softswitch: packets per second", 0.0, "packets/s", 0.0, BOUND)
    return [row | {"value": None, "peer_value": None, "skipped": reason}]


def measure() -> list[dict[str, Any]]:
    """The figures, one row each; a row that says why where they cannot be taken."""
    if shutil.which(BMV2) is None:
        return _skipped(f"{BMV2} is not on PATH")
    if os.geteuid() != 0:
        return _skipped("needs root, for a network namespace")
    return list(rows(asyncio.run(run(("bmv2", "native", "interpreter"), SESSIONS, SIZES))))


def main() -> None:
    """Measure the targets, and show each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--target", nargs="+", choices=tuple(FIRST), default=["bmv2", "native", "interpreter"])
    parser.add_argument("--sessions", type=int, default=SESSIONS)
    parser.add_argument("--octets", type=int, nargs="+", default=SIZES)
    args = parser.parse_args()
    for case in asyncio.run(run(args.target, args.sessions, args.octets)):
        for target in args.target:
            best, late = case.rates[target], case.latencies.get(target)
            words = f"{target:12} {case.name}: lossless {best.lossless:9,.0f}/s, best {best.best:9,.0f}/s"
            if late is not None:
                words += f"; at {case.rate:,.0f}/s p50 {late.p50 * 1e6:.0f} µs, p99 {late.p99 * 1e6:.0f} µs"
                words += f", {late.lost} lost"
            print(words)


if __name__ == "__main__":
    main()
