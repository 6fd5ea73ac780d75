"""`p4pmip attach`: register a mobile node at a running MAG."""

import argparse
from typing import Any

from p4pmip.cli.bindings import add_node


def register(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser("attach", help="register a mobile node at a running MAG")
    add_node(parser)
    parser.add_argument("mn", metavar="MN", help="the mobile node: its NAI or link-layer address")
    parser.add_argument("link", metavar="LINK", nargs="?", help="access port, or PORT.VLAN; default: the only one")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Ask for it."""
    from p4pmip.node.client import NodeClient

    done = NodeClient.find(arguments.node).post("/attach", mn=arguments.mn, link=arguments.link)
    print(f"{done['mn']}: session {done['session']} on link {done['link']} of {done['node']}")
    return 0
