"""Mutated Writes against a real target: each gets an allowed answer, and nothing is half-applied.

    python fuzz/write.py [--target softswitch|bmv2] [--runs N] [--seed N]

A model in this process holds what the target must hold. Each run makes one valid update, breaks it in one way, and
sends it, alone or among valid ones; the answer must be one that the P4Runtime specification allows for that break, the
valid ones must have taken effect, and a read must say what the model says. Exit status 0: nothing found; 1: a finding,
with the seed and the request; 3: the target is not on PATH.
"""

import argparse
import asyncio
import random
import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from p4pmip.cli._arguments import count
from p4pmip.cli.main import Parser
from p4pmip.demo.targets import STARTERS
from p4pmip.forwarding.entry import Entry, EntryKey, Lpm
from p4pmip.p4runtime.client import Client
from p4pmip.p4runtime.pipeline import Pipeline
from p4pmip.p4runtime.session import Options, Session
from p4pmip.p4runtime.stubs import code_pb2, p4runtime_pb2

Update = p4runtime_pb2.Update
INSERT, MODIFY, DELETE = Update.INSERT, Update.MODIFY, Update.DELETE
BAD = frozenset({code_pb2.INVALID_ARGUMENT})
BAD_OR_GONE = BAD | {code_pb2.NOT_FOUND}
UNKNOWN_OBJECT = BAD_OR_GONE | {code_pb2.UNIMPLEMENTED, code_pb2.PERMISSION_DENIED, code_pb2.UNKNOWN}
TABLES = ("session", "sess_dst_v4", "sess_dst_v6", "gre_rx")
SMALL = 12
"""Distinct keys a table: so that entries meet."""


class Finding(Exception):
    """The target did what it must not."""


def entry(pipeline: Pipeline, rng: random.Random) -> Entry:
    """A valid entry of one of few keys."""
    table = pipeline.schema.table(rng.choice(TABLES))
    match: list[tuple[str, int | Lpm]] = []
    for field in table.fields.values():
        number = rng.randrange(SMALL) % (1 << field.width)
        lpm = field.kind.value == "lpm"
        match.append((field.name, Lpm((number + 1) << (field.width - 64), 64) if lpm else number))
    action = table.actions[rng.choice(sorted(table.entry_actions))]
    params = tuple((param.name, rng.randrange(1 << param.width)) for param in action.params.values())
    return Entry(table.name, tuple(match), action.name, params)


def _table_id(u: Update, rng: random.Random) -> None:
    u.entity.table_entry.table_id = rng.choice([0, 1, 0x02FFFFFF, 0xFFFFFFFF])


def _action_id(u: Update, rng: random.Random) -> None:
    u.entity.table_entry.action.action.action_id = rng.choice([0, 1, 0x01FFFFFF])


def _no_action(u: Update, _: random.Random) -> None:
    u.entity.table_entry.ClearField("action")


def _missing_exact(u: Update, _: random.Random) -> None:
    del u.entity.table_entry.match[0]


def _doubled_key(u: Update, rng: random.Random) -> None:
    matches = u.entity.table_entry.match
    matches.add().CopyFrom(rng.choice(matches))


def _field_id(u: Update, rng: random.Random) -> None:
    rng.choice(u.entity.table_entry.match).field_id = rng.choice([0, 99])


def _wide_key(u: Update, _: random.Random) -> None:
    u.entity.table_entry.match[0].exact.value = b"\x01" * 20


def _empty_key(u: Update, _: random.Random) -> None:
    u.entity.table_entry.match[0].exact.value = b""


def _wrong_kind(u: Update, _: random.Random) -> None:
    match = u.entity.table_entry.match[0]
    match.ternary.value, match.ternary.mask = b"\x01", b"\x01"


def _no_match_value(u: Update, _: random.Random) -> None:
    u.entity.table_entry.match[0].ClearField("exact")


def _missing_param(u: Update, _: random.Random) -> None:
    del u.entity.table_entry.action.action.params[0]


def _doubled_param(u: Update, _: random.Random) -> None:
    params = u.entity.table_entry.action.action.params
    params.add().CopyFrom(params[0])


def _param_id(u: Update, _: random.Random) -> None:
    u.entity.table_entry.action.action.params[0].param_id = 77


def _wide_param(u: Update, _: random.Random) -> None:
    u.entity.table_entry.action.action.params[0].value = b"\x01" * 20


def _priority(u: Update, _: random.Random) -> None:
    u.entity.table_entry.priority = 5


def _update_type(u: Update, _: random.Random) -> None:
    u.type = Update.UNSPECIFIED


def _no_entity(u: Update, _: random.Random) -> None:
    u.ClearField("entity")


def _default_insert(u: Update, _: random.Random) -> None:
    u.type = INSERT
    del u.entity.table_entry.match[:]
    u.entity.table_entry.is_default_action = True


Break = tuple[Callable[[Update, random.Random], None], frozenset[int]]
BREAKS: tuple[Break, ...] = (
    (_table_id, UNKNOWN_OBJECT),
    (_action_id, UNKNOWN_OBJECT),
    (_no_action, BAD),
    (_missing_exact, BAD),
    (_doubled_key, BAD),
    (_field_id, UNKNOWN_OBJECT),
    (_wide_key, BAD | {code_pb2.OUT_OF_RANGE}),
    (_empty_key, BAD),
    (_wrong_kind, BAD),
    (_no_match_value, BAD),
    (_missing_param, BAD),
    (_doubled_param, BAD),
    (_param_id, UNKNOWN_OBJECT),
    (_wide_param, BAD | {code_pb2.OUT_OF_RANGE}),
    (_priority, BAD),
    (_update_type, BAD),
    (_no_entity, UNKNOWN_OBJECT),
    (_default_insert, BAD),
)
TOLERATED: dict[str, frozenset[str]] = {
    "softswitch": frozenset(),
    # PI takes what the specification has it refuse; docs/p4runtime.md names each.
    "bmv2": frozenset({"_empty_key"}),
}
"""Breaks that a target is known to accept: they are not made there."""
NEEDS_PARAMS = {_missing_param, _doubled_param, _param_id, _wide_param}


