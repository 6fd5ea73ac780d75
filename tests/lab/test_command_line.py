"""What scenario.py and lab.py answer to people who get something wrong."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.lab.started import HERE, LACKING, machine

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


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--target", "tofino"], "lab: no such target: tofino (valid: softswitch, bmv2)"),
        (["--executor", "fast"], "lab: no such executor: fast (valid: native, interpreter)"),
        (["--target", "bmv2", "--executor", "native"], "lab: the executor is the softswitch's: target bmv2 has none"),
        (["--loud"], "lab: unrecognized arguments: --loud"),
        (["--view", "192.0.2.1:80"], "lab: --view: cannot listen: Cannot assign requested address: '192.0.2.1:80'"),
        (["--view", "x"], "lab: --view: is no address and port: 'x' (valid: 127.0.0.1:0, [::1]:8080)"),
    ],
)
def test_the_lab_answers_likewise(words: list[str], told: str) -> None:
    """Before anything is started."""
    done = subprocess.run([sys.executable, str(HERE / "lab.py"), *words], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"{told}\n")


def test_make_hands_on_what_was_asked_for_and_nothing_else() -> None:
    """An executor that was not asked for is the program's to choose."""
    for words, wanted in (
        ([], "mininet/lab.py"),
        (["EXECUTOR=interpreter"], "mininet/lab.py --executor interpreter"),
        (["TARGET=softswitch", "EXECUTOR=native"], "mininet/lab.py --target softswitch --executor native"),
    ):
        command = ["make", "-n", "-s", "lab", *words]
        done = subprocess.run(command, cwd=HERE.parent, capture_output=True, text=True, check=True)
        assert done.stdout.split("python ", 1)[1].split() == wanted.split()


@pytest.mark.parametrize("document", ["README.md", "docs/lab.md"])
def test_the_documents_name_every_package(document: str) -> None:
    """The line that one copies installs all that is asked for."""
    text = (HERE.parent / document).read_text()
    line = next(line for line in text.splitlines() if "apt-get install" in line and "mininet" in line)
    assert set(line.split()) >= set(machine().PACKAGES.values())


@pytest.mark.parametrize("words", [["scenario.py", "overlap"], ["lab.py"]])
def test_missing_tools_are_named_with_their_packages(words: list[str]) -> None:
    """As one would install them on Debian."""
    done = subprocess.run(
        [sys.executable, str(HERE / words[0]), *words[1:]], capture_output=True, text=True, env={"PATH": "/nonexistent"}
    )
    assert done.returncode == 2
    assert "apt-get install --no-install-recommends mininet" in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("words", [["scenario.py", "overlap", "--json"], ["lab.py"]])
def test_a_directory_whose_sockets_had_too_long_paths_is_told_before_anything_starts(
    words: list[str], tmp_path: Path
) -> None:
    """In one line, and nothing is made in it."""
    folder = tmp_path / ("d" * (99 - len(str(tmp_path))))
    folder.mkdir()
    done = subprocess.run(
        [sys.executable, str(HERE / words[0]), *words[1:]],
        capture_output=True, text=True, env={**os.environ, "TMPDIR": str(folder)}, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (2, "", 1)
    octets = len(f"{folder}/p4pmip-{'' if len(words) == 1 else 'overlap-'}12345678/mag1/p4runtime")
    assert f"TMPDIR: too long, Unix sockets in it would have paths of {octets} octets (valid: 107)" in done.stderr
    assert list(folder.iterdir()) == []
