"""Packets between our pipeline and Open vSwitch's GRE, in a network namespace that this process has for itself.

`unshare -n python -m tests.interop.ovs_exchange softswitch|bmv2` prints one JSON object: what was sent in each case
and what arrived at the other side. OVS plays the MAG, with its userspace datapath; our switch is the LMA.
"""

import asyncio
import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from ipaddress import IPv4Address, IPv4Interface, IPv6Address, IPv6Network, ip_network
from pathlib import Path

from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether
from scapy.packet import Raw

from p4pmip.forwarding.base import base_entries
from p4pmip.forwarding.context import Context, Link, LinkRole, Neighbour, Realm, Route
from p4pmip.forwarding.session import entries
from p4pmip.forwarding.update import Operation, Update
from p4pmip.mobility.binding import Binding, Granularity, Gre, IPAddress, Phase, Role, Tunnel
from p4pmip.p4runtime.pipeline import Pipeline
from p4pmip.p4runtime.quirks import PROFILES
from p4pmip.p4runtime.session import Session
from p4pmip.p4runtime.target import Target
from p4pmip.softswitch import SoftSwitch

PATIENCE = 5.0
LMA = (IPv6Address("2001:db8:a::1"), IPv4Address("192.0.2.1"))
MAG = (IPv6Address("2001:db8:a::2"), IPv4Address("192.0.2.2"))
SWITCH_MAC, SERVICE_MAC = "02:00:00:00:00:01", "02:00:00:00:00:05"
HOST_MAC, NODE_MAC = "02:00:00:00:0c:05", "02:00:00:00:0a:01"
NODE4 = ("10.0.0.1", "10.0.0.2")
NODE6 = ("2001:db8:f1::1", "2001:db8:f2::1")
HOST4, HOST6 = "172.16.0.10", "2001:db8:ffff::1"
UPLINK, DOWNLINK = (0x11, 0xFFFFFFFF), (0x12, 0xFFFFFFFE)
OUTER = ("IPv6", "IPv4")
_RAW = 0x0003


def _binding(number: int) -> Binding:
    """The session whose tunnel has the given outer family."""
    return Binding(
        Role.LMA, b"mn", "a", number + 1, Phase.ACTIVE,
        (IPv6Network(f"2001:db8:f{number + 1}::/64"),), IPv4Interface(f"{NODE4[number]}/16"), None,
        Tunnel(LMA[number], MAG[number]), Gre.KEYED, Granularity.SESSION, UPLINK[number], DOWNLINK[number],
    )  # fmt: skip


def _context(uplink_mac: str) -> Context:
    def octets(mac: str) -> bytes:
        return bytes.fromhex(mac.replace(":", ""))

    host: tuple[IPAddress, ...] = (IPv4Address(HOST4), IPv6Address(HOST6))
    return Context(
        links=(
            Link(1, 1, LinkRole.TRANSPORT, octets(SWITCH_MAC)),
            Link(5, 5, LinkRole.SERVICE, octets(SERVICE_MAC), realm="a"),
        ),
        end_points=LMA,
        realms={"a": Realm(1)},
        neighbours=tuple(Neighbour(1, address, octets(uplink_mac)) for address in MAG)
        + tuple(Neighbour(5, address, octets(HOST_MAC)) for address in host),
        routes=tuple(Route(ip_network("::/0" if a.version == 6 else "0.0.0.0/0"), 5, a, "a") for a in host),
    )


def _run(*words: str) -> str:
    ended = subprocess.run(words, capture_output=True, text=True, timeout=20, check=False)
    if ended.returncode:
        raise OSError(f"{' '.join(words)}: {ended.stderr.strip()}")
    return ended.stdout


def _veth(one: str, other: str) -> None:
    _run("ip", "link", "add", one, "type", "veth", "peer", "name", other)
    for end in (one, other):
        _run("sysctl", "-qw", f"net.ipv6.conf.{end}.disable_ipv6=1")
        _run("ip", "link", "set", end, "up")


class Wire:
    """The far end of a veth: frames in and out."""

    def __init__(self, interface: str) -> None:
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_RAW))
        self.socket.setsockopt(263, 23, 1)  # PACKET_IGNORE_OUTGOING
        self.socket.bind((interface, _RAW))
        self.socket.setblocking(False)

    async def exchange(self, frame: bytes, other: "Wire", wanted: bytes) -> str:
        """Send here until the payload arrives at the other end (OVS may lose what came first); hexadecimal."""
        loop = asyncio.get_running_loop()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE):
                while True:
                    await loop.sock_sendall(self.socket, frame)
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(PATIENCE / 5):
                            while True:
                                found = await loop.sock_recv(other.socket, 65535)
                                if wanted in found:
                                    return found[14:].hex()
        return ""


