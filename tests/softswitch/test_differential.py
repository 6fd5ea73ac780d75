"""The same program, entries and packets through the softswitch and through simple_switch_grpc: equal output packets,
ports and counters. Needs `simple_switch_grpc` on PATH."""

import asyncio
import ipaddress
import random
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import text_format

from p4pmip.demo.targets import BMV2, thrift_words
from p4pmip.softswitch.process.dataplane import MESSAGES, SERVICE
from p4pmip.softswitch.target.config import load
from p4pmip.softswitch.target.match import encode_match
from p4pmip.softswitch.target.running import Running
from p4pmip.softswitch.target.schema import MatchField
from p4pmip.softswitch.target.stubs import p4info, p4runtime, p4runtime_grpc

Programs = Callable[[str], "p4runtime.ForwardingPipelineConfig"]

CPU_PORT = 510
DROP_PORT = 511
PACKETS = 1000
MARK = bytes.fromhex("ffeeddccbbaa")

pytestmark = pytest.mark.bmv2


class Bmv2:
    """simple_switch_grpc with packets over gRPC."""

    def __init__(self, channel: grpc.aio.Channel, packets: grpc.aio.Channel) -> None:
        self.stub = p4runtime_grpc.P4RuntimeStub(channel)
        self.stream: Any = self.stub.StreamChannel()
        self._open_packets = packets.stream_stream(
            f"/{SERVICE}/PacketStream",
            MESSAGES["PacketStreamRequest"].SerializeToString,
            MESSAGES["PacketStreamResponse"].FromString,
        )

    async def start(self, config: "p4runtime.ForwardingPipelineConfig") -> None:
        """Become primary and push."""
        request = p4runtime.StreamMessageRequest()
        request.arbitration.device_id = 1
        request.arbitration.election_id.low = 1
        await self.stream.write(request)
        assert (await self.stream.read()).arbitration.status.code == 0
        push = p4runtime.SetForwardingPipelineConfigRequest(device_id=1, config=config)
        push.action = p4runtime.SetForwardingPipelineConfigRequest.VERIFY_AND_COMMIT
        push.election_id.low = 1
        await self.stub.SetForwardingPipelineConfig(push)
        # Before its first program it refuses packets.
        self.packets: Any = self._open_packets()

    async def write(self, updates: "list[p4runtime.Update]") -> None:
        """Write them all in one batch."""
        request = p4runtime.WriteRequest(device_id=1, updates=updates)
        request.election_id.low = 1
        await self.stub.Write(request)

    async def read(self, entity: "p4runtime.Entity") -> "list[p4runtime.Entity]":
        """Read one kind of entity."""
        request = p4runtime.ReadRequest(device_id=1, entities=[entity])
        return [one async for response in self.stub.Read(request) for one in response.entities]

    async def packet(self, port: int, frame: bytes) -> None:
        """Send a packet in."""
        await self.packets.write(MESSAGES["PacketStreamRequest"](device_id=1, port=port, packet=frame))


@pytest.fixture
async def bmv2(tmp_path: Path) -> AsyncIterator[Bmv2]:
    """A fresh BMv2 on Unix sockets."""
    control, packets = f"unix:{tmp_path}/p4runtime", f"unix:{tmp_path}/packets"
    arguments = [
        "--device-id",
        "1",
        "--no-p4",
        *thrift_words(),
        "--log-file",
        str(tmp_path / "log"),
        "--log-level",
        "warn",
        "--",
    ]
    process = await asyncio.create_subprocess_exec(
        BMV2, *arguments, "--grpc-server-addr", control, "--dp-grpc-server-addr", packets,
        "--cpu-port", str(CPU_PORT), "--drop-port", str(DROP_PORT),
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL, cwd=tmp_path,
    )  # fmt: skip
    try:
        async with grpc.aio.insecure_channel(control) as one, grpc.aio.insecure_channel(packets) as two:
            await asyncio.wait_for(one.channel_ready(), 20)
            await asyncio.wait_for(two.channel_ready(), 20)
            yield Bmv2(one, two)
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


class Softswitch:
    """The other side of the comparison."""

    def __init__(self, config: "p4runtime.ForwardingPipelineConfig", native: bool = False) -> None:
        self.running = Running(load(config, DROP_PORT))
        if native:
            assert self.running.pipeline.use_native(CPU_PORT) is not None

    def packet(self, port: int, frame: bytes) -> list[tuple[int, bytes]]:
        """What comes out."""
        out: list[tuple[int, bytes]] = []
        self.running.pipeline.process(port, frame, 0.0, lambda to, data: out.append((to, data)))
        return out


