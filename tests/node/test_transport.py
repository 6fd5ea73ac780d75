"""Raw Mobility Header sockets, in a network namespace of their own: the kernel makes and checks the checksum."""

import asyncio
import ctypes
import shutil
import subprocess
import sys
from ipaddress import IPv6Address

import pytest

from p4pmip.mobility.endpoint import Endpoint
from p4pmip.node.transport import MobilityHeaderTransport, TransportError
from p4pmip.wire.message import Heartbeat
from p4pmip.wire.mobility_header import Checksum, decode, encode
from p4pmip.wire.numbers import HeartbeatFlag

ONE, TWO = IPv6Address("2001:db8::1"), IPv6Address("2001:db8::2")


async def exchange() -> None:
    """Send a heartbeat from one address to the other, and one octet of rubbish that nobody minds."""
    arrived: asyncio.Queue[tuple[bytes, Endpoint, Endpoint]] = asyncio.Queue()
    one = MobilityHeaderTransport(ONE, lambda *_: None)
    two = MobilityHeaderTransport(TWO, lambda *what: arrived.put_nowait(what))
    message = Heartbeat(HeartbeatFlag(0), 5845)
    one.send(encode(message, ONE, TWO), Endpoint(TWO))
    async with asyncio.timeout(10):
        octets, source, destination = await arrived.get()
    assert (source, destination) == (Endpoint(ONE), Endpoint(TWO))
    found = decode(octets, ONE, TWO)
    assert found.message == message
    assert found.checksum is Checksum.OK
    await one.close()
    await two.close()


def in_namespace() -> None:
    """The child: a namespace with both addresses on its loopback."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(0x40000000):  # CLONE_NEWNET
        raise OSError(ctypes.get_errno(), "no namespace")
    for command in ("link set lo up", f"address add {ONE}/128 dev lo nodad", f"address add {TWO}/128 dev lo nodad"):
        subprocess.run(["ip", *command.split()], check=True)
    asyncio.run(exchange())


@pytest.mark.root
@pytest.mark.skipif(shutil.which("ip") is None, reason="iproute2 is not installed")
def test_a_mobility_header_over_ipv6() -> None:
    subprocess.run([sys.executable, __file__], check=True, timeout=60)


async def test_an_address_of_somebody_else_is_one_clear_error() -> None:
    with pytest.raises(TransportError, match=r"signalling\.(address|transport)"):
        MobilityHeaderTransport(IPv6Address("2001:db8::dead"), lambda *_: None)


if __name__ == "__main__":
    in_namespace()
