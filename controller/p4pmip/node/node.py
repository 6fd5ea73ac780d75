"""One node: engines, switch, journal and signalling joined on an event loop.

What the engines and the access side want done is done here, and what came of it is told to them. No protocol rule
stands in this module: it carries effects.
"""

import asyncio
import functools
import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack
from typing import TypeVar

from p4pmip.access import effects as access
from p4pmip.access.served import ROUTER_LINK_LOCAL, AccessSettings, Service
from p4pmip.errors import P4pmipError
from p4pmip.mobility import effects as mobility
from p4pmip.mobility import heartbeat
from p4pmip.mobility.binding import AccessLink, Binding
from p4pmip.mobility.config import LmaConfig, MagConfig
from p4pmip.mobility.endpoint import Endpoint
from p4pmip.mobility.lma import LocalMobilityAnchor
from p4pmip.mobility.mag import MobileAccessGateway
from p4pmip.mobility.reconfigure import reconfigure
from p4pmip.mobility.session import Session
from p4pmip.node.carrier import Carriers
from p4pmip.node.commit import GroupCommit
from p4pmip.node.config import Config
from p4pmip.node.engines import lma_config, mag_config
from p4pmip.node.identity import Guests, guest_limits, identities
from p4pmip.node.install import Answered, Installer
from p4pmip.node.links import Links, access_interfaces
from p4pmip.node.log import NodeLogger
from p4pmip.node.presence import Presence
from p4pmip.node.signalling import STOPPING, Signalling
from p4pmip.node.switch import SwitchChanged, SwitchControl
from p4pmip.node.timer import Timer
from p4pmip.p4runtime.arbitration import State
from p4pmip.p4runtime.target import Target
from p4pmip.store.error import corrupt_by_name
from p4pmip.store.journal import Journal
from p4pmip.wire.describe import mobile_node_of
from p4pmip.wire.numbers import HandoffIndicator, MhType

Engine = LocalMobilityAnchor | MobileAccessGateway
Observer = Callable[[str, object], None]
"""(node, event): every effect of an engine as it is carried out, what the access side saw, `Answered` and
`SwitchChanged`; for logs, captures and views."""
Signalled = Callable[[bytes, Endpoint, Endpoint], None]

DRAIN_SECONDS = 5.0
"""For which a node that is told to stop waits for its switch and its journal."""

_LOGGER = logging.getLogger(__name__)
_Engine = TypeVar("_Engine", LocalMobilityAnchor, MobileAccessGateway)


