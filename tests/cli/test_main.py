"""The `p4pmip` command itself."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from p4pmip import __version__
from p4pmip.cli.main import build_parser, main


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    """`p4pmip --version`."""
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"p4pmip {__version__}\n"


@pytest.mark.parametrize("arguments", [[], ["fly"]])
def test_without_a_known_command(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """One line with the valid commands, exit status 2."""
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    message = capsys.readouterr().err
    assert len(message.splitlines()) == 1
    assert "demo" in message


def test_every_command_has_help() -> None:
    """Each has a line of help in the list."""
    help_text = build_parser().format_help()
    for command in ("demo", "decode", "deploy", "switch", "tables", "trace"):
        assert re.search(rf"^    {command} +\S", help_text, re.MULTILINE), command


COMMAND = [sys.executable, "-m", "p4pmip.cli.main"]
MESSAGE = [
    "decode",
    "--hex",
    "4500003000000000402ff69bc0000201c000020220000800000000074500001400000000401166cc0a01000a0a010002",
]
"""A GRE packet; its addresses are printed with an arrow between them."""


def test_output_that_is_closed_is_no_error() -> None:
    """Nothing of the command's is printed into whatever got the free descriptor."""
    done = subprocess.run(
        COMMAND + MESSAGE, stderr=subprocess.PIPE, check=False, timeout=60, preexec_fn=lambda: os.close(1)
    )
    assert (done.returncode, done.stderr) == (0, b"")


def test_a_full_device_is_one_line() -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [*COMMAND, "p4info"], stdout=full, stderr=subprocess.PIPE, text=True, check=False, timeout=60
        )
    assert done.returncode == 1
    assert done.stderr.splitlines() == ["p4pmip: [Errno 28] No space left on device"]


def test_a_reader_that_has_seen_enough() -> None:
    """As `p4pmip p4info | head`: no word of it, and the status that a shell gives SIGPIPE."""
    process = subprocess.Popen([*COMMAND, "p4info"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait(60) == 128 + signal.SIGPIPE


def test_what_the_terminal_cannot_show_is_escaped() -> None:
    done = subprocess.run(
        COMMAND + MESSAGE, capture_output=True, check=False, timeout=60, env={**os.environ, "PYTHONIOENCODING": "ascii"}
    )
    assert b"192.0.2.1 \\u2192 192.0.2.2" in done.stdout
    assert done.stderr == b""


@pytest.mark.parametrize(
    ("script", "said"),
    [
        (["tests/kill.py", "0"], "argument kills: 0 is not 1 or more"),
        (["tests/kill.py", "x"], "argument kills: invalid count value: 'x'"),
        (["tests/kill.py", "1", "steam"], "argument executor: invalid choice: 'steam'"),
        (["fuzz/write.py", "--runs", "0"], "argument --runs: 0 is not 1 or more"),
        (["bench/soak.py", "--seconds", "nan"], "argument --seconds: nan is no time that passes"),
        (["-m", "tests.softswitch.executors", "--packets", "0"], "argument --packets: 0 is not 1 or more"),
        (["-m", "tests.pipeline.run", "--target", "abacus"], "argument --target: invalid choice: 'abacus'"),
    ],
)
def test_what_make_runs_complains_in_one_line(script: list[str], said: str) -> None:
    """A check of nothing is no check: it has to be asked for something."""
    top = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, *script],
        cwd=top, env={**os.environ, "PYTHONPATH": str(top)}, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert said in done.stderr
