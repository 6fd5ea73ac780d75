"""What an engine asks of the world: frozen values, drained with `engine.effects()` and carried out in their order."""

from dataclasses import dataclass
from ipaddress import IPv6Address

from p4pmip.mobility.binding import Binding
from p4pmip.mobility.endpoint import Endpoint
from p4pmip.mobility.record import Change, session_change
from p4pmip.mobility.session import Session
from p4pmip.wire.message import Message


@dataclass(frozen=True, slots=True)
class Send:
    """Send a message: `octets` are the Mobility Header, authenticated and with its checksum where it has one."""

    octets: bytes
    message: Message
    source: Endpoint
    destination: Endpoint


@dataclass(frozen=True, slots=True)
class Install:
    """Bring the switch and the journal from one state of a session to the next, then answer the ticket.

    The switch gets what differs between `old` and `new` (nothing, on most refreshes); the journal gets `change`.
    Answer `installed` when both have it, `refused` when the switch or the journal will not. An engine never has two
    open tickets for one session.
    """

    ticket: int
    before: Session | None
    after: Session | None

    @property
    def old(self) -> Binding | None:
        """What the switch holds of the session now."""
        return None if self.before is None else self.before.binding

    @property
    def new(self) -> Binding | None:
        """What the switch is to hold."""
        return None if self.after is None else self.after.binding

    @property
    def change(self) -> Change:
        """What the journal is asked for."""
        return session_change(self.session_id, self.after)

    @property
    def undo(self) -> Change:
        """What takes that back."""
        return session_change(self.session_id, self.before)

    @property
    def session_id(self) -> int:
        """The session it is about."""
        session = self.after or self.before
        assert session is not None
        return session.session_id


@dataclass(frozen=True, slots=True)
class Journal:
    """Write a row that is not a session; nothing waits for it, but it precedes the rows of later effects."""

    change: Change


@dataclass(frozen=True, slots=True)
class Advertise:
    """MAG: serve the mobile node now: RAs with its prefixes, DHCP with its address (RFC 5213 §6.9.2)."""

    session: Session
    lifetime: float
    """Seconds that the binding has left."""
    dhcp_server: bool = True
    """RFC 5844 §3.3.4: False if the LMA wants the MAG to relay DHCP."""

    @property
    def binding(self) -> Binding:
        """The binding that is served."""
        return self.session.binding

    @property
    def link_local(self) -> IPv6Address | None:
        """The MAG's address on the access link, if the LMA keeps it (RFC 5213 §6.8); None: the configured one."""
        return self.session.link_local


@dataclass(frozen=True, slots=True)
class Withdraw:
    """MAG: stop serving the mobile node and take back what was advertised (RFC 5213 §6.12)."""

    session: Session

    @property
    def binding(self) -> Binding:
        """The binding that was served."""
        return self.session.binding


@dataclass(frozen=True, slots=True)
class Alarm:
    """Something that a person should know: a misconfiguration, a dead peer, a switch that refuses."""

    name: str
    detail: str
    session_id: int | None = None


@dataclass(frozen=True, slots=True)
class Received:
    """A message that arrived, and what became of it: for logs, traces and views."""

    message: Message | None
    source: Endpoint
    destination: Endpoint
    outcome: str
    """A stable snake_case name: `accepted`, `ignored_...`, `status_163`, a decoding fault's reason."""


@dataclass(frozen=True, slots=True)
class ParameterProblem:
    """Send an ICMPv6 Parameter Problem, code 0, about a Mobility Header (RFC 6275 §9.2)."""

    octets: bytes
    pointer: int
    """Counted from the Mobility Header's first octet."""
    source: Endpoint
    destination: Endpoint


Effect = Send | Install | Journal | Advertise | Withdraw | Alarm | Received | ParameterProblem
