"""The story of Figure 1, told by packets and tables: attach, talk, stay apart, move, leave.

Nothing is claimed because it was intended: each check looks at what hosts received, what switches hold and what the
capture shows.
"""

import asyncio
import itertools
from collections.abc import Callable, Sequence
from ipaddress import IPv4Address
from pathlib import Path

from p4pmip.demo import figure1
from p4pmip.demo.figure1 import SUBSCRIBERS, Subscriber
from p4pmip.demo.host import Datagram, Host
from p4pmip.demo.lab import SECONDS, Lab
from p4pmip.demo.recorder import keys_of
from p4pmip.demo.report import Handover, Narrator, Result, SessionRow, key_text, session_row
from p4pmip.forwarding.entry import Entry, Lpm, Ternary
from p4pmip.mobility.binding import Phase
from p4pmip.mobility.session import Session
from p4pmip.node.node import Node

TRAFFIC_INTERVAL = 0.002
"""Seconds between two datagrams of the stream that a handover interrupts."""
TRAFFIC_AROUND = 100
"""Datagrams that arrive before the move, and again after it."""


def tag(subscriber: Subscriber | None, operator: str, words: str) -> bytes:
    """What a datagram says of where it belongs."""
    return f"{operator}|{subscriber.name if subscriber else 'server'}|{words}".encode()


