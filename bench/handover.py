"""The interruption of a handover with real hosts: the lab's scenario `handover`, on each target that is found.

From the first frame of the mobile node at the new MAG to the first downlink packet that this MAG delivers, under ping,
UDP and TCP. What others have published is beside it; it was measured elsewhere, so that there is no bound. Root and
Mininet are needed. Run alone: `python bench/handover.py`.
"""

import json
import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Any

SCENARIO = Path(__file__).resolve().parents[1] / "mininet" / "scenario.py"
RUNS = 2
PUBLISHED = ("published: a P4/BMv2 mobility scheme, elsewhere", 7.8)
BMV2 = "simple_switch_grpc"


def play(target: str) -> dict[str, Any]:
    """The scenario's result.

    Raises:
        OSError: It did not run; its last words.
    """
    command = [sys.executable, str(SCENARIO), "handover", "--target", target, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        found: dict[str, Any] = json.loads(done.stdout)
    except ValueError as error:
        raise OSError((done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]) from error
    return found


def measure() -> list[dict[str, Any]]:
    """Two rows for each target; one that says why where they cannot be taken."""
    if os.geteuid() != 0:
        return [_row("handover in the lab", None, "ms", skipped="needs root, for network namespaces")]
    if find_spec("mininet") is None or find_spec("mininet.net") is None:
        return [_row("handover in the lab", None, "ms", skipped="Mininet is not installed (make lab says how)")]
    rows = []
    for target in ("softswitch", "bmv2"):
        name = f"handover in the lab, {target}"
        if target == "bmv2" and shutil.which(BMV2) is None:
            rows.append(_row(name, None, "ms", skipped=f"{BMV2} is not on PATH"))
            continue
        try:
            results = [play(target) for _ in range(RUNS)]
        except OSError as error:
            rows.append(_row(name, None, "ms", skipped=str(error)))
            continue
        if not all(one["ok"] for one in results):
            wrong = [check["name"] for one in results for check in one["checks"] if not check["ok"]]
            rows.append(_row(name, None, "ms", skipped=f"the scenario failed: {', '.join(wrong)}"))
            continue
        gap = median(one["handover"]["gap_ms"] for one in results)
        lost = median(one["handover"]["lost"] for one in results)
        sent = median(one["handover"]["sent"] for one in results)
        rows.append(_row(f"{name}: gap", gap, "ms", PUBLISHED))
        rows.append(_row(f"{name}: packets lost", lost, "packets", ("packets sent", sent)))
    return rows


def _row(
    name: str, value: float | None, unit: str, peer: tuple[str, float] | None = None, skipped: str | None = None
) -> dict[str, Any]:
    return {
        "name": name,
        "value": value,
        "unit": unit,
        "peer": None if peer is None else peer[0],
        "peer_value": None if peer is None else peer[1],
        "ratio": value / peer[1] if peer is not None and value is not None and peer[1] else None,
        "bound": None,
        "ok": None if value is None else True,
        "skipped": skipped,
    }


if __name__ == "__main__":
    for row in measure():
        print(row["skipped"] or f"{row['value']:.2f} {row['unit']}", row["name"])
