"""Compiles a program with llvmlite, keeps its tables' mirrors, and runs packets through the machine code."""

import ctypes
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import llvmlite.binding as llvm  # type: ignore[import-untyped]

from p4pmip.softswitch.ir import Program
from p4pmip.softswitch.native.layout import GROWTH, KIND_SHIFT, PORT_SHIFT, VERDICT_SEND, VERDICT_SLOW, TableLayout
from p4pmip.softswitch.native.loop import define_loop
from p4pmip.softswitch.native.lower import Lowering
from p4pmip.softswitch.native.memory import NativeCounter, NativeTable
from p4pmip.softswitch.native.slab import Epoch
from p4pmip.softswitch.state import CounterArray
from p4pmip.softswitch.tables import MatchTable

MAXIMUM_FRAME = 10_240
FAST, OPTIMIZED = 0, 2
"""LLVM's levels: the first is there at once, the second replaces it when it is ready."""

PROCESS = ctypes.CFUNCTYPE(
    ctypes.c_uint64, ctypes.c_void_p, ctypes.c_uint64, ctypes.c_uint64, ctypes.c_uint64, ctypes.c_void_p
)
LOOP = ctypes.CFUNCTYPE(ctypes.c_uint64, ctypes.c_void_p)

_initialized = threading.Lock()
_ready = False


def _initialize() -> None:
    global _ready
    with _initialized:
        if not _ready:
            llvm.initialize_native_target()
            llvm.initialize_native_asmprinter()
            _ready = True


@dataclass(frozen=True, slots=True)
class Machine:
    """Machine code for one program, and where it looks for its tables and counters."""

    engine: Any
    process: Any
    loop: Any
    """Releases the GIL while it runs."""
    views: Mapping[str, int]
    defaults: Mapping[str, int]
    counters: Mapping[str, int]
    layouts: Mapping[str, TableLayout]
    text: str


def build(program: Program, drop_port: int, cpu_port: int, level: int) -> Machine:
    """Compile a program."""
    _initialize()
    lowering = Lowering(program, drop_port, cpu_port)
    made = lowering.build()
    define_loop(made, lowering.function)
    text = str(made)
    module = llvm.parse_assembly(text)
    module.verify()
    target = llvm.Target.from_default_triple().create_target_machine(opt=level)
    if level:
        passes = llvm.create_pass_builder(target, llvm.create_pipeline_tuning_options(speed_level=level))
        passes.getModulePassManager().run(module, passes)
    engine = llvm.create_mcjit_compiler(module, target)
    engine.finalize_object()
    address = engine.get_global_value_address
    return Machine(
        engine,
        PROCESS(engine.get_function_address("process")),
        LOOP(engine.get_function_address("loop")),
        {name: address(variable.name) for name, variable in lowering.views.items()},
        {name: address(variable.name) for name, variable in lowering.defaults.items()},
        {name: address(variable.name) for name, variable in lowering.counters.items()},
        lowering.layouts,
        text,
    )


class NativeExecutor:
    """The machine code in use, and the mirrors of the tables and counters that it reads and counts in."""

    def __init__(
        self,
        program: Program,
        tables: Mapping[str, MatchTable],
        counters: Mapping[str, CounterArray],
        drop_port: int,
        cpu_port: int,
    ) -> None:
        self._arguments = (program, drop_port, cpu_port)
        self.machine = build(program, drop_port, cpu_port, FAST)
        self.epoch = Epoch()
        self.tables = {
            name: NativeTable(program, tables[name], self.machine.layouts[name], self.epoch)
            for name in self.machine.views
        }
        self.counters = {name: NativeCounter(len(counters[name].packets)) for name in self.machine.counters}
        for name, mirror in self.tables.items():
            tables[name].mirror = mirror
        for name, cells in self.counters.items():
            counters[name].mirror = cells
        self.looping = False
        """Whether a packet loop runs the machine code; nothing else may then: both would count in the same cells."""
        self.better: Machine | None = None
        """What is used from now on, unless a packet loop runs the other."""
        self._use(self.machine)
        self._in = ctypes.create_string_buffer(MAXIMUM_FRAME)
        self._out = ctypes.create_string_buffer(MAXIMUM_FRAME + GROWTH)

    def optimize(self, ready: Callable[[], None] = lambda: None) -> threading.Thread:
        """Begin to make better machine code; `ready` is called in another thread when it is there."""
        thread = threading.Thread(target=self._optimize, args=(ready,), daemon=True, name="p4pmip-optimize")
        thread.start()
        return thread

    def _optimize(self, ready: Callable[[], None]) -> None:
        self.better = build(*self._arguments, OPTIMIZED)
        ready()

    def _use(self, machine: Machine) -> None:
        for name, mirror in self.tables.items():
            mirror.bind(machine.views[name], machine.defaults[name])
        for name, cells in self.counters.items():
            cells.bind(machine.counters[name])
        self.machine = machine

    def current(self) -> Machine:
        """The best machine code there is. No packet loop may run."""
        if self.better is not None:
            self._use(self.better)
            self.better = None
        return self.machine

    def run(self, port: int, frame: bytes, now: float) -> tuple[int, int, bytes]:
        """(verdict, port, frame that leaves) for one packet."""
        length = len(frame)
        if length > MAXIMUM_FRAME:
            return VERDICT_SLOW, 0, b""
        ctypes.memmove(self._in, frame, length)
        result: int = self.current().process(
            ctypes.addressof(self._in), length, port, int(now * 1_000_000), ctypes.addressof(self._out)
        )
        kind = result >> KIND_SHIFT
        if kind != VERDICT_SEND:
            return kind, 0, b""
        return kind, result >> PORT_SHIFT & 0xFFFFFF, ctypes.string_at(self._out, result & 0xFFFFFFFF)
