"""`make bench`: every figure of the project in one table, with what it is compared to.

Each module of this directory that has `measure() -> list[dict]` runs in a process of its own and within its share of
the time; what could not be measured is in the table with the reason. `bench/results.json` has the rows, and plots are
written where matplotlib is installed. `python bench/run.py [MODULE ...]`.
"""

import argparse
import ast
import importlib
import importlib.util
import json
import os
import platform
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

Row = dict[str, Any]

FOLDER = Path(__file__).parent
FIELDS = ("name", "value", "unit", "peer", "peer_value", "ratio", "bound", "ok", "skipped")
WHOLE = 570.0
"""Seconds for everything."""
BINDINGS = re.compile(r"([\d,]+) bindings")
LAST = ("mobility",)
"""Whoever runs just after a gigabyte was given back waits for memory: latencies are measured before."""


def modules(folder: Path = FOLDER) -> list[str]:
    """The modules that measure, found without running them."""
    found = []
    for path in sorted(folder.glob("*.py"), key=lambda path: (path.stem in LAST, path)):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        if any(isinstance(one, ast.FunctionDef) and one.name == "measure" for one in tree.body):
            found.append(path.stem)
    return found


def machine() -> str:
    """What it was measured on."""
    model = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text(encoding="utf-8"))
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    cores = len(os.sched_getaffinity(0))
    name = model.group(1) if model else platform.machine()
    return f"{name}, {cores} cores, {memory:.0f} GiB, Linux {platform.release()}, Python {platform.python_version()}"


def measured(module: str, seconds: float, folder: Path = FOLDER) -> list[Row]:
    """The rows of one module; one that says why, if there are none."""
    command = [sys.executable, str(Path(__file__)), "--only", module, "--folder", str(folder)]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        output, errors = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        # A module may have started switches: they are in its process group.
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        return [skipped(module, f"not within {seconds:.0f} s")]
    if process.returncode:
        words = errors.strip().splitlines()
        return [skipped(module, words[-1] if words else f"exit status {process.returncode}")]
    rows: list[Row] = json.loads(output.splitlines()[-1])
    return rows


def skipped(name: str, reason: str) -> Row:
    """A row for what could not be measured."""
    return {**dict.fromkeys(FIELDS), "name": name, "ok": False, "skipped": reason}


def collect(names: Sequence[str], whole: float = WHOLE, folder: Path = FOLDER) -> list[Row]:
    """Every row; what one module does not use of its share is the others'."""
    ends = time.monotonic() + whole
    rows: list[Row] = []
    for done, name in enumerate(names):
        # More than the fair share, since most need less; never more than is left.
        left = ends - time.monotonic()
        share = min(left, 2.5 * left / (len(names) - done))
        print(f"bench: {name}, at most {share:.0f} s", file=sys.stderr, flush=True)
        began = time.monotonic()
        rows += measured(name, share, folder) if share >= 1 else [skipped(name, "no time was left")]
        print(f"bench: {name} took {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    return rows


# --- showing ------------------------------------------------------------------------------------------


def table(rows: Sequence[Row]) -> Iterator[str]:
    """The table, and under it what is missing."""
    head = ("figure", "value", "unit", "peer", "its value", "ratio", "bound", "")
    cells = [head, *(_cells(row) for row in rows if row["value"] is not None)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(head))]
    for line in cells:
        padded = (f"{cell:<{width}}" if n in (0, 2, 3, 7) else f"{cell:>{width}}"
                  for n, (cell, width) in enumerate(zip(line, widths, strict=True)))  # fmt: skip
        yield "  ".join(padded).rstrip()
    missing = [row for row in rows if row["skipped"]]
    if missing:
        yield ""
        yield "Not taken:"
        for row in missing:
            yield f"  {row['name']}: {row['skipped']}"


def _cells(row: Row) -> tuple[str, ...]:
    verdict = "" if row["bound"] is None or row["skipped"] else ("ok" if row["ok"] else "MISSED")
    numbers = [_number(row[name]) for name in ("value", "peer_value", "ratio", "bound")]
    return (row["name"], numbers[0], row["unit"] or "", row["peer"] or "", *numbers[1:], verdict)


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:,.4g}"


