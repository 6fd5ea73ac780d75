"""Mutated programs pushed into the softswitch: each is refused by name, or is a pipeline that works.

    python fuzz/push.py [--runs N] [--seed N]

Each run changes the BMv2 JSON of some program, or its P4Info, in a few places, and loads it. What is taken gets
entries and packets: no exception, no crash, no end of time, and interpreter and machine code give the same packets.
Runs are made in a child process, which a fault of machine code may end: the run that did it is told, and the next ones
go on. Exit status 0: nothing found; 1: findings, each with the seed and the number of its run.
"""

import argparse
import copy
import ctypes
import json
import multiprocessing
import random
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from google.protobuf import text_format
from google.protobuf.message import Message

from p4pmip.softswitch.ir import MatchKind
from p4pmip.softswitch.target.bytestring import encode
from p4pmip.softswitch.target.config import load
from p4pmip.softswitch.target.match import encode_match
from p4pmip.softswitch.target.refusal import Refusal
from p4pmip.softswitch.target.running import Running
from p4pmip.softswitch.target.stubs import p4info, p4runtime

ROOT = Path(__file__).resolve().parents[1]
PROGRAMS = sorted([*ROOT.glob("tests/softswitch/programs/*.json"), ROOT / "p4src" / "build" / "pmip.json"])
DROP_PORT, CPU_PORT = 511, 510
SECONDS = 20
"""Of the processor, for one run; more is a finding."""
FRAMES = 12
INJECTED = 97
"""The exit status that Python hidden in a program would end with."""
CODE = f"__import__('os')._exit({INJECTED})"
VALUES: tuple[Any, ...] = (
    None, True, -1, 0, 1, 2, 7, 65, 255, 1 << 31, 1 << 40, -(1 << 63), 1.5, "", "0x", "0x-1", "0xffffffffffffffffffff",
    "no such name", "x\n" + CODE + "\n#", CODE, [], {}, [[]], [None], {"op": "no such op"}, "☃", "\0",
)  # fmt: skip

Path_ = tuple[Any, ...]


class Finding(Exception):
    """The softswitch did what it must not."""


# -- changing programs --


def places(node: Any, path: Path_ = ()) -> Iterator[Path_]:
    """Every place of a JSON value."""
    children = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in children:
        if key == "source_info":
            continue
        yield (*path, key)
        yield from places(value, (*path, key))


def at(node: Any, path: Path_) -> Any:
    """What stands in a place."""
    for key in path:
        node = node[key]
    return node


def change_json(program: Any, choose: random.Random) -> str:
    """One change; in words."""
    known = list(places(program))
    path = choose.choice(known)
    parent, key = at(program, path[:-1]), path[-1]
    value = parent[key]
    how = choose.choice(["value", "value", "delete", "near", "near", "swap", "double", "other"])
    if how == "delete":
        del parent[key]
    elif how == "double" and isinstance(parent, list):
        parent.insert(choose.randrange(len(parent) + 1), copy.deepcopy(value))
    elif how == "near" and isinstance(value, int) and not isinstance(value, bool):
        parent[key] = value + choose.choice([-9, -8, -1, 1, 3, 8, 64, 1000])
    elif how == "near" and isinstance(value, str) and value.startswith("0x"):
        parent[key] = hex(choose.choice([0, 1, int(value, 16) + 1, 1 << 70]))
    elif how in ("swap", "near"):
        alike = [one for one in known if type(at(program, one)) is type(value) and one[-1] == key]
        parent[key] = copy.deepcopy(at(program, choose.choice(alike)))
    elif how == "other":
        parent[key] = copy.deepcopy(at(program, choose.choice(known)))
    else:
        parent[key] = choose.choice(VALUES)
    return f"{how} {'/'.join(str(one) for one in path)}"


def change_info(info: Message, choose: random.Random) -> str:
    """One field of P4Info, somewhere, gets another value."""
    message, path = info, []
    while True:
        fields = [one for one, _ in message.ListFields()]
        if not fields:
            break
        field = choose.choice(fields)
        path.append(field.name)
        held = getattr(message, field.name)
        repeated = isinstance(held, list) or hasattr(held, "add") or hasattr(held, "append")
        if field.message_type is None or hasattr(held, "get_or_create") or choose.random() < 0.1:
            if field.message_type is None and not repeated and field.cpp_type == field.CPPTYPE_STRING:
                text = choose.choice(["", "no.such", "x\n" + CODE])
                setattr(message, field.name, text.encode() if field.type == field.TYPE_BYTES else text)
            elif field.message_type is None and not repeated and choose.random() < 0.8:
                low = field.cpp_type in (field.CPPTYPE_BOOL, field.CPPTYPE_ENUM)
                number = choose.choice([0, 1] if low else [0, 1, max(held - 1, 0), 64, 1000, (1 << 31) - 1])
                setattr(message, field.name, number)
            else:
                message.ClearField(field.name)
            break
        if repeated:
            if choose.random() < 0.05 and len(held):
                held.append(held[choose.randrange(len(held))])
                break
            message = choose.choice(list(held))
        else:
            message = held
    return f"p4info {'.'.join(path)}"


# -- what is taken works --


