"""`p4pmip trace`: what a switch does with one packet, and why."""

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from p4pmip.errors import P4pmipError

ACCOUNT = ("parser", "tables", "messages", "outcome")
"""What `--json` prints, messages where the program has some; the octets of what left are for people."""


PORTS = 1 << 9
"""v1model has nine bits for a port."""


def register(subparsers: Any) -> None:
    """Add the command."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "trace",
        help="explain what a softswitch does with a packet",
        description="Run a packet through a softswitch and print every parser state, every table with its key, "
        "every action, and why the packet was dropped or where it left. With --target it runs in a live softswitch, "
        "and really leaves; otherwise in one that is made of --pipeline, --p4info and --entries.",
    )
    parser.add_argument("--target", metavar="HOST:PORT[/DEVICE_ID]", help="a live softswitch")
    parser.add_argument("--pipeline", type=Path, metavar="JSON", help="offline: the program")
    parser.add_argument("--p4info", type=Path, metavar="FILE", help="offline: its P4Info")
    parser.add_argument("--entries", type=Path, metavar="FILE", help="offline: the JSON of `p4pmip tables --raw`")
    parser.add_argument("--port", type=int, required=True, help="the port that the packet comes in on")
    packet = parser.add_mutually_exclusive_group(required=True)
    packet.add_argument("--hex", help="the packet")
    packet.add_argument("--pcap", type=Path, metavar="FILE", help="packets, one after the other")
    parser.add_argument("--json", action="store_true", help="one JSON object for each packet")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Trace the packets."""
    from p4pmip.p4runtime.target import parse_target
    from p4pmip.softswitch.explain import TraceRefused, live, offline

    if not 0 <= args.port < PORTS:
        raise P4pmipError("--port", args.port, "is no port number", [f"0..{PORTS - 1}"])
    frames = list(_frames(args))
    if args.target is not None:
        tracer = live(parse_target(args.target).address)
    else:
        for option in ("pipeline", "p4info"):
            if getattr(args, option) is None:
                raise P4pmipError(f"--{option}", None, "is needed without --target", ["--target HOST:PORT"])
        tracer = offline(args.pipeline, args.p4info, args.entries)
    for frame in frames:
        try:
            result = tracer(args.port, frame)
        except TraceRefused as error:
            print(f"p4pmip: {error}", file=sys.stderr)
            return 1
        account = {key: result[key] for key in ACCOUNT if key in result}
        print(json.dumps(account) if args.json else "\n".join(_lines(result)))
    return 0


def _frames(args: argparse.Namespace) -> Iterator[bytes]:
    if args.hex is not None:
        try:
            yield bytes.fromhex(args.hex.removeprefix("0x").replace(":", ""))
        except ValueError:
            raise P4pmipError("--hex", args.hex, "is not hexadecimal octets") from None
        return
    from p4pmip.wire import capture

    try:
        found = capture.read(args.pcap.read_bytes())
    except OSError as error:
        raise P4pmipError("--pcap", str(args.pcap), error.strerror or "cannot be read") from error
    for fault in found.faults:
        problem = f"cannot be read at octet {fault.offset} ({fault.reason})"
        raise P4pmipError("--pcap", str(args.pcap), problem, ["pcap", "pcapng"])
    # A switch's port takes Ethernet; the demo's capture has its signalling beside, in IP packets.
    frames = [frame.octets for frame in found.frames if frame.link_type == capture.LinkType.ETHERNET]
    if found.frames and not frames:
        raise P4pmipError("--pcap", str(args.pcap), "has no Ethernet frame")
    yield from frames


def _lines(result: dict[str, Any]) -> Iterator[str]:
    yield "parser   " + " > ".join(result["parser"])
    for table in result["tables"]:
        key = ", ".join(f"{name}={value:#x}" for name, value in table["key"].items())
        params = ", ".join(f"{name}={value:#x}" for name, value in table["params"].items())
        yield f"table    {table['name']}({key}) {'hit' if table['hit'] else 'miss'}: {table['action']}({params})"
    for message in result.get("messages", ()):
        yield f"message  {message}"
    outcome = result["outcome"]
    if "drop" in outcome:
        yield f"dropped  {outcome['drop']}"
    for one in result["outputs"]:
        yield f"left     port {one['port']}: {one['hex']}"
