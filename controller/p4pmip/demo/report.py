"""What the demo claims and whether it holds; told as it happens, or as one JSON object at the end."""

import json
import sys
from dataclasses import asdict, dataclass, field
from typing import TextIO

from p4pmip.demo.figure1 import Subscriber
from p4pmip.mobility.binding import IPAddress
from p4pmip.mobility.session import Session
from p4pmip.wire.message import BindingAcknowledgement, BindingUpdate, Message
from p4pmip.wire.numbers import Status
from p4pmip.wire.options import GreKey, IPv4HomeAddressReply, IPv4HomeAddressRequest, MobileNodeIdentifier


@dataclass(frozen=True, slots=True)
class Check:
    """A claim, and what was seen."""

    name: str
    ok: bool
    detail: str


@dataclass(frozen=True, slots=True)
class SessionRow:
    """A mobile node as it was first registered."""

    mn: str
    operator: str
    ipv4: str
    mag: str
    uplink_key: int | None
    downlink_key: int | None


@dataclass(frozen=True, slots=True)
class Handover:
    """What a move did to the keys and to the traffic."""

    mn: str
    uplink_key_before: int | None
    uplink_key_after: int | None
    downlink_key_before: int | None
    downlink_key_after: int | None
    lost: int
    sent: int


@dataclass(slots=True)
class Result:
    """Everything the demo found."""

    checks: list[Check] = field(default_factory=list)
    sessions: list[SessionRow] = field(default_factory=list)
    handover: Handover | None = None
    capture: str = ""

    @property
    def ok(self) -> bool:
        """Whether every claim holds."""
        return bool(self.checks) and all(check.ok for check in self.checks)

    def as_json(self) -> str:
        """One object, in the form that other programs rely on."""
        return json.dumps(
            {
                "ok": self.ok,
                "checks": [asdict(check) for check in self.checks],
                "sessions": [asdict(session) for session in self.sessions],
                "handover": None if self.handover is None else asdict(self.handover),
                "capture": self.capture,
            },
            indent=2,
        )


def key_text(key: int | None) -> str:
    """A GRE key for people."""
    return "none" if key is None else f"0x{key:08x}"


def session_row(subscriber: Subscriber, mag: str, session: Session) -> SessionRow:
    """The row of a session as its LMA has it."""
    ipv4 = session.binding.ipv4
    return SessionRow(
        subscriber.name,
        subscriber.operator,
        "" if ipv4 is None else str(ipv4.ip),
        mag,
        session.uplink_key,
        session.downlink_key,
    )


class Narrator:
    """Says what happens, line by line, to whoever watches; silent where the result is asked for as JSON."""

    def __init__(self, stream: TextIO | None = sys.stdout) -> None:
        self._stream = stream

    def title(self, text: str) -> None:
        """A new part begins."""
        self.say(f"\n{text}")

    def say(self, text: str) -> None:
        """A line."""
        if self._stream is not None:
            self._stream.write(f"{text}\n")
            self._stream.flush()

    def check(self, result: Result, name: str, ok: bool, detail: str) -> None:
        """Keep a claim, and say it."""
        result.checks.append(Check(name, ok, detail))
        self.say(f"  {'ok    ' if ok else 'FAILED'} {name}: {detail}")

    def signalling(self, message: Message | None, source: str, destination: str) -> None:
        """A message, decoded, in one line."""
        if isinstance(message, BindingUpdate | BindingAcknowledgement):
            self.say(f"  {source:>5} -> {destination:<5} {signalling_text(message)}")


def signalling_text(message: BindingUpdate | BindingAcknowledgement) -> str:
    """A PBU or PBA in one line, with its GRE key."""
    update = isinstance(message, BindingUpdate)
    words = ["PBU" if update else "PBA", f"seq {message.sequence}"]
    if isinstance(message, BindingAcknowledgement):
        words.append(_status(message.status))
    words += [_option(option, update) for option in message.options]
    if message.lifetime:
        words.append(f"lifetime {message.lifetime * 4} s")
    elif update:
        words.append("de-registration")
    return ", ".join(word for word in words if word)


def _status(status: int) -> str:
    name = Status(status).name.lower() if status in Status._value2member_map_ else "?"
    return f"status {status} ({name})"


def _option(option: object, update: bool) -> str:
    match option:
        case MobileNodeIdentifier():
            return option.identifier.decode(errors="replace")
        case GreKey():
            return f"{'downlink' if update else 'uplink'} key {key_text(option.key)}"
        case IPv4HomeAddressRequest() | IPv4HomeAddressReply():
            return f"IPv4 {_address(option.address)}"
    return ""


def _address(address: IPAddress) -> str:
    return "any" if address.is_unspecified else str(address)
