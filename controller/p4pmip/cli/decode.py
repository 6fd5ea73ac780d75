"""`p4pmip decode`: the signalling and tunnel packets of a capture, or of hexadecimal digits, as trees or JSON."""

import argparse
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from p4pmip.errors import P4pmipError
from p4pmip.wire import capture
from p4pmip.wire.describe import message_json, message_lines
from p4pmip.wire.fault import Reason
from p4pmip.wire.ip import IPProtocol, IPv4Packet, IPv6Packet
from p4pmip.wire.packet import Packet, Transport, decode_bare, decode_frame, decode_packet

Json = dict[str, Any]


def register(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "decode",
        help="show the signalling and tunnel packets of a capture",
        description="Show the signalling and tunnel packets of a pcap or pcapng file, or of hexadecimal digits."
        " The exit status is 1 when a packet has errors.",
    )
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("file", nargs="?", metavar="FILE", type=Path, help="a pcap or pcapng file")
    source.add_argument("--hex", metavar="HEX", help="a Mobility Header, or a whole IPv6 or IPv4 packet")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print what was found; 1 if any of it has errors."""
    packets: Iterable[tuple[int, Packet]]
    if args.hex is None:
        packets, file_errors = _read_file(args.file)
    else:
        packets, file_errors = [(1, _decode_hex(args.hex))], []
    if args.json:
        packets = list(packets)
        faulty = any(packet.faults for _, packet in packets)
        document: Json = {"packets": [_packet_json(number, packet) for number, packet in packets]}
        if file_errors:
            document["errors"] = file_errors
        print(json.dumps(document, indent=2))
    else:
        faulty = tell(packets)
        for error in file_errors:
            print(f"! file, octet {error['offset']}: {error['reason']}")
    return 1 if file_errors or faulty else 0


def tell(packets: Iterable[tuple[int, Packet]]) -> bool:
    """Print each packet as soon as it is decoded, for whoever looks into a big file; whether one has errors."""
    faulty, empty = False, True
    for number, packet in packets:
        print("\n".join(_packet_lines(number, packet)))
        faulty = faulty or bool(packet.faults)
        empty = False
    if empty:
        print("no signalling and no tunnel packets")
    return faulty


def _read_file(path: Path) -> tuple[Iterator[tuple[int, Packet]], list[Json]]:
    try:
        octets = path.read_bytes()
    except OSError as error:
        raise P4pmipError("decode", str(path), f"cannot be read ({error.strerror})") from error
    found = capture.read(octets)
    if any(fault.reason == Reason.UNKNOWN_FORMAT for fault in found.faults):
        raise P4pmipError("decode", str(path), "is not a capture file", ["pcap", "pcapng"])
    decoded = ((frame.number, decode_frame(frame)) for frame in found.frames)
    packets = (
        (number, packet) for number, packet in decoded if packet.transport is not Transport.OTHER or packet.faults
    )
    return packets, [{"offset": fault.offset, "reason": str(fault.reason)} for fault in found.faults]


def _decode_hex(digits: str) -> Packet:
    try:
        octets = bytes.fromhex(digits.removeprefix("0x").replace(":", ""))
    except ValueError as error:
        raise P4pmipError("decode --hex", digits, "is not hexadecimal") from error
    if not octets:
        raise P4pmipError("decode --hex", digits, "is empty")
    # A Mobility Header starts with Payload Proto 59, which is no IP version.
    return decode_packet(octets) if octets[0] >> 4 in (4, 6) else decode_bare(octets)


def _packet_json(number: int, packet: Packet) -> Json:
    result: Json = {
        "n": number,
        "src": _address(packet.source),
        "dst": _address(packet.destination),
        "transport": str(Transport.IP if packet.transport is Transport.OTHER else packet.transport),
        "checksum": str(packet.checksum),
    }
    if packet.gre is not None:
        header = packet.gre
        result["gre"] = {
            "flags": header.flags,
            "protocol": header.protocol,
            "key": header.key,
            "sequence": header.sequence,
            "checksum": None if header.checksum is None else str(header.checksum),
        }
    if packet.tunnel:
        result["inner"] = None if packet.inner is None else _inner_json(packet.inner)
    else:
        result["message"] = None if packet.signalling is None else message_json(packet.signalling)
    result["errors"] = [
        {"offset": fault.offset, "reason": str(fault.reason), "layer": fault.layer} for fault in packet.faults
    ]
    return result


def _inner_json(inner: IPv4Packet | IPv6Packet) -> Json:
    return {
        "version": inner.source.version,
        "src": str(inner.source),
        "dst": str(inner.destination),
        "protocol": _protocol(inner),
        "length": len(inner.payload),
    }


def _packet_lines(number: int, packet: Packet) -> list[str]:
    ends = "" if packet.source is None else f"{packet.source} → {packet.destination}, "
    lines = [f"Packet {number}: {ends}{_TRANSPORTS[packet.transport]}"]
    if packet.signalling is not None:
        lines[0] += f", checksum {packet.checksum}"
        lines += [f"  {line}" for line in message_lines(packet.signalling)]
    if packet.gre is not None:
        lines.append(f"  {_gre_words(packet)}")
    if packet.inner is not None:
        inner = packet.inner
        protocol = _protocol(inner)
        names = {int(member): member.name for member in IPProtocol}
        lines.append(
            f"    IPv{inner.source.version} {inner.source} → {inner.destination},"
            f" {names.get(protocol, f'protocol {protocol}')}, {len(inner.payload)} octets"
        )
    lines += [f"  ! {fault.layer}, octet {fault.offset}: {fault.reason}" for fault in packet.faults]
    return lines


_TRANSPORTS = {
    Transport.MH: "Mobility Header",
    Transport.UDP: "UDP",
    Transport.GRE: "GRE",
    Transport.IP: "IP",
    Transport.BARE: "bare Mobility Header",
    Transport.OTHER: "IP, neither signalling nor tunnel",
}


def _gre_words(packet: Packet) -> str:
    header = packet.gre
    if header is None:
        return "GRE"
    words = [f"GRE, flags 0x{header.flags:04x}", f"protocol 0x{header.protocol:04x}"]
    words.append("no key" if header.key is None else f"key {header.key} (0x{header.key:08x})")
    if header.sequence is not None:
        words.append(f"sequence {header.sequence}")
    if header.checksum is not None:
        words.append(f"checksum {header.checksum}")
    return ", ".join(words)


def _protocol(packet: IPv4Packet | IPv6Packet) -> int:
    return packet.protocol if isinstance(packet, IPv4Packet) else packet.next_header


def _address(address: object) -> str | None:
    return None if address is None else str(address)
