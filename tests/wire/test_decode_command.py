"""`p4pmip decode`: the JSON it promises, the tree people read, and its exit status."""

import json
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import Any

import pytest

from p4pmip.cli.decode import tell
from p4pmip.cli.main import main
from p4pmip.wire import capture
from p4pmip.wire import message as m
from p4pmip.wire import options as o
from p4pmip.wire.capture import Interface, LinkType
from p4pmip.wire.ethernet import Ethernet, EtherType
from p4pmip.wire.gre import Gre, TlvHeader
from p4pmip.wire.ip import IPProtocol, IPv4Packet, IPv6Packet
from p4pmip.wire.mobility_header import encode
from p4pmip.wire.numbers import (
    DATA_PORT,
    SIGNALLING_PORT,
    BindingAcknowledgementFlag,
    BindingUpdateFlag,
    HeartbeatFlag,
)
from p4pmip.wire.packet import Packet, decode_packet
from p4pmip.wire.udp import Udp

MAG, LMA = IPv6Address("2001:db8::1"), IPv6Address("2001:db8::2")
MAG4, LMA4 = IPv4Address("192.0.2.1"), IPv4Address("192.0.2.2")
PBU = m.BindingUpdate(
    7,
    BindingUpdateFlag.A | BindingUpdateFlag.P,
    900,
    (
        o.MobileNodeIdentifier.nai("alice@example.com"),
        o.HomeNetworkPrefix(IPv6Address("::"), 0),
        o.Timestamp.from_utc(1767225600.25),
        o.GreKey(0),
        o.UnknownOption(250, b"\xca\xfe"),
    ),
)
INNER = IPv4Packet(IPv4Address("10.0.0.1"), IPv4Address("198.51.100.1"), IPProtocol.UDP, b"abcd")


def over_ipv6(message: m.Message) -> bytes:
    return IPv6Packet(MAG, LMA, IPProtocol.MOBILITY_HEADER, encode(message, MAG, LMA)).encode()


def over_udp(port: int, payload: bytes) -> bytes:
    return IPv4Packet(MAG4, LMA4, IPProtocol.UDP, Udp(40000, port, payload).encode(MAG4, LMA4)).encode()


def decoded(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, list[dict[str, Any]]]:
    status = main(["decode", *arguments, "--json"])
    document = json.loads(capsys.readouterr().out)
    return status, document["packets"]


def test_a_bare_mobility_header(capsys: pytest.CaptureFixture[str]) -> None:
    status, packets = decoded(capsys, "--hex", encode(PBU).hex())
    assert status == 0
    assert packets == [
        {
            "n": 1,
            "src": None,
            "dst": None,
            "transport": "bare",
            "checksum": "unchecked",
            "message": {
                "type": 5,
                "name": "Proxy Binding Update",
                "sequence": 7,
                "flags": 0x8200,
                "lifetime_s": 3600,
                "status": None,
                "options": [
                    {
                        "type": 8,
                        "name": "Mobile Node Identifier",
                        "length": 18,
                        "offset": 12,
                        "subtype": 1,
                        "identifier": "alice@example.com",
                    },
                    {
                        "type": 22,
                        "name": "Home Network Prefix",
                        "length": 18,
                        "offset": 36,
                        "prefix": "::",
                        "prefix_length": 0,
                    },
                    {
                        "type": 27,
                        "name": "Timestamp",
                        "length": 8,
                        "offset": 58,
                        "value": 0x00006955B9004000,
                        "utc": "2026-01-01T00:00:00.250000+00:00",
                    },
                    {"type": 33, "name": "GRE Key", "length": 6, "offset": 68, "key": 0},
                    {"type": 250, "name": "unassigned (250)", "length": 2, "offset": 76, "data": "cafe"},
                ],
            },
            "errors": [],
        }
    ]


def test_gre_mode_has_a_key_of_null(capsys: pytest.CaptureFixture[str]) -> None:
    sent = m.BindingAcknowledgement(2, BindingAcknowledgementFlag.P, 7, 900, (o.GreKey(None),))
    status, [packet] = decoded(capsys, "--hex", over_ipv6(sent).hex(":"))
    assert status == 0
    assert (packet["transport"], packet["checksum"]) == ("mh", "ok")
    assert (packet["src"], packet["dst"]) == ("2001:db8::1", "2001:db8::2")
    message = packet["message"]
    assert (message["name"], message["status"], message["flags"]) == ("Proxy Binding Acknowledgement", 2, 0x20)
    assert message["options"] == [{"type": 33, "name": "GRE Key", "length": 2, "offset": 12, "key": None}]


