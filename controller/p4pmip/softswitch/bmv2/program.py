"""A whole BMv2 JSON, compiled at pipeline push: what is not supported is refused here, by name and place."""

from p4pmip.softswitch.bmv2.expression import Expressions, number
from p4pmip.softswitch.bmv2.layout import Json, Layout, UnsupportedProgram, place_of
from p4pmip.softswitch.bmv2.statement import Statements
from p4pmip.softswitch.bmv2.table import compile_table
from p4pmip.softswitch.hashes import ALGORITHMS
from p4pmip.softswitch.ir import (
    NOWHERE,
    Action,
    ActionCall,
    Argument,
    Binary,
    Bits,
    Calculation,
    Checksum,
    Condition,
    Const,
    Control,
    Expression,
    FieldList,
    Indexed,
    MeterArray,
    Node,
    ParserState,
    Payload,
    Peek,
    Place,
    Profile,
    Program,
    Selector,
    Slot,
    Transition,
    ValueSet,
    WholeHeader,
)

MAJOR_VERSION = 2

STANDARD = {
    "ingress_port": 9, "egress_spec": 9, "egress_port": 9, "instance_type": 32, "packet_length": 32,
    "enq_timestamp": 32, "enq_qdepth": 19, "deq_timedelta": 32, "deq_qdepth": 19, "ingress_global_timestamp": 48,
    "egress_global_timestamp": 48, "mcast_grp": 16, "egress_rid": 16, "checksum_error": 1, "parser_error": 32,
}  # fmt: skip
"""What the architecture itself reads or writes, and its width."""


def compile_program(json: Json, drop_port: int = 511) -> Program:
    """Compile what p4c-bm2-ss wrote.

    Raises:
        UnsupportedProgram: something in it cannot be executed here; says what and where.
    """
    if not isinstance(json, dict) or "pipelines" not in json or "header_types" not in json:
        raise UnsupportedProgram("device config", type(json).__name__, "is not a BMv2 JSON program")
    try:
        version = json.get("__meta__", {}).get("version", [MAJOR_VERSION, 0])
        if version[0] != MAJOR_VERSION:
            choices = [f"{MAJOR_VERSION}.x"]
            raise UnsupportedProgram("__meta__.version", version, "unknown version of the BMv2 JSON", choices)
        return _Compiler(json, drop_port).program()
    except (KeyError, IndexError, TypeError, ValueError, AttributeError, OverflowError, RecursionError) as error:
        raise UnsupportedProgram("device config", repr(error), "is not a BMv2 JSON program that p4c writes") from error


