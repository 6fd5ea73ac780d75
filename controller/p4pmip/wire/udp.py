"""UDP (RFC 768, RFC 8200 §8.1)."""

import struct
from dataclasses import dataclass
from typing import Self

from p4pmip.wire.checksum import IPAddress, transport_checksum
from p4pmip.wire.error import WireError
from p4pmip.wire.fault import Fault, Reason

_PROTOCOL = 17


@dataclass(frozen=True, slots=True)
class Udp:
    """A UDP datagram."""

    source_port: int
    destination_port: int
    payload: bytes

    @classmethod
    def decode(
        cls, octets: bytes, source: IPAddress | None = None, destination: IPAddress | None = None
    ) -> Self | Fault:
        """Take a datagram apart; with both IP addresses the checksum is verified (0 is: none, over IPv4 only)."""
        if len(octets) < 8:
            return Fault(len(octets), Reason.TRUNCATED)
        source_port, destination_port, length, checksum = struct.unpack_from(">HHHH", octets)
        if length < 8:
            return Fault(4, Reason.BAD_LENGTH)
        if length > len(octets):
            return Fault(4, Reason.TRUNCATED)
        if source is not None and destination is not None:
            if checksum:
                good = not transport_checksum(octets[:length], source, destination, _PROTOCOL)
            else:
                good = source.version == 4
            if not good:
                return Fault(6, Reason.BAD_CHECKSUM)
        return cls(source_port, destination_port, octets[8:length])

    def encode(self, source: IPAddress, destination: IPAddress) -> bytes:
        """The datagram, its checksum computed with the addresses it will travel between.

        Raises:
            WireError: a port does not fit, or the payload is too long.
        """
        length = 8 + len(self.payload)
        try:
            octets = bytearray(struct.pack(">HHHH", self.source_port, self.destination_port, length, 0) + self.payload)
        except struct.error as error:
            raise WireError("Udp", self, f"does not fit the wire ({error})") from error
        checksum = transport_checksum(octets, source, destination, _PROTOCOL)
        struct.pack_into(">H", octets, 6, checksum or 0xFFFF)
        return bytes(octets)
