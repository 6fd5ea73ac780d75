"""Sources and compiled artefacts belong together, and the names that Python uses are those of the P4."""

import hashlib
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from p4pmip.forwarding import program as numbers
from p4pmip.p4runtime.pipeline import Pipeline

P4 = Path(__file__).parents[2] / "p4src"
BUILD = P4 / "build"


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


PROGRAMS = [P4 / "pmip.p4", P4.parent / "bench" / "programs" / "router.p4"]


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda path: path.stem)
def test_the_artefacts_are_those_of_the_sources(program: Path) -> None:
    folder, build = program.parent, program.parent / "build"
    manifest = json.loads((build / "manifest.json").read_text())
    sources = [program, *sorted((folder / "include").glob("*.p4"))]
    assert manifest["sources"] == {path.relative_to(folder).as_posix(): _digest(path) for path in sources}, "make p4"
    artefacts = [build / f"{program.stem}.json", build / f"{program.stem}.p4info.txtpb"]
    assert manifest["artefacts"] == {path.relative_to(folder).as_posix(): _digest(path) for path in artefacts}
    assert re.fullmatch(r"p4c-bm2-ss \d+(\.\d+)+", manifest["compiler"])


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda path: path.stem)
def test_the_artefacts_name_no_place_outside_the_sources(program: Path) -> None:
    text = (program.parent / "build" / f"{program.stem}.json").read_text()
    files = set(re.findall(r'"filename": "([^"]*)"', text))
    assert files
    assert all((program.parent / file).is_file() and not Path(file).is_absolute() for file in files)


def test_the_packaged_pipeline_is_this_one() -> None:
    packaged = Pipeline.packaged()
    assert packaged.schema.name == "p4pmip"
    assert packaged.config == (BUILD / "pmip.json").read_bytes()


@pytest.mark.parametrize("name", ["Direction", "Encapsulation", "DscpMode", "Reason"])
def test_enumerations_have_the_numbers_of_the_program(name: str) -> None:
    known = Pipeline.packaged().schema.enumerations[name].names
    for member in getattr(numbers, name):
        assert known[member.value] == member.name


def test_every_reason_below_the_limit_is_a_punt() -> None:
    reasons = Pipeline.packaged().schema.enumerations["Reason"].names
    assert {value: name for value, name in reasons.items() if 0 < value < 16} == {
        member.value: member.name for member in numbers.PuntReason
    }


def test_key_names_differ_in_their_last_component_and_ids_are_explicit() -> None:
    info = Pipeline.packaged().p4info
    for table in info.tables:
        last = [field.name.rpartition(".")[2] for field in table.match_fields]
        assert len(set(last)) == len(last)
        assert table.preamble.id < 0x02000100, f"{table.preamble.name} needs an @id"
    for action in info.actions:
        assert action.preamble.alias == "NoAction" or action.preamble.id < 0x01000100, action.preamble.name


def test_no_table_that_grows_with_sessions_is_ternary() -> None:
    schema = Pipeline.packaged().schema
    assert [table.name for table in schema.tables.values() if table.prioritised] == ["trap"]


def test_compiling_without_a_compiler_says_what_is_missing(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, P4 / "compile.py"], env={"PATH": str(tmp_path)}, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 1
    assert "p4c-bm2-ss is not on PATH" in ended.stderr
    assert len(ended.stderr.splitlines()) == 1
