"""Play the packet tests: `python -m tests.pipeline.run [--target softswitch|bmv2] [--executor E] [FILE…]`.

Exit status 0 if all pass and everything of the program was met, 1 if not, 2 if a file
cannot be used, 3 if the target is missing.
"""

import asyncio
import sys
import tempfile
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from tests.pipeline.packets import build
from tests.pipeline.play import Outcome, Player
from tests.pipeline.statement import read

from p4pmip.cli.main import Parser
from p4pmip.demo.targets import STARTERS, TargetMissing, softswitch
from p4pmip.errors import P4pmipError
from p4pmip.forwarding.entry import Match
from p4pmip.p4runtime.pipeline import Pipeline
from p4pmip.p4runtime.schema import Schema
from p4pmip.p4runtime.session import Session

HERE = Path(__file__).resolve().parent
PORTS = range(1, 9)


@dataclass(slots=True)
class Summary:
    """What the files showed together."""

    schema: Schema
    passed: int = 0
    failures: list[str] = field(default_factory=list)
    reasons: set[str] = field(default_factory=set)
    actions: set[tuple[str, str]] = field(default_factory=set)
    const_rows: set[tuple[str, tuple[tuple[str, Match], ...]]] = field(default_factory=set)

    def add(self, outcome: Outcome) -> None:
        """Take a file's outcome in."""
        self.passed += outcome.passed
        self.failures += outcome.failures
        self.reasons |= outcome.reasons
        self.actions |= outcome.actions
        self.const_rows |= outcome.const_rows

    @property
    def missed(self) -> list[str]:
        """What of the program no packet met."""
        tables = {table for table, _ in self.actions}
        missed = [f"table {name}" for name in self.schema.tables if name not in tables]
        missed += [f"action {table}.{action}" for table, action in sorted(self.all_actions - self.actions)]
        return missed + [f"reason {name}" for name in sorted(self.all_reasons - self.reasons)]

    @property
    def all_actions(self) -> set[tuple[str, str]]:
        """Every table with every action that an entry of it can have."""
        return {(table.name, action) for table in self.schema.tables.values() for action in table.entry_actions}

    @property
    def all_reasons(self) -> set[str]:
        """Every reason but the one of packets that are simply forwarded."""
        assert self.schema.reasons is not None
        return {name for value, name in self.schema.reasons.names.items() if value}

    def __str__(self) -> str:
        tables = {table for table, _ in self.actions}
        return (
            f"{self.passed} passed, {len(self.failures)} failed; tables {len(tables)}/{len(self.schema.tables)}, "
            f"actions {len(self.actions)}/{len(self.all_actions)}, reasons {len(self.reasons)}/{len(self.all_reasons)}"
        )


async def play(kind: str, files: list[Path], executor: str = "interpreter") -> Summary:
    """Play files on one target of a kind; a softswitch runs packets in this executor."""
    starter = partial(softswitch, executor=executor) if kind == "softswitch" else STARTERS[kind]
    pipeline = Pipeline.packaged()
    summary = Summary(pipeline.schema)
    with tempfile.TemporaryDirectory() as folder:
        async with (
            starter("s1", 1, Path(folder)) as running,
            await Session.open(running.target, pipeline) as session,
        ):
            running.start()
            player = Player(session, running.ports, PORTS, build)
            for file in files:
                summary.add(await player.play(read(file)))
    return summary


def main() -> int:
    """The command."""
    parser = Parser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--target", choices=sorted(STARTERS), default="softswitch")
    parser.add_argument("--executor", choices=("interpreter", "native"), default="interpreter", help="of a softswitch")
    parser.add_argument("files", nargs="*", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    files = arguments.files or sorted(HERE.glob("*.stf"))
    try:
        summary = asyncio.run(play(arguments.target, files, arguments.executor))
    except TargetMissing as error:
        print(error, file=sys.stderr)
        return 3
    except P4pmipError as error:
        print(error, file=sys.stderr)
        return 2
    for failure in summary.failures:
        print(f"FAILED {failure}")
    if not arguments.files:
        for missed in summary.missed:
            print(f"not met: {missed}")
    print(summary)
    return 1 if summary.failures or (summary.missed and not arguments.files) else 0


if __name__ == "__main__":
    sys.exit(main())
