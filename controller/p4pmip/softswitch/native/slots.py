"""Hash slots in machine code: where lookups read, tables write, with one store for each change.

A slot holds EMPTY, GONE or the address of a record, which begins with its key. `hashed` is the hash that lookups use.
"""

import ctypes
import functools
from dataclasses import dataclass
from typing import Any

import llvmlite.binding as llvm  # type: ignore[import-untyped]
from llvmlite import ir

from p4pmip.softswitch.native.bits import I64
from p4pmip.softswitch.native.code import Code
from p4pmip.softswitch.native.layout import EMPTY, GONE, MULTIPLY


def mixed(b: ir.IRBuilder, value: ir.Value | None, word: ir.Value) -> ir.Value:
    """The hash of a key's words so far, and one more: None before the first."""
    if value is None:
        value = b.mul(word, I64(MULTIPLY[0]))
        return b.xor(value, b.lshr(value, I64(32)))
    value = b.mul(b.xor(value, word), I64(MULTIPLY[1]))
    return b.xor(value, b.lshr(value, I64(29)))


def _hashed(module: ir.Module) -> ir.Function:
    """The hash of the key that a record begins with."""
    code = Code(module, "hashed", 2)
    record, words = code.arguments
    value = code.variable(mixed(code.b, None, code.word(record, 0)))
    with code.count(code.b.sub(words, I64(1))) as at:
        code.set(value, mixed(code.b, code.get(value), code.word(record, code.b.add(at, I64(1)))))
    return code.done(code.get(value))


def _place(module: ir.Module, hashed: ir.Function) -> ir.Function:
    """Put a record into the first slot that is free; whether that slot was EMPTY."""
    code = Code(module, "place", 4)
    slots, mask, record, words = code.arguments
    b = code.b
    at = code.variable(b.and_(b.call(hashed, [record, words]), mask))
    with code.loop() as loop:
        held = code.word(slots, code.get(at))
        loop.leave_if(b.icmp_unsigned("<=", held, I64(GONE)))
        code.set(at, b.and_(b.add(code.get(at), I64(1)), mask))
    held = code.word(slots, code.get(at))
    code.publish(slots, code.get(at), record)
    return code.done(b.zext(b.icmp_unsigned("==", held, I64(EMPTY)), I64))


def _replace(module: ir.Module, hashed: ir.Function) -> ir.Function:
    """Put a record of the same key, or GONE, where a record is."""
    code = Code(module, "replace", 5)
    slots, mask, record, other, words = code.arguments
    b = code.b
    at = code.variable(b.and_(b.call(hashed, [record, words]), mask))
    with code.loop() as loop:
        loop.leave_if(b.icmp_unsigned("==", code.word(slots, code.get(at)), record))
        code.set(at, b.and_(b.add(code.get(at), I64(1)), mask))
    code.publish(slots, code.get(at), other)
    return code.done(I64(0))


def _move(module: ir.Module, place: ir.Function) -> ir.Function:
    """Put all records of some slots into others that are empty; how many."""
    code = Code(module, "move", 5)
    slots, capacity, others, mask, words = code.arguments
    b = code.b
    moved = code.variable(I64(0))
    with code.count(capacity) as at:
        held = code.word(slots, at)
        with b.if_then(b.icmp_unsigned(">", held, I64(GONE))):
            code.add(moved, b.call(place, [others, mask, held, words]))
    return code.done(code.get(moved))


def _publish(module: ir.Module) -> ir.Function:
    """Write one word that lookups read."""
    code = Code(module, "publish", 2)
    address, value = code.arguments
    code.publish(address, 0, value)
    return code.done(I64(0))


@dataclass(frozen=True, slots=True)
class Slots:
    """The functions; addresses and numbers in, one number out."""

    engine: Any
    place: Any
    replace: Any
    move: Any
    publish: Any


@functools.cache
def slots() -> Slots:
    """The functions, made once. LLVM's native target must be initialized."""
    module = ir.Module("p4pmip_slots")
    hashed = _hashed(module)
    place = _place(module, hashed)
    made = {"place": place, "replace": _replace(module, hashed), "move": _move(module, place)}
    made["publish"] = _publish(module)
    parsed = llvm.parse_assembly(str(module))
    parsed.verify()
    target = llvm.Target.from_default_triple().create_target_machine(opt=2)
    passes = llvm.create_pass_builder(target, llvm.create_pipeline_tuning_options(speed_level=2))
    passes.getModulePassManager().run(parsed, passes)
    engine = llvm.create_mcjit_compiler(parsed, target)
    engine.finalize_object()
    functions = {}
    for name, function in made.items():
        # These are short: keeping the GIL costs less than giving it away. Only `move` may take long.
        kind = ctypes.CFUNCTYPE if name == "move" else ctypes.PYFUNCTYPE
        prototype = kind(ctypes.c_uint64, *[ctypes.c_uint64] * len(function.args))
        functions[name] = prototype(engine.get_function_address(name))
    return Slots(engine, **functions)
