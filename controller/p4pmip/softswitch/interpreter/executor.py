"""Runs the Python that a program was turned into."""

from collections.abc import Callable, Mapping
from typing import Any

from p4pmip.softswitch.hashes import ALGORITHMS
from p4pmip.softswitch.interpreter import runtime
from p4pmip.softswitch.interpreter.source import ProgramSource
from p4pmip.softswitch.ir import Program
from p4pmip.softswitch.packet import Packet
from p4pmip.softswitch.state import CounterArray, MeterCells, RegisterArray
from p4pmip.softswitch.tables import MatchTable, Member

Step = Callable[[Packet, list[int]], Any]

STATES_LIMIT = 4096
"""A parser that visits more states stops with ParserTimeout: every useful loop consumes the packet."""

UNKNOWN_ERROR = 0


class Interpreter:
    """A program ready to run over the tables and cells it was given.

    Attributes:
        text: The Python source, for whoever wants to read it.
    """

    def __init__(
        self,
        program: Program,
        tables: Mapping[str, MatchTable],
        cells: Mapping[str, CounterArray | MeterCells | RegisterArray],
        value_sets: Mapping[str, set[int]],
        drop_port: int,
        trace: bool,
    ) -> None:
        writer = ProgramSource(program, trace, drop_port)
        self.text = writer.text()
        self.errors = program.errors
        namespace: dict[str, Any] = {name: getattr(runtime, name) for name in dir(runtime) if name[0] != "_"}
        namespace |= {name: algorithm for name, (algorithm, _) in ALGORITHMS.items()}
        namespace |= {variable: tables[name] for name, variable in writer.tables.items()}
        namespace |= {variable: cells[name] for name, variable in writer.cells.items()}
        namespace |= {"V": value_sets, "Member": Member}
        exec(compile(self.text, "<program>", "exec"), namespace)
        most = max(program.actions, default=-1) + 1
        namespace["A"] = [namespace.get(f"action_{index}") for index in range(most)]
        self._first_state: Step | None = namespace["first_state"]
        self.first: dict[str, Step | None] = {name: namespace[f"first_{name}"] for name in ("ingress", "egress")}
        self.verify: Step = namespace["verify"]
        self.update: Step = namespace["update"]
        self.deparse: Step = namespace["deparse"]
        self.digests: dict[int, Step] = {one: namespace[f"digest_{one}"] for one in program.digests}

    def parse(self, p: Packet) -> None:
        """Run the parser from the packet's offset; its error, if any, is left in the packet."""
        f = p.fields
        state = self._first_state
        try:
            for _ in range(STATES_LIMIT):
                if state is None:
                    return
                state = state(p, f)
            p.error = "ParserTimeout"
        except runtime.ParserError as error:
            p.error = error.args[0]

    def control(self, name: str, p: Packet) -> None:
        """Run ingress or egress."""
        f = p.fields
        node = self.first[name]
        while node is not None:
            node = node(p, f)

    def error_code(self, error: str | int | None) -> int:
        """The number that the program knows a parser error by."""
        if isinstance(error, int):
            return error
        return self.errors.get("NoError" if error is None else error, UNKNOWN_ERROR)