@asynccontextmanager
async def _ovs(folder: Path) -> AsyncIterator[str]:
    """Open vSwitch with both GRE ports; yields the link-layer address of its uplink."""
    os.environ |= {name: str(folder) for name in ("OVS_RUNDIR", "OVS_LOGDIR", "OVS_DBDIR")}
    database = folder / "conf.db"
    _run("ovsdb-tool", "create", str(database), "/usr/share/openvswitch/vswitch.ovsschema")
    sink = subprocess.DEVNULL
    server = await asyncio.create_subprocess_exec(
        "ovsdb-server", str(database), f"--remote=punix:{folder}/db.sock", stdout=sink, stderr=sink
    )
    _run("ovs-vsctl", "--no-wait", "--retry", "init")
    daemon = await asyncio.create_subprocess_exec(
        "ovs-vswitchd", "--disable-system", f"--unixctl={folder}/vswitchd.ctl", stdout=sink, stderr=sink
    )
    try:
        words = [
            "ovs-vsctl",
            "--timeout=15",
            "add-br",
            "uplink",
            "--",
            "set",
            "bridge",
            "uplink",
            "datapath_type=netdev",
        ]
        words += ["--", "add-port", "uplink", "p0", "--", "add-br", "in", "--", "set", "bridge", "in"]
        words += ["datapath_type=netdev", "fail_mode=secure", "--", "add-port", "in", "a0"]
        for number, name in enumerate(("gre6", "gre4")):
            words += ["--", "add-port", "in", name, "--", "set", "interface", name, "type=gre"]
            words += [f"options:remote_ip={LMA[number]}", f"options:local_ip={MAG[number]}"]
            words += [f"options:in_key={DOWNLINK[number]}", f"options:out_key={UPLINK[number]}"]
            words += ["options:packet_type=legacy_l3", *(["options:csum=true"] if name == "gre4" else [])]
        _run(*_quoted(words))
        _run("ip", "address", "add", f"{MAG[0]}/64", "dev", "uplink", "nodad")
        _run("ip", "address", "add", f"{MAG[1]}/24", "dev", "uplink")
        _run("ip", "link", "set", "uplink", "up")
        for address in LMA:
            _run("ovs-appctl", "-t", f"{folder}/vswitchd.ctl", "tnl/neigh/set", "uplink", str(address), SWITCH_MAC)
        for number, name in enumerate(("gre6", "gre4")):
            node4, node6 = NODE4[number], NODE6[number]
            _run("ovs-ofctl", "add-flow", "in", f"in_port=a0,ip,nw_src={node4},actions=output:{name}")
            _run("ovs-ofctl", "add-flow", "in", f"in_port=a0,ipv6,ipv6_src={node6},actions=output:{name}")
            _run("ovs-ofctl", "add-flow", "in", f"in_port={name},actions=mod_dl_dst:{NODE_MAC},output:a0")
        yield json.loads(_run("ip", "-json", "link", "show", "uplink"))[0]["address"]
    finally:
        for process in (daemon, server):
            if process.returncode is None:
                process.terminate()
            await process.wait()


def _quoted(words: list[str]) -> list[str]:
    """OVSDB takes a string with colons only in quotes."""
    return [f'{name}="{value}"' if ":" in value else word for word in words for name, _, value in [word.partition("=")]]


@asynccontextmanager
async def _softswitch(folder: Path) -> AsyncIterator[Target]:
    switch = SoftSwitch()
    loop = asyncio.get_running_loop()
    wires = {port: Wire(f"s{port}") for port in (1, 5)}
    for port, wire in wires.items():
        switch.attach(port, wire.socket.send)  # type: ignore[arg-type]
        loop.add_reader(wire.socket, lambda p=port, w=wire: switch.receive(p, w.socket.recv(65535)))  # type: ignore[misc]
    async with switch.serve(f"unix:{folder}/switch.sock") as address:
        yield Target(address, 1, "lma", quirks=PROFILES["softswitch"])
    for wire in wires.values():
        loop.remove_reader(wire.socket)


@asynccontextmanager
async def _bmv2(folder: Path) -> AsyncIterator[Target]:
    address = f"unix:{folder}/switch.sock"
    process = await asyncio.create_subprocess_exec(
        "simple_switch_grpc", "--no-p4", "-i", "1@s1", "-i", "5@s5", "--device-id", "1", "--",
        "--grpc-server-addr", address, "--cpu-port", "510",
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        yield Target(address, 1, "lma", quirks=PROFILES["bmv2"])
    finally:
        process.terminate()
        await process.wait()


async def exchange(kind: str, folder: Path) -> dict[str, dict[str, str]]:
    """Every case: outer and inner family, direction."""
    for one, other in (("s1", "p0"), ("s5", "c5"), ("h0", "a0")):
        _veth(one, other)
    _run("ip", "link", "set", "lo", "up")
    found = {}
    async with (
        _ovs(folder) as uplink_mac,
        (_bmv2 if kind == "bmv2" else _softswitch)(folder) as target,
        await Session.open(target, Pipeline.packaged()) as session,
    ):
        context = _context(uplink_mac)
        wanted = {entry.key: entry for entry in base_entries(context)}
        for number in (0, 1):
            wanted |= {entry.key: entry for entry in entries(_binding(number), context)}
        await session.writer.apply([[Update(Operation.INSERT, entry) for entry in wanted.values()]])
        host, node = Wire("c5"), Wire("h0")
        for number, outer in enumerate(OUTER):
            for inner, node_address, host_address, ip in (
                ("IPv4", NODE4[number], HOST4, IP),
                ("IPv6", NODE6[number], HOST6, IPv6),
            ):
                for up in (True, False):
                    words = f"{inner} in {outer}, {'up' if up else 'down'}"
                    ends = (node_address, host_address) if up else (host_address, node_address)
                    packet = ip(src=ends[0], dst=ends[1]) / UDP(sport=7, dport=9) / Raw(words.encode())
                    source = (node, host) if up else (host, node)
                    macs = (NODE_MAC, HOST_MAC) if up else (HOST_MAC, SERVICE_MAC)
                    frame = Ether(src=macs[0], dst=macs[1]) / packet
                    arrived = await source[0].exchange(bytes(frame), source[1], words.encode())
                    found[words] = {"sent": bytes(packet).hex(), "arrived": arrived}
    return found


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        print(json.dumps(asyncio.run(exchange(sys.argv[1], Path(name)))))
