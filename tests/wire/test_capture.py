"""Capture files: what is written reads back, both formats and byte orders, the public captures, and no octets raise."""

import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p4pmip.wire import capture
from p4pmip.wire.capture import Interface, LinkType
from p4pmip.wire.fault import Fault, Reason
from p4pmip.wire.packet import Packet, Transport, decode_frame

CAPTURES = Path(__file__).parents[1] / "data" / "captures"

words = st.text(st.characters(codec="utf-8"), max_size=12)
packets = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 2**64 - 1), st.binary(max_size=70), words), max_size=5)


@given(words, words, packets)
def test_what_is_written_reads_back(first: str, second: str, sent: list[tuple[int, int, bytes, str]]) -> None:
    interfaces = [Interface(first), Interface(second, LinkType.IPV6)]
    octets = capture.header(interfaces) + b"".join(capture.packet(*packet) for packet in sent)
    found = capture.read(octets)
    assert not found.faults
    assert [frame.number for frame in found.frames] == list(range(1, len(sent) + 1))
    for frame, (index, time, data, comment) in zip(found.frames, sent, strict=True):
        assert (frame.octets, frame.original_length, frame.time) == (data, len(data), time)
        assert (frame.interface, frame.link_type) == (interfaces[index].name, interfaces[index].link_type)
        assert frame.comment == comment


@pytest.mark.parametrize(
    ("magic", "order", "unit"),
    [(0xA1B2C3D4, "<", 1000), (0xA1B2C3D4, ">", 1000), (0xA1B23C4D, "<", 1), (0xA1B23C4D, ">", 1)],
)
def test_pcap_of_each_byte_order_and_resolution(magic: int, order: str, unit: int) -> None:
    octets = struct.pack(order + "IHHiIII", magic, 2, 4, 0, 0, 65535, 1)
    octets += struct.pack(order + "IIII", 5, 7, 3, 9) + b"abc"
    found = capture.read(octets)
    assert not found.faults
    (frame,) = found.frames
    assert (frame.time, frame.octets, frame.original_length) == (5_000_000_000 + 7 * unit, b"abc", 9)
    cut = capture.read(octets[:-1])
    assert cut.frames == ()
    assert cut.faults == (Fault(32, Reason.TRUNCATED),)


@pytest.mark.parametrize("resolution", [b"\x03", b"\x89"])
def test_pcapng_of_other_resolutions_and_byte_order(resolution: bytes) -> None:
    def block(kind: int, body: bytes) -> bytes:
        size = struct.pack(">I", len(body) + 12)
        return struct.pack(">I", kind) + size + body + size

    octets = block(0x0A0D0D0A, struct.pack(">IHHq", 0x1A2B3C4D, 1, 0, -1))
    octets += block(1, struct.pack(">HHI", 1, 0, 2) + struct.pack(">HH", 9, 1) + resolution + bytes(3) + bytes(4))
    octets += block(99, b"more")
    octets += block(6, struct.pack(">IIIII", 0, 0, 3 * (1000 if resolution == b"\x03" else 512), 1, 1) + b"x\0\0\0")
    octets += block(3, struct.pack(">I", 5) + b"ab\0\0")
    first, second = capture.read(octets).frames
    assert first.time == 3_000_000_000
    assert (second.octets, second.original_length) == (b"ab", 5)


@pytest.mark.parametrize("octets", [b"", b"abcd", b"GIF89a" * 10])
def test_another_file_is_said_to_be_one(octets: bytes) -> None:
    assert capture.read(octets).faults == (Fault(0, Reason.UNKNOWN_FORMAT),)


@given(st.sampled_from(["a1b2c3d4", "4d3cb2a1", "0a0d0d0a", ""]), st.binary(max_size=200))
def test_no_octets_raise_in_a_file(magic: str, octets: bytes) -> None:
    capture.read(bytes.fromhex(magic) + octets)


@given(packets, st.data())
def test_no_mutation_raises_in_a_file(sent: list[tuple[int, int, bytes, str]], data: st.DataObject) -> None:
    octets = bytearray(capture.header([Interface("a"), Interface("b")]))
    octets += b"".join(capture.packet(*packet) for packet in sent)
    for _ in range(3):
        octets[data.draw(st.integers(0, len(octets) - 1))] = data.draw(st.integers(0, 255))
    capture.read(bytes(octets[: data.draw(st.integers(0, len(octets)))]))


# --- the public captures ---------------------------------------------------------------------------------------------


def decoded(name: str) -> list[Packet]:
    found = capture.read((CAPTURES / name).read_bytes())
    assert found.frames
    assert not found.faults
    return [decode_frame(frame) for frame in found.frames]


@pytest.mark.parametrize("path", sorted(CAPTURES.glob("*.pcap")), ids=lambda path: path.stem)
def test_every_capture_is_read_without_an_exception(path: Path) -> None:
    assert decoded(path.name)


@pytest.mark.parametrize(
    "name",
    [
        "gre-heapoverflow-1",
        "gre-heapoverflow-2",
        "icmp6_mobileprefix_asan",
        "ipv6-mobility-header-oobr",
        "mobility_opt_asan",
        "mobility_opt_asan_2",
        "mobility_opt_asan_3",
        "mobility_opt_asan_4",
        "mobility_opt_asan_5",
        "mobility_opt_asan_6",
        "mobility_opt_asan_7",
        "mobility_opt_asan_8",
    ],
)
def test_a_bad_capture_has_a_reason(name: str) -> None:
    assert any(packet.faults for packet in decoded(f"{name}.pcap"))


def test_the_good_mobility_capture_has_nothing_wrong_but_its_checksums() -> None:
    packets = decoded("ipv6_mobility_1.pcap")
    assert [packet.transport for packet in packets] == [Transport.MH] * 16
    assert all(packet.signalling is not None and packet.signalling.message is not None for packet in packets)
    # Whoever made it left every checksum field 0, which over IPv6 is wrong.
    assert {fault.reason for packet in packets for fault in packet.faults} == {Reason.BAD_CHECKSUM}


def test_the_gre_capture_has_gre_with_and_without_trouble() -> None:
    headers = [packet.gre for packet in decoded("various_gre.pcap") if packet.gre is not None]
    assert len(headers) == 30
    assert {header.key for header in headers} == {40}
