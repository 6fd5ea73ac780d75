"""Compile the P4 program: `p4src/pmip.p4` to `p4src/build/`, with a manifest that ties sources and artefacts together.

Needs `p4c-bm2-ss` on PATH (https://github.com/p4lang/p4c). The artefacts are checked in, so only whoever changes the
program needs it.
"""

import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
BUILD = HERE / "build"
COMPILER = "p4c-bm2-ss"
PROGRAM, PIPELINE, P4INFO, MANIFEST = "pmip.p4", "pmip.json", "pmip.p4info.txtpb", "manifest.json"


def sources() -> list[Path]:
    """Every file that the program is made of."""
    return [HERE / PROGRAM, *sorted((HERE / "include").glob("*.p4"))]


def digests(paths: list[Path]) -> dict[str, str]:
    """SHA-256 of each file, by its path below `p4src/`."""
    return {path.relative_to(HERE).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def compile_program(compiler: str) -> None:
    """Compile into `build/`; nothing there is touched unless the compiler succeeds."""
    said = subprocess.run(
        [compiler, "--version"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=True
    )
    version = said.stdout.partition("Version ")[2].partition("(")[0].strip()
    with tempfile.TemporaryDirectory() as scratch:
        # Relative source paths, since they go into the artefacts.
        command = [compiler, "--std", "p4-16", "--Werror", "--p4runtime-files", f"{scratch}/{P4INFO}"]
        subprocess.run([*command, "-o", f"{scratch}/{PIPELINE}", PROGRAM], cwd=HERE, check=True)
        pipeline = json.loads(Path(scratch, PIPELINE).read_text())
        pipeline["program"] = PROGRAM
        BUILD.mkdir(exist_ok=True)
        (BUILD / PIPELINE).write_text(json.dumps(pipeline, indent=1) + "\n")
        (BUILD / P4INFO).write_text(Path(scratch, P4INFO).read_text())
    manifest = {
        "compiler": f"{COMPILER} {version}",
        "sources": digests(sources()),
        "artefacts": digests([BUILD / PIPELINE, BUILD / P4INFO]),
    }
    (BUILD / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n")


def main() -> int:
    """Exit status 0, or 1 if the compiler is missing or refuses the program."""
    compiler = shutil.which(COMPILER)
    if compiler is None:
        sys.stderr.write(f"make p4: {COMPILER} is not on PATH; it comes with p4c (https://github.com/p4lang/p4c)\n")
        return 1
    try:
        compile_program(compiler)
    except subprocess.CalledProcessError as error:
        sys.stderr.write(f"make p4: {COMPILER} ended with status {error.returncode}; build/ is as it was\n")
        return 1
    sys.stdout.write(f"make p4: {', '.join(str(path.relative_to(HERE.parent)) for path in sorted(BUILD.iterdir()))}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
