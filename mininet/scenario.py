"""Run scenarios of the lab, set-up and clean-up included: scenario.py NAME... [--target softswitch|bmv2] [--json]

The exit status is 0 if every check holds, 1 if not, 2 for a wrong command line, 3 if the machine lacks a tool.
"""

import argparse
import json
import re
import shutil
import sys
import tempfile
import traceback
from pathlib import Path

import figure1
from lab import Interrupted, Lab, missing_tools
from mininet.log import setLogLevel
from report import Report
from scenarios import SCENARIOS

_LEFT_OVER = re.compile(r"^(lma|mag\d|air|control|op[ab]|mn\d)-eth\d+")


def left_over(lab: Lab) -> list[str]:
    """Interfaces and processes of a lab that has ended."""
    found = [name.name for name in Path("/sys/class/net").iterdir() if _LEFT_OVER.match(name.name)]
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0")
            except OSError:  # it has just ended
                continue
            if any(word.startswith(bytes(lab.directory)) for word in words):
                found.append(f"process {entry.name}: {b' '.join(words).decode(errors='replace')}")
    return found


def run(name: str, target: str, tell: bool) -> Report:
    """One scenario from nothing to nothing; its logs are kept if it fails."""
    scenario = SCENARIOS[name]
    report = Report(name, tell)
    settings = scenario.settings(Path(tempfile.mkdtemp(prefix=f"p4pmip-{name}-")), target)
    lab = Lab(settings)
    try:
        with lab:
            scenario.play(lab, report)
    except figure1.Failure as failure:
        report.check("course", False, str(failure))
    except Interrupted as interrupted:
        report.check("course", False, f"interrupted by {interrupted}")
        raise
    except Exception:
        report.check("course", False, traceback.format_exc())
    finally:
        remaining = left_over(lab)
        report.check("clean-up", not remaining, ", ".join(remaining) or "no process, interface or namespace is left")
        if report.ok:
            shutil.rmtree(settings.directory)
        elif tell:
            print(f"  the logs and captures are in {settings.directory}")
    return report


def main() -> int:
    """Run what the command line names."""
    parser = argparse.ArgumentParser(description="Unattended scenarios of the lab of Figure 1.")
    parser.add_argument("names", nargs="+", metavar="NAME", help=f"all, or: {', '.join(SCENARIOS)}")
    parser.add_argument("--target", choices=("softswitch", "bmv2"), default="softswitch")
    parser.add_argument("--json", action="store_true", help="print one JSON object a scenario and nothing else")
    arguments = parser.parse_args()
    names = list(SCENARIOS) if arguments.names == ["all"] else arguments.names
    unknown = [name for name in names if name not in SCENARIOS]
    if unknown:
        parser.error(f"no such scenario: {', '.join(unknown)} (valid: all, {', '.join(SCENARIOS)})")
    missing = missing_tools(arguments.target)
    if missing:
        print(f"The scenarios need {', '.join(missing)}.", file=sys.stderr)
        return 3
    setLogLevel("critical" if arguments.json else "warning")
    good = True
    try:
        for name in names:
            report = run(name, arguments.target, not arguments.json)
            good = good and report.ok
            if arguments.json:
                print(json.dumps(report.as_json()), flush=True)
    except Interrupted:
        return 130
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