async def compare(bmv2: Bmv2, switch: Softswitch, packets: list[tuple[int, bytes]]) -> int:
    """Send packets through both and compare what leaves each port; how many came out."""
    expected: dict[int, list[bytes]] = {}
    got: dict[int, list[bytes]] = {}
    count = 0
    for port, frame in packets:
        for to, data in switch.packet(port, frame):
            expected.setdefault(to, []).append(data)
            count += 1
    from_port = count - len(expected.get(CPU_PORT, []))

    async def listen() -> None:
        for _ in range(from_port):
            response = await bmv2.packets.read()
            got.setdefault(response.port, []).append(response.packet)

    async def listen_cpu() -> None:
        for _ in expected.get(CPU_PORT, []):
            message = (await bmv2.stream.read()).packet
            got.setdefault(CPU_PORT, []).append(_frame(switch, message))

    async def send() -> None:
        for port, frame in packets:
            await bmv2.packet(port, frame)
            # Its queues are short, and what overflows them is lost.
            await asyncio.sleep(0.0005)

    await asyncio.wait_for(asyncio.gather(listen(), listen_cpu(), send()), 60)
    for port in sorted(set(expected) | set(got)):
        # BMv2's threads may change the order of packets that came in on different ports.
        theirs, ours = sorted(got.get(port, [])), sorted(expected.get(port, []))
        for have, want in zip(theirs, ours, strict=False):
            assert have.hex() == want.hex(), f"port {port}: BMv2 sent the first, the softswitch the second"
        assert len(theirs) == len(ours), f"port {port}"
    return count


