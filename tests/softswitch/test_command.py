"""`p4pmip switch` as a process: its flags, its ports, its errors, and that it leaves nothing behind."""

import asyncio
import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from p4pmip.softswitch.ports.linux import LinuxPort
from p4pmip.softswitch.ports.pcap import PcapWriter, read_pcap
from p4pmip.softswitch.ports.ring import Incoming
from p4pmip.softswitch.process.dataplane import MESSAGES, SERVICE
from p4pmip.softswitch.target.endpoint import DROPPED, EXPLAIN_SERVICE

PROGRAMS = Path(__file__).parent / "programs"
COMMAND = [sys.executable, "-m", "p4pmip.cli.main", "switch"]
FRAME = bytes.fromhex("1103 0000 01020304".replace(" ", ""))
"""features.p4: code 17 looks the value up among const entries and sends to the port beside."""


def forwarder(switch: int) -> int:
    """The forwarding process of a switch's process."""
    (child,) = Path(f"/proc/{switch}/task/{switch}/children").read_text().split()
    assert b"softswitch.process.forwarder" in Path(f"/proc/{child}/cmdline").read_bytes()
    return int(child)


def stopped(process: int) -> None:
    """Wait until each thread has heeded SIGSTOP."""
    while not all(b") T " in stat.read_bytes() for stat in Path(f"/proc/{process}/task").glob("*/stat")):
        os.sched_yield()


async def ended(process: int) -> None:
    """Wait for the end of a process that is no child of this one, if it has not ended yet."""
    try:
        gone = os.pidfd_open(process)
    except ProcessLookupError:
        return
    event, loop = asyncio.Event(), asyncio.get_running_loop()
    loop.add_reader(gone, event.set)
    try:
        await asyncio.wait_for(event.wait(), 10)
    finally:
        loop.remove_reader(gone)
        os.close(gone)