def test_errors_have_their_place_and_the_exit_status_is_1(capsys: pytest.CaptureFixture[str]) -> None:
    sent = m.BindingUpdate(1, BindingUpdateFlag.P, 1, (o.UnknownOption(33, bytes(3)), o.GreKey(1), o.GreKey(2)))
    status, [packet] = decoded(capsys, "--hex", encode(sent).hex())
    assert status == 1
    assert [(error["offset"], error["reason"]) for error in packet["errors"]] == [
        (12, "bad_option_length"),
        (28, "duplicate_option"),
    ]
    octets = bytearray(over_ipv6(PBU))
    octets[-1] ^= 1
    status, [packet] = decoded(capsys, "--hex", octets.hex())
    assert (status, packet["checksum"]) == (1, "bad")
    assert packet["message"]["name"] == "Proxy Binding Update"


def test_signalling_over_udp_has_no_checksum_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    status, [packet] = decoded(capsys, "--hex", over_udp(SIGNALLING_PORT, encode(PBU)).hex())
    assert status == 0
    assert (packet["transport"], packet["checksum"]) == ("udp", "zero")
    assert packet["message"]["sequence"] == 7


@pytest.mark.parametrize(
    ("octets", "transport"),
    [
        (IPv6Packet(MAG, LMA, IPProtocol.GRE, Gre(EtherType.IPV4, INNER.encode(), key=0).encode()).encode(), "gre"),
        (
            over_udp(
                DATA_PORT, TlvHeader(IPProtocol.GRE, Gre(EtherType.IPV4, INNER.encode(), key=0).encode()).encode()
            ),
            "udp",
        ),
    ],
)
def test_gre_packets(capsys: pytest.CaptureFixture[str], octets: bytes, transport: str) -> None:
    status, [packet] = decoded(capsys, "--hex", octets.hex())
    assert status == 0
    assert packet["transport"] == transport
    assert packet["gre"] == {"flags": 0x2000, "protocol": 0x0800, "key": 0, "sequence": None, "checksum": None}
    assert packet["inner"] == {"version": 4, "src": "10.0.0.1", "dst": "198.51.100.1", "protocol": 17, "length": 4}
    assert "message" not in packet


def test_gre_without_a_key_and_with_everything_else(capsys: pytest.CaptureFixture[str]) -> None:
    gre = Gre(EtherType.IPV4, INNER.encode(), sequence=9, checksum=True)
    status, [packet] = decoded(capsys, "--hex", IPv4Packet(MAG4, LMA4, 47, gre.encode()).encode().hex())
    assert status == 0
    assert packet["gre"] == {"flags": 0x9000, "protocol": 0x0800, "key": None, "sequence": 9, "checksum": "ok"}


@pytest.mark.parametrize(
    "octets", [IPv6Packet(MAG, LMA, 4, INNER.encode()).encode(), over_udp(DATA_PORT, INNER.encode())]
)
def test_ip_in_ip_and_ip_in_udp(capsys: pytest.CaptureFixture[str], octets: bytes) -> None:
    status, [packet] = decoded(capsys, "--hex", octets.hex())
    assert status == 0
    assert packet["transport"] in ("ip", "udp")
    assert packet["inner"]["src"] == "10.0.0.1"


def test_a_tlv_length_that_lies_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    octets = TlvHeader(IPProtocol.GRE, bytes(8)).encode() + b"!"
    status, [packet] = decoded(capsys, "--hex", over_udp(DATA_PORT, octets).hex())
    assert status == 1
    assert packet["errors"] == [{"offset": 2, "reason": "bad_length", "layer": "tlv"}]


def test_gre_that_must_be_discarded_is_shown_with_the_reason(capsys: pytest.CaptureFixture[str]) -> None:
    gre = bytearray(Gre(EtherType.IPV4, INNER.encode(), key=1).encode())
    gre[1] = 1
    status, [packet] = decoded(capsys, "--hex", IPv6Packet(MAG, LMA, IPProtocol.GRE, bytes(gre)).encode().hex())
    assert status == 1
    assert packet["gre"] == {"flags": 0x2001, "protocol": 0x0800, "key": None, "sequence": None, "checksum": None}
    assert packet["inner"] is None
    assert packet["errors"] == [{"offset": 0, "reason": "bad_version", "layer": "gre"}]


