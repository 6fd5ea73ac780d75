"""What the oracle tests share: examples in bulk, and tshark's reading of many packets in one run."""

import re
import shutil
import subprocess
from collections.abc import Iterable
from ipaddress import IPv6Address
from pathlib import Path
from typing import TypeVar
from xml.etree import ElementTree

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from p4pmip.wire import capture
from p4pmip.wire.capture import Interface, LinkType

MAG, LMA = IPv6Address("2001:db8::1"), IPv6Address("2001:db8::2")

Example = TypeVar("Example")
_NOT_XML = re.compile("[^\\t\\n\\r\\x20-\\ud7ff\\ue000-\\ufffd\\U00010000-\\U0010ffff]")

needs_tshark = pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")


def examples(strategy: st.SearchStrategy[Example], count: int) -> list[Example]:
    """About `count` examples at once, for an oracle that is dear to start and cheap to run on."""
    found: list[Example] = []

    @settings(max_examples=count, database=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
    @given(strategy)
    def collect(example: Example) -> None:
        found.append(example)

    collect()
    return found


def tshark(packets: Iterable[bytes], path: Path) -> list[ElementTree.Element]:
    """tshark's dissection of IP packets, in their order, as PDML; the file at `path` is written and read."""
    octets = capture.header([Interface("oracle", LinkType.RAW)])
    path.write_bytes(octets + b"".join(capture.packet(0, 0, packet) for packet in packets))
    command = ["tshark", "-n", "-r", str(path), "-T", "pdml"]
    answer = subprocess.run(command, capture_output=True, check=True)
    # Of a string with control characters tshark makes XML that is none.
    pdml = _NOT_XML.sub("?", answer.stdout.decode(errors="replace"))
    return list(ElementTree.fromstring(pdml).iter("packet"))


def field(packet: ElementTree.Element, name: str) -> ElementTree.Element | None:
    """The first field of a name, wherever it stands."""
    return next((found for found in packet.iter("field") if found.get("name") == name), None)


def shown(packet: ElementTree.Element, name: str) -> str | None:
    """What tshark shows of a field; None if it is not there."""
    found = field(packet, name)
    return None if found is None else found.get("show")


def octets_of(packet: ElementTree.Element, name: str) -> str | None:
    """The octets of a field as hexadecimal digits; None if it is not there."""
    found = field(packet, name)
    return None if found is None else found.get("value", "")
