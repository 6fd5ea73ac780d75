"""README's figures are those that were kept of a run of `make bench`."""

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import pytest

BENCH = Path(__file__).parents[2] / "bench"


@pytest.fixture(scope="module")
def readme() -> ModuleType:
    """The script, which is in no package."""
    spec = importlib.util.spec_from_file_location("bench_readme", BENCH / "readme.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["bench_readme"] = module
    spec.loader.exec_module(module)
    return module


def test_the_table_is_what_was_kept(readme: ModuleType) -> None:
    """Nobody writes a figure by hand."""
    kept = json.loads(readme.KEPT.read_text(encoding="utf-8"))
    text = readme.README.read_text(encoding="utf-8")
    assert readme.replaced(text, kept) == text, "python bench/readme.py writes it"


def test_every_line_of_the_table_has_a_row(readme: ModuleType) -> None:
    """A row that was renamed would be lost silently; what could not be taken is there with its reason."""
    kept = json.loads(readme.KEPT.read_text(encoding="utf-8"))
    modules = {module for module, _ in readme.selected(kept["rows"])}
    assert modules == {module for module, _ in readme.FIGURES}
    assert all(row["value"] is not None or row["skipped"] for _, row in readme.selected(kept["rows"]))


def test_values_misses_and_what_is_missing(readme: ModuleType) -> None:
    """As people read them."""
    row = {"name": "LMA: memory of 5 bindings", "value": 1.5 * 2**30, "unit": "octets", "peer": "p", "peer_value": 2.0}
    missed = {**row, "ratio": 0.123456, "bound": 2.0**30, "ok": False, "skipped": None}
    absent = {**missed, "name": "wire: x", "value": None, "skipped": "no root"}
    text = readme.section({"machine": "m", "day": "d", "note": "n", "rows": [missed, absent]})
    assert "Measured on m, d, in one run of `make bench`, n." in text
    assert "| LMA: memory of 5 bindings | 1.5 GiB | p: 2 | 0.123 | 1 GiB, **missed** | `mobility` |" in text
    assert "| wire: x | not taken: no root |" in text
