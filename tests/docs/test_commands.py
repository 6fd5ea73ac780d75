"""The commands of the documents for new users, as printed, in a copy of the checkout."""

import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCUMENTS = ("README.md", "docs/tutorial.md", "examples/figure-1/README.md")
"""In the order in which they are read; each begins with nothing running."""
SECONDS = 120
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
NOT_HERE = {
    r"^make test$": "is what runs this test",
    r"^sudo apt-get ": "changes the machine",
    r"^sudo make lab$": "needs root and Mininet: tests/lab/test_lab.py types into it",
    r"^make p4$": "" if shutil.which("p4c-bm2-ss") or shutil.which("p4c") else "p4c is not installed",
}
"""What is not run here, and why; an empty reason is none."""
UNTIL = {r" --view$": "live view is at", r" view ": "live view is at", r" events ": "lma"}
"""Commands that go on until Ctrl-C, and what they have said by then."""
READY = {r" run ": ("lma serves", "mag-1 serves", "mag-2 serves")}
"""What the text tells the reader to wait for after a command that goes on in the background; others need no waiting."""


def commands(name: str) -> list[str]:
    """The lines of the shell blocks of a document, continued ones joined."""
    text = (ROOT / name).read_text(encoding="utf-8")
    shell = (block for language, block in BLOCK.findall(text) if language == "sh")
    lines = "".join(shell).replace("\\\n", " ").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


@dataclass
class Reader:
    """Somebody who does what the documents say, in a checkout."""

    checkout: Path
    background: list[subprocess.Popen[str]] = field(default_factory=list)

    def start(self, line: str) -> subprocess.Popen[str]:
        """A command, in a process group of its own."""
        return subprocess.Popen(
            line, shell=True, cwd=self.checkout, text=True, start_new_session=True,
            env={**os.environ, "PYTHONPATH": str(self.checkout / "controller"), "PYTHONUNBUFFERED": "1"},
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip

    def end(self) -> None:
        """End what goes on in the background, all of it; each must end well."""
        failed = []
        while self.background:
            process = self.background.pop()
            os.killpg(process.pid, signal.SIGTERM)
            try:
                said = process.communicate(timeout=SECONDS)[0]
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                said = process.communicate()[0]
            if process.returncode != 0:
                failed.append(f"{process.args!r} ended with {process.returncode}: {said}")
        assert failed == []


def said_until(process: subprocess.Popen[str], *words: str) -> str:
    """What it says, until all of the words were there, or it ended."""
    assert process.stdout is not None
    said = ""
    for line in process.stdout:
        said += line
        if all(word in said for word in words):
            break
    return said


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of the checkout under git, with the environment that runs this test."""
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("this is no git checkout")
    copy = tmp_path_factory.mktemp("checkout")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
    for name in listed.decode().split("\0"):
        if name and ((ROOT / name).is_file() or (ROOT / name).is_symlink()):
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, copy / name, follow_symlinks=False)
    subprocess.run(["git", "init", "--quiet"], cwd=copy, check=True)
    subprocess.run(["git", "add", "--all"], cwd=copy, check=True)
    environment = copy / ".venv"
    environment.mkdir()
    (environment / "bin").symlink_to(Path(sys.executable).parent)
    for stamp in (".made", ".run", ".dev"):
        (environment / stamp).touch()
    return copy


@pytest.fixture(scope="module")
def loopback(checkout: Path) -> str:
    """The first three octets of addresses that nobody else listens on, in place of those of the documents."""
    network = f"127.{secrets.randbelow(250) + 1}.{secrets.randbelow(256)}"
    file = checkout / "examples/figure-1/figure-1.toml"
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace("127.82.1.", f"{network}.").replace("127.0.0.1", f"{network}.100"), encoding="utf-8")
    return network


@pytest.fixture(scope="module")
def readers(checkout: Path) -> Iterator[dict[str, Reader]]:
    """One for each document."""
    all_of_them = {name: Reader(checkout) for name in DOCUMENTS}
    yield all_of_them
    for reader in all_of_them.values():
        reader.end()


def reason_not_to_run(command: str) -> str:
    """Why a command is left out here; empty if it is not."""
    return next((why for pattern, why in NOT_HERE.items() if re.search(pattern, command)), "")


def _documents() -> Iterator[object]:
    for name in DOCUMENTS:
        for number, command in enumerate(commands(name)):
            yield pytest.param(name, command, id=f"{name}-{number}")


@pytest.mark.parametrize(("name", "command"), list(_documents()))
def test_works_as_printed(name: str, command: str, readers: dict[str, Reader], loopback: str) -> None:
    """One after the other in one copy, as a reader would, without waiting where none is told to."""
    if why := reason_not_to_run(command):
        pytest.skip(f"{command}: {why}")
    reader = readers[name]
    line, stays = re.subn(r"\s*&$", "", command.replace("127.0.0.1", f"{loopback}.100"))
    until = next((words for pattern, words in UNTIL.items() if re.search(pattern, line)), None)
    # exec: a shell that stayed would report the signal instead of the command's own status.
    process = reader.start(f"exec {line}" if until or stays else line)
    if stays:
        reader.background.append(process)
        ready = next((words for pattern, words in READY.items() if re.search(pattern, line)), ())
        said = said_until(process, *ready) if ready else ""
        assert all(word in said for word in ready), said
        return
    said = ""
    if until:
        said = said_until(process, until)
        # To the whole group, as a terminal does on Ctrl-C.
        os.killpg(process.pid, signal.SIGINT)
    try:
        said += process.communicate(timeout=SECONDS)[0]
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        raise
    assert process.returncode in ((0, 130) if until else (0,)), said
    assert until is None or until in said, said


@pytest.mark.parametrize("name", DOCUMENTS)
def test_what_goes_on_in_the_background_ends_well(name: str, readers: dict[str, Reader]) -> None:
    """With status 0, when it is told to; a switch that never started would show here."""
    readers[name].end()


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_command_is_in_a_block_that_is_run(name: str) -> None:
    """A block under another name than `sh` would be skipped silently."""
    text = (ROOT / name).read_text(encoding="utf-8")
    for language, block in BLOCK.findall(text):
        assert language in ("sh", ""), language
        hidden = re.search(r"^\s*(?:\$ |sudo |make |\.venv/|p4pmip )", block, re.MULTILINE)
        assert language == "sh" or hidden is None, block


def test_the_documents_have_commands() -> None:
    """Or the extraction has lost its way; and what is left out is known by name."""
    found = {name: commands(name) for name in DOCUMENTS}
    assert {"make demo", "make test"} <= set(found["README.md"])
    assert min(map(len, found.values())) >= 6
    everything = [command for several in found.values() for command in several]
    left_out = [command for command in everything if reason_not_to_run(command)]
    assert all(any(re.search(pattern, command) for command in everything) for pattern in NOT_HERE)
    assert len(left_out) <= len(NOT_HERE)
