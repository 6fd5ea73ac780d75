"""`p4pmip diff`: what a target should hold against what it holds."""

import argparse

from p4pmip.cli import _targets
from p4pmip.forwarding.entry import Entry
from p4pmip.p4runtime.client import Client
from p4pmip.p4runtime.pipeline import Pipeline
from p4pmip.p4runtime.reader import Reader, TableRow
from p4pmip.p4runtime.reconcile import Plan, compare, ours_in
from p4pmip.p4runtime.view import Json, View


def register(subparsers: "_targets.Subparsers[argparse.ArgumentParser]") -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "diff",
        help="compare what a target holds with what it should hold",
        description="Compare what a target holds with what a node wants it to hold, read-only: `+` is missing,"
        " `~` is different, `-` should not be there. The exit status is 1 when there is a difference.",
    )
    _targets.add_target(parser)
    _targets.add_source(parser, required=True)
    _targets.add_json(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the plan; 1 if it is not empty."""
    return _targets.finish(_run(args))


async def _run(args: argparse.Namespace) -> int:
    target = _targets.target_of(args)
    async with Client(target) as client:
        pipeline = await _targets.running_pipeline(client)
        desired = _targets.desired_of(args, target)
        reader = Reader(client, pipeline)
        tables = ours_in(pipeline.schema, Pipeline.packaged().schema)
        held = {name: await reader.octets(name) for name in tables}
        plan = await compare(desired.entries, held, pipeline.codec)
    view = View(pipeline.schema, desired.sessions)
    if args.json:
        _targets.print_json(_json(plan, view))
    else:
        for line in plan.lines(view.line):
            print(line)
        print(
            f"{len(plan.insert)} missing, {len(plan.modify)} different, {len(plan.delete)} too many, {plan.equal} equal"
        )
    return 1 if plan.size else 0


def _json(plan: Plan, view: View) -> Json:
    return {
        "insert": _tables(list(plan.insert), view),
        "modify": _tables([new for _, new in plan.modify], view),
        "delete": _tables(list(plan.delete), view),
        "equal": plan.equal,
    }


def _tables(entries: list[Entry], view: View) -> list[Json]:
    grouped: dict[str, list[Json]] = {}
    for entry in entries:
        grouped.setdefault(entry.table, []).append(view.json(TableRow(entry, None, False)))
    return [{"table": table, "entries": shown} for table, shown in grouped.items()]
