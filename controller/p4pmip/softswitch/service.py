"""P4Runtime over gRPC (asyncio). Messages pass as octets: the endpoint, here or in another process, decodes them."""

import asyncio
import itertools
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, Protocol

import grpc

from p4pmip.softswitch.target.endpoint import EXPLAIN_SERVICE, SERVICE, Endpoint, Reply

UNARY = ("Write", "SetForwardingPipelineConfig", "GetForwardingPipelineConfig", "Capabilities")
EXPLAIN = ("Trace", "Dropped")
QUEUE_LIMIT = 10_000
"""Messages that wait for one controller; packet-ins beyond it are dropped."""

OPTIONS = (
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    ("grpc.max_metadata_size", 16 << 20),
    ("grpc.absolute_max_metadata_size", 16 << 20),
    ("grpc.so_reuseport", 0),
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 5000),
    ("grpc.keepalive_permit_without_calls", 1),
)

Context = Any
"""grpc.aio.ServicerContext; its generics differ between versions of the type stubs."""

_CODES = {code.value[0]: code for code in grpc.StatusCode}


class Link(Protocol):
    """How the service reaches the endpoint."""

    def call(self, method: str, request: bytes) -> Awaitable[Reply]:
        """One unary or server-streaming RPC."""

    def stream_opened(self, stream: int, message: Callable[[bytes], None], end: Callable[[int, str], None]) -> None:
        """A StreamChannel begins."""

    def stream_message(self, stream: int, data: bytes) -> None:
        """A message from its controller."""

    def stream_closed(self, stream: int) -> None:
        """It ended."""


class LocalLink:
    """The endpoint in the same process and thread."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self.stream_opened = endpoint.stream_opened
        self.stream_message = endpoint.stream_message
        self.stream_closed = endpoint.stream_closed

    async def call(self, method: str, request: bytes) -> Reply:
        """One unary or server-streaming RPC."""
        return self._endpoint.call(method, request)


class Service:
    """The gRPC handlers."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._ids = itertools.count(1)

    def handlers(self) -> tuple[grpc.GenericRpcHandler, ...]:
        """What to add to a server."""
        methods: dict[str, Any] = {
            name: grpc.unary_unary_rpc_method_handler(self._unary(f"/{SERVICE}/{name}")) for name in UNARY
        }
        methods["Read"] = grpc.unary_stream_rpc_method_handler(self._read)
        methods["StreamChannel"] = grpc.stream_stream_rpc_method_handler(self._stream)
        explain: dict[str, Any] = {
            name: grpc.unary_unary_rpc_method_handler(self._unary(f"/{EXPLAIN_SERVICE}/{name}")) for name in EXPLAIN
        }
        return (
            grpc.method_handlers_generic_handler(SERVICE, methods),
            grpc.method_handlers_generic_handler(EXPLAIN_SERVICE, explain),
        )

    def _unary(self, method: str) -> Callable[[bytes, Context], Awaitable[bytes]]:
        async def handle(request: bytes, context: Context) -> bytes:
            reply = await self._link.call(method, request)
            await self._refuse(reply, context)
            return reply.responses[0]

        return handle

    async def _read(self, request: bytes, context: Context) -> AsyncIterator[bytes]:
        reply = await self._link.call(f"/{SERVICE}/Read", request)
        for response in reply.responses:
            yield response
        await self._refuse(reply, context)

    @staticmethod
    async def _refuse(reply: Reply, context: Context) -> None:
        if reply.code:
            trailing = (("grpc-status-details-bin", reply.details),) if reply.details else ()
            await context.abort(_CODES[reply.code], reply.message, trailing)

    async def _stream(self, requests: AsyncIterator[bytes], context: Context) -> AsyncIterator[bytes]:
        stream = next(self._ids)
        queue: asyncio.Queue[bytes | tuple[int, str]] = asyncio.Queue()

        def message(data: bytes) -> None:
            if queue.qsize() < QUEUE_LIMIT:
                queue.put_nowait(data)

        self._link.stream_opened(stream, message, lambda code, text: queue.put_nowait((code, text)))

        async def listen() -> None:
            try:
                async for data in requests:
                    self._link.stream_message(stream, data)
            finally:
                queue.put_nowait((0, ""))

        listener = asyncio.create_task(listen())
        try:
            while True:
                one = await queue.get()
                if isinstance(one, bytes):
                    yield one
                elif one[0] == 0:
                    return
                else:
                    await context.abort(_CODES[one[0]], one[1])
        finally:
            listener.cancel()
            self._link.stream_closed(stream)


async def start_server(
    link: Link, address: str, credentials: grpc.ServerCredentials | None = None
) -> "tuple[grpc.aio.Server, str]":
    """Listen on `host:port` (port 0: any) or `unix:path`; the server and the address it listens on.

    Raises:
        OSError: the address cannot be listened on.
    """
    server = grpc.aio.server(options=OPTIONS)
    server.add_generic_rpc_handlers(Service(link).handlers())
    bound = listen(server, address, credentials)
    starting = asyncio.ensure_future(server.start())
    try:
        await asyncio.shield(starting)
    except asyncio.CancelledError:
        # gRPC bears no cancelled start, and complains when a server is collected that was not stopped.
        await starting
        await server.stop(None)
        raise
    return server, bound


def listen(server: grpc.aio.Server, address: str, credentials: grpc.ServerCredentials | None = None) -> str:
    """Give a server its address; the answer is the address with the port that was found.

    Raises:
        OSError: it cannot be listened on.
    """
    if address.startswith("unix:") and _lives(address.removeprefix("unix:")):
        raise OSError(f"cannot listen on {address}: Address already in use")
    try:
        if credentials is None:
            port = server.add_insecure_port(address)
        else:
            port = server.add_secure_port(address, credentials)
    except RuntimeError as error:
        raise OSError(f"cannot listen on {address}: {_why(address)}") from error
    return address if address.startswith("unix:") else f"{address.rsplit(':', 1)[0]}:{port}"


def _lives(path: str) -> bool:
    """Whether somebody listens at a Unix socket: gRPC would put a new one in its place."""
    with socket.socket(socket.AF_UNIX) as one:
        try:
            one.connect(path)
        except OSError:
            return False
    return True


def _why(address: str) -> str:
    """What the system says against an address; gRPC keeps it to itself."""
    try:
        if address.startswith("unix:"):
            with socket.socket(socket.AF_UNIX) as one:
                one.bind(address.removeprefix("unix:"))
            Path(address.removeprefix("unix:")).unlink()
        else:
            host, _, port = address.rpartition(":")
            host = host.removeprefix("[").removesuffix("]")
            family = socket.getaddrinfo(host, int(port), type=socket.SOCK_STREAM)[0][0]
            with socket.create_server((host, int(port)), family=family):
                pass
    except OSError as error:
        return error.strerror or str(error)
    return "gRPC cannot bind it"
