"""Updates: their kinds, and how they are taken back."""

from collections.abc import Callable

from p4pmip.softswitch.target.stubs import p4runtime

Undo = Callable[[], None]
"""Takes an update back."""


def in_turn(*steps: Undo) -> Undo:
    """One step after the other."""

    def run() -> None:
        for step in steps:
            step()

    return run


INSERT, MODIFY, DELETE = p4runtime.Update.INSERT, p4runtime.Update.MODIFY, p4runtime.Update.DELETE


def kind_name(kind: int) -> str:
    """INSERT, MODIFY or DELETE."""
    return {INSERT: "INSERT", MODIFY: "MODIFY", DELETE: "DELETE"}.get(kind, "UNSPECIFIED")  # type: ignore[call-overload, no-any-return]
