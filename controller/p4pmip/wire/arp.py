"""ARP for IPv4 over Ethernet (RFC 826)."""

import struct
from dataclasses import dataclass
from enum import IntEnum
from ipaddress import IPv4Address
from typing import Self

from p4pmip.wire.error import WireError
from p4pmip.wire.fault import Fault, Reason

_ETHERNET_IPV4 = (1, 0x0800, 6, 4)
_LAYOUT = struct.Struct(">HHBBH6s4s6s4s")


class ArpOperation(IntEnum):
    """ARP opcodes."""

    REQUEST = 1
    REPLY = 2


@dataclass(frozen=True, slots=True)
class Arp:
    """An ARP packet; MAC addresses are 6 octets."""

    operation: int
    sender_mac: bytes
    sender_ip: IPv4Address
    target_mac: bytes
    target_ip: IPv4Address

    @classmethod
    def decode(cls, octets: bytes) -> Self | Fault:
        """Take a packet apart; only Ethernet and IPv4 are understood."""
        if len(octets) < _LAYOUT.size:
            return Fault(len(octets), Reason.TRUNCATED)
        *kinds, operation, sender_mac, sender_ip, target_mac, target_ip = _LAYOUT.unpack_from(octets)
        if tuple(kinds) != _ETHERNET_IPV4:
            return Fault(0, Reason.BAD_VALUE)
        return cls(operation, sender_mac, IPv4Address(sender_ip), target_mac, IPv4Address(target_ip))

    def encode(self) -> bytes:
        """The packet, 28 octets.

        Raises:
            WireError: an address or the operation does not fit.
        """
        if len(self.sender_mac) != 6 or len(self.target_mac) != 6:
            raise WireError("Arp", (self.sender_mac, self.target_mac), "a MAC address is 6 octets")
        try:
            return _LAYOUT.pack(
                *_ETHERNET_IPV4,
                self.operation,
                self.sender_mac,
                self.sender_ip.packed,
                self.target_mac,
                self.target_ip.packed,
            )
        except struct.error as error:
            raise WireError("Arp", self, f"does not fit the wire ({error})") from error
