"""What every part of a lowered program shares: its storage, its counters, its way to the interpreter."""

from collections.abc import Callable

from llvmlite import ir  # type: ignore[import-untyped]

from p4pmip.softswitch.ir import (
    Action,
    Program,
)
from p4pmip.softswitch.native.bits import I1, I8, I64, Bits, Unsupported, resized
from p4pmip.softswitch.native.layout import (
    TableLayout,
    table_layout,
)
from p4pmip.softswitch.native.lookup import define_lookup

POINTER = ir.PointerType(I8)

FUEL = 512
"""Parser states that a packet may visit natively."""


class Frame:
    """The module, its one function, and the slots of a packet."""

    def __init__(self, program: Program, drop_port: int, cpu_port: int) -> None:
        self.program = program
        self.drop_port = drop_port
        self.cpu_port = cpu_port
        self.module = ir.Module("p4pmip")
        self.tables = list(program.tables)
        self.layouts: dict[str, TableLayout] = {
            name: table_layout(program, table) for name, table in program.tables.items()
        }
        self.views = {name: self._global(f"view_{at}") for at, name in enumerate(self.tables)}
        self.defaults = {name: self._global(f"default_{at}") for at, name in enumerate(self.tables)}
        self.counters = {name: self._global(f"counter_{at}") for at, name in enumerate(program.counters)}
        self.lookups = {
            name: define_lookup(self.module, f"lookup_{at}", self.layouts[name], self.views[name], program.tables[name])
            for at, name in enumerate(self.tables)
            if program.tables[name].key
        }
        kind = ir.FunctionType(I64, [POINTER, I64, I64, I64, POINTER])
        self.function = ir.Function(self.module, kind, "process")
        self.packet, self.length, self.port, self.now, self.out = self.function.args
        entry, start = self.function.append_basic_block("entry"), self.function.append_basic_block("start")
        self.allocas = ir.IRBuilder(entry)
        self.start = start
        self.b = ir.IRBuilder(start)
        self.entry: ir.Value | None = None
        self.action: Action | None = None
        self.slow_block = self.function.append_basic_block("slow")
        self.bits: Bits
        self.parse_end: ir.Block

    def _global(self, name: str) -> ir.GlobalVariable:
        variable = ir.GlobalVariable(self.module, I64, name)
        variable.initializer = I64(0)
        return variable

    def _block(self, name: str) -> ir.Block:
        return self.function.append_basic_block(name)

    def _storage(self) -> None:
        """Slots and registers of the function: all of them 0 at first."""
        widths: dict[int, int] = {}
        for header in self.program.headers.values():
            widths[header.base] = 1
            for field in header.fields:
                widths[header.base + field.offset] = field.width
        self.slots = []
        for index in range(self.program.slots):
            slot = self.allocas.alloca(ir.IntType(widths.get(index, 64)))
            self.slots.append(slot)
        self.widths = [widths.get(index, 64) for index in range(self.program.slots)]
        for index, slot in enumerate(self.slots):
            self.b.store(ir.IntType(self.widths[index])(0), slot)
        for header in self.program.headers.values():
            if header.metadata:
                self.b.store(I1(1), self.slots[header.base])
        sites = 4 * (len(self.program.ingress.nodes) + len(self.program.egress.nodes)) + 8
        self.notes = self.allocas.alloca(I64, sites)
        self.noted, self.offset = self.allocas.alloca(I64), self.allocas.alloca(I64)
        self.size, self.fuel = self.allocas.alloca(I64), self.allocas.alloca(I64)
        for variable, value in ((self.noted, 0), (self.offset, 0), (self.fuel, FUEL)):
            self.b.store(I64(value), variable)
        self.b.store(self.length, self.size)
        self._set("ingress_port", self.port)
        self._set("packet_length", self.length)
        self._set("ingress_global_timestamp", self.now)
        self._set_error("NoError")

    def _set(self, name: str, value: ir.Value) -> None:
        index = self.program.standard[name]
        self.b.store(resized(self.b, value, self.widths[index]), self.slots[index])

    def _get(self, name: str) -> ir.Value:
        index = self.program.standard[name]
        return self.b.load(self.slots[index], typ=ir.IntType(self.widths[index]))

    def _set_error(self, name: str) -> None:
        self._set("parser_error", I64(self.program.errors.get(name, 0)))

    def _attempt(self, make: Callable[[], None]) -> None:
        """What cannot be made becomes a way to the interpreter."""
        try:
            make()
        except Unsupported:
            if not self.b.block.is_terminated:
                self.b.branch(self.slow_block)

    def _load(self, variable: ir.Value) -> ir.Value:
        return self.b.load(variable, typ=I64)

    def _word(self, entry: ir.Value, at: int) -> ir.Value:
        return self.b.gep(entry, [I64(at)], source_etype=I64)

    def _guard(self, good: ir.Value, otherwise: ir.Block) -> None:
        """Go on where `good` holds, else there."""
        go_on = self._block("go_on")
        self.b.cbranch(good, go_on, otherwise)
        self.b.position_at_end(go_on)

    def _nonzero(self, value: ir.Value) -> ir.Value:
        zero = self.b.icmp_unsigned("==", value, value.type(0))
        return self.b.select(zero, value.type(1), value)

    def _note(self, address: ir.Value) -> None:
        """A counter to be counted once the verdict stands."""
        b = self.b
        at = self._load(self.noted)
        b.store(address, b.gep(self.notes, [at], source_etype=I64))
        b.store(b.add(at, I64(1)), self.noted)

    def _count(self, counter: str, index: ir.Value) -> None:
        b = self.b
        inside, go_on = self._block("inside"), self._block("counted")
        b.cbranch(b.icmp_unsigned("<", index, I64(self.program.counters[counter])), inside, go_on)
        b.position_at_end(inside)
        self._note(b.add(b.load(self.counters[counter], typ=I64), b.shl(index, I64(4))))
        b.branch(go_on)
        b.position_at_end(go_on)

    def _commit(self) -> None:
        """Count what was noted."""
        b = self.b
        head, body, done = self._block("commit"), self._block("commit_one"), self._block("committed")
        at = self.allocas.alloca(I64)
        b.store(I64(0), at)
        b.branch(head)
        b.position_at_end(head)
        index = self._load(at)
        b.cbranch(b.icmp_unsigned("<", index, self._load(self.noted)), body, done)
        b.position_at_end(body)
        address = b.load(b.gep(self.notes, [index], source_etype=I64), typ=I64)
        cell = b.inttoptr(address, I64.as_pointer())
        for word, amount in ((0, I64(1)), (1, self.length)):
            pointer = b.gep(cell, [I64(word)], source_etype=I64)
            b.store(b.add(b.load(pointer, typ=I64), amount), pointer)
        b.store(b.add(index, I64(1)), at)
        b.branch(head)
        b.position_at_end(done)
