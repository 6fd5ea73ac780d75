"""The packet replication engine: multicast groups and clone sessions (P4Runtime §9.4)."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Replica:
    """One copy: the port it goes to and its replication id."""

    port: int
    instance: int


@dataclass(frozen=True, slots=True)
class CloneSession:
    """Where clones go. `length` cuts them (0: whole)."""

    replicas: tuple[Replica, ...]
    length: int = 0


@dataclass(slots=True)
class Replication:
    """What is configured."""

    groups: dict[int, tuple[Replica, ...]] = field(default_factory=dict)
    sessions: dict[int, CloneSession] = field(default_factory=dict)
