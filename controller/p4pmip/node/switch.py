"""A node's switch: bindings in, entries derived, updates written, and undone where they are refused."""

import asyncio
import dataclasses
import functools
import logging
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from p4pmip.errors import P4pmipError
from p4pmip.forwarding.base import base_entries, punt_meters
from p4pmip.forwarding.context import Context, Neighbour
from p4pmip.forwarding.entry import Entry, EntryKey
from p4pmip.forwarding.ledger import Delta, Ledger
from p4pmip.forwarding.ordering import order
from p4pmip.forwarding.session import entries
from p4pmip.mobility.binding import Binding, IPAddress, Phase, Role
from p4pmip.mobility.record import Change, Record
from p4pmip.mobility.session import Session as MobilitySession
from p4pmip.node.config import Config
from p4pmip.node.context import context_of, journalled_ids, link_mtu, new_ids, next_hops
from p4pmip.node.leftovers import Leftovers
from p4pmip.node.log import NodeLogger
from p4pmip.node.neighbours import journalled_neighbours, neighbour_change
from p4pmip.p4runtime.pipeline import Pipeline
from p4pmip.p4runtime.reconcile import Plan
from p4pmip.p4runtime.session import Options, Session
from p4pmip.p4runtime.target import Target
from p4pmip.p4runtime.writer import Phases, WriteRefused

DRAIN = 1.0
"""Seconds for which packets that left the old MAG before a handover are still taken."""

IMPORTANCE = (
    "SIGNALLING",
    "ROUTER_SOLICITATION",
    "LISTENER_REPORT",
    "DHCP",
    "ARP",
    "NEIGHBOR_DISCOVERY",
    "TOO_BIG",
    "HOP_LIMIT",
    "ICMP",
)

_LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SwitchChanged:
    """The session with the switch is in another state."""

    state: str
    reason: str


def _ordered(plan: Plan) -> Phases:
    return order(Delta(plan.insert, tuple(new for _, new in plan.modify), plan.delete))


