"""Interpreter against native, at length: `python -m tests.softswitch.executors [--packets N] [PROGRAM…]`.

Generated packets and table states that change all the time, on every core. Output, drops, counters and registers must
be equal. Each packet ends where a page begins that may not be touched, and so does the room for what leaves: machine
code that reads or writes outside its buffers ends the process. Exit status 0 if all is equal, 1 if not.
"""

import argparse
import ctypes
import mmap
import random
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from google.protobuf import text_format
from tests.softswitch.conftest import PROGRAMS
from tests.softswitch.test_native import CPU_PORT, DROP_PORT, Frames, churn, commands, pmip, routed

from p4pmip.softswitch.native.layout import GROWTH, KIND_SHIFT, PORT_SHIFT, VERDICT_SEND, VERDICT_SLOW
from p4pmip.softswitch.pipeline import DROPS
from p4pmip.softswitch.target.config import load
from p4pmip.softswitch.target.running import Running
from p4pmip.softswitch.target.stubs import p4runtime

LEAN = Path(__file__).parents[2] / "bench" / "programs" / "build"
SOURCES: dict[str, tuple[Path | None, Callable[[random.Random], Frames]]] = {
    "pmip": (None, routed),
    "features": (PROGRAMS, commands),
    "router": (PROGRAMS, routed),
    "loop": (PROGRAMS, commands),
    "lean": (LEAN / "router", routed),
}
"""By name: where the program is (None: ours), and what its packets are made by."""
SHARE = 20_000
"""Packets from one beginning: after them tables, counters and registers start again."""
CHURN = 8
"""Packets for each change of a table."""
STATE = (
    "counter_entry { }",
    "direct_counter_entry { table_entry { } }",
    "register_entry { }",
    "table_entry { counter_data { } }",
)


class Guarded:
    """Memory that ends where a page begins that may not be touched."""

    def __init__(self, octets: int) -> None:
        page = mmap.PAGESIZE
        whole = -(-octets // page) * page
        self._area = mmap.mmap(-1, whole + page)
        start = ctypes.addressof(ctypes.c_char.from_buffer(self._area))
        libc = ctypes.CDLL(None, use_errno=True)
        libc.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
        if libc.mprotect(start + whole, page, 0) != 0:
            raise OSError(ctypes.get_errno(), "mprotect")
        self.end = start + whole


@dataclass(slots=True)
class Result:
    """What one share showed."""

    packets: int = 0
    native: int = 0
    """Packets that machine code finished."""
    problem: str = ""


def config(name: str) -> "p4runtime.ForwardingPipelineConfig":
    """A program by its name here."""
    place, _ = SOURCES[name]
    if place is None:
        return pmip()
    base = place / name if place.is_dir() else place
    made = p4runtime.ForwardingPipelineConfig(p4_device_config=base.with_suffix(".json").read_bytes())
    text_format.Parse(Path(f"{base}.p4info.txtpb").read_text(), made.p4info)
    return made


def share(name: str, seed: int, packets: int) -> Result:
    """One share of a program's packets through both."""
    made, choose, result = config(name), random.Random(seed), Result()
    plain, native = Running(load(made, DROP_PORT)), Running(load(made, DROP_PORT))
    executor = native.pipeline.use_native(CPU_PORT)
    if executor is None:
        return Result(problem="native refused the program")
    if seed % 2:
        executor.optimize().join()
    came, leaves = Guarded(1 << 14), Guarded(1 << 15)
    wanted: list[tuple[int, bytes]] = []
    got: list[tuple[int, bytes]] = []

    def expect(to: int, data: bytes) -> None:
        wanted.append((to, data))

    def interpreted(to: int, data: bytes) -> None:
        got.append((to, data))

    changes = any(not one.const and one.profile is None for one in plain.schema.tables.values())
    for number, (port, frame) in zip(range(packets), SOURCES[name][1](choose), strict=False):
        if changes and number % CHURN == 0:
            churn((plain, native), choose, number)
        now = 1000.0 + number
        wanted.clear()
        got.clear()
        state = random.getstate()  # v1model's random() draws from it: both draw the same
        plain.pipeline.process(port, frame, now, expect)
        random.setstate(state)
        length = len(frame)
        ctypes.memmove(came.end - length, frame, length)
        out = leaves.end - length - GROWTH
        verdict = executor.current().process(came.end - length, length, port, int(now * 1_000_000), out)
        kind = verdict >> KIND_SHIFT
        result.native += kind != VERDICT_SLOW
        if kind == VERDICT_SLOW:
            native.pipeline.interpret(port, frame, now, interpreted)
        elif kind == VERDICT_SEND:
            got.append((verdict >> PORT_SHIFT & 0xFFFFFF, ctypes.string_at(out, verdict & 0xFFFFFFFF)))
        else:
            native.pipeline.drops[DROPS[kind]] += 1
        result.packets += 1
        if wanted != got:
            result.problem = f"port {port}, packet {frame.hex()}: interpreter {wanted}, native {got}"
            return result
    if plain.pipeline.drops != native.pipeline.drops:
        result.problem = f"drops: interpreter {plain.pipeline.drops}, native {native.pipeline.drops}"
    for text in STATE:
        entity = text_format.Parse(text, p4runtime.Entity())
        if list(plain.read(entity, 0.0)) != list(native.read(entity, 0.0)):
            result.problem = f"{text} differs"
    return result


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--packets", type=int, default=10_000_000, help="of all programs together")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("programs", nargs="*", metavar="PROGRAM", help=f"of {', '.join(SOURCES)}")
    args = parser.parse_args()
    names = args.programs or list(SOURCES)
    if unknown := sorted(set(names) - set(SOURCES)):
        parser.error(f"no such program: {', '.join(unknown)}")
    each = -(-args.packets // len(names))
    began, failed, total = time.monotonic(), 0, 0
    with ProcessPoolExecutor() as pool:
        for name in names:
            sizes = [min(SHARE, each - at) for at in range(0, each, SHARE)]
            jobs = [pool.submit(share, name, args.seed + number, size) for number, size in enumerate(sizes)]
            results = [(args.seed + number, job.result()) for number, job in enumerate(jobs)]
            packets, native = (sum(getattr(one, what) for _, one in results) for what in ("packets", "native"))
            total += packets
            print(f"{name}: {packets:,} packets, {100 * native // max(packets, 1)} % of them native", flush=True)
            for seed, one in results:
                if one.problem:
                    failed += 1
                    print(f"FAILED {name}, seed {seed}: {one.problem}", flush=True)
    print(f"{total:,} packets in {time.monotonic() - began:.0f} s, {failed} shares differ")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
