"""The packet tests of this folder on the softswitch: all pass, and they meet everything the program has."""

import asyncio
from pathlib import Path

import pytest
from tests.pipeline.play import fits
from tests.pipeline.run import play
from tests.pipeline.statement import read

from p4pmip.errors import P4pmipError

HERE = Path(__file__).parent


@pytest.mark.requirement(
    "D00-3.1-2",
    "D00-4.2-9",
    "D00-4.2-10",
    "D00-5.2-3",
    "D00-5.2-7",
    "R5845-3.1-2",
    "R5845-4.2-5",
    "R5845-4.2-13",
    "R5845-5.2-3",
    "R5845-5.2-8",
    "R5845-7.1-1",
    "R5845-7.1-2",
    "R5845-7.2-3",
    "R5845-7.2-7",
    "R5213-5.3.2-6",
    "R5213-5.6.1-1",
    "R5213-5.6.2-2",
    "R5213-5.6.2-3",
    "R5213-5.6.3-1",
    "R5213-5.6.3-2",
    "R5213-6.9.1.2-13",
    "R5213-6.9.5-2",
    "R5213-6.10.3-1",
    "R5213-6.10.5-1",
    "R5213-6.10.5-2",
    "R5213-6.10.5-3",
    "R5213-6.10.5-4",
    "R5213-6.10.5-5",
    "R5213-9.2-1",
    "R5844-3.1.2.2-5",
    "R5844-3.1.3-2",
    "R5844-3.1.3-3",
    "R5844-3.1.4-1",
    "R5844-3.1.4-2",
    "R5844-3.2.3.2-7",
    "R5844-3.2.4-1",
    "R5844-3.2.4-2",
    "R5844-3.2.4-3",
    "R5844-4.1.4-1",
    "R5844-4.1.4-2",
    "R5844-4.2.2.2-1",
)
@pytest.mark.parametrize("target", ["softswitch", pytest.param("bmv2", marks=pytest.mark.bmv2)])
def test_every_packet_test_passes_and_the_whole_program_is_met(target: str) -> None:
    summary = asyncio.run(play(target, sorted(HERE.glob("*.stf"))))
    assert summary.failures == []
    assert summary.missed == []
    assert summary.passed > 300
    ecn = {match for table, match in summary.const_rows if table == "ecn_decap"}
    assert len(ecn) == 16


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("frobnicate 1", "bad.stf:1: no such statement: 'frobnicate' (valid: include"),
        ("packet one 00", "bad.stf:1: not a port number: 'one'"),
        ("add session session_id:1 direction:UPLINK", "bad.stf:1: an action is missing"),
        ("let 1 = IP()", "bad.stf:1: not NAME = PACKET"),
        ("\n\nmeter 3 ARP", "bad.stf:3: not LINK REASON RATE BURST"),
        ("add session session_id=1 stop()", "bad.stf:1: not NAME:VALUE"),
    ],
)
def test_a_slip_of_the_pen_is_named_with_its_line(tmp_path: Path, text: str, problem: str) -> None:
    file = tmp_path / "bad.stf"
    file.write_text(text)
    with pytest.raises(P4pmipError) as caught:
        list(read(file))
    assert str(caught.value).startswith(problem)


@pytest.mark.parametrize(
    ("pattern", "octets", "verdict"),
    [
        ("0a0b", "0a0b", True),
        ("0a0b", "0a0b0c", True),
        ("0a0b $", "0a0b0c", False),
        ("0a *b $", "0afb", True),
        ("0a0b", "0a", False),
        ("0A0B$", "0a0b", True),
    ],
)
def test_hexadecimal_patterns(pattern: str, octets: str, verdict: bool) -> None:
    assert fits(pattern, bytes.fromhex(octets)) is verdict
