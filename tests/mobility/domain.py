"""A PMIPv6 domain in memory for tests: engines, a channel between them, and switches that do what they are told."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Network, IPv6Address, IPv6Network
from random import Random

from p4pmip.mobility.binding import AccessLink, IPAddress, Phase
from p4pmip.mobility.config import Directory, GrePolicy, LmaConfig, MagConfig, Peer, Profile, Realm
from p4pmip.mobility.dialects import Dialect
from p4pmip.mobility.effects import Advertise, Alarm, Effect, Install, Journal, Received, Send, Withdraw
from p4pmip.mobility.endpoint import Endpoint
from p4pmip.mobility.lma import LocalMobilityAnchor
from p4pmip.mobility.mag import MobileAccessGateway
from p4pmip.mobility.record import Change, Forget, Record
from p4pmip.mobility.session import Session

UTC = 1_790_000_000.0
"""What the wall clock says when the monotonic one says 0."""
LMA = IPv6Address("2001:db8:0:1::1")
LMA_TUNNEL = IPv6Address("2001:db8:0:1::2")
MAGS = tuple(IPv6Address(f"2001:db8:0:{number}::1") for number in (2, 3, 4))
REALM = Realm(
    "operator-a",
    ipv4_pool=IPv4Network("10.1.0.0/16"),
    prefix_pool=IPv6Network("2001:db8:a000::/40"),
)
REALM_B = Realm("operator-b", ipv4_pool=IPv4Network("10.1.0.0/16"), prefix_pool=IPv6Network("2001:db8:b000::/40"))
DIRECTORY = Directory(domains={b"a.example": Profile("operator-a"), b"b.example": Profile("operator-b")})
MN = b"mn-1@a.example"
WANTED = GrePolicy()


def lma_config(**changes: object) -> LmaConfig:
    """An LMA for the three MAGs."""
    peers = tuple(Peer(address) for address in MAGS)
    config = LmaConfig(
        realms={"operator-a": REALM, "operator-b": REALM_B},
        directory=DIRECTORY,
        peers=peers,
        local=(Endpoint(LMA),),
        heartbeat_interval=None,
    )
    return replace(config, **changes)  # type: ignore[arg-type]


def mag_config(address: IPv6Address, peer: Peer | None = None, **changes: object) -> MagConfig:
    """A MAG of that address."""
    config = MagConfig(
        realms={"operator-a": REALM, "operator-b": REALM_B},
        directory=DIRECTORY,
        peers=(peer or Peer(LMA),),
        local=(Endpoint(address),),
        lma=LMA,
        heartbeat_interval=None,
    )
    return replace(config, **changes)  # type: ignore[arg-type]


def link(number: int, mac: int) -> AccessLink:
    """An access link and a link-layer address on it."""
    return AccessLink(number, bytes((2, 0, 0, 0, mac >> 8, mac & 0xFF)))


@dataclass
class Node:
    """An engine with its switch and journal: what `Install` did to them."""

    engine: LocalMobilityAnchor | MobileAccessGateway
    switch: dict[int, Session] = field(default_factory=dict)
    journal: dict[tuple[str, str], Record] = field(default_factory=dict)
    alarms: list[Alarm] = field(default_factory=list)
    served: dict[int, Session] = field(default_factory=dict)
    log: list[Effect] = field(default_factory=list)
    refuse: Callable[[Install], str | None] = lambda install: None
    """The switch's mood: a reason to refuse, or None."""
    hold: bool = False
    """Answer no ticket for now."""
    held: list[Install] = field(default_factory=list)
    skew: float = 0.0
    """Seconds by which its wall clock is ahead."""


