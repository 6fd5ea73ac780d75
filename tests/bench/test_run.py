"""The driver of `make bench`, with modules of its own: what they say, fail at, or do not finish is in the table."""

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest

RUN = Path(__file__).parents[2] / "bench" / "run.py"
ROW = """{"name": "r, 1,000 bindings", "value": 12345.0, "unit": "1/s", "peer": "p", "peer_value": 5.0, "ratio": 2469.0,
          "bound": 10.0, "ok": True, "skipped": None}"""


@pytest.fixture(scope="module")
def driver() -> ModuleType:
    """The module, which is in no package."""
    spec = importlib.util.spec_from_file_location("bench_run", RUN)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def folder(path: Path, **sources: str) -> Path:
    """A folder of modules."""
    place = path / "bench"
    place.mkdir()
    for name, text in sources.items():
        (place / f"{name}.py").write_text(text, encoding="utf-8")
    return place


def test_one_table_one_file_and_the_reasons(
    driver: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A module that fails and one that has no figures leave the others alone."""
    place = folder(
        tmp_path,
        good=f"def measure():\n    return [{ROW}]\n",
        bad="def measure():\n    raise RuntimeError('simple_switch_grpc not found')\n",
        helper="def nothing():\n    return 1\n",
    )
    assert driver.modules(place) == ["bad", "good"]
    assert driver.main(["--folder", str(place), "--seconds", "60"]) == 0
    output = capsys.readouterr().out
    assert "12,345" in output
    assert "2,469" in output
    assert "bad: RuntimeError: simple_switch_grpc not found" in output
    rows = json.loads((place / "results.json").read_text())
    assert [row["name"] for row in rows] == ["bad", "r, 1,000 bindings"]
    assert all(set(row) == set(driver.FIELDS) for row in rows)
    if importlib.util.find_spec("matplotlib") is not None:
        assert (place / "rate-bindings.png").read_bytes().startswith(b"\x89PNG")


def test_a_module_that_takes_too_long_is_ended(driver: ModuleType, tmp_path: Path) -> None:
    """And so is what it started."""
    place = folder(tmp_path, slow="import signal\ndef measure():\n    signal.pause()\n")
    assert driver.measured("slow", 0.5, place) == [driver.skipped("slow", "not within 0 s")]


def test_a_missed_bound_is_the_exit_status(driver: ModuleType, tmp_path: Path) -> None:
    """And stands in the table."""
    missed = ROW.replace('"ok": True', '"ok": False')
    place = folder(tmp_path, poor=f"def measure():\n    return [{missed}]\n")
    assert driver.main(["--folder", str(place)]) == 1


def test_an_unknown_module_is_named(driver: ModuleType, tmp_path: Path) -> None:
    """With those there are."""
    place = folder(tmp_path, good="def measure():\n    return []\n")
    with pytest.raises(SystemExit, match="2"):
        driver.main(["--folder", str(place), "nope"])