class Story:
    """One telling of it."""

    def __init__(self, lab: Lab, narrator: Narrator, capture: Path) -> None:
        self._lab = lab
        self._tell = narrator
        self._capture = capture
        self.result = Result(capture=str(capture))

    async def run(self) -> Result:
        """All of it; a part that cannot go on ends the story with a failed check."""
        parts: Sequence[tuple[str, Callable[[], object]]] = (
            ("attach", self._attach),
            ("tables", self._tables),
            ("traffic", self._traffic),
            ("isolation", self._isolation),
            ("handover", self._handover),
            ("deregistration", self._deregister),
        )
        for name, part in parts:
            try:
                outcome = part()
                if asyncio.iscoroutine(outcome):
                    await outcome
            except TimeoutError as error:
                self._check(name, False, str(error) or f"not within {SECONDS:g} s")
                break
        self._apart()
        self._look_at_capture()
        return self.result

    def _check(self, name: str, ok: bool, detail: str) -> None:
        self._tell.check(self.result, name, ok, detail)

    def _session(self, node: str, subscriber: Subscriber) -> Session:
        session = self._lab.session(node, subscriber)
        if session is None:
            raise TimeoutError(f"{node} has no session of {subscriber.name}")
        return session

    # --- attach ---------------------------------------------------------------------------------------

    async def _attach(self) -> None:
        self._tell.title("Four mobile nodes attach at mag-1: each asks for an address by DHCP")
        for subscriber in SUBSCRIBERS:
            self._lab.plug(subscriber, "mag-1")
            address = await self._lab.mobile_nodes[subscriber.name].dhcp(SECONDS)
            self._tell.say(f"  {subscriber.name} of {subscriber.operator} has {address}")
            row = session_row(subscriber, "mag-1", self._session(figure1.LMA, subscriber))
            self.result.sessions.append(row)
        one, other = figure1.overlapping()
        rows = {row.mn: row for row in self.result.sessions}
        addresses = [self._lab.mobile_nodes[name.name].address for name in (one, other)]
        self._check(
            "same-address",
            addresses[0] == addresses[1] and _keys(rows[one.name]).isdisjoint(_keys(rows[other.name])),
            f"{one.name} and {other.name} both hold {addresses[0]}; "
            f"uplink keys {key_text(rows[one.name].uplink_key)} and {key_text(rows[other.name].uplink_key)}",
        )
        agreed = [
            subscriber.name
            for subscriber in SUBSCRIBERS
            if _pair(self._session(figure1.LMA, subscriber)) == _pair(self._session("mag-1", subscriber))
        ]
        self._check("keys-agree", len(agreed) == len(SUBSCRIBERS), f"MAG and LMA hold equal keys for {_list(agreed)}")

    # --- tables ---------------------------------------------------------------------------------------

    async def _tables(self) -> None:
        self._tell.title("What the switches hold of it, as read back through P4Runtime")
        unlike = []
        for name in (figure1.LMA, "mag-1"):
            node = self._lab.nodes[name]
            held = await _held(node)
            for entry in held:
                if entry.table in ("gre_rx", "session", "sess_dst_v4", "mn_src_v4"):
                    self._tell.say(f"  {name:>5} {_entry_text(entry)}")
            plan = await node.switch.session.reconciler.plan()
            if plan.size:
                unlike.append(f"{name}: {plan.size} entries")
        self._check("tables-as-derived", not unlike, _list(unlike) or "every entry is the one its binding asks for")

    # --- traffic --------------------------------------------------------------------------------------

    async def _traffic(self) -> None:
        self._tell.title("Traffic both ways through the tunnels")
        pings = []
        for subscriber in SUBSCRIBERS:
            host, server = self._ends(subscriber)
            assert host.address is not None
            up = await host.ping(figure1.SERVER_ADDRESS, SECONDS, tag(subscriber, subscriber.operator, "ping"))
            down = await server.ping(host.address, SECONDS, tag(None, subscriber.operator, "ping"))
            pings.append((f"{subscriber.name} up", up))
            pings.append((f"{subscriber.name} down", down))
        self._check("ping", all(ok for _, ok in pings), _outcome(pings))
        datagrams = []
        for subscriber in SUBSCRIBERS:
            host, server = self._ends(subscriber)
            assert host.address is not None
            uplink, downlink = (tag(who, subscriber.operator, f"udp {subscriber.name}") for who in (subscriber, None))
            await host.send_udp(figure1.SERVER_ADDRESS, uplink)
            datagrams.append((f"{subscriber.name} up", await server.wait_for(_carries(uplink), SECONDS)))
            await server.send_udp(host.address, downlink)
            datagrams.append((f"{subscriber.name} down", await host.wait_for(_carries(downlink), SECONDS)))
        self._check("udp", all(ok for _, ok in datagrams), _outcome(datagrams))
        one, two = SUBSCRIBERS[:2]
        host, other = self._lab.mobile_nodes[one.name], self._lab.mobile_nodes[two.name]
        assert other.address is not None
        hairpin = await host.ping(other.address, SECONDS, tag(one, one.operator, "hairpin"))
        self._check("hairpin", hairpin, f"{one.name} reaches {two.name} of its own operator by way of the LMA")

    def _ends(self, subscriber: Subscriber) -> tuple[Host, Host]:
        return self._lab.mobile_nodes[subscriber.name], self._lab.servers[subscriber.operator]

    # --- isolation ------------------------------------------------------------------------------------

    async def _isolation(self) -> None:
        self._tell.title("One operator's nodes knock at addresses of the other's")
        stranger = SUBSCRIBERS[3]
        host = self._lab.mobile_nodes[SUBSCRIBERS[0].name]
        before = await _drops(self._lab.nodes[figure1.LMA])
        # The echo request is answered by nobody; the drop counter says when it has died.
        await host.send_udp(stranger.address, tag(SUBSCRIBERS[0], SUBSCRIBERS[0].operator, "knock"))
        probe = tag(SUBSCRIBERS[0], SUBSCRIBERS[0].operator, "after the knock")
        await host.send_udp(figure1.SERVER_ADDRESS, probe)
        passed = await self._lab.servers[SUBSCRIBERS[0].operator].wait_for(_carries(probe), SECONDS)
        after = await _drops(self._lab.nodes[figure1.LMA])
        risen = [f"{reason} {after[reason] - before[reason]}" for reason in after if after[reason] > before[reason]]
        self._check(
            "foreign-address-dropped",
            passed and risen == ["NO_BINDING 1"],
            f"{SUBSCRIBERS[0].name} to {stranger.address}, which only the other operator has: dropped, {_list(risen)}",
        )

    def _apart(self) -> None:
        """At the end, over everything that any host received."""
        hosts = [(one.operator, self._lab.mobile_nodes[one.name]) for one in SUBSCRIBERS]
        hosts += list(self._lab.servers.items())
        strangers = [
            f"{host.name} received {datagram.data!r}"
            for operator, host in hosts
            for datagram in host.received
            if not datagram.data.startswith(f"{operator}|".encode())
        ]
        total = sum(len(host.received) for _, host in hosts)
        self._check(
            "isolation",
            not strangers and total > 0,
            _list(strangers[:3]) or f"none of {total} packets received was of the other operator",
        )

    # --- handover -------------------------------------------------------------------------------------

    async def _handover(self) -> None:
        mover = SUBSCRIBERS[0]
        self._tell.title(f"{mover.name} moves from mag-1 to mag-2 under traffic")
        host, server = self._ends(mover)
        before = self._session(figure1.LMA, mover)
        stream = Stream(server, host, mover)
        sending = asyncio.create_task(stream.send())
        try:
            await stream.arrived(TRAFFIC_AROUND)
            self._lab.unplug(mover, "mag-1")
            self._lab.plug(mover, "mag-2")
            host.neighbours.clear()
            await host.dhcp(SECONDS)
            await stream.arrived(TRAFFIC_AROUND)
        finally:
            sending.cancel()
        await stream.finish()
        after = self._session(figure1.LMA, mover)
        lost = stream.lost()
        self.result.handover = Handover(
            mover.name,
            before.uplink_key,
            after.uplink_key,
            before.downlink_key,
            after.downlink_key,
            len(lost),
            stream.sent,
        )
        self._check(
            "handover-uplink-key-kept",
            before.uplink_key == after.uplink_key == self._session("mag-2", mover).uplink_key,
            f"{key_text(before.uplink_key)} before and {key_text(after.uplink_key)} after",
        )
        self._check(
            "handover-downlink-key-new",
            after.downlink_key != before.downlink_key
            and after.downlink_key == self._session("mag-2", mover).downlink_key,
            f"{key_text(before.downlink_key)} of mag-1, {key_text(after.downlink_key)} of mag-2",
        )
        gap = bool(lost) and lost != list(range(lost[0], lost[-1] + 1))
        self._check(
            "handover-traffic",
            not gap and host.address == mover.address,
            f"{len(lost)} of {stream.sent} datagrams lost, in one gap, one sent every {TRAFFIC_INTERVAL * 1000:g} ms; "
            f"still {host.address}",
        )

    # --- de-registration ------------------------------------------------------------------------------

    async def _deregister(self) -> None:
        leaver = SUBSCRIBERS[1]
        self._tell.title(
            f"{leaver.name} leaves; the LMA's hold time is {figure1.HOLD * 1000:g} ms here instead of 10 s"
        )
        lab = self._lab
        sessions = {name: self._session(name, leaver) for name in (figure1.LMA, "mag-1")}
        others = {_held_by(name, lab, one) for name in sessions for one in SUBSCRIBERS if one is not leaver}
        lab.unplug(leaver, "mag-1")
        await lab.until(lambda: lab.session("mag-1", leaver) is None, f"mag-1 forgets {leaver.name}")
        await lab.until(
            lambda: (held := lab.session(figure1.LMA, leaver)) is None or held.phase is Phase.HELD,
            f"the LMA ends {leaver.name}",
        )
        await lab.until(lambda: all(lab.nodes[name].installer.idle for name in sessions), "the switches let go")
        left = []
        for name, session in sessions.items():
            keys = set(_pair(session)) - {key for keys in others for key in keys}
            left += [f"{name} {_entry_text(one)}" for one in await _held(lab.nodes[name]) if _names(one, session, keys)]
        await lab.until(lambda: lab.session(figure1.LMA, leaver) is None, "the hold ends")
        for name in figure1.NODES:
            plan = await lab.nodes[name].switch.session.reconciler.plan()
            if plan.size:
                left.append(f"{name} differs from its bindings in {plan.size} entries")
        self._check("deregistration-clean", not left, _list(left) or f"no switch holds anything of {leaver.name}")

    # --- capture --------------------------------------------------------------------------------------

    def _look_at_capture(self) -> None:
        self._tell.title("The capture")
        count = self._lab.recorder.write(self._capture)
        keys = keys_of(self._capture)
        self._check("capture-decodes", not keys.faults, _list(keys.faults[:3]) or f"{count} packets, none malformed")
        uplink: set[int] = set()
        downlink: set[int] = set()
        for (source, _), used in keys.used.items():
            (downlink if source == figure1.TUNNEL[figure1.LMA] else uplink).update(used)
        first = {(row.uplink_key, row.downlink_key) for row in self.result.sessions}
        self._check(
            "capture-keys-negotiated",
            uplink == keys.negotiated_uplink
            and downlink == keys.negotiated_downlink
            and first <= set(itertools.product(uplink, downlink)),
            f"{len(uplink)} uplink and {len(downlink)} downlink keys in GRE headers, "
            f"each of them and no other in a PBA or PBU",
        )
        self._tell.say(f"  written to {self._capture}")


