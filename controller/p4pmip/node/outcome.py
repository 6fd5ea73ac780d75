"""What comes of an order to register a mobile node, for somebody who waits for it."""

import asyncio
from typing import Any

from p4pmip.mobility import effects as mobility
from p4pmip.mobility.binding import Role
from p4pmip.mobility.mag import MobileAccessGateway
from p4pmip.mobility.update_list import Standing
from p4pmip.node.bindings import binding_json
from p4pmip.node.events import Listener
from p4pmip.node.install import Answered
from p4pmip.node.node import Node
from p4pmip.store.error import JournalReason
from p4pmip.wire.describe import mobile_node_of
from p4pmip.wire.message import BindingAcknowledgement, BindingUpdate
from p4pmip.wire.numbers import Status

Json = dict[str, Any]


async def outcome(node: Node, listener: Listener, done: Json, seconds: float) -> Json:
    """Wait until a registration is granted, refused or given up, `seconds` at the longest.

    Args:
        node: The MAG.
        listener: One that listens to its events since before the order.
        done: What `orders` answered.
        seconds: For how long.

    Returns:
        `outcome`: `registered` with the `binding`, or `refused` or `unanswered` with the `reason`.
    """
    assert node.mag is not None
    session_id = int(done["session"])
    following = _Following(node.name, str(done["mn"]).encode(), session_id)
    try:
        async with asyncio.timeout(seconds):
            while True:
                while not listener.queue.empty():
                    following.hear(listener.queue.get_nowait().what)
                standing = node.mag.standing(session_id)
                if standing is Standing.REGISTERED:
                    session = node.mag.session(session_id)
                    assert session is not None
                    return {"outcome": "registered", "binding": binding_json(node.config, node.name, session)}
                if standing is Standing.ENDED:
                    return {"outcome": "refused", "reason": following.reason or "ended meanwhile"}
                if standing is Standing.DELAYED and following.reason:
                    return {"outcome": "refused", "reason": f"{following.reason}; {node.name} will ask again"}
                following.hear((await listener.queue.get()).what)
    except TimeoutError:
        silent = f"{_silent(node, node.mag, session_id)} within {seconds:g} s"
        ignored = f" ({following.ignored})" if following.ignored else ""
        return {"outcome": "unanswered", "reason": f"{silent}{ignored}; {node.name} goes on asking"}


def _silent(node: Node, mag: MobileAccessGateway, session_id: int) -> str:
    """Who has not answered."""
    if mag.standing(session_id) is Standing.CHANGING:
        return f"no answer from the switch or the journal of {node.name}"
    anchor = mag.anchor(session_id)
    return f"no answer from LMA {'' if anchor is None else node.config.name_of(node.name, anchor)}"


class _Following:
    """Why a registration does not go on, by the node's events.

    Attributes:
        reason: As far as it is known; empty once it does go on.
        ignored: Why the last answer was no answer.
    """

    def __init__(self, node: str, mn: bytes, session_id: int) -> None:
        self._node = node
        self._mn = mn
        self._session_id = session_id
        self.reason = ""
        self.ignored = ""

    def hear(self, what: object) -> None:
        """Something happened at the node."""
        match what:
            case mobility.Send(message=BindingUpdate(lifetime=lifetime) as message):
                if lifetime and mobile_node_of(message) == self._mn:
                    self.reason = ""
            case mobility.Received(message=BindingAcknowledgement(status=status) as message, outcome=outcome):
                if mobile_node_of(message) != self._mn:
                    return
                if not outcome.startswith("status_"):
                    self.ignored = outcome
                elif status >= 128:
                    self.reason = f"refused: status {int(status)} ({_words(int(status))})"
            case Answered(install, refused) if refused and install.session_id == self._session_id:
                session = install.after or install.before
                if session is not None and session.role is Role.MAG:
                    part = "journal" if refused in set(JournalReason) else "switch"
                    self.reason = f"refused by the {part} of {self._node}: {refused}"
            case mobility.Alarm(name, detail, self._session_id) if not detail or detail not in self.reason:
                self.reason = f"{f'{self.reason};' if self.reason else 'given up:'} {name}: {detail}"


def _words(status: int) -> str:
    known = status in Status._value2member_map_
    return Status(status).name.lower().replace("_", " ") if known else "not assigned"
