"""The lab of Figure 1: Mininet, the switches, the nodes, the captures, and a command line to play with them.

lab.py [--target softswitch|bmv2]
"""

import argparse
import json
import shutil
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType, TracebackType

try:
    import mininet.net
except ImportError:
    sys.exit(
        "The lab needs Mininet. On Debian: apt-get install --no-install-recommends mininet bridge-utils iputils-ping"
        " ethtool iproute2 iperf3 udhcpc traceroute nftables; and in the environment: pip install mininet==2.3.0.dev6"
    )

import figure1
from mininet.cli import CLI
from mininet.log import setLogLevel

from p4pmip.wire.capture import Frame, read
from p4pmip.wire.message import Message
from p4pmip.wire.packet import decode_frame

HERE = Path(__file__).resolve().parent
TOOLS = ("mnexec", "ifconfig", "brctl", "ping", "ethtool", "ip", "bridge", "udhcpc", "iperf3", "traceroute", "nft")
WAIT_SECONDS = 15.0


def missing_tools(target: str) -> list[str]:
    """Programs that the lab starts and that are not there."""
    wanted = (*TOOLS, "simple_switch_grpc") if target == "bmv2" else TOOLS
    return [tool for tool in wanted if shutil.which(tool) is None]


class Interrupted(Exception):
    """Somebody wants the lab to end."""


def _interrupt(number: int, _frame: FrameType | None) -> None:
    raise Interrupted(signal.Signals(number).name)


