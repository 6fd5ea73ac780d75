"""PBUs made by hand, and an LMA that answers them at once."""

from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address, IPv6Network
from random import Random
from typing import Any

from tests.mobility.domain import LMA, MAGS, MN, UTC, lma_config

from p4pmip.mobility.binding import Gre
from p4pmip.mobility.config import LmaConfig
from p4pmip.mobility.effects import Alarm, Effect, Install, Journal, Received, Send
from p4pmip.mobility.endpoint import Endpoint
from p4pmip.mobility.lma import LocalMobilityAnchor
from p4pmip.mobility.session import Session
from p4pmip.wire import options as o
from p4pmip.wire.message import BindingAcknowledgement, BindingUpdate, Message
from p4pmip.wire.mobility_header import encode
from p4pmip.wire.numbers import BindingUpdateFlag

FLAGS = BindingUpdateFlag.A | BindingUpdateFlag.P
LL = bytes((2, 0, 0, 0, 0, 1))
ANY = "::/0"


def gre_option(gre: Gre, key: int = 7) -> tuple[o.Option, ...]:
    """No GRE Key option, one of Length 2, or one of Length 6."""
    return {Gre.PLAIN: (), Gre.MODE: (o.GreKey(None),), Gre.KEYED: (o.GreKey(key),)}[gre]


def options(
    mn: bytes | None = MN,
    prefixes: tuple[str, ...] = (ANY,),
    hi: int | None = 1,
    att: int | None = 3,
    ll: bytes | None = LL,
    stamp: float | None = None,
    gre: Gre = Gre.PLAIN,
    key: int = 7,
    ipv4: str | None = None,
    extra: tuple[o.Option, ...] = (),
) -> tuple[o.Option, ...]:
    """The options of a PBU; `None` leaves one out."""
    found: list[o.Option] = []
    if mn is not None:
        found.append(o.MobileNodeIdentifier.nai(mn))
    for text in prefixes:
        network = IPv6Network(text)
        found.append(o.HomeNetworkPrefix(network.network_address, network.prefixlen))
    if hi is not None:
        found.append(o.HandoffIndicatorOption(hi))
    if att is not None:
        found.append(o.AccessTechnologyOption(att))
    if ll is not None:
        found.append(o.LinkLayerIdentifier(ll))
    if stamp is not None:
        found.append(o.Timestamp.from_utc(stamp))
    found.extend(gre_option(gre, key))
    if ipv4 is not None:
        found.append(o.IPv4HomeAddressRequest(IPv4Address(ipv4), 16))
    return (*found, *extra)


class Anchor:
    """An LMA whose switch does at once what it is told, unless `hold` or `refuse` say otherwise."""

    def __init__(self, **changes: Any) -> None:
        self.config: LmaConfig = replace(lma_config(), **changes)
        self.engine = LocalMobilityAnchor(self.config, Random(1))
        self.now = 0.0
        self.sequence = 0
        self.hold = False
        self.refuse = False
        self.tickets: list[Install] = []
        self.installs: list[Install] = []
        self.sent: list[Send] = []
        self.alarms: list[str] = []
        self.outcomes: list[str] = []
        self.journal: list[Journal] = []
        self.log: list[Effect] = []

    @property
    def utc(self) -> float:
        return UTC + self.now

    def send(
        self,
        message: Message,
        mag: int | Endpoint = 0,
        destination: Endpoint | None = None,
        octets: bytes | None = None,
    ) -> list[Message]:
        """Deliver a message; answers what the LMA sent before it was quiet."""
        source = mag if isinstance(mag, Endpoint) else Endpoint(MAGS[mag])
        destination = destination or Endpoint(LMA)
        if octets is None:
            octets = encode(message, source.address, destination.address) if source.port is None else encode(message)
        self.engine.receive(octets, source, destination, self.now, self.utc)
        return self.settle()

    def ask(
        self,
        mag: int | Endpoint = 0,
        *,
        lifetime: int = 900,
        sequence: int | None = None,
        flags: BindingUpdateFlag = FLAGS,
        stamped: bool = True,
        step: float = 0.01,
        care_of: IPv6Address | None = None,
        destination: Endpoint | None = None,
        **details: Any,
    ) -> BindingAcknowledgement | None:
        """Send a PBU a little later than the last; answers the PBA, if there was one."""
        self.now += step
        self.sequence = self.sequence + 1 if sequence is None else sequence
        if stamped:
            details.setdefault("stamp", self.utc)
        if care_of is not None:
            details["extra"] = (*details.get("extra", ()), o.AlternateCareOfAddress(care_of))
        message = BindingUpdate(self.sequence, flags, lifetime, options(**details))
        answers = self.send(message, mag, destination)
        mine = [one for one in answers if isinstance(one, BindingAcknowledgement)]
        mine = [one for one in mine if one.sequence == self.sequence] or mine
        assert len(mine) <= 1
        return mine[0] if mine else None

    def settle(self) -> list[Message]:
        """Carry out effects until there are none; answers the messages."""
        messages: list[Message] = []
        while effects := self.engine.effects():
            self.log.extend(effects)
            for effect in effects:
                match effect:
                    case Send():
                        self.sent.append(effect)
                        messages.append(effect.message)
                    case Install():
                        self.installs.append(effect)
                        if self.hold:
                            self.tickets.append(effect)
                        elif self.refuse:
                            self.engine.refused(effect.ticket, "the table is full", self.now, self.utc)
                        else:
                            self.engine.installed(effect.ticket, self.now, self.utc)
                    case Alarm():
                        self.alarms.append(effect.name)
                    case Received():
                        self.outcomes.append(effect.outcome)
                    case Journal():
                        self.journal.append(effect)
                    case _:
                        pass
        return messages

    def answer(self, refuse: bool = False) -> list[Message]:
        """Answer the tickets that were held back."""
        tickets, self.tickets, self.hold = self.tickets, [], False
        for install in tickets:
            if refuse:
                self.engine.refused(install.ticket, "the table is full", self.now, self.utc)
            else:
                self.engine.installed(install.ticket, self.now, self.utc)
        return self.settle()

    def wait(self, seconds: float) -> list[Message]:
        """Let time pass, timers and all."""
        end = self.now + seconds
        messages: list[Message] = []
        while (soonest := self.engine.next_timer()) is not None and soonest <= end:
            self.now = max(self.now, soonest)
            self.engine.handle_timer(self.now, self.utc)
            messages += self.settle()
        self.now = end
        self.engine.handle_timer(self.now, self.utc)
        return messages + self.settle()

    def sessions(self) -> list[Session]:
        return sorted(self.engine.sessions(), key=lambda session: session.session_id)

    def only(self) -> Session:
        (session,) = self.sessions()
        return session


def status(answer: BindingAcknowledgement | None) -> int | None:
    """The status of a PBA; None for silence."""
    return None if answer is None else int(answer.status)


def option(message: Message | None, kind: type) -> Any:
    """The one option of a class in a message, or None."""
    assert message is not None
    found = [one for one in message.options if isinstance(one, kind)]  # type: ignore[union-attr]
    assert len(found) <= 1
    return found[0] if found else None
