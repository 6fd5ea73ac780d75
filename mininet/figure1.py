"""Figure 1 of the draft as a Mininet topology: two operators with the same addresses behind one LMA, and two MAGs.

    mn1 mn2 (operator A) . . . . cell of mag1 --- mag1 ===\\               /--- opa (operator A, 10.1.0.2)
                                                            === lma ===---
    mn3 mn4 (operator B) . . . . cell of mag2 --- mag2 ===/               \\--- opb (operator B, 10.1.0.2)

Used by the lab and the scenarios, and by plain Mininet:

    sudo mn --custom mininet/figure1.py --topo figure1 --switch pmip --controller none
    mininet> mn1 udhcpc -i mn1-eth0 -f -q -n -s mininet/dhcp-script
    mininet> mn1 ping 10.1.0.2
    mininet> py net['air'].move('mn1', 'mag2')

Only Mininet and the standard library are imported: the switches and nodes are processes of the checkout's `p4pmip`.
Every switch has a namespace of its own, in which the node that controls it lives too; nodes signal over a network of
their own (`control`), as controllers do. P4Runtime servers and admin APIs are Unix sockets in the lab's directory, to
be reached from every namespace.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from mininet.node import Host, Switch
from mininet.topo import Topo

CONTROL_PORT = 99
"""Ports from here on belong to the machine that a switch runs on, not to its pipeline."""
CPU_PORT = 510
P4RUNTIME = "p4runtime"
"""The socket of a switch's P4Runtime server, in the switch's directory."""
START_SECONDS = 40.0
STOP_SECONDS = 5.0

MAGS = {"mag1": 11, "mag2": 12}
MOBILE_NODES = {"mn1": "a", "mn2": "a", "mn3": "b", "mn4": "b"}
OPERATORS = {"a": 3, "b": 4}
"""Each operator's port at the LMA."""
DHCP_SCRIPT = "dhcp-script"


def checkout() -> Path:
    """The directory above this file, also when `mn` executes it, which does not say where it is from."""
    places = [globals().get("__file__"), *sys.argv[1:], *(argument.split("=")[-1] for argument in sys.argv[1:])]
    for place in places:
        if place is not None and place.endswith("figure1.py"):
            return Path(place).resolve().parents[1]
    return Path.cwd()


def p4pmip() -> list[str]:
    """The command, from the checkout's own environment if that has been made."""
    own = checkout() / ".venv" / "bin" / "p4pmip"
    found = str(own) if own.exists() else shutil.which("p4pmip")
    if found is None:
        raise SystemExit("figure1: p4pmip is not installed; in the checkout: make .venv/.run")
    return [found]


@dataclass
class Settings:
    """What a scenario may want to be different; the defaults are the draft's Figure 1."""

    directory: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="p4pmip-")))
    target: str = "softswitch"
    """`softswitch` or `bmv2`."""
    executor: str | None = None
    """The softswitch's `native` or `interpreter`; None: what it prefers."""
    transport: str = "mh"
    """Signalling: `mh` (Mobility Header over IPv6), or `udp` (RFC 5844)."""
    ipv4_tunnels: bool = False
    gre: str = "key"
    required: bool = False
    mag_gre: dict = field(default_factory=dict)
    """The GRE policy of a MAG towards its LMA, by its name, where it differs from the realm's."""
    dialects: dict = field(default_factory=dict)
    """By the name of a MAG, what it and the LMA speak with each other."""
    keys: str = "session"
    overlap: bool = True
    """Both operators use 10.0.0.0/16; otherwise operator B has 10.64.0.0/16."""
    families: tuple = (4, 6)
    lma: dict = field(default_factory=dict)
    """More of the LMA's own variables."""
    mag: dict = field(default_factory=dict)
    """More of the MAGs' own variables."""
    at: dict = field(default_factory=dict)
    """The MAG in whose cell a mobile node starts; default: none."""


# --- the nodes' configuration ---------------------------------------------------------------------


def home_subnet(settings: Settings, operator: str) -> str:
    """An operator's pool of IPv4 home addresses."""
    return "10.0.0.0/16" if settings.overlap or operator == "a" else "10.64.0.0/16"


def home_address(settings: Settings, name: str) -> str:
    """A mobile node's IPv4 home address: that of the node of the other operator, if they overlap."""
    operator = MOBILE_NODES[name]
    number = 11 + [one for one, other in MOBILE_NODES.items() if other == operator].index(name)
    return f"{home_subnet(settings, operator).rsplit('.', 1)[0]}.{number}"


