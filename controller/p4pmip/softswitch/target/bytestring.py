"""P4Runtime's bytestrings (§8.4): unsigned, big endian, as short as they can be."""

from p4pmip.softswitch.target.refusal import Code, Refusal, invalid


def encode(value: int) -> bytes:
    """The canonical form: zero is one octet."""
    return value.to_bytes(max(1, (value.bit_length() + 7) // 8), "big")


def decode(data: bytes, width: int, place: str) -> int:
    """A value of `width` bits; leading zeros are accepted, what does not fit is not."""
    if not data:
        raise invalid(place, "", "is empty, a value has at least one octet")
    value = int.from_bytes(data, "big")
    if value >> width:
        raise Refusal(Code.OUT_OF_RANGE, place, f"0x{data.hex()}", f"does not fit {width} bits")
    return value
