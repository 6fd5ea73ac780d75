"""The Internet checksum (RFC 1071) with and without a pseudo-header."""

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


def transport_checksum(octets: bytes | bytearray, source: IPAddress, destination: IPAddress, protocol: int) -> int:
    """The checksum of `octets` with the pseudo-header that UDP, ICMPv6 and the Mobility Header put before themselves.

    RFC 8200 §8.1 and RFC 768: both addresses, the length and the protocol. The sum is the same for IPv4 and IPv6.
    """
    size = len(octets)
    number = int.from_bytes(octets, "big")
    if size % 2:
        number <<= 8
    return -(number + int(source) + int(destination) + size + protocol) % 0xFFFF
