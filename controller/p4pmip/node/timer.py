"""One deadline on the event loop."""

import asyncio
from collections.abc import Callable


class Timer:
    """Calls back at the earliest time that it was asked for, perhaps too early: whoever is called looks, and asks anew.

    Asking is what every input of an engine does, so a later time than the one that is armed costs nothing.
    """

    def __init__(self, callback: Callable[[], None]) -> None:
        self._callback = callback
        self._handle: asyncio.TimerHandle | None = None
        self._due = 0.0

    def arm(self, due: float | None) -> None:
        """Call back at `due` of the loop's clock, in seconds, or before; None: nothing is waited for."""
        if due is None or (self._handle is not None and self._due <= due):
            return
        self.close()
        self._due = due
        self._handle = asyncio.get_running_loop().call_at(due, self._fire)

    def close(self) -> None:
        """Do not call back any more."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _fire(self) -> None:
        self._handle = None
        self._callback()
