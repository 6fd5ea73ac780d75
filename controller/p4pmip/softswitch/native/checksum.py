"""Internet checksums in machine code."""

from collections.abc import Callable

from llvmlite import ir  # type: ignore[import-untyped]

from p4pmip.softswitch.ir import Bits as InputBits
from p4pmip.softswitch.ir import (
    Calculation,
    Checksum,
    Payload,
    Slot,
    WholeHeader,
)
from p4pmip.softswitch.native.bits import I1, I64, Unsupported, resized
from p4pmip.softswitch.native.frame import Frame


class Checksums(Frame):
    """Verifying and updating checksums."""

    def _checksum(self, checksum: Checksum, header: int | None, make: Callable[[Checksum], None]) -> None:
        b = self.b
        good = I1(1) if header is None else b.load(self.slots[header], typ=I1)
        if checksum.condition is not None:
            try:
                good = b.and_(good, self.bits.truth(checksum.condition))
            except Unsupported:
                b.branch(self.slow_block)
                b.position_at_end(self._block("unreachable"))
                return
        yes, done = self._block("checksum"), self._block("checksum_done")
        b.cbranch(good, yes, done)
        b.position_at_end(yes)
        self._attempt(lambda: make(checksum))
        if not b.block.is_terminated:
            b.branch(done)
        b.position_at_end(done)

    def _verify_one(self, checksum: Checksum) -> None:
        b, target = self.b, checksum.target
        value = resized(b, self._csum16(checksum.calculation), target.width)
        bad = b.icmp_unsigned("!=", value, self.bits.low(target, target.width))
        error = self.program.standard["checksum_error"]
        kind = ir.IntType(self.widths[error])
        b.store(b.select(bad, kind(1), b.load(self.slots[error], typ=kind)), self.slots[error])

    def _update_one(self, checksum: Checksum) -> None:
        value = resized(self.b, self._csum16(checksum.calculation), checksum.target.width)
        self.b.store(value, self.slots[checksum.target.index])

    def _csum16(self, calculation: Calculation) -> ir.Value:
        """RFC 1071 over inputs whose places are known: those that may be left out must be whole words."""
        if calculation.algorithm not in ("csum16", "cksum16"):
            raise Unsupported(calculation.algorithm)
        b, at, flagged = self.b, 0, 0
        total = I64(0)
        guard: int | None = None
        for one in _single(calculation):
            if one.header != guard:
                if guard is not None and flagged % 16:
                    raise Unsupported("alignment")
                guard, flagged = one.header, 0
            at += one.width
            flagged += one.width
            shift = -at % 16
            value = resized(b, self.bits.low(one.value, one.width), one.width + shift)
            value = b.shl(value, value.type(shift)) if shift else value
            part = I64(0)
            for low in range(0, value.type.width, 16):
                word = b.lshr(value, value.type(low)) if low else value
                part = b.add(part, b.and_(resized(b, word, 64), I64(0xFFFF)))
            if one.header is not None:
                part = b.select(b.load(self.slots[one.header], typ=I1), part, I64(0))
            total = b.add(total, part)
        if guard is not None and flagged % 16:
            raise Unsupported("alignment")
        for _ in range(3):
            total = b.add(b.and_(total, I64(0xFFFF)), b.lshr(total, I64(16)))
        return resized(b, b.not_(total), 16)


def _single(calculation: Calculation) -> list[InputBits]:
    """The inputs one field at a time."""
    inputs: list[InputBits] = []
    for one in calculation.inputs:
        match one:
            case Payload():
                raise Unsupported("payload")
            case WholeHeader(header):
                if header.length_offset is not None:
                    raise Unsupported("varbit")
                inputs += [
                    InputBits(
                        Slot(header.base + field.offset, field.width, False, field.name), field.width, header.base
                    )
                    for field in header.fields
                ]
            case InputBits():
                inputs.append(one)
    return inputs