class Running:
    """A switch process and the addresses that it printed."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.text = ""

    async def address(self, what: str) -> str:
        """The address in the line that names `what`."""
        assert self.process.stderr is not None
        while not (found := re.search(rf"{what} on ([^\s,]+)", self.text)):
            line = await asyncio.wait_for(self.process.stderr.readline(), 20)
            assert line, f"the switch ended: {self.text}"
            self.text += line.decode()
        return found[1]


@contextlib.asynccontextmanager
async def switch(*arguments: str, **options: Any) -> AsyncIterator[Running]:
    """Run the command and end it with SIGTERM."""
    process = await asyncio.create_subprocess_exec(
        *COMMAND, *arguments, "--grpc-server-addr", "127.0.0.1:0", stderr=asyncio.subprocess.PIPE, **options
    )
    try:
        yield Running(process)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), 10) == 0


async def test_packets_over_grpc_and_nothing_left_behind() -> None:
    program = str(PROGRAMS / "features.json")
    arguments = ["--device-id", "7", program, "--", "--cpu-port", "510", "--dp-grpc-server-addr", "127.0.0.1:0"]
    async with switch(*arguments) as running:
        address = await running.address("packets over gRPC")
        child = forwarder(running.process.pid)
        async with grpc.aio.insecure_channel(address) as channel:
            packets: Any = channel.stream_stream(
                f"/{SERVICE}/PacketStream",
                MESSAGES["PacketStreamRequest"].SerializeToString,
                MESSAGES["PacketStreamResponse"].FromString,
            )()
            await packets.write(MESSAGES["PacketStreamRequest"](device_id=7, port=4, packet=FRAME))
            response = await asyncio.wait_for(packets.read(), 10)
        assert (response.port, response.packet) == (5, FRAME)
    # The switch waits for it before it ends itself.
    with pytest.raises(ProcessLookupError):
        os.kill(child, 0)


async def asked(address: str, method: str, request: bytes) -> bytes:
    """The answer to a unary RPC."""
    async with grpc.aio.insecure_channel(address) as channel:
        call: Any = channel.unary_unary(method)
        answer: bytes = await call(request)
        return answer


async def test_what_was_dropped_is_said() -> None:
    arguments = ["--device-id", "7", "--no-p4", "--", "--dp-grpc-server-addr", "127.0.0.1:0"]
    async with switch(*arguments) as running:
        address = await running.address("packets over gRPC")
        p4runtime = await running.address("P4Runtime")
        async with grpc.aio.insecure_channel(address) as channel:
            packets: Any = channel.stream_stream(
                f"/{SERVICE}/PacketStream", MESSAGES["PacketStreamRequest"].SerializeToString, None
            )()
            for _ in range(3):
                await packets.write(MESSAGES["PacketStreamRequest"](device_id=7, port=4, packet=FRAME))
            counted: dict[str, int] = {}
            async with asyncio.timeout(10):
                while counted.get("no_pipeline", 0) < 3:
                    counted = json.loads(await asked(p4runtime, DROPPED, b""))
        assert counted == {"no_pipeline": 3}
        running.process.send_signal(signal.SIGUSR1)
        assert running.process.stderr is not None
        line = b"p4pmip switch: dropped: no_pipeline 3\n"
        assert await asyncio.wait_for(running.process.stderr.readline(), 10) == line
    assert await running.process.stderr.read() == line


@pytest.mark.parametrize("words", [b"", b"\xff", b"[]", b"{}", b'{"port": 1, "hex": "zz"}', b'{"port": {}, "hex": ""}'])
async def test_a_trace_that_cannot_be_read(words: bytes) -> None:
    async with switch("--no-p4") as running:
        address = await running.address("P4Runtime")
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await asked(address, f"/{EXPLAIN_SERVICE}/Trace", words)
        assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert json.loads(await asked(address, DROPPED, b"")) == {}


async def test_the_forwarding_process_ends_with_its_parent() -> None:
    process = await asyncio.create_subprocess_exec(
        *COMMAND, "--grpc-server-addr", "127.0.0.1:0", stderr=asyncio.subprocess.PIPE
    )
    await Running(process).address("P4Runtime")
    child = forwarder(process.pid)
    process.kill()
    await process.wait()
    await ended(child)


async def test_files_as_ports(tmp_path: Path) -> None:
    source = PcapWriter(tmp_path / "left_in.pcap")
    source.write(FRAME, 1.5)
    source.close()
    for name in ("left", "right"):
        if name == "right":
            PcapWriter(tmp_path / "right_in.pcap").close()
    arguments = ["-i", "0@left", "-i", "1@right", "--use-files", "0", str(PROGRAMS / "features.json")]
    async with switch(*arguments, cwd=tmp_path) as running:
        # The packets are played before anything else is done.
        await running.address("P4Runtime")
    assert [frame for _, frame in read_pcap(tmp_path / "right_out.pcap")] == [FRAME]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["-i", "veth0"], "--interface: is not a port and an interface: 'veth0' (valid: PORT@INTERFACE, as 1@veth0)"),
        (["-i", "1@a", "-i", "1@b"], "gives two interfaces the same port"),
        (["--cpu-port", "511"], "--cpu-port: is the drop port: 511"),
        (["-i", "3@a", "--cpu-port", "3"], "--cpu-port: is also the number of an interface: 3"),
        (["--no-p4", "x.json"], "--no-p4: a program is given nevertheless"),
        (["nowhere.json"], "JSON: No such file or directory: 'nowhere.json'"),
        (["--grpc-server-ssl"], "needs a certificate and a key"),
        (["--pcap", "/nowhere"], "--pcap: is no directory: '/nowhere'"),
        (["--dp-grpc-server-addr", "127.0.0.1:0", "-i", "1@a"], "cannot be used together with -i"),
        (["-i", "1@no-such-interface"], "switch: cannot start: 'interface no-such-interface: No such device'"),
        (["-i", "4294967296@a"], "--interface: is no port number: '4294967296@a'"),
        (["--device-id", "-1"], "--device-id: does not fit 64 bits: -1"),
        (["--use-files", "nan"], "--use-files: is no time to wait: nan"),
        (["--use-files", "0", "-i", "1@a"], "switch: cannot start: 'a_in.pcap: No such file or directory'"),
        (["--p4info", "x"], "--p4info: goes with a program: 'x'"),
        (["/dev/null"], "JSON: is not the BMv2 JSON that p4c-bm2-ss writes (Expecting value"),
        (
            ["--grpc-server-addr", "127.0.0.1:99999"],
            "--grpc-server-addr: is no address to listen on: '127.0.0.1:99999'",
        ),
        (["--grpc-server-addr", "127.0.0.1"], "(valid: HOST:PORT, [IPV6]:PORT, unix:PATH)"),
        (["--grpc-server-addr", "unix:/nowhere/x"], "cannot listen on unix:/nowhere/x: No such file or directory"),
        (["--dp-grpc-server-addr", "unix:/nowhere/x"], "--dp-grpc-server-addr: cannot listen on unix:/nowhere/x"),
        (["--grpc-server-key", "x"], "--grpc-server-key: needs TLS (valid: --grpc-server-ssl)"),
        (
            ["--grpc-server-ssl", "--grpc-server-key", "/dev/null", "--grpc-server-cert", "/dev/null"],
            "--grpc-server-cert: is no PEM certificate with its key: '/dev/null, /dev/null'",
        ),
    ],
)
def test_bad_arguments_get_one_line(arguments: list[str], text: str, tmp_path: Path) -> None:
    if os.geteuid() != 0 and "no-such-interface" in arguments[-1]:
        pytest.skip("packet sockets need root")
    done = subprocess.run(
        [*COMMAND, "--grpc-server-addr", "127.0.0.1:0", *arguments],
        capture_output=True, text=True, timeout=30, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 2
    assert text in done.stderr
    assert done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_an_unsupported_program_is_refused_by_name_and_place(tmp_path: Path) -> None:
    text = (PROGRAMS / "features.json").read_text()
    (tmp_path / "bad.json").write_text(text.replace('"op" : "truncate"', '"op" : "warp"'))
    done = subprocess.run([*COMMAND, str(tmp_path / "bad.json")], capture_output=True, text=True, timeout=30)
    assert done.returncode == 2
    assert re.search(r"features.p4:\d+:\d+: primitive not supported: 'warp' \(valid: add_header, ", done.stderr)


@pytest.fixture
def veths() -> Iterator[tuple[str, str, str, str]]:
    """Two pairs of interfaces: (host a, switch a, switch b, host b)."""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        pytest.skip("interfaces need root and `ip`")
    name = f"sw{os.getpid()}"
    pairs = [(f"{name}ha", f"{name}sa"), (f"{name}hb", f"{name}sb")]
    made = []
    try:
        for host, port in pairs:
            subprocess.run(["ip", "link", "add", host, "type", "veth", "peer", "name", port], check=True)
            made.append(host)
            for one in (host, port):
                Path(f"/proc/sys/net/ipv6/conf/{one}/disable_ipv6").write_text("1")
                subprocess.run(["ip", "link", "set", one, "up"], check=True)
        yield pairs[0][0], pairs[0][1], pairs[1][1], pairs[1][0]
    finally:
        for host in made:
            subprocess.run(["ip", "link", "del", host], check=True)


async def test_linux_interfaces_and_their_captures(veths: tuple[str, str, str, str], tmp_path: Path) -> None:
    host_a, port_a, port_b, host_b = veths
    frame = FRAME + bytes(60)
    tagged = bytes.fromhex("110301020304010203040506") + bytes.fromhex("8100002a0800") + bytes(50)
    arguments = ["-i", f"2@{port_a}", "-i", f"3@{port_b}", "--pcap", str(tmp_path), str(PROGRAMS / "features.json")]
    async with switch(*arguments) as running:
        await running.address("P4Runtime")
        a, b = LinuxPort(0, host_a), LinuxPort(0, host_b)
        try:
            for sent in (frame, tagged):
                assert a.send(sent)
                got = await _frame(b, sent[:1])
                assert got[:2] == sent[:2]
                assert got[4:] == sent[4:]
        finally:
            a.close()
            b.close()
    assert [one for _, one in read_pcap(tmp_path / f"{port_a}_in.pcap")] == [frame, tagged]
    assert len(list(read_pcap(tmp_path / f"{port_b}_out.pcap"))) == 2


async def run(*command: str) -> None:
    """A command that must succeed."""
    process = await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.DEVNULL)
    assert await process.wait() == 0, command


@pytest.mark.parametrize("executor", ["native", "interpreter"])
async def test_many_frames_by_each_executor(veths: tuple[str, str, str, str], executor: str) -> None:
    host_a, port_a, port_b, host_b = veths
    frames = [bytes([code, value, 0, 0]) + bytes(56) for code in (0, 0x11, 7, 9) for value in range(60)]
    arguments = ["-i", f"2@{port_a}", "-i", f"3@{port_b}", "--executor", executor, str(PROGRAMS / "features.json")]
    async with switch(*arguments) as running:
        await running.address("P4Runtime")
        assert f"executor {executor}" in running.text
        a, b = LinuxPort(0, host_a), LinuxPort(0, host_b)
        try:
            for sent in frames:
                assert a.send(sent)
            for sent in frames:
                got = await _frame(b, sent[:2])
                assert got[4:] == sent[4:]
        finally:
            a.close()
            b.close()


@pytest.mark.parametrize("executor", ["native", "interpreter"])
async def test_frames_beyond_a_full_ring_are_counted(veths: tuple[str, str, str, str], executor: str) -> None:
    host_a, port_a, _, _ = veths
    arguments = ["-i", f"2@{port_a}", "--executor", executor, str(PROGRAMS / "features.json")]
    a = LinuxPort(0, host_a)
    slots, beyond = a.ring.words[Incoming.SLOTS], 5
    async with switch(*arguments) as running:
        await running.address("P4Runtime")
        child = forwarder(running.process.pid)
        os.kill(child, signal.SIGSTOP)
        stopped(child)
        for _ in range(slots + beyond):
            assert a.send(bytes(60))
        os.kill(child, signal.SIGCONT)
    a.close()
    assert running.process.stderr is not None
    told = re.search(r"ring_full (\d+)", (await running.process.stderr.read()).decode())
    assert told is not None
    assert int(told[1]) >= beyond


async def _frame(port: LinuxPort, start: bytes) -> bytes:
    """The next frame that starts so."""
    loop = asyncio.get_running_loop()
    while True:
        ready = asyncio.Event()
        loop.add_reader(port.fileno(), ready.set)
        await asyncio.wait_for(ready.wait(), 10)
        loop.remove_reader(port.fileno())
        frame = port.receive()
        if frame is not None and frame.startswith(start):
            return frame


async def test_a_lost_interface_leaves_the_others(veths: tuple[str, str, str, str]) -> None:
    _, port_a, _, _ = veths
    extra = f"sw{os.getpid()}x"
    await run("ip", "link", "add", extra, "type", "veth", "peer", "name", f"{extra}p")
    await run("ip", "link", "set", extra, "up")
    async with switch("-i", f"2@{port_a}", "-i", f"3@{extra}", str(PROGRAMS / "features.json")) as running:
        await running.address("P4Runtime")
        await run("ip", "link", "del", extra)
        assert running.process.stderr is not None
        line = await asyncio.wait_for(running.process.stderr.readline(), 10)
        assert f"port 3 ({extra}) is lost" in line.decode()
        assert running.process.returncode is None


@pytest.mark.parametrize("executor", ["native", "interpreter"])
async def test_an_interface_goes_down_and_up_again(veths: tuple[str, str, str, str], executor: str) -> None:
    host_a, port_a, port_b, host_b = veths
    sent = bytes([0, 9, 0, 0]) + bytes(56)
    arguments = ["-i", f"2@{port_a}", "-i", f"3@{port_b}", "--executor", executor, str(PROGRAMS / "features.json")]
    async with switch(*arguments) as running:
        await running.address("P4Runtime")
        for state in ("down", "up"):
            await run("ip", "link", "set", port_a, state)
        a, b = LinuxPort(0, host_a), LinuxPort(0, host_b)
        try:
            assert a.send(sent)
            await _frame(b, sent[:2])
        finally:
            a.close()
            b.close()


async def test_tls(tmp_path: Path) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not on PATH")
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    await run(
        "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", str(key), "-out", str(certificate),
        "-days", "1", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost",
    )  # fmt: skip
    arguments = ["--grpc-server-ssl", "--grpc-server-key", str(key), "--grpc-server-cert", str(certificate)]
    async with switch(*arguments) as running:
        port = (await running.address("P4Runtime")).rsplit(":", 1)[1]
        credentials = grpc.ssl_channel_credentials(certificate.read_bytes())
        async with grpc.aio.secure_channel(f"localhost:{port}", credentials) as channel:
            call: Any = channel.unary_unary("/p4.v1.P4Runtime/Capabilities")
            assert b"1.4" in await call(b"", timeout=10)


def test_a_taken_address_is_said(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        done = subprocess.run(
            [*COMMAND, "--grpc-server-addr", address], capture_output=True, text=True, timeout=30, cwd=tmp_path
        )
    assert done.returncode == 2
    assert f"--grpc-server-addr: cannot listen on {address}: Address already in use" in done.stderr
    assert done.stderr.count("\n") == 1


async def test_a_unix_socket_that_is_listened_at_is_not_taken_over(tmp_path: Path) -> None:
    address = f"unix:{tmp_path / 's'}"
    server = await asyncio.start_unix_server(lambda _reader, writer: writer.close(), tmp_path / "s")
    async with server:
        process = await asyncio.create_subprocess_exec(
            *COMMAND, "--grpc-server-addr", address, stderr=asyncio.subprocess.PIPE
        )
        _, said = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 2
    assert said.decode() == (
        f"p4pmip: --grpc-server-addr: cannot listen on {address}: Address already in use: '{address}'\n"
    )
