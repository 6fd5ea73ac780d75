"""Loops and variables on top of llvmlite's builder, for functions whose values are all 64 bits wide."""

from collections.abc import Iterator
from contextlib import contextmanager

from llvmlite import ir  # type: ignore[import-untyped]

from p4pmip.softswitch.native.bits import I64

WORD_OCTETS = 8


class Loop:
    """A loop that is being written."""

    def __init__(self, code: "Code") -> None:
        self._code = code
        self.head = code.function.append_basic_block("loop")
        self.after = code.function.append_basic_block("after")

    def leave_if(self, condition: ir.Value) -> None:
        """Go on behind the loop where this holds."""
        stay = self._code.function.append_basic_block("stay")
        self._code.b.cbranch(condition, self.after, stay)
        self._code.b.position_at_end(stay)


class Code:
    """A function of addresses and numbers."""

    def __init__(self, module: ir.Module, name: str, arguments: int) -> None:
        self.function = ir.Function(module, ir.FunctionType(I64, [I64] * arguments), name)
        self.arguments = self.function.args
        entry, start = self.function.append_basic_block("entry"), self.function.append_basic_block("start")
        self._variables, self._start = ir.IRBuilder(entry), start
        self.b = ir.IRBuilder(start)

    def done(self, result: ir.Value) -> ir.Function:
        """The function returns this, and is whole."""
        self.b.ret(result)
        self._variables.branch(self._start)
        return self.function

    def variable(self, value: ir.Value) -> ir.Value:
        """A variable with its first value."""
        made = self._variables.alloca(I64)
        self.b.store(value, made)
        return made

    def variables(self, count: int) -> ir.Value:
        """Words in a row, whose address may be given away."""
        return self._variables.alloca(I64, count)

    def get(self, variable: ir.Value) -> ir.Value:
        """The value of a variable."""
        return self.b.load(variable, typ=I64)

    def set(self, variable: ir.Value, value: ir.Value) -> None:
        """Give a variable another value."""
        self.b.store(value, variable)

    def add(self, variable: ir.Value, value: ir.Value) -> None:
        """Add to a variable."""
        self.set(variable, self.b.add(self.get(variable), value))

    @contextmanager
    def loop(self) -> Iterator[Loop]:
        """Again and again, until `leave_if`."""
        made = Loop(self)
        self.b.branch(made.head)
        self.b.position_at_end(made.head)
        yield made
        self.b.branch(made.head)
        self.b.position_at_end(made.after)

    @contextmanager
    def count(self, end: ir.Value) -> Iterator[ir.Value]:
        """For each number from 0 up to `end`."""
        at = self.variable(I64(0))
        with self.loop() as loop:
            index = self.get(at)
            loop.leave_if(self.b.icmp_unsigned(">=", index, end))
            yield index
            self.add(at, I64(1))

    def address(self, base: ir.Value, word: ir.Value | int) -> ir.Value:
        """The pointer to a word behind an address."""
        offset = I64(word) if isinstance(word, int) else word
        return self.b.inttoptr(self.b.add(base, self.b.mul(offset, I64(WORD_OCTETS))), I64.as_pointer())

    def word(self, base: ir.Value, word: ir.Value | int) -> ir.Value:
        """A word in memory."""
        return self.b.load(self.address(base, word), typ=I64)

    def put(self, base: ir.Value, word: ir.Value | int, value: ir.Value) -> None:
        """Write a word in memory."""
        self.b.store(value, self.address(base, word))

    def acquire(self, base: ir.Value, word: ir.Value | int) -> ir.Value:
        """A word that another thread publishes."""
        return self.b.load_atomic(self.address(base, word), "acquire", WORD_OCTETS, typ=I64)

    def publish(self, base: ir.Value, word: ir.Value | int, value: ir.Value) -> None:
        """Write a word that another thread reads: all that was written before is there first."""
        self.b.store_atomic(value, self.address(base, word), "seq_cst", WORD_OCTETS)
