"""Sends frames on an interface at a rate, and counts what arrives on another.

sendmmsg(2) sends a burst at a time, on a clock: what was missed is not made up for, so that the rate is never above
what was asked.
"""

import ctypes
import socket
import time
from collections.abc import Sequence
from typing import NamedTuple

from p4pmip.softswitch.ports.batch import Message, Vector

libc = ctypes.CDLL(None, use_errno=True)
libc.sendmmsg.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int]

BURST = 64
"""The most frames of one system call."""
BURST_SECONDS = 0.0004
"""Frames of so much time leave together: as few as the generator's clock allows, since queues in switches are short."""
DRAIN = 0.15
"""Seconds until what is under way has arrived."""
_SOL_PACKET, _QDISC_BYPASS = 263, 20


class Blast(NamedTuple):
    """What one trial gave."""

    sent: int
    received: int
    seconds: float


def received(interface: str) -> int:
    """Frames that the kernel has counted in."""
    with open("/proc/thread-self/net/dev", encoding="ascii") as file:
        for line in file:
            name, _, numbers = line.partition(":")
            if name.strip() == interface:
                return int(numbers.split()[1])
    raise OSError(f"{interface}: no such interface")


class Blaster:
    """Sends frames on an interface, one after the other and again from the first."""

    def __init__(self, interface: str, frames: Sequence[bytes]) -> None:
        """Frames of one length that differ in their first octets only where there are many.

        Raises:
            OSError: the interface cannot be opened.
        """
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        self._socket.setsockopt(_SOL_PACKET, _QDISC_BYPASS, 1)
        self._socket.bind((interface, 0))
        self._frames = [ctypes.create_string_buffer(one, len(one)) for one in frames]
        # As many as whole bursts need, so that no burst has to wrap around.
        count = -(-len(frames) // BURST) * BURST
        self._vectors, self._messages = (Vector * count)(), (Message * count)()
        for index in range(count):
            buffer = self._frames[index % len(frames)]
            self._vectors[index].base, self._vectors[index].length = ctypes.addressof(buffer), len(buffer)
            self._messages[index].vectors = ctypes.addressof(self._vectors) + ctypes.sizeof(Vector) * index
            self._messages[index].vector_count = 1
        self._count = count
        self._at = 0

    def run(self, rate: float, seconds: float) -> tuple[int, float]:
        """Frames sent, and the seconds it took."""
        burst = max(1, min(BURST, int(rate * BURST_SECONDS)))
        base, size, file = ctypes.addressof(self._messages), ctypes.sizeof(Message), self._socket.fileno()
        sent, clock = 0, time.perf_counter
        began = due = clock()
        while (now := clock()) < began + seconds:
            if now < due:
                time.sleep(due - now)
                continue
            if self._at + burst > self._count:
                self._at = 0
            done = libc.sendmmsg(file, base + self._at * size, burst, 0)
            if done > 0:
                sent += done
                self._at += done
            due = max(due, now - burst / rate) + burst / rate
        return sent, clock() - began

    def trial(self, into: str, rate: float, seconds: float) -> Blast:
        """Send, wait, and count on another interface."""
        before = received(into)
        sent, took = self.run(rate, seconds)
        time.sleep(DRAIN)
        return Blast(sent, received(into) - before, took)

    def close(self) -> None:
        """Give the interface back."""
        self._socket.close()
