"""`p4pmip bindings`: what a running node holds."""

import argparse
import json
from typing import Any

from p4pmip.cli._arguments import add_node


def register(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser("bindings", help="show the bindings of a running node")
    add_node(parser)
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the table."""
    from p4pmip.node.bindings import COLUMNS
    from p4pmip.node.client import NodeClient

    document = NodeClient.find(arguments.node).get("/bindings")
    if arguments.json:
        print(json.dumps(document, indent=2))
        return 0
    rows = [[name.replace("_", " ") for name in COLUMNS]]
    rows += [[_cell(name, row[name]) for name in COLUMNS] for row in document["bindings"]]
    widths = [max(len(row[column]) for row in rows) for column in range(len(COLUMNS))]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    return 0


def _cell(name: str, value: str | int | None) -> str:
    """GRE keys as every other tool writes them; JSON has them as decimal numbers."""
    if value is None:
        return "-"
    return f"{value:#010x}" if name.endswith("_key") else str(value)
