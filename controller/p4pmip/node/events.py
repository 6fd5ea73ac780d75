"""What happens at a node, as it happens: a short history, and whoever listens.

Events are kept as they are and become JSON only for a listener, so that a busy node pays for those who look.
"""

import asyncio
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from p4pmip.access import effects as access
from p4pmip.mobility import effects as mobility
from p4pmip.mobility.session import Session
from p4pmip.node.bindings import binding_json
from p4pmip.node.config import Config
from p4pmip.node.install import Answered
from p4pmip.node.switch import SwitchChanged
from p4pmip.wire.describe import message_json, text
from p4pmip.wire.error import WireError
from p4pmip.wire.message import Message
from p4pmip.wire.mobility_header import decode, encode

Json = dict[str, Any]

HISTORY = 512
"""Events that a new listener can still be told."""
BACKLOG = 4096
"""Events that a slow listener may be behind; then it misses some, and is told how many."""


class Event(NamedTuple):
    """One thing that happened."""

    number: int
    """Counts from 1."""
    utc: float
    what: object


class Listener:
    """One who listens."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[Event] = asyncio.Queue(BACKLOG)
        self.missed = 0

    def put(self, event: Event) -> None:
        """Tell it, or count that it missed something."""
        try:
            self.queue.put_nowait(event)
        except asyncio.QueueFull:
            self.missed += 1


class Events:
    """The events of one node."""

    def __init__(self, config: Config, name: str) -> None:
        self._config = config
        self._name = name
        self._number = 0
        self.started = time.time()
        """When the numbering of events began."""
        self._history: deque[Event] = deque(maxlen=HISTORY)
        self._listeners: list[Listener] = []

    def observe(self, _node: str, what: object) -> None:
        """Something happened: an observer of a node."""
        self._number += 1
        event = Event(self._number, time.time(), what)
        self._history.append(event)
        for listener in self._listeners:
            listener.put(event)

    @contextmanager
    def listen(self, after: int | None = None) -> Iterator[Listener]:
        """Listen for as long as the context lasts; `after` is the number of the last event that is known already."""
        listener = Listener()
        if after is not None:
            for event in self._history:
                if event.number > after:
                    listener.put(event)
        self._listeners.append(listener)
        try:
            yield listener
        finally:
            self._listeners.remove(listener)

    def json(self, event: Event) -> Json | None:
        """An event for people and views; None for what concerns the journal only."""
        told = self._told(event.what)
        if told is None:
            return None
        return {"id": event.number, "time": event.utc, "node": self._name, **told}

    def _told(self, what: object) -> Json | None:
        match what:
            case mobility.Send(octets, message, source, destination):
                return {
                    "event": "sent",
                    "source": str(source),
                    "destination": str(destination),
                    "message": message_json(decode(octets)) or {"name": type(message).__name__},
                }
            case mobility.Received(message, source, destination, outcome):
                return {
                    "event": "received",
                    "source": str(source),
                    "destination": str(destination),
                    "outcome": outcome,
                    "message": None if message is None else _described(message),
                }
            case mobility.Install(_, before, after):
                return {"event": "install", **self._change(before, after)}
            case Answered(install, refused):
                told = {"event": "refused", "reason": refused} if refused else {"event": "installed"}
                return told | self._change(install.before, install.after)
            case mobility.Advertise(session):
                return {"event": "advertise", **self._of(session)}
            case mobility.Withdraw(session):
                return {"event": "withdraw", **self._of(session)}
            case mobility.Alarm(name, detail, session_id):
                return {"event": "alarm", "name": name, "detail": detail, "session": session_id}
            case access.MobileNodeSeen(link, mac, _):
                return {"event": "seen", "link": link, "mac": mac.hex(":")}
            case access.Detached(link, mac):
                return {"event": "gone", "link": link, "mac": mac.hex(":")}
            case SwitchChanged(state, reason):
                return {"event": "switch", "state": state, "reason": reason}
            case _:
                return None

    def _of(self, session: Session) -> Json:
        access_link = None
        if session.access is not None:
            access_link = {"link": session.access.link, "mac": session.access.mac.hex(":")}
        return {
            "session": session.session_id,
            "binding": binding_json(self._config, self._name, session),
            "access": access_link,
        }

    def _change(self, before: Session | None, after: Session | None) -> Json:
        session = after or before
        assert session is not None
        return {
            "session": session.session_id,
            "mn": text(session.mn),
            "before": None if before is None else binding_json(self._config, self._name, before),
            "after": None if after is None else binding_json(self._config, self._name, after),
        }


def _described(message: Message) -> Json | None:
    """A message that arrived, as it would be encoded."""
    try:
        return message_json(decode(encode(message)))
    except WireError:
        return {"name": type(message).__name__}
