"""`p4pmip ipsec`: strongSwan policies for the signalling and the tunnels of a configuration's nodes."""

import argparse
from pathlib import Path
from typing import Any

from p4pmip.errors import P4pmipError


def register(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "ipsec",
        help="print strongSwan policies for a node's peers",
        description="Print the connections of swanctl.conf that protect the signalling and the tunnels of nodes.",
    )
    parser.add_argument("config", metavar="CONFIG", type=Path, help="TOML file")
    parser.add_argument("--node", metavar="NAME", help="this node only; default: all, each for its own host")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print them."""
    from p4pmip.node.config import load
    from p4pmip.node.ipsec import swanctl

    config = load(arguments.config)
    if arguments.node is not None and arguments.node not in config.nodes:
        raise P4pmipError("--node", arguments.node, "no such node", config.nodes)
    names = list(config.nodes) if arguments.node is None else [arguments.node]
    for name in names:
        if len(names) > 1:
            print(f"# {name}")
        print(swanctl(config, name), end="")
    return 0
