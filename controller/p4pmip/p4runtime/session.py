"""One controller's session with one target: connected again and again, primary or not, and what hangs on that.

The decisions are `arbitration.Arbitration`'s; this is the I/O around it. On every promotion the pipeline is compared
and, where `desired` is given, the entries are reconciled before the session is ready and its writer open.
"""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any

import grpc
import grpc.aio
from google.protobuf.message import DecodeError

from p4pmip.errors import P4pmipError
from p4pmip.forwarding.base import MeterRate
from p4pmip.forwarding.entry import Entry, EntryKey
from p4pmip.p4runtime import deployment
from p4pmip.p4runtime.arbitration import (
    Arbitrate,
    Arbitration,
    Connect,
    Prepare,
    State,
    Suspend,
    time_based_election_id,
)
from p4pmip.p4runtime.client import Client
from p4pmip.p4runtime.messages import asked
from p4pmip.p4runtime.packetio import PacketCodec, PacketIn, PacketQueue
from p4pmip.p4runtime.pipeline import Pipeline
from p4pmip.p4runtime.reader import Count, Reader
from p4pmip.p4runtime.reconcile import Order, Reconciler, by_reference, ours_in
from p4pmip.p4runtime.status import Problem, RpcProblem, TargetError, matches
from p4pmip.p4runtime.stubs import code_pb2, p4runtime_pb2
from p4pmip.p4runtime.target import Target
from p4pmip.p4runtime.writer import Writer, without_entries

_LOGGER = logging.getLogger(__name__)

ANSWER_WITHIN = 2.0
"""Seconds that a busy target gets at least to answer that it is there."""


@dataclass(frozen=True, slots=True)
class Options:
    """How a session behaves; the defaults are those of a node."""

    election_id: int | None = None
    """None: from the time."""
    role: str = ""
    deploy: bool = True
    """Set the pipeline where the target runs another; otherwise that is an error, unless `accept` says it fits."""
    accept: tuple[str, ...] = ()
    """Take a running program of the same name in which these tables are as in ours, instead of setting ours."""
    importance: tuple[str, ...] = ()
    """Reasons of packets that are served before others, most important first."""
    reconcile_every: float | None = None
    """Seconds between comparisons while ready; None: only on promotion and on demand."""
    keepalive: float = 20.0
    """Seconds between two questions whether the target is still there, and for the answer to one."""


