"""Files of shared secrets: what is no file is refused, and nobody waits for it."""

import os
from pathlib import Path

import pytest
from tests.node.world import document, write

from p4pmip.cli.main import main
from p4pmip.errors import P4pmipError
from p4pmip.node.secret import read_secret


@pytest.mark.parametrize("command", ["check", "run"])
def test_a_pipe_keeps_nobody_waiting(tmp_path: Path, command: str, capsys: pytest.CaptureFixture[str]) -> None:
    content = document(tmp_path)
    os.mkfifo(tmp_path / "pipe", 0o600)
    address = content["nodes"]["mag-1"]["signalling"]["address"]
    content["nodes"]["lma"]["peers"] = {"mag-1": {"address": address, "spi": 256, "secret_file": "pipe"}}
    assert main([command, str(write(tmp_path / "figure-1.toml", content))]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert f"peers.mag-1.secret_file: it is no regular file: '{tmp_path / 'pipe'}'" in line


def test_a_directory_and_what_is_not_there_are_refused(tmp_path: Path) -> None:
    with pytest.raises(P4pmipError, match="cannot be read: Is a directory"):
        read_secret("here", tmp_path)
    with pytest.raises(P4pmipError, match="cannot be read: No such file"):
        read_secret("here", tmp_path / "none")


def test_a_link_to_a_file_is_followed(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"secret\n")
    (tmp_path / "file").chmod(0o600)
    (tmp_path / "link").symlink_to("file")
    assert read_secret("here", tmp_path / "link") == b"secret"
