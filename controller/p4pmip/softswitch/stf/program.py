"""The program that an STF file tests."""

import json
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from p4pmip.errors import P4pmipError
from p4pmip.softswitch.bmv2 import compile_program
from p4pmip.softswitch.files import read_octets, read_p4info, read_text
from p4pmip.softswitch.stf.names import p4info_of
from p4pmip.softswitch.target.stubs import p4runtime

COMPILER = "p4c-bm2-ss"


def program_of(path: Path) -> "p4runtime.ForwardingPipelineConfig":
    """The compiled program beside an STF file, or its source compiled now.

    Raises:
        P4pmipError: there is neither, or it does not compile.
    """
    compiled = path.with_suffix(".json")
    if compiled.exists():
        return _config(compiled, path.with_suffix(".p4info.txtpb"))
    source = path.with_suffix(".p4")
    if not source.exists() or shutil.which(COMPILER) is None:
        choices = [compiled.name, f"{source.name} and {COMPILER} on PATH"]
        raise P4pmipError("STF", str(path), "has no program beside it", choices)
    with tempfile.TemporaryDirectory() as directory:
        compiled, info = Path(directory) / "program.json", Path(directory) / "program.p4info.txtpb"
        # P4-14 has its architecture built in; P4-16 cannot do without an include.
        language = "p4-16" if re.search(r"^\s*#include", read_text("STF", source), re.MULTILINE) else "p4-14"
        command = [COMPILER, "--std", language, "-o", str(compiled), str(source)]
        done = subprocess.run([*command, "--p4runtime-files", str(info)], capture_output=True, text=True, check=False)
        if done.returncode != 0 and language == "p4-14":
            # Names that P4-14 may use twice are none for P4Info; the program is good all the same.
            info.unlink(missing_ok=True)
            done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0 or not compiled.exists():
            raise P4pmipError("STF", str(source), f"does not compile: {done.stderr.strip()[:500]}")
        return _config(compiled, info)


def _config(compiled: Path, info: Path) -> "p4runtime.ForwardingPipelineConfig":
    config = p4runtime.ForwardingPipelineConfig(p4_device_config=read_octets("STF", compiled))
    if not info.exists():
        try:
            config.p4info.CopyFrom(p4info_of(compile_program(json.loads(config.p4_device_config))))
        except ValueError as error:
            raise P4pmipError("STF", str(compiled), f"is no JSON: {error}") from error
        return config
    config.p4info.CopyFrom(read_p4info("STF", info))
    return config
