"""`p4pmip switch`: start the forwarding process, serve P4Runtime, end both on a signal."""

import asyncio
import contextlib
import json
import os
import signal
import ssl
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import grpc

from p4pmip.errors import P4pmipError
from p4pmip.loop import run as run_loop
from p4pmip.softswitch.files import load_program, read_octets, read_p4info
from p4pmip.softswitch.process.dataplane import DataplaneInterface, start_dataplane
from p4pmip.softswitch.process.forwarder import Options
from p4pmip.softswitch.process.remote import RemoteLink
from p4pmip.softswitch.service import start_server
from p4pmip.softswitch.target.endpoint import DROPPED
from p4pmip.softswitch.target.stubs import p4runtime

GRACE = 0.5


@dataclass(frozen=True, slots=True)
class Command:
    """What a person asked for."""

    device_id: int
    cpu_port: int
    drop_port: int
    interfaces: tuple[tuple[int, str], ...]
    grpc_address: str
    dataplane_address: str | None
    json: Path | None
    p4info: Path | None
    pcap: Path | None
    use_files: float | None
    executor: str
    tls: "Tls | None"


@dataclass(frozen=True, slots=True)
class Tls:
    """The server's certificate and key, and the authority that clients must come from."""

    certificate: Path
    key: Path
    authority: Path | None
    client_auth: bool

    def credentials(self) -> grpc.ServerCredentials:
        """For gRPC.

        Raises:
            P4pmipError: a file cannot be read.
        """
        authority = None if self.authority is None else read_octets("--grpc-server-cacert", self.authority)
        pair = (read_octets("--grpc-server-key", self.key), read_octets("--grpc-server-cert", self.certificate))
        # gRPC would only say that it cannot listen.
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        try:
            context.load_cert_chain(self.certificate, self.key, password=lambda: "")
        except (ssl.SSLError, ValueError) as error:
            words = f"{self.certificate}, {self.key}"
            raise P4pmipError("--grpc-server-cert", words, "is no PEM certificate with its key") from error
        if self.authority is not None:
            try:
                context.load_verify_locations(self.authority)
            except ssl.SSLError as error:
                raise P4pmipError("--grpc-server-cacert", str(self.authority), "is no PEM certificate") from error
        return grpc.ssl_server_credentials([pair], authority, self.client_auth)


def program(command: Command) -> "p4runtime.ForwardingPipelineConfig | None":
    """The program that was named on the command line, checked; its P4Info stands next to it unless it is named."""
    if command.json is None:
        return None
    config = p4runtime.ForwardingPipelineConfig(p4_device_config=read_octets("JSON", command.json))
    stem = command.json.with_suffix("")
    beside = [Path(f"{stem}{suffix}") for suffix in (".p4info.txtpb", ".p4info.txt", ".p4info.pb.txt")]
    path = command.p4info or next((one for one in beside if one.exists()), None)
    if path is not None:
        config.p4info.CopyFrom(read_p4info("--p4info", path))
    load_program("JSON", command.json, config, command.drop_port)
    return config


async def serve(command: Command) -> int:
    """Run until SIGTERM or SIGINT; 1 if the forwarding process was lost."""
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    credentials = command.tls.credentials() if command.tls else None
    async with contextlib.AsyncExitStack() as stack:
        link = RemoteLink(_options(command, stack))
        link.on_notice = say
        stack.push_async_callback(link.stop)
        await link.start()
        if command.dataplane_address is not None:
            interface = DataplaneInterface(command.device_id, link.packet)
            link.on_packet = interface.leave
            with _listening("--dp-grpc-server-addr", command.dataplane_address):
                dataplane, bound = await start_dataplane(interface, command.dataplane_address)
            stack.push_async_callback(dataplane.stop, GRACE)
            say(f"packets over gRPC on {bound}")
        with _listening("--grpc-server-addr", command.grpc_address):
            server, bound = await start_server(link, command.grpc_address, credentials)
        stack.push_async_callback(server.stop, GRACE)
        asked = asyncio.Event()
        loop.add_signal_handler(signal.SIGUSR1, asked.set)
        telling = asyncio.create_task(_say_dropped_when(asked, link))
        stack.callback(telling.cancel)
        say(f"P4Runtime on {bound}, device {command.device_id}, executor {command.executor}")
        waits = [asyncio.create_task(stop.wait()), asyncio.create_task(link.lost.wait())]
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for one in waits:
            one.cancel()
        if not stop.is_set():
            say("the forwarding process has ended unexpectedly")
            return 1
        await _say_dropped(link)
    return 0


async def _say_dropped_when(asked: asyncio.Event, link: RemoteLink) -> None:
    while await asked.wait():
        asked.clear()
        await _say_dropped(link)


async def _say_dropped(link: RemoteLink) -> None:
    """A line for a person: what was dropped since the start, by reason."""
    reply = await link.call(DROPPED, b"")
    if reply.responses:
        found = json.loads(reply.responses[0])
        say("dropped: " + (", ".join(f"{reason} {count}" for reason, count in sorted(found.items())) or "nothing"))


@contextlib.contextmanager
def _listening(option: str, address: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise P4pmipError(option, address, str(error)) from error


def _options(command: Command, stack: contextlib.AsyncExitStack) -> Options:
    config = program(command)
    path = None
    if config is not None:
        descriptor, path = tempfile.mkstemp(prefix="p4pmip-switch-")
        with os.fdopen(descriptor, "wb") as file:
            file.write(config.SerializeToString())
        stack.callback(Path(path).unlink, True)
    return Options(
        command.device_id,
        command.cpu_port,
        command.drop_port,
        command.interfaces,
        None if command.pcap is None else str(command.pcap),
        command.use_files,
        command.executor,
        path,
    )


def say(text: str) -> None:
    """One line for a person."""
    sys.stderr.write(f"p4pmip switch: {text}\n")
    sys.stderr.flush()


def run(command: Command) -> int:
    """Run the switch."""
    return run_loop(serve(command))
