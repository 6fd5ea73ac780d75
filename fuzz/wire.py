"""Coverage-guided fuzzing of every decoder of `p4pmip.wire` (atheris, libFuzzer).

    python fuzz/wire.py [libFuzzer options, -runs=10000000 say]

An input is an octet that chooses the target and the octets for it. Whatever they are, decoding answers a value; what
decoded, encodes; and that decodes to the same value again. Anything else is a crash, and so is an input that takes
longer than ten seconds.
"""

import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

try:
    import atheris  # type: ignore[import-not-found,import-untyped,unused-ignore]
except ImportError:
    sys.exit("fuzz: atheris is not installed: pip install atheris")

with atheris.instrument_imports(include=["p4pmip.wire"]):
    from p4pmip.wire import capture, describe, icmpv4, icmpv6, mobility_header
    from p4pmip.wire import message as m
    from p4pmip.wire import neighbor_option as n
    from p4pmip.wire import options as o
    from p4pmip.wire.arp import Arp
    from p4pmip.wire.authenticator import SecurityAssociation, sign, verify
    from p4pmip.wire.checksum import internet_checksum
    from p4pmip.wire.dhcpv4 import Dhcp
    from p4pmip.wire.error import WireError
    from p4pmip.wire.ethernet import Ethernet
    from p4pmip.wire.fault import Fault
    from p4pmip.wire.gre import Gre, TlvHeader
    from p4pmip.wire.ip import IPv4Packet, IPv6Packet
    from p4pmip.wire.mobility_header import encode
    from p4pmip.wire.numbers import (
        BindingAcknowledgementFlag,
        BindingUpdateFlag,
        HeartbeatFlag,
        RevocationFlag,
        UpdateNotificationFlag,
    )
    from p4pmip.wire.packet import decode_frame, decode_packet
    from p4pmip.wire.udp import Udp

from p4pmip.cli._arguments import count
from p4pmip.cli.main import Parser

MAG, LMA = IPv6Address("2001:db8::1"), IPv6Address("2001:db8::2")
MAG4, LMA4 = IPv4Address("192.0.2.1"), IPv4Address("192.0.2.2")
ASSOCIATION = SecurityAssociation(256, b"0123456789abcdef")
CAPTURES = Path(__file__).parents[1] / "tests" / "data" / "captures"


def check(met: bool) -> None:
    """An assertion that no optimisation leaves out."""
    if not met:
        raise AssertionError


def mobility(octets: bytes) -> None:
    """A Mobility Header: decoded, encoded, decoded again."""
    found = mobility_header.decode(octets, MAG, LMA)
    check(all(0 <= fault.offset <= len(octets) for fault in found.faults))
    if found.message is None:
        check(bool(found.faults))
        return
    try:
        encoded = encode(found.message, MAG, LMA)
    except WireError as error:  # with padding where it belongs a message may become too long
        check("longer than" in error.problem)
        return
    again = mobility_header.decode(encoded, MAG, LMA)
    check(again.message == found.message)
    check(again.checksum is mobility_header.Checksum.OK)


def description(octets: bytes) -> None:
    """A Mobility Header in words."""
    found = mobility_header.decode(octets)
    describe.message_json(found)
    describe.message_lines(found)


def authenticator(octets: bytes) -> None:
    """A Mobility Header that may be signed."""
    verify(mobility_header.decode(octets), ASSOCIATION, MAG)


def packet(octets: bytes) -> None:
    """A whole packet."""
    decode_packet(octets)


def file(octets: bytes) -> None:
    """A capture file and what is in it."""
    for frame in capture.read(octets).frames:
        decode_frame(frame)


def header(kind: type[Gre | TlvHeader | Arp | Dhcp | Ethernet | IPv4Packet | IPv6Packet]) -> Callable[[bytes], None]:
    """A target for one header: what decodes, encodes, and decodes to itself."""

    def target(octets: bytes) -> None:
        found = kind.decode(octets)
        check(isinstance(found, Fault) or kind.decode(found.encode()) == found)

    return target


def datagram(octets: bytes) -> None:
    """UDP."""
    found = Udp.decode(octets)
    check(isinstance(found, Fault) or Udp.decode(found.encode(MAG4, LMA4), MAG4, LMA4) == found)


def icmp4(octets: bytes) -> None:
    """ICMP; its checksum is made right, or nothing would get any further."""
    octets = octets[:2] + bytes(2) + octets[4:]
    octets = octets[:2] + internet_checksum(octets).to_bytes(2, "big") + octets[4:]
    found = icmpv4.decode(octets)
    check(isinstance(found, Fault) or icmpv4.decode(icmpv4.encode(found)) == found)


def icmp6(octets: bytes) -> None:
    """ICMPv6."""
    found = icmpv6.decode(octets)
    check(isinstance(found, Fault) or icmpv6.decode(icmpv6.encode(found, MAG, LMA), MAG, LMA) == found)


TARGETS = (
    mobility,
    packet,
    file,
    description,
    authenticator,
    *(header(kind) for kind in (Gre, TlvHeader, Arp, Dhcp, Ethernet, IPv4Packet, IPv6Packet)),
    datagram,
    icmp4,
    icmp6,
)


def one_input(octets: bytes) -> None:
    """What libFuzzer calls."""
    if octets:
        TARGETS[octets[0] % len(TARGETS)](octets[1:])


# --- what the fuzzer starts from --------------------------------------------------------------------------------------

