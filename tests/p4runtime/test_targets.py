"""Sessions, reconciliation and deployment on real targets: the softswitch and BMv2."""

import asyncio
import dataclasses
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from pathlib import Path

import pytest

from p4pmip.demo.targets import STARTERS, Running
from p4pmip.forwarding.base import base_entries
from p4pmip.forwarding.context import Context, Link, LinkRole, Neighbour, Realm
from p4pmip.forwarding.entry import Entry, Lpm
from p4pmip.forwarding.ledger import Ledger
from p4pmip.forwarding.ordering import order
from p4pmip.forwarding.session import entries
from p4pmip.forwarding.update import Operation, Update
from p4pmip.mobility.binding import Binding, Granularity, Gre, Phase, Role, Tunnel
from p4pmip.p4runtime.arbitration import State
from p4pmip.p4runtime.deployment import deploy
from p4pmip.p4runtime.pipeline import Pipeline
from p4pmip.p4runtime.quirks import PROFILES
from p4pmip.p4runtime.session import Options, Session
from p4pmip.p4runtime.writer import WriteRefused
from p4pmip.wire.ip import internet_checksum

Start = Callable[[], AbstractAsyncContextManager[Running]]

SERVICE, TRANSPORT = 1, 2
MAC = bytes.fromhex("020000000001")
CONTEXT = Context(
    links=(
        Link(1, SERVICE, LinkRole.SERVICE, MAC, realm="a"),
        Link(2, TRANSPORT, LinkRole.TRANSPORT, MAC, addresses=(IPv4Address("192.0.2.1"),)),
    ),
    end_points=(IPv4Address("192.0.2.1"),),
    realms={"a": Realm(1, (IPv4Network("10.1.0.0/16"),))},
    neighbours=(Neighbour(2, IPv4Address("192.0.2.9"), bytes.fromhex("020000000009")),),
)


def binding(number: int) -> Binding:
    """A session of mobile node `number` at an LMA."""
    return Binding(
        Role.LMA, b"mn%d@a.example" % number, "a", number, Phase.ACTIVE, (),
        IPv4Interface(f"10.1.{number >> 8}.{number & 255}/16"), IPv4Address("10.1.255.254"),
        Tunnel(IPv4Address("192.0.2.1"), IPv4Address("192.0.2.9")), Gre.KEYED, Granularity.SESSION,
        1000 + number, 2000 + number,
    )  # fmt: skip


def moved(number: int) -> Binding:
    """The same at another MAG, with another downlink key."""
    tunnel = Tunnel(IPv4Address("192.0.2.1"), IPv4Address("192.0.2.10"))
    return dataclasses.replace(binding(number), tunnel=tunnel, downlink_key=3000 + number)


def packet_to(number: int) -> bytes:
    """A frame from the service network to the mobile node."""
    payload = b"how are you?"
    header = bytearray(bytes.fromhex("4500000000000000401100000a01fffe"))
    header[2:4] = (20 + len(payload)).to_bytes(2, "big")
    header[8:10] = b"\x40\xfd"
    header += IPv4Address(f"10.1.{number >> 8}.{number & 255}").packed
    header[10:12] = internet_checksum(bytes(header)).to_bytes(2, "big")
    return MAC + bytes.fromhex("020000000002") + b"\x08\x00" + bytes(header) + payload


@pytest.fixture(scope="module")
def ours() -> Pipeline:
    """The packaged pipeline."""
    return Pipeline.packaged()


@pytest.fixture(params=["softswitch", pytest.param("bmv2", marks=pytest.mark.bmv2)])
def start(request: pytest.FixtureRequest, tmp_path: Path) -> Start:
    """Starts the target, always at the same place."""
    return lambda: STARTERS[request.param]("box", 3, tmp_path)


@pytest.fixture
async def box(start: Start) -> AsyncIterator[Running]:
    """A running target."""
    async with start() as running:
        yield running


@pytest.fixture
def ledger() -> Ledger:
    """What an LMA with 200 sessions wants."""
    ledger = Ledger()
    ledger.acquire(base_entries(CONTEXT))
    for number in range(1, 201):
        ledger.acquire(entries(binding(number), CONTEXT))
    return ledger


async def held(session: Session) -> set[Entry]:
    """Every entry that could be written, as the target says."""
    return {entry for table in session.reconciler.tables async for entry in session.read_table(table)}


def test_bindings_fit_the_p4info(ours: Pipeline, ledger: Ledger) -> None:
    for entry in ledger.desired().values():
        assert ours.codec.decode(ours.codec.message(entry)) == entry


