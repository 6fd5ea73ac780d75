"""Many frames of Linux interfaces at once, in and out, for machine code: recvmmsg(2) and sendmmsg(2)."""

import ctypes
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from p4pmip.softswitch.native.layout import GROWTH, KIND_SHIFT, PORT_SHIFT, VERDICT_SEND
from p4pmip.softswitch.ports.linux import LinuxPort, with_tag

if TYPE_CHECKING:
    from p4pmip.softswitch.native.executor import Machine

BATCH = 64
FRAME_OCTETS = 10_240
OUTPUT_OCTETS = FRAME_OCTETS + GROWTH
CONTROL_OCTETS = 48
CONTROL_HEADER = 16
PORTS = 512
MSG_DONTWAIT = 0x40
EAGAIN = 11


Rest = Callable[[bytes, tuple[int, bytes] | None], None]


class Vector(ctypes.Structure):
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


libc = ctypes.CDLL(None, use_errno=True)
libc.recvmmsg.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int, ctypes.c_void_p]
libc.sendmmsg.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int]


class _Sender:
    """Frames that wait to leave on one port."""

    def __init__(self, port: LinuxPort) -> None:
        self.port = port
        self.vectors = (Vector * BATCH)()
        self.messages = (Message * BATCH)()
        for index in range(BATCH):
            self.messages[index].vectors = ctypes.addressof(self.vectors) + index * ctypes.sizeof(Vector)
            self.messages[index].vector_count = 1
        # What machine code knows: how many wait, and where their vectors are.
        self.queue = (ctypes.c_uint64 * 2)(0, ctypes.addressof(self.vectors))

    def flush(self) -> int:
        """Send what waits; how many the interface did not take."""
        waiting, self.queue[0] = self.queue[0], 0
        refused, at = 0, 0
        base, size = ctypes.addressof(self.messages), ctypes.sizeof(Message)
        while at < waiting:
            sent = libc.sendmmsg(self.port.fileno(), base + at * size, waiting - at, MSG_DONTWAIT)
            if sent <= 0:
                # The first of them is refused; those behind it may not be.
                refused, sent = refused + 1, 1
            at += sent
        return refused


class Batches:
    """The buffers of a switch's interfaces."""

    def __init__(self, ports: Mapping[int, LinuxPort]) -> None:
        self._input = ctypes.create_string_buffer(BATCH * FRAME_OCTETS)
        self._output = ctypes.create_string_buffer(BATCH * OUTPUT_OCTETS)
        self._control = ctypes.create_string_buffer(BATCH * CONTROL_OCTETS)
        self._vectors = (Vector * BATCH)()
        self._messages = (Message * BATCH)()
        for index in range(BATCH):
            self._vectors[index].base = ctypes.addressof(self._input) + index * FRAME_OCTETS
            self._vectors[index].length = FRAME_OCTETS
            message = self._messages[index]
            message.vectors = ctypes.addressof(self._vectors) + index * ctypes.sizeof(Vector)
            message.vector_count = 1
            message.control = ctypes.addressof(self._control) + index * CONTROL_OCTETS
            message.control_length = CONTROL_OCTETS
        self._results = (ctypes.c_uint64 * BATCH)()
        self._senders = {number: _Sender(port) for number, port in ports.items() if number < PORTS}
        self._by_port = (ctypes.c_uint64 * PORTS)()
        for number, sender in self._senders.items():
            self._by_port[number] = ctypes.addressof(sender.queue)
        self._job = (ctypes.c_uint64 * 14)(
            ctypes.addressof(self._messages), 0, ctypes.addressof(self._input), FRAME_OCTETS,
            ctypes.addressof(self._output), OUTPUT_OCTETS, 0, 0, ctypes.addressof(self._results),
            ctypes.addressof(self._control), CONTROL_OCTETS, ctypes.addressof(self._by_port), 0, 0,
        )  # fmt: skip

    def forget(self, number: int) -> None:
        """A port has gone."""
        self._senders.pop(number, None)
        if number < PORTS:
            self._by_port[number] = 0

    def forward(
        self,
        port: LinuxPort,
        machine: "Machine",
        now: float,
        rest: "Rest",
    ) -> tuple[int, int, int, int]:
        """Take what waits on a port, at most a batch, through machine code.

        `rest` is called for each frame that machine code could not finish: with the frame, and, where only the port it
        leaves on is not one of these, that port and the frame that leaves.

        Returns:
            (received, dropped in ingress, dropped in egress, refused by an interface).

        Raises:
            OSError: the interface has gone.
        """
        count = libc.recvmmsg(port.fileno(), ctypes.addressof(self._messages), BATCH, MSG_DONTWAIT, None)
        if count < 0:
            error = ctypes.get_errno()
            if error == EAGAIN:
                return 0, 0, 0, 0
            raise OSError(error, "recvmmsg")
        job = self._job
        job[1], job[6], job[7], job[12], job[13] = count, port.number, int(now * 1_000_000), 0, 0
        left = machine.batch(ctypes.addressof(job))
        if left:
            self._rest(count, rest)
        refused = sum(sender.flush() for sender in self._senders.values() if sender.queue[0])
        return count, job[12], job[13], refused

    def _rest(self, count: int, rest: "Rest") -> None:
        for index in range(count):
            result = self._results[index]
            if not result:
                continue
            frame = ctypes.string_at(self._vectors[index].base, self._messages[index].length)
            if result >> KIND_SHIFT == VERDICT_SEND:
                at = ctypes.addressof(self._output) + index * OUTPUT_OCTETS
                rest(frame, (result >> PORT_SHIFT & 0xFFFFFF, ctypes.string_at(at, result & 0xFFFFFFFF)))
            else:
                control = ctypes.string_at(ctypes.addressof(self._control) + index * CONTROL_OCTETS, CONTROL_OCTETS)
                rest(with_tag(frame, control[CONTROL_HEADER:]), None)
