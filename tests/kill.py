"""Kill the LMA, a MAG or a switch at random instants under load: `python tests/kill.py [kills] [executor] [seed]`.

Every process is real: two switches, an LMA, a MAG, each killed with SIGKILL and started again while mobile nodes attach
at 100 a second. After each: no binding that the MAG had been acknowledged is lost or has another uplink key, no key
stands for two sessions, and both switches hold what they should. While a node is down, datagrams of a session that is
there go both ways through the switches, and every one arrives.
"""

import asyncio
import random
import socket
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from tests.node.world import Document, document, write
from tests.traffic import ACCESS, MAC, Traffic

from p4pmip.cli._arguments import count
from p4pmip.cli.main import Parser
from p4pmip.demo import figure1
from p4pmip.demo.targets import BMV2, thrift_words
from p4pmip.errors import P4pmipError
from p4pmip.node.client import NodeClient

RATE = 100.0
SECONDS = 60.0
NODES = ("lma", "mag-1")
P4PMIP = (sys.executable, "-m", "p4pmip.cli.main")


class Process:
    """One program, of p4pmip unless another is given, with its log.

    It is ready once it says `ready`, or listens there where that is an address and port.
    """

    def __init__(self, folder: Path, name: str, ready: str, *arguments: str, program: tuple[str, ...] = P4PMIP) -> None:
        self.name, self._ready, self._arguments = name, ready, (*program, *arguments)
        self._log = folder / f"{name}.log"
        self._child: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Start it; returns once it is ready."""
        with self._log.open("ab") as log:
            at = log.tell()
            self._child = await asyncio.create_subprocess_exec(*self._arguments, stdout=log, stderr=log)
        deadline = time.monotonic() + SECONDS
        while not await self._is_ready(at):
            if time.monotonic() > deadline or self._child.returncode is not None:
                raise SystemExit(f"kill: {self.name} did not start:\n{self._log.read_text()[-2000:]}")
            await asyncio.sleep(0.02)

    async def _is_ready(self, at: int) -> bool:
        host, colon, port = self._ready.partition(":")
        if not colon:
            return self._ready in self._log.read_text()[at:]
        try:
            writer = (await asyncio.open_connection(host, int(port)))[1]
        except ConnectionRefusedError:
            return False
        writer.close()
        return True

    @property
    def pid(self) -> int:
        """Its number, once started."""
        assert self._child is not None
        return self._child.pid

    async def kill(self) -> None:
        """End it without a word."""
        if self._child is not None and self._child.returncode is None:
            self._child.kill()
            await self._child.wait()


def switch(folder: Path, name: str, target: str, kind: str = "softswitch", executor: str = "") -> Process:
    """The switch of a node: a softswitch with one of its executors, or BMv2; its packets come and go by gRPC."""
    address, _, device_id = target.partition("/")
    common = ("--no-p4", "--device-id", device_id)
    more = ("--", "--grpc-server-addr", address, "--dp-grpc-server-addr", packets(folder, name), "--cpu-port", "510")
    if kind == "bmv2":
        return Process(folder, f"switch-{name}", address, *common, *thrift_words(), *more, program=(BMV2,))
    executed = ("--executor", executor) if executor else ()
    return Process(folder, f"switch-{name}", address, "switch", *executed, *common, *more)


def packets(folder: Path, name: str) -> str:
    """Where the packet service of a node's switch is."""
    return f"unix:{folder / name}.packets"


def free_target(device_id: int) -> str:
    """A switch's address on a port that nobody has."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{free.getsockname()[1]}/{device_id}"


def configuration(folder: Path) -> Document:
    """Figure 1 with one MAG; mobile nodes are those of operator A, by their link-layer addresses."""
    found = document(folder)
    del found["nodes"]["mag-2"], found["mobile_nodes"]
    for number, name in enumerate(NODES, 1):
        found["nodes"][name]["target"] = free_target(number)
    found["nodes"]["lma"]["lma"]["min_delay_before_bce_delete"] = 3600
    found["nodes"]["mag-1"]["mag"]["idle_timeout"] = 3600
    for port in found["nodes"]["mag-1"]["ports"]:
        if port["role"] == "access":
            port["realm"] = "operator-a"
    return found


async def load(folder: Path, first: int) -> None:
    """Attach mobile nodes for ever, whoever is there to take them."""
    client = NodeClient(str(folder / "mag-1.admin"))
    number = first
    while True:
        number += 1
        mac = f"02:01:{number >> 24 & 255:02x}:{number >> 16 & 255:02x}:{number >> 8 & 255:02x}:{number & 255:02x}"
        with suppress(P4pmipError):  # it is just being killed
            await asyncio.to_thread(client.post, "/attach", mn=mac, link=str(figure1.ACCESS_PORTS[0]))
        await asyncio.sleep(1 / RATE)


async def bindings(folder: Path, name: str) -> dict[str, tuple[int, int]]:
    """MN-Identifier: uplink key and downlink key, of bindings that are granted."""
    found = await asyncio.to_thread(NodeClient(str(folder / f"{name}.admin")).get, "/bindings")
    return {
        row["mn"]: (row["uplink_key"], row["downlink_key"]) for row in found["bindings"] if row["state"] != "proposed"
    }


async def differences(folder: Path, content: Document, name: str) -> str:
    """What `p4pmip diff` says of the node's switch, once nothing is under way."""
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "p4pmip.cli.main", "diff", content["nodes"][name]["target"],
        "--node", str(folder / f"{name}.admin"), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    output = (await child.communicate())[0].decode()
    return "" if child.returncode == 0 else output or "it has no pipeline"