def mac_of(name: str) -> str:
    """A mobile node's link-layer address."""
    return f"02:00:00:00:01:{int(name[2:]):02x}"


def nai(name: str) -> str:
    """A mobile node's identifier."""
    return f"{name}@{MOBILE_NODES[name]}.example"


def realms(settings: Settings) -> dict:
    """Both operators."""
    found = {}
    for operator in OPERATORS:
        realm = {"gre": {"wanted": settings.gre, "required": settings.required}, "keys": settings.keys}
        if 4 in settings.families:
            realm["ipv4_pool"] = home_subnet(settings, operator)
        if 6 in settings.families:
            realm["prefix_pool"] = f"2001:db8:{operator}::/48"
            realm["dns"] = [f"2001:db8:e:{operator}::2"]
        found[operator] = realm
    return found


def mobile_nodes(settings: Settings) -> list:
    """The policy profiles."""
    found = []
    for name, operator in MOBILE_NODES.items():
        profile = {"nai": nai(name), "realm": operator, "mac": [mac_of(name)]}
        if 4 in settings.families:
            profile["ipv4"] = home_address(settings, name)
        found.append(profile)
    return found


def signalling_address(settings: Settings, number: int) -> str:
    """A node's address in the control network."""
    return f"fd00:c::{number}" if settings.transport == "mh" else f"10.255.0.{number}"


def tunnel_address(settings: Settings, number: int) -> str:
    """A node's Proxy-CoA or LMA user-plane address."""
    return f"203.0.113.{number}" if settings.ipv4_tunnels else f"2001:db8:f::{number}"


def peer(settings: Settings, number: int, mag: str) -> dict:
    """One end of a MAG's association with the LMA, as the other end sees it."""
    found = {
        "address": signalling_address(settings, number),
        "tunnel": tunnel_address(settings, number),
        "dialect": settings.dialects.get(mag, "rfc5845"),
    }
    if number == 1 and mag in settings.mag_gre:
        found["gre"] = settings.mag_gre[mag]
    return found


def node_settings(settings: Settings, name: str, number: int) -> dict:
    """What a MAG and the LMA have in common."""
    return {
        "signalling": {"transport": settings.transport, "address": signalling_address(settings, number)},
        "tunnel": {"address": tunnel_address(settings, number)},
        "target": f"unix:{settings.directory / name / P4RUNTIME}/{number}",
        "journal": str(settings.directory / name / "journal.db"),
        "admin": str(settings.directory / name / "admin"),
    }


def mag_configuration(settings: Settings, name: str) -> dict:
    """The whole file of a MAG."""
    number = MAGS[name]
    transport = {
        "number": 1,
        "role": "transport",
        "mac": f"02:00:00:00:{number:02x}:01",
        "address": [f"192.0.2.{4 * number + 2}", f"2001:db8:f:{number}::2"],
        "gateway": [f"192.0.2.{4 * number + 1}", f"2001:db8:f:{number}::1"],
    }
    node = node_settings(settings, name, number) | {
        "peers": {"lma": peer(settings, 1, name)},
        "ports": [transport, {"number": 2, "role": "access"}],
        "mag": {"lma": "lma"} | settings.mag,
    }
    return {"realms": realms(settings), "mobile_nodes": mobile_nodes(settings), "nodes": {name: node}}


def lma_configuration(settings: Settings) -> dict:
    """The whole file of the LMA."""
    ports, routes = [], []
    for port, number in enumerate(MAGS.values(), 1):
        addresses = [f"192.0.2.{4 * number + 1}", f"2001:db8:f:{number}::1"]
        ports.append({"number": port, "role": "transport", "mac": f"02:00:00:00:0a:{port:02x}", "address": addresses})
        via = f"192.0.2.{4 * number + 2}" if settings.ipv4_tunnels else f"2001:db8:f:{number}::2"
        length = 32 if settings.ipv4_tunnels else 128
        routes.append({"to": f"{tunnel_address(settings, number)}/{length}", "via": via, "port": port})
    for operator, port in OPERATORS.items():
        ports.append(
            {
                "number": port,
                "role": "service",
                "realm": operator,
                "mac": f"02:00:00:00:0a:{port:02x}",
                "address": ["10.1.0.1", f"2001:db8:e:{operator}::1"],
                "gateway": ["10.1.0.2", f"2001:db8:e:{operator}::2"],
            }
        )
    node = node_settings(settings, "lma", 1) | {
        "peers": {mag: peer(settings, number, mag) for mag, number in MAGS.items()},
        "ports": ports,
        "routes": routes,
        "lma": settings.lma,
    }
    return {"realms": realms(settings), "mobile_nodes": mobile_nodes(settings), "nodes": {"lma": node}}


