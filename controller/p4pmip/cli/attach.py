"""`p4pmip attach`: register a mobile node at a running MAG."""

import argparse
from typing import Any

from p4pmip.cli._arguments import add_link, add_mobile_node, add_node


def register(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser("attach", help="register a mobile node at a running MAG")
    add_node(parser)
    add_mobile_node(parser)
    add_link(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Ask for it."""
    return order("/attach", arguments)


def order(path: str, arguments: argparse.Namespace) -> int:
    """Post the mobile node and its link to a path of the node's admin API, and tell what came of it."""
    from p4pmip.node.client import NodeClient

    done = NodeClient.find(arguments.node).post(path, mn=arguments.mn, link=arguments.link)
    print(f"{done['mn']}: session {done['session']} on link {done['link']} of {done['node']}")
    return 0
