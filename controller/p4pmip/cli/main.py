"""The `p4pmip` command: it chooses the module that does the work and turns its errors into one line."""

import argparse
import importlib
import pkgutil
import sys
from collections.abc import Sequence

import p4pmip.cli
from p4pmip import __version__
from p4pmip.errors import P4pmipError


def build_parser() -> argparse.ArgumentParser:
    """The parser with every command that stands in this package."""
    parser = argparse.ArgumentParser(
        prog="p4pmip", description="Proxy Mobile IPv6 with GRE keys, whose tunnels are P4."
    )
    parser.add_argument("--version", action="version", version=f"p4pmip {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for module in sorted(info.name for info in pkgutil.iter_modules(p4pmip.cli.__path__)):
        if module != "main" and not module.startswith("_"):
            importlib.import_module(f"p4pmip.cli.{module}").register(commands)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the answer is the process's exit status (2: what the person gave cannot be used)."""
    parsed = build_parser().parse_args(arguments)
    try:
        status: int = parsed.run(parsed)
    except P4pmipError as error:
        print(f"p4pmip: {error}", file=sys.stderr)
        return 2
    return status


if __name__ == "__main__":
    sys.exit(main())
