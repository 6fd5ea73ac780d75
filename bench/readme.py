"""Puts the figures of `make bench` into README.md: `python bench/readme.py` after it, on the machine that it ran on.

It keeps what was measured in docs/figures.json, with the machine and the day, and writes README's table from that; a
test says that the two agree.
"""

import argparse
import datetime
import importlib.util
import json
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
RESULTS, KEPT, README = ROOT / "bench/results.json", ROOT / "docs/figures.json", ROOT / "README.md"
BEGIN, END = "<!-- figures: begin -->", "<!-- figures: end -->"

FIGURES: Sequence[tuple[str, str]] = (
    ("mobility", r"LMA: initial registrations per second, 1,000 bindings"),
    ("mobility", r"LMA: initial registrations per second, 1,0\d\d,\d{3} bindings"),
    ("mobility", r"LMA: memory of .* bindings"),
    ("wire", r"wire: .*"),
    ("node", r"node, \w+: (attaches|attach p99|handover p99)"),
    ("handover", r"handover in the lab.*"),
    ("p4runtime", r"P4Runtime: .*"),
    ("pipeline", r"BMv2: .*"),
    ("softswitch", r"native: .*, (lossless|best)"),
    ("softswitch", r"interpreter: uplink, 64 octets, best"),
    ("switch_writes", r"native: .* under traffic"),
)
"""Which rows README has, in this order: the module of `bench/` that takes them, and their names."""


def selected(rows: Sequence[dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The rows of README with their modules."""
    for module, pattern in FIGURES:
        yield from ((module, row) for row in rows if re.fullmatch(pattern, row["name"]))


def section(kept: dict[str, Any]) -> str:
    """README's part between the two marks."""
    note = f", {kept['note']}" if kept["note"] else ""
    lines = [
        f"Measured on {kept['machine']}, {kept['day']}, in one run of `make bench`{note}.",
        "",
        "| figure | measured | beside | ratio | bound | module |",
        "|---|---|---|---|---|---|",
    ]
    for module, row in selected(kept["rows"]):
        if row["value"] is None:
            lines.append(f"| {row['name']} | not taken: {row['skipped']} | | | | `{module}` |")
            continue
        peer = "" if row["peer"] is None else f"{row['peer']}: {number(row['peer_value'])}"
        bound = (
            ""
            if row["bound"] is None
            else number(row["bound"], _unit_of_bound(row)) + ("" if row["ok"] else ", **missed**")
        )
        cells = (row["name"], number(row["value"], row["unit"]), peer, number(row["ratio"]), bound, f"`{module}`")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _unit_of_bound(row: dict[str, Any]) -> str:
    """Bounds of octets are octets; others are in the row's unit, or a ratio, and stand alone."""
    return "octets" if row["unit"] == "octets" else ""


def number(value: float | None, unit: str = "") -> str:
    """As people read it."""
    if value is None:
        return ""
    if unit == "octets":
        value, unit = value / 2**30, "GiB"
    text = f"{value:,.0f}" if abs(value) >= 1000 else f"{value:,.3g}"
    return f"{text}{unit[1:]}" if unit == "1/s" else f"{text} {unit}".strip()


def replaced(text: str, kept: dict[str, Any]) -> str:
    """README with that section."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{section(kept)}\n{END}{after}"


def machine() -> str:
    """As `make bench` names it."""
    spec = importlib.util.spec_from_file_location("bench_run", Path(__file__).with_name("run.py"))
    assert spec is not None
    assert spec.loader is not None
    run = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(run)
    return str(run.machine())


def main(arguments: Sequence[str] | None = None) -> int:
    """Keep the results and write README."""
    parser = argparse.ArgumentParser(description="Put the figures of `make bench` into README.md.")
    parser.add_argument("--note", default="", metavar="TEXT", help="what else there is to say of the run")
    note = parser.parse_args(arguments).note
    if not RESULTS.exists():
        print(f"{RESULTS.relative_to(ROOT)} is not there: `make bench` makes it", file=sys.stderr)
        return 2
    rows = json.loads(RESULTS.read_text(encoding="utf-8"))
    kept = {"machine": machine(), "day": datetime.date.today().isoformat(), "note": note, "rows": rows}
    KEPT.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
    README.write_text(replaced(README.read_text(encoding="utf-8"), kept), encoding="utf-8")
    print(f"written: {KEPT.relative_to(ROOT)}, {README.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
