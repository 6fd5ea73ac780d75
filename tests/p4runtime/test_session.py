"""Sessions with a target: becoming primary, pipeline, writes, reads, packets, and losing each of them."""

import asyncio
from collections.abc import AsyncIterator
from random import Random
from types import ModuleType
from typing import Any

import pytest

from p4pmip.errors import P4pmipError
from p4pmip.forwarding.entry import Entry, EntryKey
from p4pmip.forwarding.update import Operation, Update
from p4pmip.p4runtime.arbitration import State
from p4pmip.p4runtime.packetio import PacketIn
from p4pmip.p4runtime.pipeline import Pipeline
from p4pmip.p4runtime.quirks import PROFILES, Quirks
from p4pmip.p4runtime.reconcile import Plan
from p4pmip.p4runtime.session import Options, Session
from p4pmip.p4runtime.status import TargetError
from p4pmip.p4runtime.stubs import code_pb2, p4runtime_pb2
from p4pmip.p4runtime.target import Target
from p4pmip.p4runtime.writer import WriteRefused


def host(number: int, key: int = 1) -> Entry:
    """An entry of table host."""
    params = (("tunnel_id", 1), ("session_id", number), ("gre_key", key))
    return Entry("host", (("realm", 1), ("address", number)), "to_tunnel", params)


def by_operation(plan: Plan) -> list[list[Update]]:
    """The small pipeline's tables do not refer to each other."""
    return [
        [Update(Operation.INSERT, entry) for entry in plan.insert],
        [Update(Operation.MODIFY, new) for _, new in plan.modify],
        [Update(Operation.DELETE, entry) for entry in plan.delete],
    ]


def insert(*entries: Entry) -> list[Update]:
    """One phase."""
    return [Update(Operation.INSERT, entry) for entry in entries]


def target_of(box: Any, quirks: Quirks = PROFILES["generic"]) -> Target:
    """Where the box is."""
    return Target(box.address, 3, "box", quirks=quirks)


@pytest.fixture
async def session(box: Any, small: Pipeline) -> AsyncIterator[Session]:
    """A session that is ready."""
    async with await Session.open(target_of(box), small) as session:
        yield session


async def rows(session: Session, table: str = "host") -> list[Entry]:
    """What the target says."""
    return [entry async for entry in session.read_table(table)]


async def test_open_deploys_and_writes(box: Any, session: Session) -> None:
    assert session.state is State.READY
    assert box.pushes == 1
    await session.writer.apply([insert(host(1)), insert(host(2), host(3))])
    assert box.writes == [[1], [1, 1]]
    assert await rows(session) == [host(1), host(2), host(3)]


async def test_an_equal_pipeline_is_left_alone(box: Any, small: Pipeline) -> None:
    for _ in range(2):
        async with await Session.open(target_of(box), small):
            pass
    assert box.pushes == 1


async def test_refusals_come_back_to_who_asked(box: Any, session: Session) -> None:
    await session.writer.apply([insert(host(5))])
    good, bad = host(6), host(5)
    results = await asyncio.gather(
        session.writer.apply([insert(good)]), session.writer.apply([insert(bad)]), return_exceptions=True
    )
    assert box.writes[-1] == [1, 1]
    assert results[0] is None
    assert isinstance(results[1], WriteRefused)
    assert results[1].reason == "already_exists"
    assert [refusal.update.entry for refusal in results[1].refusals] == [bad]


async def test_packets(box: Any, session: Session) -> None:
    packet = p4runtime_pb2.PacketIn(payload=b"hello")
    for number, value in ((1, b"\x07"), (3, b"\x02"), (4, b"\x01\x00")):
        packet.metadata.add(metadata_id=number, value=value)
    box.punt(packet)
    received = await anext(session.packets())
    assert (received.reason, received.ingress_port, received.session_id) == ("SPOOF", 7, 256)
    assert received.payload == b"hello"
    await session.packet_out(b"there", egress_port=300)
    await asyncio.wait_for(box.packet_arrived.wait(), 5)
    (sent,) = box.packets_out
    assert sent.payload == b"there"
    assert [(item.metadata_id, item.value) for item in sent.metadata] == [(1, b"\x01\x2c"), (2, b"\0"), (3, b"\0")]
    with pytest.raises(P4pmipError, match="does not fit 9 bits"):
        await session.packet_out(b"", egress_port=512)
    with pytest.raises(P4pmipError, match="no such field"):
        await session.packet_out(b"", port=1)


