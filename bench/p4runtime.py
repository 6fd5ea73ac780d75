"""How fast sessions reach a BMv2, beside requests that were encoded before and are sent by a bare loop.

Three figures: a storm of sessions from bindings to acknowledged entries, one session alone, and a comparison of
everything that finds no difference. Run alone: `python bench/p4runtime.py [sessions]`; without simple_switch_grpc on
PATH the rows say so.
"""

import asyncio
import gc
import shutil
import statistics
import sys
import tempfile
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Iterator
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Network
from pathlib import Path
from typing import Any

from p4pmip.demo.targets import STARTERS
from p4pmip.forwarding.base import base_entries
from p4pmip.forwarding.context import Context, Link, LinkRole, Neighbour, Realm
from p4pmip.forwarding.entry import Entry
from p4pmip.forwarding.ledger import Ledger
from p4pmip.forwarding.ordering import order
from p4pmip.forwarding.session import entries
from p4pmip.forwarding.update import Operation
from p4pmip.mobility.binding import Binding, Granularity, Gre, Phase, Role, Tunnel
from p4pmip.p4runtime import wirecode
from p4pmip.p4runtime.client import Client
from p4pmip.p4runtime.deployment import commit
from p4pmip.p4runtime.pipeline import Pipeline
from p4pmip.p4runtime.session import Options, Session
from p4pmip.p4runtime.target import Target

SESSIONS = 100_000
STORM_BOUND = 0.25
LONE_BOUND = 2.0
COLLECT_AFTER = 100_000
"""Objects between two runs of the garbage collector."""
_BATCH = 1_000
_LONE = 200
_WINDOW = 100
"""Sessions that are begun between two looks at what has come back."""
_LMA, _MAGS = IPv6Address("2001:db8:ffff::1"), 100


def context() -> Context:
    """An LMA with one operator and a hundred MAGs."""
    mac = bytes.fromhex("020000000001")
    return Context(
        links=(Link(1, 1, LinkRole.SERVICE, mac, realm="a"), Link(2, 2, LinkRole.TRANSPORT, mac)),
        end_points=(_LMA,),
        realms={"a": Realm(1, (IPv4Network("10.0.0.0/8"), IPv6Network("2001:db8::/33")))},
        neighbours=(Neighbour(2, IPv6Address("2001:db8:ffff::2"), bytes.fromhex("020000000002")),),
    )


def binding(number: int) -> Binding:
    """A dual-stack session with a pair of GRE keys."""
    return Binding(
        Role.LMA, b"mn%06d@a.example" % number, "a", number, Phase.ACTIVE,
        (IPv6Network((0x20010DB8 << 96 | number << 64, 64)),),
        IPv4Interface((0x0A000000 + number, 8)), IPv4Address("10.255.255.254"),
        Tunnel(_LMA, IPv6Address(int(_LMA) + 0x1000 + number % _MAGS)), Gre.KEYED, Granularity.SESSION,
        number, number + 0x1000000,
    )  # fmt: skip


def measure(sessions: int = SESSIONS) -> list[dict[str, Any]]:
    """The figures of this room, one row each."""
    if shutil.which("simple_switch_grpc") is None:
        why = "simple_switch_grpc is not on PATH"
        names = ("sessions to acknowledged entries", "one session alone", "comparison without a difference")
        return [_row(name, None, "", skipped=why) for name in names]
    return asyncio.run(_measure(sessions))


async def _measure(sessions: int) -> list[dict[str, Any]]:
    # As a node does: what it keeps lives for hours and is not to be walked again and again.
    gc.collect()
    gc.freeze()
    gc.set_threshold(COLLECT_AFTER)
    with tempfile.TemporaryDirectory() as folder:
        async with STARTERS["bmv2"]("box", 1, Path(folder)) as running:
            return await _rows(running.target, sessions)


