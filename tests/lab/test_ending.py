"""Nothing stays behind: not after Ctrl-C at any moment, and not after a failure, which is told with its log."""

import json
import os
import signal
import time
from itertools import pairwise
from pathlib import Path
from random import Random

import pytest
from tests.lab.started import LACKING, Started, interfaces

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(bool(LACKING), reason=LACKING),
]

SEED = 8
BEGINNINGS = (0.0, 0.1, 0.2, 0.3, 0.4, 1.4, 2.6, 3.8, 5.0, 6.2)
MOMENTS = [round(Random(SEED).uniform(begin, end), 2) for begin, end in pairwise((*BEGINNINGS, 7.4))]
"""Seconds after its first word: one in each part of a scenario's life, and more while Mininet's shells are started."""


@pytest.mark.parametrize("seconds", MOMENTS)
def test_after_ctrl_c(seconds: float, tmp_path: Path) -> None:
    """At whatever moment, to the whole process group as a terminal does, and once more by an impatient person."""
    before = interfaces()
    scenario = Started(tmp_path, "scenario.py", "overlap")
    assert scenario.process.stdout is not None
    said = scenario.process.stdout.readline()
    assert said == "overlap\n"
    time.sleep(seconds)
    for pause in (0.2, 0.0):
        os.killpg(scenario.process.pid, signal.SIGINT)
        time.sleep(pause)
        if scenario.process.poll() is not None:
            break
    status, output, errors = scenario.end()
    # The second may come when all is done and Python is about to go: a shell calls both 130.
    assert status in (130, -signal.SIGINT), output + errors
    assert scenario.left() == []
    assert interfaces() - before == set()
    assert "FAIL clean-up" not in output


def test_after_a_failure(tmp_path: Path) -> None:
    """A switch that does not start: status 1, and its last words in the report."""
    false_switch = tmp_path / "bin" / "simple_switch_grpc"
    false_switch.parent.mkdir()
    false_switch.write_text("#!/bin/sh\necho 'bad alloc of everything' >&2\nexit 3\n")
    false_switch.chmod(0o755)
    scenario = Started(tmp_path, "scenario.py", "overlap", "--target", "bmv2", "--json", path=str(false_switch.parent))
    status, output, _ = scenario.end()
    assert status == 1
    assert scenario.left() == []
    report = json.loads(output)
    assert not report["ok"]
    course = next(check for check in report["checks"] if check["name"] == "course")
    assert "switch lma ended with status 3" in course["detail"]
    assert "bad alloc of everything" in course["detail"]
    assert next(check for check in report["checks"] if check["name"] == "clean-up")["ok"]