class Lab:
    """The running topology; leaving the `with` block ends every process, interface and namespace of it."""

    def __init__(self, settings: figure1.Settings) -> None:
        self.settings = settings
        self.directory = settings.directory
        self.captures = self.directory / "captures"
        self._programs: list[figure1.Program] = []
        self._net = None

    def __enter__(self) -> "Lab":
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, _interrupt)
        self.captures.mkdir(parents=True, exist_ok=True)
        self._net = mininet.net.Mininet(topo=figure1.Figure1(settings=self.settings), controller=None)
        try:
            # The captures come first: the first packet matters.
            for name in ("lma", *figure1.MAGS, "air", "control"):
                self._capture(name)
            self._net.start()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def _end(self) -> None:
        """Whatever happens meanwhile, a second Ctrl-C included, everything ends."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        try:
            for program in self._programs:
                program.stop()
        finally:
            if self._net is not None:
                self._net.stop()
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                signal.signal(number, signal.SIG_DFL)

    def _capture(self, name: str) -> None:
        node = self[name]
        interfaces = [str(one) for port, one in node.intfs.items() if port and port < figure1.CONTROL_PORT]
        command = [sys.executable, str(HERE / "capture.py"), str(self.captures), *interfaces]
        program = figure1.Program(node, f"capture {name}", command, self.captures / f"{name}.log", self.directory)
        self._programs.append(program)
        program.start()
        program.await_ready(lambda: all((self.captures / f"{one}.pcap").exists() for one in interfaces))

    def __getitem__(self, name: str):  # type: ignore[no-untyped-def]
        """A host, switch or LAN of the topology."""
        assert self._net is not None
        return self._net[name]

    @property
    def net(self):  # type: ignore[no-untyped-def]
        """Mininet's own view."""
        return self._net

    # --- what a scenario does ---------------------------------------------------------------------

    def attach(self, mobile_node: str, mag: str, seconds: float = WAIT_SECONDS) -> None:
        """Switch a mobile node on in a MAG's cell, and wait for its addresses."""
        interface = f"{mobile_node}-eth0"
        figure1.run(self[mobile_node], f"ip link set {interface} down")
        self.move(mobile_node, mag)
        figure1.run(self[mobile_node], f"ip link set {interface} up")
        if 6 in self.settings.families:
            self.until(lambda: self.ipv6(mobile_node) is not None, f"{mobile_node} has an address by SLAAC", seconds)
        if 4 in self.settings.families and not self[mobile_node].dhcp(int(seconds)):
            raise figure1.Failure(f"{mobile_node} got no address by DHCP\n{self.tails()}")

    def move(self, mobile_node: str, mag: str | None) -> None:
        """Bring a mobile node into a MAG's cell (None: into none)."""
        self["air"].move(mobile_node, mag)

    def ipv6(self, mobile_node: str) -> str | None:
        """Its global address, once the host may use it."""
        found = json.loads(self[mobile_node].cmd("ip -j -6 address show scope global -tentative") or "[]")
        addresses = [one["local"] for link in found for one in link.get("addr_info", ()) if one.get("local")]
        return addresses[0] if addresses else None

    def ipv4(self, mobile_node: str) -> str | None:
        """Its IPv4 address."""
        found = json.loads(self[mobile_node].cmd("ip -j -4 address show scope global") or "[]")
        addresses = [one["local"] for link in found for one in link.get("addr_info", ()) if one.get("local")]
        return addresses[0] if addresses else None

    def ping(self, host: str, destination: str, count: int = 5, size: int = 56, more: str = "") -> int:
        """How many of `count` pings were answered."""
        command = f"ping -n -q -c {count} -i 0.05 -W 1 -s {size} {more} {destination}"
        said = self[host].cmd(command)
        received = [part.split()[0] for part in said.split(",") if "received" in part]
        return int(received[0]) if received else 0

    def until(self, condition: Callable[[], bool], what: str, seconds: float = WAIT_SECONDS) -> None:
        """Wait for something to become true.

        Raises:
            Failure: It does not.
        """
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                raise figure1.Failure(f"not within {seconds:g} s: {what}\n{self.tails()}")
            time.sleep(0.02)

    # --- what a scenario looks at -----------------------------------------------------------------

    def tables(self, switch: str) -> dict[str, list[dict[str, object]]]:
        """What a switch holds, by table, as `p4pmip tables --json` shows it."""
        node = self[switch]
        target = f"127.0.0.1:{figure1.GRPC_PORT}/{node.number}"
        said, error, status = node.pexec([*figure1.p4pmip(), "tables", "--raw", "--json", target])
        if status:
            raise figure1.Failure(f"p4pmip tables {target}: {error}")
        return {table["table"]: table["entries"] for table in json.loads(said)["tables"]}

    def drops(self, switch: str) -> dict[str, int]:
        """Why a switch dropped packets, and how many."""
        node = self[switch]
        target = f"127.0.0.1:{figure1.GRPC_PORT}/{node.number}"
        said, error, status = node.pexec([*figure1.p4pmip(), "drops", target])
        if status:
            raise figure1.Failure(f"p4pmip drops {target}: {error}")
        rows = (line.split() for line in said.splitlines())
        return {row[0]: int(row[1]) for row in rows if len(row) > 1 and row[1].isdecimal()}

    def keys(self, switch: str) -> set[int]:
        """The GRE keys that a switch accepts."""
        return {int(entry["key"]["gre_key"]) for entry in self.tables(switch).get("gre_rx", ())}  # type: ignore[index]

    def frames(self, interface: str) -> tuple[Frame, ...]:
        """What has arrived at an interface of a switch or LAN."""
        return read((self.captures / f"{interface}.pcap").read_bytes()).frames

    def arrivals(self, lan: str, peer: str) -> tuple[Frame, ...]:
        """What has arrived at a LAN from one that hangs on it."""
        return self.frames(self[lan].peers()[peer])

    def order(self, node: str, *words: str) -> None:
        """Ask a node for something over its admin socket: `attach`, `detach` or `move`.

        Raises:
            Failure: It refuses.
        """
        command = [*figure1.p4pmip(), words[0], "--node", str(self[node].admin), *words[1:]]
        said, error, status = self[node].pexec(command)
        if status:
            raise figure1.Failure(f"p4pmip {' '.join(words)} at {node}: {said}{error}")

    def bindings(self, node: str) -> list[dict[str, object]]:
        """What a node has negotiated, as `p4pmip bindings --json` shows it."""
        said, error, status = self[node].pexec(
            [*figure1.p4pmip(), "bindings", "--json", "--node", str(self[node].admin)]
        )
        if status:
            raise figure1.Failure(f"p4pmip bindings at {node}: {said}{error}")
        found: list[dict[str, object]] = json.loads(said)["bindings"]
        return found

    def messages(self, sender: str) -> list[Message]:
        """What a node has signalled, in its order."""
        decoded = (decode_frame(frame).signalling for frame in self.arrivals("control", sender))
        return [one.message for one in decoded if one is not None and one.message is not None]

    def tails(self) -> str:
        """The last lines of the nodes' logs."""
        return "\n".join(f"--- {name}\n{self[name].node_program.tail(5)}" for name in ("lma", *figure1.MAGS))


