"""The forwarding process: ports, the device, and its end of the channels.

With the native executor the interfaces are served by machine code in a thread of its own (`PacketLoop`); this module is
the other thread, which owns the tables, answers requests, and interprets what machine code leaves over. Otherwise it
serves the interfaces too. Requests come first: between two of them at most `BURST` seconds are spent on packets, so
that a write never waits long, and a port that is flooded does not starve the others.
"""

import errno
import gc
import json
import os
import select
import socket
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from p4pmip.softswitch.ports.linux import LinuxPort
from p4pmip.softswitch.ports.pcap import PcapWriter, read_pcap
from p4pmip.softswitch.process.channel import Channel, Kind, Message
from p4pmip.softswitch.process.loop import PacketLoop
from p4pmip.softswitch.target.device import Device
from p4pmip.softswitch.target.endpoint import DROPPED, Endpoint
from p4pmip.softswitch.target.stubs import p4runtime

BURST = 0.003
TICK = 0.02
REQUESTS_AT_ONCE = 1 << 20
PACKETS_AT_ONCE = 1 << 13
"""Octets that are read from a channel in one go."""

COLLECT_AFTER = 2_000
"""Allocations between two garbage collections: what is left then is not looked at again."""


@dataclass(frozen=True, slots=True)
class Options:
    """What the forwarding process is told at its start, as JSON."""

    device_id: int
    cpu_port: int
    drop_port: int
    interfaces: tuple[tuple[int, str], ...]
    pcap: str | None
    use_files: float | None
    executor: str
    """`interpreter` or `native`."""
    config: str | None
    """A file with a ForwardingPipelineConfig, to start with."""


