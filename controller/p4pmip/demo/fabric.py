"""The wires of the demo: switch ports and hosts, joined in memory, with every frame seen by those who ask."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from p4pmip.errors import P4pmipError

Sink = Callable[[bytes], None]


class Plug(NamedTuple):
    """One end of a wire: a switch's port, or a host's only one."""

    name: str
    port: int = 0

    def __str__(self) -> str:
        return f"{self.name}:{self.port}" if self.port else self.name


class SwitchPorts(Protocol):
    """The data side of one switch, whatever it is."""

    def receive(self, port: int, frame: bytes) -> None:
        """A frame enters the switch."""

    def attach(self, port: int, sink: Sink) -> None:
        """Frames that leave by the port go to `sink`."""


@dataclass(frozen=True, slots=True)
class Passage:
    """A frame on its way over one wire."""

    time: float
    """Seconds since 1970."""
    source: Plug
    destination: Plug
    frame: bytes


class Fabric:
    """Joins plugs pairwise; a frame sent into one end comes out of the other on the next turn of the event loop."""

    def __init__(self, utc: Callable[[], float]) -> None:
        self._utc = utc
        self._loop = asyncio.get_running_loop()
        self._receivers: dict[Plug, Sink] = {}
        self._wires: dict[Plug, Plug] = {}
        self._taps: list[Callable[[Passage], None]] = []

    def add_switch(self, name: str, switch: SwitchPorts, ports: tuple[int, ...]) -> None:
        """Make the ports of a switch known."""
        for port in ports:
            plug = Plug(name, port)
            self._receivers[plug] = lambda frame, port=port: switch.receive(port, frame)  # type: ignore[misc]
            switch.attach(port, lambda frame, plug=plug: self.send(plug, frame))  # type: ignore[misc]

    def add_host(self, name: str, receive: Sink) -> Callable[[bytes], None]:
        """Make a host known; what it calls to send is returned."""
        plug = Plug(name)
        self._receivers[plug] = receive
        return lambda frame: self.send(plug, frame)

    def tap(self, observer: Callable[[Passage], None]) -> None:
        """Show every frame of every wire to `observer`."""
        self._taps.append(observer)

    def connect(self, one: Plug, other: Plug) -> None:
        """Put a wire between two free plugs.

        Raises:
            P4pmipError: One of them is unknown or has a wire.
        """
        for plug in (one, other):
            if plug not in self._receivers:
                raise P4pmipError("wire", str(plug), "no such plug", [str(known) for known in self._receivers])
            if plug in self._wires:
                raise P4pmipError("wire", str(plug), f"already wired to {self._wires[plug]}")
        self._wires[one] = other
        self._wires[other] = one

    def disconnect(self, plug: Plug) -> None:
        """Take the wire off a plug; frames on it are lost."""
        other = self._wires.pop(plug, None)
        if other is not None:
            del self._wires[other]

    def send(self, plug: Plug, frame: bytes) -> None:
        """Send a frame out of a plug; without a wire it is lost, as it would be."""
        other = self._wires.get(plug)
        if other is None:
            return
        passage = Passage(self._utc(), plug, other, frame)
        for observer in self._taps:
            observer(passage)
        self._loop.call_soon(self._receivers[other], frame)
