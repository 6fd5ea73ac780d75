"""The memory between Linux interfaces, machine code and Python: what arrives, what leaves, and a ring for the rest."""

import contextlib
import ctypes
import os
import select
from collections.abc import Mapping
from dataclasses import dataclass

from p4pmip.softswitch.native.batch import BATCH, PORTS, Control, Sender
from p4pmip.softswitch.native.layout import GROWTH, KIND_SHIFT, PORT_SHIFT, VERDICT_SEND
from p4pmip.softswitch.native.loop import Handover, Place
from p4pmip.softswitch.native.slots import slots
from p4pmip.softswitch.ports.linux import LinuxPort
from p4pmip.softswitch.ports.ring import FRAME_LIMIT, with_tag

RING = 512
"""Frames that wait for the interpreter."""


@dataclass(frozen=True, slots=True)
class Counts:
    """Packets that the loop dropped: by the program in ingress and egress, by interfaces, for want of room."""

    ingress: int = 0
    egress: int = 0
    refused: int = 0
    overflown: int = 0

    def since(self, before: "Counts") -> "Counts":
        """What came after `before` was counted."""
        return Counts(
            self.ingress - before.ingress,
            self.egress - before.egress,
            self.refused - before.refused,
            self.overflown - before.overflown,
        )


@dataclass(frozen=True, slots=True)
class Rest:
    """A frame that machine code could not finish."""

    port: int
    """Where it came in."""
    frame: bytes
    leaves: int | None
    """Only sending it on this port is left to do; None: it is as it came, and machine code has done nothing with it."""


class Vector(ctypes.Structure):
    """struct iovec."""

    _fields_ = (("base", ctypes.c_uint64), ("length", ctypes.c_uint64))


class Message(ctypes.Structure):
    """struct mmsghdr."""

    _fields_ = (
        ("name", ctypes.c_uint64),
        ("name_length", ctypes.c_uint32),
        ("vectors", ctypes.c_uint64),
        ("vector_count", ctypes.c_uint64),
        ("control", ctypes.c_uint64),
        ("control_length", ctypes.c_uint64),
        ("flags", ctypes.c_int),
        ("padding", ctypes.c_uint32),
        ("length", ctypes.c_uint32),
        ("more_padding", ctypes.c_uint32),
    )


class Pollfd(ctypes.Structure):
    """struct pollfd."""

    _fields_ = (("fd", ctypes.c_int), ("events", ctypes.c_short), ("revents", ctypes.c_short))


class _Outgoing:
    """Frames that wait to leave on one port."""

    def __init__(self, port: LinuxPort) -> None:
        self.vectors = (Vector * BATCH)()
        self.messages = (Message * BATCH)()
        for index in range(BATCH):
            self.messages[index].vectors = ctypes.addressof(self.vectors) + index * ctypes.sizeof(Vector)
            self.messages[index].vector_count = 1
        self.words = (ctypes.c_uint64 * Sender.LENGTH)()
        self.words[Sender.VECTORS] = ctypes.addressof(self.vectors)
        self.words[Sender.MESSAGES] = ctypes.addressof(self.messages)
        self.words[Sender.SOCKET] = port.fileno()


