"""Programs of the lab as a person starts them, and what is left of them afterwards."""

import importlib.util
import os
import subprocess
import sys
import uuid
from pathlib import Path
from types import ModuleType

HERE = Path(__file__).resolve().parents[2] / "mininet"
MARK = "P4PMIP_LAB_TEST"
"""An environment variable that everything a program starts inherits: who has it is left over."""


def machine() -> ModuleType:
    """The lab's own module that knows what it needs."""
    spec = importlib.util.spec_from_file_location("lab_machine", HERE / "machine.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


LACKING = str(machine().lacks("softswitch") or "")
"""Why this machine cannot run the lab; nothing if it can."""


class Started:
    """A program of the lab, in a directory of its own; with a standard input, it has one output, as in a terminal."""

    def __init__(self, folder: Path, script: str, *words: str, path: str = "", stdin: int = subprocess.DEVNULL) -> None:
        self.mark = uuid.uuid4().hex
        self.folder = folder
        environment = {**os.environ, MARK: self.mark, "TMPDIR": str(folder)}
        environment["PATH"] = f"{path}:{environment['PATH']}" if path else environment["PATH"]
        errors = subprocess.STDOUT if stdin == subprocess.PIPE else subprocess.PIPE
        self.process = subprocess.Popen(
            [sys.executable, str(HERE / script), *words], env=environment, start_new_session=True, text=True,
            stdin=stdin, stdout=subprocess.PIPE, stderr=errors,
        )  # fmt: skip

    def end(self, seconds: float = 90.0) -> tuple[int, str, str]:
        """Its status and what it said, when it has ended by itself."""
        output, errors = self.process.communicate(timeout=seconds)
        return self.process.returncode, output, errors

    def left(self) -> list[str]:
        """Processes that it has left behind, and with them their namespaces and interfaces."""
        wanted = f"{MARK}={self.mark}".encode()
        found = []
        for entry in Path("/proc").iterdir():
            try:
                if entry.name.isdecimal() and wanted in (entry / "environ").read_bytes().split(b"\0"):
                    found.append(f"{entry.name}: {(entry / 'cmdline').read_bytes().decode(errors='replace')}")
            except OSError:  # it has just ended
                continue
        return found


def interfaces() -> set[str]:
    """The names of the interfaces outside of namespaces."""
    return {one.name for one in Path("/sys/class/net").iterdir()}
