"""`p4pmip detach`: de-register a mobile node at a running MAG, or revoke its bindings at an LMA."""

import argparse
from typing import Any

from p4pmip.cli._arguments import add_mobile_node, add_node


def register(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser("detach", help="de-register a mobile node at a running MAG, or revoke it at an LMA")
    add_node(parser)
    add_mobile_node(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Ask for it."""
    from p4pmip.node.client import NodeClient

    done = NodeClient.find(arguments.node).post("/detach", mn=arguments.mn)
    print(f"{done['mn']}: detached from {done['node']}")
    return 0
