"""`p4pmip demo`: Figure 1 of the draft, end to end, every claim checked."""

import argparse
import asyncio
import shutil
import signal
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from p4pmip.errors import P4pmipError

if TYPE_CHECKING:
    from p4pmip.demo.lab import Lab
    from p4pmip.demo.report import Result

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
    parser.add_argument(
        "--view", metavar="ADDR:PORT", nargs="?", const="127.0.0.1:0",
        help="serve the live view, and keep the figure alive after the story until interrupted (default: any free "
        "port on loopback)",
    )  # fmt: skip
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Tell the story; the answer is the exit status."""
    from p4pmip.demo.report import Check, Result
    from p4pmip.demo.targets import BMV2, TargetMissing
    from p4pmip.p4runtime.status import TargetError

    if arguments.view is not None:
        from p4pmip.view.server import listening_address

        listening_address(arguments.view)
    if arguments.target == "bmv2" and shutil.which(BMV2) is None:
        print(f"p4pmip: demo --target bmv2: {BMV2} is not on PATH", file=sys.stderr)
        return MISSING
    capture = _capture_path(arguments.capture)
    try:
        return asyncio.run(_tell(arguments, capture))
    except (TargetError, TargetMissing) as error:
        if arguments.json:
            _print(Result([Check("start", False, str(error))], capture=str(arguments.capture or "")), as_json=True)
        print(f"p4pmip: {error}", file=sys.stderr)
        return 1
    finally:
        if arguments.capture is None and capture.stat().st_size == 0:
            capture.unlink()  # the story did not come to it


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
        # Where nobody reads any more, the story's own next line ends it; a node's socket must not.
        with suppress(BrokenPipeError):
            narrator.signalling(decode(octets).message, names[str(source.address)], names[str(destination.address)])

    narrator.say(f"Figure 1 on three switches ({arguments.target}), GRE keys per {arguments.keys}")
    async with running(STARTERS[arguments.target], arguments.keys, signalled) as lab:
        names.update(lab.names)
        if arguments.view is None:
            result = await Story(lab, narrator, capture).run()
        else:
            async with _viewed(lab, arguments.view) as interrupted:
                result = await Story(lab, narrator, capture).run()
                _print(result, arguments.json)
                await interrupted.wait()
    if arguments.view is None:
        _print(result, arguments.json)
    return 0 if result.ok else 1


def _print(result: "Result", as_json: bool) -> None:
    if as_json:
        print(result.as_json(), flush=True)
        return
    failed = [check.name for check in result.checks if not check.ok]
    print(f"\n{len(result.checks) - len(failed)} of {len(result.checks)} checks hold"
          + (f"; failed: {', '.join(failed)}" if failed else ""), flush=True)  # fmt: skip


@asynccontextmanager
async def _viewed(lab: "Lab", text: str) -> AsyncIterator[asyncio.Event]:
    """Serve the live view; the event is set when somebody wants to end."""
    from p4pmip.view.server import ViewServer, address_of
    from p4pmip.view.sources import Local

    server = ViewServer([Local(node, lab.events[name]) for name, node in lab.nodes.items()], address_of(text))
    url = await server.start()
    interrupted = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, interrupted.set)
    print(f"p4pmip: the live view is at {url} until Ctrl-C", file=sys.stderr, flush=True)
    try:
        yield interrupted
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
        await server.stop()


def _capture_path(path: Path | None) -> Path:
    if path is None:
        return Path(tempfile.mkstemp(prefix="p4pmip-", suffix=".pcapng")[1])
    try:
        path.open("ab").close()
    except OSError as error:
        raise P4pmipError("--capture", str(path), f"cannot be written: {error.strerror}") from error
    return path
