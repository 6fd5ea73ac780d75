"""The Write fuzzer, for a short while, on every target; `make fuzz-write` is longer."""

import subprocess
import sys
from pathlib import Path

import pytest

FUZZER = Path(__file__).parents[2] / "fuzz" / "write.py"


@pytest.mark.parametrize("target", ["softswitch", pytest.param("bmv2", marks=pytest.mark.bmv2)])
def test_every_broken_write_is_refused_and_nothing_else(target: str) -> None:
    command = [sys.executable, str(FUZZER), "--target", target, "--runs", "150", "--seed", "7"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "150 requests" in done.stdout
