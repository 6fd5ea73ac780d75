"""What a scenario found."""

from dataclasses import asdict, dataclass, field

from p4pmip.demo import report
from p4pmip.demo.report import Check


@dataclass(frozen=True, slots=True)
class Handover(report.Handover):
    """What a move did to the keys and to the traffic, and for how long."""

    gap_ms: float
    """From the first frame at the new MAG to the first downlink packet that it delivers."""


@dataclass
class Report:
    """Every claim of one scenario; told as they are checked, if wanted."""

    scenario: str
    tell: bool
    checks: list[Check] = field(default_factory=list)
    handover: Handover | None = None

    def __post_init__(self) -> None:
        if self.tell:
            print(f"{self.scenario}", flush=True)

    @property
    def ok(self) -> bool:
        """Whether every claim holds."""
        return bool(self.checks) and all(check.ok for check in self.checks)

    def check(self, name: str, ok: bool, detail: object = "") -> bool:
        """Note one claim."""
        self.checks.append(Check(name, bool(ok), str(detail)))
        if self.tell:
            print(f"  {'ok  ' if ok else 'FAIL'} {name}{f': {detail}' if str(detail) else ''}", flush=True)
        return bool(ok)

    def as_json(self) -> dict[str, object]:
        """In the form that other programs rely on."""
        return {
            "scenario": self.scenario,
            "ok": self.ok,
            "checks": [asdict(check) for check in self.checks],
            "handover": None if self.handover is None else asdict(self.handover),
        }
