"""Lists in the documents are those of the code: tables, scenarios, commands, requests, quirks, libraries."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from p4pmip.cli.main import build_parser
from p4pmip.p4runtime.pipeline import Pipeline
from p4pmip.p4runtime.quirks import PROFILES

ROOT = Path(__file__).parents[2]


def read(name: str) -> str:
    """A document."""
    return (ROOT / name).read_text(encoding="utf-8")


def column(text: str, head: str) -> list[str]:
    """The first cells of the table that begins with this line."""
    lines = text[text.index(head) :].splitlines()[2:]
    cells = []
    for line in lines:
        if not line.startswith("|"):
            break
        cells.append(line.split("|")[1].strip())
    return cells


def test_tables_of_the_pipeline() -> None:
    """Each is in docs/pipeline.md, once; `_v4` stands beside the name with `_v6`."""
    found: list[str] = []
    for cell in column(read("docs/pipeline.md"), "| table | key |"):
        first, *others = re.findall(r"`(\w+)`", cell)
        found += [first, *(one if not one.startswith("_") else re.sub(r"_v6$", "", first) + one for one in others)]
    assert sorted(found) == sorted(Pipeline.packaged().schema.tables)


def test_scenarios_of_the_lab() -> None:
    """Each is in docs/lab.md, and README has their number."""
    command = [sys.executable, str(ROOT / "mininet/scenario.py"), "no-such-scenario"]
    said = subprocess.run(command, capture_output=True, text=True, check=False).stderr
    if "needs Mininet" in said:
        pytest.skip(said.partition(";")[0])
    names = said.partition("(valid: ")[2].partition("; or all)")[0].split(", ")
    found = [name for cell in column(read("docs/lab.md"), "| name | what happens |") for name in cell.split(", ")]
    assert sorted(found) == sorted(names)
    assert len(names) == 18
    assert "one of eighteen scenarios" in read("README.md")


def test_every_command_is_in_the_documents() -> None:
    """By its name behind `p4pmip`, or beside another command's."""
    everything = "\n".join(path.read_text(encoding="utf-8") for path in (*ROOT.glob("docs/*.md"), ROOT / "README.md"))
    help_text = build_parser().format_help()
    commands = re.findall(r"^    ([a-z0-9]+) ", help_text, re.MULTILINE)
    assert len(commands) > 20
    missing = [name for name in commands if not re.search(rf"p4pmip {name}\b|`{name}`", everything)]
    assert missing == []


def test_requests_of_the_admin_api() -> None:
    """Each is in docs/operations.md; `/sessions` is the views' own."""
    routes = set(re.findall(r'web\.(?:get|post)\("(/\w+)"', read("controller/p4pmip/node/admin.py")))
    table = read("docs/operations.md").partition("| request | answer |")[2].partition("\n\n")[0]
    assert routes - {"/sessions"} == set(re.findall(r"(/[a-z]+)(?=[`\[,])", table))


def test_quirks_of_targets() -> None:
    """The values in docs/p4runtime.md are those of the profiles."""
    text = read("docs/p4runtime.md")
    head = next(line for line in text.splitlines() if line.startswith("| quirk |"))
    kinds = [cell.strip() for cell in head.split("|")[2:-2]]
    said = {True: "yes", False: "no"}
    compared = 0
    for line in text[text.index(head) :].splitlines()[2:]:
        if not line.startswith("|"):
            break
        name, *cells = (cell.strip().strip("`") for cell in line.split("|")[1:-2])
        for kind, cell in zip(kinds, cells, strict=True):
            value = getattr(PROFILES[kind], name)
            expected = (
                said[value]
                if isinstance(value, bool)
                else "pattern"
                if name == "election_id_taken"
                else value or "\N{EN DASH}"
            )
            assert cell == expected, f"{name} of {kind}"
            compared += 1
    assert compared >= 20


def test_libraries() -> None:
    """Each that pyproject.toml asks for has its line in docs/dependencies.md, and no other has."""
    project = tomllib.loads(read("pyproject.toml"))
    wanted = [*project["project"]["dependencies"]]
    for group in project["dependency-groups"].values():
        wanted += [one for one in group if isinstance(one, str)]
    names = {re.split(r"[\s<>=!~;\[]", one)[0].lower() for one in wanted}
    text = read("docs/dependencies.md")
    cells = re.findall(r"^\| ([a-z][^|]*) \|", text, re.MULTILINE)
    found = {name for cell in cells if cell != "library" for name in re.sub(r"\(.*?\)", "", cell).strip().split(", ")}
    assert {name for name in names if not name.startswith("types-")} == found
