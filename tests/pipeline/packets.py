"""The packets of the tests in this folder, written as scapy expressions."""

from typing import Any

from scapy.layers import inet, inet6, l2
from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import IPv6
from scapy.packet import Packet, Padding, Raw


def hop(packet: Any, **changes: int) -> Any:
    """The packet one router later, its outermost IP header changed as given besides; checksum anew."""
    copy = packet.copy()
    if isinstance(copy, IPv6):
        copy.hlim -= 1
    else:
        copy.ttl -= 1
        del copy.chksum
    for name, value in changes.items():
        setattr(copy, name, value)
    return type(packet)(bytes(copy))


def sized(packet: Any, length: int) -> Any:
    """The packet with as much payload as makes it `length` octets."""
    return packet / Raw(bytes(index & 0xFF for index in range(length - len(packet))))


def broken(packet: Any, offset: int, value: int = 0xFF) -> Any:
    """The packet with one octet other than it was."""
    octets = bytearray(bytes(packet))
    octets[offset] ^= value
    return Raw(bytes(octets))


def cut(packet: Any, length: int) -> Any:
    """The first octets of the packet."""
    return Raw(bytes(packet)[:length])


def octets(digits: str) -> Any:
    """Octets as they are."""
    return Raw(bytes.fromhex(digits))


def tlv(payload: Any, next_header: int = 47, extra: int = 0) -> Any:
    """RFC 5845 §7's header before a payload; `extra` makes its length wrong."""
    return Raw(bytes([0, next_header]) + (len(payload) + extra).to_bytes(2, "big")) / payload


def tunnel_udp(outer: IP, payload: Any, chksum: int | None = 0) -> Any:
    """UDP port 5437 on both sides (RFC 5844 §4.1.3); `chksum` None has it computed."""
    return outer / UDP(sport=5437, dport=5437, chksum=chksum) / Raw(bytes(payload))


_WORDS: dict[str, Any] = {
    name: value
    for module in (inet, inet6, l2)
    for name, value in vars(module).items()
    if isinstance(value, type) and issubclass(value, Packet)
} | {
    "Raw": Raw,
    "Padding": Padding,
    "IPv6": IPv6,
    "hop": hop,
    "sized": sized,
    "broken": broken,
    "cut": cut,
    "octets": octets,
    "tlv": tlv,
    "tunnel_udp": tunnel_udp,
    "bytes": bytes,
    "len": len,
    "__builtins__": {},
}


def build(expression: str, names: dict[str, object]) -> object:
    """The value of a scapy expression with the names that `let` gave."""
    return eval(expression, _WORDS, names)
