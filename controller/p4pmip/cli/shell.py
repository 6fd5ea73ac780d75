"""`p4pmip shell`: p4runtime-shell on a target, from an environment of its own."""

import argparse
import fcntl
import hashlib
import os
import subprocess
import sys
import venv
from importlib import resources
from pathlib import Path
from typing import NoReturn

from p4pmip.cli import _targets
from p4pmip.errors import P4pmipError
from p4pmip.p4runtime.client import Client
from p4pmip.p4runtime.pipeline import Pipeline
from p4pmip.p4runtime.target import Target


def register(subparsers: "_targets.Subparsers[argparse.ArgumentParser]") -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "shell",
        help="open p4runtime-shell on a target",
        description="Open p4runtime-shell on a target as a backup controller, with the P4Info of what runs there."
        " It lives in an environment of its own, made on first use: its requirements cannot share p4pmip's.",
    )
    _targets.add_target(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Make the environment if there is none, and become the shell; 1 if either cannot be."""
    target = _targets.target_of(args)
    if (status := _targets.finish(_look(target))) != 0:
        return status
    try:
        become(str(environment()), arguments(target))
    except P4pmipError as error:
        print(f"p4pmip: {error}", file=sys.stderr)
    return 1


def become(python: str, words: list[str]) -> NoReturn:
    """Run the shell in this process's place, so that Ctrl-C and the terminal are the shell's alone."""
    sys.stdout.flush()
    os.execv(python, [python, "-m", "p4runtime_sh", *words])


async def _look(target: Target) -> int:
    """Whether there is a pipeline to load, and whether it is ours."""
    async with Client(target) as client:
        running = await _targets.running_pipeline(client)
    ours = Pipeline.packaged()
    for difference in running.foreign(ours, ours.schema.tables):
        print(f"p4pmip: {target.label} runs another program: {difference}", file=sys.stderr)
    return 0


def arguments(target: Target) -> list[str]:
    """What p4runtime-shell is called with: the lowest election id, and no `--config`, which would set the pipeline."""
    given = ["--grpc-addr", target.address, "--device-id", str(target.device_id), "--election-id", "0,1"]
    if target.tls is not None:
        given.append("--ssl")
        files = (("--cacert", target.tls.ca), ("--cert", target.tls.certificate), ("--private-key", target.tls.key))
        given += [word for option, path in files if path is not None for word in (option, str(path))]
    return given


def environment() -> Path:
    """The Python of the shell's environment; P4pmipError if it cannot be made."""
    requirements = (resources.files("p4pmip") / "p4runtime" / "shell-requirements.txt").read_text()
    name = hashlib.sha256(f"{sys.version}{requirements}".encode()).hexdigest()[:12]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = cache / "p4pmip" / f"shell-{name}"
    python = folder / "bin" / "python"
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with folder.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # another shell may be making it right now
            if not (folder / "complete").exists():
                print(f"p4pmip: making an environment for p4runtime-shell in {folder}", file=sys.stderr)
                venv.create(folder, clear=True, with_pip=True)
                _install(python, requirements.split())
                (folder / "complete").touch()
    except (OSError, subprocess.CalledProcessError) as error:
        raise P4pmipError("shell", str(folder), f"environment cannot be made ({error})") from None
    return python


def _install(python: Path, requirements: list[str]) -> None:
    pip = [str(python), "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    if subprocess.run([*pip, *requirements], check=False).returncode != 0:
        raise P4pmipError("shell", " ".join(requirements), "cannot be installed; pip said why above")
