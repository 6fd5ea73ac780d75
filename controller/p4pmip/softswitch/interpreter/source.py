"""A whole program as Python source: one function for each parser state, table, condition and action.

A function takes the packet `p`, its slots `f` and, for an action, its arguments `a`; states and nodes return the
function that comes next. The traced form of the same source also reports each step; the plain one is free of it.
"""

from collections.abc import Callable, Iterable

from p4pmip.softswitch.bmv2.program import padded
from p4pmip.softswitch.interpreter.expression import assign, fitted, source
from p4pmip.softswitch.interpreter.statement import StatementSource, indented, joined
from p4pmip.softswitch.ir import (
    Action,
    ActionCall,
    Assign,
    Block,
    Checksum,
    Condition,
    Const,
    Control,
    ParserState,
    Program,
    Slot,
    Table,
)

BACKWARD_LIMIT = 100_000
"""A loop of an action that goes round more often than this is left."""


class ProgramSource:
    """Writes the source. Tables, cells and actions are named by number; `names` says which is which."""

    def __init__(self, program: Program, trace: bool, drop_port: int) -> None:
        self.program = program
        self.trace = trace
        self.drop_port = drop_port
        self.tables = {name: f"T{index}" for index, name in enumerate(program.tables)}
        arrays = [*program.counters, *program.meters, *program.registers]
        self.cells = {name: f"C{index}" for index, name in enumerate(arrays)}
        self.states = {name: f"state_{index}" for index, name in enumerate(program.states)}
        nodes = [name for control in (program.ingress, program.egress) for name in control.nodes]
        self.nodes = {name: f"node_{index}" for index, name in enumerate(nodes)}
        self.statements = StatementSource(self.cells, trace)

    def text(self) -> str:
        """The module's source."""
        lines: list[str] = []
        for action in self.program.actions.values():
            lines += self._action(action)
        for state in self.program.states.values():
            lines += self._state(state)
        for control in (self.program.ingress, self.program.egress):
            lines += self._control(control)
        lines += self._checksums("verify", self.program.verify, self._verify)
        lines += self._checksums("update", self.program.update, self._update)
        lines += self._deparse()
        lines += self._digests()
        lines += self._selectors()
        first = self.program.first_state
        lines.append(f"first_state = {self.states[first] if first else None}")
        for control in (self.program.ingress, self.program.egress):
            lines.append(f"first_{control.name} = {self._node(control.first)}")
        return "\n".join(lines) + "\n"

    def _node(self, name: str | None) -> str:
        return "None" if name is None else self.nodes[name]

    # -- actions --

    def _action(self, action: Action) -> list[str]:
        head = [f"def action_{action.id}(p, f, a):  # {action.name!r} {str(action.place)!r}"]
        traced = self._dropped(action)
        if len(action.blocks) == 1 and action.blocks[0].yes is None:
            return head + indented([*self._statements(action.blocks[0]), *traced, "return"])
        backward = any(
            target is not None and target <= at for at, block in enumerate(action.blocks) for target in _targets(block)
        )
        lines = ["b = 0"]
        body: list[str] = []
        for at, block in enumerate(action.blocks):
            body += [f"if b == {at}:", *indented([*self._statements(block), *_leave(block)])]
        if backward:
            lines += [f"for _ in range({BACKWARD_LIMIT}):", *indented([*body, "if b < 0: break"])]
        else:
            lines += body
        return head + indented([*lines, *traced, "return"])

    def _statements(self, block: Block) -> list[str]:
        return [line for statement in block.statements for line in self.statements.lines(statement)]

    def _dropped(self, action: Action) -> list[str]:
        spec = self.program.standard["egress_spec"]
        drops = any(
            isinstance(one, Assign) and isinstance(one.target, Slot) and one.target.index == spec
            and one.value == Const(self.drop_port)
            for block in action.blocks
            for one in block.statements
        )  # fmt: skip
        if not (self.trace and drops):
            return []
        return [f"if f[{spec}] == {self.drop_port}: p.trace.dropped({action.name!r}, {str(action.place)!r}, f)"]

    # -- parser --

    def _state(self, state: ParserState) -> list[str]:
        lines = [f"p.trace.state({state.name!r})"] if self.trace else []
        lines += [line for statement in state.statements for line in self.statements.lines(statement)]
        return [f"def {self.states[state.name]}(p, f):", *indented([*lines, *self._transitions(state)])]

    def _transitions(self, state: ParserState) -> list[str]:
        lines = []

        def target(name: str | None) -> str:
            return "None" if name is None else self.states[name]

        if state.transitions:
            lines.append(f"k = {source(padded(state.key)[0])}")
        for one in state.transitions:
            masked = "k" if one.mask is None else f"k & {one.mask:#x}"
            if one.value_set is not None:
                mask = "None" if one.mask is None else hex(one.mask)
                lines.append(f"if in_set(V[{one.value_set!r}], k, {mask}): return {target(one.next)}")
            else:
                value = one.value if one.mask is None else one.value & one.mask
                lines.append(f"if {masked} == {value:#x}: return {target(one.next)}")
        if not state.has_default and state.transitions:
            return [*lines, "raise ParserError('NoMatch')"]
        return [*lines, f"return {target(state.default)}"]

    # -- controls --

    def _control(self, control: Control) -> list[str]:
        lines: list[str] = []
        for name, node in control.nodes.items():
            lines.append(f"def {self.nodes[name]}(p, f):")
            match node:
                case Condition():
                    lines += indented(self._condition(node))
                case ActionCall():
                    lines += indented([f"action_{node.action}(p, f, ())", f"return {self._node(node.next)}"])
                case Table():
                    lines += indented(self._table(node))
        return lines + self._following(control)

    def _condition(self, node: Condition) -> list[str]:
        test = source(node.condition)
        if self.trace:
            lines = [f"c = bool({test})", f"p.trace.condition({str(node.place)!r}, c)"]
            return [*lines, f"return {self._node(node.yes)} if c else {self._node(node.no)}"]
        return [f"return {self._node(node.yes)} if {test} else {self._node(node.no)}"]

    def _table(self, table: Table) -> list[str]:
        if not table.key and table.default_const and table.profile is None:
            return self._inline(table)
        name = self.tables[table.name]
        lines = [f"e = {name}.find({self._key(table)})"]
        hit = self._meter(table) if table.direct_meter else []
        hit += ["e.last_hit = p.now"] if table.idle_timeout else []
        lines += ["if e is None:", f"    e = {name}.default"]
        if self.trace or table.by_hit:
            lines += ["    hit = False", "else:", *indented([*hit, "hit = True"])]
        elif hit:
            lines += ["else:", *indented(hit)]
        if table.direct_counter:
            lines += ["e.packets += 1; e.octets += p.ingress_length"]
        if table.profile is not None:
            lines += [f"m = choose_{name}(p, f, e)", "action, arguments = m.action, m.arguments"]
        else:
            lines += ["action, arguments = e.action, e.arguments"]
        if self.trace:
            key = ", ".join(f"({field.name!r}, {source(field.value)})" for field in table.key)
            lines.append(f"p.trace.table({table.name!r}, ({key}{',' if key else ''}), hit, action, arguments)")
        lines.append("if action >= 0: A[action](p, f, arguments)")
        if any(self.program.actions[one].may_exit or self._asserts(one) for one in table.actions):
            lines.append("if p.exit: return None")
        if table.by_hit:
            return [*lines, f"return {self._node(table.on_hit)} if hit else {self._node(table.on_miss)}"]
        targets = set(table.next.values()) | ({table.otherwise} if table.default_action is None else set())
        if len(targets) == 1:
            return [*lines, f"return {self._node(targets.pop())}"]
        return [*lines, f"return next_{name}.get(action, {self._node(table.otherwise)})"]

    def _asserts(self, action: int) -> bool:
        return any(
            "p.exit" in line for block in self.program.actions[action].blocks for line in self._statements(block)
        )

    def _inline(self, table: Table) -> list[str]:
        """A statement that p4c wrapped into a table without a key."""
        action = self.program.actions[table.default_action] if table.default_action is not None else None
        after = table.otherwise if table.default_action is None else table.next[table.default_action]
        target = table.on_miss if table.by_hit else after
        lines: list[str] = []
        if self.trace and action is not None:
            lines.append(f"p.trace.table({table.name!r}, (), False, {action.id}, {table.default_arguments})")
        if action is not None:
            lines.append(f"action_{action.id}(p, f, {table.default_arguments})")
            if self._asserts(action.id):
                lines.append("if p.exit: return None")
        return [*lines, f"return {self._node(target)}"]

    def _key(self, table: Table) -> str:
        left = sum(field.width for field in table.key)
        terms = []
        for field in table.key:
            left -= field.width
            value = fitted(field.value, field.width, False)
            terms.append(f"({value}) << {left}" if left else f"({value})")
        return " | ".join(terms) or "0"

    def _meter(self, table: Table) -> list[str]:
        assert table.direct_meter is not None
        assert table.meter_target is not None
        amount = "p.ingress_length" if self.program.meters[table.direct_meter].unit == "bytes" else "1"
        colour = f"e.meter.execute(p.now, {amount}) if e.meter else 0"
        target = table.meter_target
        return [f"f[{target.index}] = {colour}"] if isinstance(target, Slot) else assign(target, Const(0))

    def _following(self, control: Control) -> list[str]:
        """Where tables with several ways on lead: the functions exist only now."""
        lines = []
        for name, node in control.nodes.items():
            if isinstance(node, Table) and name in self.tables:
                pairs = ", ".join(f"{action}: {self._node(target)}" for action, target in node.next.items())
                lines.append(f"next_{self.tables[name]} = {{{pairs}}}")
        return lines

    # -- checksums and deparser --

    def _checksums(self, name: str, checksums: Iterable[Checksum], one: Callable[[Checksum], list[str]]) -> list[str]:
        body = [line for checksum in checksums for line in one(checksum)]
        return [f"def {name}(p, f):", *indented([*body, "return"])]

    def _guarded(self, checksum: Checksum, lines: list[str], header: bool) -> list[str]:
        guards = [source(checksum.condition)] if checksum.condition is not None else []
        if header and checksum.header is not None:
            guards.insert(0, f"f[{checksum.header}]")
        return [f"if {' and '.join(guards)}:", *indented(lines)] if guards else lines

    def _verify(self, checksum: Checksum) -> list[str]:
        target, error = checksum.target, self.program.standard["checksum_error"]
        lines = self.statements.calculate(checksum.calculation)
        lines.append(f"if h & {(1 << target.width) - 1:#x} != f[{target.index}]: f[{error}] = 1")
        return self._guarded(checksum, lines, header=True)

    def _update(self, checksum: Checksum) -> list[str]:
        target = checksum.target
        lines = self.statements.calculate(checksum.calculation)
        lines.append(f"f[{target.index}] = h & {(1 << target.width) - 1:#x}")
        return self._guarded(checksum, lines, header=False)

    def _deparse(self) -> list[str]:
        lines = [line for one in self.program.deparser_statements for line in self.statements.lines(one)]
        lines.append("out = []")
        for header in self.program.deparser:
            if not header.fields:
                continue
            lines += [
                f"if f[{header.base}]:",
                *indented(["v = 0; n = 0", *joined(header), "out.append(v.to_bytes(n >> 3, 'big'))"]),
            ]
        lines += ["out.append(p.data[p.offset:])", "return b''.join(out)"]
        return ["def deparse(p, f):", *indented(lines)]

    def _digests(self) -> list[str]:
        lines = []
        for one in self.program.digests.values():
            values = ", ".join(source(value) for value in one.values)
            lines.append(f"def digest_{one.id}(p, f): return ({values}{',' if values else ''})")
        return lines

    def _selectors(self) -> list[str]:
        lines = []
        for name, table in self.program.tables.items():
            profile = self.program.profiles.get(table.profile or "")
            if profile is None:
                continue
            lines.append(f"def choose_{self.tables[name]}(p, f, e):")
            if profile.selector is None:
                lines.append("    return e.choice or e")
                continue
            body = ["c = e.choice", "if c is None: return e", "if c.__class__ is Member: return c"]
            body += self.statements.calculate(profile.selector.calculation)
            lines += indented([*body, "return c.pick(h) or e"])
        return lines


def _targets(block: Block) -> tuple[int | None, ...]:
    return (block.yes,) if block.condition is None else (block.yes, block.no)


def _leave(block: Block) -> list[str]:
    yes = -1 if block.yes is None else block.yes
    if block.condition is None:
        return [f"b = {yes}"]
    return [f"b = {yes} if {source(block.condition)} else {-1 if block.no is None else block.no}"]
