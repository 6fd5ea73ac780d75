"""The binding update list: what a MAG knows of each attached mobile node (RFC 5213 §6.1, RFC 5845 §4.1)."""

from dataclasses import dataclass
from enum import Enum, Flag, auto
from ipaddress import IPv4Address
from math import inf

from p4pmip.mobility.binding import AccessLink, Granularity, Gre, Phase
from p4pmip.mobility.config import Profile
from p4pmip.mobility.peer import PeerState
from p4pmip.mobility.session import PackedIPv4, PackedPrefix, Session
from p4pmip.mobility.timers import Timed


class State(Enum):
    """What a binding update list entry is doing."""

    REGISTERING = "registering"
    """No binding yet (or none any more): a PBU is out, or will be."""
    BOUND = "bound"
    """There is a binding; a refresh may be out."""
    LEAVING = "leaving"
    """The mobile node is gone, or cannot be served: a de-registration is out."""
    STOPPED = "stopped"
    """Refused for good: nothing is sent until the mobile node attaches anew (RFC 5213 §6.9.1.2)."""


class Standing(Enum):
    """How far a registration is, for somebody who has asked for it."""

    REGISTERED = "registered"
    """There is a binding, switch and journal have it, and nothing is asked."""
    ASKED = "asked"
    """A PBU is out."""
    DELAYED = "delayed"
    """A PBU has been refused for now, or would have been too soon: it is sent again by the timer."""
    CHANGING = "changing"
    """Switch and journal have been asked."""
    ENDED = "ended"
    """There is no binding, and none is asked for."""


class Denied(Flag):
    """What an LMA has denied a mobile node, until an administrative action (RFC 5213 §6.9.1.2, RFC 5844 §3.2.3.2)."""

    SERVICE = auto()
    IPV6 = auto()
    IPV4 = auto()


NOTHING = Denied(0)
NEVER = -1
"""A sequence number that no PBA has."""


@dataclass(slots=True)
class Outstanding:
    """A PBU that has not been acknowledged."""

    sequence: int
    indicator: int
    lifetime: int
    """In units of 4 s; 0 de-registers."""
    option: Gre
    """The GRE Key option that it carries."""
    tlv: bool
    timeout: float
    """Until the next retransmission, seconds; doubles."""
    tries: int = 1
    corrected: bool = False
    """It was sent again once because of what a refusal said (RFC 5845 §4.2: no endless exchange)."""
    released: PackedIPv4 | None = None
    """Only this IPv4 home address is de-registered (RFC 5844 §3.2.3.3)."""
    replay: int | None = None
    """The replay protection option that it carried last (RFC 4285 §6)."""
    silenced: bool = False
    """Its answer was about something else: it is not sent any more (RFC 5213 §6.9.1.2)."""


class ListEntry(Timed):
    """One mobile node on one of its interfaces; the deadline is the next retransmission or refresh."""

    __slots__ = (
        "access",
        "always_option",
        "asked",
        "dhcp_server",
        "expires",
        "granularity",
        "hint",
        "indicator",
        "ipv4",
        "ipv4_router",
        "key",
        "mn",
        "never_option",
        "outstanding",
        "peer",
        "prefixes",
        "profile",
        "refresh_at",
        "released",
        "renew",
        "sent",
        "sequence",
        "served",
        "session",
        "session_id",
        "state",
        "technology",
        "ticket",
        "wanted",
    )

    def __init__(self, mn: bytes, access: AccessLink, profile: Profile, peer: PeerState, session_id: int) -> None:
        super().__init__()
        self.mn = mn
        self.access = access
        self.profile = profile
        self.peer = peer
        self.session_id = session_id
        self.state = State.REGISTERING
        self.technology = profile.technology
        self.indicator = 0
        self.hint: Gre | None = None
        """What the handoff process said of GRE (draft-00 §3.3.2)."""
        self.prefixes: tuple[PackedPrefix, ...] = ()
        """Known ones, to be asked for."""
        self.ipv4: PackedIPv4 | None = None
        self.ipv4_router: IPv4Address | None = None
        self.key: int | None = None
        """The downlink key, from the first PBU that needs one until the entry goes."""
        self.granularity = Granularity.SESSION
        self.released = False
        """The mobile node has given its IPv4 home address back: it is not asked for."""
        self.never_option = False
        """Status 2: no GRE Key option for this session any more (RFC 5845 §4.2)."""
        self.always_option = False
        """It was required once: in every later PBU of this session."""
        self.renew = False
        """The next PBU is one for an LMA that forgot us."""
        self.sequence = 0
        self.sent: tuple[float, ...] = ()
        """When the last PBUs were."""
        self.outstanding: Outstanding | None = None
        self.expires = inf
        """When the binding ends if it is not refreshed."""
        self.refresh_at = inf
        """When that is to be done."""
        self.session: Session | None = None
        """What the switch and the journal hold."""
        self.wanted: Session | None = None
        """What they are to hold; an open ticket is on the way there."""
        self.ticket: int | None = None
        self.asked: Session | None = None
        """What the open ticket is for."""
        self.served = False
        self.dhcp_server = True

    @property
    def held(self) -> Gre | None:
        """What the accepted binding has of GRE; None before the first acceptance."""
        return self.wanted.gre if self.wanted is not None and self.state is State.BOUND else None

    @property
    def standing(self) -> Standing:
        """How far its registration is."""
        if self.state in (State.LEAVING, State.STOPPED):
            return Standing.ENDED
        if self.outstanding is not None:
            delayed = self.outstanding.sequence == NEVER or self.outstanding.silenced
            return Standing.DELAYED if delayed else Standing.ASKED
        active = self.session is not None and self.session.phase is Phase.ACTIVE
        return Standing.REGISTERED if active and self.ticket is None else Standing.CHANGING
