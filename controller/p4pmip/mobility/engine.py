"""What an LMA and a MAG have in common: octets in, effects out, tickets, peers, and rows of the journal that expire.

An engine reads no clock and opens no socket. `now` is monotonic seconds, `utc` seconds since 1970; the random source
is injected. The same inputs in the same order give the same effects.
"""

from abc import ABC, abstractmethod
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from heapq import heappop, heappush
from ipaddress import IPv6Address, ip_address
from random import Random, SystemRandom
from typing import TYPE_CHECKING, get_args
from weakref import WeakValueDictionary

from p4pmip.mobility.binding import IPAddress
from p4pmip.mobility.config import Common, Peer
from p4pmip.mobility.effects import Alarm, Effect, Journal, ParameterProblem, Received, Send
from p4pmip.mobility.endpoint import Endpoint
from p4pmip.mobility.incoming import Incoming
from p4pmip.mobility.keys import KeyAllocator, KeyRing
from p4pmip.mobility.peer import PeerState
from p4pmip.mobility.record import Forget, Record, of, read
from p4pmip.mobility.session_ids import SessionIds
from p4pmip.mobility.timers import Timers
from p4pmip.wire.authenticator import authentication_of, sign, verify
from p4pmip.wire.error import WireError
from p4pmip.wire.fault import Reason
from p4pmip.wire.message import BindingError, Message, UnknownMessage
from p4pmip.wire.mobility_header import Checksum, decode, encode
from p4pmip.wire.numbers import DEFAULT_CODEPOINTS, BindingErrorStatus, RevocationStatus

if TYPE_CHECKING:
    from p4pmip.mobility.revocation import Revocation

_UNSPECIFIED = IPv6Address(0)
_COMPLAINTS_PER_SECOND = 10


