"""The checksum and hash algorithms of v1model, over octets (RFC 1071; the CRCs with BMv2's parameters)."""

import zlib
from collections.abc import Callable


def csum16(data: bytes) -> int:
    """The Internet checksum (RFC 1071); an odd last octet counts as the high one."""
    value = int.from_bytes(data, "big") << (8 * (len(data) & 1))
    total = value % 0xFFFF
    return 0 if total == 0 and value else 0xFFFF - total


def xor16(data: bytes) -> int:
    """All 16-bit words, exclusive-or; an odd last octet counts as the high one."""
    result = 0
    for at in range(0, len(data) - 1, 2):
        result ^= data[at] << 8 | data[at + 1]
    return result ^ (data[-1] << 8 if len(data) & 1 else 0)


def identity(data: bytes) -> int:
    """The first 64 bits, or all there are."""
    return int.from_bytes(data[:8], "big")


def _table(polynomial: int, width: int) -> tuple[int, ...]:
    """What each octet does to a CRC whose bits are reflected."""
    reflected = int(f"{polynomial:0{width}b}"[::-1], 2)
    table = []
    for octet in range(256):
        remainder = octet
        for _ in range(8):
            remainder = remainder >> 1 ^ (reflected if remainder & 1 else 0)
        table.append(remainder)
    return tuple(table)


_CRC16 = _table(0x8005, 16)


def crc16(data: bytes) -> int:
    """CRC-16/ARC."""
    remainder = 0
    for octet in data:
        remainder = remainder >> 8 ^ _CRC16[(remainder ^ octet) & 0xFF]
    return remainder


def crc32(data: bytes) -> int:
    """CRC-32 (ISO-HDLC)."""
    return zlib.crc32(data)


def crc_ccitt(data: bytes) -> int:
    """CRC-16/CCITT-FALSE (IBM-3740)."""
    remainder = 0xFFFF
    for octet in data:
        remainder ^= octet << 8
        for _ in range(8):
            remainder = (remainder << 1 ^ (0x1021 if remainder & 0x8000 else 0)) & 0xFFFF
    return remainder


Algorithm = Callable[[bytes], int]

ALGORITHMS: dict[str, tuple[Algorithm, int]] = {
    "csum16": (csum16, 16),
    "cksum16": (csum16, 16),
    "crc16": (crc16, 16),
    "crc16_custom": (crc16, 16),
    "crc32": (crc32, 32),
    "crc32_custom": (crc32, 32),
    "crcCCITT": (crc_ccitt, 16),
    "identity": (identity, 64),
    "xor16": (xor16, 16),
}
"""Each algorithm and the bits of its result."""
