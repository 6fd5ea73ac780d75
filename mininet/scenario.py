"""Run scenarios of the lab, set-up and clean-up included.

scenario.py NAME... [--target softswitch|bmv2] [--executor native|interpreter] [--json]

The exit status is 0 if every check holds, 1 if not, 2 for a wrong command line or a machine that lacks something.
"""

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
import traceback
from pathlib import Path

import machine
from commandline import EXECUTORS, TARGETS, Parser, check_switch


def arguments_of(words: list[str], scenarios: tuple[str, ...]) -> argparse.Namespace:
    """The command line, checked; words may be empty, as make passes what was not given."""
    parser = Parser(prog="scenario", description="Unattended scenarios of the lab of Figure 1.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"all, or: {', '.join(scenarios)}")
    parser.add_argument("--target", default=TARGETS[0], help=f"{' or '.join(TARGETS)}; default: {TARGETS[0]}")
    parser.add_argument("--executor", help=f"what runs the softswitch's packets: {' or '.join(EXECUTORS)}")
    parser.add_argument("--json", action="store_true", help="print one JSON object a scenario and nothing else")
    arguments = parser.parse_args(words)
    arguments.executor = arguments.executor or None
    valid = f"(valid: {', '.join(scenarios)}; or all)"
    if not arguments.names:
        parser.error(f"which scenario? {valid}")
    if arguments.names == ["all"]:
        arguments.names = list(scenarios)
    unknown = [name for name in arguments.names if name not in scenarios]
    if unknown:
        parser.error(f"no such scenario: {', '.join(unknown)} {valid}")
    check_switch(parser, arguments.target, arguments.executor)
    return arguments


def run(name: str, target: str, executor: str | None, tell: bool):  # type: ignore[no-untyped-def]
    """The report of one scenario, from nothing to nothing; its logs are kept if it fails."""
    # Here and below: imported once Mininet is known to be there.
    import figure1
    from ending import Interrupted
    from network import Lab
    from report import Report
    from scenarios import SCENARIOS

    scenario = SCENARIOS[name]
    report = Report(name, tell)
    settings = scenario.settings(Path(tempfile.mkdtemp(prefix=machine.directory_prefix(name))), target, executor)
    lab = Lab(settings)
    began = time.monotonic()
    try:
        with lab:
            ran = lab.executors()
            wanted = {executor or ("native" if target == "softswitch" else machine.BMV2)}
            took = f"{time.monotonic() - began:.1f} s"
            report.check("set-up", ran == wanted, f"in {took}; switches: {target}, {', '.join(sorted(ran))}")
            scenario.play(lab, report)
    except figure1.Failure as failure:
        report.check("course", False, str(failure))
    except Interrupted as interrupted:
        report.check("course", False, f"interrupted by {interrupted}")
        raise
    except Exception:
        report.check("course", False, traceback.format_exc())
    finally:
        lab.end()
        remaining = [*lab.left_over, *lab.traces()]
        told = f"no process, interface or namespace is left after {time.monotonic() - began:.1f} s"
        if "course" not in [check.name for check in report.checks]:
            report.check("every node and switch ended well", not lab.badly_ended, "\n".join(lab.badly_ended))
        report.check("clean-up", not remaining, ", ".join(remaining) or told)
        if report.ok:
            shutil.rmtree(settings.directory)
        else:
            print(f"  the logs and captures are in {settings.directory}", file=sys.stderr)
    lab.interrupts.check()
    return report


def main() -> int:
    """Run what the command line names."""
    arguments = None
    lacking = machine.lacks_mininet()
    if lacking is None:
        from scenarios import SCENARIOS

        arguments = arguments_of(sys.argv[1:], tuple(SCENARIOS))
        lacking = machine.lacks(arguments.target) or machine.lacks_room(arguments.names)
    if lacking is not None:
        print(f"scenario: {lacking}", file=sys.stderr)
        return 2
    assert arguments is not None
    # Mininet starts processes while the lab's own reads of tables have threads.
    os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "0"
    from mininet.log import setLogLevel

    setLogLevel("critical" if arguments.json else "warning")
    good = True
    try:
        for name in arguments.names:
            report = run(name, arguments.target, arguments.executor, not arguments.json)
            good = good and report.ok
            if arguments.json:
                print(json.dumps(report.as_json()), flush=True)
    except KeyboardInterrupt as interrupt:
        print(f"scenario: interrupted {interrupt}".rstrip(), file=sys.stderr)
        return 130
    return 0 if good else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:  # before anything was begun
        sys.exit(130)
