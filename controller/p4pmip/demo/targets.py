"""The switches of the demo: the softswitch in this process, or BMv2 in processes of its own."""

import asyncio
import shutil
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from p4pmip.demo.dataplane import Dataplane
from p4pmip.demo.fabric import SwitchPorts
from p4pmip.errors import P4pmipError
from p4pmip.p4runtime.quirks import PROFILES
from p4pmip.p4runtime.target import Target
from p4pmip.softswitch import SoftSwitch

CPU_PORT, DROP_PORT = 510, 511
BMV2 = "simple_switch_grpc"
START_SECONDS = 10.0


class TargetMissing(P4pmipError):
    """The machine lacks what a kind of switch needs."""


@dataclass(frozen=True, slots=True)
class Running:
    """A switch that runs: where its P4Runtime is, and its ports."""

    target: Target
    ports: SwitchPorts
    start: Callable[[], None] = lambda: None
    """To be called once the switch has a pipeline: before that, ports may be dead."""


Starter = Callable[[str, int, Path], AbstractAsyncContextManager[Running]]
"""(name, device id, folder for sockets and logs): the switch runs while the context lasts."""


@asynccontextmanager
async def softswitch(name: str, device_id: int, folder: Path, executor: str = "interpreter") -> AsyncIterator[Running]:
    """A softswitch in this process; its P4Runtime goes over gRPC all the same."""
    switch = SoftSwitch(device_id, CPU_PORT, DROP_PORT, executor=executor)
    async with switch.serve(f"unix:{folder / name}.sock") as address:
        yield Running(Target(address, device_id, name, quirks=PROFILES["softswitch"]), switch)


@cache
def thrift_words(program: str = BMV2) -> tuple[str, ...]:
    """What a BMv2 built with Thrift (not all are) must be told: else it wants port 9090, which only one can have.

    Raises:
        OSError: There is no such program.
    """
    said = subprocess.run([program, "--help"], capture_output=True, text=True, check=False)
    return ("--thrift-port", "0") if "--thrift-port" in said.stdout else ()


@asynccontextmanager
async def bmv2(name: str, device_id: int, folder: Path) -> AsyncIterator[Running]:
    """A `simple_switch_grpc` process whose packets come and go over gRPC, so that it needs no root.

    Raises:
        TargetMissing: It is not on PATH, or did not start; its last words are in the message.
    """
    program = shutil.which(BMV2)
    if program is None:
        raise TargetMissing("--target", "bmv2", f"{BMV2} is not on PATH", ("softswitch",))
    control, data, log = folder / f"{name}.sock", folder / f"{name}-data.sock", folder / f"{name}.log"
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            program, "--no-p4", "--device-id", str(device_id), *thrift_words(program), "--",
            "--grpc-server-addr", f"unix:{control}", "--dp-grpc-server-addr", f"unix:{data}",
            "--cpu-port", str(CPU_PORT), "--drop-port", str(DROP_PORT),
            stdout=output, stderr=output,
        )  # fmt: skip
    ports = Dataplane(f"unix:{data}", device_id)
    try:
        ended = asyncio.create_task(process.wait())
        connected = asyncio.create_task(ports.connect(START_SECONDS))
        await asyncio.wait({ended, connected}, return_when=asyncio.FIRST_COMPLETED)
        ended.cancel()
        if process.returncode is not None or connected.exception() is not None:
            connected.cancel()
            last = log.read_text(errors="replace").strip().splitlines()[-3:]
            how = "does not serve" if process.returncode is None else f"ended with status {process.returncode}"
            raise TargetMissing("--target", "bmv2", " | ".join((f"{BMV2} {how}", *last)))
        yield Running(Target(f"unix:{control}", device_id, name, quirks=PROFILES["bmv2"]), ports, ports.start)
    finally:
        await ports.close()
        if process.returncode is None:
            process.terminate()
        await process.wait()


STARTERS: dict[str, Starter] = {"softswitch": softswitch, "bmv2": bmv2}
