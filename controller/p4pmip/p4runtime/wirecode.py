"""P4Runtime's hot messages encoded by hand: the only module that knows protobuf's wire format.

A storm of attaches is bounded by how fast updates can be encoded; building message objects costs several times as
much as joining octets that were prepared once per P4Info. `tests/p4runtime/test_wirecode.py` has the protobuf library
read everything here back. Field numbers are those of p4runtime.proto.

    WriteRequest  device_id=1 election_id=3 updates=4 role=6
    Update        type=1 entity=2 (table_entry=2)
    TableEntry    table_id=1 match=2 action=3 priority=4
    FieldMatch    field_id=1 exact=2 ternary=3 lpm=4 range=6 optional=7
    TableAction   action=1
    Action        action_id=1 params=4 (param_id=2 value=3)
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from p4pmip.forwarding.update import Operation

Octets = Callable[[Any], bytes]
"""Encodes a value into everything from its tag on; what does not fit is one of the errors of `UNFIT`."""
UNFIT = (IndexError, OverflowError, AttributeError, TypeError, ValueError)
"""What encoders raise for a value that is too wide, negative or of another kind."""


def varint(value: int) -> bytes:
    """A base-128 number."""
    if value < 0x80:
        return bytes((value,))
    octets = bytearray()
    while value > 0x7F:
        octets.append(value & 0x7F | 0x80)
        value >>= 7
    octets.append(value)
    return bytes(octets)


def canonical(value: int) -> bytes:
    """The shortest big-endian octets; zero is one octet (P4Runtime v1 §"Bytestrings")."""
    return value.to_bytes((value.bit_length() + 7) >> 3 or 1, "big")


def _delimited(number: int, octets: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(octets)) + octets


def _by_bits(width: int, wrap: Callable[[bytes], bytes]) -> list[tuple[int, bytes]]:
    """By bit length of a value: its canonical length in octets and all octets that stand before it."""
    heads = []
    for bits in range(width + 1):
        length = (bits + 7) >> 3 or 1
        whole = wrap(bytes(length))
        heads.append((length, whole[: len(whole) - length]))
    return heads


def _prefixed(width: int, wrap: Callable[[bytes], bytes]) -> Octets:
    by_bits = _by_bits(width, wrap)

    def encode(value: int) -> bytes:
        length, head = by_bits[value.bit_length()]
        return head + value.to_bytes(length, "big")

    return _Known(encode).__getitem__ if width <= 16 else encode


class _Known(dict[int, bytes]):
    """What was encoded before, for fields so narrow that all of it can be kept."""

    def __init__(self, encode: Octets) -> None:
        super().__init__()
        self._encode = encode

    def __missing__(self, value: int) -> bytes:
        self[value] = octets = self._encode(value)
        return octets


def exact(field_id: int, width: int, *, optional: bool = False) -> Octets:
    """Encoder of an exact or optional FieldMatch inside a TableEntry."""
    kind = 7 if optional else 2
    head = b"\x08" + varint(field_id)
    return _prefixed(width, lambda value: _delimited(2, head + _delimited(kind, _delimited(1, value))))


class _Prefixes(dict[int, tuple[list[tuple[int, bytes]], bytes, int]]):
    """By length of a prefix: what stands before and behind its value, and the bits of it that must be zero."""

    def __init__(self, field_id: int, width: int) -> None:
        super().__init__()
        self._head = b"\x08" + varint(field_id)
        self._width = width

    def __missing__(self, length: int) -> tuple[list[tuple[int, bytes]], bytes, int]:
        if not 0 < length <= self._width:
            raise ValueError
        tail = b"\x10" + varint(length)

        def wrap(value: bytes) -> bytes:
            # the tail is counted, and left out again
            return _delimited(2, self._head + _delimited(4, _delimited(1, value) + tail))[: -len(tail)]

        self[length] = made = (_by_bits(self._width, wrap), tail, (1 << self._width - length) - 1)
        return made


def lpm(field_id: int, width: int) -> Octets:
    """Encoder of an LPM FieldMatch inside a TableEntry: of (value, length)."""
    prefixes = _Prefixes(field_id, width)

    def encode(match: tuple[int, int]) -> bytes:
        value, length = match
        by_bits, tail, host = prefixes[length]
        if value & host:
            raise ValueError
        octets, head = by_bits[value.bit_length()]
        return head + value.to_bytes(octets, "big") + tail

    return encode


def pair(field_id: int, kind: int, first: int, second: int) -> bytes:
    """A ternary (kind 3: value, mask) or range (kind 6: low, high) FieldMatch inside a TableEntry."""
    inner = _delimited(1, canonical(first)) + _delimited(2, canonical(second))
    return _delimited(2, b"\x08" + varint(field_id) + _delimited(kind, inner))


def param(param_id: int, width: int) -> Octets:
    """Encoder of a parameter inside an Action."""
    head = b"\x10" + varint(param_id)
    return _prefixed(width, lambda value: _delimited(4, head + _delimited(3, value)))


def table_head(table_id: int) -> bytes:
    """The start of a TableEntry."""
    return b"\x08" + varint(table_id)


class ActionHeads(dict[int, bytes]):
    """By length of the parameters: the start of a TableEntry's action, up to them."""

    def __init__(self, action_id: int) -> None:
        super().__init__()
        self._head = b"\x08" + varint(action_id)

    def __missing__(self, length: int) -> bytes:
        whole = _delimited(3, _delimited(1, self._head + bytes(length)))
        self[length] = head = whole[: len(whole) - length]
        return head


