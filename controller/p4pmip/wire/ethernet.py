"""Ethernet II frames, with at most one 802.1Q tag taken apart."""

import struct
from dataclasses import dataclass
from enum import IntEnum
from ipaddress import IPv4Address, IPv6Address
from typing import Self

from p4pmip.wire.error import WireError
from p4pmip.wire.fault import Fault, Reason

BROADCAST = b"\xff" * 6


class EtherType(IntEnum):
    """What an Ethernet payload is."""

    IPV4 = 0x0800
    ARP = 0x0806
    VLAN = 0x8100
    IPV6 = 0x86DD


@dataclass(frozen=True, slots=True)
class Ethernet:
    """A frame without preamble and frame check sequence; MAC addresses are 6 octets."""

    destination: bytes
    source: bytes
    ether_type: int
    payload: bytes
    vlan: int | None = None
    """VLAN id of an 802.1Q tag, 0-4095; None: untagged. Priority bits are not kept."""

    @classmethod
    def decode(cls, octets: bytes) -> Self | Fault:
        """Take a frame apart."""
        if len(octets) < 14:
            return Fault(len(octets), Reason.TRUNCATED)
        (ether_type,) = struct.unpack_from(">H", octets, 12)
        if ether_type != EtherType.VLAN:
            return cls(octets[:6], octets[6:12], ether_type, octets[14:])
        if len(octets) < 18:
            return Fault(len(octets), Reason.TRUNCATED)
        tag, ether_type = struct.unpack_from(">HH", octets, 14)
        return cls(octets[:6], octets[6:12], ether_type, octets[18:], tag & 0xFFF)

    def encode(self) -> bytes:
        """The frame, not padded to the minimum of 60 octets.

        Raises:
            WireError: an address is not 6 octets, or a number does not fit.
        """
        if len(self.destination) != 6 or len(self.source) != 6:
            raise WireError("Ethernet", (self.destination, self.source), "a MAC address is 6 octets")
        try:
            tag = b"" if self.vlan is None else struct.pack(">HH", EtherType.VLAN, self.vlan & 0xFFF)
            return self.destination + self.source + tag + struct.pack(">H", self.ether_type) + self.payload
        except struct.error as error:
            raise WireError("Ethernet", self.ether_type, f"does not fit the wire ({error})") from error


def mac(text: str) -> bytes:
    """A MAC address from its usual text, `00:00:5e:00:52:13` or with hyphens.

    Raises:
        WireError: it is none.
    """
    parts = text.replace("-", ":").split(":")
    try:
        address = bytes(int(part, 16) for part in parts if len(part) == 2)
    except ValueError:
        address = b""
    if len(address) != 6 or len(parts) != 6:
        raise WireError("MAC address", text, "is not six pairs of hexadecimal digits", ["00:00:5e:00:52:13"])
    return address


def mac_text(address: bytes) -> str:
    """A MAC address (or any octets) as pairs of hexadecimal digits."""
    return address.hex(":")


def multicast_mac(group: IPv4Address | IPv6Address) -> bytes:
    """The MAC address a multicast group has on Ethernet (RFC 2464 §7, RFC 1112 §6.4)."""
    if group.version == 6:
        return b"\x33\x33" + group.packed[12:]
    low = int(group) & 0x7FFFFF
    return b"\x01\x00\x5e" + low.to_bytes(3, "big")
