"""Targets that die, stall, refuse by the thousand, answer oddly, or want certificates."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import grpc
import grpc.aio
import pytest
from tests.certificates import certificates, server_credentials

from p4pmip.forwarding.entry import Entry
from p4pmip.forwarding.update import Operation, Update
from p4pmip.p4runtime.arbitration import State
from p4pmip.p4runtime.client import Client
from p4pmip.p4runtime.pipeline import Pipeline
from p4pmip.p4runtime.quirks import PROFILES
from p4pmip.p4runtime.reader import Reader
from p4pmip.p4runtime.reconcile import Plan, compare
from p4pmip.p4runtime.session import Options, Session
from p4pmip.p4runtime.status import Problem, TargetError
from p4pmip.p4runtime.stubs import code_pb2, p4runtime_pb2
from p4pmip.p4runtime.target import Target, Tls
from p4pmip.p4runtime.writer import Writer, WriteRefused
from p4pmip.softswitch import SoftSwitch


def host(number: int) -> Entry:
    """An entry of table host."""
    params = (("tunnel_id", 1), ("session_id", number), ("gre_key", 1))
    return Entry("host", (("realm", 1), ("address", number)), "to_tunnel", params)


def inserts(numbers: range) -> list[Update]:
    """One phase."""
    return [Update(Operation.INSERT, host(number)) for number in numbers]


def at_once(plan: Plan) -> list[list[Update]]:
    """The small pipeline's tables do not refer to each other."""
    return [
        [Update(Operation.INSERT, e) for e in plan.insert],
        [Update(Operation.MODIFY, new) for _, new in plan.modify],
        [Update(Operation.DELETE, e) for e in plan.delete],
    ]


async def test_death_in_the_middle_of_a_batch(box: Any, small: Pipeline, unruly: ModuleType) -> None:
    """Nothing of the batch is acknowledged, although half of it is in the target; the next comparison takes it out."""
    desired: dict[Any, Entry] = {host(n).key: host(n) for n in range(1, 4)}
    async with unruly.serving(box) as address:
        target = Target(address, 3, "box", quirks=PROFILES["generic"])
        session = await Session.open(target, small, desired=lambda: desired, order=at_once)
        box.die_after = 5
        write = session.writer.submit([inserts(range(10, 20))])
        await asyncio.wait_for(box.died.wait(), 5)
    with pytest.raises(WriteRefused) as caught:
        await write
    assert caught.value.reason == "unavailable"
    assert len(caught.value.refusals) == 10
    assert len(box.entries) == 8
    box.die_after = None
    async with session, unruly.serving(box, address):
        await session.wait_ready(20)
        assert len(box.entries) == 3
        assert session.drift["orphaned"] == 5


async def test_a_write_without_an_answer_ends_in_a_new_comparison(box: Any, small: Pipeline) -> None:
    """What a deadline does: the caller is refused, the target may hold it all the same, and is compared."""
    desired: dict[Any, Entry] = {}
    target = Target(box.address, 3, "box", quirks=PROFILES["generic"])
    async with await Session.open(target, small, desired=lambda: desired, order=at_once) as session:
        states: list[State] = []
        session.watch(lambda state, reason: states.append(state))
        box.gate.clear()
        box.stalled.clear()
        write = session.writer.submit([inserts(range(1, 3))])
        await asyncio.wait_for(box.stalled.wait(), 5)
        session._uncertain(Problem(code_pb2.DEADLINE_EXCEEDED, "Deadline Exceeded"))
        with pytest.raises(WriteRefused):
            await write
        box.gate.set()
        await session.wait_ready(20)
        assert State.DISCONNECTED in states
        await session.reconciler.run()
        assert box.entries == {}


