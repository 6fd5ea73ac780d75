"""Capture files: pcap and pcapng are read, pcapng is written with named interfaces and a comment per packet.

Octets in, values out, and back: opening the file is the caller's.
"""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import NamedTuple

from p4pmip.wire.fault import Fault, Reason

_NANOSECONDS = 1_000_000_000


class LinkType(IntEnum):
    """Link-layer types (the LINKTYPE_ registry), those that `packet` can look into."""

    NULL = 0
    ETHERNET = 1
    RAW_BSD = 12
    RAW_OPENBSD = 14
    RAW = 101
    LOOP = 108
    LINUX_SLL = 113
    IPV4 = 228
    IPV6 = 229
    LINUX_SLL2 = 276


@dataclass(frozen=True, slots=True)
class Frame:
    """One captured packet."""

    number: int
    """From 1, as capture tools count."""
    time: int
    """Nanoseconds since 1970-01-01 UTC."""
    link_type: int
    octets: bytes
    """What was captured, which may be less than what travelled."""
    original_length: int
    interface: str = ""
    comment: str = ""


@dataclass(frozen=True, slots=True)
class Capture:
    """What a capture file holds; a fault's offset counts from the start of the file."""

    frames: tuple[Frame, ...]
    faults: tuple[Fault, ...]


@dataclass(frozen=True, slots=True)
class Interface:
    """An interface that packets of a pcapng file were seen on."""

    name: str
    link_type: int = LinkType.ETHERNET


# --- reading ---------------------------------------------------------------------------------------------------------


def read(octets: bytes) -> Capture:
    """Read a pcap or pcapng file as far as it goes; never raises."""
    if octets[:4] == b"\x0a\x0d\x0d\x0a":
        found = list(_PcapngReader(octets).read())
    elif (format_ := _PCAP_MAGIC.get(octets[:4])) is not None:
        found = list(_read_pcap(octets, *format_))
    else:
        found = [Fault(0, Reason.UNKNOWN_FORMAT)]
    return Capture(
        tuple(item for item in found if isinstance(item, Frame)),
        tuple(item for item in found if isinstance(item, Fault)),
    )


_PCAP_MAGIC = {
    bytes.fromhex("a1b2c3d4"): (">", 1000),
    bytes.fromhex("d4c3b2a1"): ("<", 1000),
    bytes.fromhex("a1b23c4d"): (">", 1),
    bytes.fromhex("4d3cb2a1"): ("<", 1),
}
"""First octets of a pcap file: its byte order, and the nanoseconds in a unit of its fractions of a second."""


def _read_pcap(octets: bytes, order: str, unit: int) -> Iterator[Frame | Fault]:
    if len(octets) < 24:
        yield Fault(len(octets), Reason.TRUNCATED)
        return
    link_type = struct.unpack_from(order + "I", octets, 20)[0] & 0xFFFF  # above it: how many octets of FCS there are
    record = struct.Struct(order + "IIII")
    at, number = 24, 0
    while at < len(octets):
        if at + record.size > len(octets):
            yield Fault(at, Reason.TRUNCATED)
            return
        seconds, fraction, captured, original = record.unpack_from(octets, at)
        start = at + record.size
        if start + captured > len(octets):
            yield Fault(at + 8, Reason.TRUNCATED)
            return
        number += 1
        time = seconds * _NANOSECONDS + fraction * unit
        at = start + captured
        yield Frame(number, time, link_type, octets[start:at], original)


class _Block(IntEnum):
    """pcapng block types."""

    SECTION_HEADER = 0x0A0D0D0A
    INTERFACE_DESCRIPTION = 1
    SIMPLE_PACKET = 3
    ENHANCED_PACKET = 6


class _Option(IntEnum):
    """pcapng option codes; interface options and packet options have different meanings from 2 on."""

    END = 0
    COMMENT = 1
    IF_NAME = 2
    IF_TSRESOL = 9


_BYTE_ORDERS = {bytes.fromhex("1a2b3c4d"): ">", bytes.fromhex("4d3c2b1a"): "<"}


class _Described(NamedTuple):
    """An interface description block: times are `value * multiplier // divisor` nanoseconds."""

    name: str
    link_type: int
    snap_length: int
    multiplier: int
    divisor: int


