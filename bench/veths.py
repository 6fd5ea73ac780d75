"""Two pairs of interfaces in a network namespace of one's own (root), and packets of the router's on them."""

import ctypes
import socket
import subprocess
import sys
import time
from pathlib import Path

from blaster import libc  # type: ignore[import-not-found]

from p4pmip.softswitch.ports.batch import Message, Vector

FRAME = bytes.fromhex("000000000002000000000001080045000021000100000811e4c5c00002020a0102030035003c000ded8a68656c6c6f")
NUMBER_AT, NUMBER_OCTETS = 42, 5
"""The payload, behind Ethernet, IPv4, UDP."""

IN, OUT = "ha", "hb"
SWITCH = ("-i", "1@sa", "-i", "2@sb")
"""The switch's ends, as it is told of them."""

CLONE_NEWNET = 0x40000000
MANY = 64


def links() -> None:
    """A network namespace with two pairs of interfaces, for this process and its children."""
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET) != 0:
        sys.exit("bench: network namespaces need root")
    for outer, inner in ((IN, "sa"), (OUT, "sb")):
        subprocess.run(["ip", "link", "add", outer, "type", "veth", "peer", "name", inner], check=True)
        for one in (outer, inner):
            Path(f"/proc/sys/net/ipv6/conf/{one}/disable_ipv6").write_text("1")
            subprocess.run(["ip", "link", "set", one, "up"], check=True)
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)


def blast(seconds: float, numbered: bool) -> None:
    """Packets on an interface, as fast as they are taken; with a number each, which takes time."""
    wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    wire.bind((IN, 0))
    buffers = [ctypes.create_string_buffer(FRAME, len(FRAME)) for _ in range(MANY)]
    vectors, messages = (Vector * MANY)(), (Message * MANY)()
    for index, buffer in enumerate(buffers):
        vectors[index].base, vectors[index].length = ctypes.addressof(buffer), len(FRAME)
        messages[index].vectors = ctypes.addressof(vectors) + index * ctypes.sizeof(Vector)
        messages[index].vector_count = 1
    number, end = 0, time.monotonic() + seconds
    while time.monotonic() < end:
        for buffer in buffers if numbered else ():
            digits = number.to_bytes(NUMBER_OCTETS, "big")
            ctypes.memmove(ctypes.addressof(buffer) + NUMBER_AT, digits, NUMBER_OCTETS)
            number += 1
        libc.sendmmsg(wire.fileno(), ctypes.addressof(messages), MANY, 0)


def forwarded() -> int:
    """Frames that came out of the switch, whether there was time to look at them or not."""
    return _counted(OUT, 1)


def sent() -> int:
    """Frames that went into the switch's port."""
    return _counted(IN, 9)


def _counted(interface: str, column: int) -> int:
    lines = Path("/proc/net/dev").read_text().splitlines()
    return next(int(one.split(":")[1].split()[column]) for one in lines if one.strip().startswith(f"{interface}:"))
