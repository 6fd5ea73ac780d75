"""GRE (RFC 2784) with key and sequence number (RFC 2890), and the TLV header over UDP (RFC 5845 §7.2)."""

import struct
from dataclasses import dataclass
from enum import IntFlag
from typing import Self

from p4pmip.wire.checksum import internet_checksum
from p4pmip.wire.error import WireError
from p4pmip.wire.fault import Fault, Reason


class GreFlag(IntFlag):
    """The first 16 bits of a GRE header that say what follows; the rest are reserved, and the version."""

    C = 0x8000
    """A checksum is present."""
    K = 0x2000
    """A key is present (RFC 2890)."""
    S = 0x1000
    """A sequence number is present (RFC 2890)."""


_MUST_BE_ZERO = 0x4C00
"""Bits 1, 4 and 5: a receiver that does not implement RFC 1701 discards packets with any of them (RFC 2784 §2.3)."""
_VERSION = 0x0007


@dataclass(frozen=True, slots=True)
class Gre:
    """A GRE packet. Key 0 is a key; None is: not present."""

    protocol: int
    """An EtherType: 0x0800 or 0x86DD here."""
    payload: bytes
    key: int | None = None
    sequence: int | None = None
    checksum: bool = False
    """Whether the packet carries a checksum."""

    @classmethod
    def decode(cls, octets: bytes) -> Self | Fault:
        """Take a packet apart as a receiver must: version, reserved bits and checksum verified.

        Reserved bits 6 to 12 are ignored; what `protocol` is good for is the caller's to say.
        """
        if len(octets) < 4:
            return Fault(len(octets), Reason.TRUNCATED)
        flags, protocol = struct.unpack_from(">HH", octets)
        if flags & _VERSION:
            return Fault(0, Reason.BAD_VERSION)
        if flags & _MUST_BE_ZERO:
            return Fault(0, Reason.BAD_FLAGS)
        size = 4 + 4 * (bool(flags & GreFlag.C) + bool(flags & GreFlag.K) + bool(flags & GreFlag.S))
        if len(octets) < size:
            return Fault(len(octets), Reason.TRUNCATED)
        at, key, sequence = 4, None, None
        if flags & GreFlag.C:
            if internet_checksum(octets):
                return Fault(4, Reason.BAD_CHECKSUM)
            at += 4
        if flags & GreFlag.K:
            (key,) = struct.unpack_from(">I", octets, at)
            at += 4
        if flags & GreFlag.S:
            (sequence,) = struct.unpack_from(">I", octets, at)
        return cls(protocol, octets[size:], key, sequence, bool(flags & GreFlag.C))

    def encode(self) -> bytes:
        """The packet, its checksum computed if it is to carry one.

        Raises:
            WireError: a field does not fit.
        """
        flags = GreFlag(0)
        fields = b""
        try:
            if self.checksum:
                flags |= GreFlag.C
                fields = bytes(4)
            if self.key is not None:
                flags |= GreFlag.K
                fields += struct.pack(">I", self.key)
            if self.sequence is not None:
                flags |= GreFlag.S
                fields += struct.pack(">I", self.sequence)
            octets = struct.pack(">HH", flags, self.protocol) + fields + self.payload
        except struct.error as error:
            raise WireError("Gre", self, f"does not fit the wire ({error})") from error
        if self.checksum:
            octets = octets[:4] + struct.pack(">H", internet_checksum(octets)) + octets[6:]
        return octets


@dataclass(frozen=True, slots=True)
class TlvHeader:
    """The TLV header of UDP port 5437: what tells GRE (or another header) from a bare IP packet there."""

    next_header: int
    """An IANA protocol number: 47 GRE, 41 IPv6, 4 IPv4."""
    payload: bytes

    @classmethod
    def decode(cls, octets: bytes) -> Self | Fault:
        """Take a UDP payload apart; one whose Length is not what follows it is to be discarded (RFC 5845 §7.2)."""
        if len(octets) < 4:
            return Fault(len(octets), Reason.TRUNCATED)
        first, next_header, length = struct.unpack_from(">BBH", octets)
        if first >> 4:
            return Fault(0, Reason.BAD_VERSION)
        if length != len(octets) - 4:
            return Fault(2, Reason.BAD_LENGTH)
        return cls(next_header, octets[4:])

    def encode(self) -> bytes:
        """The UDP payload.

        Raises:
            WireError: a field does not fit.
        """
        try:
            return struct.pack(">BBH", 0, self.next_header, len(self.payload)) + self.payload
        except struct.error as error:
            raise WireError("TlvHeader", self, f"does not fit the wire ({error})") from error
