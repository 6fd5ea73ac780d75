"""Packets per second through the softswitch (native, interpreter) and, where found, BMv2: lossless and best.

    python bench/softswitch.py [--seconds S] [--octets N] [--target native|interpreter|bmv2 …]

Two veth pairs in a network namespace of their own (root); the router of tests/softswitch/programs with 8,000 next hops,
written over P4Runtime by the same client. The offered rate climbs a ladder; a rate is lossless when all of 3 s arrive.
"""

import argparse
import asyncio
import ctypes
import json
import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import grpc
from soak import prepare  # type: ignore[import-not-found]
from switch_writes import config, update  # type: ignore[import-not-found]
from switch_writes import measure as measure_writes

from p4pmip.demo.targets import BMV2, thrift_words
from p4pmip.softswitch.hashes import csum16
from p4pmip.softswitch.ports.batch import BATCH, Message, Vector, libc
from p4pmip.softswitch.target.stubs import p4runtime, p4runtime_grpc

NEXTHOPS = 8000
LADDER = (5e3, 1e4, 2e4, 3e4, 4e4, 6e4, 8e4, 1e5, 1.5e5, 2e5, 3e5, 4e5, 5e5, 6e5, 7e5, 8e5, 1e6)
CLONE_NEWNET = 0x40000000


def frames(octets: int) -> list[bytes]:
    """Packets to many destinations."""
    made = []
    choose = random.Random(1)
    for _ in range(BATCH):
        header = bytearray.fromhex("450000000001000040110000c0000202")
        header[2:4] = (octets - 14).to_bytes(2, "big")
        header += bytes([10, 0, choose.randrange(256), choose.randrange(256)])
        header[10:12] = csum16(bytes(header)).to_bytes(2, "big")
        body = bytes.fromhex("003500640000") + b"\0\0"
        made.append((b"\x02\0\0\0\0\x02\x02\0\0\0\0\x01\x08\0" + bytes(header) + body).ljust(octets, b"\0"))
    return made


class Blaster:
    """Sends frames on an interface at a rate."""

    def __init__(self, interface: str, octets: int) -> None:
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        self.socket.setsockopt(263, 20, 1)
        self.socket.bind((interface, 0))
        self.buffers = [ctypes.create_string_buffer(one, len(one)) for one in frames(octets)]
        self.vectors, self.messages = (Vector * BATCH)(), (Message * BATCH)()
        for index, buffer in enumerate(self.buffers):
            self.vectors[index].base, self.vectors[index].length = ctypes.addressof(buffer), octets
            self.messages[index].vectors = ctypes.addressof(self.vectors) + 16 * index
            self.messages[index].vector_count = 1

    def run(self, rate: float, seconds: float) -> int:
        """How many were sent."""
        sent, start = 0, time.perf_counter()
        while (now := time.perf_counter() - start) < seconds:
            if sent > now * rate:
                time.sleep(min(0.0005, (sent - now * rate) / rate))
                continue
            done = libc.sendmmsg(self.socket.fileno(), ctypes.addressof(self.messages), BATCH, 0)
            sent += max(done, 0)
        return sent


def received(interface: str) -> int:
    """Frames that arrived on an interface."""
    lines = Path("/proc/net/dev").read_text().splitlines()
    return next(int(line.split(":")[1].split()[1]) for line in lines if line.strip().startswith(f"{interface}:"))


def links() -> None:
    """A network namespace with two pairs of interfaces."""
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET) != 0:
        sys.exit("bench: network namespaces need root")
    for host, port in (("ha", "sa"), ("hb", "sb")):
        subprocess.run(["ip", "link", "add", host, "type", "veth", "peer", "name", port], check=True)
        for one in (host, port):
            Path(f"/proc/sys/net/ipv6/conf/{one}/disable_ipv6").write_text("1")
            subprocess.run(["ip", "link", "set", one, "mtu", "9000", "up"], check=True)
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)


