"""What the lab's programs have in common on their command lines."""

import argparse
from typing import NoReturn

TARGETS = ("softswitch", "bmv2")
EXECUTORS = ("native", "interpreter")


class Parser(argparse.ArgumentParser):
    """A wrong command line is told in one line."""

    def error(self, message: str) -> NoReturn:
        """Say it and end."""
        self.exit(2, f"{self.prog}: {message}\n")


def check_switch(parser: Parser, target: str, executor: str | None) -> None:
    """End with one line where there is no such switch, or not with this executor."""
    if target not in TARGETS:
        parser.error(f"no such target: {target} (valid: {', '.join(TARGETS)})")
    if executor is not None and executor not in EXECUTORS:
        parser.error(f"no such executor: {executor} (valid: {', '.join(EXECUTORS)})")
    if executor is not None and target != "softswitch":
        parser.error(f"the executor is the softswitch's: target {target} has none")
