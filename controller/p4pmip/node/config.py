"""Reading a configuration file.

One TOML file describes realms, mobile nodes and any number of nodes. It is validated as a whole before anything
starts: a `ConfigError` carries every finding, each with its place, the value and the valid choices.
"""

import copy
import difflib
import functools
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from p4pmip.errors import P4pmipError
from p4pmip.node.reference import kind
from p4pmip.node.references import references
from p4pmip.node.schema import (
    KEY_MAXIMUM,
    Config,
    Engine,
    GrePolicy,
    Lma,
    Mag,
    MobileNode,
    NodeSettings,
    Peer,
    Port,
    Realm,
    Route,
    Section,
    Signalling,
    TunnelSettings,
)
from p4pmip.p4runtime.target import load_inventory

__all__ = [
    "KEY_MAXIMUM",
    "Config",
    "ConfigError",
    "Engine",
    "GrePolicy",
    "Lma",
    "Mag",
    "MobileNode",
    "NodeSettings",
    "Peer",
    "Port",
    "Realm",
    "Route",
    "Section",
    "Signalling",
    "TunnelSettings",
    "load",
    "parse",
]


_ADDRESS = "IPv4 address or IPv6 address"
"""What the keys of a table are that has not names: JSON Schema cannot say it."""


class ConfigError(P4pmipError):
    """A configuration that cannot be used; `findings` has one line for each thing wrong."""

    def __init__(self, findings: list[str]) -> None:
        super().__init__("configuration", "", "; ".join(findings))
        self.findings = tuple(findings)

    def __str__(self) -> str:
        return "\n".join(self.findings)


def load(path: Path) -> Config:
    """Read and check a configuration file.

    Raises:
        ConfigError: Something in it cannot be used.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError([f"{path}: cannot be read: {error}"]) from error
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError([f"{path}: not TOML: {error}"]) from error
    return parse(data, str(path), path.parent)


def parse(data: Mapping[str, Any], place: str = "configuration", folder: Path = Path()) -> Config:
    """Check a configuration given as plain data; its relative paths start in `folder`.

    Raises:
        ConfigError: Something in it cannot be used.
    """
    unknown: list[str] = []
    try:
        try:
            config = _validated(data, folder)
        except ValidationError:
            known, unknown = _without_unknown_keys(data)
            config = _validated(known, folder)
    except ValidationError as error:
        raise ConfigError([f"{place}: {line}" for line in (*unknown, *_lines(error))]) from error
    try:
        config = config.placed(folder, {} if config.inventory is None else load_inventory(config.inventory))
    except P4pmipError as error:
        lines = (*unknown, *(f"inventory: {line}" for line in str(error).splitlines()))
        raise ConfigError([f"{place}: {line}" for line in lines]) from error
    findings = [f"{place}: {line}" for line in (*unknown, *references(config))]
    if findings:
        raise ConfigError(findings)
    return config


def _validated(data: Mapping[str, Any], folder: Path) -> Config:
    return Config.model_validate(data, context={"folder": folder})


def _without_unknown_keys(data: Mapping[str, Any]) -> tuple[Mapping[str, Any], list[str]]:
    """The data without the keys that no section has, and a line for each of these: the rest is judged all the same."""
    known = copy.deepcopy(dict(data))
    lines: list[str] = []
    while True:
        try:
            _validated(known, Path())
        except ValidationError as error:
            unknown = [one["loc"] for one in error.errors(include_url=False) if one["type"] == "extra_forbidden"]
        else:
            unknown = []
        if not unknown:
            return known, lines
        for location in unknown:
            section: Any = known
            for part in location[:-1]:
                section = section[part]
            del section[location[-1]]
            lines.append(_unknown_key(location))


def _unknown_key(location: tuple[int | str, ...]) -> str:
    place, schema = _at(location[:-1])
    choices = sorted(_resolve(schema).get("properties", {}))
    near = difflib.get_close_matches(str(location[-1]), choices, 1)
    hint = f"; did you mean {near[0]}?" if near else ""
    return f"{_where((*place, location[-1]))}: unknown key{hint} (valid: {', '.join(choices)})"


def _lines(error: ValidationError) -> Iterator[str]:
    """A line for each place where a value is wrong; a value that may be of several kinds is wrong once."""
    yield from dict.fromkeys(_line(finding) for finding in error.errors(include_url=False))


def _line(finding: ErrorDetails) -> str:
    location, value = finding["loc"], finding["input"]
    message = finding["msg"].removeprefix("Value error, ") if finding["type"] == "value_error" else None
    if "[key]" in location:
        place, _ = _at(location[: location.index("[key]") - 1])
        return f"{_where(place)}: wrong key: {_shown(value)} (valid: {message or _ADDRESS})"
    place, schema = _at(location)
    if finding["type"] == "missing":
        return f"{_where(place)}: missing (valid: {_valid(schema)})"
    if message is not None:
        return f"{_where(place)}: {message}" + ("" if isinstance(value, dict) else f": {_shown(value)}")
    if finding["type"] == "too_short":
        return f"{_where(place)}: must not be empty"
    return f"{_where(place)}: wrong value: {_shown(value)} (valid: {_valid(schema)})"


def _valid(schema: Any) -> str:
    return kind(schema).replace("`", "'")


def _shown(value: object) -> str:
    """A value of the file, as TOML has it where that is short."""
    return {True: "true", False: "false"}[value] if isinstance(value, bool) else repr(value)


def _where(place: tuple[int | str, ...]) -> str:
    return ".".join(map(str, place))


def _at(location: tuple[int | str, ...]) -> tuple[tuple[int | str, ...], Any]:
    """The place of a finding without the validator's own words, and the schema of what belongs there."""
    schema: Any = _schema()
    for depth, part in enumerate(location):
        inner = _resolve(schema)
        if part in inner.get("properties", {}):
            schema = inner["properties"][part]
        elif isinstance(inner.get("additionalProperties"), dict):
            schema = inner["additionalProperties"]
        elif "items" in inner and isinstance(part, int):
            schema = inner["items"]
        else:
            return location[:depth], schema
    return location, schema


def _resolve(schema: Any) -> Any:
    while True:
        if "$ref" in schema:
            schema = _schema()["$defs"][schema["$ref"].rsplit("/", 1)[1]]
        elif "anyOf" in schema:
            schema = next((one for one in schema["anyOf"] if one.get("type") != "null"), {})
        elif "allOf" in schema:
            schema = schema["allOf"][0]
        else:
            return schema


@functools.cache
def _schema() -> dict[str, Any]:
    return Config.model_json_schema()
