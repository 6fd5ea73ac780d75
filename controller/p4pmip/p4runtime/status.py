"""What a target says when it refuses: gRPC statuses and the per-update errors inside them.

P4Runtime v1 §"Error Reporting": a failed Write carries a google.rpc.Status in the trailing metadata with one
p4.v1.Error per update, in the order of the request.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

import grpc
import grpc.aio
from google.protobuf.message import DecodeError

from p4pmip.errors import P4pmipError
from p4pmip.p4runtime.quirks import Quirks
from p4pmip.p4runtime.stubs import code_pb2, p4runtime_pb2, status_pb2

_NAMES: dict[int, str] = {value: name.lower() for name, value in code_pb2.Code.items()}


def code_name(code: int) -> str:
    """A google.rpc.Code in lower case, such as `not_found`."""
    return _NAMES.get(code, f"code_{code}")


def matches(pattern: str, message: str) -> bool:
    """The message is of the kind that a quirk's pattern describes (an empty pattern describes none)."""
    return bool(pattern) and re.search(pattern, message, re.IGNORECASE) is not None


@dataclass(frozen=True, slots=True)
class Problem:
    """One refusal: of a whole RPC, or of one update."""

    code: int
    """google.rpc.Code."""
    message: str

    def __str__(self) -> str:
        return f"{code_name(self.code)}: {self.message}" if self.message else code_name(self.code)

    def reason(self, quirks: Quirks) -> str:
        """A stable name: `table_full`, or that of the code."""
        if self.code == code_pb2.RESOURCE_EXHAUSTED or matches(quirks.table_full, self.message):
            return "table_full"
        return code_name(self.code)


@dataclass(frozen=True, slots=True)
class RpcProblem:
    """Why an RPC failed, with what it says of each update."""

    whole: Problem
    updates: dict[int, Problem] = field(default_factory=dict)
    """By index in the request; empty if the RPC failed as a whole."""

    @classmethod
    def of(cls, error: grpc.aio.AioRpcError) -> "RpcProblem":
        """Read out of what grpc raised."""
        whole = Problem(error.code().value[0], error.details() or "")
        for key, value in error.trailing_metadata() or ():
            if key == "grpc-status-details-bin" and isinstance(value, bytes):
                return cls(whole, _per_update(value))
        return cls(whole)


def _per_update(data: bytes) -> dict[int, Problem]:
    """The errors that are not OK; a Status or detail that cannot be read is none."""
    try:
        status = status_pb2.Status.FromString(data)
        found = {}
        for index, detail in enumerate(status.details):
            error = p4runtime_pb2.Error()
            if detail.Unpack(error) and error.canonical_code != code_pb2.OK:
                found[index] = Problem(error.canonical_code, error.message)
    except DecodeError:
        return {}
    return found


class TargetError(P4pmipError):
    """A target could not be reached or refused a request as a whole.

    Attributes:
        place: The target.
        value: The request.
        cause: What the target or the network said.
    """

    def __init__(self, target: str, request: str, cause: Problem, choices: Iterable[object] = ()) -> None:
        self.cause = cause
        super().__init__(target, request, str(cause), choices)

    def __str__(self) -> str:
        return f"{self.place}: {self.value}: {self.problem}" + (
            f" (valid: {', '.join(map(str, self.choices))})" if self.choices else ""
        )
