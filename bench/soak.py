"""A softswitch at saturation with table churn: no wrong packet, no growth in memory.

    python bench/soak.py [--seconds S] [--executor native|interpreter] [--ports interfaces|grpc]

Starts `p4pmip switch` with the router of tests/softswitch/programs and sends it numbered packets: over two pairs of
interfaces in a network namespace of its own (root), far more than it can take, or over gRPC as fast as they come out
again. Every packet that comes out must be whole, in order, and as one of the two entries says that are written in turn;
over gRPC none may be missing. Other entries come and go all the time. The memory of the forwarding process must not
grow after the first tenth.
"""

import argparse
import asyncio
import contextlib
import json
import math
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import grpc
from switch_writes import BATCH, config, prepare, update  # type: ignore[import-not-found]
from veths import FRAME, NUMBER_AT, NUMBER_OCTETS, OUT, SWITCH, blast, forwarded, links  # type: ignore[import-not-found]

from p4pmip.cli.main import Parser
from p4pmip.softswitch.process.dataplane import MESSAGES, SERVICE
from p4pmip.softswitch.target.stubs import p4runtime, p4runtime_grpc

WINDOW = 200
"""Packets on their way at once."""

GROWTH_LIMIT = 1.05
"""Memory at the end to memory after the first tenth."""

SOURCES = (bytes.fromhex("010203040506"), bytes.fromhex("0a0b0c0d0e0f"))
ETH_P_IP = 0x0800


def rss(switch: int) -> int:
    """Resident octets of the forwarding process, the child of the switch's process."""
    for path in Path("/proc").glob("[0-9]*/status"):
        with contextlib.suppress(OSError):
            status = path.read_text()
            if int(status.split("PPid:")[1].split()[0]) == switch:
                return int(status.split("VmRSS:")[1].split()[0]) * 1024
    return 0


class Soak:
    """Packets and writes against one switch."""

    def __init__(self, stub: Any, end: float) -> None:
        self.stub = stub
        self.end = end
        self.count = 0
        self.wrong = 0
        self.writes = 0

    def check(self, frame: bytes, least: int, most: int) -> int:
        """Count one packet that came out; its number."""
        number = int.from_bytes(frame[NUMBER_AT : NUMBER_AT + NUMBER_OCTETS], "big")
        good = (
            least <= number <= most
            and frame[6:12] in SOURCES
            and frame[0:6] == frame[6:12][::-1]
            and frame[12:22] == FRAME[12:22]
            and frame[22] == FRAME[22] - 1
        )
        self.wrong += not good
        self.count += 1
        return number

    async def churn(self) -> None:
        """Rewrite the entry that forwards, and let others come and go."""
        info = config()
        turn = 0
        others = [update(info, 100 + at) for at in range(BATCH)]
        while time.monotonic() < self.end:
            turn += 1
            await self._write([self.forwarding(info, SOURCES[turn % 2], 2)])
            for kind in (p4runtime.Update.INSERT, p4runtime.Update.DELETE):
                for one in others:
                    one.type = kind
                await self._write(others)

    @staticmethod
    def forwarding(info: Any, source: bytes, kind: int) -> Any:
        """The entry that forwards: both addresses change together."""
        made = update(info, 5, kind)
        made.entity.table_entry.action.action.params[1].value = source
        made.entity.table_entry.action.action.params[2].value = source[::-1]
        return made

    async def _write(self, updates: list[Any]) -> None:
        request = p4runtime.WriteRequest(device_id=1, updates=updates)
        request.election_id.low = 1
        await self.stub.Write(request)
        self.writes += len(updates)


class GrpcTraffic:
    """Packets over gRPC, never more on their way than the window: none is lost."""

    def __init__(self, soak: Soak, packets: Any) -> None:
        self.soak = soak
        self.packets = packets
        self.window = asyncio.Semaphore(WINDOW)

    async def run(self) -> None:
        """Send and receive until the end."""
        await asyncio.gather(self.send(), self.receive())

    async def send(self) -> None:
        """Numbered packets, never more than the window."""
        request = MESSAGES["PacketStreamRequest"](device_id=1, port=1)
        number = 0
        while time.monotonic() < self.soak.end:
            await self.window.acquire()
            request.packet = FRAME[:NUMBER_AT] + number.to_bytes(NUMBER_OCTETS, "big")
            number += 1
            await self.packets.write(request)
        await self.packets.done_writing()

    async def receive(self) -> None:
        """Each must be the next one, and whole."""
        async for response in self.packets:
            self.window.release()
            self.soak.check(response.packet, self.soak.count, self.soak.count)


