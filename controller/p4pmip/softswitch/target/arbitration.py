"""Who may write: mastership arbitration among the controllers of one device (P4Runtime §5)."""

from collections.abc import Hashable
from dataclasses import dataclass, field

from p4pmip.softswitch.target.refusal import Code, Refusal, invalid, not_found
from p4pmip.softswitch.target.stubs import p4runtime

STREAMS_LIMIT = 64
"""Open streams for one role."""

WithElection = p4runtime.MasterArbitrationUpdate | p4runtime.WriteRequest | p4runtime.SetForwardingPipelineConfigRequest

Stream = Hashable
"""What the caller tells streams apart by."""


@dataclass(slots=True)
class Role:
    """One role: its controllers' election ids, and the highest one ever seen."""

    name: str
    controllers: dict[Stream, int | None] = field(default_factory=dict)
    highest: int | None = None
    primary: Stream | None = None


@dataclass(frozen=True, slots=True)
class Notification:
    """An advisory message for one controller."""

    stream: Stream
    message: "p4runtime.StreamMessageResponse"


class Arbitration:
    """The roles of one device. A role that was never primary's is made when a controller asks for it."""

    def __init__(self, device_id: int) -> None:
        self.device_id = device_id
        self.roles: dict[str, Role] = {"": Role("")}
        self._role_of: dict[Stream, Role] = {}

    def update(self, stream: Stream, given: "p4runtime.MasterArbitrationUpdate") -> list[Notification]:
        """A MasterArbitrationUpdate on a stream.

        Raises:
            Refusal: the stream must be ended with its code.
        """
        name = given.role.name
        known = self._role_of.get(stream)
        if given.device_id != self.device_id:
            if known is None:
                raise not_found("device_id", given.device_id, "unknown device id", [self.device_id])
            problem = "the stream is for another device"
            raise Refusal(Code.FAILED_PRECONDITION, "device_id", given.device_id, problem, [self.device_id])
        if known is not None and known.name != name:
            raise Refusal(Code.FAILED_PRECONDITION, "role", name, "the stream has another role", [repr(known.name)])
        if given.role.HasField("config"):
            raise invalid("role.config", given.role.config.type_url, "role configurations are not supported", ["unset"])
        role = known or self.roles.get(name) or Role(name)
        election = _election(given)
        taken = [other for other, one in role.controllers.items() if one == election and other != stream]
        if election is not None and taken:
            raise invalid("election_id", election, "is used by another controller of this role")
        if stream not in role.controllers and len(role.controllers) >= STREAMS_LIMIT:
            problem = "too many streams"
            raise Refusal(Code.RESOURCE_EXHAUSTED, "role", name, problem, [f"at most {STREAMS_LIMIT}"])
        self.roles[name] = self._role_of[stream] = role
        return self._elect(role, stream, election)

    def _elect(self, role: Role, stream: Stream, election: int | None) -> list[Notification]:
        was_primary = role.primary == stream
        role.controllers[stream] = election
        if election is not None and (role.highest is None or election >= role.highest):
            role.highest = election
            role.primary = stream
            # All others first, the new primary last (§5.3).
            others = [one for one in role.controllers if one != stream]
            return [self._advise(role, one) for one in (*others, stream)]
        if was_primary:
            role.primary = None
            return [self._advise(role, one) for one in role.controllers]
        return [self._advise(role, stream)]

    def closed(self, stream: Stream) -> list[Notification]:
        """A stream ended. No backup is promoted: the role has no primary until a controller arbitrates again."""
        role = self._role_of.pop(stream, None)
        if role is None:
            return []
        del role.controllers[stream]
        if role.primary != stream:
            return []
        role.primary = None
        return [self._advise(role, one) for one in role.controllers]

    def _advise(self, role: Role, stream: Stream) -> Notification:
        message = p4runtime.StreamMessageResponse()
        into = message.arbitration
        into.device_id = self.device_id
        if role.name:
            into.role.name = role.name
        if role.highest is not None:
            into.election_id.high, into.election_id.low = role.highest >> 64, role.highest & (1 << 64) - 1
        if role.primary == stream:
            into.status.message = "is primary"
        elif role.primary is not None:
            into.status.code, into.status.message = Code.ALREADY_EXISTS, "is backup: there is a primary"
        else:
            into.status.code, into.status.message = Code.NOT_FOUND, "is backup: there is no primary"
        return Notification(stream, message)

    # -- questions --

    def authorize(self, device_id: int, role: str, given: WithElection) -> None:
        """Refuse a writer that is not the primary of its role."""
        if device_id != self.device_id:
            raise not_found("device_id", device_id, "unknown device id", [self.device_id])
        known = self.known(role)
        election = _election(given)
        primary = None if known.primary is None else known.controllers[known.primary]
        if election is None or known.primary is None or election != primary:
            raise Refusal(
                Code.PERMISSION_DENIED,
                "election_id",
                election,
                "is not the primary's",
                [] if primary is None else [primary],
            )

    def known(self, role: str) -> Role:
        """The role of this name; NOT_FOUND if no controller ever had it."""
        found = self.roles.get(role)
        if found is None:
            raise not_found("role", role, "unknown role", [repr(one) for one in self.roles])
        return found

    def primaries(self) -> list[Stream]:
        """The primary of every role that has one."""
        return [role.primary for role in self.roles.values() if role.primary is not None]

    def is_primary(self, stream: Stream) -> bool:
        """Whether the stream is the primary of its role."""
        role = self._role_of.get(stream)
        return role is not None and role.primary == stream


def _election(given: WithElection) -> int | None:
    if not given.HasField("election_id"):
        return None
    return int(given.election_id.high) << 64 | int(given.election_id.low)
