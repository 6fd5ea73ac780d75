"""`p4pmip detach`: de-register a mobile node at a running MAG."""

import argparse
from typing import Any

from p4pmip.cli.bindings import add_node


def register(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser("detach", help="de-register a mobile node at a running MAG")
    add_node(parser)
    parser.add_argument("mn", metavar="MN", help="the mobile node: its NAI or link-layer address")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Ask for it."""
    from p4pmip.node.client import NodeClient

    done = NodeClient.find(arguments.node).post("/detach", mn=arguments.mn)
    print(f"{done['mn']}: detached from {done['node']}")
    return 0
