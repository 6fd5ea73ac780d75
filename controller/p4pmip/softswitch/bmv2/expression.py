"""The "type/value" objects and expressions of the BMv2 JSON, compiled."""

from p4pmip.softswitch.bmv2.layout import Json, Layout, UnsupportedProgram, field_at, slot_of, valid_at
from p4pmip.softswitch.ir import (
    Argument,
    Binary,
    Choose,
    Const,
    Expression,
    Field,
    Header,
    HeaderAt,
    Indexed,
    Peek,
    Place,
    Saturate,
    Slot,
    Stack,
    Target,
    Unary,
    Wrap,
)

BINARY = frozenset(["+", "-", "*", "/", "%", "<<", ">>", "&", "|", "^", "==", "!=", "<", "<=", ">", ">=", "and", "or"])
UNARY = {"~": "~", "not": "not", "d2b": "bool", "b2d": "int"}


def number(text: str) -> int:
    """A `hexstr`: hexadecimal, perhaps negative."""
    return int(text, 16)


class Expressions:
    """Compiles expressions over one layout; `parameters` are those of the enclosing action."""

    def __init__(self, layout: Layout, parameters: tuple[tuple[str, int], ...] = ()) -> None:
        self.layout = layout
        self.parameters = parameters

    def value(self, json: Json, place: Place) -> Expression:
        """Anything that has a value."""
        kind, value = json["type"], json["value"]
        match kind:
            case "expression":
                # Expressions are wrapped in objects of type "expression", sometimes more than once.
                return self._operation(value, place) if "op" in value else self.value(value, place)
            case "field" if isinstance(value[0], dict):
                # A stack's element by an index known only at run time.
                at = self.header({"type": "expression", "value": value[0]}, place)
                if value[1] == "$valid$":
                    return valid_at(at)
                return field_at(at, _member(at.header.fields, value[1], at.header.name, place))
            case "field":
                return self.layout.field(value[0], value[1], place)
            case "hexstr":
                return Const(number(value))
            case "bool":
                return Const(int(value))
            case "local" | "runtime_data":
                name, width = self.parameters[value]
                return Argument(value, width, name)
            case "lookahead":
                return Peek(value[0], value[1])
            case "stack_field":
                return self._last_field(self.layout.stack(value[0], place), value[1], place)
            case "union_stack_field":
                return self._last_union_field(self.layout.stack(value[0], place), value[1], value[2], place)
            case _:
                raise UnsupportedProgram(str(place), kind, "values of this type are not supported")

    def target(self, json: Json, place: Place) -> Target:
        """Anything that can be assigned to."""
        value = self.value(json, place)
        if isinstance(value, Slot | Indexed):
            return value
        raise UnsupportedProgram(str(place), json["type"], "cannot be assigned to")

    def header(self, json: Json, place: Place) -> HeaderAt:
        """A header, perhaps of a stack by an index known only at run time."""
        kind, value = json["type"], json["value"]
        if kind == "header":
            return HeaderAt(self.layout.header(value, place))
        if kind == "expression" and "op" not in value:
            return self.header(value, place)
        if kind == "stack_field" and value[1] == "last":
            stack = self.layout.stack(value[0], place)
            return HeaderAt(stack.elements[0], self._last(stack), stack.stride, stack.size)
        if kind == "expression" and value["op"] in ("dereference_header_stack", "dereference_stack"):
            stack = self.stack(value["left"], place)
            return HeaderAt(stack.elements[0], self.value(value["right"], place), stack.stride, stack.size)
        if kind == "expression" and value["op"] == "access_union_header":
            return self._union_header(value, place)
        raise UnsupportedProgram(str(place), kind, "is not a header", ["header", "header stack element"])

    def stack(self, json: Json, place: Place) -> Stack:
        """A header stack or header union stack."""
        if json["type"] in ("header_stack", "header_union_stack"):
            return self.layout.stack(json["value"], place)
        raise UnsupportedProgram(str(place), json["type"], "is not a header stack")

    def _union_header(self, json: Json, place: Place) -> HeaderAt:
        union, member = json["left"], json["right"]
        member = member["value"] if isinstance(member, dict) else member
        while union["type"] == "expression" and "op" not in union["value"]:
            union = union["value"]
        if union["type"] == "header_union":
            return HeaderAt(self._union(union["value"], place)[member])
        if union["type"] == "expression" and union["value"]["op"] == "dereference_union_stack":
            stack = self.stack(union["value"]["left"], place)
            index = self.value(union["value"]["right"], place)
            return HeaderAt(stack.members[0][member], index, stack.stride, stack.size)
        raise UnsupportedProgram(str(place), union["type"], "is not a header union")

    def _union(self, name: str, place: Place) -> tuple[Header, ...]:
        try:
            return self.layout.unions[name]
        except KeyError:
            raise UnsupportedProgram(str(place), name, "no such header union", sorted(self.layout.unions)) from None

    def _last(self, stack: Stack) -> Expression:
        return Binary("-", self.layout.stack_next(stack), Const(1))

    def _last_field(self, stack: Stack, member: str, place: Place) -> Expression:
        at = HeaderAt(stack.elements[0], self._last(stack), stack.stride, stack.size)
        return field_at(at, _member(at.header.fields, member, stack.name, place))

    def _last_union_field(self, stack: Stack, member: str, name: str, place: Place) -> Expression:
        for header in stack.members[0] if stack.members else ():
            if header.name.rsplit(".", 1)[-1] == member:
                at = HeaderAt(header, self._last(stack), stack.stride, stack.size)
                return field_at(at, _member(header.fields, name, header.name, place))
        raise UnsupportedProgram(str(place), member, f"no such member of {stack.name}")

    def _operation(self, json: Json, place: Place) -> Expression:
        op, left, right = json["op"], json.get("left"), json.get("right")
        match op:
            case "valid":
                return valid_at(self.header(right, place))
            case "valid_union":
                flags = [Slot(one.base, 1, False, one.name) for one in self._union(right["value"], place)]
                return _any(list(flags))
            case "?":
                condition = self.value(json["cond"], place)
                return Choose(condition, self.value(left, place), self.value(right, place))
            case "two_comp_mod":
                return Wrap(self.value(left, place), number(right["value"]))
            case "usat_cast" | "sat_cast":
                return Saturate(self.value(left, place), number(right["value"]), op == "sat_cast")
            case "last_stack_index":
                return self._last(self.stack(right or left, place))
            case "size_stack":
                return self.layout.stack_next(self.stack(right or left, place))
            case "access_field":
                at = self.header(left, place)
                offset = right["value"] if isinstance(right, dict) else right
                return field_at(at, at.header.fields[offset])
            case "==" | "!=" if _is_header(left) or _is_union(left):
                same = self._same(left, right, place)
                return same if op == "==" else Unary("not", same)
        if op in ("+", "-") and left is None:
            operand = self.value(right, place)
            return operand if op == "+" else Unary("-", operand)
        if op in UNARY:
            return Unary(UNARY[op], self.value(right, place))
        if op in BINARY:
            return Binary(op, self.value(left, place), self.value(right, place))
        raise UnsupportedProgram(str(place), op, "operator not supported", sorted(BINARY | set(UNARY)))

    def _same(self, left: Json, right: Json, place: Place) -> Expression:
        """Both invalid, or both valid with equal fields."""
        if _is_union(left):
            pairs = zip(self._union(left["value"], place), self._union(right["value"], place), strict=True)
            return _all([same_header(HeaderAt(a), HeaderAt(b)) for a, b in pairs])
        return same_header(self.header(left, place), self.header(right, place))