class Engine(ABC):
    """The part of a mobility entity that knows no role.

    Attributes:
        counters: How often each named thing happened.
        timers: Every deadline of the engine.
    """

    def __init__(self, config: Common, random: Random | None = None) -> None:
        self.common = config
        self.random = random or SystemRandom()
        self.counters: Counter[str] = Counter()
        self.timers = Timers()
        self.peers: dict[IPAddress, PeerState] = {}
        """Those that may speak to us."""
        self._met: WeakValueDictionary[IPAddress, PeerState] = WeakValueDictionary()
        """The same, and those that sessions are with although the configuration has them no longer."""
        for peer in config.peers:
            self._add_peer(peer)
        self.keys = KeyRing(KeyAllocator(config.key_first, config.key_last, config.key_quarantine, self.random))
        self.revocations: dict[tuple[IPAddress, int], Revocation] = {}
        """Binding Revocation Indications without an answer, by peer and sequence number."""
        self.revocations_of: dict[int, list[Revocation]] = {}
        """The same by session; those of everything apart."""
        self.revoked = self.random.getrandbits(16)
        """Their last sequence number."""
        self._effects: list[Effect] = []
        self.session_ids = SessionIds(config.session_first, config.session_last)
        self._tickets = 0
        self._wall = 0.0
        self._expiring: list[tuple[float, str, str]] = []
        """A heap of rows of the journal with when they are to go."""
        self._until: dict[tuple[str, str], float] = {}
        """When each of them really goes: a row may be written again before its time."""
        self._complaints: deque[float] = deque(maxlen=_COMPLAINTS_PER_SECOND)
        """When the last errors were told."""

    def effects(self) -> list[Effect]:
        """What has been queued since the last call, in order."""
        effects, self._effects = self._effects, []
        return effects

    def next_timer(self) -> float | None:
        """When `handle_timer` wants to be called; early calls do no harm."""
        return self.timers.next()

    @abstractmethod
    def peer_failed(self, peer: PeerState) -> None:
        """A peer does not answer heartbeats any more."""

    @abstractmethod
    def peer_restarted(self, peer: PeerState, now: float) -> None:
        """A peer has lost its bindings."""

    @abstractmethod
    def revocation_over(self, revocation: "Revocation", status: int | None, now: float) -> None:
        """A Binding Revocation Indication of ours was answered, or (None) was not."""

    # --- peers -------------------------------------------------------------------------------------------------------

    def _add_peer(self, config: Peer) -> PeerState:
        """A peer of the configuration; one that is known already goes on as it is."""
        state = self.peers[config.address] = self._meet(config)
        state.config, state.stranger = config, False
        return state

    def _meet(self, config: Peer) -> PeerState:
        """There is one state for each address, so that identity is equality."""
        state = self._met.get(config.address)
        if state is None:
            state = self._met[config.address] = PeerState(config, self._local_of(config.address))
        return state

    def _drop_peer(self, peer: PeerState) -> None:
        """It may not speak to us any more."""
        self.timers.disarm(peer)
        del self.peers[peer.config.address]

    def _local_of(self, address: IPAddress) -> Endpoint | None:
        return next((local for local in self.common.local if local.address.version == address.version), None)

    def _tunnel_end(self, family: int, otherwise: Endpoint) -> IPAddress | None:
        """Our tunnel end point of one address family."""
        for address in self.common.tunnel:
            if address.version == family:
                return address
        return otherwise.address if not self.common.tunnel and otherwise.address.version == family else None

    # --- messages ----------------------------------------------------------------------------------------------------

    def open(self, octets: bytes, source: Endpoint, destination: Endpoint, now: float) -> Incoming | None:
        """Decode and authenticate what arrived; what is no good is counted, and answered as RFC 6275 §9.2 says."""
        peer = self.peers.get(source.address)
        codepoints = DEFAULT_CODEPOINTS if peer is None else peer.config.codepoints
        if source.port is None:
            decoded = decode(octets, source.address, destination.address, codepoints)
        else:
            decoded = decode(octets, codepoints=codepoints)  # RFC 5844 §4.1.3.1: not to be checked
        message = decoded.message
        incoming = Incoming(message, decoded, source, destination, peer)
        if decoded.checksum is Checksum.BAD:
            self.received(incoming, Reason.BAD_CHECKSUM)
        elif message is None:
            fault = decoded.faults[-1]
            self.received(incoming, fault.reason)
            told = fault.reason in (Reason.BAD_PAYLOAD_PROTO, Reason.BAD_HEADER_LENGTH) and source.port is None
            if told and self._may_complain(source, now):
                self.emit(ParameterProblem(decoded.octets, fault.offset, source, destination))
        elif isinstance(message, UnknownMessage):
            self.received(incoming, "unknown_mh_type")
            if self._may_complain(source, now):
                error = BindingError(BindingErrorStatus.UNRECOGNIZED_MH_TYPE, _UNSPECIFIED)
                self.reply(incoming, error)
        else:
            for fault in decoded.faults:
                self.counters[fault.reason] += 1
            return incoming
        return None

    def _may_complain(self, source: Endpoint, now: float) -> bool:
        """Whether an error may be told: to one node only, and not too often (RFC 6275 §9.3.3)."""
        if source.address.is_multicast or source.address.is_unspecified:
            return False
        if len(self._complaints) == _COMPLAINTS_PER_SECOND and now < self._complaints[0] + 1.0:
            self.counters["error_rate_limited"] += 1
            return False
        self._complaints.append(now)
        return True

    def authentic(self, incoming: Incoming, care_of: IPAddress) -> bool | None:
        """Whether a message is authentic (RFC 4285 §5, §5.1.1).

        None: it is to be dropped in silence, because it is signed under an association that nobody knows, or is not
        signed where there is one.
        """
        assert incoming.message is not None
        option = authentication_of(incoming.message)
        security = None if incoming.peer is None else incoming.peer.config.security
        if security is None:
            return True if option is None else None
        if option is None or option.spi != security.spi:
            return None
        return verify(incoming.decoded, security, care_of)

    def reply(self, incoming: Incoming, message: Message, care_of: IPAddress | None = None) -> None:
        """Queue an answer, to where the question came from and as from where it went."""
        self.send(message, incoming.destination, incoming.source, incoming.peer, care_of)

    def send(
        self,
        message: Message,
        source: Endpoint,
        destination: Endpoint,
        peer: PeerState | None,
        care_of: IPAddress | None = None,
    ) -> None:
        """Queue a message, signed if there is an association with the peer."""
        over_ipv6 = destination.port is None
        near, far = (source.address, destination.address) if over_ipv6 else (None, None)
        codepoints = DEFAULT_CODEPOINTS if peer is None else peer.config.codepoints
        try:
            if peer is not None and peer.config.security is not None:
                octets = sign(message, peer.config.security, care_of or source.address, near, far, codepoints)
            else:
                octets = encode(message, near, far, codepoints)
        except WireError:
            # An answer echoes what was received: a request can be so long that no answer fits.
            self.counters["unsendable"] += 1
            return
        self.counters[_SENT[type(message)]] += 1
        self.emit(Send(octets, message, source, destination))

    def unrecognized(self, message: BindingError, incoming: Incoming, now: float) -> None:
        """A peer that does not know a message type is not sent it again (RFC 5847 §3.1, RFC 5846 §7.2)."""
        peer = incoming.peer
        if peer is None or message.status != BindingErrorStatus.UNRECOGNIZED_MH_TYPE:
            self.received(incoming, "ignored_binding_error")
        elif not self.authentic(incoming, incoming.source.address):
            self.received(incoming, "ignored_not_authentic")
        elif peer.waiting:
            peer.heartbeats = peer.waiting = False
            self.timers.disarm(peer)
            self.received(incoming, "peer_without_heartbeats")
        else:
            open_ones = [one for one in self.revocations.values() if one.peer is peer]
            outcome = "peer_without_revocation" if open_ones else "ignored_binding_error"
            self.received(incoming, outcome)
            for revocation in open_ones:
                peer.revocation = False
                self.finish_revocation(revocation, RevocationStatus.REVOCATION_FUNCTION_NOT_SUPPORTED, now)

    def finish_revocation(self, revocation: "Revocation", status: int | None, now: float) -> None:
        """Done with an indication; `status` None: nobody answered."""
        self.revocations.pop((revocation.peer.config.address, revocation.message.sequence), None)
        if revocation.session_id is not None:
            others = [one for one in self.revocations_of.pop(revocation.session_id, ()) if one is not revocation]
            if others:
                self.revocations_of[revocation.session_id] = others
        self.timers.disarm(revocation)
        self.revocation_over(revocation, status, now)

    def received(self, incoming: Incoming, outcome: str) -> None:
        """Note what became of a message."""
        self.counters[outcome] += 1
        self.emit(Received(incoming.message, incoming.source, incoming.destination, outcome))

    def emit(self, effect: Effect) -> None:
        """Queue an effect."""
        self._effects.append(effect)

    def alarm(self, name: str, detail: str, session_id: int | None = None) -> None:
        """Queue and count an alarm."""
        self.counters[f"alarm_{name}"] += 1
        self.emit(Alarm(name, detail, session_id))

    # --- tickets, rows that expire -----------------------------------------------------------------------------------

    def _ticket(self) -> int:
        self._tickets += 1
        return self._tickets

    def _expire(self, kind: str, key: str, payload: Mapping[str, object], until: float) -> None:
        """Journal a row and delete it when its time has passed."""
        self.emit(Journal(Record(kind, key, {**payload, "until": until + self._wall})))
        self._expire_at(kind, key, until)

    def _expire_at(self, kind: str, key: str, until: float) -> None:
        self._until[kind, key] = until
        heappush(self._expiring, (until, kind, key))

    def _expired(self, kind: str, key: str) -> None:
        """A row's time has passed."""
        self.emit(Journal(Forget(kind, key)))

    def _restore_rest(self, records: Sequence[Record], now: float, utc: float) -> None:
        """Take over the rows that are no sessions: keys in quarantine and the counters of peers."""
        resting: list[tuple[float, int]] = []
        for record in records:
            if record.kind == "key":
                ends, key = read(record, lambda row: (float(row.payload["until"]), int(row.key)))
                resting.append((now + min(ends - utc, self.common.key_quarantine), key))
            elif record.kind == "peer":
                address, counter = read(record, lambda row: (ip_address(row.key), of(int, row.payload["counter"])))
                if (peer := self.peers.get(address)) is not None:
                    peer.counter = counter
        for until, key in sorted(resting):
            self.keys.allocator.rest(key, until)
            self._expire_at("key", str(key), until)

    def _enter(self, now: float, utc: float) -> None:
        """What every entry point begins with: rows whose time has passed go, and how wall time stands to `now`."""
        self._wall = utc - now
        expiring = self._expiring
        while expiring and expiring[0][0] <= now:
            until, kind, key = heappop(expiring)
            if self._until.get((kind, key)) == until:
                del self._until[kind, key]
                self._expired(kind, key)


_SENT: dict[type, str] = {
    kind: "sent_" + "".join("_" + letter.lower() if letter.isupper() else letter for letter in kind.__name__)[1:]
    for kind in get_args(Message)
}
