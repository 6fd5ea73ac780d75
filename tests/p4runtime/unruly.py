"""A P4Runtime target that misbehaves on request.

Real behaviour is tested on the softswitch and on BMv2. This one is for what those never do: stall, die in the middle
of a batch, refuse MODIFY, lose its tables, pad its answers, follow the specification's arbitration to the letter.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import grpc
import grpc.aio

from p4pmip.p4runtime.stubs import (
    P4RuntimeServicer,
    add_P4RuntimeServicer_to_server,
    code_pb2,
    p4runtime_pb2,
    status_pb2,
)

Row = p4runtime_pb2.TableEntry


class Unruly(P4RuntimeServicer):
    """Holds entries of tables by their key; its attributes are its vices."""

    def __init__(self) -> None:
        self.entries: dict[bytes, Row] = {}
        self.config = p4runtime_pb2.ForwardingPipelineConfig()
        self.writes: list[list[int]] = []
        """Update types of every WriteRequest that came in."""
        self.requests: list[p4runtime_pb2.WriteRequest] = []
        self.pushes = 0
        self.packet_arrived = asyncio.Event()
        self.packets_out: list[p4runtime_pb2.PacketOut] = []
        self.modify = True
        self.details = True
        """Updates are refused one by one; otherwise a request with one that is refused is, as a whole."""
        self.size: dict[int, int] = {}
        """Table sizes by id."""
        self.full_message = "table is full"
        self.full_code: int = code_pb2.RESOURCE_EXHAUSTED
        self.refuse: Callable[[p4runtime_pb2.Update], int] = lambda update: 0
        """A code with which an update is refused."""
        self.gate = asyncio.Event()
        """Writes stall while it is not set."""
        self.gate.set()
        self.stalled = asyncio.Event()
        """Set when a write has come to the gate."""
        self.die_after: int | None = None
        """Updates after which a batch is cut short and the server gone."""
        self.died = asyncio.Event()
        self.streams: dict[Any, int] = {}
        self.highest: int | None = None
        self.streams_there = asyncio.Event()
        self.pad = False
        self.asked = 0
        """Capabilities that were asked for."""
        self.asked_often = asyncio.Event()
        """Set when they were a hundred times."""
        self.mute = False
        """No answer to Capabilities."""
        self.self_promoting = False
        self._queues: dict[Any, asyncio.Queue[p4runtime_pb2.StreamMessageResponse]] = {}

    # --- arbitration ----------------------------------------------------------------------------------

    @property
    def primary(self) -> Any:
        return next((s for s, election_id in self.streams.items() if election_id == self.highest), None)

    def _announce(self) -> None:
        primary = self.primary
        for stream, queue in self._queues.items():
            if stream not in self.streams:
                continue
            response = p4runtime_pb2.StreamMessageResponse()
            update = response.arbitration
            if self.highest is not None:
                update.election_id.high, update.election_id.low = self.highest >> 64, self.highest & (1 << 64) - 1
            if primary is None:
                update.status.code = code_pb2.NOT_FOUND
            elif stream is not primary:
                update.status.code = code_pb2.ALREADY_EXISTS
            queue.put_nowait(response)

    async def StreamChannel(self, request_iterator: Any, context: Any) -> AsyncIterator[Any]:
        queue: asyncio.Queue[p4runtime_pb2.StreamMessageResponse | None] = asyncio.Queue()
        self._queues[context] = queue  # type: ignore[assignment]
        taken = False

        async def receive() -> None:
            nonlocal taken
            async for request in request_iterator:
                if request.HasField("packet"):
                    self.packets_out.append(request.packet)
                    self.packet_arrived.set()
                    continue
                election_id = request.arbitration.election_id.high << 64 | request.arbitration.election_id.low
                if election_id in [other for s, other in self.streams.items() if s is not context]:
                    taken = True
                    break
                self.streams[context] = election_id
                self.highest = max(self.highest or 0, election_id)
                self._announce()
                self.streams_there.set()
            queue.put_nowait(None)

        receiver = asyncio.create_task(receive())
        try:
            while (response := await queue.get()) is not None:
                yield response
            if taken:
                await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "Election id already exists")
        finally:
            receiver.cancel()
            self._queues.pop(context, None)
            was_primary = context is self.primary
            self.streams.pop(context, None)
            if was_primary:
                if self.self_promoting and self.streams:
                    self.highest = max(self.streams.values())
                self._announce()

    def punt(self, packet: p4runtime_pb2.PacketIn) -> None:
        self._queues[self.primary].put_nowait(p4runtime_pb2.StreamMessageResponse(packet=packet))

    # --- writes and reads -----------------------------------------------------------------------------

    async def Write(self, request: Any, context: Any) -> Any:
        self.stalled.set()
        await self.gate.wait()
        election_id = request.election_id.high << 64 | request.election_id.low
        if self.primary is None or election_id != self.highest:
            await context.abort(grpc.StatusCode.PERMISSION_DENIED, "Not primary")
        if not self.details and any(self.refuse(update) for update in request.updates):
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "something is wrong")
        self.writes.append([update.type for update in request.updates])
        self.requests.append(request)
        codes = []
        for index, update in enumerate(request.updates):
            if self.die_after is not None and index >= self.die_after:
                self.died.set()
                await asyncio.Event().wait()
            codes.append(self._update(update))
        if not any(codes):
            return p4runtime_pb2.WriteResponse()
        status = status_pb2.Status(code=code_pb2.UNKNOWN, message="1 or more updates failed")
        for code in codes:
            message = self.full_message if code == self.full_code else f"code {code}"
            status.details.add().Pack(p4runtime_pb2.Error(canonical_code=code, message=message if code else ""))
        context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
        await context.abort(grpc.StatusCode.UNKNOWN, "1 or more updates failed")
        raise AssertionError("abort raises")

    def _update(self, update: p4runtime_pb2.Update) -> int:
        if code := self.refuse(update):
            return code
        row = update.entity.table_entry
        key = key_of(row)
        if update.type == p4runtime_pb2.Update.MODIFY and not self.modify:
            return code_pb2.UNIMPLEMENTED
        if update.type == p4runtime_pb2.Update.INSERT:
            if key in self.entries:
                return code_pb2.ALREADY_EXISTS
            held = sum(1 for other in self.entries.values() if other.table_id == row.table_id)
            if row.table_id in self.size and held >= self.size[row.table_id]:
                return self.full_code
            self.entries[key] = row
        elif key not in self.entries:
            return code_pb2.NOT_FOUND
        elif update.type == p4runtime_pb2.Update.MODIFY:
            self.entries[key] = row
        else:
            del self.entries[key]
        return 0

    async def Read(self, request: Any, context: Any) -> AsyncIterator[Any]:
        response = p4runtime_pb2.ReadResponse()
        for entity in request.entities:
            for row in self.entries.values():
                if entity.table_entry.table_id in (0, row.table_id):
                    response.entities.add().table_entry.CopyFrom(padded(row) if self.pad else row)
        yield response

    async def Capabilities(self, request: Any, context: Any) -> Any:
        self.asked += 1
        if self.asked == 100:
            self.asked_often.set()
        if self.mute:
            await asyncio.Event().wait()
        return p4runtime_pb2.CapabilitiesResponse(p4runtime_api_version="1.4.0")

    async def SetForwardingPipelineConfig(self, request: Any, context: Any) -> Any:
        if request.action in (request.VERIFY_AND_COMMIT, request.COMMIT):
            self.entries.clear()
        if request.action != request.VERIFY:
            self.config.CopyFrom(request.config)
            self.pushes += 1
        return p4runtime_pb2.SetForwardingPipelineConfigResponse()

    async def GetForwardingPipelineConfig(self, request: Any, context: Any) -> Any:
        if not self.config.HasField("p4info"):
            await context.abort(grpc.StatusCode.FAILED_PRECONDITION, "No forwarding pipeline config set")
        return p4runtime_pb2.GetForwardingPipelineConfigResponse(config=self.config)


def key_of(row: Row) -> bytes:
    """The key of an entry, as octets."""
    return Row(table_id=row.table_id, match=row.match, priority=row.priority).SerializeToString(deterministic=True)


def padded(row: Row) -> Row:
    """The same entry with every value as wide as it can be, and the match fields in another order."""
    answer = Row()
    answer.CopyFrom(row)
    for match in answer.match:
        match.exact.value = match.exact.value.rjust(20, b"\0")
    for param in answer.action.action.params:
        param.value = param.value.rjust(20, b"\0")
    matches = list(answer.match)[::-1]
    del answer.match[:]
    answer.match.extend(matches)
    return answer


@asynccontextmanager
async def serving(
    target: Unruly, address: str = "127.0.0.1:0", grace: float | None = None, options: tuple[tuple[str, int], ...] = ()
) -> AsyncIterator[str]:
    """Serve on loopback; the address."""
    usual = (("grpc.so_reuseport", 0), ("grpc.max_receive_message_length", -1))
    server = grpc.aio.server(options=[*usual, *options])
    add_P4RuntimeServicer_to_server(target, server)
    port = server.add_insecure_port(address)
    await server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await server.stop(grace)