class Prompt(CLI):  # type: ignore[misc]
    """Mininet's command line with the words of the lab."""

    prompt = "p4pmip-lab> "
    lab: Lab

    def do_move(self, line: str) -> None:
        """move MN [MAG]: into the cell of a MAG, or out of every cell."""
        words = line.split()
        if not words or words[0] not in figure1.MOBILE_NODES or any(word not in figure1.MAGS for word in words[1:2]):
            print(f"move {'|'.join(figure1.MOBILE_NODES)} [{'|'.join(figure1.MAGS)}]")
            return
        self.lab.move(words[0], words[1] if len(words) > 1 else None)

    def do_dhcp(self, line: str) -> None:
        """dhcp MN: let a mobile node ask for its IPv4 home address."""
        if line.strip() in figure1.MOBILE_NODES:
            print(self.lab.ipv4(line.strip()) if self.lab[line.strip()].dhcp() else "no answer")
        else:
            print(f"dhcp {'|'.join(figure1.MOBILE_NODES)}")

    def _each(self, line: str, command: list[str], by_socket: bool) -> None:
        for name in line.split() or ("lma", *figure1.MAGS):
            node = self.lab[name]
            where = ["--node", str(node.admin)] if by_socket else [f"127.0.0.1:{figure1.GRPC_PORT}/{node.number}"]
            said, error, _ = node.pexec([*figure1.p4pmip(), *command, *where])
            print(f"--- {name}\n{said}{error}")

    def do_bindings(self, line: str) -> None:
        """bindings [NODE]: what the nodes have negotiated."""
        self._each(line, ["bindings"], True)

    def do_tables(self, line: str) -> None:
        """tables [NODE]: what the switches hold."""
        self._each(line, ["tables"], False)

    def do_drops(self, line: str) -> None:
        """drops [NODE]: why the switches dropped packets."""
        self._each(line, ["drops"], False)

    def do_captures(self, _line: str) -> None:
        """captures: where the captures are."""
        for file in sorted(self.lab.captures.glob("*.pcap")):
            print(f"{file}  {len(read(file.read_bytes()).frames)} frames")

    def do_signalling(self, _line: str) -> None:
        """signalling: the PBUs and PBAs so far."""
        for name in ("lma", *figure1.MAGS):
            for message in self.lab.messages(name):
                print(f"{name}: {message}")


def main() -> int:
    """The lab with its command line; the exit status is 1 if it does not come up."""
    parser = argparse.ArgumentParser(description="Figure 1 of the draft in Mininet, to play with.")
    default = "bmv2" if shutil.which("simple_switch_grpc") else "softswitch"
    parser.add_argument("--target", choices=("softswitch", "bmv2"), default=default, help=f"default: {default}")
    arguments = parser.parse_args()
    missing = missing_tools(arguments.target)
    if missing:
        print(f"The lab needs {', '.join(missing)}.", file=sys.stderr)
        return 1
    setLogLevel("output")  # what commands print is below warnings
    settings = figure1.Settings(target=arguments.target, at=dict.fromkeys(figure1.MOBILE_NODES, "mag1"))
    try:
        with Lab(settings) as lab:
            print(
                f"Figure 1 on {arguments.target}. Everybody is in the cell of mag1; try: dhcp mn1; mn1 ping 10.1.0.2;"
            )
            print("move mn1 mag2; bindings; tables lma; drops mag1; captures; signalling; help; exit.")
            print(f"Per switch, in {lab.directory}/SWITCH: switch.log, node.log, node.toml and pcaps/;")
            print(f"what arrives where: {lab.captures}/INTERFACE.pcap.")
            Prompt.lab = lab
            Prompt(lab.net)
    except figure1.Failure as failure:
        print(failure, file=sys.stderr)
        return 1
    except Interrupted:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
