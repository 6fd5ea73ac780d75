"""Writes into a forwarding softswitch: the latency of one-entry Writes and the rate of batches, idle and saturated.

    python bench/switch_writes.py [--seconds S] [--target native|interpreter|bmv2 …] [--ports interfaces|grpc]

Starts a target, pushes the router of tests/softswitch/programs, and saturates it with packets from a second
process while it writes: over interfaces in a network namespace of its own (root), or over gRPC.
"""

import argparse
import asyncio
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import grpc
from google.protobuf import text_format
from veths import FRAME, SWITCH, blast, forwarded, links, sent  # type: ignore[import-not-found]

from p4pmip.softswitch.process.dataplane import MESSAGES, SERVICE
from p4pmip.softswitch.target.stubs import p4runtime, p4runtime_grpc

PROGRAMS = Path(__file__).parents[1] / "tests" / "softswitch" / "programs"
BMV2 = "simple_switch_grpc"
BATCH = 1000
NEXTHOP = 5
"""Where the packets go, and what one-entry Writes modify."""

FIRST = 1500
"""The first next hop that batches insert."""

BOUNDS = {"native": (50_000, 5.0), "interpreter": (30_000, 20.0)}
"""Under traffic: entries a second at least, and the 99th percentile of one-entry Writes at most, in ms."""


GENERATOR_NICE = 10
"""The generator stands for other machines: it gives way to what is measured, and still offers more than is taken."""


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


def route(info: "p4runtime.ForwardingPipelineConfig") -> "p4runtime.Update":
    """The entry of `route` that leads the packets to NEXTHOP."""
    made = p4runtime.Update(type=p4runtime.Update.INSERT)
    entry = made.entity.table_entry
    entry.table_id = next(one.preamble.id for one in info.p4info.tables if one.preamble.alias == "route")
    match = entry.match.add(field_id=1).lpm
    match.value, match.prefix_len = bytes([10, 0, 0, 0]), 8
    action = next(one for one in info.p4info.actions if one.preamble.alias == "set_nexthop")
    entry.action.action.action_id = action.preamble.id
    entry.action.action.params.add(param_id=1, value=bytes([NEXTHOP]))
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


