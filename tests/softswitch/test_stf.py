"""`p4pmip stf`: every feature's file, played in this process, and against targets that run elsewhere."""

import secrets
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from p4pmip.cli.main import main

PROGRAMS = Path(__file__).parent / "programs"
ROUTER = str(PROGRAMS / "router.stf")
FILES = sorted(str(one) for one in PROGRAMS.glob("*.stf"))
BMV2_STOPS = "stacks.stf"
"""It does not execute what p4c writes for the validity and the copy of a stack's element by a run-time index."""
BMV2 = "simple_switch_grpc"
SECONDS = 20.0


@pytest.fixture(params=["softswitch", pytest.param("bmv2", marks=pytest.mark.bmv2)])
def running(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[list[str]]:
    """A target with a packet service; the arguments that name it."""
    command = [sys.executable, "-m", "p4pmip.cli.main", "switch"]
    if request.param == "bmv2":
        if shutil.which(BMV2) is None:
            pytest.skip(f"{BMV2} is not on PATH")
        command = [BMV2]
    control = f"127.{secrets.randbelow(250) + 1}.{secrets.randbelow(256)}.{secrets.randbelow(250) + 1}:9559"
    packets = f"unix:{tmp_path}/{request.param}"
    words = ["--no-p4", "--device-id", "1", "--"]
    words += ["--grpc-server-addr", control, "--dp-grpc-server-addr", packets, "--cpu-port", "510"]
    process = subprocess.Popen([*command, *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    with grpc.insecure_channel(control) as channel:
        grpc.channel_ready_future(channel).result(SECONDS)
    yield ["--target", f"{control}/1", "--packets", packets]
    process.terminate()
    process.wait()


@pytest.mark.parametrize("executor", ["interpreter", "native"])
def test_in_this_process(executor: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Every file there is, in both executors."""
    assert main(["stf", "--executor", executor, *FILES]) == 0
    assert f"{len(FILES)} of {len(FILES)} passed, executor {executor}" in capsys.readouterr().out


def test_against_a_target(running: list[str], capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """The router twice: the second time begins with empty tables. What does not fit is said."""
    files = [one for one in FILES if BMV2_STOPS not in one] if "bmv2" in running[-1] else FILES
    played = [*files, ROUTER]
    assert main(["stf", *running, *played]) == 0
    assert f"{len(played)} of {len(played)} passed, target 127." in capsys.readouterr().out
    for suffix in (".json", ".p4info.txtpb"):
        (tmp_path / f"wrong{suffix}").symlink_to(PROGRAMS / f"router{suffix}")
    wrong = tmp_path / "wrong.stf"
    text = Path(ROUTER).read_text(encoding="utf-8")
    wrong.write_text(text.replace("expect 2 020000000022", "expect 1 020000000022"), encoding="utf-8")
    assert main(["stf", *running, str(wrong)]) == 1
    assert "port 1: 2 packets expected, 1 came" in capsys.readouterr().out


def test_a_program_without_p4info(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """The names are those of the program itself: p4c makes no P4Info of some P4-14 programs."""
    names = ("router", "copies", "states", "matching", "arithmetic")
    for name in names:
        for suffix in (".stf", ".json"):
            (tmp_path / f"{name}{suffix}").symlink_to(PROGRAMS / f"{name}{suffix}")
    assert main(["stf", *(str(tmp_path / f"{name}.stf") for name in names)]) == 0
    assert "5 of 5 passed" in capsys.readouterr().out
    (tmp_path / "router.json").unlink()
    (tmp_path / "router.json").write_text("{", encoding="utf-8")
    assert main(["stf", str(tmp_path / "router.stf")]) == 1
    assert "is no JSON" in capsys.readouterr().out


def test_a_target_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    """Is said in one line of the file's."""
    assert main(["stf", "--target", "127.0.0.1:1/1", "--packets", "127.0.0.1:1", ROUTER]) == 1
    assert "unavailable" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--target", "127.0.0.1:1"], "--packets"),
        (["--packets", "x"], "--packets"),
        (["--target", "a:1", "--packets", "b:1", "--executor", "native"], "--executor"),
    ],
)
def test_what_goes_together(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A target has its packets, and an executor of its own."""
    assert main(["stf", *words, ROUTER]) == 2
    assert said in capsys.readouterr().err


def test_a_file_that_is_not_there_is_said_before_any_is_played(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["stf", ROUTER, "nowhere.stf"]) == 2
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", "p4pmip: FILE: no such file: 'nowhere.stf'\n")
