"""Statements as lines of Python source."""

from collections.abc import Callable, Mapping

from p4pmip.softswitch.interpreter.expression import assign, fitted, source, store, wrapped
from p4pmip.softswitch.ir import (
    Advance,
    Assert,
    Assign,
    Bits,
    Calculation,
    Clone,
    CopyHeader,
    CopyStack,
    Count,
    Digest,
    ExecuteMeter,
    Exit,
    Extract,
    ExtractNext,
    Hash,
    Header,
    HeaderAt,
    Log,
    Payload,
    Pop,
    Push,
    Random,
    Recirculate,
    RegisterRead,
    RegisterWrite,
    Resubmit,
    SetValid,
    Slot,
    Stack,
    Statement,
    Truncate,
    Verify,
    WholeHeader,
)


def indented(lines: list[str]) -> list[str]:
    """The lines, one level deeper."""
    return [f"    {line}" for line in lines]


class StatementSource:
    """Turns statements into lines. `cells` names the Python variables of counters, meters and registers; messages for
    a person are written only where `trace` says so."""

    def __init__(self, cells: Mapping[str, str], trace: bool) -> None:
        self.cells = cells
        self.trace = trace

    def lines(self, statement: Statement) -> list[str]:
        """One statement."""
        match statement:
            case Assign(target, value):
                return assign(target, value)
            case SetValid(header, valid):
                return self._set_valid(header, valid)
            case CopyHeader(target, origin):
                slots, siblings = target.header.slots, target.header.siblings
                return [
                    *_located(target, "t"),
                    *_located(origin, "s"),
                    f"if t >= 0: copy_header(f, t, s, {slots}, {siblings})",
                ]
            case CopyStack(target, origin):
                return self._copy_stack(target, origin)
            case Push(stack, count) | Pop(stack, count):
                name = "push" if isinstance(statement, Push) else "pop"
                return [f"{name}(f, {stack.elements[0].base}, {stack.stride}, {stack.size}, {stack.next}, {count})"]
            case Extract(header, bits):
                return self._extract(header, "" if bits is None else source(bits))
            case ExtractNext(stack, member, bits):
                return self._extract_next(stack, member, "" if bits is None else source(bits))
            case Advance(bits):
                return [f"advance(p, {source(bits)})"]
            case Verify(condition, error):
                return [f"if not {source(condition)}: raise ParserError({source(error)})"]
            case Count(counter, index):
                packets, octets = f"{self.cells[counter]}.packets", f"{self.cells[counter]}.octets"
                return [
                    f"i = {source(index)}",
                    f"if i < len({packets}): {packets}[i] += 1; {octets}[i] += p.ingress_length",
                ]
            case ExecuteMeter(meter, index, target):
                colour = f"{self.cells[meter]}.execute(i, p.now, p.ingress_length)"
                return [f"i = {source(index)}", f"if i < len({self.cells[meter]}.cells): {store(target, colour)}"]
            case RegisterRead(target, register, index):
                cells = f"{self.cells[register]}.cells"
                return [f"i = {source(index)}", f"if i < len({cells}): {store(target, f'{cells}[i]')}"]
            case RegisterWrite(register, index, value):
                cells = f"{self.cells[register]}.cells"
                kept = f"({source(value)}) & {self.cells[register]}.mask"
                return [f"i = {source(index)}", f"if i < len({cells}): {cells}[i] = {kept}"]
            case Hash(target, base, calculation, size):
                lines = self.calculate(calculation)
                chosen = f"({source(base)} + h % (({source(size)}) or 1))"
                return [*lines, store(target, f"{chosen} & {(1 << target.width) - 1:#x}")]
            case Random(target, low, high):
                chosen = f"random_between({source(low)}, {source(high)}, {source(target)})"
                return [store(target, f"{chosen} & {(1 << target.width) - 1:#x}")]
            case _:
                return self._request(statement)

    def _request(self, statement: Statement) -> list[str]:
        """What the traffic manager does later, and what ends or observes the packet."""
        match statement:
            case Digest(chosen):
                return [f"p.digest = {source(chosen)}"]
            case Clone(session, chosen):
                return [f"p.clone_session = {source(session)}; p.clone_list = {source(chosen)}"]
            case Resubmit(chosen):
                return [f"p.resubmit = {source(chosen)}"]
            case Recirculate(chosen):
                return [f"p.recirculate = {source(chosen)}"]
            case Truncate(octets):
                return [f"p.truncate = {source(octets)}"]
            case Exit():
                return ["p.exit = True; return"]
            case Log(text, values):
                return [] if not self.trace else [f"log(p, {text!r}, [{', '.join(source(one) for one in values)}])"]
            case Assert(condition, place):
                failure = f"assertion failed at {place}"
                return [f"if not {source(condition)}: p.failed = {failure!r}; p.exit = True; return"]
            case _:
                raise TypeError(statement)

    # -- headers --

    def _set_valid(self, at: HeaderAt, valid: bool) -> list[str]:
        header = at.header
        lines = _located(at, "t")
        if valid:
            call = f"set_valid(p, f, t, {header.slots}, {header.octets}, {header.siblings})"
        else:
            length = "None" if header.length_offset is None else f"t + {header.length_offset}"
            call = f"set_invalid(p, f, t, {header.octets}, {length})"
        return [*lines, f"if t >= 0: {call}"]

    def _copy_stack(self, target: Stack, origin: Stack) -> list[str]:
        slots = target.stride * target.size
        to, start = target.elements[0].base, origin.elements[0].base
        return [f"copy_stack(f, {to}, {start}, {slots}, ({target.next}, {origin.next}))"]

    def _extract(self, header: Header, bits: str, base: str = "") -> list[str]:
        """The header at `base` (by default its own) from the packet; `bits` is the source of its varbit's length."""

        def slot(offset: int) -> str:
            return f"f[{base} + {offset}]" if base else f"f[{header.base + offset}]"

        lines = ["o = p.offset"]
        if header.length_offset is None:
            lines += [f"e = o + {header.octets}"]
        else:
            most = next(one.width for one in header.fields if one.variable)
            lines += [
                f"n = {bits or 0}",
                "if n & 7: raise ParserError('ParserInvalidArgument')",
                f"if n > {most}: raise ParserError('HeaderTooShort')",
                f"e = o + {header.octets} + (n >> 3)",
            ]
        lines += ["if e > len(p.data): raise ParserError('PacketTooShort')", "p.offset = e"]
        lines += ["v = int.from_bytes(p.data[o:e], 'big')"] if header.fields else []
        lines += self._fields(header, slot)
        lines += [f"{slot(0)} = 1"]
        lines += [f"f[{other}] = 0" for other in header.siblings] if not base else []
        return lines

    @staticmethod
    def _fields(header: Header, slot: Callable[[int], str]) -> list[str]:
        lines = []
        left = sum(one.width for one in header.fields if not one.variable)
        after_variable = any(one.variable for one in header.fields)
        for field in header.fields:
            if field.variable:
                after_variable = False
                text = f"v >> {left} & (1 << n) - 1"
                lines.append(f"{slot(header.length_offset or 0)} = n")
            else:
                left -= field.width
                shift = f"({left} + n)" if after_variable else str(left)
                shifted = "v" if shift == "0" else f"v >> {shift}"
                whole = not lines and not after_variable
                text = shifted if whole else f"{shifted} & {(1 << field.width) - 1:#x}"
                text = wrapped(f"({text})", field.width) if field.signed else text
            lines.append(f"{slot(field.offset)} = {text}")
        return lines

    def _extract_next(self, stack: Stack, member: int | None, bits: str) -> list[str]:
        header = stack.members[0][member] if member is not None else stack.elements[0]
        others = [one.base for one in stack.members[0] if one is not header] if member is not None else []
        return [
            f"i = f[{stack.next}]",
            f"if i >= {stack.size}: raise ParserError('StackOutOfBounds')",
            f"b = {header.base} + {stack.stride} * i",
            *self._extract(header, bits, "b"),
            *[f"f[{other} + {stack.stride} * i] = 0" for other in others],
            f"f[{stack.next}] = i + 1",
        ]

    # -- calculations --

    def calculate(self, calculation: Calculation) -> list[str]:
        """Lines that leave the result in `h`; inputs of invalid headers are left out."""
        lines = ["v = 0; n = 0"]
        payload = ""
        for one in calculation.inputs:
            match one:
                case Payload():
                    payload = " + p.data[p.offset:]"
                case Bits(value, width, header):
                    if isinstance(value, Slot) and value.variable is not None:
                        step = f"v = v << f[{value.variable}] | f[{value.index}]; n += f[{value.variable}]"
                    else:
                        step = _appended(fitted(value, width, False), width)
                    lines += [step] if header is None else [f"if f[{header}]: {step}"]
                case WholeHeader(header):
                    lines += [f"if f[{header.base}]:", *indented(joined(header))]
        lines += ["k = -n & 7", "d = (v << k).to_bytes(n + k >> 3, 'big')"]
        return [*lines, f"h = {calculation.algorithm}(d{payload})"]


