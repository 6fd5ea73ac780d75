"""What happened to one packet: every parser state, table and action, and why it was dropped or where it left."""

from collections.abc import Callable
from typing import Any

from p4pmip.softswitch.ir import Program
from p4pmip.softswitch.pipeline import Pipeline
from p4pmip.softswitch.target.stubs import p4info

NO_ACTION = "NoAction"


class Recorder:
    """Listens to a traced packet."""

    def __init__(self, program: Program, info: "p4info.P4Info | None" = None) -> None:
        self.program = program
        self.states: list[str] = []
        self.tables: list[dict[str, Any]] = []
        self.outputs: list[tuple[int, bytes]] = []
        self.messages: list[str] = []
        self.reason: str | None = None
        self._named = _named(program, info) if info is not None else []

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

    def dropped(self, action: str, place: str, fields: list[int]) -> None:
        """An action marked the packet to be dropped; a field called like an enumeration of reasons says why."""
        why = [members[fields[slot]] for slot, members in self._named if members.get(fields[slot])]
        # What p4c made of a plain statement has no name that a person knows.
        by = f"by {action} " if "." in action else ""
        self.reason = ", ".join([*why, f"marked {by}at {place}"])

    def message(self, text: str) -> None:
        """The program's own message."""
        self.messages.append(text)

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
        """The account as JSON: `outcome` is the port of the last packet that left, or the reason of the drop."""
        outcome = {"port": self.outputs[-1][0]} if self.outputs else {"drop": self.reason or "no copy was made"}
        outputs = [{"port": port, "hex": frame.hex()} for port, frame in self.outputs]
        account = {"parser": self.states, "tables": self.tables, "outcome": outcome, "outputs": outputs}
        return account | ({"messages": self.messages} if self.messages else {})


def _named(program: Program, info: "p4info.P4Info") -> list[tuple[int, dict[int, str]]]:
    """Metadata fields with the name of a serializable enumeration `…Reason`, and its members without the 0."""
    found = []
    for name, enumeration in info.type_info.serializable_enums.items():
        if not name.lower().endswith("reason"):
            continue
        members = {int.from_bytes(one.value, "big"): one.name for one in enumeration.members}
        members.pop(0, None)
        for slot, field in enumerate(program.slot_names):
            # p4c flattens structs: `metadata_t._reason7`.
            if field.rsplit(".", 1)[-1].strip("_0123456789").lower() == name.lower():
                found.append((slot, members))
    return found
