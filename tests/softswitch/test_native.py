"""Native against the interpreter: the same program, entries and packets give the same output, drops and counters."""

import ctypes
import mmap
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from google.protobuf import text_format

from p4pmip.softswitch.ir import MatchKind
from p4pmip.softswitch.native.layout import VERDICT_SLOW
from p4pmip.softswitch.target.bytestring import encode
from p4pmip.softswitch.target.config import load
from p4pmip.softswitch.target.match import encode_match
from p4pmip.softswitch.target.refusal import Refusal
from p4pmip.softswitch.target.running import Running
from p4pmip.softswitch.target.schema import MatchField
from p4pmip.softswitch.target.stubs import p4runtime

Programs = Callable[[str], "p4runtime.ForwardingPipelineConfig"]
Frames = Iterator[tuple[int, bytes]]
PIPELINE = Path(__file__).parents[2] / "p4src" / "build"
DROP_PORT, CPU_PORT = 511, 510
PACKETS = 1500
ADDRESSES = [0x0A010001, 0x0A010002, 0xC0000201]


def pmip() -> "p4runtime.ForwardingPipelineConfig":
    """Our own program."""
    config = p4runtime.ForwardingPipelineConfig(p4_device_config=(PIPELINE / "pmip.json").read_bytes())
    text_format.Parse((PIPELINE / "pmip.p4info.txtpb").read_text(), config.p4info)
    return config


def part(choose: random.Random, field: MatchField) -> tuple[int, int] | None:
    """What an entry says about a field: small numbers and few addresses, so that packets find it."""
    top = (1 << field.width) - 1
    value = choose.choice([0, 1, 2, 3, *ADDRESSES, *(0x20010DB8 << 96 | one for one in ADDRESSES)]) & top
    match field.kind:
        case MatchKind.EXACT:
            return value, 0
        case _ if choose.random() < 0.4:
            return None
        case MatchKind.LPM:
            length = choose.randrange(1, field.width + 1)
            return value >> field.width - length << field.width - length, length
        case MatchKind.RANGE:
            return (value, min(top, value + 70)) if value else None
        case MatchKind.OPTIONAL:
            return value, top
        case MatchKind.TERNARY:
            mask = choose.choice([top, 1, 3]) & top
            return value & mask, mask


def entry(running: Running, choose: random.Random, number: int) -> "p4runtime.Update":
    """An entry of any table."""
    tables = [one for one in running.schema.tables.values() if not one.const and one.profile is None]
    schema = choose.choice(tables)
    update = p4runtime.Update(type=p4runtime.Update.INSERT)
    into = update.entity.table_entry
    into.table_id = schema.id
    encode_match(schema, tuple(part(choose, field) for field in schema.fields), into)
    into.priority = 1 + number % 7 if schema.needs_priority else 0
    ref = choose.choice([one for one in schema.actions.values() if not one.default_only])
    into.action.action.action_id = ref.id
    for parameter, _, width in ref.parameters:
        value = choose.choice([1, 2, 3, 60, 1500, ADDRESSES[0], choose.getrandbits(width)]) & (1 << width) - 1
        into.action.action.params.add(param_id=parameter, value=encode(value))
    return update


def write_both(runnings: tuple[Running, Running], update: "p4runtime.Update") -> None:
    """The same update in both: taken by both, or refused by both with the same words."""
    outcomes = []
    for running in runnings:
        try:
            running.write(update, 0.0)
            outcomes.append("")
        except Refusal as refusal:
            outcomes.append(str(refusal))
    assert outcomes[0] == outcomes[1]


def churn(runnings: tuple[Running, Running], choose: random.Random, number: int) -> None:
    """The same insertion, or modification, or deletion, in both."""
    update = entry(runnings[0], choose, number)
    update.type = choose.choice([p4runtime.Update.INSERT] * 3 + [p4runtime.Update.MODIFY, p4runtime.Update.DELETE])
    write_both(runnings, update)


def routed(choose: random.Random) -> Frames:
    """IPv4 and UDP, whole and cut."""
    while True:
        header = (
            bytes.fromhex("45") + choose.randbytes(7) + bytes([choose.choice([1, 2, 64]), choose.choice([17, 6, 47])])
        )
        header += b"\0\0" + b"".join(choose.choice(ADDRESSES).to_bytes(4, "big") for _ in range(2))
        if choose.random() < 0.9:
            total = sum(int.from_bytes(header[at : at + 2], "big") for at in range(0, 20, 2))
            while total >> 16:
                total = (total >> 16) + (total & 0xFFFF)
            header = header[:10] + (~total & 0xFFFF).to_bytes(2, "big") + header[12:]
        kind = choose.choice([b"\x08\x00", b"\x08\x00", b"\x86\xdd", b"\x81\x00\x00\x01\x08\x00"])
        macs = bytes.fromhex("000000000001") * 2
        gre = bytes.fromhex(choose.choice(["20000800", "00000800", "30000800", "a0000800"])) + bytes([0, 0, 0, 1])
        frame = macs + kind + header + (gre + header if header[9] == 47 else bytes([0, 53, 0, choose.choice([60, 80])]))
        frame += choose.randbytes(choose.choice([0, 1, 4, 60]))
        yield choose.randrange(4), frame[: choose.randrange(len(frame))] if choose.random() < 0.1 else frame