def toml(table: dict, path: tuple = ()) -> str:
    """A table of TOML: plain values first, then tables and arrays of tables."""
    lines, below = [], []
    for key, value in table.items():
        name = (*path, key)
        if isinstance(value, dict):
            below.append(f"\n[{'.'.join(name)}]\n{toml(value, name)}")
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            below += [f"\n[[{'.'.join(name)}]]\n{toml(one, name)}" for one in value]
        else:
            lines.append(f"{key} = {json.dumps(value)}\n")
    return "".join(lines + below)


# --- processes ------------------------------------------------------------------------------------


def listens(pid: int, port: int) -> bool:
    """Whether something listens on a TCP port in the namespace of a process."""
    wanted = f":{port:04X}"
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[1].endswith(wanted) and fields[3] == "0A":
                return True
    return False


def answers(path: Path) -> bool:
    """Whether somebody accepts connections on a Unix socket."""
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            return False
    return True


class Failure(Exception):
    """Something of the lab did not come up; the text ends with the last lines of its log."""


def run(node, command: str) -> None:
    """Run a command in the shell of a Mininet node; what it says is worth hearing only if it fails."""
    said, _, status = node.cmd(f"({command}) 2>&1; echo =$?").rpartition("=")
    if status.strip() != "0":
        raise Failure(f"{node.name}: {command}: {said.strip()}")


class Program:
    """A process in the namespace of a Mininet node, with its log."""

    def __init__(self, node, name: str, arguments: list, log: Path, directory: Path) -> None:
        self.node, self.name, self.arguments, self.log, self.directory = node, name, arguments, log, directory
        self.process = None

    def start(self) -> None:
        """Start it, or start it again: its log goes on."""
        with self.log.open("ab") as log:
            self.process = self.node.popen(
                self.arguments, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=str(self.directory)
            )

    @property
    def running(self) -> bool:
        """Whether it has been started and not ended yet."""
        return self.process is not None and self.process.poll() is None

    def await_ready(self, ready) -> None:
        """Return once `ready()`, or fail with what the log says."""
        deadline = time.monotonic() + START_SECONDS
        while not ready():
            if not self.running or time.monotonic() > deadline:
                state = "did not answer" if self.running else f"ended with status {self.process.returncode}"
                raise Failure(f"{self.name} {state}; the end of {self.log}:\n{self.tail()}")
            time.sleep(0.02)

    def tail(self, lines: int = 15) -> str:
        """The end of its log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def kill(self) -> None:
        """End it at once."""
        end([self], signal.SIGKILL)


def end(programs: list, number: int = signal.SIGTERM) -> None:
    """End programs side by side, with more force if they do not listen."""
    running = [program.process for program in programs if program.running]
    for process in running:
        process.send_signal(number)
    deadline = time.monotonic() + STOP_SECONDS
    for process in running:
        try:
            process.wait(max(deadline - time.monotonic(), 0))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


subprocess._USE_VFORK = False


class Insulated:
    """A Mininet node whose shell is in a session of its own before its program begins.

    Mininet leaves that to `mnexec`: a Ctrl-C before it has come to that ends it, and Mininet waits for ever. For the
    same reason the child is made by fork: after vfork, Python gives signals their default meaning before the session.
    """

    shell = None

    def startShell(self, mnopts: str | None = None) -> None:
        """Mininet's, without its own detaching."""
        super().startShell("-c" if mnopts is None else mnopts)

    def _popen(self, cmd, **params):
        return super()._popen(cmd, **params, start_new_session=self.shell is None)