OPTIONS: tuple[o.Option, ...] = (
    o.MobileNodeIdentifier.nai("alice@example.com"),
    o.HomeNetworkPrefix(MAG, 64),
    o.HandoffIndicatorOption(1),
    o.AccessTechnologyOption(4),
    o.LinkLayerIdentifier(bytes(6)),
    o.LinkLocalAddress(MAG),
    o.Timestamp(0x6955B9004000),
    o.GreKey(1),
    o.GreKey(None),
    o.IPv4HomeAddressRequest(MAG4, 24),
    o.IPv4HomeAddressReply(0, 24, MAG4),
    o.IPv4DefaultRouter(MAG4),
    o.IPv4DhcpSupportMode(True),
    o.LmaUserPlaneAddress(MAG),
    o.AlternateCareOfAddress(MAG),
    o.ReplayProtection(1),
    o.VendorSpecific(9, 1, b"abc"),
    o.ServiceSelection(b"internet"),
    o.RestartCounter(1),
    o.NatDetection(True, 1),
    o.Authentication(1, 256, bytes(12)),
)
MESSAGES: tuple[m.Message, ...] = (
    m.BindingUpdate(1, BindingUpdateFlag.A | BindingUpdateFlag.P, 1, OPTIONS[:8]),
    m.BindingUpdate(1, BindingUpdateFlag.P, 0, OPTIONS[8:]),
    m.BindingAcknowledgement(0, BindingAcknowledgementFlag.P, 1, 1, OPTIONS[:11]),
    m.BindingError(2, MAG),
    m.BindingRefreshRequest(),
    m.Heartbeat(HeartbeatFlag.R, 1, (o.RestartCounter(1),)),
    m.BindingRevocationIndication(1, 1, RevocationFlag.P, OPTIONS[:2]),
    m.BindingRevocationAcknowledgement(0, 1, RevocationFlag.P, OPTIONS[:2]),
    m.UpdateNotification(1, 1, UpdateNotificationFlag.A, OPTIONS[:2]),
    m.UpdateNotificationAcknowledgement(1, 0),
    m.UnknownMessage(1, bytes(10)),
)


def seeds() -> Iterator[tuple[Callable[[bytes], None], bytes]]:
    """Good inputs of each target, and the public captures."""
    inner = IPv4Packet(MAG4, LMA4, 6, b"").encode()
    for message in MESSAGES:
        octets = encode(message, MAG, LMA)
        yield mobility, octets
        yield description, octets
        yield packet, IPv6Packet(MAG, LMA, 135, octets).encode()
        yield packet, IPv4Packet(MAG4, LMA4, 17, Udp(5436, 5436, octets).encode(MAG4, LMA4)).encode()
    yield authenticator, sign(MESSAGES[0], ASSOCIATION, MAG)
    gre = Gre(0x0800, inner, key=1, sequence=1, checksum=True).encode()
    yield packet, IPv6Packet(MAG, LMA, 60, b"\x2f\0\x04\1\4\1\0\0" + gre).encode()
    yield packet, IPv4Packet(MAG4, LMA4, 17, Udp(1, 5437, TlvHeader(47, gre).encode()).encode(MAG4, LMA4)).encode()
    for path in sorted(CAPTURES.glob("*.pcap")):
        yield file, path.read_bytes()
    yield file, capture.header([capture.Interface("a")]) + capture.packet(0, 0, bytes(20), "comment")
    options = (n.SourceLinkLayerAddress(bytes(6)), n.Mtu(1), n.Rdnss(1, (MAG,)))
    prefix = n.PrefixInformation(MAG, 64, True, True, 1, 1)
    yield icmp6, icmpv6.encode(icmpv6.RouterAdvertisement(1, (*options, prefix)), MAG, LMA)
    yield icmp6, icmpv6.encode(icmpv6.NeighborSolicitation(MAG), MAG, LMA)
    yield icmp4, icmpv4.encode(icmpv4.fragmentation_needed(1400, inner))
    yield datagram, Udp(1, 2, b"").encode(MAG4, LMA4)
    for target, octets in zip(
        TARGETS[5:12],
        (
            gre,
            TlvHeader(47, gre).encode(),
            Arp(1, bytes(6), MAG4, bytes(6), LMA4).encode(),
            Dhcp(1, 1, bytes(6), ((53, b"\1"), (55, b"\1\3"))).encode(),
            Ethernet(bytes(6), bytes(6), 0x86DD, b"", vlan=5).encode(),
            inner,
            IPv6Packet(MAG, LMA, 59, b"").encode(),
        ),
        strict=True,
    ):
        yield target, octets


def main() -> int:
    """Make the corpus, and fuzz in a process of its own: libFuzzer never comes back."""
    if sys.argv[1:2] == ["--corpus"]:
        found = f"-artifact_prefix={Path(__file__).parent}/"
        atheris.Setup([sys.argv[0], "-timeout=10", "-max_len=1024", found, *sys.argv[3:], sys.argv[2]], one_input)
        atheris.Fuzz()
    # libFuzzer takes what is no number for 0, and below it for ever.
    parser = Parser(prog="fuzz/wire.py", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("-runs", type=count, help="inputs; other arguments are libFuzzer's")
    parser.parse_known_args()
    with tempfile.TemporaryDirectory(prefix="p4pmip-fuzz-") as directory:
        for number, (target, octets) in enumerate(seeds()):
            (Path(directory) / f"seed-{number}").write_bytes(bytes((TARGETS.index(target),)) + octets)
        return subprocess.call([sys.executable, __file__, "--corpus", directory, *sys.argv[1:]])


if __name__ == "__main__":
    sys.exit(main())
