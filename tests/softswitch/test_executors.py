"""A short run of `make differential`: every program, unoptimised and optimised, and that a difference is told."""

import pytest
from tests.softswitch import executors

from p4pmip.softswitch.pipeline import Pipeline


@pytest.mark.parametrize("name", executors.SOURCES)
@pytest.mark.parametrize("seed", [0, 1])
def test_both_do_the_same_beside_guard_pages(name: str, seed: int) -> None:
    result = executors.share(name, seed, 400)
    assert result.problem == ""
    assert result.packets == 400


def test_a_difference_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Machine code for another drop port sends what the interpreter drops."""
    original = Pipeline.use_native

    def with_wrong_port(self: Pipeline, cpu_port: int) -> object:
        self.drop_port, kept = self.drop_port - 1, self.drop_port
        try:
            return original(self, cpu_port)
        finally:
            self.drop_port = kept

    monkeypatch.setattr(Pipeline, "use_native", with_wrong_port)
    assert executors.share("router", 0, 400).problem
