"""BMv2's packet service: frames into and out of a switch's ports over gRPC, without root.

`simple_switch_grpc --dp-grpc-server-addr` serves `p4.bm.DataplaneInterface`. Its two messages are described here
rather than generated, since there is no Python package of them.
"""

import asyncio
import logging
from typing import Any

import grpc
import grpc.aio
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from p4pmip.demo.fabric import Sink

_LOGGER = logging.getLogger(__name__)
_FIELDS = (("id", "TYPE_UINT64"), ("device_id", "TYPE_UINT64"), ("port", "TYPE_UINT32"), ("packet", "TYPE_BYTES"))
_METHOD = "/p4.bm.DataplaneInterface/PacketStream"


def _message(name: str) -> Any:
    file = descriptor_pb2.FileDescriptorProto(
        name=f"p4pmip/{name}.proto", package=f"p4pmip.{name.lower()}", syntax="proto3"
    )
    message = file.message_type.add(name=name)
    for number, (field, kind) in enumerate(_FIELDS, 1):
        message.field.add(
            name=field,
            number=number,
            type=descriptor_pb2.FieldDescriptorProto.Type.Value(kind),
            label=descriptor_pb2.FieldDescriptorProto.LABEL_OPTIONAL,
        )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{file.package}.{name}"))


_Request = _message("PacketStreamRequest")
_Response = _message("PacketStreamResponse")


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
            _LOGGER.error("packet service of device %s: %s", self._device_id, error)

    async def _write(self, stream: Any) -> None:
        while True:
            await stream.write(await self._outgoing.get())

    async def _read(self, stream: Any) -> None:
        async for response in stream:
            sink = self._sinks.get(response.port)
            if sink is not None:
                sink(response.packet)