def command(target: str, address: str) -> list[str]:
    """How a target is started."""
    ports = ["-i", "1@sa", "-i", "2@sb", "--device-id", "1", "--no-p4"]
    own = ["--", "--grpc-server-addr", address, "--cpu-port", "510"]
    if target == "bmv2":
        return [BMV2, *ports, *thrift_words(), *own]
    return [sys.executable, "-m", "p4pmip.cli.main", "switch", *ports, "--executor", target, *own]


async def fill(address: str, nexthops: int = NEXTHOPS) -> Any:
    """Push and write the entries; the channel must live on."""
    channel = grpc.aio.insecure_channel(address)
    await asyncio.wait_for(channel.channel_ready(), 30)
    stub: Any = p4runtime_grpc.P4RuntimeStub(channel)
    stream = await prepare(stub)
    info = config()
    entries = [update(info, 10 + number) for number in range(nexthops - 100)]
    for at in range(0, len(entries), 1000):
        request = p4runtime.WriteRequest(device_id=1, updates=entries[at : at + 1000])
        request.election_id.low = 1
        await stub.Write(request)
    return channel, stream


async def writes(target: str, octets: int, seconds: float, rate: float) -> dict[str, float]:
    """Writes into a target that forwards `rate` packets per second or as many as it can."""
    with tempfile.TemporaryDirectory() as directory:
        address = f"unix:{directory}/p4runtime"
        process = await asyncio.create_subprocess_exec(
            *command(target, address), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            channel, stream = await fill(address, 1000)
            await asyncio.sleep(3)
            before = received("hb")
            flood = await asyncio.create_subprocess_exec(
                sys.executable, __file__, "--flood", str(rate), "--octets", str(octets)
            )
            await asyncio.sleep(0.5)
            result: dict[str, float] = await measure_writes(p4runtime_grpc.P4RuntimeStub(channel), seconds, 5, 1000)
            result["forwarded"] = received("hb") - before
            flood.kill()
            await flood.wait()
            del stream
        finally:
            process.terminate()
            await process.wait()
    return result


async def measure(target: str, octets: int, seconds: float) -> dict[str, float]:
    """Lossless and best packets per second of one target."""
    with tempfile.TemporaryDirectory() as directory:
        address = f"unix:{directory}/p4runtime"
        process = await asyncio.create_subprocess_exec(
            *command(target, address), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            held = await fill(address)
            # The optimised machine code replaces the first one meanwhile.
            await asyncio.sleep(3)
            blaster = Blaster("ha", octets)
            lossless = best = 0.0
            for rate in LADDER:
                before = received("hb")
                start = time.perf_counter()
                sent = await asyncio.to_thread(blaster.run, rate, seconds)
                took = time.perf_counter() - start
                await asyncio.sleep(0.3)
                got = received("hb") - before
                best = max(best, got / took)
                if got >= sent:
                    lossless = max(lossless, got / took)
                elif got < sent / 2 or sent < rate * seconds / 2:
                    break
            del held
        finally:
            process.terminate()
            await process.wait()
    return {"lossless": round(lossless), "best": round(best)}


def main() -> int:
    """Measure the targets."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--octets", type=int, default=64)
    parser.add_argument("--writes", action="store_true", help="measure writes under a flood instead")
    parser.add_argument("--rate", type=float, default=4e5, help="the flood's packets per second")
    parser.add_argument("--flood", type=float, help=argparse.SUPPRESS)
    parser.add_argument("--target", nargs="+", choices=("native", "interpreter", "bmv2"))
    args = parser.parse_args()
    targets = args.target or ["native", "interpreter", "bmv2"]
    if "bmv2" in targets and shutil.which(BMV2) is None:
        targets.remove("bmv2")
    if os.geteuid() != 0:
        sys.exit("bench: network namespaces need root")
    if args.flood:
        Blaster("ha", args.octets).run(args.flood, 3600)
        return 0
    links()
    for target in targets:
        if args.writes:
            print(json.dumps({"target": target, **asyncio.run(writes(target, args.octets, args.seconds, args.rate))}))
            continue
        print(
            json.dumps(
                {"target": target, "octets": args.octets, **asyncio.run(measure(target, args.octets, args.seconds))}
            )
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
