"""Headers, stacks and unions of the BMv2 JSON laid out as slots, and the names that code refers to them by."""

from collections.abc import Mapping
from typing import Any, TypeVar

from p4pmip.errors import P4pmipError
from p4pmip.softswitch.ir import NOWHERE, Expression, Field, Header, HeaderAt, Indexed, Place, Slot, Stack

T = TypeVar("T")
Json = Any
"""A piece of decoded JSON."""


class UnsupportedProgram(P4pmipError):
    """The program uses something this softswitch does not execute, or its JSON is not what p4c writes."""


def place_of(json: Json) -> Place:
    """Where a JSON object stands in the P4 source."""
    info = json.get("source_info") if isinstance(json, dict) else None
    if not info:
        return NOWHERE
    return Place(info.get("filename", ""), info.get("line", 0), info.get("column", 0), info.get("source_fragment", ""))


class Layout:
    """The slots of every header, metadata struct, stack and union."""

    def __init__(self, json: Json) -> None:
        self.names: list[str] = []
        self.headers: dict[str, Header] = {}
        self.stacks: dict[str, Stack] = {}
        self.unions: dict[str, tuple[Header, ...]] = {}
        self._types = {kind["name"]: kind for kind in json["header_types"]}
        self._by_id: dict[int, str] = {header["id"]: header["name"] for header in json["headers"]}
        instances = {header["name"]: header for header in json["headers"]}
        self._siblings = self._union_members(json)
        # The elements of a stack must follow each other at one stride: they are laid out first, by stack.
        for stack in json.get("header_stacks", ()):
            for element in stack["header_ids"]:
                self._place(instances.pop(self._by_id[element]))
        for stack in json.get("header_union_stacks", ()):
            for union in stack["header_union_ids"]:
                for element in self._union_headers(json)[union]:
                    self._place(instances.pop(self._by_id[element]))
        for instance in instances.values():
            self._place(instance)
        self._resolve_siblings()
        for stack in json.get("header_stacks", ()):
            self._stack(stack)
        for union in json.get("header_unions", ()):
            self.unions[union["name"]] = tuple(self.headers[self._by_id[one]] for one in union["header_ids"])
        for stack in json.get("header_union_stacks", ()):
            self._union_stack(json, stack)

    def _slot(self, name: str) -> int:
        self.names.append(name)
        return len(self.names) - 1

    @staticmethod
    def _union_headers(json: Json) -> dict[int, list[int]]:
        return {union["id"]: union["header_ids"] for union in json.get("header_unions", ())}

    def _union_members(self, json: Json) -> dict[str, tuple[str, ...]]:
        siblings: dict[str, tuple[str, ...]] = {}
        for union in json.get("header_unions", ()):
            members = [self._by_id[one] for one in union["header_ids"]]
            for member in members:
                siblings[member] = tuple(other for other in members if other != member)
        return siblings

    def _place(self, instance: Json) -> None:
        kind = self._types[instance["header_type"]]
        name = instance["name"]
        base = self._slot(f"{name}.$valid$")
        fields: list[Field] = []
        fixed = sum(entry[1] for entry in kind["fields"] if entry[1] != "*")
        length_offset = None
        for entry in kind["fields"]:
            variable = entry[1] == "*"
            width = kind["max_length"] * 8 - fixed if variable else entry[1]
            slot = self._slot(f"{name}.{entry[0]}")
            signed = len(entry) > 2 and bool(entry[2])
            fields.append(Field(entry[0], width, signed, slot - base, variable))
        if any(one.variable for one in fields):
            length_offset = self._slot(f"{name}.$length$") - base
        self.headers[name] = Header(name, base, tuple(fields), bool(instance["metadata"]), fixed // 8, length_offset)

    def _resolve_siblings(self) -> None:
        for name, others in self._siblings.items():
            header = self.headers[name]
            self.headers[name] = Header(
                header.name,
                header.base,
                header.fields,
                header.metadata,
                header.octets,
                header.length_offset,
                tuple(self.headers[other].base for other in others),
            )

    def _stack(self, json: Json) -> None:
        elements = tuple(self.headers[self._by_id[one]] for one in json["header_ids"])
        name = json["name"]
        self.stacks[name] = Stack(name, self._slot(f"{name}.$next$"), elements, elements[0].slots)

    def _union_stack(self, json: Json, stack: Json) -> None:
        unions = self._union_headers(json)
        members = tuple(
            tuple(self.headers[self._by_id[one]] for one in unions[union]) for union in stack["header_union_ids"]
        )
        stride = sum(header.slots for header in members[0])
        name = stack["name"]
        flat = tuple(header for member in members for header in member)
        self.stacks[name] = Stack(name, self._slot(f"{name}.$next$"), flat, stride, members)

    # -- names --

    def header(self, name: str, place: Place) -> Header:
        """The header of this name."""
        return _named(self.headers, name, "header", place)

    def stack(self, name: str, place: Place) -> Stack:
        """The header stack of this name."""
        return _named(self.stacks, name, "header stack", place)

    def field(self, name: str, member: str, place: Place) -> Slot:
        """The slot of a field or of the hidden `$valid$`."""
        header = self.header(name, place)
        if member == "$valid$":
            return Slot(header.base, 1, False, f"{name}.$valid$")
        for one in header.fields:
            if one.name == member:
                return slot_of(header, one)
        raise UnsupportedProgram(str(place), f"{name}.{member}", "no such field", [one.name for one in header.fields])

    def stack_next(self, stack: Stack) -> Slot:
        """The slot of a stack's next index."""
        return Slot(stack.next, 32, False, f"{stack.name}.$next$")


def slot_of(header: Header, field: Field) -> Slot:
    """The slot of a field of a header."""
    length = header.base + header.length_offset if field.variable and header.length_offset is not None else None
    return Slot(header.base + field.offset, field.width, field.signed, f"{header.name}.{field.name}", length)


def field_at(at: HeaderAt, field: Field) -> Slot | Indexed:
    """The slot of a field of a header whose index may be known only at run time."""
    if at.index is None:
        return slot_of(at.header, field)
    name = f"{at.header.name}+.{field.name}"
    return Indexed(at.header.base + field.offset, at.stride, at.count, at.index, field.width, field.signed, name)


def valid_at(at: HeaderAt) -> Expression:
    """The validity flag of a header whose index may be known only at run time."""
    if at.index is None:
        return Slot(at.header.base, 1, False, f"{at.header.name}.$valid$")
    return Indexed(at.header.base, at.stride, at.count, at.index, 1, False, f"{at.header.name}+.$valid$")


def _named(known: "Mapping[str, T]", name: str, kind: str, place: Place) -> "T":
    try:
        return known[name]
    except KeyError:
        raise UnsupportedProgram(str(place), name, f"no such {kind}", sorted(known)) from None
