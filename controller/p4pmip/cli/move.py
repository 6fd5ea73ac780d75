"""`p4pmip move`: move a mobile node to a running MAG, or to another link of it."""

import argparse
from typing import Any

from p4pmip.cli._arguments import add_link, add_mobile_node, add_node, add_wait
from p4pmip.cli.attach import order


def register(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser("move", help="move a mobile node to a running MAG, or to another link of it")
    add_node(parser)
    add_mobile_node(parser)
    add_link(parser)
    add_wait(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Ask for it."""
    return order("/move", arguments)
