"""DHCPv4 messages (RFC 2131) and their options (RFC 2132, RFC 3396)."""

import struct
from dataclasses import dataclass
from enum import IntEnum
from ipaddress import IPv4Address
from typing import Self

from p4pmip.wire.error import WireError
from p4pmip.wire.fault import Fault, Reason

SERVER_PORT = 67
CLIENT_PORT = 68
BROADCAST_FLAG = 0x8000

_LAYOUT = struct.Struct(">BBBBIHH4s4s4s4s16s192xI")
_MAGIC_COOKIE = 0x63825363
_MINIMUM_SIZE = 300
"""What some relays and clients still expect of a BOOTP message (RFC 951)."""


class DhcpOp(IntEnum):
    """BOOTP op codes."""

    REQUEST = 1
    REPLY = 2


class DhcpMessageType(IntEnum):
    """Values of option 53."""

    DISCOVER = 1
    OFFER = 2
    REQUEST = 3
    DECLINE = 4
    ACK = 5
    NAK = 6
    RELEASE = 7
    INFORM = 8


class DhcpOption(IntEnum):
    """Option codes used here."""

    PAD = 0
    SUBNET_MASK = 1
    ROUTER = 3
    DOMAIN_NAME_SERVER = 6
    HOST_NAME = 12
    INTERFACE_MTU = 26
    REQUESTED_ADDRESS = 50
    LEASE_TIME = 51
    OVERLOAD = 52
    MESSAGE_TYPE = 53
    SERVER_IDENTIFIER = 54
    PARAMETER_REQUEST_LIST = 55
    MESSAGE = 56
    RENEWAL_TIME = 58
    REBINDING_TIME = 59
    CLIENT_IDENTIFIER = 61
    RELAY_AGENT_INFORMATION = 82
    END = 255


_UNSPECIFIED = IPv4Address(0)


@dataclass(frozen=True, slots=True)
class Dhcp:
    """A DHCP message over Ethernet; `options` in the order they stand, one of a code (longer ones are joined)."""

    op: int
    transaction_id: int
    client_mac: bytes
    """`chaddr`, 6 octets."""
    options: tuple[tuple[int, bytes], ...]
    client_address: IPv4Address = _UNSPECIFIED
    """`ciaddr`."""
    your_address: IPv4Address = _UNSPECIFIED
    """`yiaddr`."""
    server_address: IPv4Address = _UNSPECIFIED
    """`siaddr`."""
    relay_address: IPv4Address = _UNSPECIFIED
    """`giaddr`."""
    flags: int = 0
    seconds: int = 0
    hops: int = 0

    def option(self, code: int) -> bytes | None:
        """The data of an option, if it is there."""
        return next((data for present, data in self.options if present == code), None)

    @property
    def message_type(self) -> int | None:
        """Option 53."""
        data = self.option(DhcpOption.MESSAGE_TYPE)
        return data[0] if data is not None and len(data) == 1 else None

    @classmethod
    def decode(cls, octets: bytes) -> Self | Fault:
        """Take a message apart; options in `file` and `sname` count too (option 52)."""
        if len(octets) < _LAYOUT.size:
            return Fault(len(octets), Reason.TRUNCATED)
        op, hardware, size, hops, xid, secs, flags, ciaddr, yiaddr, siaddr, giaddr, chaddr, cookie = (
            _LAYOUT.unpack_from(octets)
        )
        if (hardware, size) != (1, 6):
            return Fault(1, Reason.BAD_VALUE)
        if cookie != _MAGIC_COOKIE:
            return Fault(236, Reason.BAD_VALUE)
        options: dict[int, bytes] = {}
        fault = _collect(octets, _LAYOUT.size, len(octets), options)
        overload = options.pop(DhcpOption.OVERLOAD, b"\0")
        if fault is None and overload[:1] in (b"\1", b"\3"):
            fault = _collect(octets, 108, 236, options)
        if fault is None and overload[:1] in (b"\2", b"\3"):
            fault = _collect(octets, 44, 108, options)
        if fault is not None:
            return fault
        options.pop(DhcpOption.OVERLOAD, None)  # in `file` or `sname` it means nothing
        return cls(
            op,
            xid,
            chaddr[:6],
            tuple(options.items()),
            IPv4Address(ciaddr),
            IPv4Address(yiaddr),
            IPv4Address(siaddr),
            IPv4Address(giaddr),
            flags,
            secs,
            hops,
        )

    def encode(self) -> bytes:
        """The message, at least 300 octets; options longer than 255 octets are split (RFC 3396).

        Raises:
            WireError: a field does not fit.
        """
        if len(self.client_mac) != 6:
            raise WireError("Dhcp", self.client_mac, "a MAC address is 6 octets")
        try:
            fixed = _LAYOUT.pack(
                self.op,
                1,
                6,
                self.hops,
                self.transaction_id,
                self.seconds,
                self.flags,
                self.client_address.packed,
                self.your_address.packed,
                self.server_address.packed,
                self.relay_address.packed,
                self.client_mac,
                _MAGIC_COOKIE,
            )
            options = b"".join(_encode_option(code, data) for code, data in self.options)
        except (struct.error, ValueError) as error:
            raise WireError("Dhcp", self, f"does not fit the wire ({error})") from error
        return (fixed + options + bytes((DhcpOption.END,))).ljust(_MINIMUM_SIZE, b"\0")


def _collect(octets: bytes, at: int, end: int, options: dict[int, bytes]) -> Fault | None:
    """Add the options from `at` to `end`; those of one code are joined (RFC 3396 §7)."""
    while at < end:
        code = octets[at]
        if code == DhcpOption.END:
            return None
        if code == DhcpOption.PAD:
            at += 1
            continue
        if at + 2 > end or at + 2 + octets[at + 1] > end:
            return Fault(at, Reason.OPTION_TRUNCATED)
        following = at + 2 + octets[at + 1]
        options[code] = options.get(code, b"") + octets[at + 2 : following]
        at = following
    return None


def _encode_option(code: int, data: bytes) -> bytes:
    if code in (DhcpOption.PAD, DhcpOption.OVERLOAD, DhcpOption.END):
        raise ValueError(f"option {code} is the encoder's own")
    pieces = [data[start : start + 255] for start in range(0, len(data), 255)] or [b""]
    return b"".join(bytes((code, len(piece))) + piece for piece in pieces)
