"""The desired state of a target as JSON, from a running node: entries, and whose sessions they are.

    GET /desired?target=NAME   ->   {"entries": [...], "sessions": {"7": {"mn": "mn1@a.example", ...}}}

An entry is `{"table", "match", "action", "params", "priority"}`; a match value is an integer, `{"value", "length"}` or
`{"value", "mask"}`. All numbers are decimal integers.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from socket import AF_UNIX, SOCK_STREAM, socket
from typing import Any
from urllib.parse import quote

from p4pmip.errors import P4pmipError
from p4pmip.forwarding.entry import Entry, Lpm, Match, Ternary

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Desired:
    """What a target should hold."""

    entries: tuple[Entry, ...] = ()
    sessions: Mapping[int, Mapping[str, Any]] = field(default_factory=dict)
    """What is known of each session id: at least `mn`."""


def entry_json(entry: Entry) -> Json:
    """An entry with plain numbers."""
    return {
        "table": entry.table,
        "match": {name: _match_json(match) for name, match in entry.match},
        "action": entry.action,
        "params": dict(entry.params),
        "priority": entry.priority,
    }


def desired_json(entries: Iterable[Entry], sessions: Mapping[int, Mapping[str, Any]]) -> Json:
    """What a node answers."""
    return {
        "entries": [entry_json(entry) for entry in entries],
        "sessions": {str(session_id): dict(about) for session_id, about in sessions.items()},
    }


def read_desired(document: Any, place: str) -> Desired:
    """What a node answered; P4pmipError if it is not of that shape."""
    try:
        entries = tuple(_entry(item) for item in document["entries"])
        sessions = {int(number): dict(about) for number, about in document["sessions"].items()}
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise P4pmipError(place, repr(error), "not a desired state") from None
    return Desired(entries, sessions)


def fetch_desired(path: Path, target: str, seconds: float = 30.0) -> Desired:
    """Ask the node whose admin socket is at `path`; P4pmipError if it does not answer with a desired state."""
    connection = UnixConnection(path, seconds)
    try:
        connection.request("GET", f"/desired?target={quote(target, safe='')}")
        response = connection.getresponse()
        body = response.read()
    except (OSError, HTTPException) as error:
        raise P4pmipError("--node", str(path), f"no node answers ({error})") from None
    finally:
        connection.close()
    try:
        document = json.loads(body)
    except ValueError:
        raise P4pmipError("--node", str(path), "does not answer with JSON") from None
    if response.status != 200:
        told = document if isinstance(document, dict) else {}
        choices = told.get("choices", ())
        raise P4pmipError("--node", target, str(told.get("error", f"status {response.status}")), choices)
    return read_desired(document, "--node")


class UnixConnection(HTTPConnection):
    """HTTP over a Unix socket; `seconds` is the timeout of each of its steps, None for none."""

    def __init__(self, path: Path, seconds: float | None) -> None:
        super().__init__("localhost", timeout=seconds)
        self._path = path

    def connect(self) -> None:
        """Connect to the socket in the file system."""
        self.sock = socket(AF_UNIX, SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


def _match_json(match: Match) -> int | Json:
    match match:
        case Lpm(value, length):
            return {"value": value, "length": length}
        case Ternary(value, mask):
            return {"value": value, "mask": mask}
        case int(value):
            return value


def _entry(item: Json) -> Entry:
    return Entry(
        str(item["table"]),
        tuple((str(name), _match(match)) for name, match in item["match"].items()),
        str(item["action"]),
        tuple((str(name), int(value)) for name, value in item["params"].items()),
        int(item["priority"]),
    )


def _match(item: int | Json) -> Match:
    if isinstance(item, int):
        return item
    if "length" in item:
        return Lpm(int(item["value"]), int(item["length"]))
    return Ternary(int(item["value"]), int(item["mask"]))