class Forwarder:
    """The loop."""

    def __init__(self, options: Options, requests: socket.socket, packets: socket.socket) -> None:
        self.options = options
        self._poll = select.poll()
        self.requests, self.packets = Channel(requests, self._poll), Channel(packets, self._poll)
        self.device = Device(options.device_id, options.cpu_port, options.drop_port, options.executor)
        self.device.output = self._leave
        self.endpoint = Endpoint(self.device, time.monotonic, time.time)
        self._ports: dict[int, LinuxPort] = {}
        self._captures: dict[tuple[int, str], PcapWriter] = {}
        self._by_fd: dict[int, LinuxPort] = {}
        self._files: list[tuple[float, int, bytes]] = []
        self._loop: PacketLoop | None = None

    # -- start --

    def start(self) -> None:
        """Open the ports and load the program that was given."""
        if self.options.use_files is not None:  # first, so that nothing is written when one of them cannot be read
            self._read_files(time.monotonic() + self.options.use_files)
        for number, name in self.options.interfaces:
            if self.options.use_files is None:
                try:
                    self._ports[number] = LinuxPort(number, name)
                except OSError as error:
                    error.filename = f"interface {name}"
                    if error.errno == errno.EPERM:
                        error.strerror = "packet sockets need root or CAP_NET_RAW"
                    raise
            self._capture(number, name)
        if self.options.executor == "native" and self._ports and not self._captures:
            self._loop = PacketLoop(self._ports)
            self._poll.register(self._loop.wake, select.POLLIN)
            self.device.held = self._loop.held
            self.device.optimized = self._loop.nudge
        if self.options.config is not None:
            config = p4runtime.ForwardingPipelineConfig.FromString(Path(self.options.config).read_bytes())
            self.device.load(config)
        self._arrange()
        self.requests.send((Kind.READY,))

    def _capture(self, number: int, name: str) -> None:
        if self.options.use_files is not None:
            self._captures[number, "out"] = PcapWriter(Path(f"{name}_out.pcap"))
        elif self.options.pcap is not None:
            for way in ("in", "out"):
                self._captures[number, way] = PcapWriter(Path(self.options.pcap) / f"{name}_{way}.pcap")

    def _read_files(self, start: float) -> None:
        """Packets of `<interface>_in.pcap`, in the order of their times."""
        records = [
            (when, number, frame)
            for number, name in self.options.interfaces
            for when, frame in read_pcap(Path(f"{name}_in.pcap"))
        ]
        records.sort(key=lambda record: record[0])
        self._files = [(start, number, frame) for _, number, frame in reversed(records)]

    # -- the loop --

    def run(self) -> None:
        """Until the other process closes the channel."""
        gc.disable()
        gc.collect()
        gc.freeze()
        next_tick = time.monotonic() + TICK
        left_over = False
        while self.requests.open:
            now = time.monotonic()
            if now >= next_tick:
                self._tick()
                next_tick = now + TICK
            self._play_files(now)
            wait = 0 if self._files or left_over else max(0.0, next_tick - now) * 1000
            ready = dict(self._poll.poll(wait))
            if self.requests.fd in ready:
                for message in self.requests.receive(ready[self.requests.fd], REQUESTS_AT_ONCE):
                    self._handle(message)
            if self.packets.fd in ready:
                for message in self.packets.receive(ready[self.packets.fd], PACKETS_AT_ONCE):
                    self._handle(message)
            if ports := [port for fd, port in self._by_fd.items() if fd in ready]:
                self._forward(ports)
            if self._loop is not None:
                left_over = self._help(self._loop)

    def _tick(self) -> None:
        self.endpoint.tick()
        self._count()
        if gc.get_count()[0] > COLLECT_AFTER:
            gc.collect()
            gc.freeze()

    def _forward(self, ports: list[LinuxPort]) -> None:
        """Frames of these ports in turn, for one burst."""
        clock, receive = time.monotonic, self.device.receive
        now = clock()
        end = now + BURST
        while ports and now < end:
            for port in tuple(ports):
                try:
                    frame = port.receive()
                except OSError as error:
                    if not port.exists():
                        self._lost(port, str(error.strerror))
                    frame = None
                if frame is None:
                    ports.remove(port)
                    continue
                if self._captures:
                    self._record(port.number, "in", frame)
                receive(port.number, frame, now)
                now = clock()

    def _help(self, loop: PacketLoop) -> bool:
        """Do what machine code leaves to Python, for one burst; whether there is more."""
        with suppress(BlockingIOError):
            os.eventfd_read(loop.wake)
        while loop.lost:
            self._lost(self._ports[loop.lost.popleft()], "No such device")
        if loop.native is not None and loop.native.better is not None:
            loop.renew()
        now = time.monotonic()
        end = now + BURST
        while now < end:
            rest = loop.take()
            if rest is None:
                return False
            if rest.leaves is not None:
                self.device.deliver(rest.leaves, rest.frame)
            else:
                self.device.interpret(rest.port, rest.frame, now)
            now = time.monotonic()
        return True

    def _arrange(self) -> None:
        """Serve the interfaces by machine code or here, whichever the program that runs now is for."""
        running = self.device.running
        native = None if running is None else running.pipeline.native
        if self._loop is not None and native is not self._loop.native:
            self._count()
            self._loop.stop()
            if native is not None:
                self._loop.start(native)
        machine = self._loop is not None and native is not None
        wanted = {} if machine else {port.fileno(): port for port in self._ports.values()}
        for fd in self._by_fd.keys() - wanted.keys():
            self._poll.unregister(fd)
        for fd in wanted.keys() - self._by_fd.keys():
            self._poll.register(fd, select.POLLIN)
        self._by_fd = wanted

    def _count(self) -> None:
        """Take over what interfaces and machine code dropped."""
        counters = self.device.counters
        for port in self._ports.values():
            counters["ring_full"] += port.ring.refused()
            counters["frame_too_long"] += port.ring.cut
            port.ring.cut = 0
        if self._loop is None or self.device.running is None:
            return
        counts, drops = self._loop.counted(), self.device.running.pipeline.drops
        drops["ingress"] += counts.ingress
        drops["egress"] += counts.egress
        counters["port_refused"] += counts.refused
        counters["interpreter_busy"] += counts.overflown

    def _play_files(self, now: float) -> None:
        while self._files and self._files[-1][0] <= now:
            _, number, frame = self._files.pop()
            self.device.receive(number, frame, now)

    def _lost(self, port: LinuxPort, why: str) -> None:
        """An interface went away under the switch: the other ports go on."""
        self._count()
        del self._ports[port.number]
        if self._loop is not None:
            self._loop.forget(port.number)
        self._arrange()
        port.close()
        self.requests.send((Kind.NOTICE, f"port {port.number} ({port.interface}) is lost: {why}"))

    def _leave(self, number: int, frame: bytes) -> None:
        port = self._ports.get(number)
        if self._captures:
            self._record(number, "out", frame)
        if port is not None:
            if not port.send(frame):
                self.device.counters["port_refused"] += 1
        elif (number, "out") not in self._captures and not self.packets.send((Kind.PACKET, number, frame), True):
            self.device.counters["port_refused"] += 1

    def _record(self, number: int, way: str, frame: bytes) -> None:
        capture = self._captures.get((number, way))
        if capture is not None:
            capture.write(frame, time.time())

    # -- the channels --

    def _handle(self, message: Message) -> None:
        match message:
            case (Kind.CALL, number, method, request):
                if method == DROPPED:
                    self._count()
                reply = self.endpoint.call(method, request)
                self._arrange()
                self.requests.send((Kind.REPLY, number, reply.responses, int(reply.code), reply.message, reply.details))
            case (Kind.OPENED, stream):
                self.endpoint.stream_opened(stream, self._sender(stream), self._ender(stream))
            case (Kind.MESSAGE, stream, data):
                self.endpoint.stream_message(stream, data)
            case (Kind.CLOSED, stream):
                self.endpoint.stream_closed(stream)
            case (Kind.PACKET, port, frame):
                self.device.receive(port, frame, time.monotonic())

    def _sender(self, stream: int) -> Callable[[bytes], None]:
        def send(data: bytes) -> None:
            if not self.requests.send((Kind.MESSAGE, stream, data), droppable=True):
                self.device.counters["controller_slow"] += 1

        return send

    def _ender(self, stream: int) -> Callable[[int, str], None]:
        def end(code: int, text: str) -> None:
            self.requests.send((Kind.ENDED, stream, int(code), text))

        return end

    def close(self) -> None:
        """Give everything back."""
        if self._loop is not None:
            self._loop.close()
        for port in self._ports.values():
            port.close()
        for capture in self._captures.values():
            capture.close()
        self.requests.socket.close()
        self.packets.socket.close()


def main() -> int:
    """`python -m p4pmip.softswitch.process.forwarder REQUESTS PACKETS OPTIONS`; ends when the channel ends."""
    requests, packets = (socket.socket(fileno=int(one)) for one in sys.argv[1:3])
    given = json.loads(sys.argv[3])
    given["interfaces"] = tuple((number, name) for number, name in given["interfaces"])
    forwarder = Forwarder(Options(**given), requests, packets)
    try:
        forwarder.start()
    except Exception as error:  # whatever it is, the other process tells it to the person
        text = f"{error.filename}: {error.strerror}" if isinstance(error, OSError) else str(error)
        forwarder.requests.fail(text)
        return 1
    try:
        forwarder.run()
    except KeyboardInterrupt:
        pass
    finally:
        forwarder.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
