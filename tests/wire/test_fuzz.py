"""A short run of the fuzzer, so that its targets keep holding; the long one is `make fuzz`."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

FUZZER = Path(__file__).parents[2] / "fuzz" / "wire.py"


@pytest.mark.skipif(importlib.util.find_spec("atheris") is None, reason="atheris is not installed")
def test_the_fuzzer_finds_nothing(tmp_path: Path) -> None:
    command = [sys.executable, str(FUZZER), "-runs=20000", f"-artifact_prefix={tmp_path}/"]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr[-2000:]
    assert "Done 20000 runs" in answer.stderr
    assert not list(tmp_path.iterdir())