def priority(value: int) -> bytes:
    """The priority of a TableEntry; nothing for 0, as proto3 has it."""
    return b"\x20" + varint(value) if value else b""


_SHORT = 0x7A
"""Up to here all three lengths of an Update fit one octet each."""
_HEADS = {
    kind: [bytes((0x22, length + 6, 8, kind, 0x12, length + 2, 0x12, length)) for length in range(_SHORT)]
    for kind in Operation
}
_TYPE = {kind: b"\x08" + bytes((kind,)) for kind in Operation}


def update(kind: Operation, table_entry: bytes) -> bytes:
    """An Update inside a WriteRequest."""
    length = len(table_entry)
    if length < _SHORT:
        return _HEADS[kind][length] + table_entry
    return _delimited(4, _TYPE[kind] + _delimited(2, _delimited(2, table_entry)))


def updates(kind: Operation, table_entries: Sequence[bytes]) -> list[bytes]:
    """Updates of one kind."""
    heads = _HEADS[kind]
    return [heads[len(octets)] + octets if len(octets) < _SHORT else update(kind, octets) for octets in table_entries]


def write_request(
    device_id: int, election_id: int, role: str, updates: Iterable[bytes], rollback_on_error: bool = False
) -> bytes:
    """A WriteRequest of `update` octets."""
    high, low = election_id >> 64, election_id & (1 << 64) - 1
    number = (b"\x08" + varint(high) if high else b"") + (b"\x10" + varint(low) if low else b"")
    head = b"\x08" + varint(device_id) if device_id else b""
    head += _delimited(3, number) if election_id else b""
    tail = (b"\x28\x01" if rollback_on_error else b"") + (_delimited(6, role.encode()) if role else b"")
    return b"".join((head, *updates, tail))


def table_entries(read_response: bytes) -> list[bytes]:
    """The octets of every TableEntry in a ReadResponse; ValueError where it is not one."""
    found = []
    position, end = 0, len(read_response)
    while position < end:
        tag, position = _varint(read_response, position)
        if tag & 7 != 2:
            raise ValueError(f"wire type {tag & 7} in a ReadResponse")
        length, position = _varint(read_response, position)
        stop = position + length
        if tag == 0x0A and position < stop and read_response[position] == 0x12:
            inner, start = _varint(read_response, position + 1)
            if start + inner != stop:
                raise ValueError("an Entity with more than one member")
            found.append(read_response[start:stop])
        position = stop
    if position != end:
        raise ValueError("a ReadResponse that ends too early")
    return found


def _varint(octets: bytes, position: int) -> tuple[int, int]:
    first = octets[position]
    if first < 0x80:
        return first, position + 1
    value, shift = first & 0x7F, 7
    while True:
        position += 1
        octet = octets[position]
        value |= (octet & 0x7F) << shift
        if octet < 0x80:
            return value, position + 1
        shift += 7
