"""What happened to one packet: every parser state, table and action, and why it was dropped or where it left."""

from collections.abc import Callable
from typing import Any

from p4pmip.softswitch.ir import Program
from p4pmip.softswitch.pipeline import Pipeline

NO_ACTION = "NoAction"


class Recorder:
    """Listens to a traced packet."""

    def __init__(self, program: Program, cpu_port: int = 0) -> None:
        self.program = program
        self.cpu_port = cpu_port
        self.states: list[str] = []
        self.tables: list[dict[str, Any]] = []
        self.outputs: list[tuple[int, bytes]] = []
        self.reason: str | None = None

    def state(self, name: str) -> None:
        """A parser state was entered."""
        self.states.append(name)

    def table(
        self, name: str, key: tuple[tuple[str, int], ...], hit: bool, action: int, arguments: tuple[int, ...]
    ) -> None:
        """A table was applied. What p4c made of plain statements is not a table of the program's author."""
        if name.startswith("tbl_") and not key:
            return
        known = self.program.actions.get(action)
        named = zip(known.parameters, arguments, strict=True) if known else ()
        self.tables.append(
            {
                "name": name,
                "key": dict(key),
                "hit": hit,
                "action": known.name if known else NO_ACTION,
                "params": {parameter: value for (parameter, _), value in named},
            }
        )

    def condition(self, name: str, value: bool) -> None:
        """Conditions are not part of the account."""

    def dropped(self, action: str, place: str) -> None:
        """An action marked the packet to be dropped."""
        self.reason = f"marked by {action} at {place}"

    def run(
        self,
        pipeline: Pipeline,
        port: int,
        frame: bytes,
        now: float,
        output: Callable[[int, bytes], None] | None = None,
    ) -> None:
        """Run one packet; what leaves also goes to `output`."""
        before = pipeline.drops.copy()

        def leave(out: int, data: bytes) -> None:
            self.outputs.append((out, data))
            if output is not None:
                output(out, data)

        pipeline.process(port, frame, now, leave, self)
        after = pipeline.drops - before
        if self.reason is None and after:
            self.reason = ", ".join(sorted(after))

    def result(self) -> dict[str, Any]:
        """The account as JSON: `outcome` is the port of the (last) packet that left, or the reason of the drop."""
        outcome: dict[str, Any]
        if self.outputs:
            port, frame = self.outputs[-1]
            outcome = {"port": port, "hex": frame.hex()}
            if port == self.cpu_port and port:
                outcome["cpu"] = True
        else:
            outcome = {"drop": self.reason or "no copy was made"}
        result = {"parser": self.states, "tables": self.tables, "outcome": outcome}
        if len(self.outputs) > 1:
            result["outputs"] = [{"port": port, "hex": frame.hex()} for port, frame in self.outputs]
        return result