def plots(rows: Sequence[Row], folder: Path) -> list[Path]:
    """Attach latency, handover gap, and rate against the number of bindings, as far as they were measured."""
    if importlib.util.find_spec("matplotlib") is None:
        print("bench: no plots: matplotlib is not installed (pip install matplotlib)", file=sys.stderr)
        return []
    taken = [row for row in rows if row["value"] is not None]
    latency = [row for row in taken if row["unit"] == "ms"]
    attach = [row for row in latency if "attach" in row["name"].lower() and "handover" not in row["name"].lower()]
    gap = [row for row in latency if "handover" in row["name"].lower() or "gap" in row["name"].lower()]
    rate = [row for row in taken if row["unit"] == "1/s" and BINDINGS.search(row["name"])]
    found = []
    for name, some in (("attach-latency", attach), ("handover-gap", gap)):
        if some:
            found.append(_bars(folder / f"{name}.png", name.replace("-", " "), some))
    if rate:
        found.append(_rates(folder / "rate-bindings.png", rate))
    return found


def _bars(path: Path, title: str, rows: Sequence[Row]) -> Path:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 1 + 0.6 * len(rows)), layout="constrained")
    axes = figure.add_subplot()
    bars = axes.barh([row["name"] for row in rows], [row["value"] for row in rows], color="#2474c9")
    axes.bar_label(bars, fmt="%.2f ms", padding=3)
    for place, row in enumerate(rows):
        if row["bound"] is not None:
            axes.vlines(row["bound"], place - 0.45, place + 0.45, colors="#b3261e", linestyles="dashed", label="bound")
    if any(row["bound"] is not None for row in rows):
        axes.legend(*([one[0]] for one in map(list, axes.get_legend_handles_labels())))
    axes.set_title(title)
    axes.set_xlabel("ms")
    axes.margins(x=0.15)
    axes.invert_yaxis()
    figure.savefig(path, dpi=110)
    return path


def _rates(path: Path, rows: Sequence[Row]) -> Path:
    from matplotlib.figure import Figure

    lines: dict[str, list[tuple[int, float]]] = {}
    for row in rows:
        found = BINDINGS.search(row["name"])
        assert found is not None
        name = BINDINGS.sub("", row["name"]).strip(" ,")
        lines.setdefault(name, []).append((int(found.group(1).replace(",", "")), row["value"]))
    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.add_subplot()
    for name, points in lines.items():
        axes.plot(*zip(*sorted(points), strict=True), marker="o", label=name)
    axes.set_xscale("log")
    axes.set_ylim(0, 1.15 * max(rate for points in lines.values() for _, rate in points))
    axes.set_title("rate against number of bindings")
    axes.set_xlabel("bindings")
    axes.set_ylabel("per second")
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.yaxis.set_major_formatter("{x:,.0f}")
    axes.grid(axis="y", alpha=0.3)
    axes.legend()
    figure.savefig(path, dpi=110)
    return path


# --- the command --------------------------------------------------------------------------------------


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and show; exit status 1 if a bound was missed."""
    parser = argparse.ArgumentParser(description="Measure everything.")
    parser.add_argument("modules", nargs="*", metavar="MODULE")
    parser.add_argument("--only", metavar="MODULE", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, default=FOLDER, help=argparse.SUPPRESS)
    parser.add_argument("--seconds", type=float, default=WHOLE, help=f"for everything (default: {WHOLE:.0f})")
    args = parser.parse_args(arguments)
    if args.only is not None:
        sys.path.insert(0, str(args.folder.parent))
        sys.path.insert(0, str(args.folder))
        rows = importlib.import_module(args.only).measure()
        print(json.dumps([{name: row.get(name) for name in FIELDS} for row in rows]))
        return 0
    known = modules(args.folder)
    unknown = [name for name in args.modules if name not in known]
    if unknown:
        parser.error(f"no such module: {', '.join(unknown)} (valid: {', '.join(known)})")
    rows = collect(args.modules or known, args.seconds, args.folder)
    print(machine())
    print("\n".join(table(rows)))
    results = args.folder / "results.json"
    results.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")
    for path in (results, *plots(rows, args.folder)):
        print(f"written: {path}")
    return 0 if all(row["ok"] or row["bound"] is None or row["skipped"] for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