class Stream:
    """Numbered datagrams from a server to a mobile node."""

    def __init__(self, server: Host, host: Host, subscriber: Subscriber) -> None:
        self.sent = 0
        self._server = server
        self._host = host
        self._subscriber = subscriber
        self._numbers: set[int] = set()
        self._prefix = tag(None, subscriber.operator, "stream ")
        self._came = asyncio.Event()
        host.on_datagram = self._count

    async def send(self) -> None:
        """Until cancelled."""
        while True:
            await self._server.send_udp(self._subscriber.address, self._prefix + str(self.sent).encode())
            self.sent += 1
            await asyncio.sleep(TRAFFIC_INTERVAL)

    def _count(self, datagram: Datagram) -> None:
        if datagram.data.startswith(self._prefix):
            self._numbers.add(int(datagram.data.removeprefix(self._prefix)))
            self._came.set()

    async def arrived(self, more: int) -> None:
        """Wait for so many more than have come; TimeoutError if they do not."""
        wanted = len(self._numbers) + more
        async with asyncio.timeout(SECONDS):
            while len(self._numbers) < wanted:
                self._came.clear()
                await self._came.wait()

    async def finish(self) -> None:
        """Wait for the last one that was sent; TimeoutError if it does not come."""
        async with asyncio.timeout(SECONDS):
            while self.sent - 1 not in self._numbers:
                self._came.clear()
                await self._came.wait()

    def lost(self) -> list[int]:
        """The numbers that never came."""
        return [number for number in range(self.sent) if number not in self._numbers]


