"""Compile the P4 programs: `p4src/pmip.p4`, and those of the benchmarks, each into a `build/` beside it.

A manifest ties sources and artefacts together. Needs `p4c-bm2-ss` on PATH (https://github.com/p4lang/p4c). The
artefacts are checked in, so only whoever changes a program needs it.
"""

import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROGRAMS = (ROOT / "p4src" / "pmip.p4", ROOT / "bench" / "programs" / "router.p4")
COMPILER = "p4c-bm2-ss"
# That one of two headers is valid where both are not, the compiler cannot know.
WARNINGS = ("--Werror", "--Wdisable=invalid-header")


def digests(folder: Path, paths: list[Path]) -> dict[str, str]:
    """SHA-256 of each file, by its path below the folder."""
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def compile_program(compiler: str, program: Path) -> None:
    """Compile into `build/`; nothing there is touched unless the compiler succeeds."""
    folder, build = program.parent, program.parent / "build"
    pipeline, p4info = build / f"{program.stem}.json", build / f"{program.stem}.p4info.txtpb"
    said = subprocess.run(
        [compiler, "--version"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=True
    )
    version = said.stdout.partition("Version ")[2].partition("(")[0].strip()
    with tempfile.TemporaryDirectory() as scratch:
        # Relative source paths, since they go into the artefacts.
        outputs = ["--p4runtime-files", f"{scratch}/{p4info.name}", "-o", f"{scratch}/{pipeline.name}"]
        subprocess.run([compiler, "--std", "p4-16", *WARNINGS, *outputs, program.name], cwd=folder, check=True)
        compiled = json.loads(Path(scratch, pipeline.name).read_text())
        compiled["program"] = program.name
        build.mkdir(exist_ok=True)
        pipeline.write_text(json.dumps(compiled, indent=1) + "\n")
        p4info.write_text(Path(scratch, p4info.name).read_text())
    manifest = {
        "compiler": f"{COMPILER} {version}",
        "sources": digests(folder, [program, *sorted((folder / "include").glob("*.p4"))]),
        "artefacts": digests(folder, [pipeline, p4info]),
    }
    (build / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n")


def main() -> int:
    """Exit status 0, or 1 if the compiler is missing or refuses a program."""
    compiler = shutil.which(COMPILER)
    if compiler is None:
        sys.stderr.write(f"make p4: {COMPILER} is not on PATH; it comes with p4c (https://github.com/p4lang/p4c)\n")
        return 1
    for program in PROGRAMS:
        name = program.relative_to(ROOT)
        try:
            compile_program(compiler, program)
        except subprocess.CalledProcessError as error:
            sys.stderr.write(f"make p4: {name}: {COMPILER} ended with status {error.returncode}; nothing was changed\n")
            return 1
        sys.stdout.write(f"make p4: {name} compiled into {name.parent / 'build'}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