async def measured(
    stub: "p4runtime_grpc.P4RuntimeStub", seconds: float, one_entry: int = NEXTHOP, size: int = BATCH
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
    for request in requests:
        request.election_id.low = 1
    took, written = 0.0, 0
    while took < seconds / 4:
        start = time.perf_counter()
        for request in requests:
            await stub.Write(request)  # type: ignore[misc]
        took, written = took + time.perf_counter() - start, written + BATCH * len(requests)
        for request in requests:
            await stub.Write(_deletes(request))  # type: ignore[misc]
    return {
        "p50_ms": round(times[len(times) // 2] * 1e3, 2),
        "p99_ms": round(times[int(len(times) * 0.99)] * 1e3, 2),
        "entries_per_s": round(written / took),
    }


def _deletes(request: "p4runtime.WriteRequest") -> "p4runtime.WriteRequest":
    made = p4runtime.WriteRequest()
    made.CopyFrom(request)
    for each in made.updates:
        each.type = p4runtime.Update.DELETE
    return made


def command(target: str, address: str, packets: str) -> list[str]:
    """How a target is started, on interfaces unless packets are served over gRPC at an address."""
    ports = ["--dp-grpc-server-addr", packets] if packets else list(SWITCH)
    own = ["--", "--grpc-server-addr", address, "--cpu-port", "510"]
    if target == "bmv2":
        return [BMV2, "--device-id", "1", "--no-p4", *ports, *own]
    switch = [sys.executable, "-m", "p4pmip.cli.main", "switch", "--executor", target]
    return [*switch, "--device-id", "1", "--no-p4", *ports, *own]


async def run(target: str, ports: str, seconds: float) -> dict[str, dict[str, float]]:
    """Start a target, measure it idle and saturated, end it."""
    wires = ports == "interfaces"
    with tempfile.TemporaryDirectory() as folder:
        address, packets = f"unix:{folder}/p4runtime", "" if wires else f"unix:{folder}/packets"
        process = await asyncio.create_subprocess_exec(
            *command(target, address, packets), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            async with grpc.aio.insecure_channel(address) as channel:
                await asyncio.wait_for(channel.channel_ready(), 30)
                stub = p4runtime_grpc.P4RuntimeStub(channel)
                stream = await prepare(stub, update(config(), NEXTHOP))
                # Optimised machine code replaces the first one meanwhile.
                await asyncio.sleep(2)
                idle = await measured(stub, seconds)
                flood_of = ["--blast", str(20 * seconds)] if wires else ["--flood", packets]
                flooder = await asyncio.create_subprocess_exec(sys.executable, __file__, *flood_of)
                already = sent() if wires else 0
                await asyncio.sleep(1)
                while wires and sent() == already:  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
                before, start = (sent(), forwarded()) if wires else (0, 0), time.perf_counter()
                saturated = await measured(stub, seconds)
                took = time.perf_counter() - start
                for index, (what, now) in enumerate((("offered", sent), ("forwarded", forwarded)) if wires else ()):
                    saturated[f"{what}_per_s"] = round((now() - before[index]) / took)
                flooder.kill()
                await flooder.wait()
                stream.cancel()
        finally:
            if process.returncode is None:
                process.terminate()
            await process.wait()
    return {"idle": idle, "saturated": saturated}


async def prepare(stub: Any, forwarding: "p4runtime.Update") -> Any:
    """Become primary, push, and write the route and the entry that forwards; the stream must live on."""
    stream = stub.StreamChannel()
    hello = p4runtime.StreamMessageRequest()
    hello.arbitration.device_id = 1
    hello.arbitration.election_id.low = 1
    await stream.write(hello)
    await stream.read()
    info = config()
    push = p4runtime.SetForwardingPipelineConfigRequest(device_id=1, config=info)
    push.action = p4runtime.SetForwardingPipelineConfigRequest.VERIFY_AND_COMMIT
    push.election_id.low = 1
    await stub.SetForwardingPipelineConfig(push)
    first = p4runtime.WriteRequest(device_id=1, updates=[route(info), forwarding])
    first.election_id.low = 1
    await stub.Write(first)
    return stream


def measure() -> list[dict[str, Any]]:
    """Rows of `make bench`: each executor under as many packets as it gets, beside BMv2 under as many."""
    skipped = None
    if shutil.which(BMV2) is None:
        skipped = f"{BMV2} is not on PATH"
    elif os.geteuid() != 0:
        skipped = "needs root, for a network namespace"
    if skipped is not None:
        return [_skipped(skipped)]
    links()
    found = {one: asyncio.run(run(one, "interfaces", 4.0))["saturated"] for one in ("bmv2", "native", "interpreter")}
    return [
        _row(f"{target}: {what} under traffic", unit, found[target][key], found["bmv2"][key], bound)
        for target, (least, most) in BOUNDS.items()
        for what, unit, key, bound in (
            ("entries written in batches of 1,000,", "entries/s", "entries_per_s", least),
            ("one-entry Write, p50,", "ms", "p50_ms", None),
            ("one-entry Write, p99,", "ms", "p99_ms", most),
        )
    ]


def _row(name: str, unit: str, value: float, peer: float, bound: float | None) -> dict[str, Any]:
    good = bound is None or (value <= bound if unit == "ms" else value >= bound)
    return {
        "name": name, "value": value, "unit": unit, "peer": "BMv2", "peer_value": peer, "ratio": value / peer,
        "bound": bound, "ok": good, "skipped": None,
    }  # fmt: skip


def _skipped(reason: str) -> dict[str, Any]:
    return {
        "name": "softswitch: entries written under traffic", "value": None, "unit": "entries/s", "peer": "BMv2",
        "peer_value": None, "ratio": None, "bound": None, "ok": None, "skipped": reason,
    }  # fmt: skip


def main() -> None:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--target", nargs="+", choices=("native", "interpreter", "bmv2"), default=["native"])
    parser.add_argument(
        "--ports", choices=("interfaces", "grpc"), default="grpc" if os.geteuid() else "interfaces",
        help="what carries the packets (default: interfaces for root)",
    )  # fmt: skip
    parser.add_argument("--flood", help=argparse.SUPPRESS)
    parser.add_argument("--blast", type=float, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.flood:
        asyncio.run(flood(args.flood))
    elif args.blast:
        os.nice(GENERATOR_NICE)
        blast(args.blast, numbered=False)
    else:
        if args.ports == "interfaces":
            links()
        for target in args.target:
            print(json.dumps({"target": target, **asyncio.run(run(target, args.ports, args.seconds))}))


if __name__ == "__main__":
    main()
