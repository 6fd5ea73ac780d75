"""Interpreter against native, at length: `python -m tests.softswitch.executors [--packets N] [PROGRAM…]`.

Generated packets and table states that change all the time, on every core. Output, drops, digests, counters and
registers must be equal. Each packet ends where a page begins that may not be touched, and so does the room for what
leaves: machine code that reads or writes outside its buffers ends the process. Exit status 0 if all is equal, 1 if not.
"""

import ctypes
import math
import mmap
import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from google.protobuf import text_format
from tests.softswitch.conftest import PROGRAMS
from tests.softswitch.sessions import DIRECTIONS, Domain
from tests.softswitch.test_native import CPU_PORT, DROP_PORT, Frames, churn, commands, pmip, routed

from p4pmip.cli._arguments import count
from p4pmip.cli.main import Parser
from p4pmip.softswitch.ir import MatchKind
from p4pmip.softswitch.native.layout import GROWTH, KIND_SHIFT, PORT_SHIFT, VERDICT_SEND, VERDICT_SLOW
from p4pmip.softswitch.pipeline import DROPS
from p4pmip.softswitch.target.bytestring import encode
from p4pmip.softswitch.target.config import load
from p4pmip.softswitch.target.match import encode_match
from p4pmip.softswitch.target.running import Running
from p4pmip.softswitch.target.schema import ActionRef
from p4pmip.softswitch.target.stubs import p4runtime

LEAN = Path(__file__).parents[2] / "bench" / "programs" / "build"


def octets(choose: random.Random, first: Sequence[int] = range(20), length: int = 70) -> Frames:
    """A command octet, then numbers at the ends of their ranges and any others, sometimes cut short."""
    while True:
        frame = bytes([choose.choice(first) if choose.random() < 0.9 else choose.randrange(256)])
        while len(frame) < length:
            frame += choose.choice(
                [b"\0", b"\1", b"\2", b"\3", b"\0\3", b"\x7f\xff", b"\x80\0", b"\xff" * 4, b"\x0a\1\0\1"]
            )
            frame += choose.choice([b"", b"", choose.randbytes(2)])
        yield choose.randrange(4), frame[: choose.randrange(40)] if choose.random() < 0.1 else frame


SOURCES: dict[str, tuple[Path | None, Callable[[random.Random], Frames]]] = {
    "pmip": (None, routed),
    "features": (PROGRAMS, commands),
    "router": (PROGRAMS, routed),
    "loop": (PROGRAMS, commands),
    "lean": (LEAN / "router", routed),
    "arithmetic": (PROGRAMS, octets),
    "matching": (PROGRAMS, octets),
    "parsing": (PROGRAMS, octets),
    "hashing": (PROGRAMS, octets),
    "copies": (PROGRAMS, octets),
    "states": (PROGRAMS, octets),
    "stacks": (PROGRAMS, partial(octets, first=(*range(0x10, 0x1B), *range(0x20, 0x23), *range(0x30, 0x33)))),
    "flow": (PROGRAMS, partial(octets, first=(*range(8), 0xE0, 0xF0))),
    "entries": (PROGRAMS, octets),
    "widths": (PROGRAMS, partial(octets, length=402)),
}
"""By name: where the program is (None: ours), and what its packets are made by."""
WEIGHTS = {"pmip": 13.0, "loop": 1 / 256}
"""How many packets a program gets, beside 1 for the others: ours half of all; few where each passes many times."""
SHARE = 50_000
"""Packets from one beginning: after them tables, counters and registers start again."""
CHURN = 8
"""Packets for each change of a table."""
SESSIONS_ALONE = 0.75
"""For how much of a share of our program only entries of sessions change; then those of any table."""
STATE = (
    "counter_entry { }",
    "direct_counter_entry { table_entry { } }",
    "register_entry { }",
    "table_entry { counter_data { } }",
)


COUNTED = ("packets", "native", "left")


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
    left: int = 0
    """Packets that something came out for."""
    sessions: Counter[str] = field(default_factory=Counter)
    """Packets that found a session of our program, by role and direction."""
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


def action(choose: random.Random, actions: Iterable[ActionRef], into: "p4runtime.Action") -> None:
    """Any action of some."""
    ref = choose.choice([one for one in actions if not one.default_only])
    into.action_id = ref.id
    for parameter, _, width in ref.parameters:
        into.params.add(param_id=parameter, value=encode(choose.getrandbits(width)))


