"""Controls, tables and actions in machine code."""

from collections.abc import Callable

from llvmlite import ir  # type: ignore[import-untyped]

from p4pmip.softswitch.ir import (
    Action,
    ActionCall,
    Argument,
    Block,
    Condition,
    Control,
    Exit,
    Slot,
    Table,
)
from p4pmip.softswitch.native.bits import I1, I64, Unsupported, resized
from p4pmip.softswitch.native.layout import (
    ACTION,
    ARGUMENTS,
    CELL,
    FLAGS,
    LAST_HIT,
    SLOW,
    TableLayout,
    argument_at,
)
from p4pmip.softswitch.native.parse import Parsing


class Controls(Parsing):
    """The nodes of a control, one block each."""

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
            self._note(b.load(self._word(entry, layout.words + CELL), typ=I64))
        if table.idle_timeout:
            cell = b.inttoptr(b.load(self._word(entry, layout.words + CELL), typ=I64), I64.as_pointer())
            b.store(self.now, self._word(cell, LAST_HIT))
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
        b.branch(after_hit or target(table.otherwise))

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
        default = self.b.load_atomic(self.defaults[table.name], "acquire", 8, typ=I64)
        pointer = self.b.inttoptr(default, I64.as_pointer())
        return self.b.gep(pointer, [I64(self.layouts[table.name].words)], source_etype=I64)

    def _find(self, table: Table, layout: TableLayout) -> tuple[ir.Value, ir.Value]:
        """The entry that matches, else the default one; and whether it was a hit."""
        b = self.b
        default = b.load_atomic(self.defaults[table.name], "acquire", 8, typ=I64)
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
