"""The text of a packet test, as statements.

One statement a line; `#` begins a comment, a line that begins with blanks goes on with the one before. What follows
`packet`, `expect` … is a packet: hexadecimal, where `*` stands for any digit, or whatever the caller's builder makes of
the words (see `play.Builder`).

    include FILE                                  statements of another file, beside this one
    let NAME = PACKET                             a name for a piece of a packet
    add TABLE [PRIORITY] KEY:VALUE … ACTION(PARAMETER:VALUE, …)
    modify TABLE …                                likewise
    remove TABLE [PRIORITY] KEY:VALUE …
    meter LINK REASON RATE BURST                  packets to the controller, of one kind and link
    test WORDS                                    a name for the packets that follow
    packet PORT PACKET                            enters by a port
    inject FIELD:VALUE … PACKET                   enters from the controller
    expect PORT PACKET                            leaves by a port
    punt REASON [FIELD:VALUE …] PACKET            reaches the controller
    drop REASON                                   neither

A value is a number, an address with or without a length, a MAC, the name of a member of the P4 program's enumeration
for that field, or VALUE&&&MASK.
"""

import ipaddress
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from p4pmip.errors import P4pmipError

Fields = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a statement stands."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


@dataclass(frozen=True, slots=True)
class Let:
    """A name for a piece of a packet."""

    place: Place
    name: str
    packet: str


@dataclass(frozen=True, slots=True)
class Write:
    """A change of an entry."""

    place: Place
    operation: str
    """`add`, `modify` or `remove`."""
    table: str
    priority: int
    match: Fields
    action: str
    params: Fields


@dataclass(frozen=True, slots=True)
class Meter:
    """The rate of one cell of the punt meters."""

    place: Place
    link: int
    reason: str
    rate: int
    burst: int


@dataclass(frozen=True, slots=True)
class Test:
    """A name for the packets that follow."""

    place: Place
    name: str


@dataclass(frozen=True, slots=True)
class Packet:
    """A packet that enters: by a port, or (`port` None) from the controller with the fields of its header."""

    place: Place
    port: int | None
    fields: Fields
    packet: str


@dataclass(frozen=True, slots=True)
class Expect:
    """A packet that leaves by a port."""

    place: Place
    port: int
    packet: str


@dataclass(frozen=True, slots=True)
class Punt:
    """A packet that reaches the controller."""

    place: Place
    reason: str
    fields: Fields
    packet: str


@dataclass(frozen=True, slots=True)
class Drop:
    """The packet before goes nowhere, for this reason."""

    place: Place
    reason: str


Statement = Let | Write | Meter | Test | Packet | Expect | Punt | Drop

_CALL = re.compile(r"([\w.]+)\(([^()]*)\)$")
_FIELD = re.compile(r"([A-Za-z_][\w.$]*):(\S+)$")
_HEXADECIMAL = re.compile(r"[0-9a-fA-F*\s]+\$?$")


