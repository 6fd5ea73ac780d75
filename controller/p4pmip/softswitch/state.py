"""What a running program holds besides its tables: counters, meters, registers."""

from dataclasses import dataclass
from typing import Protocol


class CounterMirror(Protocol):
    """An executor's own cells of a counter."""

    def collect(self, packets: list[int], octets: list[int], index: int) -> None:
        """Move what was counted in one cell."""


class CounterArray:
    """An indirect counter: packets and octets of each cell."""

    __slots__ = ("mirror", "name", "octets", "packets")

    def __init__(self, name: str, size: int) -> None:
        self.name = name
        self.packets = [0] * size
        self.octets = [0] * size
        self.mirror: CounterMirror | None = None

    def collect(self, index: int) -> None:
        """Bring one cell up to date with what was counted elsewhere."""
        if self.mirror is not None:
            self.mirror.collect(self.packets, self.octets, index)


class RegisterArray:
    """A register: cells of `width` bits."""

    __slots__ = ("cells", "mask", "name", "width")

    def __init__(self, name: str, size: int, width: int) -> None:
        self.name = name
        self.width = width
        self.mask = (1 << width) - 1
        self.cells = [0] * size


@dataclass(frozen=True, slots=True)
class MeterConfig:
    """Two rates per second and their bursts, in octets or packets (P4Runtime §9.5)."""

    cir: int
    cburst: int
    pir: int
    pburst: int


GREEN, YELLOW, RED = 0, 1, 2


class Meter:
    """One colour-blind two-rate three-colour meter (RFC 2698): green until it is configured."""

    __slots__ = ("committed", "config", "peak", "since")

    def __init__(self, config: MeterConfig | None = None, now: float = 0.0) -> None:
        self.set(config, now)

    def set(self, config: MeterConfig | None, now: float) -> None:
        """Configure it, with full buckets; None makes it green for ever."""
        self.config = config
        self.since = now
        self.committed = float(config.cburst) if config else 0.0
        self.peak = float(config.pburst) if config else 0.0

    def execute(self, now: float, amount: int) -> int:
        """The colour of one packet of `amount` octets (or 1)."""
        config = self.config
        if config is None:
            return GREEN
        passed = max(now - self.since, 0.0)
        self.since = now
        self.committed = min(self.committed + passed * config.cir, config.cburst)
        self.peak = min(self.peak + passed * config.pir, config.pburst)
        if self.peak < amount:
            return RED
        self.peak -= amount
        if self.committed < amount:
            return YELLOW
        self.committed -= amount
        return GREEN


class MeterCells:
    """An indirect meter."""

    __slots__ = ("cells", "name", "octets")

    def __init__(self, name: str, size: int, octets: bool) -> None:
        self.name = name
        self.octets = octets
        self.cells: list[Meter | None] = [None] * size

    def execute(self, index: int, now: float, length: int) -> int:
        """The colour of one packet by one cell."""
        meter = self.cells[index]
        return GREEN if meter is None else meter.execute(now, length if self.octets else 1)

    def set(self, index: int, config: MeterConfig | None, now: float) -> None:
        """Configure one cell."""
        self.cells[index] = None if config is None else Meter(config, now)

    def get(self, index: int) -> MeterConfig | None:
        """The configuration of one cell."""
        meter = self.cells[index]
        return None if meter is None else meter.config