class Session:
    """A session; an asynchronous context manager that closes it.

    `writer`, `reader` and `reconciler` are for callers; `state` and `reason` say how far it has come.
    """

    def __init__(
        self,
        target: Target,
        pipeline: Pipeline,
        options: Options = Options(),
        *,
        desired: Callable[[], Mapping[EntryKey, Entry]] | None = None,
        meters: Iterable[MeterRate] = (),
        order: Order = by_reference,
        random: Random | None = None,
    ) -> None:
        self.target = target
        self.pipeline = pipeline
        """The pipeline whose names are used: ours, or the target's where that was accepted."""
        self._ours = pipeline
        self._options = options
        self._client = Client(target)
        election_id = options.election_id or time_based_election_id(time.time())
        self._machine = Arbitration(election_id, random or Random())
        self._desired = desired
        self._order = order
        self._meters = tuple(meters)
        self.writer = Writer(self._client, pipeline.codec, self._uncertain, options.role)
        self.packet_queue = PacketQueue(options.importance)
        self.drift: Counter[str] = Counter()
        """What comparisons found since the session began (`Reconciler.counters`)."""
        self._use(pipeline)
        self._timer: asyncio.TimerHandle | None = None
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._call: Any = None
        self._sending = asyncio.Lock()
        self._packet_there = asyncio.Event()
        self._changed = asyncio.Event()
        self._watchers: list[Callable[[State, str], None]] = []
        self._seen = (State.DISCONNECTED, "")

    def _use(self, pipeline: Pipeline) -> None:
        self.pipeline = pipeline
        self.reader = Reader(self._client, pipeline)
        self._packets = PacketCodec(pipeline.schema)
        tables = ours_in(pipeline.schema, self._ours.schema)
        desired = self._desired or (dict)
        self.reconciler = Reconciler(self.reader, self.writer, pipeline, desired, tables, self._order, self.drift)

    # --- life -----------------------------------------------------------------------------------------

    @classmethod
    async def open(
        cls,
        target: Target,
        pipeline: Pipeline,
        options: Options = Options(),
        *,
        timeout: float = 10.0,  # noqa: ASYNC109
        **more: Any,
    ) -> "Session":
        """A session that is ready to write. TargetError after `timeout` seconds without."""
        session = cls(target, pipeline, options, **more)
        session.start()
        try:
            await session.wait_ready(timeout)
        except BaseException:
            await session.close()
            raise
        return session

    def start(self) -> None:
        """Connect, and stay connected until `close`."""
        self._machine.start(self._now())
        self._act()

    async def close(self) -> None:
        """End the session; jobs that are not acknowledged are refused."""
        self._machine.close()
        self._act()
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._call is not None:
            self._call.cancel()
        await self._client.close()
        self._packet_there.set()

    async def __aenter__(self) -> "Session":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    @property
    def state(self) -> State:
        """How far the session has come."""
        return self._machine.state

    @property
    def reason(self) -> str:
        """Why it is not ready; empty if it is."""
        return self._machine.reason

    @property
    def election_id(self) -> int:
        """The election id in use."""
        return self._machine.election_id

    @property
    def primary_id(self) -> int | None:
        """The primary's election id as last announced; None: none is known."""
        return self._machine.primary_id

    def watch(self, callback: Callable[[State, str], None]) -> None:
        """Call with the state and its reason whenever one of them changes."""
        self._watchers.append(callback)

    async def wait_for(self, states: Iterable[State], timeout: float | None = None) -> State:  # noqa: ASYNC109
        """Wait until the session is in one of the states; TargetError after `timeout` seconds."""
        wanted = frozenset(states)
        try:
            async with asyncio.timeout(timeout):
                while self.state not in wanted:
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            problem = Problem(code_pb2.DEADLINE_EXCEEDED, self.reason or self.state.value)
            raise TargetError(self.target.label, f"wait for {sorted(s.value for s in wanted)}", problem) from None
        return self.state

    async def wait_ready(self, timeout: float | None = None) -> None:  # noqa: ASYNC109
        """Wait until the writer is open; TargetError after `timeout` seconds."""
        await self.wait_for((State.READY,), timeout)

    # --- packets, tables ------------------------------------------------------------------------------

    async def packets(self) -> AsyncIterator[PacketIn]:
        """Packets from the target, the most important first; ends when the session is closed.

        One in each turn of the event loop: however many wait, writes and all else go on between them.
        """
        while self.state is not State.CLOSED:
            if (packet := self.packet_queue.take()) is not None:
                yield packet
                await asyncio.sleep(0)
                continue
            self._packet_there.clear()
            await self._packet_there.wait()

    async def packet_out(self, payload: bytes, **fields: int) -> None:
        """Send a packet into the target: `egress_port=`, or `submit_to_ingress=1`, as the `packet_out` header has it.

        Raises:
            P4pmipError: a field does not exist or its value does not fit.
            TargetError: there is no stream, or we are not primary (targets drop such packets without a word).
        """
        packet = self._packets.encode(payload, fields)
        if self.state not in (State.PRIMARY, State.READY):
            raise TargetError(self.target.label, "PacketOut", Problem(code_pb2.UNAVAILABLE, self.reason))
        await self._send(p4runtime_pb2.StreamMessageRequest(packet=packet))

    async def read_table(self, name: str) -> AsyncIterator[Entry]:
        """Every entry of a table that may be written."""
        async for entry in self.reader.entries(name):
            yield entry

    async def counter(self, name: str, index: int | None = None) -> dict[int, Count]:
        """Cells of an indirect counter."""
        return await self.reader.counter(name, index)

    # --- what the machine asks for --------------------------------------------------------------------

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()

    def _act(self) -> None:
        for effect in self._machine.effects():
            match effect:
                case Connect():
                    self._run("stream", self._stream())
                case Arbitrate(election_id):
                    self._run("arbitrate", self._arbitrate(election_id))
                case Prepare():
                    self._run("prepare", self._prepare())
                case Suspend(reason):
                    self._stop("prepare")
                    self._stop("reconcile")
                    self.writer.close(Problem(code_pb2.UNAVAILABLE, reason))
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if (due := self._machine.next_timer()) is not None:
            self._timer = asyncio.get_running_loop().call_at(due, self._timed)
        if self._seen != (self.state, self.reason):
            self._seen = (self.state, self.reason)
            _LOGGER.info("switch %s: %s", self.target.label, f"{self.state.value} {self.reason}".rstrip())
            self._changed.set()
            for callback in self._watchers:
                callback(self.state, self.reason)

    def _timed(self) -> None:
        # call_at may be a clock tick early
        self._machine.handle_timer(max(self._now(), self._machine.next_timer() or 0))
        self._act()

    def _run(self, name: str, work: Any) -> None:
        self._stop(name)
        self._tasks[name] = task = asyncio.get_running_loop().create_task(work)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            _LOGGER.error("switch %s: session broken", self.target.label, exc_info=error)
            self._uncertain(Problem(code_pb2.INTERNAL, "session broken"))

    def _stop(self, name: str) -> None:
        task = self._tasks.pop(name, None)
        if task is not None and task is not asyncio.current_task():
            task.cancel()

    async def _stream(self) -> None:
        code, message = int(code_pb2.UNAVAILABLE), "stream ended"
        self._call = call = self._client.stream()
        try:
            await call.wait_for_connection()
            self._machine.stream_opened()
            self._run("keepalive", self._keep_alive(self._options.keepalive))
            self._act()
            async for response in call:
                self._received(response)
        except grpc.aio.AioRpcError as error:
            problem = RpcProblem.of(error).whole
            code, message = problem.code, str(problem)
        except DecodeError:
            code, message = code_pb2.INTERNAL, "what came by the stream is not readable"
        finally:
            call.cancel()
            self._stop("keepalive")
        taken = matches(self.target.quirks.election_id_taken, message)
        self._machine.stream_closed(code, message, self._now(), id_taken=taken)
        self._act()

    def _received(self, response: p4runtime_pb2.StreamMessageResponse) -> None:
        match response.WhichOneof("update"):
            case "arbitration":
                update = response.arbitration
                election_id = update.election_id.high << 64 | update.election_id.low
                known = election_id if update.HasField("election_id") else None
                self._machine.answered(update.status.code, known)
                self._act()
            case "packet":
                self.packet_queue.put(self._packets.decode(response.packet))
                self._packet_there.set()
            case "error":
                _LOGGER.warning("switch %s: stream error: %s", self.target.label, response.error.message)
            case other:
                _LOGGER.debug("switch %s: %s is not used", self.target.label, other)

    async def _arbitrate(self, election_id: int) -> None:
        message = p4runtime_pb2.StreamMessageRequest()
        update = message.arbitration
        update.device_id = self.target.device_id
        update.election_id.high = election_id >> 64
        update.election_id.low = election_id & (1 << 64) - 1
        if self._options.role:
            update.role.name = self._options.role
        try:
            await self._send(message)
        except TargetError:
            return  # the stream's own end says so too

    async def _send(self, message: p4runtime_pb2.StreamMessageRequest) -> None:
        async with self._sending:
            asked(self.target.label, "StreamChannel", message)
            try:
                await self._call.write(message)
            except (grpc.aio.AioRpcError, asyncio.InvalidStateError) as error:
                problem = Problem(code_pb2.UNAVAILABLE, str(error) or "stream ended")
                raise TargetError(self.target.label, "StreamChannel", problem) from None

    async def _prepare(self) -> None:
        try:
            running = await deployment.ensure(
                self._client, self._ours, self.election_id, self._options.role,
                deploy=self._options.deploy, accept=self._options.accept,
            )  # fmt: skip
            self._use(running)
            self.writer.hold(self.election_id, running.codec)
            await self.writer.set_meters(running.schema, self._meters)
            if self._desired is not None:
                await self.reconciler.run()
        except P4pmipError as error:
            self._machine.prepare_failed(without_entries(error), self._now())
            self._act()
            return
        self._machine.prepared()
        if self.state is State.READY:
            self.writer.open()
            if self._options.reconcile_every is not None and self._desired is not None:
                self._run("reconcile", self._reconcile_for_ever(self._options.reconcile_every))
        self._act()

    async def _reconcile_for_ever(self, seconds: float) -> None:
        while True:
            await asyncio.sleep(seconds)
            try:
                await self.reconciler.run()
            except P4pmipError as error:
                _LOGGER.warning("switch %s: not compared: %s", self.target.label, without_entries(error))

    async def _keep_alive(self, seconds: float) -> None:
        """Ask now and then; a target that gives no answer at all is gone, though its connection says nothing.

        A request and not an HTTP/2 ping: servers take more than one of these in five minutes on a quiet stream for an
        attack, and end the connection (gRPC's default, which BMv2 has).
        """
        while True:
            await asyncio.sleep(seconds)
            try:
                await self._client.capabilities(max(seconds, ANSWER_WITHIN))
            except TargetError as error:
                if error.cause.code in (code_pb2.UNAVAILABLE, code_pb2.DEADLINE_EXCEEDED):
                    return self._uncertain(error.cause)

    def _uncertain(self, problem: Problem) -> None:
        """A request was lost: end the stream, so that everything is compared anew."""
        if self._call is not None:
            self._call.cancel()
        self._machine.stream_closed(problem.code, str(problem), self._now())
        self._stop("stream")
        self._act()
