"""Frames that the kernel writes into memory that is shared with it: the receive ring of packet(7), TPACKET_V2.

Frame by frame, not in blocks: a frame is there as soon as it has come.
"""

import ctypes
import mmap
import socket
import struct
from enum import IntEnum

SOL_PACKET = 263
PACKET_RX_RING, PACKET_STATISTICS, PACKET_COPY_THRESH, PACKET_AUXDATA, PACKET_VERSION = 5, 6, 7, 8, 10
TPACKET_V2 = 1

STATUS_KERNEL, STATUS_USER, STATUS_COPY, STATUS_VLAN, STATUS_TPID = 0, 1, 2, 0x10, 0x40
"""In a slot's status: whose it is; the whole frame waits in the socket; a VLAN tag was taken out; its TPID is known."""

# Where struct tpacket2_hdr has its fields, in octets.
STATUS_AT, LENGTH_AT, HELD_AT, FRAME_AT, TCI_AT, TPID_AT = 0, 4, 8, 12, 24, 26

OVERHEAD = 128
"""More than what stands before a frame in its slot, a VLAN tag included."""

RING_OCTETS = 16 << 20
FRAME_LIMIT = 65_536
TPID_8021Q = 0x8100
TAG_AT, TAG_OCTETS = 12, 4
"""A VLAN tag stands after both addresses."""

_HEADER = struct.Struct("=IIIHHIIHH")
_AUXDATA = struct.Struct("@IIIHHHH")
_REQUEST = struct.Struct("@IIII")
_STATISTICS = struct.Struct("@II")
_SPACE = socket.CMSG_SPACE(_AUXDATA.size)


class Incoming(IntEnum):
    """The words of a ring, as Python and machine code know it."""

    RING = 0
    """The address of its first slot."""
    SLOTS = 1
    SLOT_OCTETS = 2
    AT = 3
    """The slot where the next frame comes."""
    NUMBER = 4
    """Of the port."""
    FILE = 5
    """The descriptor of its socket."""
    LENGTH = 6
    """How many words there are; not a word itself."""


class ReceiveRing:
    """The ring of one socket. Slots are as long as a power of 2, so that one follows the other without a gap.

    Attributes:
        words: See `Incoming`.
        slot_octets: How long a slot is.
        cut: Frames that were lost because they were too long for a slot and for the socket's buffer.
    """

    def __init__(self, owner: socket.socket, mtu: int, number: int) -> None:
        """Make it, with slots for frames of an interface with this MTU; longer ones come through the socket.

        Raises:
            OSError: the kernel refuses.
        """
        self._socket = owner
        self.slot_octets = 1 << (mtu + OVERHEAD - 1).bit_length()
        self._slots = max(64, RING_OCTETS // self.slot_octets)
        octets = self._slots * self.slot_octets
        owner.setsockopt(SOL_PACKET, PACKET_VERSION, TPACKET_V2)
        owner.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
        owner.setsockopt(SOL_PACKET, PACKET_COPY_THRESH, 1)
        block = max(self.slot_octets, 1 << 16)
        request = _REQUEST.pack(block, octets // block, self.slot_octets, self._slots)
        owner.setsockopt(SOL_PACKET, PACKET_RX_RING, request)
        self._memory = mmap.mmap(owner.fileno(), octets)
        address = ctypes.addressof(ctypes.c_char.from_buffer(self._memory))
        known = (address, self._slots, self.slot_octets, 0, number, owner.fileno())
        self.words = (ctypes.c_uint64 * Incoming.LENGTH)(*known)
        self.cut = 0

    def refused(self) -> int:
        """Frames that the kernel did not take since this was last asked, because the ring was full."""
        _, dropped = _STATISTICS.unpack(self._socket.getsockopt(SOL_PACKET, PACKET_STATISTICS, _STATISTICS.size))
        return int(dropped)

    def take(self) -> bytes | None:
        """The next frame, as it was on the wire; None if there is none. Its slot is the kernel's again."""
        at: int = self.words[Incoming.AT]
        base = at * self.slot_octets
        status, length, held, frame_at, _, _, _, tci, tpid = _HEADER.unpack_from(self._memory, base)
        if not status & STATUS_USER:
            return None
        if status & STATUS_COPY:
            frame = self._whole()
        elif held == length:
            frame = bytes(self._memory[base + frame_at : base + frame_at + length])
            frame = with_tag(frame, status, tci, tpid)
        else:
            self.cut += 1
            frame = None
        # One store: the kernel may fill the slot at once, and what it says must stay. struct writes more than once.
        ctypes.c_uint32.from_address(self.words[Incoming.RING] + base).value = STATUS_KERNEL
        self.words[Incoming.AT] = (at + 1) % self._slots
        return self.take() if frame is None else frame

    def close(self) -> None:
        """Give the memory back: the socket lives as long as it is mapped."""
        self._memory.close()

    def _whole(self) -> bytes | None:
        """A frame that was too long for its slot."""
        try:
            frame, ancillary, _, _ = self._socket.recvmsg(FRAME_LIMIT, _SPACE)
        except BlockingIOError:
            self.cut += 1
            return None
        for level, kind, data in ancillary:
            if level == SOL_PACKET and kind == PACKET_AUXDATA and len(data) >= _AUXDATA.size:
                status, _, _, _, _, tci, tpid = _AUXDATA.unpack_from(data)
                return with_tag(frame, status, tci, tpid)
        return frame


def with_tag(frame: bytes, status: int, tci: int, tpid: int) -> bytes:
    """A frame with the VLAN tag that the kernel took out of it, if its slot's status says that it did."""
    if not status & STATUS_VLAN:
        return frame
    tag = struct.pack("!HH", tpid if status & STATUS_TPID else TPID_8021Q, tci)
    return frame[:TAG_AT] + tag + frame[TAG_AT:]
