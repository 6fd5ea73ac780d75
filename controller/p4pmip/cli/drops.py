"""`p4pmip drops`: why a target drops packets."""

import argparse

from p4pmip.cli import _targets
from p4pmip.p4runtime.client import Client
from p4pmip.p4runtime.reader import Reader


def register(subparsers: "_targets.Subparsers[argparse.ArgumentParser]") -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "drops",
        help="show why a target drops packets",
        description="Show the packets that a target dropped, by the reasons that its program names.",
    )
    _targets.add_target(parser)
    _targets.add_json(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print a count for each reason."""
    return _targets.finish(_run(args))


async def _run(args: argparse.Namespace) -> int:
    async with Client(_targets.target_of(args)) as client:
        drops = await Reader(client, await _targets.running_pipeline(client)).drops()
    if args.json:
        _targets.print_json({"drops": [{"reason": reason, "packets": n} for reason, n in drops.items()]})
        return 0
    width = max(map(len, drops), default=0)
    for reason, packets in sorted(drops.items(), key=lambda item: -item[1]):
        print(f"{reason:{width}}  {packets}")
    return 0