class SwitchControl:
    """What one switch holds, derived from bindings and configuration; nothing else writes to it.

    Attributes:
        session: The P4Runtime session.
        counters: `refused` and `undo_refused` changes.
    """

    def __init__(
        self,
        config: Config,
        name: str,
        target: Target,
        records: Sequence[Record],
        remember: Callable[[Change], None],
    ) -> None:
        self._name = name
        self._log = NodeLogger(_LOGGER, name)
        self._node = config.nodes[name]
        self._remember = remember
        configured = context_of(config, self._node, journalled_ids(records))
        self._next_hops = list(next_hops(configured))
        neighbours = (*configured.neighbours, *journalled_neighbours(records, configured))
        self._context = dataclasses.replace(configured, neighbours=neighbours)
        self._ledger = Ledger()
        self._base = base_entries(self._context)
        self._ledger.acquire(self._base)
        self._leftovers = Leftovers(self._ledger, functools.partial(self._submit, lenient=True))
        self._bindings: dict[int, Binding] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self.counters: Counter[str] = Counter()
        self.session = Session(
            target,
            Pipeline.packaged(),
            Options(importance=IMPORTANCE, reconcile_every=self._node.reconcile_interval or None),
            desired=self._ledger.desired,
            meters=punt_meters(self._context),
            order=_ordered,
        )

    async def start(self, seconds: float | None) -> None:
        """Connect, deploy and reconcile; waits `seconds` for it, or for ever.

        Raises:
            TargetError: Not within `seconds`.
        """
        self._journal_ids()
        self.session.start()
        try:
            await self.session.wait_ready(seconds)
        except BaseException:
            await self.session.close()
            raise

    async def close(self) -> None:
        """End the session; the switch keeps what it holds."""
        self._leftovers.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.session.close()

    # --- bindings ---------------------------------------------------------------------------------------

    def binding(self, session_id: int) -> Binding | None:
        """The binding behind a session id."""
        return self._bindings.get(session_id)

    def bindings(self) -> Iterator[Binding]:
        """Every binding that has entries."""
        return iter(self._bindings.values())

    def desired(self) -> Mapping[EntryKey, Entry]:
        """Every entry that the switch should hold."""
        return self._ledger.desired()

    def entries(self, binding: Binding) -> tuple[Entry, ...]:
        """The entries a binding asks for."""
        return entries(binding, self._context)

    def expect(self, binding: Binding) -> None:
        """A binding from the journal: its entries are desired before the switch is first compared."""
        self._bindings[binding.session_id] = binding
        self._ledger.acquire(self.entries(binding))

    def apply(self, old: Binding | None, new: Binding | None) -> "asyncio.Future[None]":
        """Bring the switch from one state of a session to the next; the future ends when it holds it.

        A handover leaves the entries of the old way for a while: they are deleted after `DRAIN`.

        The future raises:
            WriteRefused: The switch would not; it holds what it held before.
            P4pmipError: There are no entries for such a binding.
        """
        outcome: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        moves = old is not None and new is not None and _moves(old, new)
        try:
            before = self._held(old)
            after = () if new is None else self.entries(new)
            self._journal_ids()
            delta = self._ledger.acquire(after) if moves else self._ledger.change(before, after)
        except P4pmipError as error:
            return _refused(error)

        def undo() -> Delta:
            return self._back(after, before) if moves else self._ledger.change(after, before)

        def done(written: "asyncio.Future[None]") -> None:
            if written.cancelled() or outcome.done():
                return
            if (error := written.exception()) is not None:
                self._spawn(self._undo(undo(), error, outcome))
                return
            if moves:
                self._leftovers.add(before, DRAIN).add_done_callback(self._tidied)
            self._know(old, new)
            outcome.set_result(None)

        self._submit(delta, relies_on=delta.relied_on).add_done_callback(done)
        return outcome

    def end(self, old: Binding | None, new: Binding | None) -> "asyncio.Future[None]":
        """Bring the switch to a state that gives something up, which nobody can refuse.

        The future raises:
            WriteRefused: The switch would not; what it holds too much is found by the next comparison.
            P4pmipError: There are no entries for such a binding.
        """
        try:
            before = self._held(old)
            after = () if new is None else self.entries(new)
        except P4pmipError as error:
            return _refused(error)
        self._know(old, new)
        if new is None:
            written = self._leftovers.add(before)
        else:
            written = self._submit(self._ledger.change(before, after), lenient=True)
        written.add_done_callback(self._ended)
        return written

    def _held(self, old: Binding | None) -> tuple[Entry, ...]:
        """The entries that are asked for because of a binding.

        None for one that an engine gives up as soon as it is restored: nobody expected them, so that the first
        comparison has taken them out.
        """
        return () if old is None or old.session_id not in self._bindings else self.entries(old)

    def _submit(
        self, delta: Delta, *, relies_on: Iterable[EntryKey] = (), lenient: bool = False
    ) -> "asyncio.Future[None]":
        try:
            return self.session.writer.submit(order(delta), relies_on=relies_on, lenient=lenient)
        except P4pmipError as error:  # an update that the P4Info does not know: nothing was sent
            return _refused(error)

    def _know(self, old: Binding | None, new: Binding | None) -> None:
        if new is not None:
            self._bindings[new.session_id] = new
        elif old is not None:
            self._bindings.pop(old.session_id, None)

    def _back(self, after: tuple[Entry, ...], before: tuple[Entry, ...]) -> Delta:
        """Undo an `acquire` of `after` beside `before`: entries of both get their old actions again."""
        released = self._ledger.release(after)
        return Delta(modify=self._ledger.change(before, before).modify, delete=released.delete)

    async def _undo(self, delta: Delta, error: BaseException, outcome: "asyncio.Future[None]") -> None:
        self.counters["refused"] += 1
        await self._tidy(delta)
        if not outcome.done():
            outcome.set_exception(error)

    async def _tidy(self, delta: Delta) -> None:
        written = self._submit(delta, lenient=True)
        written.add_done_callback(self._tidied)
        await asyncio.wait((written,))

    def _tidied(self, written: "asyncio.Future[None]") -> None:
        """What is left if it was refused is found by the next comparison."""
        if not written.cancelled() and (error := written.exception()) is not None:
            self.counters["undo_refused"] += 1
            self._log.warning("switch %s", error.summary if isinstance(error, WriteRefused) else error)

    def _ended(self, written: "asyncio.Future[None]") -> None:
        if not written.cancelled() and written.exception() is not None:
            self.counters["refused"] += 1

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # --- neighbours, ids --------------------------------------------------------------------------------

    def unresolved(self) -> list[tuple[int, IPAddress]]:
        """Next hops of the configuration whose link-layer address is to be found, or found again."""
        return self._next_hops

    async def neighbour(self, link: int, address: IPAddress, mac: bytes | None) -> None:
        """A next hop was found, changed, or (None) lost."""
        others = tuple(known for known in self._context.neighbours if (known.link_id, known.address) != (link, address))
        found = () if mac is None else (Neighbour(link, address, mac),)
        self._remember(neighbour_change(link, address, mac))
        await self._rebase(dataclasses.replace(self._context, neighbours=(*others, *found)))

    async def reconfigure(self, config: Config) -> None:
        """Another version of the configuration: realms may have come."""
        node = config.nodes[self._name]
        context = context_of(config, node, self._context.ids)
        await self._rebase(dataclasses.replace(context, neighbours=self._context.neighbours))

    async def _rebase(self, context: Context) -> None:
        base = base_entries(context)
        delta = self._ledger.change(self._base, base)
        self._context, self._base = context, base
        self._journal_ids()
        try:
            await self.session.writer.apply(order(delta), lenient=True)
        except WriteRefused as error:
            # It stays desired: the session compares when it is ready again.
            self.counters["refused"] += 1
            self._log.warning("switch %s", error.summary)

    def link_mtu(self, binding: Binding) -> int:
        """What a mobile node may send: the smaller of the access link's MTU and what the tunnel carries."""
        return link_mtu(binding, self._context)

    def _journal_ids(self) -> None:
        for record in new_ids(self._context.ids):
            self._remember(record)


def _refused(error: P4pmipError) -> "asyncio.Future[None]":
    refused: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    refused.set_exception(error)
    return refused


def _moves(old: Binding, new: Binding) -> bool:
    """Whether this is the flip of a handover at the LMA."""
    return old.role is Role.LMA and old.phase is new.phase is Phase.ACTIVE and old.tunnel != new.tunnel


def gives_up(before: MobilitySession | None, after: MobilitySession | None) -> bool:
    """Whether a change is the end of something: of the session, of its traffic, or of one address family.

    An engine takes such a change for done whatever switch and journal say.
    """
    if after is None or after.phase is Phase.HELD:
        return True
    return (
        before is not None
        and before.tunnel == after.tunnel
        and not (set(before.prefixes) <= set(after.prefixes) and before.ipv4 in (None, after.ipv4))
    )