def entries(running: Running, choose: random.Random) -> Iterator["p4runtime.Update"]:
    """A few entries for each table that takes some."""
    for table in running.schema.tables.values():
        usable = [one for one in table.actions.values() if not one.default_only]
        if table.const or table.profile is not None or not usable or not table.fields:
            continue
        for place in range(2):
            update = p4runtime.Update(type=p4runtime.Update.INSERT)
            into = update.entity.table_entry
            into.table_id = table.id
            parts: list[tuple[int, int] | None] = []
            for field in table.fields:
                top = (1 << field.width) - 1
                value = choose.choice([0, 1, 2, top]) & top
                parts.append((value, 0) if field.kind is MatchKind.EXACT else None)
            encode_match(table, tuple(parts), into)
            into.priority = place + 1 if table.needs_priority else 0
            ref = choose.choice(usable)
            into.action.action.action_id = ref.id
            for parameter, _, width in ref.parameters:
                number = choose.getrandbits(width) if width else 0
                into.action.action.params.add(param_id=parameter, value=encode(number))
            yield update


def frame(choose: random.Random) -> bytes:
    """Small numbers, and anything."""
    made = b"".join(choose.choice([b"\0", b"\1", b"\2", b"\x08\0", b"\x45", choose.randbytes(2)]) for _ in range(60))
    return made[: choose.choice([0, 1, 13, len(made), len(made)])]


def works(config: "p4runtime.ForwardingPipelineConfig", choose: random.Random) -> bool:
    """Whether the program is taken. What is taken must work.

    Raises:
        Finding: it does not.
    """
    try:
        plain, native = Running(load(config, DROP_PORT)), Running(load(config, DROP_PORT))
    except Refusal as refusal:
        if not refusal.place or not refusal.problem:
            raise Finding(f"refused without a name: {refusal}") from refusal
        return False
    native.pipeline.use_native(CPU_PORT)
    for update in entries(plain, choose):
        outcomes = []
        for running in (plain, native):
            try:
                running.write(update, 0.0)
                outcomes.append("")
            except Refusal as refusal:
                outcomes.append(str(refusal))
        if outcomes[0] != outcomes[1]:
            raise Finding(f"entries: {outcomes}")
    for number in range(FRAMES):
        given, out = frame(choose), ([], [])  # type: ignore[var-annotated]
        state = random.getstate()
        for running, into in zip((plain, native), out, strict=True):
            random.setstate(state)
            running.pipeline.process(number % 4, given, 5.0, lambda *one, into=into: into.append(one))
        if out[0] != out[1]:
            raise Finding(f"packet {given.hex()}: interpreter {out[0]}, native {out[1]}")
    if plain.pipeline.drops != native.pipeline.drops:
        raise Finding(f"drops: interpreter {plain.pipeline.drops}, native {native.pipeline.drops}")
    if list(plain.everything(6.0)) != list(native.everything(6.0)):
        raise Finding("what is read differs")
    return True


# -- runs --


def run(seed: int, number: int) -> tuple[bool, str]:
    """One program: whether it was taken, and what was changed."""
    choose = random.Random(f"{seed}/{number}")
    source = choose.choice(PROGRAMS)
    program = json.loads(source.read_text(encoding="utf-8"))
    info = p4info.P4Info()
    text_format.Parse(source.with_suffix(".p4info.txtpb").read_text(encoding="utf-8"), info)
    words = [source.stem]
    only_info = choose.random() < 0.25
    for _ in range(choose.choice([1, 1, 2, 4])):
        words.append(change_info(info, choose) if only_info else change_json(program, choose))
    config = p4runtime.ForwardingPipelineConfig(p4info=info, p4_device_config=json.dumps(program).encode())
    described = ", ".join(words)
    try:
        return works(config, choose), described
    except Finding as finding:
        raise Finding(f"{described}: {finding}") from finding
    except Exception as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        raise Finding(f"{described}: {error!r} at {last.filename}:{last.lineno}") from error


def child(seed: int, runs: int, progress: Any, findings: Any) -> None:
    """Runs from where `progress` stands."""
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    while progress[0] < runs:
        signal.setitimer(signal.ITIMER_PROF, SECONDS)
        try:
            taken, _ = run(seed, progress[0])
            progress[1 + taken] += 1
        except Finding as finding:
            findings.put((progress[0], str(finding)))
        progress[0] += 1
    signal.setitimer(signal.ITIMER_PROF, 0)


def fuzz(seed: int, runs: int, tell: Callable[[str], object]) -> tuple[int, int, int]:
    """All runs: how many were refused, how many taken, how many found something."""
    context = multiprocessing.get_context("fork")
    progress: Any = context.Array(ctypes.c_long, 3)
    findings = context.SimpleQueue()
    found = 0
    while progress[0] < runs:
        process = context.Process(target=child, args=(seed, runs, progress, findings))
        process.start()
        process.join()
        while not findings.empty():
            number, text = findings.get()
            found += 1
            tell(f"seed {seed}, run {number}: {text}\n")
        if process.exitcode:
            found += 1
            why = signal.Signals(-process.exitcode).name if process.exitcode < 0 else f"status {process.exitcode}"
            tell(f"seed {seed}, run {progress[0]}: the process ended with {why}\n")
            progress[0] += 1
    return progress[1], progress[2], found


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", type=int, help="one run, in this process")
    args = parser.parse_args()
    if args.only is not None:
        good, words = run(args.seed, args.only)
        sys.stdout.write(f"{'taken' if good else 'refused'}: {words}\n")
        return 0
    refused, taken, found = fuzz(args.seed, args.runs, sys.stderr.write)
    sys.stdout.write(f"{args.runs} programs: {refused} refused, {taken} taken, {found} findings\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
