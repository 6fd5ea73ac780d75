"""What scenario.py and lab.py answer to people who get something wrong."""

import subprocess
import sys

import pytest
from tests.lab.started import HERE, LACKING

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(bool(LACKING), reason=LACKING),
]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["nonsense"], "no such scenario: nonsense (valid: overlap, handover, "),
        ([], "which scenario? (valid: overlap, handover, "),
        (["overlap", "--target", "tofino"], "no such target: tofino (valid: softswitch, bmv2)"),
        (["overlap", "--executor", "fast"], "no such executor: fast (valid: native, interpreter)"),
        (["overlap", "--target", "bmv2", "--executor", "native"], "the executor is the softswitch's"),
        (["--loud", "overlap"], "unrecognized arguments: --loud"),
    ],
)
def test_a_wrong_command_line_is_one_line_and_status_2(words: list[str], told: str) -> None:
    """With the valid choices, and nothing on standard output."""
    done = subprocess.run([sys.executable, str(HERE / "scenario.py"), *words, "--json"], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stdout == ""
    assert told in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("words", [["scenario.py", "overlap"], ["lab.py"]])
def test_missing_tools_are_named_with_their_packages(words: list[str]) -> None:
    """As one would install them on Debian."""
    done = subprocess.run(
        [sys.executable, str(HERE / words[0]), *words[1:]], capture_output=True, text=True, env={"PATH": "/nonexistent"}
    )
    assert done.returncode == 2
    assert "apt-get install --no-install-recommends mininet" in done.stderr
    assert len(done.stderr.splitlines()) == 1
