"""Ending what was started, whatever happens: signals at safe moments, and namespaces emptied by process id."""

import os
import signal
import time
from pathlib import Path
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
SECONDS = 5.0


class Interrupted(KeyboardInterrupt):
    """Somebody wants the lab to end; the text is the signal's name."""


class Interrupts:
    """From `begin` to `end` signals are noted; between `allow` and `refuse` each raises Interrupted at once."""

    def __init__(self) -> None:
        self._allowed = False
        self._noted: str | None = None
        self._before: dict[int, object] = {}

    def begin(self) -> None:
        """Take over the signals."""
        self._before = {number: signal.signal(number, self._note) for number in SIGNALS}

    def end(self) -> None:
        """Leave the signals to who had them before."""
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]
        self._before.clear()

    def _note(self, number: int, _frame: FrameType | None) -> None:
        self._noted = signal.Signals(number).name
        if self._allowed:
            raise Interrupted(self._noted)

    def allow(self) -> None:
        """From here on the work may be interrupted; also by a signal that came before."""
        self._allowed = True
        self.check()

    def refuse(self) -> None:
        """From here on nothing is interrupted."""
        self._allowed = False

    def check(self) -> None:
        """Raise Interrupted if there was a signal."""
        if self._noted is not None:
            raise Interrupted(self._noted)


class Namespaces:
    """The network namespaces of some processes, kept open so that nobody else's can be taken for them."""

    def __init__(self, pids: list[int]) -> None:
        self._files = [os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC) for pid in pids]
        own = os.stat("/proc/self/ns/net").st_ino
        self._inodes = {os.fstat(file).st_ino for file in self._files} - {own}

    def processes(self) -> list[int]:
        """Who lives in them; zombies do not."""
        found = []
        for entry in Path("/proc").iterdir():
            try:
                if entry.name.isdecimal() and os.stat(entry / "ns" / "net").st_ino in self._inodes:
                    found.append(int(entry.name))
            except OSError:  # it has just ended
                continue
        return found

    def end(self) -> list[str]:
        """Kill everybody in them; without processes they go, with their interfaces. The answer is who is left."""
        deadline = time.monotonic() + SECONDS
        remaining = self.processes()
        while remaining and time.monotonic() < deadline:
            for pid in remaining:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue
            time.sleep(0.01)
            remaining = self.processes()
        for file in self._files:
            os.close(file)
        self._files.clear()
        return [_described(pid) for pid in remaining]


def _described(pid: int) -> str:
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ")
    except OSError:
        words = b""
    return f"process {pid}: {words.decode(errors='replace').strip()}"