class Model:
    """What the target must hold."""

    def __init__(self, pipeline: Pipeline, tolerated: frozenset[str]) -> None:
        self._pipeline = pipeline
        self._breaks = [one for one in BREAKS if one[0].__name__ not in tolerated]
        self.held: dict[EntryKey, Entry] = {}

    def valid(self, rng: random.Random) -> tuple[Update, frozenset[int]]:
        """A well-formed update, and the codes of its answer: an error if it inserts twice or changes what is not."""
        one = entry(self._pipeline, rng)
        kind = rng.choice([INSERT, INSERT, MODIFY, DELETE])
        there = one.key in self.held
        if kind == INSERT and there:
            return self.update(kind, one), frozenset({code_pb2.ALREADY_EXISTS})
        if kind != INSERT and not there:
            return self.update(kind, one), frozenset({code_pb2.NOT_FOUND})
        if kind == DELETE:
            del self.held[one.key]
        else:
            self.held[one.key] = one
        return self.update(kind, one), frozenset({code_pb2.OK})

    def broken(self, rng: random.Random) -> tuple[Update, frozenset[int], str]:
        """An update that must be refused."""
        how, codes = rng.choice(self._breaks)
        while True:
            one = entry(self._pipeline, rng)
            if how not in NEEDS_PARAMS or one.params:
                break
        update = self.update(INSERT, one)
        how(update, rng)
        # Which of two faults is named is the target's choice.
        there = {code_pb2.ALREADY_EXISTS} if one.key in self.held else set()
        return update, codes | there, how.__name__

    def update(self, kind: "Update.Type.ValueType", one: Entry) -> Update:
        """As a message."""
        update = Update(type=kind)
        update.entity.table_entry.CopyFrom(self._pipeline.codec.message(one))
        return update


async def fuzz(session: Session, runs: int, rng: random.Random, tolerated: frozenset[str] = frozenset()) -> int:
    """Updates that were sent; Finding at the first wrong answer."""
    model = Model(session.pipeline, tolerated)
    sent = 0
    async with Client(session.target) as client:
        for run in range(runs):
            request = p4runtime_pb2.WriteRequest(device_id=session.target.device_id)
            number = session.election_id
            request.election_id.high, request.election_id.low = number >> 64, number & (1 << 64) - 1
            expected: list[tuple[frozenset[int], str]] = []
            place = rng.randrange(6)
            for index in range(rng.randrange(1, 6)):
                if index == place % 5:
                    update, codes, how = model.broken(rng)
                else:
                    (update, codes), how = model.valid(rng), "valid"
                request.updates.append(update)
                expected.append((codes, how))
            problem = await client.write(request.SerializeToString())
            sent += len(expected)
            _judge(run, request, expected, problem.updates if problem else {}, problem is not None)
            if not run % 25 or run == runs - 1:
                await _compare(session, model, run)
    return sent


def _judge(
    run: int,
    request: p4runtime_pb2.WriteRequest,
    expected: list[tuple[frozenset[int], str]],
    problems: Mapping[int, object],
    failed: bool,
) -> None:
    if failed and not problems:
        raise Finding(f"run {run}: no error of each update, only one of the whole request\n{request}")
    for index, (codes, how) in enumerate(expected):
        code = getattr(problems.get(index), "code", code_pb2.OK)
        if code not in codes:
            allowed = sorted(code_pb2.Code.Name(one) for one in codes)  # type: ignore[arg-type]
            said = problems.get(index, "OK")
            raise Finding(f"run {run}: update {index} ({how}) answered {said}, not {allowed}\n{request.updates[index]}")


async def _compare(session: Session, model: Model, run: int) -> None:
    held = {one.key: one for table in TABLES for one in [row async for row in session.read_table(table)]}
    if held != model.held:
        odd = [key for key in held.keys() | model.held.keys() if held.get(key) != model.held.get(key)]
        raise Finding(f"run {run}: the target holds {held.get(odd[0])}, not {model.held.get(odd[0])}")


async def main(args: argparse.Namespace) -> int:
    """Fuzz one target."""
    with tempfile.TemporaryDirectory() as folder:
        async with (
            STARTERS[args.target]("box", 1, Path(folder)) as running,
            await Session.open(running.target, Pipeline.packaged(), Options()) as session,
        ):
            try:
                sent = await fuzz(session, args.runs, random.Random(args.seed), TOLERATED[args.target])
            except Finding as finding:
                sys.stderr.write(f"{args.target}, seed {args.seed}: {finding}\n")
                return 1
    sys.stdout.write(f"{args.target}: {args.runs} requests with {sent} updates, nothing found\n")
    return 0


if __name__ == "__main__":
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--target", choices=sorted(STARTERS), default="softswitch")
    parser.add_argument("--runs", type=count, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    if arguments.target == "bmv2" and shutil.which("simple_switch_grpc") is None:
        sys.stderr.write("fuzz/write.py: simple_switch_grpc is not on PATH\n")
        sys.exit(3)
    sys.exit(asyncio.run(main(arguments)))
