"""`p4pmip events`: what stands in its lines."""

import time
from collections.abc import Iterator

import pytest

from p4pmip.cli.main import main
from p4pmip.node.client import NodeClient


@pytest.mark.parametrize(
    ("second", "shown"), [(0.0, "59.000"), (0.0004, "59.000"), (0.9994, "59.999"), (0.9996, "00.000"), (0.25, "59.250")]
)
def test_a_time_is_rounded_as_a_whole(
    second: float, shown: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    at = time.mktime((2026, 11, 30, 12, 7, 59, 0, 0, -1)) + second

    def events(_client: NodeClient, _after: int | None) -> Iterator[dict[str, object]]:
        yield {"id": 1, "time": at, "node": "lma", "event": "switch", "state": "ready", "reason": ""}

    monkeypatch.setattr(NodeClient, "events", events)
    assert main(["events", "--node", "lma.sock"]) == 0
    minute = "12:08" if shown == "00.000" else "12:07"
    assert capsys.readouterr().out == f"{minute}:{shown} lma switch: state ready\n"
