"""Algorithms by their published check values, and the Internet checksum by its definition."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p4pmip.softswitch.hashes import ALGORITHMS, csum16

CHECK = b"123456789"


@pytest.mark.parametrize(
    ("name", "data", "value"),
    [
        ("crc16", CHECK, 0xBB3D),
        ("crc32", CHECK, 0xCBF43926),
        ("crcCCITT", CHECK, 0x29B1),
        ("xor16", b"\x12\x34\x0f\x0f\xff", 0x1234 ^ 0x0F0F ^ 0xFF00),
        ("identity", bytes(range(1, 11)), 0x0102030405060708),
        ("identity", b"\x07", 7),
        ("csum16", bytes.fromhex("45000073000040004011b861c0a80001c0a800c7"), 0),
        ("csum16", bytes.fromhex("450000730000400040110000c0a80001c0a800c7"), 0xB861),
    ],
)
def test_check_value(name: str, data: bytes, value: int) -> None:
    assert ALGORITHMS[name][0](data) == value


@given(st.binary(max_size=40))
def test_csum16_is_the_sum_of_words(data: bytes) -> None:
    padded = data + b"\0" * (len(data) & 1)
    total = sum(padded[at] << 8 | padded[at + 1] for at in range(0, len(padded), 2))
    while total >> 16:
        total = (total >> 16) + (total & 0xFFFF)
    assert csum16(data) == ~total & 0xFFFF