async def _rows(target: Target, sessions: int) -> list[dict[str, Any]]:
    pipeline = Pipeline.packaged()
    bindings = [binding(number) for number in range(1, sessions + 1)]
    surroundings = context()
    everything = list({entry.key: entry for one in bindings for entry in entries(one, surroundings)}.values())
    async with await Session.open(target, pipeline, Options(election_id=1)) as session:
        bare_alone = await _alone(_bare_writes(session, everything[-_LONE:]))
        await commit_again(session)
        bare = await _bare_loop(session, everything)
        await commit_again(session)
    ledger = Ledger()
    ledger.acquire(base_entries(surroundings))
    async with await Session.open(
        target, pipeline, Options(election_id=2), desired=ledger.desired, timeout=60
    ) as session:
        lone, levels = [], 0
        for one in bindings[:_LONE]:
            began = time.perf_counter()
            phases = order(ledger.acquire(entries(one, surroundings)))
            await session.writer.apply(phases)
            lone.append(time.perf_counter() - began)
            levels = max(levels, len(phases))
        alone = statistics.median(lone)
        written = session.writer.counters["updates"]
        began = time.perf_counter()
        await _storm(session, ledger, surroundings, bindings[_LONE:])
        took = time.perf_counter() - began
        rate = (session.writer.counters["updates"] - written) / took
        requests = session.writer.counters["requests"]
        result = await session.reconciler.run()
        assert result.plan.size == 0
        assert result.plan.equal == len(ledger)
    ratio, bare_lone = rate / bare, bare_alone * levels
    return [
        _row(
            f"{sessions:,} sessions from bindings to acknowledged entries ({requests} requests)", rate, "entries/s",
            "bare loop of pre-encoded requests of 1,000", bare, ratio, STORM_BOUND, ratio >= STORM_BOUND,
        ),
        _row(
            f"one session alone ({levels} levels)", alone * 1000, "ms", f"{levels} bare Writes of one entry",
            bare_lone * 1000, alone / bare_lone, LONE_BOUND, alone <= LONE_BOUND * bare_lone,
        ),
        _row(f"comparison of {result.plan.equal:,} entries without a difference", result.seconds, "s"),
    ]  # fmt: skip


async def commit_again(session: Session) -> None:
    """Empty the target: it is only measured here."""
    async with Client(session.target) as client:
        await commit(client, session.pipeline, session.election_id)


def _requests(session: Session, wanted: Iterable[Entry], size: int) -> list[bytes]:
    updates = [session.pipeline.codec.update(Operation.INSERT, entry) for entry in wanted]
    device, number = session.target.device_id, session.election_id
    return [
        wirecode.write_request(device, number, "", updates[start : start + size])
        for start in range(0, len(updates), size)
    ]


async def _bare_loop(session: Session, wanted: list[Entry]) -> float:
    requests = _requests(session, wanted, _BATCH)
    async with Client(session.target) as client:
        began = time.perf_counter()
        for request in requests:
            assert await client.write(request) is None
        return len(wanted) / (time.perf_counter() - began)


def _bare_writes(session: Session, wanted: list[Entry]) -> Iterator[Callable[[], Awaitable[Any]]]:
    client = Client(session.target)
    for request in _requests(session, wanted, 1):
        yield lambda request=request: client.write(request)  # type: ignore[misc]


async def _alone(calls: Iterator[Callable[[], Awaitable[Any]]]) -> float:
    """Median seconds of one call after the other."""
    took = []
    for call in calls:
        began = time.perf_counter()
        assert await call() is None
        took.append(time.perf_counter() - began)
    return statistics.median(took)


async def _storm(session: Session, ledger: Ledger, surroundings: Context, bindings: list[Binding]) -> None:
    """Every session at once, as far as memory is not to be filled with those that wait."""
    waiting: deque[asyncio.Future[list[None]]] = deque()
    for start in range(0, len(bindings), _WINDOW):
        begun = []
        for one in bindings[start : start + _WINDOW]:
            delta = ledger.acquire(entries(one, surroundings))
            begun.append(session.writer.submit(order(delta), relies_on=delta.relied_on))
        waiting.append(asyncio.gather(*begun))
        # PBUs come one after the other: between them the event loop turns.
        await asyncio.sleep(0)
        if len(waiting) > 40:
            await waiting.popleft()
    while waiting:
        await waiting.popleft()


def _row(
    name: str,
    value: float | None,
    unit: str,
    peer: str | None = None,
    peer_value: float | None = None,
    ratio: float | None = None,
    bound: float | None = None,
    ok: bool = True,
    skipped: str | None = None,
) -> dict[str, Any]:
    return {
        "name": f"P4Runtime: {name}",
        "value": value,
        "unit": unit,
        "peer": peer,
        "peer_value": peer_value,
        "ratio": ratio,
        "bound": bound,
        "ok": ok,
        "skipped": skipped,
    }


if __name__ == "__main__":
    for row in measure(int(sys.argv[1]) if len(sys.argv) > 1 else SESSIONS):
        print(row)
