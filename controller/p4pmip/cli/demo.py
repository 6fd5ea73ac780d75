"""`p4pmip demo`: Figure 1 of the draft, end to end, every claim checked."""

import argparse
import asyncio
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from p4pmip.errors import P4pmipError

MISSING = 3
"""Exit status where the machine lacks the target."""


def register(commands: Any) -> None:
    """Add the command's parser."""
    parser = commands.add_parser(
        "demo",
        help="Figure 1 of the draft: overlapping operators, GRE keys, a handover",
        description="Two MAGs, one LMA, two operators with the same addresses; shown and checked from packets and "
        "tables. Exit status 0 if everything holds, 1 if not, 2 for a wrong command line, 3 without the target.",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of the story")
    parser.add_argument("--capture", type=Path, metavar="PATH", help="the pcapng file (default: a new one)")
    parser.add_argument("--target", choices=("softswitch", "bmv2"), default="softswitch", help="what switches")
    parser.add_argument(
        "--keys", choices=("session", "realm"), default="session", help="what one pair of GRE keys stands for"
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Tell the story; the answer is the exit status."""
    from p4pmip.demo.targets import BMV2

    capture = _capture_path(arguments.capture)
    if arguments.target == "bmv2" and shutil.which(BMV2) is None:
        print(f"p4pmip: demo --target bmv2: {BMV2} is not on PATH", file=sys.stderr)
        return MISSING
    return asyncio.run(_tell(arguments, capture))


async def _tell(arguments: argparse.Namespace, capture: Path) -> int:
    from p4pmip.demo.lab import running
    from p4pmip.demo.report import Narrator
    from p4pmip.demo.scenario import Story
    from p4pmip.demo.targets import STARTERS
    from p4pmip.mobility.endpoint import Endpoint
    from p4pmip.wire.mobility_header import decode

    narrator = Narrator(None if arguments.json else sys.stdout)
    names: dict[str, str] = {}

    def signalled(octets: bytes, source: Endpoint, destination: Endpoint) -> None:
        narrator.signalling(decode(octets).message, names[str(source.address)], names[str(destination.address)])

    narrator.say(f"Figure 1 on three switches ({arguments.target}), GRE keys per {arguments.keys}")
    async with running(STARTERS[arguments.target], arguments.keys, signalled) as lab:
        names.update(lab.names)
        result = await Story(lab, narrator, capture).run()
    if arguments.json:
        print(result.as_json())
    else:
        failed = [check.name for check in result.checks if not check.ok]
        print(f"\n{len(result.checks) - len(failed)} of {len(result.checks)} checks hold"
              + (f"; failed: {', '.join(failed)}" if failed else ""))  # fmt: skip
    return 0 if result.ok else 1


def _capture_path(path: Path | None) -> Path:
    if path is None:
        return Path(tempfile.mkstemp(prefix="p4pmip-", suffix=".pcapng")[1])
    try:
        path.open("ab").close()
    except OSError as error:
        raise P4pmipError("--capture", str(path), f"cannot be written: {error.strerror}") from error
    return path
