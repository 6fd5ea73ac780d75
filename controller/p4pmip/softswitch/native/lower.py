"""A whole program as one LLVM function: a packet in, a verdict and the packet that leaves out.

The function's first argument is the packet, the others its length, its port, the time in microseconds, and where the
packet that leaves goes. It returns `kind << 56 | port << 32 | length`. Counters are only noted while it runs, and
counted when its verdict stands: a packet that turns out to be the interpreter's has left no trace.
"""

from llvmlite import ir  # type: ignore[import-untyped]

from p4pmip.softswitch.ir import (
    Checksum,
)
from p4pmip.softswitch.native.bits import I1, I8, I64, Bits, Unsupported, resized, store_bits
from p4pmip.softswitch.native.control import Controls
from p4pmip.softswitch.native.frame import POINTER
from p4pmip.softswitch.native.layout import (
    KIND_SHIFT,
    PORT_SHIFT,
    VERDICT_DROP_EGRESS,
    VERDICT_DROP_INGRESS,
    VERDICT_SEND,
    VERDICT_SLOW,
)
from p4pmip.softswitch.native.parse import groups


class Lowering(Controls):
    """Builds the module."""

    def build(self) -> ir.Module:
        """The module with its function `process`."""
        self._storage()
        self.bits = Bits(self.b, self.slots, self._peek, self._argument)
        parsed, egress = self._block("parsed"), self._block("egress")
        ingress_done, egress_done = self._block("ingress_done"), self._block("egress_done")
        states = {name: self._block(f"state_{at}") for at, name in enumerate(self.program.states)}
        self.parse_end = parsed
        first = self.program.first_state
        self.b.branch(states[first] if first else parsed)
        for name, state in self.program.states.items():
            self.b.position_at_end(states[name])
            self._attempt(lambda state=state: self._state(state, states))  # type: ignore[misc]
        self.b.position_at_end(parsed)
        self._verify_all()
        self._control(self.program.ingress, ingress_done)
        self.b.position_at_end(ingress_done)
        self._after_ingress(egress)
        self.b.position_at_end(egress)
        self._control(self.program.egress, egress_done)
        self.b.position_at_end(egress_done)
        self._after_egress()
        self.b.position_at_end(self.slow_block)
        self.b.ret(I64(VERDICT_SLOW << KIND_SHIFT))
        self.allocas.branch(self.start)
        for block in self.function.blocks:
            # Blocks of something that turned out to be the interpreter's.
            if not block.is_terminated and block is not self.function.entry_basic_block:
                self.b.position_at_end(block)
                self.b.branch(self.slow_block)
        return self.module

    def _verify_all(self) -> None:
        for checksum in self.program.verify:
            self._checksum(checksum, checksum.header, self._verify_one)

    def _update(self, checksum: Checksum) -> None:
        self._checksum(checksum, None, self._update_one)

    def _after_ingress(self, egress: ir.Block) -> None:
        b = self.b
        group = self._get("mcast_grp")
        self._guard(b.icmp_unsigned("==", group, group.type(0)), self.slow_block)
        port = self._get("egress_spec")
        keep, dropped = self._block("keep"), self._block("dropped")
        b.cbranch(b.icmp_unsigned("==", port, port.type(self.drop_port & (1 << port.type.width) - 1)), dropped, keep)
        b.position_at_end(dropped)
        self._commit()
        b.ret(I64(VERDICT_DROP_INGRESS << KIND_SHIFT))
        b.position_at_end(keep)
        if self.cpu_port:
            self._guard(
                b.icmp_unsigned("!=", port, port.type(self.cpu_port & (1 << port.type.width) - 1)), self.slow_block
            )
        self._set("instance_type", I64(0))
        self._set("egress_port", port)
        self._set("egress_spec", I64(self.drop_port + 1))
        self._set("packet_length", self._load(self.size))
        self._set("egress_global_timestamp", self.now)
        b.branch(egress)

    def _after_egress(self) -> None:
        b = self.b
        spec = self._get("egress_spec")
        keep, dropped = self._block("keep"), self._block("dropped")
        b.cbranch(b.icmp_unsigned("==", spec, spec.type(self.drop_port & (1 << spec.type.width) - 1)), dropped, keep)
        b.position_at_end(dropped)
        self._commit()
        b.ret(I64(VERDICT_DROP_EGRESS << KIND_SHIFT))
        b.position_at_end(keep)
        try:
            if self.program.deparser_statements:
                raise Unsupported("deparser")
            for checksum in self.program.update:
                self._update(checksum)
            length = self._deparse()
        except Unsupported:
            if not b.block.is_terminated:
                b.branch(self.slow_block)
            return
        self._commit()
        port = resized(b, self._get("egress_port"), 64)
        verdict = b.or_(I64(VERDICT_SEND << KIND_SHIFT), b.shl(port, I64(PORT_SHIFT)))
        b.ret(b.or_(verdict, length))

    def _deparse(self) -> ir.Value:
        b = self.b
        at = self.allocas.alloca(I64)
        b.store(I64(0), at)
        for header in self.program.deparser:
            if not header.fields or header.length_offset is not None:
                # A header with a varbit field is never valid here: extracting it is the interpreter's.
                continue
            emit, skip = self._block("emit"), self._block("skip")
            b.cbranch(b.load(self.slots[header.base], typ=I1), emit, skip)
            b.position_at_end(emit)
            start = self._load(at)
            pointer = b.gep(self.out, [start], source_etype=I8)
            octet = 0
            for group in groups(header):
                width = sum(header.fields[index].width for index in group)
                value, left = ir.IntType(width)(0), width
                for index in group:
                    field = header.fields[index]
                    left -= field.width
                    kind = ir.IntType(field.width)
                    part = resized(b, b.load(self.slots[header.base + field.offset], typ=kind), width)
                    value = b.or_(value, b.shl(part, part.type(left)) if left else part)
                store_bits(b, b.gep(pointer, [I64(octet)], source_etype=I8), value)
                octet += width // 8
            b.store(b.add(start, I64(octet)), at)
            b.branch(skip)
            b.position_at_end(skip)
        headers, offset = self._load(at), self._load(self.offset)
        rest = b.sub(self.length, offset)
        copy = self.module.declare_intrinsic("llvm.memcpy", [POINTER, POINTER, I64])
        target = b.gep(self.out, [headers], source_etype=I8)
        b.call(copy, [target, b.gep(self.packet, [offset], source_etype=I8), rest, I1(0)])
        return b.add(headers, rest)
