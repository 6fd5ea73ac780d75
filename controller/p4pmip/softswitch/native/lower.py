"""A whole program as one LLVM function: a packet in, a verdict and the packet that leaves out.

The function's first argument is the packet, the others its length, its port, the time in microseconds, and where the
packet that leaves goes. It returns `kind << 56 | port << 32 | length`. Counters are only noted while it runs, and
counted when its verdict stands: a packet that turns out to be the interpreter's has left no trace.
"""

from collections.abc import Callable

from llvmlite import ir  # type: ignore[import-untyped]

from p4pmip.softswitch.bmv2.program import padded
from p4pmip.softswitch.ir import (
    Action,
    ActionCall,
    Advance,
    Argument,
    Assign,
    Block,
    Calculation,
    Checksum,
    Condition,
    Control,
    CopyHeader,
    Count,
    Exit,
    Extract,
    Hash,
    Header,
    ParserState,
    Payload,
    Peek,
    Program,
    SetValid,
    Slot,
    Statement,
    Table,
    Verify,
    WholeHeader,
)
from p4pmip.softswitch.ir import Bits as InputBits
from p4pmip.softswitch.native.bits import I1, I8, I64, Bits, Unsupported, load_bits, resized, store_bits
from p4pmip.softswitch.native.layout import (
    ACTION,
    ARGUMENTS,
    FLAGS,
    KIND_SHIFT,
    LAST_HIT,
    PACKETS,
    PORT_SHIFT,
    SLOW,
    VERDICT_DROP_EGRESS,
    VERDICT_DROP_INGRESS,
    VERDICT_SEND,
    VERDICT_SLOW,
    TableLayout,
    argument_at,
    table_layout,
)
from p4pmip.softswitch.native.lookup import define_lookup

FUEL = 512
"""Parser states that a packet may visit natively."""

POINTER = ir.PointerType(I8)