def test_a_packet_that_is_neither_signalling_nor_tunnel_has_no_message(capsys: pytest.CaptureFixture[str]) -> None:
    octets = IPv6Packet(MAG, LMA, IPProtocol.TCP, bytes(20)).encode()
    status, [packet] = decoded(capsys, "--hex", octets.hex())
    assert status == 0
    assert (packet["transport"], packet["message"], packet["errors"]) == ("ip", None, [])
    assert main(["decode", "--hex", octets.hex()]) == 0
    assert "neither signalling nor tunnel" in capsys.readouterr().out


def test_a_file_shows_signalling_and_tunnels_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def frame(packet: bytes, ether_type: int = EtherType.IPV6) -> bytes:
        return Ethernet(bytes(6), bytes(6), ether_type, packet, vlan=5).encode()

    tunnelled = IPv6Packet(MAG, LMA, IPProtocol.GRE, Gre(EtherType.IPV4, INNER.encode()).encode())
    path = tmp_path / "lab.pcapng"
    path.write_bytes(
        capture.header([Interface("core"), Interface("raw", LinkType.RAW)])
        + capture.packet(0, 0, frame(IPv6Packet(MAG, LMA, IPProtocol.TCP, bytes(20)).encode()))
        + capture.packet(0, 0, frame(bytes(28), EtherType.ARP))
        + capture.packet(0, 0, frame(over_ipv6(PBU)))
        + capture.packet(1, 0, over_ipv6(m.Heartbeat(HeartbeatFlag.R, 3, (o.RestartCounter(4),))))
        + capture.packet(0, 0, frame(tunnelled.encode()))
    )
    status, packets = decoded(capsys, str(path))
    assert status == 0
    assert [packet["n"] for packet in packets] == [3, 4, 5]
    assert packets[1]["message"]["name"] == "Heartbeat"
    assert main(["decode", str(path)]) == 0
    shown = capsys.readouterr().out
    assert "Packet 3: 2001:db8::1 → 2001:db8::2, Mobility Header, checksum ok" in shown
    assert "Proxy Binding Update, sequence 7, flags AP (0x8200), lifetime 3600 s" in shown
    assert "  68  GRE Key (33), length 6: key 0 (0x00000000)" in shown
    assert "GRE, flags 0x0000, protocol 0x0800, no key" in shown


def test_what_the_network_says_cannot_write_to_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    sent = m.BindingUpdate(1, BindingUpdateFlag.P, 1, (o.MobileNodeIdentifier.nai(b"\x1b[2J\xff\nmallory"),))
    assert main(["decode", "--hex", encode(sent).hex()]) == 0
    shown = capsys.readouterr().out
    assert "\x1b" not in shown
    assert "\\x1b[2J\\xff\\nmallory" in shown


def test_a_file_that_ends_too_soon_is_shown_so_far(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "cut.pcapng"
    path.write_bytes((capture.header([Interface("raw", LinkType.RAW)]) + capture.packet(0, 0, over_ipv6(PBU)) * 2)[:-8])
    assert main(["decode", "--json", str(path)]) == 1
    document = json.loads(capsys.readouterr().out)
    assert len(document["packets"]) == 1
    assert [error["reason"] for error in document["errors"]] == ["truncated"]


@pytest.mark.parametrize(
    "arguments", [["--hex", "3b0"], ["--hex", "xyz"], ["--hex", ""], ["/nonexistent.pcap"], [__file__]]
)
def test_what_cannot_be_used_is_one_line_and_status_2(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    assert main(["decode", *arguments]) == 2
    answer = capsys.readouterr()
    assert answer.out == ""
    assert answer.err.startswith("p4pmip: decode")
    assert answer.err.count("\n") == 1


@pytest.mark.parametrize("arguments", [[], ["--hex", "3b", "file"]])
def test_one_source_is_wanted(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["decode", *arguments])
    assert left.value.code == 2


def test_a_packet_is_told_before_the_next_is_decoded(capsys: pytest.CaptureFixture[str]) -> None:
    """A big capture is looked into at once, `| head` included."""
    packet = decode_packet(bytes(1))

    def packets() -> Iterator[tuple[int, Packet]]:
        yield 1, packet
        assert capsys.readouterr().out.startswith("Packet 1: ")
        yield 2, packet

    assert tell(packets())
    assert capsys.readouterr().out.startswith("Packet 2: ")


def test_nothing_to_show_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "empty.pcap"
    path.write_bytes(bytes.fromhex("d4c3b2a1 02000400 00000000 00000000 ffff0000 01000000"))
    assert main(["decode", str(path)]) == 0
    assert capsys.readouterr().out == "no signalling and no tunnel packets\n"