class PmipSwitch(Insulated, Switch):
    """A P4 switch and the node that controls it, in one namespace."""

    def __init__(self, name: str, settings: Settings, **params) -> None:
        super().__init__(name, **(params | {"inNamespace": True}))
        self.settings = settings
        self.directory = settings.directory / name
        self.number = MAGS.get(name, 1)
        self.switch_program = self.node_program = None

    @property
    def admin(self) -> Path:
        """The node's admin socket."""
        return self.directory / "admin"

    @property
    def target(self) -> str:
        """The switch, as `p4pmip tables` takes it."""
        return f"unix:{self.directory / P4RUNTIME}/{self.number}"

    @property
    def logs(self) -> Path:
        """Where `switch.log`, `node.log` and `p4runtime.log` are: the last is of every request to the switch."""
        return self.directory / "logs"

    def data_ports(self) -> dict:
        """Port number -> interface name, without the control network's."""
        return {port: str(intf) for port, intf in self.intfs.items() if 0 < port < CONTROL_PORT}

    def start(self, _controllers) -> None:
        """Start the switch and its node, which waits for it; `batchStartup` waits for both."""
        for directory in (self.logs, self.directory / "pcaps"):
            directory.mkdir(parents=True, exist_ok=True)
        quiet = [f"sysctl -qw net.ipv6.conf.{interface}.disable_ipv6=1" for interface in self.data_ports().values()]
        offload = [f"ethtool -K {one} tx off rx off tso off gso off gro off" for one in self.data_ports().values()]
        addresses = []
        control = self.intfs.get(CONTROL_PORT)
        if control is not None:
            addresses.append(f"ip address add fd00:c::{self.number}/64 dev {control} nodad")
            addresses.append(f"ip address add 10.255.0.{self.number}/24 dev {control}")
        run(self, " && ".join([*quiet, *offload, "ip link set lo up", *addresses]))
        configuration = lma_configuration(self.settings) if self.name == "lma" else None
        configuration = configuration or mag_configuration(self.settings, self.name)
        file = self.directory / "node.toml"
        file.write_text(toml(configuration))
        self.switch_program = self._program("switch", self.switch_command())
        log = ["--p4runtime-log", str(self.logs / "p4runtime.log")]
        self.node_program = self._program("node", [*p4pmip(), "run", *log, str(file)])
        self.switch_program.start()
        self.node_program.start()

    def _program(self, what: str, command: list) -> Program:
        return Program(self, f"{what} {self.name}", command, self.logs / f"{what}.log", self.directory)

    def switch_command(self) -> list:
        """The command line, which both targets understand."""
        program = ["simple_switch_grpc"] if self.settings.target == "bmv2" else [*p4pmip(), "switch"]
        if self.settings.executor is not None:
            program += ["--executor", self.settings.executor]
        ports = [word for port, name in self.data_ports().items() for word in ("-i", f"{port}@{name}")]
        common = [*program, "--no-p4", "--device-id", str(self.number), *ports, "--pcap", str(self.directory / "pcaps")]
        address = f"unix:{self.directory / P4RUNTIME}"
        return [*common, "--", "--grpc-server-addr", address, "--cpu-port", str(CPU_PORT)]

    def await_switch(self) -> None:
        """Return once the P4Runtime server listens."""
        self.switch_program.await_ready(lambda: answers(self.directory / P4RUNTIME))

    def await_node(self) -> None:
        """Return once the node answers."""
        self.node_program.await_ready(lambda: answers(self.admin))

    @classmethod
    def batchStartup(cls, switches) -> list:
        """Mininet: all have been started."""
        for switch in switches:
            switch.await_switch()
        for switch in switches:
            switch.await_node()
        return switches

    @classmethod
    def batchShutdown(cls, switches) -> list:
        """Mininet: the nodes end, then the switches."""
        for kind in ("node_program", "switch_program"):
            programs = [getattr(switch, kind) for switch in switches]
            end([program for program in programs if program is not None])
        return switches


class Lan(Insulated, Switch):
    """Bridges in a namespace: what is not P4 here, a cell of the radio network or the control network."""

    def __init__(self, name: str, at: dict | None = None, **params) -> None:
        super().__init__(name, **(params | {"inNamespace": True}))
        self.at = dict(at or {})
        """Mobile node -> the MAG in whose cell it is."""

    def peers(self) -> dict:
        """Name of the node at the other end -> interface name."""
        found = {}
        for interface in self.intfs.values():
            if interface.link is not None:
                ends = (interface.link.intf1, interface.link.intf2)
                other = ends[1] if ends[0] is interface else ends[0]
                found[other.node.name] = str(interface)
        return found

    def start(self, _controllers) -> None:
        """Make a bridge for every MAG in the radio network, and one for all in the control network."""
        for peer_name, interface in self.peers().items():
            run(self, f"sysctl -qw net.ipv6.conf.{interface}.disable_ipv6=1")
            if peer_name in MOBILE_NODES:
                run(self, f"ip link set {interface} down")
                continue
            bridge = f"br-{peer_name}" if self.name == "air" else "br-control"
            run(self, f"[ -e /sys/class/net/{bridge} ] || ip link add {bridge} type bridge")
            run(self, f"sysctl -qw net.ipv6.conf.{bridge}.disable_ipv6=1")
            run(self, f"ip link set {interface} master {bridge} up && ip link set {bridge} up")
        for mobile_node, mag in list(self.at.items()):
            self.move(mobile_node, mag)

    def move(self, mobile_node: str, mag: str | None) -> None:
        """Bring a mobile node into the cell of a MAG, or out of every cell: it sees its link go down, and up again."""
        interface = self.peers()[mobile_node]
        run(self, f"ip link set {interface} down nomaster")
        self.at.pop(mobile_node, None)
        if mag is not None:
            # Isolated: a link between a mobile node and its MAG alone (RFC 5213 §3).
            run(self, f"ip link set {interface} master br-{mag} && bridge link set dev {interface} isolated on")
            run(self, f"ip link set {interface} up")
            self.at[mobile_node] = mag


