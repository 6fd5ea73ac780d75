"""What the executors rely on, checked once, when a program is pushed: whoever wrote it, nothing in it surprises them.

Every value has the type that the representation gives it; every name, number of an action and index of a slot stands
for something; controls come to an end; sizes are such as a switch can have. Executors make code out of all of it.
"""

import types
import typing
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any

from p4pmip.errors import P4pmipError
from p4pmip.softswitch.ir.expression import Argument, Indexed, Peek, Saturate, Slot, Wrap
from p4pmip.softswitch.ir.program import Action, ActionCall, Condition, Control, KeyField, MatchKind, Program, Table
from p4pmip.softswitch.ir.statement import (
    CopyHeader,
    CopyStack,
    Count,
    ExecuteMeter,
    RegisterRead,
    RegisterWrite,
)
from p4pmip.softswitch.ir.storage import NOWHERE, Place

MAX_WIDTH = 1 << 16
"""Bits of a field or of what is calculated with it."""
MAX_CELLS = 1 << 24
"""Of a counter, meter or register; members of a profile."""
MAX_SLOTS = 1 << 20


class MalformedProgram(P4pmipError):
    """The program is not one that a compiler makes."""


def check(program: Program) -> None:
    """Check all of it.

    Raises:
        MalformedProgram: something in it is not as the executors need it; says what and where.
    """
    _Types().check(program, Program, "the program")
    _Meaning(program).check()


# -- types --


@cache
def _hints(kind: Any) -> tuple[tuple[str, Any], ...]:
    found = typing.get_type_hints(kind)
    return tuple((one.name, found[one.name]) for one in fields(kind))


class _Types:
    """Compares values with annotations, down to the last one."""

    def __init__(self) -> None:
        self._place = NOWHERE
        self._done: set[int] = set()

    def check(self, value: Any, hint: Any, name: str) -> None:
        if not self._fits(value, hint, name):
            where = str(self._place) if self._place is not NOWHERE else name
            wanted = getattr(hint, "__name__", str(hint))
            raise MalformedProgram(where, value, f"cannot be {name}", [wanted])

    def _fits(self, value: Any, hint: Any, name: str) -> bool:
        origin = typing.get_origin(hint)
        if origin in (typing.Union, types.UnionType):
            return self._fits_one(value, typing.get_args(hint), name)
        if origin is tuple:
            return self._fits_tuple(value, typing.get_args(hint), name)
        if origin is not None:
            key, held = typing.get_args(hint)
            if not isinstance(value, Mapping):
                return False
            for one, other in value.items():
                self.check(one, key, name)
                self.check(other, held, str(one))
            return True
        if hint is int:
            return type(value) is int
        if not isinstance(value, hint):
            return False
        if is_dataclass(hint):
            self._fields(value, name)
        return True

    def _fits_one(self, value: Any, hints: tuple[Any, ...], name: str) -> bool:
        """A union: of dataclasses the one that it is, of others any that fits."""
        if is_dataclass(value):
            if type(value) in hints:
                self._fields(value, name)
                return True
            return False
        return any(self._fits(value, one, name) for one in hints if not is_dataclass(one))

    def _fits_tuple(self, value: Any, hints: tuple[Any, ...], name: str) -> bool:
        if not isinstance(value, tuple):
            return False
        if hints[-1] is Ellipsis:
            hints = (hints[0],) * len(value)
        if len(hints) != len(value):
            return False
        return all(self._fits(one, hint, name) for one, hint in zip(value, hints, strict=True))

    def _fields(self, value: Any, name: str) -> None:
        # Headers and calculations stand in many places.
        if id(value) in self._done:
            return
        self._done.add(id(value))
        outer, place = self._place, getattr(value, "place", None)
        if isinstance(place, Place) and place is not NOWHERE:
            self._place = place
        known = getattr(value, "name", name)
        kind: Any = type(value)
        for field, hint in _hints(kind):
            held = getattr(value, field)
            self.check(held, hint, f"{known}: {field}")
            if field in ("width", "octets") and isinstance(held, int) and not 0 <= held <= MAX_WIDTH:
                raise MalformedProgram(str(self._place), held, f"cannot be {known}: {field}", [f"0 to {MAX_WIDTH}"])
        self._place = outer


# -- meaning --


def _parts(value: Any) -> Iterator[Any]:
    """A statement or expression and all that it is made of."""
    if isinstance(value, tuple):
        for one in value:
            yield from _parts(one)
    elif is_dataclass(value):
        yield value
        for one in fields(value):
            yield from _parts(getattr(value, one.name))