async def test_waiting_packets_keep_nothing_else_from_its_turn(session: Session) -> None:
    turns = taken = 0
    loop = asyncio.get_running_loop()

    def turn() -> None:
        nonlocal turns
        turns += 1
        loop.call_soon(turn)

    for number in range(100):
        session.packet_queue.put(PacketIn("ARP", 1, 0, 0, bytes((number,))))
    loop.call_soon(turn)
    async for packet in session.packets():
        assert packet.payload == bytes((taken,))
        assert turns >= taken
        taken += 1
        if taken == 100:
            break


async def test_unreachable_target_is_said(small: Pipeline) -> None:
    with pytest.raises(TargetError, match=r"127\.0\.0\.1:1"):
        await Session.open(Target("127.0.0.1:1", quirks=PROFILES["generic"]), small, timeout=0.5)


async def test_foreign_program_is_left_alone_unless_deployed(box: Any, small: Pipeline) -> None:
    box.config.p4info.pkg_info.name = "other"
    with pytest.raises(TargetError, match=r"pkg_info.name is 'other', not 'small'"):
        await Session.open(target_of(box), small, Options(deploy=False), timeout=1)
    assert box.pushes == 0


async def test_edited_program_is_taken(box: Any, small: Pipeline) -> None:
    box.config.p4info.CopyFrom(small.p4info)
    box.config.p4info.tables[1].preamble.id += 7  # ids are the compiler's own business
    box.config.p4info.tables.add().preamble.alias = "extra"
    async with await Session.open(target_of(box), small, Options(accept=("host", "tunnel"))) as session:
        assert box.pushes == 0
        assert session.pipeline.schema.table("tunnel").id == small.schema.table("tunnel").id + 7


async def test_second_controller_takes_over_and_gives_back(box: Any, small: Pipeline) -> None:
    desired: dict[EntryKey, Entry] = {host(1).key: host(1)}
    options = Options(election_id=10)
    async with await Session.open(
        target_of(box), small, options, desired=lambda: desired, order=by_operation, random=Random(1)
    ) as first:
        async with await Session.open(target_of(box), small, Options(election_id=20)) as second:
            await first.wait_for([State.BACKUP], 5)
            assert first.primary_id == 20
            with pytest.raises(WriteRefused) as caught:
                await first.writer.apply([insert(host(2))])
            assert caught.value.reason == "unavailable"
            with pytest.raises(TargetError, match="another controller"):
                await first.packet_out(b"", egress_port=1)
            await second.writer.apply([[Update(Operation.DELETE, host(1))], insert(host(9))])
            assert first.election_id == 10
        await first.wait_ready(5)
        assert await rows(first) == [host(1)]
        assert first.drift == {"runs": 2, "missing": 2, "orphaned": 1, "changed": 0, "refused": 0}


async def test_taken_election_id_becomes_the_next(box: Any, small: Pipeline) -> None:
    async with (
        await Session.open(target_of(box), small, Options(election_id=10)) as first,
        await Session.open(target_of(box), small, Options(election_id=10)) as second,
    ):
        assert second.election_id == 11
        await first.wait_for([State.BACKUP], 5)


async def test_reconnects_and_refills(box: Any, small: Pipeline, unruly: ModuleType) -> None:
    desired = {host(n).key: host(n) for n in range(1, 4)}
    async with unruly.serving(box) as address:
        target = Target(address, 3, "box", quirks=PROFILES["generic"])
        session = await Session.open(target, small, desired=lambda: desired, order=by_operation, random=Random(1))
    async with session:
        await session.wait_for([State.DISCONNECTED, State.CONNECTING], 5)
        box.entries.clear()
        box.config.Clear()
        async with unruly.serving(box, address):
            await session.wait_ready(10)
            assert len(box.entries) == 3
            assert box.pushes == 2


async def test_stalled_write_is_refused_with_the_session(box: Any, session: Session) -> None:
    box.gate.clear()
    box.stalled.clear()
    write = session.writer.submit([insert(host(1))])
    await asyncio.wait_for(box.stalled.wait(), 5)
    later = session.writer.submit([insert(host(2))], relies_on=[host(1).key])
    await session.close()
    for future in (write, later):
        with pytest.raises(WriteRefused) as caught:
            await future
        assert caught.value.reason == "unavailable"


async def test_full_table(box: Any, small: Pipeline) -> None:
    box.size[small.schema.table("host").id] = 1
    box.full_code, box.full_message = code_pb2.UNKNOWN, "Error when adding match entry to target"
    async with await Session.open(target_of(box, PROFILES["bmv2"]), small) as session:
        await session.writer.apply([insert(host(1))])
        with pytest.raises(WriteRefused) as caught:
            await session.writer.apply([insert(host(2))])
        assert caught.value.reason == "table_full"
