"""`p4pmip stf`: play Simple Test Framework files of p4c's kind against the softswitch or any P4Runtime target."""

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from p4pmip.p4runtime.target import Target
    from p4pmip.softswitch.stf.player import Bench

EXECUTOR = "interpreter"


def register(subparsers: Any) -> None:
    """Add the command."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "stf",
        help="play STF tests against the softswitch or another target",
        description="Play STF files: entries, packets, what is expected of them. The program of X.stf is X.json with "
        "X.p4info.txtpb beside it, or X.p4, which p4c-bm2-ss then compiles. With --target it is set there, as by the "
        "only controller, and packets go in and out by the target's packet service.",
    )
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE")
    parser.add_argument(
        "--executor",
        choices=("interpreter", "native"),
        default=None,
        help="of the softswitch in this process, without --target (default: interpreter)",
    )
    parser.add_argument("--target", metavar="TARGET", help="HOST:PORT[/DEVICE_ID] of a P4Runtime target")
    parser.add_argument("--packets", metavar="ADDRESS", help="its --dp-grpc-server-addr: HOST:PORT or unix:PATH")
    parser.add_argument("--quiet", action="store_true", help="only failures and the count")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Play the files; 1 if one of them failed."""
    from p4pmip.errors import P4pmipError
    from p4pmip.p4runtime.target import parse_target
    from p4pmip.softswitch.files import read_text
    from p4pmip.softswitch.stf.language import parse
    from p4pmip.softswitch.stf.player import Player

    if (args.target is None) != (args.packets is None):
        raise P4pmipError("--packets", args.packets, "goes with --target, and the other way round")
    if args.target is not None and args.executor is not None:
        raise P4pmipError("--executor", args.executor, "is of the softswitch in this process, not of --target")
    target = None if args.target is None else parse_target(args.target)
    for path in args.files:
        if not path.is_file():
            raise P4pmipError("FILE", str(path), "no such file")
    failed = 0
    for path in args.files:
        try:
            with _bench(args, target, path) as bench:
                problems = Player(bench).play(parse(read_text("STF", path), path.name))
        except P4pmipError as error:
            problems = [str(error)]
        failed += bool(problems)
        if problems or not args.quiet:
            print(f"{'FAIL' if problems else 'pass'} {path.name}")
        for problem in problems:
            print(f"     {problem}")
    where = f"executor {args.executor or EXECUTOR}" if target is None else f"target {target.label}"
    print(f"{len(args.files) - failed} of {len(args.files)} passed, {where}")
    return 1 if failed else 0


@contextmanager
def _bench(args: argparse.Namespace, target: "Target | None", path: Path) -> "Iterator[Bench]":
    """What the file is played on."""
    from p4pmip.softswitch.stf.local import LocalBench
    from p4pmip.softswitch.stf.program import program_of
    from p4pmip.softswitch.stf.remote import RemoteBench

    if target is None:
        yield LocalBench(program_of(path), args.executor or EXECUTOR)
        return
    remote = RemoteBench(program_of(path), target.address, target.device_id, args.packets)
    try:
        yield remote
    finally:
        remote.close()
