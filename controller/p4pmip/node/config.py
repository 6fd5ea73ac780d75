"""Reading a configuration file.

One TOML file describes realms, mobile nodes and any number of nodes. It is validated as a whole before anything
starts: a `ConfigError` carries every finding, each with its place, the value and the valid choices.
"""

import difflib
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from p4pmip.errors import P4pmipError
from p4pmip.node.references import references
from p4pmip.node.schema import (
    KEY_MAXIMUM,
    SIGNALLING_PORT,
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
    "SIGNALLING_PORT",
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
    try:
        config = Config.model_validate(data, context={"folder": folder})
    except ValidationError as error:
        raise ConfigError([f"{place}: {line}" for line in _lines(error)]) from error
    try:
        config = config.placed(folder, {} if config.inventory is None else load_inventory(config.inventory))
    except P4pmipError as error:
        raise ConfigError([f"{place}: inventory: {line}" for line in str(error).splitlines()]) from error
    findings = [f"{place}: {line}" for line in references(config)]
    if findings:
        raise ConfigError(findings)
    return config


def _lines(error: ValidationError) -> Iterator[str]:
    for finding in error.errors(include_url=False):
        where = ".".join(str(part) for part in finding["loc"] if not str(part).startswith(("literal[", "constrained")))
        message = finding["msg"].removeprefix("Value error, ")
        if finding["type"] == "extra_forbidden":
            choices = _keys_at(finding["loc"][:-1])
            near = difflib.get_close_matches(str(finding["loc"][-1]), choices, 1)
            hint = f"; did you mean {near[0]}?" if near else ""
            yield f"{where}: unknown key{hint} (valid: {', '.join(choices)})"
        elif finding["type"] == "missing":
            yield f"{where}: missing"
        elif finding["type"].startswith("value_error") or isinstance(finding["input"], dict):
            yield f"{where}: {message}"
        else:
            yield f"{where}: {message}: {finding['input']!r}"


def _keys_at(location: tuple[int | str, ...]) -> list[str]:
    """The keys that are valid at a place, found by walking the schema along it."""
    schema: Any = Config.model_json_schema()
    definitions = schema["$defs"]
    for part in location:
        schema = _resolve(schema, definitions)
        if "properties" in schema and part in schema["properties"]:
            schema = schema["properties"][part]
        elif "additionalProperties" in schema:
            schema = schema["additionalProperties"]
        else:
            schema = schema.get("items", schema)
    return sorted(_resolve(schema, definitions).get("properties", {}))


def _resolve(schema: Any, definitions: Any) -> Any:
    while True:
        if "$ref" in schema:
            schema = definitions[schema["$ref"].rsplit("/", 1)[1]]
        elif "anyOf" in schema:
            schema = next((one for one in schema["anyOf"] if one.get("type") != "null"), {})
        elif "allOf" in schema:
            schema = schema["allOf"][0]
        else:
            return schema