class LabHost(Insulated, Host):
    """A host whose packets pass a switch in user space: checksums are made in full."""

    def config(self, **params):
        """Mininet: called once the interfaces are there."""
        found = super().config(**params)
        for interface in self.intfList():
            run(self, f"ethtool -K {interface} tx off tso off gso off")
        return found


class MobileHost(LabHost):
    """A mobile node: it gets its addresses by SLAAC and DHCP, like any host."""

    def config(self, **params):
        """Mininet: called once the interfaces are there."""
        found = super().config(**params)
        # Duplicate address detection stays on: it is how the kernel says that its link is up again.
        for key, value in {"router_solicitation_delay": 0, "addr_gen_mode": 0}.items():
            run(self, f"sysctl -qw net.ipv6.conf.{self.defaultIntf()}.{key}={value}")
        return found

    def dhcp_client(self, seconds: int = 10):
        """A DHCP client that asks for the IPv4 home address until it has it."""
        script = checkout() / "mininet" / DHCP_SCRIPT
        command = ["udhcpc", "-i", str(self.defaultIntf()), "-f", "-q", "-n", "-T", "1", "-t", str(seconds)]
        said = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        return self.popen([*command, "-s", str(script)], stdin=subprocess.DEVNULL, **said)

    def dhcp(self, seconds: int = 10) -> bool:
        """Ask for the IPv4 home address once."""
        client = self.dhcp_client(seconds)
        client.communicate()
        return client.returncode == 0


class OperatorHost(LabHost):
    """What stands for a whole operator's network."""

    def __init__(self, name: str, operator: str, **params) -> None:
        super().__init__(name, **params)
        self.operator = operator

    def config(self, **params):
        """Mininet: called once the interfaces are there."""
        found = super().config(**params)
        interface = self.defaultIntf()
        run(self, f"ip address add 2001:db8:e:{self.operator}::2/64 dev {interface} nodad")
        run(self, "ip route add default via 10.1.0.1")
        run(self, f"ip -6 route add default via 2001:db8:e:{self.operator}::1")
        return found


class Figure1(Topo):
    """The topology."""

    def build(self, settings: Settings | None = None, **_params) -> None:
        """Mininet: called by the constructor; without settings, every mobile node starts at mag1."""
        settings = settings or Settings(at=dict.fromkeys(MOBILE_NODES, "mag1"))
        os.makedirs(settings.directory, exist_ok=True)
        self.settings = settings
        self.addSwitch("lma", cls=PmipSwitch, dpid="1", settings=settings)
        self.addSwitch("control", cls=Lan, dpid="2")
        self.addSwitch("air", cls=Lan, dpid="3", at=settings.at)
        self.addLink("lma", "control", port1=CONTROL_PORT)
        for port, (mag, number) in enumerate(MAGS.items(), 1):
            self.addSwitch(mag, cls=PmipSwitch, dpid=str(number), settings=settings)
            self.addLink(mag, "lma", port1=1, port2=port)
            self.addLink(mag, "control", port1=CONTROL_PORT)
            self.addLink(mag, "air", port1=2)
        for operator, port in OPERATORS.items():
            host = self.addHost(f"op{operator}", cls=OperatorHost, operator=operator, ip="10.1.0.2/24")
            self.addLink(host, "lma", port2=port)
        for name in MOBILE_NODES:
            self.addHost(name, cls=MobileHost, ip=None, mac=mac_of(name))
            self.addLink(name, "air")


topos = {"figure1": Figure1}
switches = {"pmip": PmipSwitch}
