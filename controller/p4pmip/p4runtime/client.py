"""The gRPC channel to one target: unary calls and reads with deadlines, limits that real tables need, TLS."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import grpc
import grpc.aio
from google.protobuf.message import DecodeError, Message

from p4pmip.errors import P4pmipError
from p4pmip.p4runtime.messages import answered, asked
from p4pmip.p4runtime.status import Problem, RpcProblem, TargetError
from p4pmip.p4runtime.stubs import SERVICE, code_pb2, p4runtime_pb2
from p4pmip.p4runtime.target import Target, Tls

_MEBI = 1 << 20
_OPTIONS: tuple[tuple[str, int], ...] = (
    # A wildcard read of a table comes as one message from BMv2, and 1,000 per-update errors as one metadata value.
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    ("grpc.max_metadata_size", 4 * _MEBI),
    ("grpc.absolute_max_metadata_size", 8 * _MEBI),
    # No HTTP/2 keepalive: a server counts each ping of a quiet connection within five minutes of the one before as a
    # strike, and ends the connection at the third. The session asks by an RPC instead.
    # The session decides when to try again; the channel must not be asleep then.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1_000),
)

SHORT = 10.0
"""Seconds for a request whose answer is small."""


def deadline(octets: int) -> float:
    """Seconds for a request or an answer of that many octets: a slow target takes 1 MB/s."""
    return SHORT + octets / 1_000_000


PIPELINE_DEADLINE = 120.0
"""Seconds for SetForwardingPipelineConfig: hardware targets compile."""
READ_DEADLINE = 120.0
"""Seconds for one read of a table."""


def _raw(data: bytes) -> bytes:
    return data


class Client:
    """One channel to one target. Every method raises TargetError when the call fails.

    Also an asynchronous context manager that closes the channel.
    """

    def __init__(self, target: Target) -> None:
        self.target = target
        self._channel = _channel(target)
        unary = self._channel.unary_unary
        self._write: Any = unary(SERVICE + "Write", request_serializer=_raw, response_deserializer=_raw)
        self._read: Any = self._channel.unary_stream(
            SERVICE + "Read", request_serializer=p4runtime_pb2.ReadRequest.SerializeToString, response_deserializer=_raw
        )

    async def __aenter__(self) -> "Client":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """End the channel and every call on it."""
        await self._channel.close()

    async def listening(self, seconds: float) -> None:
        """Wait until somebody listens there, so long at most; who asks after that is told what is amiss."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._channel.channel_ready()

    def stream(self) -> Any:
        """A new StreamChannel call (grpc.aio.StreamStreamCall)."""
        method: Any = self._channel.stream_stream(
            SERVICE + "StreamChannel",
            request_serializer=p4runtime_pb2.StreamMessageRequest.SerializeToString,
            response_deserializer=p4runtime_pb2.StreamMessageResponse.FromString,
        )
        return method(wait_for_ready=False)

    async def write(
        self, request: bytes, seconds: float | None = None, begun: Callable[[], None] = lambda: None
    ) -> RpcProblem | None:
        """Send WriteRequest octets; None if every update took effect, otherwise why not. Never raises TargetError.

        `begun` is called when gRPC has the request.
        """
        asked(self.target.label, "Write", request)
        try:
            call = self._write(request, timeout=seconds or deadline(len(request)))
            await asyncio.sleep(0)  # gRPC has a task of its own for each call
            begun()
            await call
            problem = None
        except grpc.aio.AioRpcError as error:
            problem = RpcProblem.of(error)
        answered(self.target.label, "Write", problem)
        return problem

    async def read(self, request: p4runtime_pb2.ReadRequest, seconds: float = READ_DEADLINE) -> AsyncIterator[bytes]:
        """The ReadResponses as octets."""
        request.device_id = self.target.device_id
        asked(self.target.label, "Read", request)
        try:
            async for response in self._read(request, timeout=seconds):
                yield response
        except grpc.aio.AioRpcError as error:
            raise self._error("Read", error) from None

    async def set_pipeline(self, request: p4runtime_pb2.SetForwardingPipelineConfigRequest) -> None:
        """SetForwardingPipelineConfig."""
        request.device_id = self.target.device_id
        await self._call("SetForwardingPipelineConfig", request, lambda _: None, PIPELINE_DEADLINE)

    async def get_pipeline(
        self, response_type: p4runtime_pb2.GetForwardingPipelineConfigRequest.ResponseType.ValueType
    ) -> p4runtime_pb2.ForwardingPipelineConfig:
        """GetForwardingPipelineConfig; an empty config if the target has none."""
        request = p4runtime_pb2.GetForwardingPipelineConfigRequest(
            device_id=self.target.device_id, response_type=response_type
        )
        decode = p4runtime_pb2.GetForwardingPipelineConfigResponse.FromString
        try:
            response: p4runtime_pb2.GetForwardingPipelineConfigResponse = await self._call(
                "GetForwardingPipelineConfig", request, decode, SHORT
            )
        except TargetError as error:
            # BMv2, Stratum: "No forwarding pipeline config set"
            if error.cause.code == code_pb2.FAILED_PRECONDITION:
                return p4runtime_pb2.ForwardingPipelineConfig()
            raise
        return response.config

    async def capabilities(self, seconds: float = SHORT) -> str:
        """The P4Runtime version that the target announces."""
        decode = p4runtime_pb2.CapabilitiesResponse.FromString
        request = p4runtime_pb2.CapabilitiesRequest()
        response: p4runtime_pb2.CapabilitiesResponse = await self._call("Capabilities", request, decode, seconds)
        return response.p4runtime_api_version

    async def _call(self, method: str, request: Message, decode: Callable[[bytes], Any], seconds: float) -> Any:
        asked(self.target.label, method, request)
        call: Any = self._channel.unary_unary(
            SERVICE + method, request_serializer=type(request).SerializeToString, response_deserializer=_raw
        )
        try:
            return decode(await call(request, timeout=seconds))
        except grpc.aio.AioRpcError as error:
            raise self._error(method, error) from None
        except DecodeError:
            raise TargetError(self.target.label, method, Problem(code_pb2.INTERNAL, "answer is not readable")) from None

    def _error(self, method: str, error: grpc.aio.AioRpcError) -> TargetError:
        return TargetError(self.target.label, method, RpcProblem.of(error).whole)


def _channel(target: Target) -> grpc.aio.Channel:
    if target.tls is None:
        return grpc.aio.insecure_channel(target.address, options=_OPTIONS)
    tls = target.tls
    options: list[tuple[str, Any]] = list(_OPTIONS)
    if tls.server_name:
        options.append(("grpc.ssl_target_name_override", tls.server_name))
    return grpc.aio.secure_channel(target.address, _credentials(target, tls), options=options)


def _credentials(target: Target, tls: Tls) -> grpc.ChannelCredentials:
    def read(name: str) -> bytes | None:
        path = getattr(tls, name)
        try:
            return path.read_bytes() if path is not None else None
        except OSError as error:
            raise P4pmipError(f"{target.label} tls.{name}", str(path), error.strerror or "cannot be read") from None

    return grpc.ssl_channel_credentials(read("ca"), read("key"), read("certificate"))
