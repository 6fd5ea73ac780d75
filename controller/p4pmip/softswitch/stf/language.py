"""The statements of an STF file."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from p4pmip.errors import P4pmipError


@dataclass(frozen=True, slots=True)
class Add:
    """`add table [priority] field:value… action(name:value, …) [= label]`; the larger priority wins."""

    table: str
    priority: int | None
    match: tuple[tuple[str, str], ...]
    action: str
    arguments: tuple[tuple[str, str], ...]
    label: str | None = None


@dataclass(frozen=True, slots=True)
class SetDefault:
    """`setdefault table action(name:value, …)`."""

    table: str
    action: str
    arguments: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Packet:
    """`packet port octets`."""

    port: int
    frame: bytes


@dataclass(frozen=True, slots=True)
class Expect:
    """`expect port [nibbles [$]]`: `*` is any nibble, `$` the end of the packet; without nibbles any packet will do."""

    port: int
    nibbles: str | None
    exact: bool


@dataclass(frozen=True, slots=True)
class MulticastGroup:
    """`mc_mgrp_create group`."""

    group: int


@dataclass(frozen=True, slots=True)
class MulticastNode:
    """`mc_node_create rid port…`: nodes are numbered from 0 in their order."""

    instance: int
    ports: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class MulticastAssociate:
    """`mc_node_associate group node`."""

    group: int
    node: int


@dataclass(frozen=True, slots=True)
class Mirror:
    """`mirroring_add session port`, or with a multicast group `mirroring_add_mc session group`."""

    session: int
    port: int | None
    group: int | None


@dataclass(frozen=True, slots=True)
class CheckCounter:
    """`check_counter name(index|$label) [packets|bytes == number]`; with a label: the direct counter of its entry."""

    name: str
    index: int | str
    unit: str
    value: int | None


@dataclass(frozen=True, slots=True)
class RegisterWrite:
    """`register_write name index value`, or for all cells `register_reset name`."""

    name: str
    index: int | None
    value: int


@dataclass(frozen=True, slots=True)
class Wait:
    """`wait`: until the packets so far are through."""


Statement = (
    Add
    | SetDefault
    | Packet
    | Expect
    | MulticastGroup
    | MulticastNode
    | MulticastAssociate
    | Mirror
    | CheckCounter
    | RegisterWrite
    | Wait
)

IGNORED = frozenset({"mirroring_get", "register_read", "meter_get_rates", "no_packet"})
"""Statements that only show something."""

_CALL = re.compile(r"([^\s()]+)\s*\((.*)\)\s*(?:=\s*(?P<label>\w+))?$")
_COUNTER = re.compile(
    r"([\w.]+)\((?:\$(?P<label>\w+)|(?P<index>\w+))\)(?:\s+(?P<unit>packets|bytes)\s*==\s*(?P<value>\d+))?$"
)


def parse(text: str, place: str) -> Iterator[Statement]:
    """The statements of a file.

    Raises:
        P4pmipError: a line is no statement; says which.
    """
    for number, raw in enumerate(text.splitlines(), start=1):
        line = raw.split("#", 1)[0].strip()
        if not line:
            continue
        word, _, rest = line.partition(" ")
        if word in IGNORED:
            continue
        try:
            yield _statement(word, rest.strip())
        except (ValueError, IndexError) as error:
            raise P4pmipError(f"{place}:{number}", line, f"is no STF statement: {error}") from error


def _statement(word: str, rest: str) -> Statement:
    match word:
        case "add":
            return _add(rest)
        case "setdefault":
            table, call = rest.split(None, 1)
            action, arguments, _ = _call(call)
            return SetDefault(table, action, arguments)
        case "packet":
            port, _, data = rest.partition(" ")
            nibbles = re.sub(r"\s", "", data)
            return Packet(int(port), bytes.fromhex(nibbles))
        case "expect":
            port, _, data = rest.partition(" ")
            nibbles = re.sub(r"\s", "", data).upper()
            return Expect(int(port), nibbles.rstrip("$") or None, nibbles.endswith("$"))
        case "mc_mgrp_create":
            return MulticastGroup(int(rest))
        case "mc_node_create":
            numbers = [int(one) for one in rest.split()]
            return MulticastNode(numbers[0], tuple(numbers[1:]))
        case "mc_node_associate":
            group, node = rest.split()
            return MulticastAssociate(int(group), int(node))
        case "mirroring_add":
            session, port = rest.split()
            return Mirror(int(session), int(port), None)
        case "mirroring_add_mc":
            session, group = rest.split()
            return Mirror(int(session), None, int(group))
        case "check_counter":
            return _check_counter(rest)
        case "register_write":
            name, index, value = rest.split()
            return RegisterWrite(name, int(index, 0), int(value, 0))
        case "wait":
            return Wait()
        case "register_reset":
            return RegisterWrite(rest, None, 0)
        case _:
            raise ValueError("unknown statement")


def _call(text: str) -> tuple[str, tuple[tuple[str, str], ...], str | None]:
    found = _CALL.match(text)
    if not found:
        raise ValueError("no action")
    arguments = [one.split(":", 1) for one in found[2].split(",") if one.strip()]
    return found[1], tuple((name.strip(), value.strip()) for name, value in arguments), found["label"]


def _add(rest: str) -> Add:
    # The action is the last word before the parenthesis.
    before, _, inside = rest.partition("(")
    words = before.split()
    action, arguments, label = _call(f"{words[-1]}({inside}")
    words = words[:-1]
    table, fields = words[0], words[1:]
    priority = None
    if fields and ":" not in fields[0]:
        priority, fields = int(fields[0]), fields[1:]
    match = tuple((name, value) for name, value in (one.rsplit(":", 1) for one in fields))
    return Add(table, priority, match, action, arguments, label)


def _check_counter(rest: str) -> CheckCounter:
    found = _COUNTER.match(rest)
    if not found:
        raise ValueError("no counter check")
    index = found["label"] or int(found["index"], 0)
    value = None if found["value"] is None else int(found["value"])
    return CheckCounter(found[1], index, found["unit"] or "packets", value)
