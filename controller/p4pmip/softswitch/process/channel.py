"""What the gRPC process and the forwarding process say to each other: framed tuples over a socket pair."""

import marshal
import struct
from enum import IntEnum
from typing import Any

_LENGTH = struct.Struct("!I")


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
    """(port, frame), both ways: ports that are served over gRPC."""
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
        while len(self._buffer) - at >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(self._buffer, at)
            end = at + _LENGTH.size + length
            if end > len(self._buffer):
                break
            messages.append(marshal.loads(self._buffer[at + _LENGTH.size : end]))
            at = end
        del self._buffer[:at]
        return messages
