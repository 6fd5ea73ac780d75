"""The binding update list of a MAG as the world sees it: what switch and journal hold, and what is served."""

from collections.abc import Iterator
from random import Random

from p4pmip.mobility import heartbeat
from p4pmip.mobility.binding import AccessLink, Binding, IPAddress, Phase
from p4pmip.mobility.config import MagConfig
from p4pmip.mobility.effects import Advertise, Install, Withdraw
from p4pmip.mobility.entity import Entity
from p4pmip.mobility.peer import PeerState
from p4pmip.mobility.session import Session
from p4pmip.mobility.update_list import Denied, ListEntry, Standing, State


class GatewayList(Entity[ListEntry]):
    """Entries, one open ticket each, and what follows when it is answered."""

    def __init__(self, config: MagConfig, random: Random | None = None) -> None:
        super().__init__(config, random)
        self.config = config
        self._list: dict[tuple[bytes, bytes], ListEntry] = {}
        """By MN-Identifier and link-layer address."""
        self._by_mn: dict[bytes, list[ListEntry]] = {}
        self._by_session: dict[int, ListEntry] = {}
        self._sequence = self.random.getrandbits(16)
        self._stamp = 0
        self._without: dict[tuple[bytes, IPAddress], float] = {}
        """Until when a mobile node's PBUs to an LMA carry no GRE Key option (draft-00 §4.2)."""
        self._denied: dict[tuple[bytes, IPAddress], Denied] = {}
        """What LMAs have denied mobile nodes."""

    def sessions(self) -> Iterator[Session]:
        """What switch and journal hold."""
        return (entry.session for entry in self._list.values() if entry.session is not None)

    def bindings(self) -> Iterator[Binding]:
        """What the switch holds: those that it was asked to let go of included, until it has."""
        yield from (session.binding for session in self.sessions())
        for entry in self._open.values():
            if entry.session is not None and self._by_session.get(entry.session_id) is not entry:
                yield entry.session.binding

    def state(self, session_id: int) -> State | None:
        """What a binding update list entry is doing; None if there is no such entry."""
        entry = self._by_session.get(session_id)
        return None if entry is None else entry.state

    def attached(self, mn: bytes, access: AccessLink) -> bool:
        """Whether a mobile node is on an access link: registered, about to be, or not yet de-registered."""
        entry = self._list.get((mn, access.mac))
        return entry is not None and entry.access == access and entry.state is not State.STOPPED

    def standing(self, session_id: int) -> Standing:
        """How far a registration is."""
        entry = self._by_session.get(session_id)
        return Standing.ENDED if entry is None else entry.standing

    def session(self, session_id: int) -> Session | None:
        """What switch and journal hold of a session."""
        entry = self._by_session.get(session_id)
        return None if entry is None else entry.session

    def anchor(self, session_id: int) -> IPAddress | None:
        """The LMA that is, or was, asked for it; None if there is no such entry."""
        entry = self._by_session.get(session_id)
        return None if entry is None else entry.peer.config.address

    # --- the switch and the journal -----------------------------------------------------------------------------------

    def _want(self, entry: ListEntry, session: Session | None) -> None:
        """Ask for a state of the session; one ticket at a time, the last wish wins."""
        entry.wanted = session
        if entry.ticket is None and entry.session is not session:
            entry.ticket = self._ticket()
            entry.asked = session
            self._open[entry.ticket] = entry
            self.emit(Install(entry.ticket, entry.session, session))

    def _settled(self, entry: ListEntry, now: float) -> None:
        before, entry.session, entry.ticket = entry.session, entry.asked, None
        had, has = counts(before), counts(entry.session)
        entry.peer.sessions += has - had
        if has > had and entry.peer.sessions == 1:
            heartbeat.start(self, entry.peer, now)
        self._proceed(entry, now)

    def _proceed(self, entry: ListEntry, now: float) -> None:
        """A ticket is answered: the next wish, or what waited for this one."""
        if entry.wanted is not entry.session:
            self._want(entry, entry.wanted)
        elif entry.state is State.BOUND and entry.session is not None and entry.session.phase is Phase.ACTIVE:
            self._advertise(entry, now)
        if entry.session_id not in self._by_session and entry.session is None and entry.ticket is None:
            self._released(entry, now)

    def _advertise(self, entry: ListEntry, now: float) -> None:
        assert entry.session is not None
        entry.served = True
        self.emit(Advertise(entry.session, max(entry.expires - now, 0.0), entry.dhcp_server))

    def _withdraw(self, entry: ListEntry) -> None:
        if entry.served and entry.session is not None:
            entry.served = False
            self.emit(Withdraw(entry.session))

    # --- the list -----------------------------------------------------------------------------------------------------

    def _add(self, entry: ListEntry) -> None:
        self._list[entry.mn, entry.access.mac] = entry
        self._by_mn.setdefault(entry.mn, []).append(entry)
        self._by_session[entry.session_id] = entry

    def _remove(self, entry: ListEntry, now: float) -> None:
        """The entry goes; its key and session id are free once the switch has let go of them."""
        self.timers.disarm(entry)
        entry.state, entry.outstanding = State.STOPPED, None  # whatever its open ticket comes to
        del self._list[entry.mn, entry.access.mac]
        others = self._by_mn[entry.mn]
        others.remove(entry)
        if not others:
            del self._by_mn[entry.mn]
        del self._by_session[entry.session_id]
        self._want(entry, None)
        if entry.session is None and entry.ticket is None:
            self._released(entry, now)

    def _released(self, entry: ListEntry, now: float) -> None:
        self.session_ids.give_back(entry.session_id)
        if entry.key is not None:
            owner = (entry.peer.config.address, entry.profile.realm)
            until = self.keys.release(entry.granularity, owner, entry.key, now)
            if until is not None:
                self._expire("key", str(entry.key), {}, until)
            entry.key = None

    def peer_failed(self, peer: PeerState) -> None:
        """Bindings stay until their lifetime ends (RFC 5847 §3.1)."""


def counts(session: Session | None) -> int:
    return int(session is not None and session.phase is Phase.ACTIVE)