def same_header(a: HeaderAt, b: HeaderAt) -> Expression:
    """Both invalid, or both valid with equal fields."""
    equal = [
        Binary("==", field_at(a, one), field_at(b, other))
        for one, other in zip(a.header.fields, b.header.fields, strict=True)
    ]
    for header in (a.header, b.header):
        if header.length_offset is None:
            continue
        lengths = [slot_of(one.header, one.header.fields[-1]).variable for one in (a, b)]
        equal.append(Binary("==", *(Slot(one or 0, 32, False, "$length$") for one in lengths)))
        break
    return Binary(
        "and",
        Binary("==", valid_at(a), valid_at(b)),
        Binary("or", Unary("not", valid_at(a)), _all(list(equal))),
    )


def _all(conditions: list[Expression]) -> Expression:
    result: Expression = Const(1)
    for one in conditions:
        result = Binary("and", result, one)
    return result


def _any(conditions: list[Expression]) -> Expression:
    result: Expression = Const(0)
    for one in conditions:
        result = Binary("or", result, one)
    return result


def _member(fields: tuple[Field, ...], name: str, owner: str, place: Place) -> Field:
    for one in fields:
        if one.name == name:
            return one
    raise UnsupportedProgram(str(place), f"{owner}.{name}", "no such field", [one.name for one in fields])


def _unwrap(json: Json) -> Json:
    while json["type"] == "expression" and "op" not in json["value"]:
        json = json["value"]
    return json


def _is_header(json: Json) -> bool:
    if json is None:
        return False
    json = _unwrap(json)
    headers = ("dereference_header_stack", "dereference_stack", "access_union_header")
    return json["type"] == "header" or (json["type"] == "expression" and json["value"]["op"] in headers)


def _is_union(json: Json) -> bool:
    return json is not None and _unwrap(json)["type"] == "header_union"
