"""`p4pmip demo` as its users run it: a process, its exit status, its JSON, its capture."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

NAMED_CHECKS = {
    "same-address",
    "isolation",
    "handover-uplink-key-kept",
    "handover-downlink-key-new",
    "deregistration-clean",
    "capture-keys-negotiated",
}
VARIANTS = [
    pytest.param(target, keys, marks=[pytest.mark.bmv2] if target == "bmv2" else [], id=f"{target}-{keys}")
    for target in ("softswitch", "bmv2")
    for keys in ("session", "realm")
]


def demo(*arguments: str) -> subprocess.CompletedProcess[str]:
    """The command, run to its end."""
    return subprocess.run(
        [sys.executable, "-m", "p4pmip.cli.main", "demo", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def tshark(capture: Path, display_filter: str, *fields: str) -> list[list[str]]:
    """The values of fields in the packets that match."""
    command = ["tshark", "-n", "-r", str(capture), "-Y", display_filter, "-T", "fields"]
    command += [word for name in fields for word in ("-e", name)]
    answer = subprocess.run(command, capture_output=True, text=True, check=True)
    return [line.split("\t") for line in answer.stdout.splitlines()]


@pytest.mark.parametrize(("target", "keys"), VARIANTS)
def test_figure_1_holds(target: str, keys: str, tmp_path: Path) -> None:
    """Every claim holds, the JSON is as promised, and tshark reads the same keys in options and in GRE headers."""
    capture = tmp_path / "demo.pcapng"
    answer = demo("--json", "--target", target, "--keys", keys, "--capture", str(capture))
    assert answer.returncode == 0, answer.stdout + answer.stderr
    result = json.loads(answer.stdout)
    assert set(result) == {"ok", "checks", "sessions", "handover", "capture"}
    assert result["ok"] is True
    assert {check["name"] for check in result["checks"]} >= NAMED_CHECKS
    assert all(check["ok"] and check["detail"] for check in result["checks"])
    assert result["capture"] == str(capture)
    _sessions_are_those_of_figure_1(result["sessions"], keys)
    _handover_changed_one_key(result["handover"])
    if shutil.which("tshark") is None:
        pytest.skip("all but the capture was checked: tshark is not installed")
    assert tshark(capture, "_ws.malformed", "frame.number") == []
    _tshark_sees_the_keys(capture)


def _sessions_are_those_of_figure_1(sessions: list[dict[str, Any]], keys: str) -> None:
    assert [(one["mn"], one["operator"], one["ipv4"], one["mag"]) for one in sessions] == [
        ("mn-1", "operator-a", "10.1.0.10", "mag-1"),
        ("mn-2", "operator-a", "10.1.0.20", "mag-1"),
        ("mn-3", "operator-b", "10.1.0.10", "mag-1"),
        ("mn-4", "operator-b", "10.1.0.30", "mag-1"),
    ]
    for end in ("uplink_key", "downlink_key"):
        assert all(isinstance(one[end], int) for one in sessions)
        assert len({one[end] for one in sessions}) == (4 if keys == "session" else 2)


def _handover_changed_one_key(handover: dict[str, Any]) -> None:
    assert handover["mn"] == "mn-1"
    assert handover["uplink_key_before"] == handover["uplink_key_after"]
    assert handover["downlink_key_before"] != handover["downlink_key_after"]
    assert 0 <= handover["lost"] < handover["sent"]


def _tshark_sees_the_keys(capture: Path) -> None:
    negotiated = {int(row[0]) for row in tshark(capture, "mip6.gre_key", "mip6.gre_key")}
    used = {int(row[0], 16) for row in tshark(capture, "gre.key", "gre.key")}
    assert used == negotiated
    assert used


def test_a_capture_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    """The place, the value and what is wrong; nothing was started."""
    answer = demo("--capture", str(tmp_path / "no" / "such.pcapng"))
    assert answer.returncode == 2
    assert answer.stdout == ""
    assert answer.stderr.splitlines() == [
        f"p4pmip: --capture: cannot be written: No such file or directory: '{tmp_path}/no/such.pcapng'"
    ]


def test_bmv2_missing_is_one_line_and_status_3(tmp_path: Path) -> None:
    """Without simple_switch_grpc on PATH."""
    answer = subprocess.run(
        [sys.executable, "-m", "p4pmip.cli.main", "demo", "--target", "bmv2"],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": str(tmp_path)},
        timeout=60,
    )
    assert answer.returncode == 3
    assert answer.stderr.splitlines() == ["p4pmip: demo --target bmv2: simple_switch_grpc is not on PATH"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--target", "tofino"], ["--target", "'tofino'", "softswitch", "bmv2"]),
        (["--keys", "flow"], ["--keys", "'flow'", "session", "realm"]),
        (["--loud"], ["--loud"]),
    ],
)
def test_a_wrong_command_line_says_what_is_valid(arguments: list[str], words: list[str]) -> None:
    """One line that names the place, the value and the valid choices; exit status 2, no traceback."""
    answer = demo(*arguments)
    assert answer.returncode == 2
    assert answer.stdout == ""
    assert len(answer.stderr.splitlines()) == 1
    assert all(word in answer.stderr for word in words)


TOLD = b"has 10.1.0.10"
"""In the line that says that a mobile node is attached: switches and nodes run by then."""


@pytest.fixture
def scratch(tmp_path: Path) -> Iterator[Path]:
    """The demo's TMPDIR; a demo must leave nothing in it."""
    folder = tmp_path / "t"
    folder.mkdir()
    yield folder
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("target", ["softswitch", pytest.param("bmv2", marks=pytest.mark.bmv2)])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_everything(target: str, number: signal.Signals, scratch: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "p4pmip.cli.main", "demo", "--target", target],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ, "TMPDIR": str(scratch)},
    )  # fmt: skip
    assert process.stdout is not None
    assert any(TOLD in line for line in process.stdout)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    assert len(children) == (3 if target == "bmv2" else 0)
    process.send_signal(number)
    _, said = process.communicate(timeout=60)
    assert (process.returncode, said) == (128 + number, b"")
    assert not [child for child in children if Path("/proc", child).exists()]


def test_a_reader_that_has_seen_enough(scratch: Path) -> None:
    """As `p4pmip demo | head`."""
    process = subprocess.Popen(
        [sys.executable, "-m", "p4pmip.cli.main", "demo"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ, "TMPDIR": str(scratch)},
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait(60) == 128 + signal.SIGPIPE


def test_a_switch_that_does_not_start_is_a_failed_check(scratch: Path, tmp_path: Path) -> None:
    """Its last words are told, and `--json` is an object all the same."""
    switch = tmp_path / "simple_switch_grpc"
    switch.write_text("#!/bin/sh\n[ $1 = --help ] || { echo no library; exit 127; }\n")
    switch.chmod(0o755)
    done = subprocess.run(
        [sys.executable, "-m", "p4pmip.cli.main", "demo", "--target", "bmv2", "--json"],
        capture_output=True, text=True, check=False, timeout=60,
        env={**os.environ, "TMPDIR": str(scratch), "PATH": f"{tmp_path}:{os.environ['PATH']}"},
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    result = json.loads(done.stdout)
    assert (result["ok"], [check["name"] for check in result["checks"]]) == (False, ["start"])
    assert "ended with status 127 | no library" in result["checks"][0]["detail"]
