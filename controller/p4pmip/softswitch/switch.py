"""A softswitch inside this process: ports are functions, P4Runtime is served on the running event loop."""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import grpc

from p4pmip.softswitch.service import LocalLink, start_server
from p4pmip.softswitch.target.device import Device
from p4pmip.softswitch.target.endpoint import Endpoint
from p4pmip.softswitch.target.stubs import p4runtime

TICK = 0.02
"""Seconds between two looks at digests and idle timeouts."""

DRAIN = 0.2
"""Seconds that open RPCs get when the server stops."""

Sink = Callable[[bytes], None]


class SoftSwitch:
    """One P4 target.

    Frames come in with `receive` and leave through what is attached to their port. A frame that comes in while another
    one is processed (two switches whose ports are attached to each other) waits its turn.
    """

    def __init__(
        self,
        device_id: int = 1,
        cpu_port: int = 510,
        drop_port: int = 511,
        clock: Callable[[], float] = time.monotonic,
        executor: str = "interpreter",
    ) -> None:
        self.device = Device(device_id, cpu_port, drop_port, executor)
        self.device.output = self._leave
        self.endpoint = Endpoint(self.device, clock, time.time)
        self._clock = clock
        self._sinks: dict[int, Sink] = {}
        self._waiting: deque[tuple[int, bytes]] = deque()
        self._busy = False

    def attach(self, port: int, sink: Sink) -> None:
        """Frames that leave on the port go to `sink`."""
        self._sinks[port] = sink

    def detach(self, port: int) -> None:
        """Frames that leave on the port are dropped from now on."""
        self._sinks.pop(port, None)

    def receive(self, port: int, frame: bytes) -> None:
        """A frame comes in on a port."""
        self._waiting.append((port, frame))
        if self._busy:
            return
        self._busy = True
        try:
            while self._waiting:
                self.device.receive(*self._waiting.popleft(), self._clock())
        finally:
            self._busy = False

    def _leave(self, port: int, frame: bytes) -> None:
        sink = self._sinks.get(port)
        if sink is None:
            self.device.counters["port_unknown"] += 1
        else:
            sink(frame)

    def load(self, config: "p4runtime.ForwardingPipelineConfig") -> None:
        """Run this configuration, without a controller's push."""
        self.device.load(config)

    @asynccontextmanager
    async def serve(
        self, address: str = "127.0.0.1:0", credentials: grpc.ServerCredentials | None = None
    ) -> AsyncIterator[str]:
        """Serve P4Runtime on `host:port` or `unix:path` while the context lasts; yields the address.

        Raises:
            OSError: the address cannot be listened on.
        """
        server, bound = await start_server(LocalLink(self.endpoint), address, credentials)
        ticker = asyncio.create_task(self._tick())
        try:
            yield bound
        finally:
            ticker.cancel()
            await server.stop(DRAIN)

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK)
            self.endpoint.tick()
