"""Primitives of actions and operations of parser states, compiled."""

import itertools
from collections.abc import Mapping

from p4pmip.softswitch.bmv2.expression import Expressions, number
from p4pmip.softswitch.bmv2.layout import Json, UnsupportedProgram, place_of
from p4pmip.softswitch.ir import (
    Advance,
    Assert,
    Assign,
    Block,
    Calculation,
    Clone,
    Const,
    CopyHeader,
    CopyStack,
    Count,
    Digest,
    ExecuteMeter,
    Exit,
    Expression,
    Extract,
    ExtractNext,
    Hash,
    HeaderAt,
    Log,
    Place,
    Pop,
    Push,
    Random,
    Recirculate,
    RegisterRead,
    RegisterWrite,
    Resubmit,
    SetValid,
    Slot,
    Statement,
    Truncate,
    Verify,
)

PRIMITIVES = (
    "add_header", "assert", "assign", "assign_VL", "assign_header", "assign_header_stack", "assign_union",
    "assign_union_stack", "assume", "clone_egress_pkt_to_egress", "clone_ingress_pkt_to_egress", "count", "drop",
    "execute_meter", "exit", "generate_digest", "log_msg", "mark_to_drop", "modify_field_rng_uniform",
    "modify_field_with_hash_based_offset", "pop", "push", "recirculate", "register_read", "register_write",
    "remove_header", "resubmit", "truncate",
)  # fmt: skip


JUMPS = ("_jump", "_jump_if_zero")


