"""The forwarding process: ports, the device, and its end of the channel, in one loop that blocks on nothing else.

Requests come first: between two of them at most `BURST` seconds are spent on packets, so that a write never waits long,
and a port that is flooded does not starve the others.
"""

import gc
import json
import select
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from p4pmip.softswitch.ports.batch import BATCH, Batches
from p4pmip.softswitch.ports.linux import LinuxPort
from p4pmip.softswitch.ports.pcap import PcapWriter, read_pcap
from p4pmip.softswitch.process.channel import Kind, Message, Unpacker, pack
from p4pmip.softswitch.target.device import Device
from p4pmip.softswitch.target.endpoint import Endpoint
from p4pmip.softswitch.target.stubs import p4runtime

BURST = 0.003
TICK = 0.02
BACKLOG_LIMIT = 8 << 20
"""Octets that wait for the gRPC process; packet-ins beyond it are dropped."""

COLLECT_AFTER = 100_000
"""Allocations between two garbage collections: packets make no cycles."""


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

    def __init__(self, options: Options, channel: socket.socket) -> None:
        self.options = options
        self.channel = channel
        self.device = Device(options.device_id, options.cpu_port, options.drop_port, options.executor)
        self.device.output = self._leave
        self.endpoint = Endpoint(self.device, time.monotonic, time.time)
        self._ports: dict[int, LinuxPort] = {}
        self._captures: dict[tuple[int, str], PcapWriter] = {}
        self._unpacker = Unpacker()
        self._backlog = bytearray()
        self._poll = select.poll()
        self._by_fd: dict[int, LinuxPort] = {}
        self._files: list[tuple[float, int, bytes]] = []
        self._running = True
        self._batches: Batches | None = None

    # -- start --

    def start(self) -> None:
        """Open the ports and load the program that was given."""
        if self.options.config is not None:
            config = p4runtime.ForwardingPipelineConfig.FromString(Path(self.options.config).read_bytes())
            self.device.load(config)
        for number, name in self.options.interfaces:
            if self.options.use_files is None:
                port = LinuxPort(number, name)
                self._ports[number] = self._by_fd[port.fileno()] = port
                self._poll.register(port.fileno(), select.POLLIN)
            self._capture(number, name)
        if self.options.executor == "native" and self._ports and not self._captures:
            self._batches = Batches(self._ports)
        self._poll.register(self.channel.fileno(), select.POLLIN)
        self.channel.setblocking(False)
        if self.options.use_files is not None:
            self._read_files(time.monotonic() + self.options.use_files)
        self._say((Kind.READY,))

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
        gc.collect()
        gc.freeze()
        gc.set_threshold(COLLECT_AFTER)
        next_tick = time.monotonic() + TICK
        while self._running:
            now = time.monotonic()
            if now >= next_tick:
                self.endpoint.tick()
                next_tick = now + TICK
            self._play_files(now)
            ready = self._poll.poll(0 if self._files else max(0.0, next_tick - now) * 1000)
            ports = []
            for fd, event in ready:
                if fd == self.channel.fileno():
                    self._channel_event(event)
                else:
                    ports.append(self._by_fd[fd])
            if ports:
                self._forward_natively(ports) if self._native() else self._forward(ports)

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
                    self._lost(port, error)
                    frame = None
                if frame is None:
                    ports.remove(port)
                    continue
                if self._captures:
                    self._record(port.number, "in", frame)
                receive(port.number, frame, now)
                now = clock()

    def _native(self) -> bool:
        running = self.device.running
        return self._batches is not None and running is not None and running.pipeline.native is not None

    def _forward_natively(self, ports: list[LinuxPort]) -> None:
        """Batches of these ports in turn, for one burst."""
        running, batches = self.device.running, self._batches
        assert running is not None
        assert running.pipeline.native is not None
        assert batches is not None
        machine, drops = running.pipeline.native.current(), running.pipeline.drops
        now = time.monotonic()
        end = now + BURST
        while ports and now < end:
            for port in tuple(ports):
                try:
                    done = batches.forward(port, machine, now, partial(self._left_over, port.number, now))
                except OSError as error:
                    self._lost(port, error)
                    ports.remove(port)
                    continue
                count, ingress, egress, refused = done
                drops["ingress"] += ingress
                drops["egress"] += egress
                self.device.counters["port_refused"] += refused
                if count < BATCH:
                    ports.remove(port)
            now = time.monotonic()

    def _left_over(self, number: int, now: float, frame: bytes, leaving: tuple[int, bytes] | None) -> None:
        if leaving is not None:
            self.device.deliver(*leaving)
        else:
            self.device.interpret(number, frame, now)

    def _play_files(self, now: float) -> None:
        while self._files and self._files[-1][0] <= now:
            _, number, frame = self._files.pop()
            self.device.receive(number, frame, now)

    def _lost(self, port: LinuxPort, error: OSError) -> None:
        """An interface went away under the switch: the other ports go on."""
        self._poll.unregister(port.fileno())
        del self._by_fd[port.fileno()]
        del self._ports[port.number]
        if self._batches is not None:
            self._batches.forget(port.number)
        port.close()
        self._say((Kind.NOTICE, f"port {port.number} ({port.interface}) is lost: {error.strerror}"))

    def _leave(self, number: int, frame: bytes) -> None:
        port = self._ports.get(number)
        if self._captures:
            self._record(number, "out", frame)
        if port is not None:
            if not port.send(frame):
                self.device.counters["port_refused"] += 1
        elif (number, "out") not in self._captures:
            self._say((Kind.PACKET, number, frame), droppable=True)

    def _record(self, number: int, way: str, frame: bytes) -> None:
        capture = self._captures.get((number, way))
        if capture is not None:
            capture.write(frame, time.time())

    # -- the channel --

    def _channel_event(self, event: int) -> None:
        if event & select.POLLOUT:
            self._flush()
        if event & (select.POLLIN | select.POLLHUP | select.POLLERR):
            try:
                data = self.channel.recv(1 << 20)
            except BlockingIOError:
                return
            except OSError:
                data = b""
            if not data:
                self._running = False
                return
            for message in self._unpacker.feed(data):
                self._handle(message)

    def _handle(self, message: Message) -> None:
        match message:
            case (Kind.CALL, number, method, request):
                reply = self.endpoint.call(method, request)
                self._say((Kind.REPLY, number, reply.responses, int(reply.code), reply.message, reply.details))
            case (Kind.OPENED, stream):
                self.endpoint.stream_opened(stream, self._sender(stream), self._ender(stream))
            case (Kind.MESSAGE, stream, data):
                self.endpoint.stream_message(stream, data)
            case (Kind.CLOSED, stream):
                self.endpoint.stream_closed(stream)
            case (Kind.PACKET, port, frame):
                self.device.receive(port, frame, time.monotonic())

    def _sender(self, stream: int) -> Callable[[bytes], None]:
        return lambda data: self._say((Kind.MESSAGE, stream, data), droppable=True)

    def _ender(self, stream: int) -> Callable[[int, str], None]:
        return lambda code, text: self._say((Kind.ENDED, stream, int(code), text))

    def _say(self, message: Message, droppable: bool = False) -> None:
        if droppable and len(self._backlog) > BACKLOG_LIMIT:
            self.device.counters["controller_slow"] += 1
            return
        waiting = bool(self._backlog)
        self._backlog += pack(message)
        if not waiting:
            self._flush()

    def _flush(self) -> None:
        try:
            while self._backlog:
                sent = self.channel.send(self._backlog)
                del self._backlog[:sent]
        except BlockingIOError:
            pass
        except OSError:
            self._running = False
            return
        wanted = select.POLLIN | (select.POLLOUT if self._backlog else 0)
        self._poll.register(self.channel.fileno(), wanted)

    def close(self) -> None:
        """Give everything back."""
        for port in self._ports.values():
            port.close()
        for capture in self._captures.values():
            capture.close()
        self.channel.close()


def main() -> int:
    """`python -m p4pmip.softswitch.process.forwarder FD OPTIONS`; ends when the channel ends."""
    channel = socket.socket(fileno=int(sys.argv[1]))
    given = json.loads(sys.argv[2])
    given["interfaces"] = tuple((number, name) for number, name in given["interfaces"])
    forwarder = Forwarder(Options(**given), channel)
    try:
        forwarder.start()
    except Exception as error:  # whatever it is, the other process tells it to the person
        channel.setblocking(True)
        text = f"{error.filename or 'interface'}: {error.strerror}" if isinstance(error, OSError) else str(error)
        channel.sendall(pack((Kind.FAILED, text)))
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