def read(path: Path) -> Iterator[Statement]:
    """The statements of a file and of what it includes; P4pmipError names the line that cannot be read."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise P4pmipError("file", str(path), error.strerror or "cannot be read") from None
    for place, line in _lines(path.name, text):
        word, _, rest = line.partition(" ")
        if word == "include":
            yield from read(path.parent / rest.strip())
        elif word in _READERS:
            yield _READERS[word](place, word, rest.strip())
        else:
            raise P4pmipError(str(place), word, "no such statement", ("include", *_READERS))


def _lines(name: str, text: str) -> Iterator[tuple[Place, str]]:
    place, parts = Place(name, 0), list[str]()
    for number, raw in enumerate(text.splitlines(), 1):
        line = re.split(r"(?:^|\s)#", raw, maxsplit=1)[0].rstrip()
        if not line:
            continue
        if line[0].isspace() and parts:
            parts.append(line.strip())
            continue
        if parts:
            yield place, " ".join(parts)
        place, parts = Place(name, number), [line]
    if parts:
        yield place, " ".join(parts)


def _let(place: Place, _: str, rest: str) -> Statement:
    name, equals, packet = rest.partition("=")
    if not equals or not name.strip().isidentifier():
        raise P4pmipError(str(place), rest, "not NAME = PACKET")
    return Let(place, name.strip(), packet.strip())


def _write(place: Place, operation: str, rest: str) -> Statement:
    words = re.findall(r"[\w.]+\([^()]*\)|\S+", rest)
    if not words:
        raise P4pmipError(str(place), rest, "a table is missing")
    table, words = words[0], words[1:]
    priority = int(words.pop(0)) if words and words[0].isdigit() else 0
    action, params = "", ""
    if operation != "remove":
        call = _CALL.match(words.pop()) if words else None
        if call is None:
            raise P4pmipError(str(place), rest, "an action is missing, as in name(parameter:value)")
        action, params = call.groups()
    given = tuple(_field(place, word.strip()) for word in params.split(",") if word.strip())
    return Write(place, operation, table, priority, tuple(_field(place, word) for word in words), action, given)


def _meter(place: Place, _: str, rest: str) -> Statement:
    try:
        link, reason, rate, burst = rest.split()
        return Meter(place, int(link), reason, int(rate), int(burst))
    except ValueError:
        raise P4pmipError(str(place), rest, "not LINK REASON RATE BURST") from None


def _test(place: Place, _: str, rest: str) -> Statement:
    return Test(place, rest)


def _packet(place: Place, _: str, rest: str) -> Statement:
    port, packet = _port(place, rest)
    return Packet(place, port, (), packet)


def _inject(place: Place, _: str, rest: str) -> Statement:
    fields, packet = _leading_fields(rest)
    return Packet(place, None, fields, packet)


def _expect(place: Place, _: str, rest: str) -> Statement:
    return Expect(place, *_port(place, rest))


def _punt(place: Place, _: str, rest: str) -> Statement:
    reason, _, rest = rest.partition(" ")
    return Punt(place, reason, *_leading_fields(rest.strip()))


def _drop(place: Place, _: str, rest: str) -> Statement:
    return Drop(place, rest)


_READERS = {
    "let": _let,
    "add": _write,
    "modify": _write,
    "remove": _write,
    "meter": _meter,
    "test": _test,
    "packet": _packet,
    "inject": _inject,
    "expect": _expect,
    "punt": _punt,
    "drop": _drop,
}


def _port(place: Place, rest: str) -> tuple[int, str]:
    word, _, packet = rest.partition(" ")
    if not word.isdigit():
        raise P4pmipError(str(place), word, "not a port number")
    return int(word), packet.strip()


def _leading_fields(rest: str) -> tuple[Fields, str]:
    fields: list[tuple[str, str]] = []
    while match := re.match(r"([a-z_]+):(\w+)\s+", rest):
        fields.append((match[1], match[2]))
        rest = rest[match.end() :]
    return tuple(fields), rest


def _field(place: Place, word: str) -> tuple[str, str]:
    match = _FIELD.match(word)
    if match is None:
        raise P4pmipError(str(place), word, "not NAME:VALUE")
    return match[1], match[2]


def is_hexadecimal(packet: str) -> bool:
    """Whether a packet is given digit by digit."""
    return _HEXADECIMAL.match(packet) is not None


def number(place: Place, text: str, names: Mapping[str, int]) -> int:
    """The value of a number, an address, a MAC or one of `names`; P4pmipError if it is none of these."""
    if text in names:
        return names[text]
    if re.fullmatch(r"[0-9a-fA-F]{2}(:[0-9a-fA-F]{2}){5}", text):
        return int(text.replace(":", ""), 16)
    try:
        return int(ipaddress.ip_address(text)) if ":" in text or text.count(".") == 3 else int(text, 0)
    except ValueError:
        raise P4pmipError(str(place), text, "neither number nor address nor name", names) from None
