"""Logs: every line says which node it is about and, where it is about one, which peer and mobile node.

What a library says, too: whose work is done is known by the context that it is done in (`of_node`). An MN-Identifier, a
key or a secret stands in no line above debug level: there a session is told by its number.
"""

import json
import logging
import os
import re
import sys
from collections.abc import Iterable, Iterator, MutableMapping
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from p4pmip.errors import P4pmipError
from p4pmip.p4runtime.messages import MESSAGES

LEVELS = ("debug", "info", "warning", "error")
_OF_A_NAI = re.compile(r"mobile_nodes\.\d+(\.|: )nai\b")

_NODE: ContextVar[str] = ContextVar("node", default="")


@contextmanager
def of_node(*names: str) -> Iterator[None]:
    """What is done and started meanwhile is done for these nodes."""
    token = _NODE.set(",".join(names))
    try:
        yield
    finally:
        _NODE.reset(token)


class NodeLogger(logging.LoggerAdapter[logging.Logger]):
    """A logger whose lines carry the node's name; `about` gives one that says more."""

    def __init__(self, logger: logging.Logger, node: str, **about: object) -> None:
        super().__init__(logger, {"node": node, **about})

    def about(self, *, peer: object = None, session: int | None = None, mn: bytes | None = None) -> "NodeLogger":
        """The same with a peer, a session's number, and its mobile node (for debug level only)."""
        assert self.extra is not None
        return NodeLogger(self.logger, str(self.extra["node"]), peer=peer, session=session, mn=mn)

    def process(self, msg: object, kwargs: MutableMapping[str, Any]) -> tuple[object, MutableMapping[str, Any]]:
        """Give the record what the line is about."""
        kwargs["extra"] = {"about": self.extra}
        return msg, kwargs


def _about(record: logging.LogRecord) -> dict[str, object]:
    about: dict[str, object] = {"node": _NODE.get(), **(getattr(record, "about", None) or {})}
    mn = about.pop("mn", None)
    if isinstance(mn, bytes) and record.levelno <= logging.DEBUG:
        about["mn"] = mn.decode("utf-8", "backslashreplace")
        about.pop("session", None)
    return {key: str(value) if key != "session" else value for key, value in about.items() if value is not None}


class TextFormatter(logging.Formatter):
    """`12:00:00.123 WARNING [lma|peer 2001:db8::1|session 7] text`."""

    default_msec_format = "%s.%03d"

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        """One line (more where an exception is told)."""
        about = _about(record)
        words = [str(about.pop("node")), *(f"{key} {value}" for key, value in about.items())]
        said = f"[{'|'.join(words)}] {record.getMessage()}"
        return super().format(logging.makeLogRecord(record.__dict__ | {"msg": said, "args": None}))


class JsonFormatter(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        line = {
            "time": record.created,
            "level": record.levelname.lower(),
            "logger": record.name,
            **_about(record),
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line)


class RequestFormatter(logging.Formatter):
    """`1790000000.123456 [lma] 127.0.0.1:9559/1 Write …`."""

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        return f"{record.created:.6f} [{_NODE.get()}] {record.getMessage()}"


def start_logging(level: str, as_json: bool, names: Iterable[str]) -> None:
    """Send what the package logs, and warnings of the libraries, to standard error.

    Args:
        level: Of the package's lines.
        as_json: One JSON object a line.
        names: The nodes of this process: lines that are about none of them in particular are about all.
    """
    _NODE.set(",".join(names))
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if as_json else TextFormatter())
    logging.getLogger().addHandler(handler)
    logging.getLogger("p4pmip").setLevel(level.upper())
    logging.captureWarnings(True)


def without_identities(finding: str) -> str:
    """A finding about a configuration, as it may stand in a log: without an MN-Identifier."""
    place, quote, _ = finding.partition(": '")
    return place if quote and _OF_A_NAI.search(place) else finding


def log_requests(path: Path) -> None:
    """Append what targets are asked to a file that only its owner may read.

    Raises:
        P4pmipError: It cannot be written.
    """
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600))
        handler = logging.FileHandler(path)
    except OSError as error:
        raise P4pmipError("--p4runtime-log", str(path), error.strerror or "cannot be written") from error
    handler.setFormatter(RequestFormatter())
    MESSAGES.addHandler(handler)
    MESSAGES.setLevel(logging.DEBUG)
    MESSAGES.propagate = False