@dataclass(slots=True)
class _PcapngReader:
    octets: bytes
    order: str = "<"
    number: int = 0
    interfaces: list[_Described] = field(default_factory=list)

    def read(self) -> Iterator[Frame | Fault]:
        at, end = 0, len(self.octets)
        while at < end:
            if at + 12 > end:
                yield Fault(at, Reason.TRUNCATED)
                return
            if self.octets[at : at + 4] == b"\x0a\x0d\x0d\x0a":
                order = _BYTE_ORDERS.get(self.octets[at + 8 : at + 12])
                if order is None:
                    yield Fault(at + 8, Reason.UNKNOWN_FORMAT)
                    return
                self.order = order
                self.interfaces.clear()
            kind, size = struct.unpack_from(self.order + "II", self.octets, at)
            if size < 12 or size % 4:
                yield Fault(at + 4, Reason.BAD_LENGTH)
                return
            if at + size > end:
                yield Fault(at + 4, Reason.TRUNCATED)
                return
            found = self._block(kind, self.octets[at + 8 : at + size - 4], at)
            if found is not None:
                yield found
            at += size

    def _block(self, kind: int, body: bytes, at: int) -> Frame | Fault | None:
        match kind:
            case _Block.INTERFACE_DESCRIPTION:
                return self._interface(body, at)
            case _Block.ENHANCED_PACKET:
                return self._enhanced_packet(body, at)
            case _Block.SIMPLE_PACKET:
                return self._simple_packet(body, at)
            case _:
                return None

    def _interface(self, body: bytes, at: int) -> Fault | None:
        if len(body) < 8:
            return Fault(at, Reason.BAD_LENGTH)
        link_type, snap_length = struct.unpack_from(self.order + "H2xI", body)
        options = self._options(body, 8)
        resolution = options.get(_Option.IF_TSRESOL, b"\x06")[:1] or b"\x06"
        exponent = resolution[0] & 0x7F
        divisor = 2**exponent if resolution[0] & 0x80 else 10**exponent
        name = options.get(_Option.IF_NAME, b"").decode(errors="replace")
        self.interfaces.append(_Described(name, link_type, snap_length, _NANOSECONDS, divisor))
        return None

    def _enhanced_packet(self, body: bytes, at: int) -> Frame | Fault:
        if len(body) < 20:
            return Fault(at, Reason.BAD_LENGTH)
        index, high, low, captured, original = struct.unpack_from(self.order + "IIIII", body)
        if 20 + captured > len(body):
            return Fault(at + 20, Reason.BAD_LENGTH)
        if index >= len(self.interfaces):
            return Fault(at + 8, Reason.BAD_VALUE)
        seen_on = self.interfaces[index]
        self.number += 1
        comment = self._options(body, 20 + captured + -captured % 4).get(_Option.COMMENT, b"")
        return Frame(
            self.number,
            (high << 32 | low) * seen_on.multiplier // seen_on.divisor,
            seen_on.link_type,
            body[20 : 20 + captured],
            original,
            seen_on.name,
            comment.decode(errors="replace"),
        )

    def _simple_packet(self, body: bytes, at: int) -> Frame | Fault:
        if len(body) < 4:
            return Fault(at, Reason.BAD_LENGTH)
        if not self.interfaces:
            return Fault(at, Reason.BAD_VALUE)
        seen_on = self.interfaces[0]
        (original,) = struct.unpack_from(self.order + "I", body)
        captured = min(original, seen_on.snap_length or original, len(body) - 4)
        self.number += 1
        return Frame(self.number, 0, seen_on.link_type, body[4 : 4 + captured], original, seen_on.name)

    def _options(self, body: bytes, at: int) -> dict[int, bytes]:
        """The first option of each code, as far as they are whole: without them a packet is still a packet."""
        options: dict[int, bytes] = {}
        while at + 4 <= len(body):
            code, size = struct.unpack_from(self.order + "HH", body, at)
            if code == _Option.END or at + 4 + size > len(body):
                break
            options.setdefault(code, body[at + 4 : at + 4 + size])
            at += 4 + size + -size % 4
        return options


# --- writing ---------------------------------------------------------------------------------------------------------


def header(interfaces: Sequence[Interface]) -> bytes:
    """What a pcapng file starts with: a section and its interfaces, times in nanoseconds."""
    section = struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1)
    return _block(_Block.SECTION_HEADER, section) + b"".join(
        _block(
            _Block.INTERFACE_DESCRIPTION,
            struct.pack("<HHI", interface.link_type, 0, 0)
            + _option(_Option.IF_NAME, interface.name.encode())
            + _option(_Option.IF_TSRESOL, b"\x09")
            + _option(_Option.END, b""),
        )
        for interface in interfaces
    )


def packet(interface: int, time: int, octets: bytes, comment: str = "") -> bytes:
    """One packet, to be appended to what `header` began.

    Args:
        interface: Its index among the interfaces of the header.
        time: Nanoseconds since 1970-01-01 UTC.
        octets: The packet from its link layer on.
        comment: Shown beside the packet by capture tools; at most 65535 octets of it are kept.
    """
    fixed = struct.pack("<IIIII", interface, time >> 32 & 0xFFFFFFFF, time & 0xFFFFFFFF, len(octets), len(octets))
    options = _option(_Option.COMMENT, comment.encode()[:0xFFFF]) + _option(_Option.END, b"") if comment else b""
    return _block(_Block.ENHANCED_PACKET, fixed + octets + bytes(-len(octets) % 4) + options)


def _block(kind: int, body: bytes) -> bytes:
    size = struct.pack("<I", len(body) + 12)
    return struct.pack("<I", kind) + size + body + size


def _option(code: int, value: bytes) -> bytes:
    return struct.pack("<HH", code, len(value)) + value + bytes(-len(value) % 4)
