"""`p4pmip attach`: register a mobile node at a running MAG."""

import argparse
import sys
from typing import Any

from p4pmip.cli._arguments import add_link, add_mobile_node, add_node, add_wait


def register(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser("attach", help="register a mobile node at a running MAG")
    add_node(parser)
    add_mobile_node(parser)
    add_link(parser)
    add_wait(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Ask for it."""
    return order("/attach", arguments)


def order(path: str, arguments: argparse.Namespace) -> int:
    """Post the mobile node and its link to a path of the node's admin API, and tell what came of it."""
    from p4pmip.node.client import SECONDS, NodeClient

    wait = None if arguments.no_wait else arguments.wait
    client = NodeClient.find(arguments.node, SECONDS + (wait or 0))
    done = client.post(path, mn=arguments.mn, link=arguments.link, wait=wait)
    session = f"{done['mn']}: session {done['session']} on link {done['link']} of {done['node']}"
    if wait is None:
        print(session)
        return 0
    if done["outcome"] != "registered":
        print(f"p4pmip: {session}: {done['reason']}", file=sys.stderr)
        return 1
    binding = done["binding"]
    print(f"{session}: {', '.join(filter(None, (binding['state'], binding['ipv4'], binding['hnp'])))}")
    return 0
