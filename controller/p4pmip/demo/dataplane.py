"""BMv2's packet service: frames into and out of a switch's ports over gRPC, without root."""

import asyncio
import logging
from typing import Any

import grpc
import grpc.aio

from p4pmip.demo.fabric import Sink
from p4pmip.softswitch.process.dataplane import MESSAGES, SERVICE

_LOGGER = logging.getLogger(__name__)
_METHOD = f"/{SERVICE}/PacketStream"
_Request, _Response = MESSAGES["PacketStreamRequest"], MESSAGES["PacketStreamResponse"]


class Dataplane:
    """The data side of a switch behind the packet service: a `SwitchPorts` with one stream for all ports."""

    def __init__(self, address: str, device_id: int) -> None:
        self._device_id = device_id
        self._channel = grpc.aio.insecure_channel(address)
        self._sinks: dict[int, Sink] = {}
        self._outgoing: asyncio.Queue[Any] = asyncio.Queue()
        self._tasks: list[asyncio.Task[None]] = []

    async def connect(self, seconds: float) -> None:
        """Wait for the switch to serve.

        Raises:
            TimeoutError: It does not within `seconds`.
        """
        async with asyncio.timeout(seconds):
            await self._channel.channel_ready()

    def start(self) -> None:
        """Let packets come and go; the switch refuses them before it has a pipeline."""
        stream = self._channel.stream_stream(
            _METHOD, request_serializer=_Request.SerializeToString, response_deserializer=_Response.FromString
        )()
        self._tasks = [asyncio.create_task(self._write(stream)), asyncio.create_task(self._read(stream))]
        for task in self._tasks:
            task.add_done_callback(self._ended)

    def attach(self, port: int, sink: Sink) -> None:
        """See `SwitchPorts`."""
        self._sinks[port] = sink

    def receive(self, port: int, frame: bytes) -> None:
        """See `SwitchPorts`."""
        self._outgoing.put_nowait(_Request(device_id=self._device_id, port=port, packet=frame))

    async def close(self) -> None:
        """End the stream."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._channel.close()

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            words = error.details() if isinstance(error, grpc.aio.AioRpcError) else error
            _LOGGER.error("packet service of device %s: %s", self._device_id, words)

    async def _write(self, stream: Any) -> None:
        while True:
            await stream.write(await self._outgoing.get())

    async def _read(self, stream: Any) -> None:
        async for response in stream:
            sink = self._sinks.get(response.port)
            if sink is not None:
                sink(response.packet)