class Node:
    """A MAG, an LMA, or both on one switch.

    Attributes:
        counters: What the node itself refused or could not do, by name.
        installer: Brings changes of sessions to switch and journal.
        signalling: Where its messages come and go.
    """

    def __init__(
        self,
        config: Config,
        name: str,
        target: Target,
        journal: Journal,
        observe: Observer = lambda _node, _event: None,
        signalled: Signalled = lambda _octets, _source, _destination: None,
    ) -> None:
        self.name = name
        self.config, self.settings = config, config.nodes[name]
        self.counters: Counter[str] = Counter()
        self._log = NodeLogger(_LOGGER, name)
        self._observe = observe
        self._signalled = signalled
        self.identities = identities(config, self.settings)
        self._guests = Guests(guest_limits(self.settings), self._attached)
        self.journal = GroupCommit(journal, self._log)
        self._corrupt_by_name = functools.partial(corrupt_by_name, journal.path)
        records = self._rows = list(journal.load())
        counter = journal.restart_counter
        lma, mag = lma_config(config, name, counter), mag_config(config, name, counter)
        self.lma = None if lma is None else LocalMobilityAnchor(lma)
        self.mag = None if mag is None else MobileAccessGateway(mag)
        self.engines: tuple[Engine, ...] = tuple(engine for engine in (self.lma, self.mag) if engine is not None)
        with self._corrupt_by_name():
            self.switch = SwitchControl(config, name, target, records, self.journal.remember)
        idle = self.settings.mag.idle_timeout if self.settings.mag else AccessSettings().idle_timeout
        self.links = Links(
            config, self.settings, AccessSettings(idle_timeout=idle), self._access, self._neighbour, self.binding
        )
        self.presence = Presence(self.switch.session, self.links)
        self.signalling = Signalling(self.settings, self.links, self.switch.session.writer, self._received, self._spawn)
        self.installer = Installer(self.switch, self.journal, self._log)
        self._timer = Timer(self._timed)
        self._acting = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._stack = AsyncExitStack()
        self._stack.push_async_callback(self.journal.close)

    # --- life -----------------------------------------------------------------------------------------

    async def open(self) -> None:
        """Take hold of the signalling address; what comes there before the node serves is counted, and no more.

        Raises:
            TransportError: It cannot be used on this machine.
        """
        await self.signalling.open()
        self._stack.push_async_callback(self.signalling.close)

    async def start(self, seconds: float | None = 10.0) -> None:
        """After `open`: restore what the journal holds, bring the switch to it, and serve.

        Waits `seconds` for the switch, or for ever.

        Raises:
            P4pmipError: The switch or the journal cannot be used; nothing stays open.
        """
        async with self._stack.pop_all() as stack:
            now, utc = self._clock()
            for engine in self.engines:
                with self._corrupt_by_name():
                    engine.restore(self._rows, now, utc)
                if not self._rows and engine.common.restart_counter:
                    heartbeat.announce(engine)  # a new journal in the place of one that was lost (RFC 5847 §3.2)
                for binding in engine.bindings():
                    self.switch.expect(binding)
                    if (place := binding.access) is not None and place.mac not in self.identities.known:
                        self._guests.note(place.mac, place.link)
            self._rows = []
            self.switch.session.watch(self._switch_changed)
            await self.switch.start(seconds)
            stack.push_async_callback(self.switch.close)
            stack.callback(self.links.close)
            stack.push_async_callback(self._cancel)
            self._spawn(self.links.run(self.switch.session))
            self._spawn(self._packets())
            if self.settings.mag is not None:
                self._spawn(self.presence.watch(self.settings.mag.idle_timeout / 2))
            if interfaces := access_interfaces(self.settings):
                self._spawn(Carriers(interfaces, self.link_down).run())
            for link, address in self.switch.unresolved():
                self.links.resolve(link, address)
            self.signalling.closed = ""
            self._act()
            for service in self.links.access.services():
                # Nobody watched meanwhile: who has left is found out now, not an idle timeout later.
                self.links.probe(service)
            self._stack = stack.pop_all()

    async def stop(self) -> None:
        """Take nothing new, finish what is under way, and close; the bindings stay in journal and switch."""
        self.signalling.closed = STOPPING
        await self.installer.drain(DRAIN_SECONDS)
        await self._stack.aclose()

    async def _cancel(self) -> None:
        self._timer.close()
        self.installer.cancel()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # --- another configuration --------------------------------------------------------------------------

    async def reconfigure(self, config: Config, engines: list[LmaConfig | MagConfig]) -> None:
        """Go on with another version of the configuration, and engines by it; see `reload` for what may differ."""
        self.config, self.settings = config, config.nodes[self.name]
        self.identities = identities(config, self.settings)
        await self.switch.reconfigure(config)
        for engine, changed in zip(self.engines, engines, strict=True):
            reconfigure(engine, changed, self._clock()[0])
        if self.lma is not None:
            self.lma.revoke_unknown(self._clock()[0])
        if self.mag is not None:
            self.mag.detach_unknown(*self._clock())
        self._act()

    # --- what people ask ------------------------------------------------------------------------------

    def sessions(self) -> Iterator[Session]:
        """Every settled session of both roles."""
        for engine in self.engines:
            yield from engine.sessions()

    def binding(self, session_id: int) -> Binding | None:
        """The binding of a session id."""
        return self.switch.binding(session_id)

    def attach(
        self, mn: bytes, link: int, mac: bytes, indicator: int = HandoffIndicator.HANDOFF_STATE_UNKNOWN
    ) -> int | None:
        """A mobile node is on an access link; the answer is its session id.

        Raises:
            P4pmipError: This node is no MAG.
        """
        mag = self._demanded(self.mag, "attach", "MAG")
        session_id = mag.attach(mn, AccessLink(link, mac), *self._clock(), indicator=indicator)
        self._act()
        return session_id

    def detach(self, mn: bytes, mac: bytes | None = None) -> None:
        """A mobile node has left.

        Raises:
            P4pmipError: This node is no MAG.
        """
        self._demanded(self.mag, "detach", "MAG").detach(mn, *self._clock(), mac)
        self._act()

    def revoke(self, mn: bytes) -> int:
        """End the sessions of a mobile node at the LMA and tell their MAGs (RFC 5846); answers how many there were.

        Raises:
            P4pmipError: This node is no LMA.
        """
        sessions = self._demanded(self.lma, "revoke", "LMA").revoke(mn, self._clock()[0])
        self._act()
        return sessions

    def _demanded(self, engine: _Engine | None, what: str, role: str) -> _Engine:
        if engine is None:
            raise P4pmipError(f"node {self.name}", what, f"is no {role}")
        return engine

    def link_down(self, link: int) -> None:
        """An access link went down: everybody on it has left (RFC 5213 §6.9.1.4)."""
        if self.mag is not None:
            self.mag.link_down(link, *self._clock())
            self._act()

    # --- inputs ---------------------------------------------------------------------------------------

    def _received(self, octets: bytes, source: Endpoint, destination: Endpoint) -> None:
        self._signalled(octets, source, destination)
        self._engine_for(octets, source).receive(octets, source, destination, *self._clock())
        self._act()

    def _engine_for(self, octets: bytes, source: Endpoint) -> Engine:
        """Where both roles live in one node: PBUs are for the LMA, PBAs for the MAG, the rest by the peer."""
        if self.lma is None or self.mag is None:
            return self.engines[0]
        kind = octets[2] if len(octets) > 2 else None
        if kind == MhType.BINDING_UPDATE:
            return self.lma
        if kind == MhType.BINDING_ACKNOWLEDGEMENT:
            return self.mag
        return self.lma if source.address in self.lma.peers else self.mag

    async def _packets(self) -> None:
        async for packet in self.switch.session.packets():
            self.links.receive(packet, self._clock()[0])

    def _switch_changed(self, state: State, reason: str) -> None:
        self._observe(self.name, SwitchChanged(state.value, reason))

    def _access(self, effect: access.Attachment) -> None:
        self._observe(self.name, effect)
        match effect:
            case access.MobileNodeSeen(link, mac, _):
                mn = self.identities.identify(mac, link)
                if mn is None:
                    self.counters["unknown_mobile_node"] += 1
                elif mac not in self.identities.known and not self._guests.admit(mac, link):
                    self.counters["default_realm_full"] += 1
                else:
                    self.attach(mn, link, mac)
            case access.Detached(link, mac):
                service = self.links.access.serving(link, mac)
                mn = self.identities.identify(mac, link) if service is None else service.binding.mn
                if mn is not None and self.mag is not None:
                    self.mag.detach(mn, *self._clock(), mac, link)
                    self._act()
            case access.AddressReleased(link, mac) | access.AddressWanted(link, mac):
                service = self.links.access.serving(link, mac)
                if service is None or self.mag is None:
                    return
                released = isinstance(effect, access.AddressReleased)
                self.counters["address_released" if released else "address_wanted"] += 1
                change = self.mag.release_ipv4 if released else self.mag.request_ipv4
                change(service.binding.session_id, *self._clock())
                self._act()

    def _attached(self, mac: bytes, link: int) -> bool:
        mn = self.identities.identify(mac, link)
        return mn is not None and self.mag is not None and self.mag.attached(mn, AccessLink(link, mac))

    def _neighbour(self, effect: access.NeighbourChanged) -> None:
        self._spawn(self.switch.neighbour(effect.link, effect.address, effect.mac))

    def _timed(self) -> None:
        for engine in self.engines:
            engine.handle_timer(*self._clock())
        self._act()

    # --- effects --------------------------------------------------------------------------------------

    def _act(self) -> None:
        """Carry out what the engines have queued; what comes of one effect waits for its turn."""
        if self._acting:
            return
        self._acting = True
        try:
            while queued := [(one, each) for one in self.engines for each in sorted(one.effects(), key=_is_message)]:
                for engine, effect in queued:
                    self._carry_out(engine, effect)
        finally:
            self._acting = False
        self._arm()

    def _carry_out(self, engine: Engine, effect: mobility.Effect) -> None:
        self._observe(self.name, effect)
        match effect:
            case mobility.Send():
                (self.signalling.send_behind_switch if engine is self.mag else self.signalling.send)(effect)
            case mobility.Install():
                self.installer.start(effect, functools.partial(self._answer, engine))
            case mobility.Journal():
                self.journal.remember(effect.change)
            case mobility.Advertise():
                self._advertise(effect)
            case mobility.Withdraw():
                self.links.access.withdraw(effect.binding)
                self.links.act()
            case mobility.Alarm():
                self.counters[f"alarm_{effect.name}"] += 1
                self._about(effect.session_id).warning("%s: %s", effect.name, effect.detail)
            case mobility.Received():
                if self._log.isEnabledFor(logging.DEBUG):
                    self._log.about(peer=effect.source.address, mn=mobile_node_of(effect.message)).debug(
                        "%s", effect.outcome
                    )
            case mobility.ParameterProblem():
                self.counters["parameter_problem"] += 1
                self.signalling.parameter_problem(effect)

    def _about(self, session_id: int | None) -> NodeLogger:
        """A logger of lines about a session."""
        binding = None if session_id is None else self.binding(session_id)
        if binding is None:
            return self._log.about(session=session_id)
        return self._log.about(peer=binding.tunnel.peer, session=session_id, mn=binding.mn)

    def _answer(self, engine: Engine, install: mobility.Install, reason: str) -> None:
        if reason:
            engine.refused(install.ticket, reason, *self._clock())
        else:
            engine.installed(install.ticket, *self._clock())
        self._act()
        self._observe(self.name, Answered(install, reason))

    def _advertise(self, effect: mobility.Advertise) -> None:
        binding, now = effect.binding, self._clock()[0]
        service = Service(
            binding,
            now + effect.lifetime,
            self.switch.link_mtu(binding),
            self.config.realms[binding.realm].dns,
            effect.link_local or ROUTER_LINK_LOCAL,
            effect.dhcp_server,
        )
        self.links.access.serve(service, now)
        self.links.act()

    # --- the loop -------------------------------------------------------------------------------------

    @staticmethod
    def _clock() -> tuple[float, float]:
        """Monotonic seconds, and seconds since 1970."""
        return asyncio.get_running_loop().time(), time.time()

    def _arm(self) -> None:
        for engine in self.engines:
            self._timer.arm(engine.next_timer())

    def _spawn(self, work: "asyncio._CoroutineLike[None]") -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.counters["alarm_defect"] += 1
            self._log.error("a task ended", exc_info=error)


def _is_message(effect: mobility.Effect) -> bool:
    return isinstance(effect, mobility.Send)