def commands(choose: random.Random) -> Frames:
    """What features.p4 understands."""
    while True:
        code = choose.choice([one for one in range(28) if one not in (15,)])
        frame = bytes([code, choose.choice([0, 1, 2, 3, 9, 0x1C, 0x82])]) + choose.randbytes(
            choose.choice([0, 2, 3, 8, 40])
        )
        yield choose.randrange(4), frame


CASES = [("router", routed, 0.2), ("features", commands, 0.05), ("pmip", routed, 0.3)]


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize(("name", "frames", "least"), CASES)
@pytest.mark.parametrize("optimized", [False, True])
def test_same_as_the_interpreter(
    program: Programs, name: str, frames: Callable[[random.Random], Frames], least: float, seed: int, optimized: bool
) -> None:
    config = pmip() if name == "pmip" else program(name)
    plain, native = Running(load(config, DROP_PORT)), Running(load(config, DROP_PORT))
    machine = native.pipeline.use_native(CPU_PORT)
    assert machine is not None
    if optimized:
        machine.optimize().join()
    choose = random.Random(seed)
    for number, (port, frame) in zip(range(PACKETS), frames(choose), strict=False):
        churn((plain, native), choose, number)
        now = 1000.0 + number
        outputs: tuple[list[tuple[int, bytes]], list[tuple[int, bytes]]] = ([], [])
        for running, out in zip((plain, native), outputs, strict=True):
            running.pipeline.process(port, frame, now, lambda to, data, out=out: out.append((to, data)))  # type: ignore[misc]
        assert outputs[0] == outputs[1], frame.hex()
    assert plain.pipeline.drops == native.pipeline.drops
    for wanted in ("counter_entry { }", "direct_counter_entry { table_entry { } }", "register_entry { }"):
        entity = text_format.Parse(wanted, p4runtime.Entity())
        assert list(plain.read(entity, 0.0)) == list(native.read(entity, 0.0)), wanted
    entity = text_format.Parse("table_entry { counter_data { } }", p4runtime.Entity())
    assert list(plain.read(entity, 0.0)) == list(native.read(entity, 0.0))
    runs = [machine.run(port, frame, 0.0)[0] for port, frame in first_frames(frames, seed)]
    share = sum(verdict != VERDICT_SLOW for verdict in runs) / len(runs)
    assert share >= least, "machine code leaves too much to the interpreter"


def first_frames(frames: Callable[[random.Random], Frames], seed: int) -> list[tuple[int, bytes]]:
    """The first frames of a source."""
    source = frames(random.Random(seed))
    return [next(source) for _ in range(200)]


def test_a_configured_meter_is_the_interpreters(program: Programs) -> None:
    """The packets of an entry whose meter is configured take the interpreter's path, and are coloured there."""
    running = Running(load(program("router"), DROP_PORT))
    machine = running.pipeline.use_native(CPU_PORT)
    assert machine is not None
    table = running.pipeline.tables["router_ingress.policy"]
    mirror = machine.tables[table.name]
    police = next(one for one in running.schema.tables.values() if one.alias == "policy")
    ref = next(one for one in police.actions.values() if one.name.endswith("police"))
    update = p4runtime.Update(type=p4runtime.Update.INSERT)
    into = update.entity.table_entry
    into.table_id, into.priority = police.id, 1
    into.action.action.action_id = ref.id
    running.write(update, 0.0)
    (held,) = table.by_key.values()
    assert not mirror.is_slow(held)
    update.type = p4runtime.Update.MODIFY
    into.meter_config.cir, into.meter_config.cburst = 1, 1
    into.meter_config.pir, into.meter_config.pburst = 1, 1
    running.write(update, 0.0)
    assert mirror.is_slow(held)


def test_nothing_is_read_outside_a_packet(program: Programs) -> None:
    """Every frame that is too short, at the very end of a page that nothing follows."""
    running = Running(load(pmip(), DROP_PORT))
    machine = running.pipeline.use_native(CPU_PORT)
    assert machine is not None
    page = mmap.PAGESIZE
    area = mmap.mmap(-1, 2 * page)
    start = ctypes.addressof(ctypes.c_char.from_buffer(area))
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    assert libc.mprotect(start + page, page, 0) == 0
    out = ctypes.create_string_buffer(4096)
    for (port, frame), length in zip(first_frames(routed, 3), range(200), strict=True):
        cut = (frame * 8)[:length]
        ctypes.memmove(start + page - length, cut, length)
        machine.machine.process(start + page - length, length, port, 0, ctypes.addressof(out))
    assert libc.mprotect(start + page, page, 3) == 0