def prepare(runnings: tuple[Running, Running], choose: random.Random) -> None:
    """Multicast groups, clone sessions, value sets and meters; members and groups, with the entries that name them."""
    schema = runnings[0].schema
    entities, modified = [], []
    for number in (1, 2, 3, 127):
        entity = p4runtime.Entity()
        group = entity.packet_replication_engine_entry.multicast_group_entry
        group.multicast_group_id = number
        for instance in range(choose.randrange(4)):
            group.replicas.add(egress_port=choose.randrange(1, 5), instance=instance)
        entities.append(entity)
        entity = p4runtime.Entity()
        session = entity.packet_replication_engine_entry.clone_session_entry
        session.session_id, session.packet_length_bytes = number, choose.choice([0, 0, 3, 20])
        session.replicas.add(egress_port=choose.randrange(1, 5), instance=number)
        entities.append(entity)
    for profile in schema.profiles.values():
        for number in range(1, 5):
            entity = p4runtime.Entity()
            member = entity.action_profile_member
            member.action_profile_id, member.member_id = profile.id, number
            action(choose, profile.actions.values(), member.action)
            entities.append(entity)
        if profile.selector:
            entity = p4runtime.Entity()
            several = entity.action_profile_group
            several.action_profile_id, several.group_id = profile.id, 1
            for number in range(1, 5):
                several.members.add(member_id=number, weight=1)
            entities.append(entity)
    for table in schema.tables.values():
        if table.profile is None or table.const:
            continue
        for number in range(8):
            entity = p4runtime.Entity()
            into = entity.table_entry
            into.table_id = table.id
            match = tuple(
                (number & (1 << field.width) - 1, (1 << field.width) - 1 if field.kind is MatchKind.TERNARY else 0)
                for field in table.fields
            )
            encode_match(table, match, into)
            into.priority = 1 if table.needs_priority else 0
            if schema.profiles[table.profile].selector and number % 2:
                into.action.action_profile_group_id = 1
            else:
                into.action.action_profile_member_id = 1 + number % 4
            entities.append(entity)
    for number in schema.value_sets:
        entity = p4runtime.Entity()
        entity.value_set_entry.value_set_id = number
        entity.value_set_entry.members.add().match.add(field_id=1).exact.value = encode(choose.randrange(15))
        modified.append(entity)
    for meter in schema.meters.values():
        entity = p4runtime.Entity()
        entity.meter_entry.meter_id, entity.meter_entry.index.index = meter.id, 1
        rates = entity.meter_entry.config
        rates.cir, rates.cburst, rates.pir, rates.pburst = 1, 5, 2, 9
        modified.append(entity)
    for entity in modified:
        for running in runnings:
            running.write(p4runtime.Update(type=p4runtime.Update.MODIFY, entity=entity), 0.0)
    for entity in entities:
        for running in runnings:
            running.write(p4runtime.Update(type=p4runtime.Update.INSERT, entity=entity), 0.0)


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

    wanted_digests: list[tuple[int, tuple[int, ...]]] = []
    got_digests: list[tuple[int, tuple[int, ...]]] = []

    def expect(to: int, data: bytes) -> None:
        wanted.append((to, data))

    def interpreted(to: int, data: bytes) -> None:
        got.append((to, data))

    plain.pipeline.on_digest = lambda number, values: wanted_digests.append((number, values))
    native.pipeline.on_digest = lambda number, values: got_digests.append((number, values))
    prepare((plain, native), choose)
    changes = any(not one.const and one.profile is None for one in plain.schema.tables.values())
    frames = SOURCES[name][1](choose)
    domain = None
    if SOURCES[name][0] is None:
        domain = Domain((plain, native), seed // 2)
        frames = domain.frames(choose, frames)
    for number, (port, frame) in zip(range(packets), frames, strict=False):
        if number % CHURN == 0:
            if domain is not None and number < SESSIONS_ALONE * packets:
                domain.churn(choose)
            elif changes:
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
        result.left += bool(wanted)
        if wanted != got:
            result.problem = f"port {port}, packet {frame.hex()}: interpreter {wanted}, native {got}"
            return result
    if domain is not None:
        result.sessions[domain.direction] += domain.hits()
    if wanted_digests != got_digests:
        result.problem = "digests differ"
    if plain.pipeline.drops != native.pipeline.drops:
        result.problem = f"drops: interpreter {plain.pipeline.drops}, native {native.pipeline.drops}"
    for text in STATE:
        entity = text_format.Parse(text, p4runtime.Entity())
        if list(plain.read(entity, 0.0)) != list(native.read(entity, 0.0)):
            result.problem = f"{text} differs"
    return result


def main() -> int:
    """The command."""
    parser = Parser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--packets", type=count, default=10_000_000, help="of all programs together")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("programs", nargs="*", metavar="PROGRAM", help=f"of {', '.join(SOURCES)}")
    args = parser.parse_args()
    names = args.programs or list(SOURCES)
    if unknown := sorted(set(names) - set(SOURCES)):
        parser.error(f"no such program: {', '.join(unknown)}")
    weights = {name: WEIGHTS.get(name, 1.0) for name in names}
    began, failed, total, sessions = time.monotonic(), 0, 0, Counter[str]()
    with ProcessPoolExecutor() as pool:
        for name in names:
            each = math.ceil(args.packets * weights[name] / sum(weights.values()))
            sizes = [min(SHARE, each - at) for at in range(0, each, SHARE)]
            jobs = [pool.submit(share, name, args.seed + number, size) for number, size in enumerate(sizes)]
            results = [(args.seed + number, job.result()) for number, job in enumerate(jobs)]
            packets, native, left = (sum(getattr(one, what) for _, one in results) for what in COUNTED)
            total += packets
            shares = " and ".join(f"{100 * part // max(packets, 1)} % {what}" for part, what in
                                  ((native, "native"), (left, "with output")))  # fmt: skip
            print(f"{name}: {packets:,} packets, {shares}", flush=True)
            for _, one in results:
                sessions.update(one.sessions)
            for seed, one in results:
                if one.problem:
                    failed += 1
                    print(f"FAILED {name}, seed {seed}: {one.problem}", flush=True)
    if sessions:
        found = ", ".join(f"{one} {sessions[one]:,}" for one in DIRECTIONS)
        print(f"of them {sessions.total():,} of sessions of our program: {found}")
    print(f"{total:,} packets in {time.monotonic() - began:.0f} s, {failed} shares differ")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
