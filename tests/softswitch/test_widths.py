"""Arithmetic of every width, unsigned and signed, against Python's own unbounded numbers (P4-16, 8.6 and 8.7)."""

import random
from collections.abc import Callable, Iterator

import pytest

from p4pmip.softswitch.native.layout import VERDICT_SEND
from p4pmip.softswitch.target.config import load
from p4pmip.softswitch.target.running import Running
from p4pmip.softswitch.target.stubs import p4runtime

Programs = Callable[[str], "p4runtime.ForwardingPipelineConfig"]

UNSIGNED = (1, 7, 13, 32, 33, 64, 65, 128, 200)
SIGNED = (2, 8, 33, 64, 128)
WIDTHS = [*((width, False) for width in UNSIGNED), *((width, True) for width in SIGNED)]
"""In the order of programs/widths.p4."""
SHIFTS = (0, 1, 3, 8, 63, 64, 127, 128, 200, 255)
PAIRS = 40


def numbers(width: int, signed: bool, choose: random.Random) -> Iterator[int]:
    """The ends of the range, their neighbours, and any others."""
    low, high = (-1 << width - 1, (1 << width - 1) - 1) if signed else (0, (1 << width) - 1)
    edges = [one for one in (low, low + 1, -1, 0, 1, high - 1, high) if low <= one <= high]
    while True:
        yield choose.choice(edges) if choose.random() < 0.6 else choose.randint(low, high)


def results(a: int, b: int, shift: int, width: int, signed: bool) -> list[int]:
    """What the program calculates, as the specification says it, before it is cut to the width."""
    low, high = (-1 << width - 1, (1 << width - 1) - 1) if signed else (0, (1 << width) - 1)
    less = a if a < b else b
    return [
        a, b, a + b, a - b, a * b, a & b, a | b, a ^ b, ~a, a << shift, a >> shift,
        min(max(a + b, low), high), min(max(a - b, low), high), -a, less, a if a == b else less,
    ]  # fmt: skip


@pytest.fixture(scope="module", params=["interpreter", "native"])
def running(request: pytest.FixtureRequest, program: Programs) -> Running:
    """The program in one of the executors."""
    made = Running(load(program("widths"), 511))
    if request.param == "native":
        assert made.pipeline.use_native(510) is not None
    return made


@pytest.mark.parametrize(("which", "width", "signed"), [(at, *one) for at, one in enumerate(WIDTHS)])
def test_width(running: Running, which: int, width: int, signed: bool) -> None:
    choose = random.Random(width)
    source = numbers(width, signed, choose)
    for _, a, b in zip(range(PAIRS), source, source, strict=False):
        shift = choose.choice(SHIFTS)
        frames = []
        for fields in ([a, b, *[0] * 14], results(a, b, shift, width, signed)):
            whole = 0
            for value in fields:
                whole = whole << width | value & (1 << width) - 1
            frames.append(bytes([which, shift]) + whole.to_bytes(2 * width, "big"))
        out: list[tuple[int, bytes]] = []
        running.pipeline.process(0, frames[0], 0.0, lambda *one, out=out: out.append(one))
        assert out == [(1, frames[1])], f"a {a}, b {b}, shift {shift}"
    if running.pipeline.native is not None:
        verdict, _, _ = running.pipeline.native.run(0, frames[0], 0.0)
        assert verdict == VERDICT_SEND, "machine code does it by itself"
