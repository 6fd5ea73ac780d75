"""Logs: every line says which node it is about and, where it is about one, which peer and mobile node.

An MN-Identifier, a key or a secret stands in no line above debug level: there a session is told by its number.
"""

import json
import logging
import os
import sys
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

from p4pmip.errors import P4pmipError
from p4pmip.p4runtime.messages import MESSAGES

LEVELS = ("debug", "info", "warning", "error")


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
    about = dict(getattr(record, "about", None) or {})
    mn = about.pop("mn", None)
    if mn is not None and record.levelno <= logging.DEBUG:
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
        if about:
            words = [str(about.pop("node")), *(f"{key} {value}" for key, value in about.items())]
            record = logging.makeLogRecord(record.__dict__ | {"msg": f"[{'|'.join(words)}] {record.msg}"})
        return super().format(record)


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


def start_logging(level: str, as_json: bool) -> None:
    """Send what the package logs to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if as_json else TextFormatter())
    logger = logging.getLogger("p4pmip")
    logger.addHandler(handler)
    logger.setLevel(level.upper())
    logger.propagate = False


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
    handler.setFormatter(logging.Formatter("%(created).6f %(message)s"))
    MESSAGES.addHandler(handler)
    MESSAGES.setLevel(logging.DEBUG)
    MESSAGES.propagate = False
