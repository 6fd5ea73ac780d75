"""The commands of README.md and of the tutorial, as printed, in a copy of the checkout."""

import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SECONDS = 120
BLOCK = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)
NOT_HERE = {
    r"^make (test|lint|bench|stf|kill|soak)": "is a whole check of its own: .ci/run runs it",
    r"^(sudo |make (lab|scenario)|mn )": "needs root and Mininet: .ci/run runs it",
    r"^(apt-get|git clone|cd )": "changes the machine, or is done already",
    r"^make p4\b": "" if shutil.which("p4c-bm2-ss") or shutil.which("p4c") else "p4c is not installed",
}
"""What is not run here, and why; an empty reason is none."""


def commands(name: str) -> list[str]:
    """The lines of the shell blocks of a document, continued ones joined."""
    text = (ROOT / name).read_text(encoding="utf-8")
    lines = "".join(BLOCK.findall(text)).replace("\\\n", " ").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of the checkout, with the environment that runs this test."""
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("this is no git checkout")
    copy = tmp_path_factory.mktemp("checkout")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
    for name in listed.decode().split("\0"):
        if name and ((ROOT / name).is_file() or (ROOT / name).is_symlink()):
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, copy / name, follow_symlinks=False)
    environment = copy / ".venv"
    environment.mkdir()
    (environment / "bin").symlink_to(Path(sys.executable).parent)
    for stamp in (".made", ".run", ".dev"):
        (environment / stamp).touch()
    return copy


@pytest.fixture(scope="module")
def background() -> Iterator[list[subprocess.Popen[str]]]:
    """What was started with `&`, until the last command was run."""
    started: list[subprocess.Popen[str]] = []
    yield started
    for process in started:
        os.killpg(process.pid, signal.SIGTERM)
    for process in started:
        process.communicate(timeout=SECONDS)


@pytest.fixture(scope="module")
def address() -> str:
    """An address of this host that nobody else listens on."""
    return f"127.{secrets.randbelow(250) + 1}.{secrets.randbelow(256)}.{secrets.randbelow(250) + 1}"


def reason_not_to_run(command: str) -> str:
    """Why a command is left out here; empty if it is not."""
    return next((why for pattern, why in NOT_HERE.items() if re.search(pattern, command)), "")


def _documents() -> Iterator[object]:
    for name in ("README.md", "docs/tutorial.md"):
        for number, command in enumerate(commands(name)):
            yield pytest.param(command, id=f"{name}-{number}")


@pytest.mark.parametrize("command", list(_documents()))
def test_works_as_printed(command: str, checkout: Path, background: list[subprocess.Popen[str]], address: str) -> None:
    """One after the other in one copy, as a reader would, but for the address that servers listen on."""
    if why := reason_not_to_run(command):
        pytest.skip(f"{command}: {why}")
    line, stays = re.subn(r"\s*&$", "", command.replace("127.0.0.1", address))
    # exec: a shell that stayed would report the signal instead of the command's own status.
    line = f"exec {line}" if "--view" in line or stays else line
    process = subprocess.Popen(
        line, shell=True, cwd=checkout, text=True, start_new_session=True,
        env={**os.environ, "PYTHONPATH": str(checkout / "controller")},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    assert process.stdout is not None
    said = ""
    if stays:
        background.append(process)
        said = process.stdout.readline()
        assert address in said, said
        return
    if "--view" in command:
        for one in process.stdout:
            said += one
            if "live view is at" in one:
                break
        # To the whole group, as a terminal does on Ctrl-C.
        os.killpg(process.pid, signal.SIGINT)
    try:
        said += process.communicate(timeout=SECONDS)[0]
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        raise
    assert process.returncode == 0, said


def test_the_documents_have_commands() -> None:
    """Or the extraction has lost its way."""
    assert {"make demo", "make test"} <= set(commands("README.md"))
    assert len(commands("docs/tutorial.md")) >= 6
