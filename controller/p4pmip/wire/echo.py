"""Echo and Echo Reply: the same in ICMP and in ICMPv6, behind type, code and checksum (RFC 792, RFC 4443 §4)."""

import struct
from dataclasses import dataclass
from typing import Self

_HEAD = struct.Struct(">HH")


@dataclass(frozen=True, slots=True)
class _Echo:
    identifier: int
    """16 bits."""
    sequence: int
    """16 bits."""
    data: bytes = b""

    @classmethod
    def decode(cls, body: bytes) -> Self:
        """From what follows the checksum: 4 octets at least."""
        identifier, sequence = _HEAD.unpack_from(body)
        return cls(identifier, sequence, body[_HEAD.size :])

    def encode(self) -> bytes:
        """What follows the checksum; struct.error if a number does not fit."""
        return _HEAD.pack(self.identifier, self.sequence) + self.data


@dataclass(frozen=True, slots=True)
class EchoReply(_Echo):
    """Echo Reply."""


@dataclass(frozen=True, slots=True)
class EchoRequest(_Echo):
    """Echo Request."""

    @property
    def reply(self) -> EchoReply:
        """Its answer."""
        return EchoReply(self.identifier, self.sequence, self.data)
