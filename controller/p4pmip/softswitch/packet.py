"""One packet on its way through the pipeline."""

from typing import Protocol


class Trace(Protocol):
    """What a traced packet reports to."""

    def state(self, name: str) -> None:
        """A parser state was entered."""

    def table(
        self, name: str, key: tuple[tuple[str, int], ...], hit: bool, action: int, arguments: tuple[int, ...]
    ) -> None:
        """A table was applied."""

    def condition(self, name: str, value: bool) -> None:
        """An `if` was decided."""

    def dropped(self, action: str, place: str, fields: list[int]) -> None:
        """An action marked the packet to be dropped; the slots as they were then."""

    def message(self, text: str) -> None:
        """The program's own message (`log_msg`)."""


class Packet:
    """The packet's octets, its slots, and what its program asked for.

    Attributes:
        data: The octets as they came; what stands before `offset` has been parsed.
        fields: The slots.
        length: What v1model calls packet_length: it follows headers that are added and removed.
        ingress_length: Octets at the start of ingress: what counters and meters add up.
        now: Seconds, monotonic.
        error: The parser's error code, or None.
    """

    __slots__ = (
        "clone_list", "clone_session", "data", "digest", "error", "exit", "failed", "fields", "ingress_length",
        "length", "now", "offset", "recirculate", "resubmit", "trace", "truncate",
    )  # fmt: skip

    def __init__(self, data: bytes, fields: list[int], now: float, trace: Trace | None = None) -> None:
        self.data = data
        self.fields = fields
        self.now = now
        self.trace = trace
        self.offset = 0
        self.length = self.ingress_length = len(data)
        self.error: str | None = None
        self.failed: str | None = None
        self.truncate: int | None = None
        self.reset()

    def reset(self) -> None:
        """Forget what the last control asked for."""
        self.exit = False
        self.clone_session: int | None = None
        self.clone_list = 0
        self.digest = 0
        self.resubmit = 0
        self.recirculate = 0