async def session(folder: Path) -> str:
    """Attach the mobile node whose traffic must go on; its home address."""
    mn = MAC.hex(":")
    await asyncio.to_thread(NodeClient(str(folder / "mag-1.admin")).post, "/attach", mn=mn, link=str(ACCESS))
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        found = await asyncio.to_thread(NodeClient(str(folder / "mag-1.admin")).get, "/bindings")
        for row in found["bindings"]:
            if row["mn"].startswith(MAC.hex()) and row["state"] == "active":
                return str(row["ipv4"])
        await asyncio.sleep(0.02)
    raise SystemExit("kill: the mobile node was not attached")


async def kill_one(victim: Process, traffic: Traffic) -> str:
    """Kill a process and start it again; what was wrong with the traffic meanwhile."""
    if victim.name not in NODES:
        await traffic.close()
        await victim.kill()
        await victim.start()
        return ""
    flowing = asyncio.create_task(traffic.flow())
    await victim.kill()
    await victim.start()
    flowing.cancel()
    await asyncio.gather(flowing, return_exceptions=True)
    sent, lost = await traffic.lost()
    return f"{lost} of {sent} datagrams lost while it was down" if lost or not sent else ""


async def main(kills: int, executor: str, seed: int) -> int:
    """The answer is the exit status; who is killed after how long is the seed's."""
    randomness, failures = random.Random(seed), 0
    with tempfile.TemporaryDirectory(prefix="p4pmip-kill-") as temporary:
        folder = Path(temporary)
        content = configuration(folder)
        path = write(folder / "figure-1.toml", content)
        processes = []
        for name in NODES:
            processes.append(switch(folder, name, content["nodes"][name]["target"], executor=executor))
        processes += [
            Process(folder, name, f"{name} serves", "run", str(path), "--node", name) for name in NODES
        ]  # fmt: skip
        traffic = Traffic({name: packets(folder, name) for name in NODES})
        try:
            for process in processes:
                await process.start()
            await traffic.connect()
            traffic.attached(await session(folder))
            for kill in range(1, kills + 1):
                attaching = asyncio.create_task(load(folder, kill << 16))
                await asyncio.sleep(randomness.uniform(0.3, 1.3))
                acknowledged = await bindings(folder, "mag-1")
                await asyncio.sleep(randomness.uniform(0.0, 0.05))
                victim = randomness.choice(processes)
                trouble = await kill_one(victim, traffic)
                attaching.cancel()
                await asyncio.gather(attaching, return_exceptions=True)
                failures += await judge(folder, content, f"{kill}: {victim.name}", acknowledged, trouble)
                if victim.name not in NODES:
                    await traffic.connect()
        finally:
            await traffic.close()
            for process in reversed(processes):
                await process.kill()
    print(f"{kills} kills, {failures} failures; seed {seed}")
    return 1 if failures else 0


async def judge(
    folder: Path, content: Document, what: str, acknowledged: dict[str, tuple[int, int]], trouble: str
) -> int:
    """Compare what was acknowledged with what is there; answers the number of faults."""
    held = await bindings(folder, "lma")
    lost = [mn for mn, keys in acknowledged.items() if held.get(mn, (None,))[0] != keys[0]]
    keys = [uplink for uplink, _ in held.values()]
    found = [trouble] if trouble else []
    found += [f"lost or changed: {len(lost)} of {len(acknowledged)}"] if lost else []
    found += ["a key stands for two sessions"] if len(set(keys)) != len(keys) else []
    deadline = time.monotonic() + SECONDS
    for name in NODES:
        while said := await differences(folder, content, name):
            if time.monotonic() > deadline:
                found.append(f"the switch of {name} differs: {said.splitlines()[-1]}")
                break
    print(f"{what}: {len(held)} bindings, {'; '.join(found) or 'good'}", flush=True)
    return len(found)


if __name__ == "__main__":
    parser = Parser(prog="kill", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("kills", nargs="?", type=count, default=10)
    parser.add_argument("executor", nargs="?", choices=("native", "interpreter", ""), default="")
    parser.add_argument("seed", nargs="?", type=int, default=random.SystemRandom().randrange(1 << 32))
    given = parser.parse_args()
    sys.exit(asyncio.run(main(given.kills, given.executor, given.seed)))