def _frame(switch: Softswitch, message: "p4runtime.PacketIn") -> bytes:
    """A packet-in as the frame that left for the CPU port."""
    header = switch.running.schema.packet_in
    value = 0
    metadata = {one.metadata_id: int.from_bytes(one.value, "big") for one in message.metadata}
    for number, _, width in header.fields if header else ():
        value = value << width | metadata[number]
    return value.to_bytes(header.width // 8 if header else 0, "big") + message.payload


async def test_features(bmv2: Bmv2, program: Programs) -> None:
    config = program("features")
    from p4pmip.softswitch.target.bytestring import encode

    await bmv2.start(config)
    switch = Softswitch(config)
    updates = []
    session = p4runtime.Update(type=p4runtime.Update.INSERT)
    clone = session.entity.packet_replication_engine_entry.clone_session_entry
    clone.session_id = 9
    clone.replicas.add(egress_port=5, instance=1)
    updates.append(session)
    multicast = p4runtime.Update(type=p4runtime.Update.INSERT)
    group = multicast.entity.packet_replication_engine_entry.multicast_group_entry
    group.multicast_group_id = 4
    for port, instance in ((5, 1), (6, 2), (7, 3)):
        group.replicas.add(egress_port=port, instance=instance)
    updates.append(multicast)
    aging = next(one for one in config.p4info.tables if one.preamble.alias == "aging")
    mark = next(one for one in config.p4info.actions if one.preamble.alias == "mark")
    for value in range(1, 9):
        update = p4runtime.Update(type=p4runtime.Update.INSERT)
        entry = update.entity.table_entry
        entry.table_id = aging.preamble.id
        entry.match.add(field_id=1).exact.value = encode(value)
        entry.action.action.action_id = mark.preamble.id
        entry.action.action.params.add(param_id=1, value=encode(value * 257))
        updates.append(update)
    for update in updates:
        switch.running.write(update, 0.0)
    await bmv2.write(updates)
    choose = random.Random(5)
    # The command is always whole: BMv2 leaves what the packet before had in the fields of an invalid header.
    # 15 without a group and 20 with 0 stop BMv2 altogether, as does a cell outside its array.
    codes = [code for code in range(28) if code not in (15, 20)]
    packets = []
    for _ in range(PACKETS):
        code = choose.choice(codes)
        value = choose.choice([0, 1, 2, 3] if code in (7, 8) else [0, 1, 2, 3, 4, 9, 0x18, 0x20, 0x82])
        frame = bytes([code, value]) + choose.randbytes(choose.choice([2, 2, 3, 4, 8, 12, 40]))
        packets.append((choose.choice([0, 1, 2, 3]), frame))
    assert await compare(bmv2, switch, packets) > PACKETS // 2


def ipv4(choose: random.Random, dst: int) -> bytes:
    """An Ethernet frame with an IPv4 packet: mostly right, sometimes cut or with a wrong checksum."""
    from p4pmip.softswitch.hashes import csum16

    header = bytearray(
        bytes.fromhex("4500") + choose.randbytes(4) + b"\0\0" + bytes([choose.choice([0, 1, 2, 64]), 17]) + b"\0\0"
        + choose.randbytes(4) + dst.to_bytes(4, "big")
    )  # fmt: skip
    header[10:12] = csum16(bytes(header)).to_bytes(2, "big")
    if choose.random() < 0.1:
        header[choose.randrange(20)] ^= 1
    frame = MARK + choose.randbytes(6) + b"\x08\x00" + bytes(header)
    frame += choose.randbytes(2) + bytes([0, choose.choice([53, 60, 80, 123])]) + choose.randbytes(choose.randrange(40))
    return frame[: choose.randrange(len(frame))] if choose.random() < 0.1 else frame


async def test_router(bmv2: Bmv2, program: Programs) -> None:
    config = program("router")
    await bmv2.start(config)
    switch = Softswitch(config)
    choose = random.Random(6)
    destinations = [choose.getrandbits(32) for _ in range(30)]
    updates = random_entries(
        config, switch, choose, {"dst": destinations, "nexthop": list(range(8)), "udp_dst": [53, 60, 80]}
    )
    for update in updates:
        switch.running.write(update, 0.0)
    await bmv2.write(updates)
    packets = [(choose.choice([1, 2, 3]), ipv4(choose, choose.choice(destinations))) for _ in range(PACKETS)]
    assert await compare(bmv2, switch, packets) > PACKETS // 20
    await compare_counters(bmv2, switch, config)


MACS = [0x020000000001, 0x020000000002, 0x333300000001]
ADDRESSES = [0x20010DB8 << 96 | host for host in (0x0A010001, 0x0A010002, 0xC0000201, 0xC0000202)]
"""IPv6 addresses whose low 32 bits are IPv4 addresses of the same pool."""


def tunnelled(choose: random.Random) -> bytes:
    """A frame as an access link or a tunnel carries it, sometimes cut."""
    from scapy.layers.inet import ICMP, IP, UDP
    from scapy.layers.inet6 import ICMPv6EchoRequest, IPv6
    from scapy.layers.l2 import GRE, Dot1Q, Ether
    from scapy.packet import Packet, Raw

    def user(ttl: int) -> Packet:
        four = [str(ipaddress.IPv4Address(one & 0xFFFFFFFF)) for one in ADDRESSES]
        six = [str(ipaddress.IPv6Address(one)) for one in ADDRESSES]
        payload = UDP(sport=choose.choice([5436, 67, 9]), dport=choose.choice([5436, 67, 9])) / Raw(
            b"x" * choose.randrange(40)
        )
        if choose.random() < 0.5:
            return IP(
                src=choose.choice(four), dst=choose.choice(four), ttl=ttl, tos=choose.randrange(256)
            ) / choose.choice([payload, ICMP()])
        return IPv6(src=choose.choice(six), dst=choose.choice(six), hlim=ttl, tc=choose.randrange(256)) / choose.choice(
            [payload, ICMPv6EchoRequest()]
        )

    packet = user(choose.choice([1, 2, 64]))
    if choose.random() < 0.6:
        outer = user(64)
        outer.remove_payload()
        proto = 0x0800 if isinstance(packet, IP) else 0x86DD
        kind = choose.random()
        if kind < 0.7:
            key: dict[str, Any] = {"key_present": 1, "key": choose.choice([1, 2, 3])} if choose.random() < 0.8 else {}
            packet = outer / GRE(proto=proto, seqnum_present=int(choose.random() < 0.2), **key) / packet
        else:
            packet = outer / packet
    ether = Ether(src=f"02:00:00:00:00:0{choose.choice([1, 2])}", dst=f"02:00:00:00:00:0{choose.choice([1, 2, 3])}")
    frame = bytes((ether / Dot1Q(vlan=choose.choice([1, 2])) if choose.random() < 0.3 else ether) / packet)
    return frame[: choose.randrange(14, len(frame))] if choose.random() < 0.05 else frame


@pytest.mark.parametrize("native", [False, True])
@pytest.mark.parametrize("seed", range(2))
async def test_pmip(bmv2: Bmv2, seed: int, native: bool) -> None:
    pipeline = Path(__file__).parents[2] / "p4src" / "build"
    config = p4runtime.ForwardingPipelineConfig(p4_device_config=(pipeline / "pmip.json").read_bytes())
    text_format.Parse((pipeline / "pmip.p4info.txtpb").read_text(), config.p4info)
    await bmv2.start(config)
    switch = Softswitch(config, native)
    choose = random.Random(seed)
    small = [0, 1, 2, 3]
    addresses = ("address", "local", "peer", "dst", "src", "src_v4", "dst_v4", "src_v6", "dst_v6")
    pools = {
        name: small
        for names in ([f.name for f in t.fields] for t in switch.running.schema.tables.values())
        for name in names
    }
    pools |= {param.name: small for action in config.p4info.actions for param in action.params}
    pools |= dict.fromkeys(addresses, ADDRESSES) | {"mac": MACS, "mtu": [60, 1500], "protocol": [17, 47, 1, 58]}
    pools |= {"hop_limit": [64], "vlan_id": [0, 1], "port": [0, 1, 2, 3]}
    updates = random_entries(config, switch, choose, pools)
    for update in updates:
        switch.running.write(update, 0.0)
    await bmv2.write(updates)
    packets = [(choose.choice(small), tunnelled(choose)) for _ in range(PACKETS)]
    assert await compare(bmv2, switch, packets) > PACKETS // 20
    await compare_counters(bmv2, switch, config)


async def compare_counters(bmv2: Bmv2, switch: Softswitch, config: "p4runtime.ForwardingPipelineConfig") -> None:
    """Direct and indirect counters of both; BMv2 does not count for default entries."""
    for kind in ("counter_entry", "direct_counter_entry"):
        known: Any = config.p4info.counters if kind == "counter_entry" else config.p4info.direct_counters
        for one in known:
            wanted = p4runtime.Entity()
            if kind == "counter_entry":
                wanted.counter_entry.counter_id = one.preamble.id
            else:
                wanted.direct_counter_entry.table_entry.table_id = one.direct_table_id
            theirs = sorted([_counted(entity, kind) for entity in await bmv2.read(wanted)])
            ours = sorted([_counted(entity, kind) for entity in switch.running.read(wanted, 0.0)])
            assert theirs == ours, one.preamble.name


def _counted(entity: "p4runtime.Entity", kind: str) -> tuple[Any, int, int]:
    entry = getattr(entity, kind)
    if kind == "direct_counter_entry":
        # The priorities of entries that stand in the program are numbered differently.
        entry.table_entry.ClearField("priority")
    key = entry.index.index if kind == "counter_entry" else entry.table_entry.SerializeToString(deterministic=True)
    return key, entry.data.packet_count, entry.data.byte_count


def random_entries(
    config: "p4runtime.ForwardingPipelineConfig",
    switch: Softswitch,
    choose: random.Random,
    pools: dict[str, list[int]],
) -> "list[p4runtime.Update]":
    """Entries for every table that takes some: key values from `pools` (by field name), else at random."""
    updates = []
    actions = {one.preamble.id: one for one in config.p4info.actions}
    for table in config.p4info.tables:
        if table.is_const_table:
            continue
        schema = switch.running.schema.table(table.preamble.id)
        usable = [ref.id for ref in table.action_refs if ref.scope != p4info.ActionRef.DEFAULT_ONLY]
        seen = set()
        for number in range(24):
            match = tuple(_part(choose, field, pools) for field in schema.fields)
            if match in seen:
                continue
            seen.add(match)
            update = p4runtime.Update(type=p4runtime.Update.INSERT)
            entry = update.entity.table_entry
            entry.table_id = schema.id
            encode_match(schema, match, entry)
            entry.priority = number + 1 if schema.needs_priority else 0
            action = actions[choose.choice(usable)]
            entry.action.action.action_id = action.preamble.id
            for param in action.params:
                value = choose.choice(pools.get(param.name, [choose.getrandbits(param.bitwidth), 1, 2, 3]))
                value &= (1 << param.bitwidth) - 1
                data = value.to_bytes(max(1, (value.bit_length() + 7) // 8), "big")
                entry.action.action.params.add(param_id=param.id, value=data)
            updates.append(update)
    return updates


def _part(choose: random.Random, field: MatchField, pools: dict[str, list[int]]) -> tuple[int, int] | None:
    value = choose.choice(pools.get(field.name, [choose.getrandbits(field.width), 0, 1, 2])) & (1 << field.width) - 1
    everything = (1 << field.width) - 1
    kind = field.kind.value
    if kind == "exact":
        return value, 0
    if choose.random() < 0.3:
        return None
    if kind == "lpm":
        length = choose.randrange(1, field.width + 1)
        return value >> field.width - length << field.width - length, length
    if kind == "range":
        high = min(everything, value + choose.randrange(10))
        return (value, high) if (value, high) != (0, everything) else None
    if kind == "optional":
        return value, everything
    mask = choose.choice([everything, everything ^ 3, 1, 3])
    return (value & mask, mask) if mask else None
