"""The packet loop's thread: machine code serves the interfaces while Python writes tables and interprets the rest."""

import os
import threading
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from p4pmip.softswitch.ports.batch import Counts, Interfaces, Leftovers, Rest
from p4pmip.softswitch.ports.linux import LinuxPort

if TYPE_CHECKING:
    from p4pmip.softswitch.native.executor import Machine, NativeExecutor


PATIENCE = 5
"""How much the packets' thread gives way to all others (nice): no flood keeps a Write waiting for a processor."""


class PacketLoop:
    """Runs machine code over some ports until it is stopped. All methods are for one thread, the one that owns tables.

    Attributes:
        wake: A descriptor that is readable when there is something to `take`, or a port was lost.
        lost: Numbers of ports whose interface has gone.
    """

    def __init__(self, ports: Mapping[int, LinuxPort]) -> None:
        self._ports = dict(ports)
        self._leftovers = Leftovers()
        self._interfaces = Interfaces(self._ports, self._leftovers)
        self._thread: threading.Thread | None = None
        self._counted = Counts()
        self.native: NativeExecutor | None = None
        self.wake = self._leftovers.wake
        self.lost: deque[int] = deque()

    def start(self, native: "NativeExecutor") -> None:
        """Serve the ports with the best machine code there is of a program."""
        self.native = native
        native.looping = True
        self._interfaces.arm(native.epoch.address)
        machine = native.current()
        self._thread = threading.Thread(target=self._run, args=(machine,), daemon=True, name="p4pmip-packets")
        self._thread.start()

    def _run(self, machine: "Machine") -> None:
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), PATIENCE)  # of this thread alone, on Linux
        while place := machine.loop(self._interfaces.control):
            number = self._interfaces.number(place - 1)
            self._ports[number].error()
            if not self._ports[number].exists():
                self._interfaces.forget(place - 1)
                self.lost.append(number)
                self.nudge()

    def nudge(self) -> None:
        """Make `wake` readable. From any thread."""
        os.eventfd_write(self.wake, 1)

    def stop(self) -> None:
        """Return when no packet runs any more."""
        if self._thread is not None:
            self._interfaces.stop()
            self._thread.join()
            self._thread = None
        if self.native is not None:
            self.native.looping = False
            self.native = None

    @contextmanager
    def held(self) -> Iterator[None]:
        """No packet runs in machine code meanwhile."""
        native = self.native
        self.stop()
        try:
            yield
        finally:
            if native is not None:
                self.start(native)

    def renew(self) -> None:
        """Go on with the best machine code there is."""
        with self.held():
            pass

    def forget(self, number: int) -> None:
        """Serve the other ports from now on."""
        with self.held():
            self._ports.pop(number, None)
            self._interfaces.close()
            self._interfaces, self._counted = Interfaces(self._ports, self._leftovers), Counts()

    def take(self) -> Rest | None:
        """The next frame that Python must finish."""
        return self._leftovers.take()

    def counted(self) -> Counts:
        """What was dropped since the last call."""
        before, self._counted = self._counted, self._interfaces.counts()
        return self._counted.since(before)

    def close(self) -> None:
        """Stop, and give the descriptors back."""
        self.stop()
        self._interfaces.close()
        self._leftovers.close()
