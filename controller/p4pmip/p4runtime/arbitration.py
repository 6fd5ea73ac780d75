"""Who may write to a target, as a state machine without I/O (P4Runtime v1 §"Client Arbitration").

The rules that keep two controllers from fighting:

- An election id is chosen once, from the time, and kept over reconnects.
- Taken by another live controller (the stream ends with INVALID_ARGUMENT): the next id.
- Demoted, or a primary was there first: wait. A living primary's id is never topped.
- No primary lives (NOT_FOUND): claim the vacancy with the highest id the target has seen, as the specification asks;
  targets that promote a backup by themselves never send it.

Nothing is assumed about what a target held while we were not its primary: every promotion asks for `Prepare` (pipeline
and entries are compared) before the session is ready.
"""

from dataclasses import dataclass
from enum import Enum
from random import Random

from p4pmip.p4runtime.stubs import code_pb2

ELECTION_ID_MAX = (1 << 128) - 1
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 15.0
"""Seconds between attempts to connect: doubled each time, with jitter of half."""


class State(Enum):
    """How far a session has come."""

    DISCONNECTED = "disconnected"
    CONNECTING = "connecting"
    ARBITRATING = "arbitrating"
    BACKUP = "backup"
    PRIMARY = "primary"
    """May write; what the target holds has not been compared yet."""
    READY = "ready"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class Connect:
    """Open a stream, then `stream_opened` or `stream_closed`."""


@dataclass(frozen=True, slots=True)
class Arbitrate:
    """Send a MasterArbitrationUpdate with this election id."""

    election_id: int


@dataclass(frozen=True, slots=True)
class Prepare:
    """Compare and set pipeline and entries, then `prepared` or `prepare_failed`."""


@dataclass(frozen=True, slots=True)
class Suspend:
    """Writing is no longer allowed; everything not acknowledged has failed with this reason."""

    reason: str


Effect = Connect | Arbitrate | Prepare | Suspend


def time_based_election_id(utc: float) -> int:
    """An election id from the time in seconds: its microseconds, with room below for the next ids."""
    return int(utc * 1_000_000) << 32


class Arbitration:
    """The life of one session. Inputs are methods with the time `now` in seconds; outputs are `effects()`."""

    def __init__(self, election_id: int, random: Random) -> None:
        self.state = State.DISCONNECTED
        self.election_id = election_id
        self.primary_id: int | None = None
        """Election id of the primary as last announced; None: none is known."""
        self.reason = ""
        """Why the session is not ready, as the target or the network said it."""
        self.attempts = 0
        """Connections that failed since the last answer."""
        self._claimed = False
        self._random = random
        self._timer: float | None = None
        self._effects: list[Effect] = []

    def effects(self) -> list[Effect]:
        """What to do now; each effect is returned once."""
        effects, self._effects = self._effects, []
        return effects

    def next_timer(self) -> float | None:
        """When `handle_timer` is due."""
        return self._timer

    def start(self, now: float) -> None:
        """Begin."""
        self._timer = now
        self.handle_timer(now)

    def close(self) -> None:
        """End for good."""
        self._leave("session closed")
        self.state, self._timer = State.CLOSED, None

    def handle_timer(self, now: float) -> None:
        """The pause between two attempts is over, or preparing is tried again."""
        if self._timer is None or now < self._timer:
            return
        self._timer = None
        if self.state is State.DISCONNECTED:
            self.state = State.CONNECTING
            self._effects.append(Connect())
        elif self.state is State.PRIMARY:
            self._effects.append(Prepare())

    def stream_opened(self) -> None:
        """The stream exists: ask to be primary."""
        if self.state is State.CONNECTING:
            self.state = State.ARBITRATING
            self._effects.append(Arbitrate(self.election_id))

    def answered(self, code: int, election_id: int | None) -> None:
        """A MasterArbitrationUpdate: its status code and the election id in it (None if unset)."""
        if self.state not in (State.ARBITRATING, State.BACKUP, State.PRIMARY, State.READY):
            return
        self.attempts = 0
        vacant = code == code_pb2.NOT_FOUND
        self.primary_id = None if vacant else election_id
        claimed, self._claimed = self._claimed, vacant
        if code == code_pb2.OK:
            if self.state in (State.ARBITRATING, State.BACKUP):
                self.state, self.reason, self._timer = State.PRIMARY, "preparing", None
                self._effects.append(Prepare())
            return
        self._leave("not primary")
        self.state, self.reason = State.BACKUP, f"another controller (election id {election_id}) is primary"
        if vacant:
            self.reason = "no controller is primary"
            if not claimed or (election_id or 0) > self.election_id:
                self.election_id = max(self.election_id, election_id or 0)
                self._effects.append(Arbitrate(self.election_id))

    def stream_closed(self, code: int, reason: str, now: float, *, id_taken: bool = False) -> None:
        """The stream could not be opened or ended; `id_taken`: because another controller has our election id."""
        if self.state in (State.CLOSED, State.DISCONNECTED):
            return
        self._leave(reason)
        self.state, self.primary_id, self._claimed = State.DISCONNECTED, None, False
        if id_taken and code == code_pb2.INVALID_ARGUMENT:
            self.election_id = min(self.election_id + 1, ELECTION_ID_MAX)
        pause = min(FIRST_PAUSE * 2 ** min(self.attempts, 10), LONGEST_PAUSE)
        self.attempts += 1
        self._timer = now + pause * (0.5 + self._random.random() / 2)

    def prepared(self) -> None:
        """Pipeline and entries are as they should be."""
        if self.state is State.PRIMARY:
            self.state, self.reason = State.READY, ""

    def prepare_failed(self, reason: str, now: float) -> None:
        """They are not; another attempt follows while the session stays primary."""
        if self.state is State.PRIMARY:
            self.reason = reason
            self._timer = now + LONGEST_PAUSE * (0.5 + self._random.random() / 2) / 3

    def _leave(self, reason: str) -> None:
        if self.state in (State.PRIMARY, State.READY):
            self._effects.append(Suspend(reason))
        self._timer, self.reason = None, reason