def _appended(value: str, width: int) -> str:
    return f"v = v << {width} | ({value}); n += {width}"


def joined(header: Header) -> list[str]:
    """Lines that append the fields of a header to the value `v` of `n` bits."""
    lines: list[str] = []
    run: list[tuple[str, int]] = []
    for field in header.fields:
        slot = f"f[{header.base + field.offset}]"
        if field.variable:
            length = f"f[{header.base + (header.length_offset or 0)}]"
            lines += [*_run(run), f"v = v << {length} | {slot}; n += {length}"]
            run = []
        else:
            run.append((f"({slot} & {(1 << field.width) - 1:#x})" if field.signed else slot, field.width))
    return lines + _run(run)


def _run(run: list[tuple[str, int]]) -> list[str]:
    """One line for fields of fixed width that follow each other."""
    if not run:
        return []
    left = width = sum(width for _, width in run)
    terms = []
    for value, bits in run:
        left -= bits
        terms.append(f"{value} << {left}" if left else value)
    return [_appended(" | ".join(terms), width)]


def _located(at: HeaderAt, name: str) -> list[str]:
    """Lines that leave the slot of the header's validity flag in `name`, or -1."""
    if at.index is None:
        return [f"{name} = {at.header.base}"]
    return [
        f"{name} = {source(at.index)}",
        f"{name} = {at.header.base} + {at.stride} * {name} if 0 <= {name} < {at.count} else -1",
    ]
