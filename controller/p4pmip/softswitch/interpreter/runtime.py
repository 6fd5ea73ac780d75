"""What generated code calls: everything that is not one Python expression."""

import random
from collections.abc import Sequence

from p4pmip.softswitch.ir import UNBOUNDED_SHIFT
from p4pmip.softswitch.packet import Packet


class ParserError(Exception):
    """The parser stops; `args[0]` is the name of P4's error, or its number."""


def at(f: list[int], base: int, stride: int, count: int, index: int) -> int:
    """A slot by an index known at run time."""
    return f[base + stride * index] if 0 <= index < count else 0


def put(f: list[int], base: int, stride: int, count: int, index: int, value: int) -> None:
    """Write a slot by an index known at run time."""
    if 0 <= index < count:
        f[base + stride * index] = value


def peek(p: Packet, offset: int, width: int) -> int:
    """Bits after the parser's place."""
    end = 8 * p.offset + offset + width
    last = -(-end // 8)
    if last > len(p.data):
        raise ParserError("PacketTooShort")
    whole = int.from_bytes(p.data[p.offset + offset // 8 : last], "big")
    return whole >> (8 * last - end) & ((1 << width) - 1)


def advance(p: Packet, bits: int) -> None:
    """Skip bits; they must be whole octets, and there."""
    if bits & 7:
        raise ParserError("ParserInvalidArgument")
    if p.offset + bits // 8 > len(p.data):
        raise ParserError("PacketTooShort")
    p.offset += bits // 8


def shift_left(value: int, by: int) -> int:
    """`value << by`, 0 where nothing of it could be kept."""
    return value << by if by < UNBOUNDED_SHIFT else 0


def shift_right(value: int, by: int) -> int:
    """`value >> by`."""
    return value >> min(by, UNBOUNDED_SHIFT)


def divide(a: int, b: int) -> int:
    """Towards zero; 0 by zero, as P4 leaves it undefined."""
    if b == 0:
        return 0
    quotient = abs(a) // abs(b)
    return quotient if (a < 0) == (b < 0) else -quotient


def modulo(a: int, b: int) -> int:
    """What `divide` leaves over; 0 by zero."""
    return a - b * divide(a, b) if b else 0


def saturate(value: int, low: int, high: int) -> int:
    """The nearest value within the bounds."""
    return low if value < low else high if value > high else value


def random_between(low: int, high: int, instead: int) -> int:
    """Both bounds included; `instead` where the bounds are the wrong way round."""
    return random.randint(low, high) if low <= high else instead


def set_valid(p: Packet, f: list[int], base: int, slots: int, octets: int, siblings: Sequence[int]) -> None:
    """Make a header valid: its fields become 0 if it was not."""
    if not f[base]:
        f[base : base + slots] = [1, *[0] * (slots - 1)]
        p.length += octets
    for other in siblings:
        f[other] = 0


def set_invalid(p: Packet, f: list[int], base: int, octets: int, length: int | None) -> None:
    """Make a header invalid."""
    if f[base]:
        f[base] = 0
        p.length -= octets if length is None else octets + f[length] // 8


def copy_header(f: list[int], target: int, source: int, slots: int, siblings: Sequence[int]) -> None:
    """Validity and, from a valid header, all fields."""
    if source >= 0 and f[source]:
        f[target : target + slots] = f[source : source + slots]
        for other in siblings:
            f[other] = 0
    else:
        f[target] = 0


def copy_stack(f: list[int], target: int, source: int, slots: int, next_: tuple[int, int]) -> None:
    """All elements, header by header where validity differs, and the next index."""
    f[target : target + slots] = f[source : source + slots]
    f[next_[0]] = f[next_[1]]


def push(f: list[int], base: int, stride: int, size: int, next_: int, count: int) -> None:
    """Move elements to higher indices; `count` invalid ones come first."""
    end = base + stride * size
    count = min(count, size)
    kept = f[base : end - stride * count]
    f[base:end] = [0] * (stride * count) + kept
    f[next_] = min(size, f[next_] + count)


def pop(f: list[int], base: int, stride: int, size: int, next_: int, count: int) -> None:
    """The first `count` elements leave."""
    end = base + stride * size
    count = min(count, size)
    kept = f[base + stride * count : end]
    f[base:end] = kept + [0] * (stride * count)
    f[next_] = max(0, f[next_] - count)


def log(p: Packet, text: str, values: Sequence[int]) -> None:
    """A program's own message, for a packet that is traced: braces are filled one by one."""
    for value in values:
        text = text.replace("{}", str(value), 1)
    if p.trace is not None:
        p.trace.message(text)


def in_set(members: set[int], key: int, mask: int | None) -> bool:
    """Whether a parser value set has the key."""
    return key in members if mask is None else any(key & mask == one & mask for one in members)
