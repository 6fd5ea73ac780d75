"""What `make test-bmv2` counts."""

from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from types import ModuleType
from typing import Any
from xml.etree import ElementTree

import pytest

REPORT = """<testsuites><testsuite>
<testcase classname="tests.p4runtime.test_targets" name="test_deployment[bmv2]"/>
<testcase classname="tests.p4runtime.test_targets" name="test_full_table[bmv2]"><failure message="no"/></testcase>
<testcase classname="tests.interop.test_ovs" name="test_every[bmv2]"><skipped message="needs root"/></testcase>
<testcase classname="" name="tests.demo.test_demo"><error message="collection failure"/></testcase>
</testsuite></testsuites>"""


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """tests/bmv2 as a module."""
    loader = SourceFileLoader("tests_bmv2", str(Path(__file__).parent / "bmv2"))
    spec = spec_from_loader(loader.name, loader)
    assert spec is not None
    module = module_from_spec(spec)
    monkeypatch.setitem(__import__("sys").modules, loader.name, module)
    loader.exec_module(module)
    return module


def test_results_by_folder(script: ModuleType) -> None:
    runs = script.by_folder(ElementTree.fromstring(REPORT))
    assert [(ran.name, ran.passed, ran.failed, ran.skipped) for ran in runs] == [
        ("Figure 1", 0, 1, ()),
        ("Open vSwitch as the other end", 0, 0, ("tests.interop.test_ovs.test_every[bmv2]: needs root",)),
        ("P4Runtime client", 1, 1, ()),
    ]


@pytest.mark.parametrize(("status", "written"), [(4, ""), (5, "<testsuites/>")])
def test_a_run_without_tests_failed(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch, status: int, written: str
) -> None:
    def run(command: list[str], **_: Any) -> Any:
        (file,) = [word.partition("=")[2] for word in command if word.startswith("--junit-xml=")]
        Path(file).write_text(written)
        return type("Answer", (), {"returncode": status})

    monkeypatch.setattr(script.subprocess, "run", run)
    (ran,) = script.suites()
    assert (ran.passed, ran.failed) == (0, 1)
    assert f"exit status {status}" in ran.name