class _Compiler:
    def __init__(self, json: Json, drop_port: int) -> None:
        self.json = json
        self.layout = Layout(json)
        self.values = Expressions(self.layout)
        self.drop_port = drop_port
        self.standard = {name: self._standard(name) for name in STANDARD}
        self.calculations = {one["name"]: self._calculation(one) for one in json["calculations"]}

    def _standard(self, name: str) -> Slot:
        """A field of v1model's standard metadata; one that the program does not declare gets a slot of its own."""
        aliases = dict(self.json.get("field_aliases", ()))
        for owner in ("standard_metadata", "intrinsic_metadata", "queueing_metadata"):
            header, member = aliases.get(f"{owner}.{name}", (owner, name))
            known = self.layout.headers.get(header)
            if known is not None and any(one.name == member for one in known.fields):
                return self.layout.field(header, member, NOWHERE)
        self.layout.names.append(f"standard_metadata.{name}")
        return Slot(len(self.layout.names) - 1, STANDARD[name], False, f"standard_metadata.{name}")

    def program(self) -> Program:
        json = self.json
        parsers, deparsers = json["parsers"], json["deparsers"]
        if len(parsers) != 1 or len(deparsers) != 1:
            raise UnsupportedProgram(
                "parsers", [one["name"] for one in parsers], "v1model has one parser, one deparser"
            )
        controls = {one["name"]: self._control(one) for one in json["pipelines"]}
        if set(controls) != {"ingress", "egress"}:
            raise UnsupportedProgram("pipelines", sorted(controls), "not v1model", ["ingress, egress"])
        meters = {one["name"]: one for one in json["meter_arrays"]}
        counters = json["counter_arrays"]
        deparser = deparsers[0]
        return Program(
            name=json.get("program", ""),
            slots=len(self.layout.names),
            slot_names=tuple(self.layout.names),
            headers=self.layout.headers,
            stacks=self.layout.stacks,
            standard={name: slot.index for name, slot in self.standard.items()},
            errors=dict(json.get("errors", ())),
            first_state=parsers[0]["init_state"],
            states={one["name"]: self._state(one) for one in parsers[0]["parse_states"]},
            value_sets={
                one["name"]: ValueSet(one["name"], one["compressed_bitwidth"]) for one in json.get("parse_vsets", ())
            },
            verify=self._checksums("verify"),
            ingress=controls["ingress"],
            egress=controls["egress"],
            update=self._checksums("update"),
            deparser=tuple(self.layout.header(name, place_of(deparser)) for name in deparser["order"]),
            deparser_statements=tuple(
                statement for one in deparser.get("primitives", ()) for statement in self._statements().primitive(one)
            ),
            actions={one["id"]: self._action(one) for one in json["actions"]},
            counters={one["name"]: one["size"] for one in counters if not one.get("is_direct")},
            direct_counters={one["name"]: one["binding"] for one in counters if one.get("is_direct")},
            meters={name: self._meter(one) for name, one in meters.items()},
            registers={one["name"]: (one["size"], one["bitwidth"]) for one in json["register_arrays"]},
            profiles={
                one["name"]: self._profile(one) for pipeline in json["pipelines"] for one in pipeline["action_profiles"]
            },
            digests={one["id"]: self._field_list(one) for one in json.get("learn_lists", ())},
            field_lists={one["id"]: self._field_list(one) for one in json.get("field_lists", ())},
            metadata=tuple(
                slot
                for header in self.layout.headers.values()
                if header.metadata
                for slot in range(header.base, header.base + header.slots)
            ),
        )

    def _statements(self, parameters: tuple[tuple[str, int], ...] = ()) -> Statements:
        return Statements(Expressions(self.layout, parameters), self.calculations, self.standard, self.drop_port)

    def _action(self, json: Json) -> Action:
        parameters = tuple((one["name"], one["bitwidth"]) for one in json["runtime_data"])
        blocks = self._statements(parameters).blocks(json["primitives"])
        places = (place_of(one) for one in (json, *json["primitives"]))
        place = next((one for one in places if one is not NOWHERE), NOWHERE)
        return Action(json["id"], json["name"], parameters, blocks, place)

    # -- parser --

    def _state(self, json: Json) -> ParserState:
        statements = self._statements()
        place = place_of(json)
        key = tuple(self.values.value(one, place) for one in json["transition_key"])
        transitions = []
        default, has_default = None, False
        for one in json["transitions"]:
            if one.get("type") == "default" or one["value"] == "default":
                default, has_default = one["next_state"], True
            elif one.get("type") == "parse_vset":
                mask = None if one["mask"] is None else number(one["mask"])
                transitions.append(Transition(0, mask, one["next_state"], one["value"]))
            else:
                mask = None if one["mask"] is None else number(one["mask"])
                transitions.append(Transition(number(one["value"]), mask, one["next_state"]))
        return ParserState(
            json["name"],
            tuple(made for one in json["parser_ops"] for made in statements.parser_operation(one)),
            key,
            tuple(transitions),
            default,
            has_default,
            place,
        )

    # -- controls --

    def _control(self, json: Json) -> Control:
        nodes: dict[str, Node] = {}
        for one in json["tables"]:
            nodes[one["name"]] = compile_table(one, self.values, self.json)
        for one in json.get("conditionals", ()):
            place = place_of(one)
            condition = self.values.value(one["expression"], place)
            nodes[one["name"]] = Condition(one["name"], condition, one["true_next"], one["false_next"], place)
        for one in json.get("action_calls", ()):
            nodes[one["name"]] = ActionCall(one["name"], one["action_id"], one["next_node"])
        return Control(json["name"], json["init_table"], nodes)

    def _meter(self, json: Json) -> MeterArray:
        if json.get("rate_count", 2) != 2:
            raise UnsupportedProgram(str(place_of(json)), json["rate_count"], "only two-rate meters are supported", [2])
        return MeterArray(json["name"], json["type"], json.get("size", 0), bool(json.get("is_direct")))

    def _profile(self, json: Json) -> Profile:
        selector = None
        if "selector" in json:
            inputs = tuple(self._input(one, place_of(json)) for one in json["selector"]["input"])
            algorithm = self._algorithm(json["selector"]["algo"], place_of(json))
            selector = Selector(Calculation(json["name"], algorithm, inputs))
        return Profile(json["name"], json["max_size"], selector)

    # -- calculations and field lists --

    def _calculation(self, json: Json) -> Calculation:
        place = place_of(json)
        inputs = tuple(self._input(one, place) for one in json["input"])
        return Calculation(json["name"], self._algorithm(json["algo"], place), inputs)

    def _algorithm(self, name: str, place: Place) -> str:
        if name not in ALGORITHMS:
            raise UnsupportedProgram(str(place), name, "hash algorithm not supported", sorted(ALGORITHMS))
        return name

    def _input(self, json: Json, place: Place) -> Payload | Bits | WholeHeader:
        match json["type"]:
            case "payload":
                return Payload()
            case "header":
                return WholeHeader(self.layout.header(json["value"], place))
            case "hexstr":
                return Bits(Const(number(json["value"])), json["bitwidth"], None)
            case "field":
                slot = self.layout.field(json["value"][0], json["value"][1], place)
                header = self.layout.header(json["value"][0], place)
                return Bits(slot, slot.width, None if header.metadata else header.base)
            case kind:
                raise UnsupportedProgram(str(place), kind, "cannot be the input of a calculation")

    def _checksums(self, when: str) -> tuple[Checksum, ...]:
        return tuple(self._checksum(one) for one in self.json.get("checksums", ()) if one.get(when, True))

    def _checksum(self, json: Json) -> Checksum:
        place = place_of(json)
        name, member = json["target"]
        header = self.layout.header(name, place)
        condition = json.get("if_cond")
        return Checksum(
            json["name"],
            self.layout.field(name, member, place),
            None if header.metadata else header.base,
            self.calculations[json["calculation"]],
            None if condition is None else self.values.value(condition, place),
            place,
        )

    def _field_list(self, json: Json) -> FieldList:
        place = place_of(json)
        values = tuple(self.values.value(one, place) for one in json["elements"])
        return FieldList(json["id"], json["name"], values)


def padded(keys: tuple[Expression, ...]) -> tuple[Expression, int]:
    """The key of a select, as the BMv2 JSON compares it: every field padded to whole octets; and its width."""
    whole: Expression | None = None
    total = 0
    for key in keys:
        width = -(-_width(key) // 8) * 8
        whole = key if whole is None else Binary("|", Binary("<<", whole, Const(width)), key)
        total += width
    return (Const(0) if whole is None else whole), total


def _width(key: Expression) -> int:
    if isinstance(key, Slot | Indexed | Peek | Argument):
        return key.width
    raise UnsupportedProgram("select", type(key).__name__, "cannot be a key of a select")
