"""Where the views get what they show: nodes of this process, or running nodes by their admin API and their switches."""

import asyncio
import json
from contextlib import AsyncExitStack
from typing import Any, Protocol

import aiohttp

from p4pmip.errors import P4pmipError
from p4pmip.node.bindings import binding_json
from p4pmip.node.engines import signalling_endpoint
from p4pmip.node.events import Events
from p4pmip.node.node import Node
from p4pmip.node.status import health
from p4pmip.node.values import tcp_address
from p4pmip.p4runtime import deployment
from p4pmip.p4runtime.arbitration import State
from p4pmip.p4runtime.client import Client
from p4pmip.p4runtime.reader import Reader
from p4pmip.p4runtime.status import TargetError
from p4pmip.p4runtime.target import parse_target
from p4pmip.view.model import SESSIONS, Model
from p4pmip.view.poll import Poll

Json = dict[str, Any]

POLL = 0.5
"""Seconds between two rounds over a switch."""
SECONDS = 10.0
"""For an answer of the admin API."""


class Source(Protocol):
    """A node, for a model."""

    async def introduce(self, model: Model) -> None:
        """Tell who the node is, and what it has."""

    async def watch(self, model: Model) -> None:
        """Tell what happens, until cancelled."""


class Local:
    """A node of this process, with its events."""

    def __init__(self, node: Node, events: Events) -> None:
        self._node = node
        self._events = events

    async def introduce(self, model: Model) -> None:
        """Tell who the node is, and what it has."""
        for name, settings in self._node.config.nodes.items():
            model.call(str(signalling_endpoint(settings)), name)
        for name, peer in self._node.settings.peers.items():
            model.call(str(peer.address), name, known=False)
        self._know(model)

    async def watch(self, model: Model) -> None:
        """Tell what happens, until cancelled."""
        await asyncio.gather(self._follow(model), self._poll(model))

    def _know(self, model: Model) -> None:
        """What stands in no event."""
        node = self._node
        describe(model, health(node))
        model.sessions(
            node.name, ((one.session_id, binding_json(node.config, node.name, one)) for one in node.sessions())
        )

    async def _follow(self, model: Model) -> None:
        with self._events.listen(0) as listener:
            while True:
                told = self._events.json(await listener.queue.get())
                if told is not None:
                    model.event(told)

    async def _poll(self, model: Model) -> None:
        node, session = self._node, self._node.switch.session
        while True:
            if session.state is State.READY:
                poll = Poll(model, node.name, session.reader, session.pipeline.schema)
                try:
                    await poll.round(model.sessions_of(node.name), asyncio.get_running_loop().time())
                except TargetError as error:
                    model.node(node.name, reason=str(error))
            self._know(model)
            await asyncio.sleep(POLL)


class Remote:
    """A node of another process. An asynchronous context manager that ends the connections.

    Args:
        where: Its admin API: a Unix socket, or ADDRESS:PORT.
        target: Its switch; None: as the node says.
        interval: Seconds between two rounds over the switch.
    """

    def __init__(self, where: str, target: str | None = None, interval: float = POLL) -> None:
        self._where = where
        self._target = target
        self._interval = interval
        self._stack = AsyncExitStack()
        self._http: aiohttp.ClientSession | None = None
        self._switch: tuple[str, Client] | None = None
        self._name = where
        self._started = 0.0

    async def __aenter__(self) -> "Remote":
        connector = None if tcp_address(self._where) else aiohttp.UnixConnector(self._where)
        self._http = await self._stack.enter_async_context(aiohttp.ClientSession(connector=connector))
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._switch is not None:
            await self._switch[1].close()
        await self._stack.aclose()

    async def introduce(self, model: Model) -> None:
        """Tell who the node is, and what it has; that it does not answer, if so."""
        try:
            await self.know(model)
        except P4pmipError as error:
            model.node(self._name, state="unreachable", reason=f"{self._where}: {error.problem}")

    async def watch(self, model: Model) -> None:
        """Tell what happens, until cancelled; a node that went away may come back."""
        await asyncio.gather(self._keep(model, self.follow), self._keep(model, self._poll))

    async def _keep(self, model: Model, work: Any) -> None:
        while True:
            try:
                await work(model)
            except P4pmipError as error:
                model.node(self._name, state="unreachable", reason=f"{self._where}: {error.problem}")
            await asyncio.sleep(self._interval)

    async def _poll(self, model: Model) -> None:
        await self.know(model)
        await self.count(model)

    async def know(self, model: Model) -> None:
        """Read what the node says of itself, and its sessions.

        Raises:
            P4pmipError: It does not answer.
        """
        about = await self.ask("/health")
        sessions = await self.ask(f"/sessions?limit={SESSIONS}")
        self._name = about["node"]
        if about["started"] != self._started:  # its events are numbered anew
            self._started = about["started"]
            model.restarted(self._name)
        model.call(about["signalling"], self._name)
        for peer in about["peers"]:
            model.call(peer["address"], peer["name"], known=False)
        describe(model, about)
        model.sessions(self._name, ((int(number), row) for number, row in sessions["sessions"].items()))
        model.node(self._name, sessions=sessions["count"])
        self._target = self._target or about["switch"]["address"]

    async def count(self, model: Model) -> None:
        """Read the switch's tables and counters; that it does not answer is told of the node."""
        assert self._target is not None
        try:
            if self._switch is None:
                self._switch = (self._target, Client(parse_target(self._target)))
            client = self._switch[1]
            pipeline = await deployment.running(client)
            if pipeline is None:
                model.node(self._name, reason=f"{self._target} runs no pipeline")
                return
            poll = Poll(model, self._name, Reader(client, pipeline), pipeline.schema)
            await poll.round(model.sessions_of(self._name), asyncio.get_running_loop().time())
        except P4pmipError as error:
            model.node(self._name, reason=f"no rates and drops: {error}")

    async def follow(self, model: Model) -> None:
        """Tell the events, until the node ends.

        Raises:
            P4pmipError: It does not answer.
        """
        assert self._http is not None
        forever = aiohttp.ClientTimeout(total=None, sock_connect=SECONDS)
        try:
            async with self._http.get(self._url("/events?after=0"), timeout=forever) as response:
                await self._checked(response)
                async for line in response.content:
                    if line.startswith(b"data:"):
                        model.event(json.loads(line[5:]))
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise self._silence(error) from None

    async def ask(self, path: str) -> Json:
        """A document of the admin API.

        Raises:
            P4pmipError: It does not answer.
        """
        assert self._http is not None
        try:
            async with self._http.get(self._url(path), timeout=aiohttp.ClientTimeout(SECONDS)) as response:
                await self._checked(response)
                found: Json = await response.json()
                return found
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise self._silence(error) from None

    async def _checked(self, response: aiohttp.ClientResponse) -> None:
        if response.status != 200:
            raise P4pmipError("--node", self._where, f"answers with status {response.status}")

    def _url(self, path: str) -> str:
        return f"http://{self._where if tcp_address(self._where) else 'localhost'}{path}"

    def _silence(self, error: Exception) -> P4pmipError:
        return P4pmipError("--node", self._where, f"no node answers ({str(error) or type(error).__name__})")


def describe(model: Model, about: Json) -> None:
    """What a node says of itself."""
    switch = about["switch"]
    model.node(
        about["node"],
        roles=about["roles"],
        signalling=about["signalling"],
        tunnel=about["tunnel"],
        target=switch["target"],
        state=switch["state"],
        reason=switch["reason"],
    )
