"""Capture files, both ways: tshark reads what p4pmip writes, and p4pmip reads what Wireshark's editcap writes."""

import shutil
import subprocess
from pathlib import Path

import pytest
from tests.interop.oracle import needs_tshark

from p4pmip.wire import capture
from p4pmip.wire.capture import Interface, LinkType

CAPTURES = Path(__file__).parents[1] / "data" / "captures"


@needs_tshark
def test_tshark_reads_names_times_and_comments(tmp_path: Path) -> None:
    path = tmp_path / "named.pcapng"
    path.write_bytes(
        capture.header([Interface("lma-core"), Interface("mag1-access", LinkType.IPV6)])
        + capture.packet(1, 1_767_225_600_123_456_789, bytes.fromhex("60") + bytes(39), "PBU of alice, größer")
        + capture.packet(0, 0, bytes(15))
    )
    names = ("frame.interface_name", "frame.time_epoch", "frame.len", "frame.comment")
    command = ["tshark", "-n", "-r", str(path), "-T", "fields", *(word for name in names for word in ("-e", name))]
    answer = subprocess.run(command, capture_output=True, text=True, check=True)
    assert [line.split("\t") for line in answer.stdout.splitlines()] == [
        ["mag1-access", "1767225600.123456789", "40", "PBU of alice, größer"],
        ["lma-core", "0.000000000", "15", ""],
    ]


@pytest.mark.skipif(shutil.which("editcap") is None, reason="editcap (of tshark) is not installed")
@pytest.mark.parametrize("format_", ["pcapng", "pcap", "nsecpcap"])
@pytest.mark.parametrize("name", ["ipv6_mobility_1", "various_gre"])
def test_what_editcap_wrote_reads_the_same(tmp_path: Path, name: str, format_: str) -> None:
    original = CAPTURES / f"{name}.pcap"
    path = tmp_path / "converted"
    subprocess.run(["editcap", "-F", format_, str(original), str(path)], check=True)
    ours = capture.read(original.read_bytes())
    assert ours.frames
    assert capture.read(path.read_bytes()) == ours
