"""`p4pmip stf`: play Simple Test Framework files of p4c's kind against the softswitch."""

import argparse
from pathlib import Path
from typing import Any


def register(subparsers: Any) -> None:
    """Add the command."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "stf",
        help="play STF tests against the softswitch",
        description="Play STF files: entries, packets, what is expected of them. The program of X.stf is X.json with "
        "X.p4info.txtpb beside it, or X.p4, which p4c-bm2-ss then compiles.",
    )
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE")
    parser.add_argument("--executor", choices=("interpreter", "native"), default="interpreter")
    parser.add_argument("--quiet", action="store_true", help="only failures and the count")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Play the files; 1 if one of them failed."""
    from p4pmip.errors import P4pmipError
    from p4pmip.softswitch.stf.language import parse
    from p4pmip.softswitch.stf.local import LocalBench
    from p4pmip.softswitch.stf.player import Player
    from p4pmip.softswitch.stf.program import program_of, read

    failed = 0
    for path in args.files:
        try:
            problems = Player(LocalBench(program_of(path), args.executor)).play(parse(read(path), path.name))
        except P4pmipError as error:
            problems = [str(error)]
        failed += bool(problems)
        if problems or not args.quiet:
            print(f"{'FAIL' if problems else 'pass'} {path.name}")
        for problem in problems:
            print(f"     {problem}")
    print(f"{len(args.files) - failed} of {len(args.files)} passed, executor {args.executor}")
    return 1 if failed else 0
