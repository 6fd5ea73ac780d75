"""`p4pmip switch`: the softswitch as a program, started as one would start simple_switch_grpc."""

import argparse
import importlib.util
import math
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from p4pmip.errors import P4pmipError

DEFAULT_ADDRESS = "127.0.0.1:9559"
PORT_LIMIT = 1 << 32
DEVICE_LIMIT = 1 << 64
ADDRESS = re.compile(r"unix:.+|(?:[^\s:\[\]/]+|\[[0-9A-Fa-f:.]+\]):(?P<port>[0-9]+)")


def register(subparsers: Any) -> None:
    """Add the command."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "switch",
        help="run the softswitch",
        description="Run the softswitch: P4 programs that p4c-bm2-ss compiled, controlled over P4Runtime.",
    )
    parser.add_argument("json", nargs="?", type=Path, metavar="JSON", help="the program to start with")
    parser.add_argument("--no-p4", action="store_true", help="start without a program (the default without JSON)")
    parser.add_argument("--p4info", type=Path, metavar="FILE", help="P4Info of JSON; by default what stands next to it")
    parser.add_argument(
        "-i", "--interface", action="append", default=[], metavar="PORT@INTERFACE", help="a port (may be repeated)"
    )
    parser.add_argument("--device-id", type=int, default=0, metavar="N", help="P4Runtime's device id (default: 0)")
    parser.add_argument(
        "--grpc-server-addr", default=DEFAULT_ADDRESS, metavar="ADDRESS", help=f"default: {DEFAULT_ADDRESS}"
    )
    parser.add_argument("--cpu-port", type=int, default=0, metavar="PORT", help="the port of packet-in and packet-out")
    parser.add_argument("--drop-port", type=int, default=511, metavar="PORT", help="default: 511")
    parser.add_argument("--dp-grpc-server-addr", metavar="ADDRESS", help="serve packets of ports over gRPC here")
    parser.add_argument("--pcap", nargs="?", const=Path(), type=Path, metavar="DIR", help="write a pcap file per port")
    parser.add_argument(
        "--use-files", type=float, metavar="SECONDS", help="ports are files: X_in.pcap is read, X_out.pcap written"
    )
    parser.add_argument(
        "--executor", choices=("interpreter", "native"), help="what runs packets (default: native where llvmlite is)"
    )
    tls = parser.add_argument_group("TLS")
    tls.add_argument("--grpc-server-ssl", action="store_true", help="serve P4Runtime over TLS")
    tls.add_argument("--grpc-server-cert", type=Path, metavar="FILE", help="the server's certificate")
    tls.add_argument("--grpc-server-key", type=Path, metavar="FILE", help="its key")
    tls.add_argument("--grpc-server-cacert", type=Path, metavar="FILE", help="authority of the clients' certificates")
    tls.add_argument("--grpc-server-with-client-auth", action="store_true", help="clients must have a certificate")
    unused = parser.add_argument_group("accepted for simple_switch_grpc's sake, without effect")
    unused.add_argument("--thrift-port", metavar="PORT")
    unused.add_argument("--log-console", action="store_true")
    unused.add_argument("--log-file", metavar="FILE")
    unused.add_argument("-L", "--log-level", metavar="LEVEL")
    unused.add_argument("--log-flush", action="store_true")
    parser.set_defaults(run=run)
    _accept_separator(parser)


def _accept_separator(parser: argparse.ArgumentParser) -> None:
    """simple_switch_grpc's own options stand after a bare `--`; argparse would take them for positional ones."""
    original = parser.parse_known_args

    def parse(args: Sequence[str] | None = None, namespace: Any = None) -> Any:
        return original([one for one in args or () if one != "--"], namespace)

    setattr(parser, "parse_known_args", parse)  # noqa: B010


def _interface(text: str) -> tuple[int, str]:
    number, separator, name = text.partition("@")
    if not separator or not number.isdecimal() or not name:
        raise P4pmipError("--interface", text, "is not a port and an interface", ["PORT@INTERFACE, as 1@veth0"])
    if int(number) >= PORT_LIMIT:
        raise P4pmipError("--interface", text, "is no port number", [f"0..{PORT_LIMIT - 1}"])
    return int(number), name


def _check_address(option: str, text: str) -> None:
    """gRPC itself would take 99999 for another port, and no port for 443."""
    matched = ADDRESS.fullmatch(text)
    if matched is None or int(matched["port"] or 0) > 65535:
        raise P4pmipError(option, text, "is no address to listen on", ["HOST:PORT", "[IPV6]:PORT", "unix:PATH"])


