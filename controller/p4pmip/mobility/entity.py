"""What an LMA and a MAG do alike with what the world tells them: messages, timers, tickets, and a journal to take over.

A role says what its own messages, entries and deadlines mean; the rest is the same on both sides.
"""

from abc import abstractmethod
from collections.abc import Hashable, Iterable
from random import Random
from typing import Generic, TypeVar

from p4pmip.mobility import heartbeat, revocation
from p4pmip.mobility.binding import Role
from p4pmip.mobility.config import Common
from p4pmip.mobility.effects import Journal
from p4pmip.mobility.endpoint import Endpoint
from p4pmip.mobility.engine import Engine
from p4pmip.mobility.incoming import Incoming
from p4pmip.mobility.peer import PeerState
from p4pmip.mobility.record import Forget, Record, from_record, read
from p4pmip.mobility.session import Session
from p4pmip.mobility.timers import Timed
from p4pmip.wire.message import (
    BindingError,
    BindingRevocationAcknowledgement,
    BindingRevocationIndication,
    Heartbeat,
)

Held = TypeVar("Held", bound=Timed)
"""An entry of the binding cache or of the binding update list."""


class Entity(Engine, Generic[Held]):
    """A mobility entity of either role."""

    role: Role

    def __init__(self, config: Common, random: Random | None = None) -> None:
        super().__init__(config, random)
        self._open: dict[int, Held] = {}
        """Entries by their open ticket."""
        self._left_out: list[tuple[Session, Hashable]] = []
        """Sessions of a journal that could not be restored, with the owners of their keys."""

    # --- the world's inputs ------------------------------------------------------------------------------------------

    def receive(self, octets: bytes, source: Endpoint, destination: Endpoint, now: float, utc: float) -> None:
        """Process a Mobility Header that arrived; never raises on what it holds."""
        self._enter(now, utc)
        incoming = self.open(octets, source, destination, now)
        if incoming is None or self._registration(incoming, now, utc):
            return
        match incoming.message:
            case Heartbeat() as message:
                heartbeat.receive(self, message, incoming, now)
            case BindingRevocationIndication() as message:
                if (peer := revocation.known(self, incoming)) is not None:
                    self._revoked(message, incoming, peer, now)
            case BindingRevocationAcknowledgement() as message:
                revocation.acknowledged(self, message, incoming, now)
            case BindingError() as message:
                self.unrecognized(message, incoming, now)
            case _:
                self.received(incoming, f"ignored_not_for_{self.role.value}")

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
            RecordError: A row was not written by this package.
        """
        self._enter(now, utc)
        records = list(records)
        self._restore_rest(records, now, utc)
        sessions = [read(one, lambda row: from_record(row.payload)) for one in records if one.kind == "session"]
        for session in sorted(sessions, key=lambda one: one.expires_utc):
            if session.role is self.role:
                self._restore(session, now, utc)
        for session, owner in self._left_out:  # now that it is known who else has their keys
            key = session.receive_key
            if key is not None:
                self.keys.restore(session.granularity, owner, key)
                until = self.keys.release(session.granularity, owner, key, now)
                if until is not None:
                    self._expire("key", str(key), {}, until)
        self._left_out.clear()

    def _not_restored(self, session: Session, why: str, owner: Hashable) -> None:
        """A session that this configuration has no place for.

        Nothing of it may come back later, beside what others were given meanwhile; its key rests.

        Args:
            session: As it was journalled.
            why: For people.
            owner: Of its key, if that is shared.
        """
        self.alarm("binding_not_restored", why, session.session_id)
        self.emit(Journal(Forget("session", str(session.session_id))))
        self._left_out.append((session, owner))

    def _taken(self, ticket: int) -> Held | None:
        entry = self._open.pop(ticket, None)
        if entry is None:
            self.counters["unknown_ticket"] += 1
        return entry

    # --- what the role does ------------------------------------------------------------------------------------------

    @abstractmethod
    def _registration(self, incoming: Incoming, now: float, utc: float) -> bool:
        """Process the message if it is this role's of registration: a PBU at an LMA, a PBA at a MAG."""

    @abstractmethod
    def _revoked(self, message: BindingRevocationIndication, incoming: Incoming, peer: PeerState, now: float) -> None:
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