class Statements:
    """Compiles statements; `drop_port` is what marks a packet to be dropped."""

    def __init__(
        self,
        expressions: Expressions,
        calculations: Mapping[str, Calculation],
        standard: Mapping[str, Slot],
        drop_port: int,
    ) -> None:
        self.of = expressions
        self.calculations = calculations
        self.standard = standard
        self.drop_port = drop_port

    def blocks(self, primitives: list[Json]) -> tuple[Block, ...]:
        """The basic blocks of an action: its jumps name primitives by their index."""
        end = len(primitives)
        starts = {0}
        for at, json in enumerate(primitives):
            if json["op"] in JUMPS:
                starts |= {at + 1, number(json["parameters"][-1]["value"])}
        edges = sorted(start for start in starts if start < end)
        index = {start: at for at, start in enumerate(edges)}
        return tuple(
            self._block(primitives[start:stop], index, stop) for start, stop in itertools.pairwise([*edges, end])
        ) or (Block(()),)

    def _block(self, primitives: list[Json], index: Mapping[int, int], stop: int) -> Block:
        last = primitives[-1] if primitives and primitives[-1]["op"] in JUMPS else None
        plain = primitives[:-1] if last else primitives
        statements = tuple(statement for json in plain for statement in self.primitive(json))
        if last is None:
            return Block(statements, index.get(stop))
        target = index.get(number(last["parameters"][-1]["value"]))
        if last["op"] == "_jump":
            return Block(statements, target)
        condition = self.of.value(last["parameters"][0], place_of(last))
        return Block(statements, index.get(stop), condition, target)

    def primitive(self, json: Json) -> list[Statement]:
        """One primitive call."""
        place, op, given = place_of(json), json["op"], json["parameters"]

        def value(index: int) -> Expression:
            return self.of.value(given[index], place)

        match op:
            case "assign" | "assign_VL" | "modify_field":
                return [Assign(self.of.target(given[0], place), value(1))]
            case "assign_header" | "copy_header":
                return [CopyHeader(self.of.header(given[0], place), self.of.header(given[1], place))]
            case "assign_union":
                return self._copy_union(given)
            case "assign_header_stack" | "assign_union_stack":
                return [CopyStack(self.of.stack(given[0], place), self.of.stack(given[1], place))]
            case "add_header" | "remove_header":
                return [SetValid(self.of.header(given[0], place), op == "add_header")]
            case "push" | "pop":
                kind = Push if op == "push" else Pop
                return [kind(self.of.stack(given[0], place), number(given[1]["value"]))]
            case "mark_to_drop" | "drop":
                dropped: list[Statement] = [Assign(self.standard["egress_spec"], Const(self.drop_port))]
                if "mcast_grp" in self.standard:
                    dropped.append(Assign(self.standard["mcast_grp"], Const(0)))
                return dropped
            case "exit":
                return [Exit()]
            case "count":
                return [Count(given[0]["value"], value(1))]
            case "execute_meter":
                return [ExecuteMeter(given[0]["value"], value(1), self.of.target(given[2], place))]
            case "register_read":
                return [RegisterRead(self.of.target(given[0], place), given[1]["value"], value(2))]
            case "register_write":
                return [RegisterWrite(given[0]["value"], value(1), value(2))]
            case "modify_field_with_hash_based_offset":
                calculation = self.calculations[given[2]["value"]]
                return [Hash(self.of.target(given[0], place), value(1), calculation, value(3))]
            case "modify_field_rng_uniform":
                return [Random(self.of.target(given[0], place), value(1), value(2))]
            case "generate_digest":
                return [Digest(value(1))]
            case "clone_ingress_pkt_to_egress" | "clone_egress_pkt_to_egress":
                return [Clone(value(0), value(1))]
            case "resubmit":
                return [Resubmit(value(0))]
            case "recirculate":
                return [Recirculate(value(0))]
            case "truncate":
                return [Truncate(value(0))]
            case "log_msg":
                values = given[1]["value"] if len(given) > 1 else []
                return [Log(given[0]["value"], tuple(self.of.value(one, place) for one in values))]
            case "assert" | "assume":
                return [Assert(value(0), place)]
            case "no_op":
                return []
            case _:
                raise UnsupportedProgram(str(place), op, "primitive not supported", PRIMITIVES)

    def _copy_union(self, given: list[Json]) -> list[Statement]:
        target, source = (self.of.layout.unions[one["value"]] for one in given)
        # Invalid members first: making a member valid makes its siblings invalid.
        return [
            CopyHeader(HeaderAt(a), HeaderAt(b))
            for a, b in sorted(zip(target, source, strict=True), key=lambda pair: pair[0].base)
        ]

    def parser_operation(self, json: Json) -> list[Statement]:
        """One operation of a parser state."""
        place, op, given = place_of(json), json["op"], json["parameters"]
        match op:
            case "extract" | "extract_VL":
                bits = self.of.value(given[1], place) if op == "extract_VL" else None
                return [self._extract(given[0], bits, place)]
            case "set":
                return [Assign(self.of.target(given[0], place), self.of.value(given[1], place))]
            case "verify":
                return [Verify(self.of.value(given[0], place), self.of.value(given[1], place))]
            case "advance":
                return [Advance(self.of.value(given[0], place))]
            case "shift":
                return [Advance(Const(8 * given[0]))]
            case "primitive":
                return self.primitive({**given[0], "source_info": json.get("source_info")})
            case _:
                valid = ["extract", "extract_VL", "set", "verify", "advance", "shift", "primitive"]
                raise UnsupportedProgram(str(place), op, "parser operation not supported", valid)

    def _extract(self, json: Json, bits: Expression | None, place: Place) -> Statement:
        match json["type"]:
            case "regular":
                return Extract(self.of.layout.header(json["value"], place), bits)
            case "stack":
                return ExtractNext(self.of.layout.stack(json["value"], place), None, bits)
            case "union_stack":
                name, member = json["value"]
                stack = self.of.layout.stack(name, place)
                members = [one.name.rsplit(".", 1)[-1] for one in stack.members[0]]
                return ExtractNext(stack, members.index(member), bits)
            case kind:
                raise UnsupportedProgram(
                    str(place), kind, "cannot extract to this", ["regular", "stack", "union_stack"]
                )
