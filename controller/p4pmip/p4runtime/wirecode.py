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

from collections.abc import Callable, Sequence

from p4pmip.forwarding.update import Operation

Octets = Callable[[int], bytes]
"""Encodes a value into everything from its tag on; OverflowError if it is too wide or negative."""


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


def _prefixes(width: int, wrap: Callable[[bytes], bytes]) -> list[bytes]:
    """By length of a value: all octets that stand before it, for values of up to `width` bits."""
    prefixes = [b""]
    for length in range(1, max((width + 7) >> 3, 1) + 1):
        whole = wrap(bytes(length))
        prefixes.append(whole[: len(whole) - length])
    return prefixes


def _prefixed(width: int, wrap: Callable[[bytes], bytes]) -> Octets:
    prefixes = _prefixes(width, wrap)
    limit = (1 << width) - 1

    def encode(value: int) -> bytes:
        if value > limit:
            raise OverflowError
        length = (value.bit_length() + 7) >> 3 or 1
        return prefixes[length] + value.to_bytes(length, "big")

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


def lpm(field_id: int, value: int, length: int) -> bytes:
    """An LPM FieldMatch inside a TableEntry."""
    octets = canonical(value)
    inner = b"\x0a" + bytes((len(octets),)) + octets + b"\x10" + varint(length)
    match = b"\x08" + varint(field_id) + b"\x22" + bytes((len(inner),)) + inner
    return b"\x12" + bytes((len(match),)) + match


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


def action_head(action_id: int) -> bytes:
    """The start of an Action."""
    return b"\x08" + varint(action_id)


def table_action(action: bytes) -> bytes:
    """An Action as the action of a TableEntry."""
    length = len(action)
    if length < 0x7E:
        return b"\x1a" + bytes((length + 2, 0x0A, length)) + action
    return _delimited(3, _delimited(1, action))


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


def write_request(device_id: int, election_id: int, role: str, updates: Sequence[bytes]) -> bytes:
    """A WriteRequest of `update` octets."""
    high, low = election_id >> 64, election_id & (1 << 64) - 1
    number = (b"\x08" + varint(high) if high else b"") + (b"\x10" + varint(low) if low else b"")
    head = b"\x08" + varint(device_id) if device_id else b""
    head += _delimited(3, number) if election_id else b""
    tail = _delimited(6, role.encode()) if role else b""
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