async def test_a_target_that_falls_silent_is_left(box: Any, small: Pipeline) -> None:
    """Its connection stays, and no request is on its way: only asking tells."""
    target = Target(box.address, 3, "box")
    async with await Session.open(target, small, Options(keepalive=0.05)) as session:
        box.mute = True
        await session.wait_for([State.DISCONNECTED, State.CONNECTING], 20)
        assert "deadline" in session.reason.lower()
        box.mute = False
        await session.wait_ready(20)


async def test_keepalive_is_never_taken_for_an_attack(unruly: ModuleType, small: Pipeline) -> None:
    """A server that ends a connection at the first ping too many, as gRPC's defaults end it at the third."""
    box, states = unruly.Unruly(), []
    strict = (("grpc.http2.min_ping_interval_without_data_ms", 300_000), ("grpc.http2.max_ping_strikes", 1))
    async with (
        unruly.serving(box, options=strict) as address,
        await Session.open(Target(address, 3, "box"), small, Options(keepalive=0.005)) as session,
    ):
        session.watch(lambda state, reason: states.append(state))
        await asyncio.wait_for(box.asked_often.wait(), 60)
        assert (session.state, states) == (State.READY, [])


async def test_a_thousand_refusals_come_back_one_by_one(box: Any, small: Pipeline) -> None:
    box.full_message = "this table is full, and that is explained at some length " * 3
    box.size[small.schema.table("host").id] = 5
    async with await Session.open(Target(box.address, 3, "box"), small) as session:
        with pytest.raises(WriteRefused) as caught:
            await session.writer.apply([inserts(range(1000))])
    assert caught.value.reason == "table_full"
    assert [refusal.update.entry for refusal in caught.value.refusals] == [host(n) for n in range(5, 1000)]


async def test_one_bad_update_does_not_spoil_the_others_of_a_target_that_says_nothing_of_each(
    box: Any, small: Pipeline
) -> None:
    async with await Session.open(Target(box.address, 3, "box"), small) as session:
        await session.writer.apply([inserts(range(3, 4))])
        box.details = False
        bad = small.codec.message(host(7)).match
        box.refuse = lambda update: code_pb2.INVALID_ARGUMENT if update.entity.table_entry.match == bad else 0
        futures = [session.writer.submit([inserts(range(n, n + 1))], lenient=True) for n in range(1, 10)]
        results = await asyncio.gather(*futures, return_exceptions=True)
    assert [isinstance(result, WriteRefused) for result in results] == [n == 7 for n in range(1, 10)]


async def test_padded_answers_in_another_order_are_no_difference(box: Any, small: Pipeline) -> None:
    target = Target(box.address, 3, "box")
    async with await Session.open(target, small) as session:
        await session.writer.apply([inserts(range(50))])
        box.pad = True
        reader: Reader = session.reader
        held = {"host": await reader.octets("host")}
        plan = await compare([host(n) for n in range(1, 51)], held, small.codec)
    assert (plan.insert, plan.modify, plan.delete, plan.equal) == ((host(50),), (), (host(0),), 49)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not on PATH")
async def test_mutual_tls(tmp_path: Path) -> None:
    certificates(tmp_path)
    ours = Pipeline.packaged()
    async with SoftSwitch(3).serve("127.0.0.1:0", server_credentials(tmp_path)) as address:
        whole = Tls(tmp_path / "ca.pem", tmp_path / "controller.pem", tmp_path / "controller.key", "box")
        async with await Session.open(Target(address, 3, tls=whole), ours) as session:
            assert session.state is State.READY
        for tls in (
            Tls(tmp_path / "ca.pem", server_name="box"),
            Tls(whole.ca, whole.certificate, whole.key, "other"),
            None,
        ):
            with pytest.raises(TargetError, match="127"):
                await Session.open(Target(address, 3, tls=tls), ours, timeout=1.0)


