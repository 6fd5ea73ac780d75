"""What an LMA and a MAG do alike with what the world tells them: messages, timers, tickets, and a journal to take over.

A role says what its own messages, entries and deadlines mean; the rest is the same on both sides.
"""

from abc import abstractmethod
from collections.abc import Iterable
from random import Random
from typing import Generic, TypeVar

from p4pmip.mobility import heartbeat, revocation
from p4pmip.mobility.binding import Role
from p4pmip.mobility.config import Common
from p4pmip.mobility.endpoint import Endpoint
from p4pmip.mobility.engine import Engine
from p4pmip.mobility.peer import PeerState
from p4pmip.mobility.record import Record, from_record
from p4pmip.mobility.session import Session
from p4pmip.mobility.timers import Timed
from p4pmip.wire.message import (
    BindingError,
    BindingRevocationAcknowledgement,
    BindingRevocationIndication,
    Heartbeat,
    Message,
)
from p4pmip.wire.mobility_header import Decoded

Held = TypeVar("Held", bound=Timed)
"""An entry of the binding cache or of the binding update list."""


class Entity(Engine, Generic[Held]):
    """A mobility entity of either role."""

    role: Role

    def __init__(self, config: Common, random: Random | None = None) -> None:
        super().__init__(config, random)
        self._open: dict[int, Held] = {}
        """Entries by their open ticket."""

    # --- the world's inputs ------------------------------------------------------------------------------------------

    def receive(self, octets: bytes, source: Endpoint, destination: Endpoint, now: float, utc: float) -> None:
        """Process a Mobility Header that arrived; never raises on what it holds."""
        self._enter(now, utc)
        opened = self.open(octets, source, destination, now)
        if opened is None:
            return
        message, decoded, peer = opened
        if self._registration(message, decoded, peer, source, destination, now, utc):
            return
        match message:
            case Heartbeat():
                heartbeat.receive(self, message, decoded, peer, source, destination, now)
            case BindingRevocationIndication():
                if (known := revocation.known(self, message, decoded, peer, source, destination)) is not None:
                    self._revoked(message, known, source, destination, now)
            case BindingRevocationAcknowledgement():
                revocation.acknowledged(self, message, decoded, peer, source, destination, now)
            case BindingError():
                self.unrecognized(message, decoded, peer, source, destination, now)
            case _:
                self.received(message, source, destination, f"ignored_not_for_{self.role.value}")

    def handle_timer(self, now: float, utc: float) -> None:
        """Do what has come due."""
        self._enter(now, utc)
        for timed in self.timers.due(now):
            match timed:
                case PeerState():
                    heartbeat.beat(self, timed, now)
                case revocation.Revocation():
                    revocation.again(self, timed, now)
                case _:
                    self._due(timed, now, utc)

    def installed(self, ticket: int, now: float, utc: float) -> None:
        """The switch and the journal hold what `Install` asked for."""
        self._enter(now, utc)
        entry = self._taken(ticket)
        if entry is not None:
            self._installed(entry, now, utc)

    def refused(self, ticket: int, reason: str, now: float, utc: float) -> None:
        """The switch or the journal would not: what was stays, or ends, but is never half-done."""
        self._enter(now, utc)
        entry = self._taken(ticket)
        if entry is not None:
            self.counters["install_refused"] += 1
            self.alarm("install_refused", reason, self._session_id(entry))
            self._refused(entry, now, utc)

    def restore(self, records: Iterable[Record], now: float, utc: float) -> None:
        """Take over what the journal holds, before anything else is asked of the engine.

        Nothing is installed: the switch is to be reconciled with `bindings`. Lifetimes go on by wall clock. Rows of
        other owners and of the other role are passed over.

        Raises:
            KeyError, ValueError, TypeError: a row was not written by this package.
        """
        self._enter(now, utc)
        records = list(records)
        self._restore_rest(records, now, utc)
        for record in records:
            if record.kind == "session":
                session = from_record(record.payload)
                if session.role is self.role:
                    self._restore(session, now, utc)

    def _taken(self, ticket: int) -> Held | None:
        entry = self._open.pop(ticket, None)
        if entry is None:
            self.counters["unknown_ticket"] += 1
        return entry

    # --- what the role does ------------------------------------------------------------------------------------------

    @abstractmethod
    def _registration(
        self,
        message: Message,
        decoded: Decoded,
        peer: PeerState | None,
        source: Endpoint,
        destination: Endpoint,
        now: float,
        utc: float,
    ) -> bool:
        """Process the message if it is this role's of registration: a PBU at an LMA, a PBA at a MAG."""

    @abstractmethod
    def _revoked(
        self,
        message: BindingRevocationIndication,
        peer: PeerState,
        source: Endpoint,
        destination: Endpoint,
        now: float,
    ) -> None:
        """A peer ends bindings (RFC 5846 §8.2, §9.1)."""

    @abstractmethod
    def _due(self, timed: Timed, now: float, utc: float) -> None:
        """The deadline of an entry, or of something else of this role."""

    @abstractmethod
    def _installed(self, entry: Held, now: float, utc: float) -> None:
        """What the entry's ticket asked for is so."""

    @abstractmethod
    def _refused(self, entry: Held, now: float, utc: float) -> None:
        """What the entry's ticket asked for is not so."""

    @abstractmethod
    def _session_id(self, entry: Held) -> int:
        """The session of an entry."""

    @abstractmethod
    def _restore(self, session: Session, now: float, utc: float) -> None:
        """Take over one session of this role."""
