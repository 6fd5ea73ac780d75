"""`p4pmip tables`: what a target's tables hold, in words."""

import argparse
import asyncio
import json
import time
from collections.abc import Sequence

from p4pmip.cli import _targets
from p4pmip.cli._arguments import seconds
from p4pmip.forwarding.entry import EntryKey
from p4pmip.p4runtime.client import Client
from p4pmip.p4runtime.reader import Count, Reader, TableRow
from p4pmip.p4runtime.schema import Table
from p4pmip.p4runtime.view import Condition, Json, View, exact_key, parse_conditions

Past = tuple[float, dict[EntryKey, Count]]
"""When counters were read last, and what they were."""


def register(subparsers: "_targets.Subparsers[argparse.ArgumentParser]") -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "tables",
        help="show the table entries of a target",
        description="Show the table entries of any P4Runtime target with their counters and sessions,"
        " read-only, while controllers run.",
    )
    _targets.add_target(parser)
    parser.add_argument("table", metavar="TABLE", nargs="?", help="only this table")
    parser.add_argument(
        "--where", metavar="FIELD=VALUE", action="append", default=[],
        help="only entries with this value of a key field, parameter, action or mn; may be repeated",
    )  # fmt: skip
    parser.add_argument(
        "--watch", metavar="SECONDS", type=seconds, nargs="?", const=2.0, help="show again every 2 (or SECONDS)"
    )
    parser.add_argument("--raw", action="store_true", help="show plain numbers instead of addresses and names")
    _targets.add_source(parser)
    _targets.add_json(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the entries, once or again and again."""
    return _targets.finish(_run(args))


async def _run(args: argparse.Namespace) -> int:
    target = _targets.target_of(args)
    async with Client(target) as client:
        pipeline = await _targets.running_pipeline(client)
        schema = pipeline.schema
        tables = [schema.table(args.table, "TABLE")] if args.table is not None else list(schema.tables.values())
        conditions = parse_conditions(args.where, tables)
        reader = Reader(client, pipeline)
        past: Past | None = None
        while True:
            view = View(schema, _targets.desired_of(args, target).sessions, args.raw)
            now = time.monotonic()
            counts: dict[EntryKey, Count] = {}
            shown = []
            for table in tables:
                rows = await _rows(reader, view, table, conditions)
                counts |= {row.entry.key: row.counter for row in rows if row.counter is not None}
                shown.append((table, [(row, _rates(row, past, now)) for row in rows]))
            _print(args, view, shown)
            if args.watch is None:
                return 0
            past = (now, counts)
            await asyncio.sleep(args.watch)


async def _rows(reader: Reader, view: View, table: Table, conditions: Sequence[Condition]) -> list[TableRow]:
    key = exact_key(table, conditions) or ()
    return [
        row
        async for row in reader.rows(table.name, counters=True, key=key)
        if all(condition.accepts(view, row.entry) for condition in conditions)
    ]


def _rates(row: TableRow, past: Past | None, now: float) -> tuple[float, float] | None:
    if past is None or row.counter is None:
        return None
    before = past[1].get(row.entry.key, Count(0, 0))
    passed = now - past[0]
    # A counter that went back belongs to an entry that was written anew.
    return (
        max(row.counter.packets - before.packets, 0) / passed,
        max(row.counter.octets - before.octets, 0) / passed,
    )


Shown = list[tuple[Table, list[tuple[TableRow, tuple[float, float] | None]]]]


def _print(args: argparse.Namespace, view: View, shown: Shown) -> None:
    if args.json:
        document: Json = {
            "tables": [
                {"table": table.name, "entries": [view.json(row, rates) for row, rates in rows]}
                for table, rows in shown
            ]
        }
        # One object a line while watching, so that a reader can take them one by one.
        print(json.dumps(document, indent=None if args.watch is not None else 2), flush=True)
        return
    if args.watch is not None:
        print(time.strftime("--- %H:%M:%S"))
    for table, rows in shown:
        if rows or len(shown) == 1:
            print(f"{table.name}  ({len(rows)} of {table.size})")
        for row, rates in rows:
            print(f"  {view.line(row.entry, row.counter, rates)}")
    print(end="", flush=True)
