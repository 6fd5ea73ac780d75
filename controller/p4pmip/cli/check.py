"""`p4pmip check`: is a configuration file good?"""

import argparse
import sys
from pathlib import Path
from typing import Any

from p4pmip.errors import P4pmipError


def register(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "check",
        help="check a configuration file",
        description="Check a configuration file as `run` does before it starts anything: a line for each finding.",
    )
    parser.add_argument("config", metavar="CONFIG", type=Path, help="TOML file")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """0 if it can be used, otherwise 2 with the findings."""
    from p4pmip.node.engines import load

    try:
        config = load(arguments.config)
    except P4pmipError as error:
        print(error, file=sys.stderr)
        return 2
    roles = [
        f"{name} ({' and '.join(role for role, there in (('LMA', node.lma), ('MAG', node.mag)) if there)})"
        for name, node in config.nodes.items()
    ]
    print(f"{arguments.config}: good; {len(config.realms)} realms, {', '.join(roles)}")
    return 0
