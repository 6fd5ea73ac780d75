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
        description="Print the connections of swanctl.conf that protect a node's signalling and tunnels.",
    )
    parser.add_argument("config", metavar="CONFIG", type=Path, help="TOML file")
    parser.add_argument("--node", metavar="NAME", help="the node; default: the only one")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print them."""
    from p4pmip.node.config import load
    from p4pmip.node.ipsec import swanctl

    config = load(arguments.config)
    name = arguments.node or (next(iter(config.nodes)) if len(config.nodes) == 1 else None)
    if name not in config.nodes:
        raise P4pmipError("--node", name, "which node?" if name is None else "no such node", config.nodes)
    print(swanctl(config, name), end="")
    return 0
