"""`p4pmip counters`: packets and octets by table and by counter."""

import argparse

from p4pmip.cli import _targets
from p4pmip.errors import P4pmipError
from p4pmip.p4runtime.client import Client
from p4pmip.p4runtime.pipeline import Pipeline
from p4pmip.p4runtime.reader import Count, Reader
from p4pmip.p4runtime.view import Json


def register(subparsers: "_targets.Subparsers[argparse.ArgumentParser]") -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "counters",
        help="show the counters of a target",
        description="Show the cells of indirect counters that are not zero, and the sums of direct counters by table.",
    )
    _targets.add_target(parser)
    parser.add_argument("counter", metavar="COUNTER", nargs="?", help="only this counter, or this table's")
    _targets.add_json(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the counters."""
    return _targets.finish(_run(args))


async def _run(args: argparse.Namespace) -> int:
    async with Client(_targets.target_of(args)) as client:
        pipeline = await _targets.running_pipeline(client)
        schema, reader = pipeline.schema, Reader(client, pipeline)
        counted = [table.name for table in schema.tables.values() if table.counted]
        names, tables = list(schema.counters), counted
        if args.counter is not None:
            if args.counter not in names + counted:
                raise P4pmipError("COUNTER", args.counter, "no such counter or counted table", names + counted)
            names = [name for name in names if name == args.counter]
            tables = [name for name in counted if name == args.counter]
        indirect = {name: await reader.counter(name) for name in names}
        direct = {name: await _sum(reader, name) for name in tables}
    if args.json:
        _targets.print_json(
            {
                "counters": [_counter_json(pipeline, name, cells) for name, cells in indirect.items()],
                "tables": [
                    {"table": name, "entries": entries, "packets": count.packets, "octets": count.octets}
                    for name, (entries, count) in direct.items()
                ],
            }
        )
        return 0
    for name, cells in indirect.items():
        print(name)
        for cell in _counter_json(pipeline, name, cells)["cells"]:
            print(f"  {cell['name'] or cell['index']}: {cell['packets']} packets, {cell['octets']} octets")
    for name, (entries, count) in direct.items():
        print(f"{name}: {count.packets} packets, {count.octets} octets in {entries} entries")
    return 0


async def _sum(reader: Reader, table: str) -> tuple[int, Count]:
    entries = packets = octets = 0
    async for row in reader.rows(table, counters=True):
        entries += 1
        if row.counter is not None:
            packets += row.counter.packets
            octets += row.counter.octets
    return entries, Count(packets, octets)


def _counter_json(pipeline: Pipeline, name: str, cells: dict[int, Count]) -> Json:
    index = pipeline.schema.counter_index(name)
    return {
        "counter": name,
        "cells": [
            {"index": n, "name": index.get(n), "packets": count.packets, "octets": count.octets}
            for n, count in sorted(cells.items())
            if count.packets or count.octets
        ],
    }
