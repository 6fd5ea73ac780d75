"""The gRPC process's end of the channel: the endpoint, as if it were here."""

import asyncio
import itertools
import json
import socket
import sys
from collections.abc import Callable
from dataclasses import asdict

from p4pmip.errors import P4pmipError
from p4pmip.softswitch.process.channel import Kind, Message, Unpacker, pack
from p4pmip.softswitch.process.forwarder import Options
from p4pmip.softswitch.target.endpoint import Reply
from p4pmip.softswitch.target.refusal import Code

STOP_WITHIN = 2.0
"""Seconds the forwarding process gets to end by itself."""

CHUNK = 1 << 20


class ForwarderLost(P4pmipError):
    """The forwarding process ended, or could not start."""


class RemoteLink:
    """A `Link` to an endpoint in the forwarding process, which it starts and ends."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._numbers = itertools.count(1)
        self._calls: dict[int, asyncio.Future[Reply]] = {}
        self._streams: dict[int, tuple[Callable[[bytes], None], Callable[[int, str], None]]] = {}
        self.on_packet: Callable[[int, bytes], None] = lambda _port, _frame: None
        self.on_notice: Callable[[str], None] = lambda _text: None
        self.lost = asyncio.Event()
        self._ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def start(self) -> None:
        """Start the forwarding process and wait until it has its ports.

        Raises:
            ForwarderLost: it could not start; says why.
        """
        pairs = [socket.socketpair() for _ in range(2)]
        there = [end for _, end in pairs]
        arguments = [sys.executable, "-m", "p4pmip.softswitch.process.forwarder"]
        self._process = await asyncio.create_subprocess_exec(
            *arguments,
            *[str(end.fileno()) for end in there],
            json.dumps(asdict(self._options)),
            pass_fds=[end.fileno() for end in there],
            stdin=asyncio.subprocess.DEVNULL,
            # A Ctrl-C is for this process; the other one ends with the channel.
            start_new_session=True,
        )
        for end in there:
            end.close()
        (reader, self._writer), (packets, self._packets) = [
            await asyncio.open_connection(sock=here) for here, _ in pairs
        ]
        self._listeners = [asyncio.create_task(self._listen(one)) for one in (reader, packets)]
        await self._ready

    async def stop(self) -> None:
        """End the forwarding process."""
        for listener in self._listeners:
            listener.cancel()
        self._packets.close()
        self._writer.close()
        try:
            await asyncio.wait_for(self._process.wait(), STOP_WITHIN)
        except TimeoutError:
            self._process.kill()
            await self._process.wait()

    async def _listen(self, reader: asyncio.StreamReader) -> None:
        unpacker = Unpacker()
        try:
            while data := await reader.read(CHUNK):
                for message in unpacker.feed(data):
                    self._handle(message)
        except ConnectionError:
            pass
        self._end("the forwarding process has ended")

    def _handle(self, message: Message) -> None:
        match message:
            case (Kind.REPLY, number, responses, code, text, details):
                waiting = self._calls.pop(number, None)
                if waiting is not None and not waiting.done():
                    waiting.set_result(Reply(responses, code, text, details))
            case (Kind.MESSAGE, stream, data) if stream in self._streams:
                self._streams[stream][0](data)
            case (Kind.ENDED, stream, code, text):
                known = self._streams.pop(stream, None)
                if known is not None:
                    known[1](code, text)
            case (Kind.PACKET, port, frame):
                self.on_packet(port, frame)
            case (Kind.NOTICE, text):
                self.on_notice(text)
            case (Kind.READY,):
                self._ready.set_result(None)
            case (Kind.FAILED, text):
                self._ready.set_exception(ForwarderLost("switch", text, "cannot start"))

    def _end(self, text: str) -> None:
        if not self._ready.done():
            self._ready.set_exception(ForwarderLost("switch", text, "cannot start"))
        for waiting in self._calls.values():
            if not waiting.done():
                waiting.set_result(Reply((), Code.UNKNOWN, text))
        self._calls.clear()
        self.lost.set()

    # -- Link --

    async def call(self, method: str, request: bytes) -> Reply:
        """One unary or server-streaming RPC."""
        if self.lost.is_set():
            return Reply((), Code.UNKNOWN, "the forwarding process has ended")
        number = next(self._numbers)
        waiting: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._calls[number] = waiting
        self._writer.write(pack((Kind.CALL, number, method, request)))
        await self._writer.drain()
        return await waiting

    def stream_opened(self, stream: int, message: Callable[[bytes], None], end: Callable[[int, str], None]) -> None:
        """A StreamChannel begins."""
        self._streams[stream] = (message, end)
        self._writer.write(pack((Kind.OPENED, stream)))

    def stream_message(self, stream: int, data: bytes) -> None:
        """A message from its controller."""
        self._writer.write(pack((Kind.MESSAGE, stream, data)))

    def stream_closed(self, stream: int) -> None:
        """It ended."""
        if self._streams.pop(stream, None) is not None:
            self._writer.write(pack((Kind.CLOSED, stream)))

    async def packet(self, port: int, frame: bytes) -> None:
        """A frame for a port that is served over gRPC; returns when the forwarding process keeps up."""
        self._packets.write(pack((Kind.PACKET, port, frame)))
        await self._packets.drain()
