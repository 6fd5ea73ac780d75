"""The binding cache and the rules by which a PBU finds its entry (RFC 5213 §5.1, §5.4.1; RFC 5844 §3.1.2.7)."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from p4pmip.mobility.dialects import Kind
from p4pmip.mobility.peer import PeerState
from p4pmip.mobility.request import Request
from p4pmip.mobility.session import PackedIPv4, PackedPrefix, Session
from p4pmip.mobility.timers import Timed
from p4pmip.wire.numbers import HandoffIndicator, Status


@dataclass(slots=True)
class Pending:
    """A change that the switch and the journal were asked for and have not answered."""

    ticket: int
    kind: Kind | None
    """None: not asked by a PBU (expiry, revocation)."""
    proposal: Session | None
    """None: the entry is to go."""
    deadline: float
    """Of the entry, once the change is done."""
    request: Request | None = None
    """To be answered then."""
    status: int = Status.ACCEPTED
    option: bool = False
    """Whether the answer carries the GRE Key option."""
    tlv: bool = False
    lapsed: bool = False
    """The entry's time ran out meanwhile: it goes, unless the change gives it more."""
    doomed: bool = False
    """The entry is to go as soon as this is settled."""
    ipv4_doomed: bool = False
    """Its IPv4 home address is."""


class Entry(Timed):
    """A binding cache entry: the settled session and what is under way; its deadline is its lifetime's or hold's."""

    __slots__ = ("peer", "pending", "session", "waiting")

    def __init__(self, peer: PeerState) -> None:
        super().__init__()
        self.peer = peer
        self.session: Session | None = None
        """None while its first registration is pending."""
        self.pending: Pending | None = None
        self.waiting: list[Request] | None = None
        """PBUs that came while a change was pending, at most one of each MAG."""

    @property
    def known(self) -> Session:
        """The settled session, or the one proposed for a new entry."""
        session = self.session
        if session is None:
            assert self.pending is not None
            session = self.pending.proposal
            assert session is not None
        return session


class BindingCache:
    """The entries, found by mobile node, home network prefix, IPv4 home address and session id."""

    def __init__(self) -> None:
        self._by_mn: dict[bytes, Entry | tuple[Entry, ...]] = {}
        self.prefixes: dict[PackedPrefix, Entry] = {}
        self.ipv4: dict[str, dict[PackedIPv4, Entry]] = {}
        self.sessions: dict[int, Entry] = {}

    def __len__(self) -> int:
        return len(self.sessions)

    def __iter__(self) -> Iterator[Entry]:
        return iter(self.sessions.values())

    def of(self, mn: bytes) -> tuple[Entry, ...]:
        """The entries of a mobile node."""
        found = self._by_mn.get(mn)
        if found is None:
            return ()
        return found if isinstance(found, tuple) else (found,)

    def add(self, entry: Entry, session: Session) -> None:
        """A new entry, with what its session holds."""
        entries = self.of(session.mn)
        self._by_mn[session.mn] = (*entries, entry) if entries else entry
        self.sessions[session.session_id] = entry
        self.hold(entry, session)

    def remove(self, entry: Entry, session: Session) -> None:
        """An entry leaves, with what its session held."""
        rest = tuple(other for other in self.of(session.mn) if other is not entry)
        if not rest:
            del self._by_mn[session.mn]
        else:
            self._by_mn[session.mn] = rest if len(rest) > 1 else rest[0]
        del self.sessions[session.session_id]

    def hold(self, entry: Entry, session: Session) -> None:
        """The entry holds the addresses of a session."""
        for prefix in session.prefixes:
            self.prefixes[prefix] = entry
        if session.ipv4 is not None:
            self.ipv4.setdefault(session.realm, {})[session.ipv4] = entry


class Match(NamedTuple):
    """What the lookup found: an entry, or a refusal, or neither (a new session)."""

    entry: Entry | None = None
    status: int | None = None
    wait: bool = False
    """Only once the entry is de-registered, or a time has passed (RFC 5213 §5.4.1.2)."""


NEW = Match()


def lookup(cache: BindingCache, request: Request, realm: str, ipv4: PackedIPv4 | None) -> Match:
    """Find the entry that a PBU is about.

    Args:
        cache: The binding cache.
        request: The PBU.
        realm: Of its mobile node.
        ipv4: The IPv4 home address it asks for by value, packed; None for none or 0.0.0.0.
    """
    if request.prefixes:
        return _by_address(request, [cache.prefixes.get(prefix) for prefix in request.prefixes], True)
    if ipv4 is not None:
        return _by_address(request, [cache.ipv4.get(realm, {}).get(ipv4)], False)
    entries = cache.of(request.mn)
    if not entries:
        return NEW
    indicator = request.indicator
    if request.link_layer:
        for entry in entries:
            known = entry.known
            if known.link_layer == request.link_layer and known.technology == request.technology:
                return Match(entry)
        sufficient: tuple[int, ...] = (HandoffIndicator.HANDOFF_BETWEEN_TWO_INTERFACES,)
    else:
        sufficient = (
            HandoffIndicator.HANDOFF_BETWEEN_TWO_INTERFACES,
            HandoffIndicator.HANDOFF_BETWEEN_MAGS_SAME_INTERFACE,
        )
    if len(entries) == 1:
        if indicator in sufficient:
            return Match(entries[0])
        if indicator == HandoffIndicator.HANDOFF_STATE_UNKNOWN:
            return Match(entries[0], wait=True)
    return NEW


def _by_address(request: Request, found: list[Entry | None], prefixes: bool) -> Match:
    """RFC 5213 §5.4.1.1: the PBU names addresses."""
    entry = next((one for one in found if one is not None), None)
    if entry is None:
        return NEW
    known = entry.known
    if known.mn != request.mn:
        return Match(
            status=Status.NOT_AUTHORIZED_FOR_HOME_NETWORK_PREFIX
            if prefixes
            else Status.NOT_AUTHORIZED_FOR_IPV4_HOME_ADDRESS
        )
    if prefixes and (len(request.home_prefixes) != len(known.prefixes) or set(request.prefixes) != set(known.prefixes)):
        return Match(status=Status.BCE_PBU_PREFIX_SET_DO_NOT_MATCH)
    same_technology = known.technology == request.technology
    if (
        (request.link_layer and request.link_layer == known.link_layer and same_technology)
        or request.indicator == HandoffIndicator.HANDOFF_BETWEEN_TWO_INTERFACES
        or (
            not request.link_layer
            and not known.link_layer
            and same_technology
            and request.indicator == HandoffIndicator.HANDOFF_BETWEEN_MAGS_SAME_INTERFACE
        )
        or (known.tunnel is not None and known.tunnel.peer == request.care_of and same_technology)
    ):
        return Match(entry)
    return NEW