class Domain:
    """Engines on one clock; `run` lets everything happen up to a time."""

    def __init__(self, lma: LmaConfig | None = None, *mags: MagConfig, seed: int = 1, delay: float = 0.005) -> None:
        self.now = 0.0
        self.delay = delay
        self.random = Random(seed)
        self.lma = Node(LocalMobilityAnchor(lma or lma_config(), Random(seed)))
        configs = mags or tuple(mag_config(address) for address in MAGS[:2])
        self.mags = [Node(MobileAccessGateway(config, Random(seed + 1 + n))) for n, config in enumerate(configs)]
        self.by_address: dict[IPAddress, Node] = {}
        for node in (self.lma, *self.mags):
            for local in node.engine.common.local:
                self.by_address[local.address] = node
        self.flying: list[tuple[float, int, Send]] = []
        self.sent: list[Send] = []
        self.loss: Callable[[Send], list[float]] | None = None
        """Delays at which copies of a message arrive; None: one, after `delay`."""
        self._number = 0

    @property
    def utc(self) -> float:
        return UTC + self.now

    def clock(self, node: Node) -> tuple[float, float]:
        """What a node's clocks say."""
        return self.now, self.utc + node.skew

    def anchor(self) -> LocalMobilityAnchor:
        assert isinstance(self.lma.engine, LocalMobilityAnchor)
        return self.lma.engine

    def mag(self, index: int) -> MobileAccessGateway:
        engine = self.mags[index].engine
        assert isinstance(engine, MobileAccessGateway)
        return engine

    def attach(self, index: int, mn: bytes = MN, mac: int = 1, port: int = 1, **details: object) -> int | None:
        now, utc = self.clock(self.mags[index])
        number = self.mag(index).attach(mn, link(port, mac), now, utc, **details)  # type: ignore[arg-type]
        self.carry_out()
        return number

    def detach(self, index: int, mn: bytes = MN, mac: int | None = None) -> None:
        address = None if mac is None else link(1, mac).mac
        self.mag(index).detach(mn, *self.clock(self.mags[index]), address)
        self.carry_out()

    def carry_out(self) -> None:
        """Do what the engines ask for, until they ask for nothing."""
        busy = True
        while busy:
            busy = False
            for node in (self.lma, *self.mags):
                effects = node.engine.effects()
                busy |= bool(effects)
                for effect in effects:
                    self._carry_out(node, effect)

    def _carry_out(self, node: Node, effect: Effect) -> None:
        node.log.append(effect)
        match effect:
            case Send():
                self.sent.append(effect)
                for delay in [self.delay] if self.loss is None else self.loss(effect):
                    self._number += 1
                    self.flying.append((self.now + delay, self._number, effect))
            case Install():
                if node.hold:
                    node.held.append(effect)
                else:
                    self.answer(node, effect)
            case Journal():
                self._journal(node, effect.change)
            case Advertise():
                node.served[effect.session.session_id] = effect.session
            case Withdraw():
                node.served.pop(effect.session.session_id, None)
            case Alarm():
                node.alarms.append(effect)
            case Received():
                pass

    def answer(self, node: Node, install: Install) -> None:
        """Let the switch and the journal do what they are asked, or refuse it."""
        number = install.session_id
        assert node.switch.get(number) == install.before, "an Install says what the switch holds"
        ending = install.after is None or install.after.phase is Phase.HELD
        reason = None if ending else node.refuse(install)
        if reason is not None:
            node.engine.refused(install.ticket, reason, *self.clock(node))
            return
        if install.after is None:
            node.switch.pop(number, None)
        else:
            node.switch[number] = install.after
        self._journal(node, install.change)
        node.engine.installed(install.ticket, *self.clock(node))

    @staticmethod
    def _journal(node: Node, change: Change) -> None:
        if isinstance(change, Forget):
            node.journal.pop((change.kind, change.key), None)
        else:
            node.journal[change.kind, change.key] = change

    def release(self, node: Node) -> None:
        """Answer the tickets that were held."""
        node.hold = False
        held, node.held = node.held, []
        for install in held:
            self.answer(node, install)
        self.carry_out()

    def run(self, duration: float = 1.0) -> None:
        """Let time pass: messages arrive, timers fire."""
        end = self.now + duration
        self.carry_out()
        while True:
            times = [time for time, _, _ in self.flying]
            times += [t for node in (self.lma, *self.mags) if (t := node.engine.next_timer()) is not None]
            soonest = min(times, default=end)
            if soonest >= end:
                break
            self.now = max(self.now, soonest)
            self.flying.sort(key=lambda one: one[:2])
            while self.flying and self.flying[0][0] <= self.now:
                send = self.flying.pop(0)[2]
                node = self.by_address[send.destination.address]
                node.engine.receive(send.octets, send.source, send.destination, *self.clock(node))
                self.carry_out()
            for node in (self.lma, *self.mags):
                node.engine.handle_timer(*self.clock(node))
                self.carry_out()
        self.now = end

    def statuses(self) -> Counter[int]:
        """The statuses of the PBAs that were sent."""
        return Counter(send.message.status for send in self.sent if hasattr(send.message, "status"))


def lma_peers(**changes: object) -> tuple[Peer, ...]:
    """What an LMA agrees with its MAGs."""
    return tuple(replace(Peer(address), **changes) for address in MAGS)  # type: ignore[arg-type]


def realms(policy: GrePolicy, **changes: object) -> dict[str, Realm]:
    """Both realms with one policy."""
    return {realm.name: replace(realm, gre=policy, **changes) for realm in (REALM, REALM_B)}  # type: ignore[arg-type]


def domain_of(
    dialect: Dialect,
    lma_policy: GrePolicy = WANTED,
    mag_policy: GrePolicy | None = None,
    *,
    mag_dialect: Dialect | None = None,
    seed: int = 1,
    lma: dict[str, object] | None = None,
    mag: dict[str, object] | None = None,
) -> Domain:
    """Two MAGs and an LMA that speak a dialect, under policies."""
    anchor = lma_config(peers=lma_peers(dialect=dialect), **{"realms": realms(lma_policy), **(lma or {})})
    changes = {"realms": realms(mag_policy or lma_policy), **(mag or {})}
    peer = Peer(LMA, dialect=mag_dialect or dialect)
    return Domain(anchor, *(mag_config(address, peer, **changes) for address in MAGS[:2]), seed=seed)