class Leftovers:
    """The ring, from the side of Python."""

    def __init__(self) -> None:
        self._stride = 8 * Place.FRAME + FRAME_LIMIT
        self._places = ctypes.create_string_buffer(RING * self._stride)
        self._start = ctypes.addressof(self._places)
        self.wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        """Readable while something was put in since `take` was last called."""
        self.words = (ctypes.c_uint64 * Handover.LENGTH)(0, 0, RING - 1, self._start, self._stride, self.wake)

    def take(self) -> Rest | None:
        """The next frame."""
        tail: int = self.words[Handover.TAIL]
        if tail == self.words[Handover.HEAD]:
            return None
        at = self._start + (tail & RING - 1) * self._stride
        place = (ctypes.c_uint64 * Place.FRAME).from_address(at)
        result, port = place[Place.RESULT], place[Place.PORT]
        frame = ctypes.string_at(at + 8 * Place.FRAME, place[Place.SIZE])
        if result >> KIND_SHIFT == VERDICT_SEND:
            rest = Rest(port, frame, result >> PORT_SHIFT & 0xFFFFFF)
        else:
            tag: int = place[Place.TAG]
            rest = Rest(port, with_tag(frame, place[Place.STATUS], tag & 0xFFFF, tag >> 16), None)
        slots().publish(ctypes.addressof(self.words) + 8 * Handover.TAIL, tail + 1)
        return rest

    def close(self) -> None:
        """Give the eventfd back."""
        os.close(self.wake)


class Interfaces:
    """All that the packet loop works with, for some ports. `control` is what it is called with."""

    def __init__(self, ports: Mapping[int, LinuxPort], leftovers: Leftovers) -> None:
        self._numbers = list(ports)
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._poll = (Pollfd * (len(ports) + 1))()
        for index, port in enumerate(ports.values()):
            self._poll[index].fd, self._poll[index].events = port.fileno(), select.POLLIN
        self._poll[len(ports)].fd, self._poll[len(ports)].events = self._wake, select.POLLIN
        rings = [port.ring for port in ports.values()]
        longest = max((ring.slot_octets for ring in rings), default=0)
        self._output = ctypes.create_string_buffer(BATCH * (longest + GROWTH))
        self._incoming = (ctypes.c_uint64 * max(len(rings), 1))(*(ctypes.addressof(ring.words) for ring in rings))
        self._outgoing = {number: _Outgoing(port) for number, port in ports.items() if number < PORTS}
        addresses = {number: ctypes.addressof(one.words) for number, one in self._outgoing.items()}
        self._by_port = (ctypes.c_uint64 * PORTS)(*(addresses.get(number, 0) for number in range(PORTS)))
        self._senders = (ctypes.c_uint64 * max(len(addresses), 1))(*addresses.values())
        self._leftovers = leftovers
        self._words = (ctypes.c_uint64 * Control.LENGTH)()
        for word, value in (
            (Control.PORTS, len(ports)),
            (Control.POLL, ctypes.addressof(self._poll)),
            (Control.INCOMING, ctypes.addressof(self._incoming)),
            (Control.OUTPUT, ctypes.addressof(self._output)),
            (Control.BY_PORT, ctypes.addressof(self._by_port)),
            (Control.SENDERS, len(addresses)),
            (Control.SENDER_LIST, ctypes.addressof(self._senders)),
            (Control.HANDOVER, ctypes.addressof(leftovers.words)),
        ):
            self._words[word] = value
        self.control = ctypes.addressof(self._words)

    def arm(self, epoch: int) -> None:
        """The loop may be started; it tells at the address `epoch` when packets run."""
        with contextlib.suppress(BlockingIOError):
            os.eventfd_read(self._wake)
        self._words[Control.EPOCH] = epoch
        self._words[Control.STOP] = 0

    def stop(self) -> None:
        """Make the loop return."""
        slots().publish(self.control + 8 * Control.STOP, 1)
        os.eventfd_write(self._wake, 1)

    def number(self, place: int) -> int:
        """The port at a place, as the loop names it."""
        return self._numbers[place]

    def forget(self, place: int) -> None:
        """The port at a place cannot be received from: do not look at it. The loop must not run."""
        self._poll[place].fd = -1

    def counts(self) -> Counts:
        """What the loop has counted so far."""
        counted = (Control.DROPPED_INGRESS, Control.DROPPED_EGRESS, Control.REFUSED, Control.OVERFLOWN)
        return Counts(*(self._words[word] for word in counted))

    def close(self) -> None:
        """Give the eventfd back. The loop must not run."""
        os.close(self._wake)
