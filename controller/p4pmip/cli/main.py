"""The `p4pmip` command: it chooses the module that does the work and turns its errors into one line."""

import argparse
import importlib
import os
import pkgutil
import sys
from collections.abc import Iterator, Sequence
from typing import NoReturn

import p4pmip.cli
from p4pmip import __version__
from p4pmip.errors import P4pmipError

USAGE = 2
"""Exit status where what the person gave cannot be used."""
INTERRUPTED = 128 + 2
PIPE_CLOSED = 128 + 13
"""As a shell reports SIGINT and SIGPIPE."""


class Parser(argparse.ArgumentParser):
    """A parser whose complaint is one line: the place, the value, and what would be valid."""

    def error(self, message: str) -> NoReturn:
        """Say it, and exit with status 2."""
        self.exit(USAGE, f"{self.prog}: {message} (see {self.prog} --help)\n")


def build_parser() -> argparse.ArgumentParser:
    """The parser with every command that stands in this package."""
    parser = Parser(prog="p4pmip", description="Proxy Mobile IPv6 with GRE keys, whose tunnels are P4.")
    parser.add_argument("--version", action="version", version=f"p4pmip {__version__}")
    commands = parser.add_subparsers(title="commands", dest="command", metavar="COMMAND")
    for module in sorted(_commands()):
        importlib.import_module(f"p4pmip.cli.{module}").register(commands)
    return parser


def _commands() -> Iterator[str]:
    for info in pkgutil.iter_modules(p4pmip.cli.__path__):
        if info.name != "main" and not info.name.startswith("_"):
            yield info.name


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the answer is the process's exit status (2: what the person gave cannot be used)."""
    parser = build_parser()
    parsed = parser.parse_args(arguments)
    if parsed.command is None:
        parser.error(f"a command is needed: {', '.join(sorted(_commands()))}")
    try:
        status: int = parsed.run(parsed)
        sys.stdout.flush()
    except P4pmipError as error:
        print(f"p4pmip: {error}", file=sys.stderr)
        return USAGE
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has seen enough; Python must not complain again when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return PIPE_CLOSED
    return status


if __name__ == "__main__":
    sys.exit(main())