@asynccontextmanager
async def babbling(pipeline: Pipeline, read: bytes, stream: bytes) -> AsyncIterator[str]:
    """A target that runs the pipeline and makes us primary, and whose reads and further stream are these octets."""

    async def channel(requests: AsyncIterator[bytes], _context: object) -> AsyncIterator[bytes]:
        async for octets in requests:
            asked = p4runtime_pb2.StreamMessageRequest.FromString(octets)
            answer = p4runtime_pb2.StreamMessageResponse(arbitration=asked.arbitration)
            yield answer.SerializeToString()
            yield stream

    async def get(_octets: bytes, _context: object) -> bytes:
        response = p4runtime_pb2.GetForwardingPipelineConfigResponse()
        response.config.cookie.cookie = pipeline.cookie
        return response.SerializeToString()

    async def rows(_octets: bytes, _context: object) -> AsyncIterator[bytes]:
        yield read

    async def anything(_octets: bytes, _context: object) -> bytes:
        return b""

    handlers: dict[str, Any] = {
        "StreamChannel": grpc.stream_stream_rpc_method_handler(channel),
        "GetForwardingPipelineConfig": grpc.unary_unary_rpc_method_handler(get),
        "Read": grpc.unary_stream_rpc_method_handler(rows),
        "Write": grpc.unary_unary_rpc_method_handler(anything),
        "Capabilities": grpc.unary_unary_rpc_method_handler(anything),
    }
    server = grpc.aio.server()
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("p4.v1.P4Runtime", handlers)])
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await server.stop(None)


UNREADABLE = b"\xff\xff\xff"
AN_ENTRY_THAT_IS_NONE = bytes.fromhex("0a05 1203 ffffff")
"""A ReadResponse with an entity whose TableEntry cannot be read."""


@pytest.mark.parametrize("read", [UNREADABLE, AN_ENTRY_THAT_IS_NONE])
async def test_an_answer_that_is_not_readable_is_asked_for_again_and_named(small: Pipeline, read: bytes) -> None:
    async with babbling(small, read, b"") as address:
        session = Session(Target(address, 3, "box"), small, desired=dict, order=at_once)
        seen: asyncio.Queue[str] = asyncio.Queue()
        session.watch(lambda _state, reason: seen.put_nowait(reason))
        session.start()
        async with session, asyncio.timeout(20):
            while "not readable" not in await seen.get():
                pass
            assert session.state is State.PRIMARY, "it goes on trying"


async def test_a_stream_that_is_not_readable_ends_and_is_begun_anew(small: Pipeline) -> None:
    async with babbling(small, b"", UNREADABLE) as address:
        session = Session(Target(address, 3, "box"), small)
        seen: asyncio.Queue[State] = asyncio.Queue()
        session.watch(lambda state, _reason: seen.put_nowait(state))
        session.start()
        async with session, asyncio.timeout(20):
            for wanted in (State.PRIMARY, State.DISCONNECTED, State.PRIMARY):
                while await seen.get() is not wanted:
                    pass


async def test_a_job_without_updates_is_done_when_writing_is_over(small: Pipeline, box: Any) -> None:
    """Most refreshes change nothing in the switch: they must not wait for one that has gone."""
    async with Client(Target(box.address, 3, "box")) as client:
        writer = Writer(client, small.codec, lambda _problem: None)
        writer.hold(1, small.codec)
        nothing, something = writer.submit([]), writer.submit([inserts(range(1))])
        writer.close(Problem(code_pb2.UNAVAILABLE, "stream ended"))
        await asyncio.wait_for(nothing, 5)
        with pytest.raises(WriteRefused):
            await something


async def test_what_the_queue_counts_is_among_the_counters_of_the_writer(box: Any, small: Pipeline) -> None:
    async with await Session.open(Target(box.address, 3, "box"), small) as session:
        box.details = False
        bad = small.codec.message(host(2)).match
        box.refuse = lambda update: code_pb2.INVALID_ARGUMENT if update.entity.table_entry.match == bad else code_pb2.OK
        with pytest.raises(WriteRefused):
            await session.writer.apply([inserts(range(1, 5))])
        assert session.writer.counters["split"] > 0