class WireTraffic:
    """Packets over interfaces, more than the switch can take: what comes out is in order."""

    def __init__(self, soak: Soak) -> None:
        self.soak = soak

    async def run(self) -> None:
        """Send and receive until the end, in threads."""
        await asyncio.gather(asyncio.to_thread(self.receive), asyncio.to_thread(self.send))

    def send(self) -> None:
        """Numbered packets from a process of its own."""
        left = self.soak.end - time.monotonic()
        subprocess.run([sys.executable, __file__, "--blast", str(left)], check=True)

    def receive(self) -> None:
        """Look at as many as one can: what this socket cannot hold was forwarded all the same."""
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_IP)) as wire:
            wire.bind((OUT, ETH_P_IP))
            wire.settimeout(1.0)
            least = 0
            while time.monotonic() < self.soak.end:
                with contextlib.suppress(TimeoutError):
                    least = self.soak.check(wire.recv(2048), least, 1 << 8 * NUMBER_OCTETS) + 1


async def traffic(soak: Soak, packets: str | None) -> None:
    """All the packets, over gRPC or over interfaces."""
    if packets is None:
        await WireTraffic(soak).run()
        return
    async with grpc.aio.insecure_channel(packets) as channel:
        stream: Any = channel.stream_stream(
            f"/{SERVICE}/PacketStream",
            MESSAGES["PacketStreamRequest"].SerializeToString,
            MESSAGES["PacketStreamResponse"].FromString,
        )()
        await GrpcTraffic(soak, stream).run()


async def run(seconds: float, executor: str, ports: str) -> int:
    """Start the switch, soak it, end it; 1 if something was wrong."""
    interfaces = SWITCH if ports == "interfaces" else ("--dp-grpc-server-addr", "127.0.0.1:0")
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "p4pmip.cli.main", "switch", "--device-id", "1", "--cpu-port", "510", "--executor",
        executor, "--grpc-server-addr", "127.0.0.1:0", *interfaces, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.stderr is not None
    packets = (await process.stderr.readline()).decode().split()[-1] if ports == "grpc" else None
    address = (await process.stderr.readline()).decode().split()[4].rstrip(",")
    try:
        async with grpc.aio.insecure_channel(address) as channel:
            stub = p4runtime_grpc.P4RuntimeStub(channel)
            stream = await prepare(stub, Soak.forwarding(config(), SOURCES[0], p4runtime.Update.INSERT))
            soak = Soak(stub, time.monotonic() + seconds)
            tasks = [asyncio.create_task(one) for one in (traffic(soak, packets), soak.churn())]
            await asyncio.sleep(seconds / 10)
            before = rss(process.pid)
            await asyncio.gather(*tasks)
            after = rss(process.pid)
            stream.cancel()
    finally:
        process.terminate()
        await process.wait()
    report = {
        "seconds": seconds,
        "executor": executor,
        "ports": ports,
        "checked": soak.count,
        "wrong": soak.wrong,
        "entries_written": soak.writes,
        "rss_before": before,
        "rss_after": after,
    }
    if ports == "interfaces":
        report["forwarded"] = forwarded()
    print(json.dumps(report))
    return int(soak.wrong > 0 or soak.count == 0 or after > before * GROWTH_LIMIT)


def _seconds(text: str) -> float:
    value = float(text)
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"{text} is no time that passes")
    return value


def main() -> int:
    """Parse the command line."""
    parser = Parser(description=__doc__)
    parser.add_argument("--seconds", type=_seconds, default=600.0)
    parser.add_argument("--executor", choices=("native", "interpreter"), default="native")
    parser.add_argument(
        "--ports", choices=("interfaces", "grpc"), default="grpc" if os.geteuid() else "interfaces",
        help="what carries the packets (default: interfaces for root)",
    )  # fmt: skip
    parser.add_argument("--blast", type=float, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.blast:
        blast(args.blast, numbered=True)
        return 0
    if args.ports == "interfaces":
        links()
    return asyncio.run(run(args.seconds, args.executor, args.ports))


if __name__ == "__main__":
    sys.exit(main())