async def test_a_session_from_nothing(box: Running, ours: Pipeline, ledger: Ledger) -> None:
    async with await Session.open(box.target, ours, desired=ledger.desired) as session:
        assert await held(session) == set(ledger.desired().values())
        assert (await session.reconciler.plan()).size == 0
        with pytest.raises(WriteRefused) as caught:
            await session.writer.apply([[Update(Operation.INSERT, entries(binding(7), CONTEXT)[-1])]])
        assert caught.value.reason == "already_exists"
        with pytest.raises(WriteRefused) as caught:
            await session.writer.apply([[Update(Operation.DELETE, entries(binding(999), CONTEXT)[-1])]])
        assert caught.value.reason == "not_found"


class Ping:
    """Sends packets to one mobile node without a pause, and counts what leaves for its MAG."""

    def __init__(self, running: Running, number: int) -> None:
        self.sent = self.came = 0
        self._ports = running.ports
        self._frame = packet_to(number)
        self._out: asyncio.Queue[bytes] = asyncio.Queue()
        running.ports.attach(TRANSPORT, self._out.put_nowait)

    async def send(self, count: int = 1) -> None:
        """Send one by one; each must come before the next."""
        for _ in range(count):
            self.sent += 1
            self._ports.receive(SERVICE, self._frame)
            frame = await asyncio.wait_for(self._out.get(), 10)
            assert frame[23] == 47  # GRE over IPv4
            self.came += 1
            await asyncio.sleep(0)

    async def during(self, work: asyncio.Task[None]) -> None:
        """Until something is done."""
        while not work.done():
            await self.send()
        await work


async def test_what_was_changed_behind_our_back_is_repaired_and_nothing_else(
    box: Running, ours: Pipeline, ledger: Ledger
) -> None:
    async with await Session.open(box.target, ours, Options(election_id=10), desired=ledger.desired):
        pass
    one, two, three = (entries(binding(number), CONTEXT)[-1] for number in (20, 21, 999))
    changed = Entry(one.table, one.match, one.action, (("session_id", 77),))
    async with await Session.open(box.target, ours, Options(election_id=11)) as other:
        updates = [Update(Operation.MODIFY, changed), Update(Operation.DELETE, two), Update(Operation.INSERT, three)]
        await other.writer.apply([updates])
    box.start()
    ping = Ping(box, 5)
    await ping.send(3)

    async def repair() -> None:
        async with await Session.open(box.target, ours, Options(election_id=12), desired=ledger.desired) as session:
            assert session.reconciler.last is not None
            plan = session.reconciler.last.plan
            assert (plan.insert, plan.modify, plan.delete) == ((two,), ((changed, one),), (three,))
            assert plan.equal == len(ledger) - 2
            lines = [line.split()[:2] for line in plan.lines(str)]
            assert lines == [["+", two.table], ["~", one.table], ["-", three.table]]
            assert await held(session) == set(ledger.desired().values())
            assert session.drift == {"runs": 1, "missing": 1, "changed": 1, "orphaned": 1, "refused": 0}

    await ping.during(asyncio.create_task(repair()))
    assert ping.came == ping.sent > 3


async def test_a_restarted_target_is_refilled(start: Start, ours: Pipeline, ledger: Ledger) -> None:
    async with start() as running:
        session = await Session.open(running.target, ours, desired=ledger.desired)
    async with session:
        await session.wait_for([State.DISCONNECTED, State.CONNECTING], 10)
        began = time.monotonic()
        async with start():
            await session.wait_ready(20)
            assert await held(session) == set(ledger.desired().values())
        assert session.drift["missing"] == 2 * len(ledger)
        assert session.reconciler.last is not None
        assert 0 < session.reconciler.last.seconds < time.monotonic() - began


async def test_bindings_come_and_go_during_a_comparison(box: Running, ours: Pipeline, ledger: Ledger) -> None:
    async with await Session.open(box.target, ours, desired=ledger.desired) as session:

        async def change(number: int) -> None:
            new = entries(binding(number), CONTEXT)
            await session.writer.apply(order(ledger.acquire(new)))
            await session.writer.apply(order(ledger.release(new)))
            await session.writer.apply(order(ledger.acquire(new)))

        runs = [asyncio.create_task(session.reconciler.run()) for _ in range(2)]
        await asyncio.gather(*(change(number) for number in range(300, 340)))
        assert [(await run).plan.size for run in runs] == [0, 0]
        assert await held(session) == set(ledger.desired().values())


