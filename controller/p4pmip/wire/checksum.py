"""The Internet checksum (RFC 1071) and the pseudo-headers that go into it."""

from ipaddress import IPv4Address, IPv6Address

IPAddress = IPv4Address | IPv6Address


def internet_checksum(octets: bytes | bytearray) -> int:
    """The one's complement of the one's complement sum of `octets` as 16-bit words, zero-padded to a whole word.

    Over octets that include a right checksum the result is 0.
    """
    # 2^16 is 1 modulo 0xFFFF, so the sum of the words is the whole number modulo 0xFFFF (RFC 1071 §1).
    number = int.from_bytes(octets, "big")
    if len(octets) % 2:
        number <<= 8
    return -number % 0xFFFF if number else 0xFFFF


def pseudo_header(source: IPAddress, destination: IPAddress, length: int, protocol: int) -> bytes:
    """What TCP, UDP, ICMPv6 and the Mobility Header put before themselves (RFC 8200 §8.1, RFC 768)."""
    if source.version == 4:
        return source.packed + destination.packed + bytes((0, protocol)) + length.to_bytes(2, "big")
    return source.packed + destination.packed + length.to_bytes(4, "big") + bytes((0, 0, 0, protocol))
