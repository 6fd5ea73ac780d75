"""The `p4pmip` command itself."""

import re

import pytest

from p4pmip import __version__
from p4pmip.cli.main import build_parser, main


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    """`p4pmip --version`."""
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"p4pmip {__version__}\n"


@pytest.mark.parametrize("arguments", [[], ["fly"]])
def test_without_a_known_command(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """One line with the valid commands, exit status 2."""
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    message = capsys.readouterr().err
    assert len(message.splitlines()) == 1
    assert "demo" in message


def test_every_command_has_help() -> None:
    """Each has a line of help in the list."""
    help_text = build_parser().format_help()
    for command in ("demo", "decode", "deploy", "switch", "tables", "trace"):
        assert re.search(rf"^    {command} +\S", help_text, re.MULTILINE), command
