"""BMv2's packets over gRPC (p4.bm.DataplaneInterface): ports without interfaces and without root."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from p4pmip.softswitch.service import OPTIONS, Context, listen

SERVICE = "p4.bm.DataplaneInterface"
PACKAGE = "p4.bm"
_FIELD = descriptor_pb2.FieldDescriptorProto


def _message(name: str, fields: tuple[tuple[str, int], ...]) -> descriptor_pb2.DescriptorProto:
    described = descriptor_pb2.DescriptorProto(name=name)
    for number, (field, kind) in enumerate(fields, start=1):
        described.field.add(name=field, number=number, type=kind, label=_FIELD.LABEL_OPTIONAL)
    return described


def _messages() -> dict[str, Any]:
    packet = (
        ("id", _FIELD.TYPE_UINT64),
        ("device_id", _FIELD.TYPE_UINT64),
        ("port", _FIELD.TYPE_UINT32),
        ("packet", _FIELD.TYPE_BYTES),
    )
    status = (
        ("device_id", _FIELD.TYPE_UINT64),
        ("port", _FIELD.TYPE_UINT32),
        ("oper_status", _FIELD.TYPE_INT32),
    )
    file = descriptor_pb2.FileDescriptorProto(name="dataplane_interface.proto", package=PACKAGE, syntax="proto3")
    file.message_type.append(_message("PacketStreamRequest", packet))
    file.message_type.append(_message("PacketStreamResponse", packet))
    # The enumeration PortOperStatus is an int32 on the wire.
    file.message_type.append(_message("SetPortOperStatusRequest", status))
    file.message_type.append(_message("SetPortOperStatusResponse", ()))
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    names = [one.name for one in file.message_type]
    return {name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{PACKAGE}.{name}")) for name in names}


MESSAGES = _messages()
OPER_STATUS_DOWN = 1
QUEUE_LIMIT = 2000
"""Frames that wait for one listener; those beyond it are dropped, as a full queue of an interface drops them."""


class DataplaneInterface:
    """Packets in by `packet(port, frame)`; packets out with `leave`."""

    def __init__(self, device_id: int, packet: Callable[[int, bytes], Awaitable[None]]) -> None:
        self._device_id = device_id
        self._packet = packet
        self._listeners: set[asyncio.Queue[Any]] = set()
        self._down: set[int] = set()
        self._id = 0

    def leave(self, port: int, frame: bytes) -> None:
        """A frame leaves on a port."""
        if port in self._down:
            return
        response = MESSAGES["PacketStreamResponse"](device_id=self._device_id, port=port, packet=frame, id=self._id)
        for queue in self._listeners:
            if queue.qsize() < QUEUE_LIMIT:
                queue.put_nowait(response)

    async def _stream(self, requests: AsyncIterator[Any], _: Context) -> AsyncIterator[Any]:
        queue: asyncio.Queue[Any] = asyncio.Queue()
        self._listeners.add(queue)

        async def listen() -> None:
            async for request in requests:
                if request.device_id == self._device_id and request.port not in self._down:
                    await self._packet(request.port, request.packet)
            queue.put_nowait(None)

        listener = asyncio.create_task(listen())
        try:
            while (response := await queue.get()) is not None:
                yield response
        finally:
            listener.cancel()
            self._listeners.discard(queue)

    async def _status(self, request: Any, _: Context) -> Any:
        if request.oper_status == OPER_STATUS_DOWN:
            self._down.add(request.port)
        else:
            self._down.discard(request.port)
        return MESSAGES["SetPortOperStatusResponse"]()

    def handlers(self) -> grpc.GenericRpcHandler:
        """What to add to a server."""

        def serialize(message: Any) -> bytes:
            data: bytes = message.SerializeToString()
            return data

        stream = grpc.stream_stream_rpc_method_handler(
            self._stream, MESSAGES["PacketStreamRequest"].FromString, serialize
        )
        status = grpc.unary_unary_rpc_method_handler(
            self._status, MESSAGES["SetPortOperStatusRequest"].FromString, serialize
        )
        return grpc.method_handlers_generic_handler(SERVICE, {"PacketStream": stream, "SetPortOperStatus": status})


async def start_dataplane(interface: DataplaneInterface, address: str) -> "tuple[grpc.aio.Server, str]":
    """Listen; the server and its address.

    Raises:
        OSError: the address cannot be listened on.
    """
    server = grpc.aio.server(options=OPTIONS)
    server.add_generic_rpc_handlers((interface.handlers(),))
    bound = listen(server, address)
    await server.start()
    return server, bound