async def test_a_change_takes_effect_whole_or_not_at_all(box: Running, ours: Pipeline, ledger: Ledger) -> None:
    """A handover is one request, where the target can take one back; refused, it leaves what was there."""
    async with await Session.open(box.target, ours, desired=ledger.desired) as session:
        requests = session.writer.counters["requests"]
        # BMv2 cannot, and is not asked a second time.
        counts = (1, 1) if box.target.quirks is PROFILES["softswitch"] else (4, 3)
        for number, count in zip((5, 6), counts, strict=True):
            delta = ledger.change(entries(binding(number), CONTEXT), entries(moved(number), CONTEXT))
            assert delta.insert
            assert delta.modify
            assert delta.delete
            await session.writer.apply(order(delta), relies_on=delta.relied_on)
            assert session.writer.counters["requests"] - requests == count
            requests += count
        assert await held(session) == set(ledger.desired().values())

        new, there = entries(binding(999), CONTEXT)[-1], entries(binding(8), CONTEXT)[-1]
        changed = Entry(there.table, there.match, there.action, (("session_id", 77),))
        phases = [[Update(Operation.INSERT, one) for one in (new, there)], [Update(Operation.MODIFY, changed)]]
        with pytest.raises(WriteRefused) as caught:
            await session.writer.apply(phases)
        assert [(refusal.update.entry, caught.value.reason) for refusal in caught.value.refusals] == [
            (there, "already_exists")
        ]
        # What did take effect is the caller's to undo, as on any target.
        assert await held(session) == {*ledger.desired().values(), new}


async def test_deployment(box: Running, ours: Pipeline) -> None:
    (dry,) = await deploy([box.target], ours, dry_run=True)
    assert (dry.result, "would be deployed" in dry.reason) == ("unchanged", True)
    (done,) = await deploy([box.target], ours)
    assert (done.name, done.result) == ("box", "deployed")
    (again,) = await deploy([box.target], ours)
    assert again.result == "unchanged"
    edited = Pipeline(ours.p4info, ours.config + b"\n")
    async with await Session.open(box.target, ours, Options(election_id=1000)) as primary:
        (refused,) = await deploy([box.target], edited)
        assert refused.result == "failed"
        assert "another controller (election id 1000) is primary" in refused.reason
        (forced,) = await deploy([box.target], edited, force=True)
        assert forced.result == "deployed"
        await primary.wait_ready(20)
    (back,) = await deploy([box.target], ours, dry_run=True)
    assert back.result == "unchanged"


async def test_full_table(box: Running, ours: Pipeline) -> None:
    size = ours.schema.table("route_v4").size
    routes = [Entry("route_v4", (("vrf", 9), ("dst", Lpm(n << 8, 24))), "local") for n in range(size + 5)]
    async with await Session.open(box.target, ours) as session:
        with pytest.raises(WriteRefused) as caught:
            await session.writer.apply([[Update(Operation.INSERT, route) for route in routes]])
        assert caught.value.reason == "table_full"
        assert len(caught.value.refusals) == 5


async def test_a_second_controller_takes_over_and_gives_back(box: Running, ours: Pipeline, ledger: Ledger) -> None:
    """Its entries go with it: the first one writes again only when it is primary, and then only the difference."""
    async with await Session.open(box.target, ours, Options(election_id=20), desired=ledger.desired) as first:
        theirs = entries(binding(999), CONTEXT)[-1]
        async with await Session.open(box.target, ours, Options(election_id=21)) as second:
            await first.wait_for([State.BACKUP], 20)
            await second.writer.apply([[Update(Operation.INSERT, theirs)]])
            with pytest.raises(WriteRefused) as caught:
                await first.writer.apply([[Update(Operation.DELETE, theirs)]])
            assert caught.value.reason == "unavailable"
            assert theirs in await held(second)
        await first.wait_ready(20)
        assert first.reconciler.last is not None
        assert first.reconciler.last.plan.delete == (theirs,)
        assert await held(first) == set(ledger.desired().values())


async def test_a_thousand_refusals_and_a_hundred_thousand_rows(box: Running, ours: Pipeline) -> None:
    """More than gRPC carries by itself in its trailers (8 kB) and in a message (4 MiB)."""
    first = 0x0A000000
    many = [
        Entry("sess_dst_v4", (("vrf", 1), ("address", first + number)), "dl_session", (("session_id", number + 1),))
        for number in range(100_000)
    ]
    async with await Session.open(box.target, ours) as session:
        await session.writer.apply([[Update(Operation.INSERT, entry) for entry in many]])
        with pytest.raises(WriteRefused) as caught:
            await session.writer.apply([[Update(Operation.INSERT, entry) for entry in many[:1000]]])
        assert [refusal.update.entry for refusal in caught.value.refusals] == many[:1000]
        assert {entry async for entry in session.read_table("sess_dst_v4")} == set(many)