def _check(args: argparse.Namespace, interfaces: tuple[tuple[int, str], ...]) -> None:
    numbers = [number for number, _ in interfaces]
    for option, value in (("--cpu-port", args.cpu_port), ("--drop-port", args.drop_port)):
        if not 0 <= value < PORT_LIMIT:
            raise P4pmipError(option, value, "is no port number", [f"0..{PORT_LIMIT - 1}"])
        if value in numbers and value:
            raise P4pmipError(option, value, "is also the number of an interface", ["another port"])
    if args.cpu_port and args.cpu_port == args.drop_port:
        raise P4pmipError("--cpu-port", args.cpu_port, "is the drop port", ["another port"])
    if len(set(numbers)) != len(numbers):
        raise P4pmipError("--interface", args.interface, "gives two interfaces the same port")
    if not 0 <= args.device_id < DEVICE_LIMIT:
        raise P4pmipError("--device-id", args.device_id, "does not fit 64 bits", [f"0..{DEVICE_LIMIT - 1}"])
    _check_address("--grpc-server-addr", args.grpc_server_addr)
    if args.dp_grpc_server_addr is not None:
        _check_address("--dp-grpc-server-addr", args.dp_grpc_server_addr)
    if args.no_p4 and args.json is not None:
        raise P4pmipError("--no-p4", str(args.json), "a program is given nevertheless")
    if args.p4info is not None and args.json is None:
        raise P4pmipError("--p4info", str(args.p4info), "goes with a program", ["JSON"])
    if args.use_files is not None and not 0 <= args.use_files < math.inf:
        raise P4pmipError("--use-files", args.use_files, "is no time to wait", ["seconds, from 0"])
    if args.dp_grpc_server_addr and interfaces:
        raise P4pmipError("--dp-grpc-server-addr", args.dp_grpc_server_addr, "cannot be used together with -i")
    for option in ("cert", "key", "cacert", "with_client_auth"):
        if getattr(args, f"grpc_server_{option}") and not args.grpc_server_ssl:
            # Without it the server would be open to everybody, and its owner not know.
            raise P4pmipError(f"--grpc-server-{option.replace('_', '-')}", None, "needs TLS", ["--grpc-server-ssl"])
    if args.grpc_server_ssl:
        for option in ("cert", "key"):
            if getattr(args, f"grpc_server_{option}") is None:
                raise P4pmipError(
                    "--grpc-server-ssl", None, "needs a certificate and a key", [f"--grpc-server-{option}"]
                )
    if args.grpc_server_with_client_auth and args.grpc_server_cacert is None:
        raise P4pmipError("--grpc-server-with-client-auth", None, "needs an authority", ["--grpc-server-cacert"])
    if args.pcap is not None and not args.pcap.is_dir():
        raise P4pmipError("--pcap", str(args.pcap), "is no directory")


def default_executor() -> str:
    """Machine code wherever it can be made."""
    return "native" if importlib.util.find_spec("llvmlite") else "interpreter"


def run(args: argparse.Namespace) -> int:
    """Run the switch until a signal ends it."""
    # gRPC is loaded only by those who use it.
    from p4pmip.softswitch.process.command import Command, Tls
    from p4pmip.softswitch.process.command import run as run_switch

    interfaces = tuple(_interface(one) for one in args.interface)
    _check(args, interfaces)
    for option, what in (
        ("thrift_port", "there is no Thrift server"),
        ("log_console", "p4pmip trace explains packets"),
        ("log_file", "p4pmip trace explains packets"),
        ("log_level", "p4pmip trace explains packets"),
    ):
        if getattr(args, option):
            print(f"p4pmip switch: --{option.replace('_', '-')} has no effect: {what}", file=sys.stderr)
    tls = None
    if args.grpc_server_ssl:
        tls = Tls(
            args.grpc_server_cert, args.grpc_server_key, args.grpc_server_cacert, args.grpc_server_with_client_auth
        )
    command = Command(
        device_id=args.device_id,
        cpu_port=args.cpu_port,
        drop_port=args.drop_port,
        interfaces=interfaces,
        grpc_address=args.grpc_server_addr,
        dataplane_address=args.dp_grpc_server_addr,
        json=args.json,
        p4info=args.p4info,
        pcap=args.pcap,
        use_files=args.use_files,
        executor=args.executor or default_executor(),
        tls=tls,
    )
    return run_switch(command)
