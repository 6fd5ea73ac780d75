"""`p4pmip deploy`: have targets run the P4 program."""

import argparse
import sys
from pathlib import Path

from p4pmip.cli import _targets
from p4pmip.errors import P4pmipError
from p4pmip.p4runtime import deployment
from p4pmip.p4runtime.pipeline import Pipeline
from p4pmip.p4runtime.target import Target


def register(subparsers: "_targets.Subparsers[argparse.ArgumentParser]") -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "deploy",
        help="set the P4 program of targets",
        description="Set the P4 program of targets, all at once. A target that runs it already is left alone, and so is"
        " one that another controller is primary of. Without TARGET: every target of the inventory."
        " The exit status is 1 when a target failed.",
    )
    _targets.add_target(parser, count="*")
    parser.add_argument("--p4info", metavar="F", type=Path, help="P4Info of an own program (default: the packaged one)")
    parser.add_argument("--pipeline", metavar="F", type=Path, help="the compiled program that belongs to --p4info")
    parser.add_argument("--dry-run", action="store_true", help="say what would be done, change nothing")
    parser.add_argument(
        "--force", action="store_true", help="take over from another primary, and set a program that is not p4pmip's"
    )
    parser.add_argument(
        "--wait", metavar="SECONDS", type=_seconds, default=0.0,
        help="how long a target that does not answer yet may take to start (default: 0)",
    )  # fmt: skip
    _targets.add_json(parser)
    parser.set_defaults(run=run)


def _seconds(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 3600:
        raise argparse.ArgumentTypeError(f"{text} is not in 0..3600 seconds")
    return value


def run(args: argparse.Namespace) -> int:
    """Deploy and report; 1 if a target failed."""
    inventory = _targets.inventory_of(args)
    targets = [_targets.target_of(args, text) for text in args.targets] or list(inventory.values())
    # The same one twice would be two primaries of it.
    targets = list({target.label: target for target in targets}.values())
    if not targets:
        raise P4pmipError("deploy", None, "names no TARGET, and there is no inventory with one")
    pipeline = _pipeline(args)

    def progress(target: Target, step: str) -> None:
        if not args.json:
            print(f"{target.label}: {step}", flush=True)

    async def work() -> int:
        outcomes = await deployment.deploy(
            targets, pipeline, dry_run=args.dry_run, force=args.force, wait=args.wait, progress=progress
        )
        if args.json:
            _targets.print_json(
                {"targets": [{"name": o.name, "result": o.result, "reason": o.reason} for o in outcomes]}
            )
        else:
            for outcome in outcomes:
                print(f"{outcome.name}: {outcome.result}: {outcome.reason}")
        return 1 if any(outcome.result == "failed" for outcome in outcomes) else 0

    return _targets.finish(work())


def _pipeline(args: argparse.Namespace) -> Pipeline:
    if (args.p4info is None) != (args.pipeline is None):
        raise P4pmipError("deploy", None, "--p4info and --pipeline belong together")
    ours = Pipeline.packaged()
    if args.p4info is None:
        return ours
    pipeline = Pipeline.load(args.p4info, args.pipeline)
    lacking = pipeline.foreign(ours, ours.schema.tables)
    if lacking:
        for difference in lacking:
            print(f"p4pmip: {args.p4info}: {difference}", file=sys.stderr)
        if not args.force:
            raise P4pmipError(
                "--p4info", str(args.p4info), "not p4pmip's program, as said above; --force sets it anyway"
            )
    return pipeline
