"""A small pipeline and a target that may misbehave."""

import importlib.util
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from p4pmip.p4runtime.pipeline import Pipeline

HERE = Path(__file__).parent


def _module(name: str) -> ModuleType:
    # importmode=importlib keeps test folders off sys.path
    full = f"p4runtime_tests_{name}"
    if full not in sys.modules:
        spec = importlib.util.spec_from_file_location(full, HERE / f"{name}.py")
        assert spec is not None
        assert spec.loader is not None
        sys.modules[full] = module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    return sys.modules[full]


@pytest.fixture(scope="session")
def unruly() -> ModuleType:
    """The module `unruly`."""
    return _module("unruly")


@pytest.fixture(scope="session")
def small() -> Pipeline:
    """The pipeline of small.p4info.txtpb."""
    loaded = Pipeline.load(HERE / "small.p4info.txtpb")
    return Pipeline(loaded.p4info, b"compiled")


@pytest.fixture
async def box(unruly: ModuleType) -> AsyncIterator[Any]:
    """A running unruly target; `box.address` is where."""
    target = unruly.Unruly()
    async with unruly.serving(target) as address:
        target.address = address
        yield target