def _matches(field: KeyField, part: int | tuple[int, int]) -> bool:
    """Whether an entry of the program can say this of a field."""
    end = 1 << field.width
    if isinstance(part, int):
        return field.match is MatchKind.EXACT and 0 <= part < end
    value, other = part
    if field.match is MatchKind.LPM:
        return 0 <= value < end and 0 <= other <= field.width
    return field.match is not MatchKind.EXACT and 0 <= value < end and 0 <= other < end


class _Meaning:
    def __init__(self, program: Program) -> None:
        self.program = program

    def check(self) -> None:
        program = self.program
        if program.slots > MAX_SLOTS:
            raise MalformedProgram("headers", program.slots, "fields are too many", [f"at most {MAX_SLOTS}"])
        sizes = {
            **program.counters,
            **{name: one.size for name, one in program.meters.items()},
            **{name: size for name, (size, _) in program.registers.items()},
            **{name: one.size for name, one in program.profiles.items()},
        }
        for name, size in sizes.items():
            if not 0 <= size <= MAX_CELLS:
                raise MalformedProgram(name, size, "cannot be its size", [f"0 to {MAX_CELLS}"])
        for name, (_, width) in program.registers.items():
            if not 0 < width <= MAX_WIDTH:
                raise MalformedProgram(name, width, "cannot be its width", [f"1 to {MAX_WIDTH}"])
        for header in program.headers.values():
            if not header.metadata and sum(one.width for one in header.fields if not one.variable) % 8:
                raise MalformedProgram(f"header {header.name}", header.octets, "is no whole number of octets")
        for number, action in program.actions.items():
            self._action(number, action)
        for control in (program.ingress, program.egress):
            self._control(control)
        self._parser()
        self._parts(program.deparser_statements, "deparser", ())
        for listed in (*program.digests.values(), *program.field_lists.values()):
            self._parts(listed.values, listed.name, ())
        for checksum in (*program.verify, *program.update):
            self._parts((checksum.target, checksum.condition, checksum.calculation), checksum.name, ())

    @staticmethod
    def _known(place: str, name: Any, known: Any, what: str) -> None:
        if name not in known:
            raise MalformedProgram(place, name, f"no such {what}", sorted(known, key=str)[:20])

    def _parts(self, value: Any, place: str, parameters: tuple[tuple[str, int], ...]) -> None:
        program = self.program
        for part in _parts(value):
            match part:
                case Count(counter, _):
                    self._known(place, counter, program.counters, "counter")
                case ExecuteMeter(meter, _, _):
                    self._known(place, meter, program.meters, "meter")
                case RegisterRead(_, register, _) | RegisterWrite(register, _, _):
                    self._known(place, register, program.registers, "register")
                case Argument(index, width, name):
                    if index not in range(len(parameters)) or parameters[index][1] != width:
                        raise MalformedProgram(place, name, "no such parameter", [one for one, _ in parameters])
                case Peek(offset, width):
                    if not 0 <= offset <= MAX_WIDTH or not width > 0:
                        raise MalformedProgram(place, [offset, width], "is no lookahead")
                case Wrap(_, width) | Saturate(_, width, _):
                    if width < 1:
                        raise MalformedProgram(place, width, "bits hold no number")
                case Slot(index, _, _, name):
                    if index not in range(program.slots):
                        raise MalformedProgram(place, name, "no such field")
                case Indexed(base, stride, count, _, _, _, name):
                    if base < 0 or stride < 0 or base + stride * max(count - 1, 0) >= program.slots:
                        raise MalformedProgram(place, name, "no such field of a stack")
                case CopyHeader(target, source):
                    self._alike(place, target.header.fields, source.header.fields)
                case CopyStack(target, source):
                    if (target.size, target.stride) != (source.size, source.stride):
                        raise MalformedProgram(place, source.name, f"is no stack like {target.name}")
                    self._alike(place, target.elements[:1], source.elements[:1])

    @staticmethod
    def _alike(place: str, these: tuple[Any, ...], those: tuple[Any, ...]) -> None:
        if len(these) != len(those):
            raise MalformedProgram(place, len(those), "fields cannot be copied", [len(these)])

    def _action(self, number: int, action: Action) -> None:
        place = f"action {action.name}"
        if number != action.id or not 0 <= number < MAX_SLOTS:
            raise MalformedProgram(place, number, "cannot be its id")
        if any(not 0 <= width <= MAX_WIDTH for _, width in action.parameters):
            choices = [f"0 to {MAX_WIDTH} bits"]
            raise MalformedProgram(place, dict(action.parameters), "cannot be its parameters", choices)
        for block in action.blocks:
            for target in (block.yes, block.no):
                if target is not None and target not in range(len(action.blocks)):
                    raise MalformedProgram(place, target, "cannot be jumped to")
            self._parts((block.statements, block.condition), place, action.parameters)

    def _control(self, control: Control) -> None:
        following: dict[str, list[str | None]] = {}
        for name, node in control.nodes.items():
            if name != node.name:
                raise MalformedProgram(control.name, name, "is not its own name", [node.name])
            match node:
                case Condition(_, condition, yes, no):
                    self._parts(condition, name, ())
                    following[name] = [yes, no]
                case ActionCall(_, action, after):
                    self._known(name, action, self.program.actions, "action")
                    if self.program.actions[action].parameters:
                        raise MalformedProgram(name, action, "an action called so cannot have parameters")
                    following[name] = [after]
                case Table():
                    self._table(node)
                    following[name] = (
                        [node.on_hit, node.on_miss] if node.by_hit else [*node.next.values(), node.otherwise]
                    )
        for place, targets in ((control.name, [control.first]), *following.items()):
            for target in targets:
                if target is not None:
                    self._known(place, target, control.nodes, "table or condition")
        self._ends(control, following)

    @staticmethod
    def _ends(control: Control, following: Mapping[str, list[str | None]]) -> None:
        """Nodes are taken away whose successors all are away; what stays goes in circles."""
        before: dict[str, list[str]] = {name: [] for name in following}
        left: dict[str, int] = {}
        for name, targets in following.items():
            left[name] = sum(target is not None for target in targets)
            for target in targets:
                if target is not None:
                    before[target].append(name)
        ready = [name for name, count in left.items() if count == 0]
        ended = 0
        while ready:
            ended += 1
            for name in before[ready.pop()]:
                left[name] -= 1
                if left[name] == 0:
                    ready.append(name)
        if ended != len(following):
            around = sorted(name for name, count in left.items() if count)
            raise MalformedProgram(control.name, around[0], "comes back to itself: a control must end")

    def _table(self, table: Table) -> None:
        program = self.program
        for action in table.actions:
            self._known(table.name, action, program.actions, "action")
        if table.default_action is not None:
            self._known(f"{table.name}: default action", table.default_action, table.actions, "action of it")
            self._arguments(table, table.default_action, table.default_arguments)
        elif table.default_arguments:
            raise MalformedProgram(table.name, table.default_arguments, "are arguments of no default action")
        if table.profile is not None:
            self._known(table.name, table.profile, program.profiles, "action profile")
        if table.direct_meter is not None:
            self._known(table.name, table.direct_meter, program.meters, "meter")
        if not 0 <= table.size <= MAX_CELLS:
            raise MalformedProgram(table.name, table.size, "cannot be its size", [f"0 to {MAX_CELLS}"])
        self._parts((table.meter_target, *(one.value for one in table.key)), table.name, ())
        for entry in table.entries:
            self._known(f"{table.name}: entry", entry.action, table.actions, "action of it")
            self._arguments(table, entry.action, entry.arguments)
            if len(entry.match) != len(table.key):
                names = [one.name for one in table.key]
                raise MalformedProgram(f"{table.name}: entry", entry.match, "is no key", names)
            for field, part in zip(table.key, entry.match, strict=True):
                if not _matches(field, part):
                    problem = f"is no {field.match.value} match of {field.width} bits"
                    raise MalformedProgram(f"{table.name}: entry", part, problem)

    def _arguments(self, table: Table, action: int, arguments: tuple[int, ...]) -> None:
        widths = [width for _, width in self.program.actions[action].parameters]
        if len(widths) != len(arguments) or any(
            not 0 <= one < 1 << width for one, width in zip(arguments, widths, strict=True)
        ):
            raise MalformedProgram(table.name, list(arguments), "cannot be arguments of the action", widths)

    def _parser(self) -> None:
        program = self.program
        targets = [(program.name, program.first_state)]
        for name, state in program.states.items():
            self._parts((state.statements, state.key), name, ())
            targets += [(name, one.next) for one in state.transitions]
            targets.append((name, state.default))
            for one in state.transitions:
                if one.value < 0 or (one.mask is not None and one.mask < 0):
                    raise MalformedProgram(name, one.value, "cannot be a value of a select")
                if one.value_set is not None:
                    self._known(name, one.value_set, program.value_sets, "value set")
        for place, target in targets:
            if target is not None:
                self._known(place, target, program.states, "parser state")
