"""The nodes of one configuration file in one process: started, reloaded and stopped together."""

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path

from p4pmip.errors import P4pmipError
from p4pmip.node.admin import Admin
from p4pmip.node.config import ConfigError
from p4pmip.node.engines import engine_configs, load, unfit
from p4pmip.node.events import Events
from p4pmip.node.log import of_node
from p4pmip.node.node import Node
from p4pmip.node.references import references
from p4pmip.node.reload import changes
from p4pmip.store.sqlite import SqliteJournal


class Service:
    """Some nodes of a configuration file.

    Attributes:
        nodes: By name, once open.
        events: Of each node.
        admins: The admin API of each node.
    """

    def __init__(self, path: Path, names: Iterable[str] = ()) -> None:
        """Read the file.

        Raises:
            P4pmipError: It cannot be used, or has no such node.
        """
        self._path = path
        self.config = load(path)
        self.names = tuple(dict.fromkeys(names)) or tuple(self.config.nodes)
        for name in self.names:
            if name not in self.config.nodes:
                raise P4pmipError("--node", name, f"no such node in {path}", self.config.nodes)
        self.nodes: dict[str, Node] = {}
        self.events: dict[str, Events] = {}
        self.admins: dict[str, Admin] = {}
        self._stack = AsyncExitStack()

    async def open(self) -> None:
        """Take hold of all that the nodes need of this machine; no switch is touched.

        Raises:
            P4pmipError: A journal, a signalling address or a socket cannot be used; nothing stays open.
        """
        async with AsyncExitStack() as stack:
            for name in self.names:
                with of_node(name), _placed(f"nodes.{name}"):
                    await self._open(name, stack)
            self._stack = stack.pop_all()

    async def _open(self, name: str, stack: AsyncExitStack) -> None:
        config = self.config
        # A journal that is new has lost whatever there was: the time is larger than any restart counter before.
        journal = SqliteJournal.open(config.journal(name), name, restart_counter())
        events = Events(config, name)
        try:
            node = Node(config, name, config.target(name), journal, events.observe)
        except BaseException:
            journal.close()
            raise
        stack.push_async_callback(_stop, node)
        await node.open()
        admin = Admin(node, events, self._moved)
        admin.open()
        stack.push_async_callback(admin.stop)
        self.nodes[name], self.events[name], self.admins[name] = node, events, admin

    async def start(self, ready: Callable[[str], None] = lambda _name: None) -> None:
        """Start every node, side by side; each waits for its switch as long as it takes. `open`s if need be.

        Args:
            ready: Told the name of each node that serves.

        Raises:
            P4pmipError: As of `open`; nothing stays open.
        """
        if not self.nodes:
            await self.open()
        async with self._stack.pop_all() as stack:
            try:
                async with asyncio.TaskGroup() as group:
                    for name in self.names:
                        group.create_task(self._start(name, ready))
            except BaseExceptionGroup as failed:
                mine, rest = failed.split(P4pmipError)
                if rest is not None or mine is None:
                    raise
                raise _first(mine) from None
            self._stack = stack.pop_all()

    async def _start(self, name: str, ready: Callable[[str], None]) -> None:
        with of_node(name), _placed(f"nodes.{name}"):
            await self.nodes[name].start(None)
            await self.admins[name].start()
            ready(name)

    async def stop(self) -> None:
        """Stop every node; bindings stay."""
        await self._stack.aclose()

    async def reload(self) -> list[str]:
        """Read the file again and apply what changed; answers what could not be, a line each.

        Raises:
            P4pmipError: The file cannot be used; nothing was changed.
        """
        config = load(self._path)
        told = changes(self.config, config, self.names)
        findings = list(references(told.applicable)) or list(unfit(told.applicable))
        if findings:
            beside = f"{self._path}: beside what needs a restart and stays"
            raise ConfigError([*told.need_restart, *(f"{beside}: {line}" for line in findings)])
        prepared = [(node, engine_configs(told.applicable, node.name)) for node in self.nodes.values()]
        for node, engines in prepared:
            with of_node(node.name):
                await node.reconfigure(told.applicable, engines)
        self.config = told.applicable
        return [*told.applied, *told.need_restart]

    def _moved(self, here: Node, mn: bytes) -> None:
        """A mobile node was moved to `here` by command: other MAGs of this process need not find out by themselves."""
        for node in self.nodes.values():
            if node is not here and node.mag is not None and any(session.mn == mn for session in node.mag.sessions()):
                with of_node(node.name):
                    node.detach(mn)


async def _stop(node: Node) -> None:
    with of_node(node.name):
        await node.stop()


@contextmanager
def _placed(where: str) -> Iterator[None]:
    """What cannot be used stands at that place of the file."""
    try:
        yield
    except P4pmipError as error:
        error.place = f"{where}.{error.place}"
        raise


def restart_counter() -> int:
    """The first restart counter of a journal that is new (RFC 5847 §3.4)."""
    return int(time.time()) & 0xFFFF_FFFF


def _first(group: BaseExceptionGroup[P4pmipError]) -> P4pmipError:
    one = group.exceptions[0]
    return _first(one) if isinstance(one, BaseExceptionGroup) else one
