"""The `p4pmip` command: it chooses the module that does the work and turns its errors into one line."""

import argparse
import importlib
import io
import os
import pkgutil
import signal
import sys
from collections.abc import Iterator, Sequence
from types import FrameType
from typing import NoReturn

import p4pmip.cli
from p4pmip import __version__
from p4pmip.errors import P4pmipError

USAGE = 2
"""Exit status where what the person gave cannot be used."""
FAILED = 1
SIGNALLED = 128
"""Plus the signal's number, as a shell reports it."""
ENDING = (signal.SIGTERM, signal.SIGHUP)
"""They end a command as Ctrl-C does: what it started is ended first."""


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
    _open_standard_streams()
    # gRPC's C core tells on standard error what its callers learn, and say, anyway.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    ended_by: list[int] = []

    def end(number: int, frame: FrameType | None) -> None:
        ended_by.append(number)
        if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:  # so shells start what is in the background
            signal.default_int_handler(number, frame)
        # asyncio has put a handler of its own there, which lets the command's coroutine clean up.
        signal.raise_signal(signal.SIGINT)

    before = {number: signal.signal(number, end) for number in ENDING if signal.getsignal(number) == signal.SIG_DFL}
    try:
        status = _run(arguments)
        sys.stdout.flush()
    except P4pmipError as error:
        print(f"p4pmip: {error}", file=sys.stderr)
        return USAGE
    except KeyboardInterrupt:
        return SIGNALLED + (ended_by[0] if ended_by else signal.SIGINT)
    except BrokenPipeError:
        _give_up_output()
        return SIGNALLED + signal.SIGPIPE
    except OSError as error:
        print(f"p4pmip: {error}", file=sys.stderr)
        _give_up_output()
        return FAILED
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return status


def _run(arguments: Sequence[str] | None) -> int:
    parser = build_parser()
    parsed = parser.parse_args(arguments)
    if parsed.command is None:
        parser.error(f"a command is needed: {', '.join(sorted(_commands()))}")
    status: int = parsed.run(parsed)
    return status


def _open_standard_streams() -> None:
    """Output always has a place to go, and what it cannot be written in is escaped.

    A descriptor that whoever called us closed would otherwise be the next file's or socket's, and be printed to.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            # The lowest free descriptor, and so the one that is missing.
            setattr(sys, name, open(os.devnull, mode))  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _give_up_output() -> None:
    """Nobody takes our output; Python must not complain again when it flushes at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


if __name__ == "__main__":
    sys.exit(main())
