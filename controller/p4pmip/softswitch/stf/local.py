"""The softswitch itself as a bench, in this process."""

from p4pmip.softswitch.target.config import load
from p4pmip.softswitch.target.running import Running
from p4pmip.softswitch.target.stubs import p4runtime

DROP_PORT = 511


class LocalBench:
    """A pipeline and a clock that stands still."""

    def __init__(self, config: "p4runtime.ForwardingPipelineConfig", executor: str = "interpreter") -> None:
        self._running = Running(load(config, DROP_PORT))
        if executor == "native":
            self._running.pipeline.use_native(0)
        self.schema = self._running.schema
        self._out: list[tuple[int, bytes]] = []

    def write(self, update: "p4runtime.Update") -> None:
        """Write one update."""
        self._running.write(update, 0.0)

    def read(self, entity: "p4runtime.Entity") -> "list[p4runtime.Entity]":
        """Read entities."""
        return list(self._running.read(entity, 0.0))

    def packet(self, port: int, frame: bytes) -> None:
        """Send a packet in."""
        self._running.pipeline.process(port, frame, 0.0, lambda out, data: self._out.append((out, data)))

    def received(self, expected: int) -> list[tuple[int, bytes]]:  # noqa: ARG002 - all are through at once
        """All packets that came out so far."""
        return self._out