class Lowering:
    """Builds the module."""

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

    def _global(self, name: str) -> ir.GlobalVariable:
        variable = ir.GlobalVariable(self.module, I64, name)
        variable.initializer = I64(0)
        return variable

    def _block(self, name: str) -> ir.Block:
        return self.function.append_basic_block(name)

    # -- the whole --

    def build(self) -> ir.Module:
        """The module with its function `process`."""
        self._storage()
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
        self.bits = Bits(self.b, self.slots, self._peek, self._argument)

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

    # -- parser --

    def _state(self, state: ParserState, states: dict[str, ir.Block]) -> None:
        b = self.b
        fuel = b.sub(self._load(self.fuel), I64(1))
        b.store(fuel, self.fuel)
        self._guard(b.icmp_unsigned("!=", fuel, I64(0)), self.slow_block)
        for statement in state.statements:
            self._statement(statement)
        if not state.transitions:
            b.branch(states[state.default] if state.default else self.parse_end)
            return
        key, width = padded(state.key)
        value = self.bits.low(key, width)
        for one in state.transitions:
            if one.value_set is not None:
                raise Unsupported("value set")
            masked = value if one.mask is None else b.and_(value, value.type(one.mask))
            wanted = one.value if one.mask is None else one.value & one.mask
            follow = self._block("next")
            target = states[one.next] if one.next else self.parse_end
            b.cbranch(b.icmp_unsigned("==", masked, value.type(wanted)), target, follow)
            b.position_at_end(follow)
        if not state.has_default:
            self._set_error("NoMatch")
            b.branch(self.parse_end)
        else:
            b.branch(states[state.default] if state.default else self.parse_end)

    def _guard(self, good: ir.Value, otherwise: ir.Block) -> None:
        """Go on where `good` holds, else there."""
        go_on = self._block("go_on")
        self.b.cbranch(good, go_on, otherwise)
        self.b.position_at_end(go_on)

    def _there(self, octets: ir.Value) -> ir.Value:
        """Advance over octets that are there; PacketTooShort where they are not. Where they begin."""
        b = self.b
        start = self._load(self.offset)
        end = b.add(start, octets)
        short, go_on = self._block("short"), self._block("there")
        b.cbranch(b.icmp_unsigned("<=", end, self.length), go_on, short)
        b.position_at_end(short)
        self._set_error("PacketTooShort")
        b.branch(self.parse_end)
        b.position_at_end(go_on)
        return start

    def _peek(self, peek: Peek) -> ir.Value:
        b = self.b
        first, end = peek.offset // 8, -(-(peek.offset + peek.width) // 8)
        start = self._there(I64(end))
        at = b.gep(self.packet, [b.add(start, I64(first))], source_etype=I8)
        value = load_bits(b, at, end - first)
        value = b.lshr(value, value.type(8 * end - peek.offset - peek.width))
        return resized(b, value, peek.width)

    def _extract(self, header: Header) -> None:
        if header.length_offset is not None:
            raise Unsupported("varbit")
        b = self.b
        start = self._there(I64(header.octets))
        b.store(b.add(start, I64(header.octets)), self.offset)
        pointer = b.gep(self.packet, [start], source_etype=I8)
        at = 0
        for group in groups(header):
            width = sum(header.fields[index].width for index in group)
            value = load_bits(b, b.gep(pointer, [I64(at)], source_etype=I8), width // 8)
            at += width // 8
            left = width
            for index in group:
                field = header.fields[index]
                left -= field.width
                part = resized(b, b.lshr(value, value.type(left)) if left else value, field.width)
                b.store(part, self.slots[header.base + field.offset])
        b.store(I1(1), self.slots[header.base])
        for other in header.siblings:
            b.store(I1(0), self.slots[other])

    # -- statements --

    def _statement(self, statement: Statement) -> None:
        b = self.b
        match statement:
            case Assign(Slot() as target, value):
                b.store(self.bits.low(value, target.width), self.slots[target.index])
                if target.variable is not None and isinstance(value, Slot) and value.variable is not None:
                    b.store(self._load(self.slots[value.variable]), self.slots[target.variable])
            case SetValid(at, valid) if at.index is None and at.header.length_offset is None:
                self._set_valid(at.header, valid)
            case CopyHeader(target, source) if target.index is None and source.index is None:
                self._copy_header(target.header, source.header)
            case Extract(header, None):
                self._extract(header)
            case Advance(bits):
                self._advance(self.bits.low(bits, 64))
            case Verify(condition, error):
                self._verify(self.bits.truth(condition), self.bits.low(error, 32))
            case Count(counter, index):
                self._count(counter, self.bits.low(index, 64))
            case Hash(Slot() as target, base, calculation, size):
                full = 128
                total = b.add(
                    self.bits.low(base, full),
                    b.urem(resized(b, self._csum16(calculation), full), self._nonzero(self.bits.low(size, full))),
                )
                b.store(resized(b, total, target.width), self.slots[target.index])
            case _:
                raise Unsupported(type(statement).__name__)

    def _nonzero(self, value: ir.Value) -> ir.Value:
        zero = self.b.icmp_unsigned("==", value, value.type(0))
        return self.b.select(zero, value.type(1), value)

    def _set_valid(self, header: Header, valid: bool) -> None:
        b = self.b
        flag = self.slots[header.base]
        was = b.load(flag, typ=I1)
        change = b.select(was, I64(0 if valid else -header.octets), I64(header.octets if valid else 0))
        b.store(b.add(self._load(self.size), change), self.size)
        b.store(I1(int(valid)), flag)
        if not valid:
            return
        for field in header.fields:
            slot, kind = self.slots[header.base + field.offset], ir.IntType(field.width)
            b.store(b.select(was, b.load(slot, typ=kind), kind(0)), slot)
        for other in header.siblings:
            b.store(I1(0), self.slots[other])

    def _copy_header(self, target: Header, source: Header) -> None:
        b = self.b
        if source.length_offset is not None:
            raise Unsupported("varbit")
        valid = b.load(self.slots[source.base], typ=I1)
        b.store(valid, self.slots[target.base])
        for one, other in zip(target.fields, source.fields, strict=True):
            slot, kind = self.slots[target.base + one.offset], ir.IntType(one.width)
            value = b.load(self.slots[source.base + other.offset], typ=kind)
            b.store(b.select(valid, value, b.load(slot, typ=kind)), slot)
        for other_flag in target.siblings:
            flag = self.slots[other_flag]
            b.store(b.select(valid, I1(0), b.load(flag, typ=I1)), flag)

    def _advance(self, bits: ir.Value) -> None:
        b = self.b
        self._guard(b.icmp_unsigned("==", b.and_(bits, I64(7)), I64(0)), self.slow_block)
        octets = b.lshr(bits, I64(3))
        start = self._there(octets)
        b.store(b.add(start, octets), self.offset)

    def _verify(self, condition: ir.Value, error: ir.Value) -> None:
        failed, go_on = self._block("failed"), self._block("verified")
        self.b.cbranch(condition, go_on, failed)
        self.b.position_at_end(failed)
        self._set("parser_error", error)
        self.b.branch(self.parse_end)
        self.b.position_at_end(go_on)

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

    # -- controls --

    def _control(self, control: Control, done: ir.Block) -> None:
        blocks = {name: self._block("node") for name in control.nodes}

        def target(name: str | None) -> ir.Block:
            return done if name is None else blocks[name]

        self.b.branch(target(control.first))
        for name, node in control.nodes.items():
            self.b.position_at_end(blocks[name])
            match node:
                case Condition():
                    self._attempt(lambda node=node: self._condition(node, target))  # type: ignore[misc]
                case ActionCall():
                    action = self.program.actions[node.action]
                    follow = target(node.next)
                    self._attempt(lambda action=action, follow=follow: self._run(action, None, follow, done))  # type: ignore[misc]
                case Table():
                    self._attempt(lambda node=node: self._table(node, target, done))  # type: ignore[misc]

    def _condition(self, node: Condition, target: Callable[[str | None], ir.Block]) -> None:
        self.b.cbranch(self.bits.truth(node.condition), target(node.yes), target(node.no))

    def _table(self, table: Table, target: Callable[[str | None], ir.Block], done: ir.Block) -> None:
        if table.profile is not None or (table.meter_target is not None and not isinstance(table.meter_target, Slot)):
            raise Unsupported("table")
        if not table.key and table.default_const and table.default_action is not None:
            follow = target(table.on_miss if table.by_hit else table.next[table.default_action])
            # The arguments of a constant default action stand in its default entry as well.
            self._run(self.program.actions[table.default_action], self._default(table), follow, done)
            return
        b, layout = self.b, self.layouts[table.name]
        entry, hit = self._find(table, layout)
        flags = b.load(self._word(entry, layout.words + FLAGS), typ=I64)
        self._guard(b.icmp_unsigned("==", b.and_(flags, I64(SLOW)), I64(0)), self.slow_block)
        if isinstance(table.meter_target, Slot):
            slot, kind = self.slots[table.meter_target.index], ir.IntType(table.meter_target.width)
            b.store(b.select(hit, kind(0), b.load(slot, typ=kind)), slot)
        if table.direct_counter:
            self._note(b.ptrtoint(self._word(entry, layout.words + PACKETS), I64))
        if table.idle_timeout:
            b.store(self.now, self._word(entry, layout.words + LAST_HIT))
        action = b.load(self._word(entry, layout.words + ACTION), typ=I64)
        nothing = self._block("no_action")
        switch = b.switch(action, nothing)
        after_hit = self._after_hit(table, hit, target)
        for number in dict.fromkeys((*table.actions, *self._default_actions(table))):
            block = self._block("action")
            switch.add_case(I64(number), block)
            b.position_at_end(block)
            follow = after_hit or target(table.next.get(number))
            run = self.program.actions[number]
            arguments = b.gep(entry, [I64(layout.words)], source_etype=I64)
            self._attempt(
                lambda run=run, arguments=arguments, follow=follow: self._run(run, arguments, follow, done)  # type: ignore[misc]
            )
        b.position_at_end(nothing)
        # Without any action (-1) the interpreter takes what stands for the action that is not there.
        b.branch(after_hit or (target(next(iter(table.next.values()))) if len(set(table.next.values())) == 1 else done))

    @staticmethod
    def _default_actions(table: Table) -> tuple[int, ...]:
        return () if table.default_action is None else (table.default_action,)

    def _after_hit(self, table: Table, hit: ir.Value, target: Callable[[str | None], ir.Block]) -> ir.Block | None:
        """A block that goes on by hit or miss, where that decides."""
        if not table.by_hit:
            return None
        block = self._block("by_hit")
        with self.b.goto_block(block):
            self.b.cbranch(hit, target(table.on_hit), target(table.on_miss))
        return block

    def _default(self, table: Table) -> ir.Value:
        pointer = self.b.inttoptr(self.b.load(self.defaults[table.name], typ=I64), I64.as_pointer())
        return self.b.gep(pointer, [I64(self.layouts[table.name].words)], source_etype=I64)

    def _find(self, table: Table, layout: TableLayout) -> tuple[ir.Value, ir.Value]:
        """The entry that matches, else the default one; and whether it was a hit."""
        b = self.b
        default = b.load(self.defaults[table.name], typ=I64)
        if not table.key:
            return b.inttoptr(default, I64.as_pointer()), I1(0)
        key = None
        for field in table.key:
            value = self.bits.low(field.value, field.width)
            wide = resized(b, value, max(layout.width, 1))
            key = wide if key is None else b.or_(b.shl(key, key.type(field.width)), wide)
        assert key is not None
        whole = resized(b, key, 64 * layout.words)
        words = []
        for at in range(layout.words):
            words.append(resized(b, b.lshr(whole, whole.type(64 * at)) if at else whole, 64))
        found = b.call(self.lookups[table.name], words)
        hit = b.icmp_unsigned("!=", found, I64(0))
        return b.inttoptr(b.select(hit, found, default), I64.as_pointer()), hit

    def _argument(self, argument: Argument) -> ir.Value:
        if self.entry is None or self.action is None:
            raise Unsupported("argument")
        at = ARGUMENTS + argument_at(self.program, self.action.id, argument.index)
        result = None
        for word in range(-(-argument.width // 64)):
            part = self.b.load(self._word(self.entry, at + word), typ=I64)
            part = resized(self.b, part, max(argument.width, 64))
            part = self.b.shl(part, part.type(64 * word)) if word else part
            result = part if result is None else self.b.or_(result, part)
        assert result is not None
        return resized(self.b, result, argument.width)

    def _run(self, action: Action, entry: ir.Value | None, follow: ir.Block, done: ir.Block) -> None:
        """An action in place; `entry` points behind the key of the entry that runs it."""
        self.entry, self.action = entry, action
        blocks = [self.b.block, *[self._block("block") for _ in action.blocks[1:]]]
        for at, (block, where) in enumerate(zip(action.blocks, blocks, strict=True)):
            if any(target is not None and target <= at for target in (block.yes, block.no)):
                raise Unsupported("loop")
            if at:
                self.b.position_at_end(where)
            self._attempt(lambda block=block: self._action_block(block, blocks, follow, done))  # type: ignore[misc]

    def _action_block(self, block: Block, blocks: list[ir.Block], follow: ir.Block, done: ir.Block) -> None:
        for statement in block.statements:
            if isinstance(statement, Exit):
                self.b.branch(done)
                return
            self._statement(statement)
        yes = follow if block.yes is None else blocks[block.yes]
        if block.condition is None:
            self.b.branch(yes)
        else:
            self.b.cbranch(self.bits.truth(block.condition), yes, follow if block.no is None else blocks[block.no])

    # -- traffic manager and deparser --

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

    # -- checksums --

    def _verify_all(self) -> None:
        for checksum in self.program.verify:
            self._checksum(checksum, checksum.header, self._verify_one)

    def _update(self, checksum: Checksum) -> None:
        self._checksum(checksum, None, self._update_one)

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


def groups(header: Header) -> list[list[int]]:
    """Fields that together are whole octets, as few at a time as possible."""
    found: list[list[int]] = [[]]
    width = 0
    for index, field in enumerate(header.fields):
        found[-1].append(index)
        width += field.width
        if width % 8 == 0:
            found.append([])
            width = 0
    return [group for group in found if group]