def _carries(data: bytes) -> Callable[[Datagram], bool]:
    return lambda datagram: datagram.data == data


def _pair(session: Session) -> tuple[int | None, int | None]:
    return session.uplink_key, session.downlink_key


def _keys(row: SessionRow) -> set[int | None]:
    return {row.uplink_key, row.downlink_key}


def _held_by(node: str, lab: Lab, subscriber: Subscriber) -> tuple[int | None, int | None]:
    session = lab.session(node, subscriber)
    return (None, None) if session is None else _pair(session)


async def _held(node: Node) -> list[Entry]:
    """Every entry of a node's switch that may be written, as read back."""
    session = node.switch.session
    return [
        row.entry
        for table, info in session.pipeline.schema.tables.items()
        if not info.const
        async for row in session.reader.rows(table)
        if not row.const
    ]


async def _drops(node: Node) -> dict[str, int]:
    return await node.switch.session.reader.drops()


def _names(entry: Entry, session: Session, keys: set[int | None]) -> bool:
    """Whether an entry is about a session: by its id, its mobile node's link-layer address, or one of its keys."""
    values = dict(entry.match) | dict(entry.params)
    if values.get("session_id") == session.session_id or values.get("gre_key", None) in keys - {None}:
        return True
    mac = int.from_bytes(session.link_layer, "big")
    return mac in (values.get("mac"), values.get("dst")) and entry.table != "my_station"


def _entry_text(entry: Entry) -> str:
    match = ", ".join(f"{name} {_value(name, value)}" for name, value in entry.match)
    params = ", ".join(f"{name} {_value(name, value)}" for name, value in entry.params)
    return f"{entry.table}({match}) -> {entry.action}({params})"


def _value(name: str, value: object) -> str:
    match value:
        case Lpm(number, length):
            return f"{_value(name, number)}/{length}"
        case Ternary(number, mask):
            return f"{number:#x}&&&{mask:#x}"
        case int() if name == "gre_key":
            return key_text(value)
        case int() if name == "address" and value < 1 << 32:
            return str(IPv4Address(value))
        case int() if name in ("mac", "dst", "src"):
            return value.to_bytes(6, "big").hex(":") if value < 1 << 48 else f"{value:#x}"
    return str(value)


def _list(items: Sequence[str]) -> str:
    return ", ".join(items)


def _outcome(items: Sequence[tuple[str, bool]]) -> str:
    failed = [name for name, ok in items if not ok]
    return f"no answer: {_list(failed)}" if failed else f"{len(items)} of {len(items)} answered"
