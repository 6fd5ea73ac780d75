"""`p4pmip shell`: p4runtime-shell on a target, from an environment of its own."""

import argparse
import hashlib
import os
import subprocess
import sys
import venv
from importlib import resources
from pathlib import Path

from p4pmip.cli import _targets
from p4pmip.errors import P4pmipError
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
    """Make the environment if there is none, and become the shell; its exit status."""
    target = _targets.target_of(args)
    python = environment()
    return subprocess.run([str(python), "-m", "p4runtime_sh", *arguments(target)], check=False).returncode


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
    if (folder / "complete").exists():
        return python
    print(f"p4pmip: making an environment for p4runtime-shell in {folder}", file=sys.stderr)
    try:
        venv.create(folder, clear=True, with_pip=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise P4pmipError("shell", str(folder), f"environment cannot be made ({error})") from None
    done = subprocess.run([str(python), "-m", "pip", "install", "--quiet", *requirements.split()], check=False)
    if done.returncode != 0:
        raise P4pmipError("shell", " ".join(requirements.split()), "cannot be installed; pip said why above")
    (folder / "complete").touch()
    return python
