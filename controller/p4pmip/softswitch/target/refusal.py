"""How a request is refused: a canonical code, and a text that names the thing, the value and the valid choices."""

from collections.abc import Iterable
from enum import IntEnum

from p4pmip.errors import P4pmipError


class Code(IntEnum):
    """google.rpc.Code, as far as it is used here."""

    OK = 0
    UNKNOWN = 2
    INVALID_ARGUMENT = 3
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    ABORTED = 10
    OUT_OF_RANGE = 11
    UNIMPLEMENTED = 12


class Refusal(P4pmipError):
    """A P4Runtime request, or one update of it, that cannot be done."""

    def __init__(self, code: Code, place: str, value: object, problem: str, choices: Iterable[object] = ()) -> None:
        super().__init__(place, value, problem, choices)
        self.code = code


def invalid(place: str, value: object, problem: str, choices: Iterable[object] = ()) -> Refusal:
    """INVALID_ARGUMENT."""
    return Refusal(Code.INVALID_ARGUMENT, place, value, problem, choices)


def not_found(place: str, value: object, problem: str, choices: Iterable[object] = ()) -> Refusal:
    """NOT_FOUND."""
    return Refusal(Code.NOT_FOUND, place, value, problem, choices)
