"""Writes into a forwarding softswitch: the latency of one-entry Writes and the rate of batches, idle and saturated.

    python bench/switch_writes.py [--seconds S]

Starts `p4pmip switch` with packets over gRPC, pushes the router of tests/softswitch/programs, and saturates it with
packets from a second process while it writes.
"""

import argparse
import asyncio
import json
import subprocess
import sys
import time
from pathlib import Path

import grpc
from google.protobuf import text_format

from p4pmip.softswitch.process.dataplane import MESSAGES, SERVICE
from p4pmip.softswitch.target.stubs import p4runtime, p4runtime_grpc

PROGRAMS = Path(__file__).parents[1] / "tests" / "softswitch" / "programs"
BATCH = 1000
FIRST = 1500
"""The first next hop that batches insert."""
FRAME = bytes.fromhex("000000000002000000000001080045000021000100000811e4c5c00002020a0102030035003c000ded8a68656c6c6f")


def config() -> "p4runtime.ForwardingPipelineConfig":
    """The router."""
    made = p4runtime.ForwardingPipelineConfig(p4_device_config=(PROGRAMS / "router.json").read_bytes())
    text_format.Parse((PROGRAMS / "router.p4info.txtpb").read_text(), made.p4info)
    return made


def update(info: "p4runtime.ForwardingPipelineConfig", number: int, kind: int = 1) -> "p4runtime.Update":
    """One entry of `nexthop`."""
    table = next(one for one in info.p4info.tables if one.preamble.alias == "nexthop")
    action = next(one for one in info.p4info.actions if one.preamble.alias == "forward")
    made = p4runtime.Update(type=kind)  # type: ignore[arg-type]
    entry = made.entity.table_entry
    entry.table_id = table.preamble.id
    entry.match.add(field_id=1).exact.value = number.to_bytes(2, "big").lstrip(b"\0") or b"\0"
    entry.action.action.action_id = action.preamble.id
    for param, value in ((1, b"\x02"), (2, b"\x01\x02\x03\x04\x05"), (3, b"\x02\x02\x03\x04\x05")):
        entry.action.action.params.add(param_id=param, value=value)
    return made


async def flood(address: str) -> None:
    """Packets as fast as the switch takes them."""
    async with grpc.aio.insecure_channel(address) as channel:
        stream = channel.stream_stream(
            f"/{SERVICE}/PacketStream",
            MESSAGES["PacketStreamRequest"].SerializeToString,
            MESSAGES["PacketStreamResponse"].FromString,
        )()
        request = MESSAGES["PacketStreamRequest"](device_id=1, port=1, packet=FRAME)
        while True:
            await stream.write(request)


async def measure(
    stub: "p4runtime_grpc.P4RuntimeStub", seconds: float, one_entry: int = 1, size: int = BATCH
) -> dict[str, float]:
    """p50 and p99 of one-entry writes, and the rate of batches."""
    info = config()
    one = p4runtime.WriteRequest(device_id=1, updates=[update(info, one_entry, 2)])
    one.election_id.low = 1
    times: list[float] = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        start = time.perf_counter()
        await stub.Write(one)  # type: ignore[misc]
        times.append(time.perf_counter() - start)
        await asyncio.sleep(0.002)
    times.sort()
    batches = [[update(info, FIRST + batch * size + at) for at in range(size)] for batch in range(6)]
    requests = [p4runtime.WriteRequest(device_id=1, updates=batch) for batch in batches]
    start = time.perf_counter()
    for request in requests:
        request.election_id.low = 1
        await stub.Write(request)  # type: ignore[misc]
    rate = BATCH * len(requests) / (time.perf_counter() - start)
    for request in requests:
        for each in request.updates:
            each.type = p4runtime.Update.DELETE
        await stub.Write(request)  # type: ignore[misc]
    return {
        "p50_ms": round(times[len(times) // 2] * 1e3, 2),
        "p99_ms": round(times[int(len(times) * 0.99)] * 1e3, 2),
        "entries_per_s": round(rate),
    }


async def run(seconds: float) -> None:
    """Start the switch, measure, end it."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "p4pmip.cli.main", "switch", "--device-id", "1", "--cpu-port", "510",
        "--grpc-server-addr", "127.0.0.1:0", "--dp-grpc-server-addr", "127.0.0.1:0", stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.stderr is not None
    packets = (await process.stderr.readline()).decode().split()[-1]
    address = (await process.stderr.readline()).decode().split()[4].rstrip(",")
    try:
        async with grpc.aio.insecure_channel(address) as channel:
            stub = p4runtime_grpc.P4RuntimeStub(channel)
            stream = stub.StreamChannel()
            hello = p4runtime.StreamMessageRequest()
            hello.arbitration.device_id = 1
            hello.arbitration.election_id.low = 1
            await stream.write(hello)
            await stream.read()
            push = p4runtime.SetForwardingPipelineConfigRequest(device_id=1, config=config(), action=3)  # type: ignore[arg-type]
            push.election_id.low = 1
            await stub.SetForwardingPipelineConfig(push)
            first = p4runtime.WriteRequest(device_id=1, updates=[update(config(), 1)])
            first.election_id.low = 1
            await stub.Write(first)
            idle = await measure(stub, seconds)
            flooder = await asyncio.create_subprocess_exec(sys.executable, __file__, "--flood", packets)
            await asyncio.sleep(1)
            saturated = await measure(stub, seconds)
            flooder.kill()
            await flooder.wait()
            print(json.dumps({"idle": idle, "saturated": saturated}))
    finally:
        process.terminate()
        await process.wait()


def main() -> None:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--flood", help=argparse.SUPPRESS)
    args = parser.parse_args()
    asyncio.run(flood(args.flood) if args.flood else run(args.seconds))


if __name__ == "__main__":
    main()
