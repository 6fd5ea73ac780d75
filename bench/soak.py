"""A softswitch at saturation with table churn: no wrong packet, no growth in memory.

    python bench/soak.py [--seconds S]

Starts `p4pmip switch` with packets over gRPC and the router of tests/softswitch/programs. Numbered packets go in as
fast as they come out again; each must come out in order and as one of the two entries says that are written in turn.
Other entries come and go all the time. The memory of the forwarding process must not grow after the first tenth.
"""

import argparse
import asyncio
import contextlib
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import grpc
from switch_writes import BATCH, FRAME, config, update  # type: ignore[import-not-found]

from p4pmip.softswitch.process.dataplane import MESSAGES, SERVICE
from p4pmip.softswitch.target.stubs import p4runtime, p4runtime_grpc

WINDOW = 200
"""Packets on their way at once."""

GROWTH_LIMIT = 1.05
SOURCES = (bytes.fromhex("010203040506"), bytes.fromhex("0a0b0c0d0e0f"))
NUMBER_AT = 42
"""Where the payload begins: Ethernet, IPv4, UDP."""


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

    def __init__(self, stub: Any, packets: Any, end: float) -> None:
        self.stub = stub
        self.packets = packets
        self.end = end
        self.count = 0
        self.wrong = 0
        self.writes = 0
        self.window = asyncio.Semaphore(WINDOW)

    async def send(self) -> None:
        """Numbered packets, never more than the window."""
        request = MESSAGES["PacketStreamRequest"](device_id=1, port=1)
        number = 0
        while time.monotonic() < self.end:
            await self.window.acquire()
            request.packet = FRAME[:NUMBER_AT] + number.to_bytes(5, "big")
            number += 1
            await self.packets.write(request)
        await self.packets.done_writing()

    async def receive(self) -> None:
        """Each must be the next one, and whole."""
        async for response in self.packets:
            self.window.release()
            frame = response.packet
            good = (
                response.port == 2
                and frame[NUMBER_AT:] == self.count.to_bytes(5, "big")
                and frame[6:12] in SOURCES
                and frame[0:6] == frame[6:12][::-1]
                and frame[22] == FRAME[22] - 1
            )
            self.wrong += not good
            self.count += 1

    async def churn(self) -> None:
        """Rewrite the entry that forwards, and let others come and go."""
        info = config()
        turn = 0
        while time.monotonic() < self.end:
            turn += 1
            flip = self.forwarding(info, SOURCES[turn % 2], 2)
            await self._write([flip])
            others = [update(info, 100 + at) for at in range(BATCH)]
            await self._write(others)
            for one in others:
                one.type = p4runtime.Update.DELETE
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


async def prepare(stub: Any) -> Any:
    """Become primary, push, and write the first entries."""
    stream: Any = stub.StreamChannel()
    hello = p4runtime.StreamMessageRequest()
    hello.arbitration.device_id = 1
    hello.arbitration.election_id.low = 1
    await stream.write(hello)
    await stream.read()
    push = p4runtime.SetForwardingPipelineConfigRequest(device_id=1, config=config())
    push.action = p4runtime.SetForwardingPipelineConfigRequest.VERIFY_AND_COMMIT
    push.election_id.low = 1
    await stub.SetForwardingPipelineConfig(push)
    info = config()
    route = p4runtime.Update(type=p4runtime.Update.INSERT)
    entry = route.entity.table_entry
    entry.table_id = next(one.preamble.id for one in info.p4info.tables if one.preamble.alias == "route")
    match = entry.match.add(field_id=1).lpm
    match.value, match.prefix_len = bytes([10, 0, 0, 0]), 8
    entry.action.action.action_id = next(
        one.preamble.id for one in info.p4info.actions if one.preamble.alias == "set_nexthop"
    )
    entry.action.action.params.add(param_id=1, value=b"\x05")
    request = p4runtime.WriteRequest(device_id=1, updates=[route, Soak.forwarding(info, SOURCES[0], 1)])
    request.election_id.low = 1
    await stub.Write(request)
    return stream


async def run(seconds: float) -> int:
    """Start the switch, soak it, end it; 1 if something was wrong."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "p4pmip.cli.main", "switch", "--device-id", "1", "--cpu-port", "510",
        "--grpc-server-addr", "127.0.0.1:0", "--dp-grpc-server-addr", "127.0.0.1:0", stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.stderr is not None
    packets = (await process.stderr.readline()).decode().split()[-1]
    address = (await process.stderr.readline()).decode().split()[4].rstrip(",")
    try:
        async with grpc.aio.insecure_channel(address) as one, grpc.aio.insecure_channel(packets) as two:
            stub = p4runtime_grpc.P4RuntimeStub(one)
            stream = await prepare(stub)
            channel: Any = two.stream_stream(
                f"/{SERVICE}/PacketStream",
                MESSAGES["PacketStreamRequest"].SerializeToString,
                MESSAGES["PacketStreamResponse"].FromString,
            )()
            soak = Soak(stub, channel, time.monotonic() + seconds)
            tasks = [asyncio.create_task(one) for one in (soak.send(), soak.receive(), soak.churn())]
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
        "packets": soak.count,
        "wrong": soak.wrong,
        "entries_written": soak.writes,
        "rss_before": before,
        "rss_after": after,
    }
    print(json.dumps(report))
    return int(soak.wrong > 0 or soak.count == 0 or after > before * GROWTH_LIMIT)


def main() -> int:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=600.0)
    return asyncio.run(run(parser.parse_args().seconds))


if __name__ == "__main__":
    sys.exit(main())
