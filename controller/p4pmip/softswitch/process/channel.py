"""What the gRPC process and the forwarding process say to each other: framed tuples over a socket pair."""

import contextlib
import marshal
import select
import socket
import struct
from enum import IntEnum
from typing import Any

_LENGTH = struct.Struct("!I")

BACKLOG_LIMIT = 8 << 20
"""Octets that wait for the other process; what may be lost is not sent beyond it."""


class Kind(IntEnum):
    """What a message is; its other parts follow."""

    READY = 0
    """() from the forwarder: it has its ports."""
    FAILED = 1
    """(text) from the forwarder: it cannot start."""
    CALL = 2
    """(number, method, request)."""
    REPLY = 3
    """(number, responses, code, message, details)."""
    OPENED = 4
    """(stream)."""
    MESSAGE = 5
    """(stream, octets), both ways."""
    CLOSED = 6
    """(stream)."""
    ENDED = 7
    """(stream, code, text) from the forwarder."""
    PACKET = 8
    """(port, frame), both ways: ports that are served over gRPC. These have a socket pair of their own."""
    NOTICE = 9
    """(text) from the forwarder: for a person."""


Message = tuple[Any, ...]


def pack(message: Message) -> bytes:
    """One message with its length."""
    data = marshal.dumps((int(message[0]), *message[1:]))
    return _LENGTH.pack(len(data)) + data


class Unpacker:
    """Messages out of a stream of octets."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[Message]:
        """The messages that are complete now."""
        self._buffer += data
        messages: list[Message] = []
        at = 0
        with memoryview(self._buffer) as view:
            while len(view) - at >= _LENGTH.size:
                (length,) = _LENGTH.unpack_from(view, at)
                end = at + _LENGTH.size + length
                if end > len(view):
                    break
                messages.append(marshal.loads(view[at + _LENGTH.size : end]))
                at = end
        del self._buffer[:at]
        return messages


class Channel:
    """The forwarding process's end: it never blocks."""

    def __init__(self, end: socket.socket, poll: select.poll) -> None:
        self.socket = end
        self.fd = end.fileno()
        self.open = True
        self._poll = poll
        self._unpacker = Unpacker()
        self._backlog = bytearray()
        end.setblocking(False)
        poll.register(self.fd, select.POLLIN)

    def receive(self, event: int, octets: int) -> list[Message]:
        """The messages that are complete now; the channel is not `open` any more when the other process has gone."""
        if event & select.POLLOUT:
            self._flush()
        if not event & (select.POLLIN | select.POLLHUP | select.POLLERR):
            return []
        try:
            data = self.socket.recv(octets)
        except BlockingIOError:
            return []
        except OSError:
            data = b""
        self.open = self.open and bool(data)
        return self._unpacker.feed(data)

    def send(self, message: Message, droppable: bool = False) -> bool:
        """Say something; False if it was dropped because the other process does not keep up."""
        if droppable and len(self._backlog) > BACKLOG_LIMIT:
            return False
        waiting = bool(self._backlog)
        self._backlog += pack(message)
        if not waiting:
            self._flush()
        return True

    def _flush(self) -> None:
        try:
            with contextlib.suppress(BlockingIOError):
                while self._backlog:
                    del self._backlog[: self.socket.send(self._backlog)]
        except OSError:
            self.open = False
            return
        self._poll.modify(self.fd, select.POLLIN | (select.POLLOUT if self._backlog else 0))

    def fail(self, text: str) -> None:
        """Say why this process cannot start."""
        self.socket.setblocking(True)
        self.socket.sendall(pack((Kind.FAILED, text)))
