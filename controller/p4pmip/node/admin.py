"""The admin API of a node: HTTP and JSON on a Unix socket that only its owner may open, or on TCP.

On TCP there is no such protection from the operating system, so requests that a browser may have been led into
(another Host, another Origin) are refused.
"""

import asyncio
import errno
import json
import logging
import os
import socket
import stat
from collections.abc import Awaitable, Callable
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from aiohttp import web

from p4pmip.errors import P4pmipError
from p4pmip.node import orders
from p4pmip.node.bindings import binding_json
from p4pmip.node.desired import about
from p4pmip.node.events import Events
from p4pmip.node.http import Runner, names
from p4pmip.node.log import NodeLogger
from p4pmip.node.node import Node
from p4pmip.node.outcome import outcome
from p4pmip.node.status import Metrics, counters, health
from p4pmip.node.values import tcp_text
from p4pmip.p4runtime.desired import desired_json
from p4pmip.p4runtime.target import parse_target

KEEP_ALIVE = 15.0
"""Seconds after which a quiet stream of events says that it still is there."""
LONGEST_WAIT = 3600
"""Seconds for which a request may wait for what comes of it."""

_DIGITS = 18
"""Of the largest number that a request may give: more than there will be events or sessions."""
_LOGGER = logging.getLogger(__name__)
_Order = Callable[[Node, str, str | None], dict[str, Any]]
_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class AdminError(P4pmipError):
    """The admin API cannot listen where it should."""


class Admin:
    """The API of one node.

    Args:
        node: The node.
        events: Its events.
        left: Called when a mobile node has been moved to this node by command: (node, NAI).
    """

    def __init__(
        self, node: Node, events: Events, left: Callable[[Node, bytes], None] = lambda _node, _mn: None
    ) -> None:
        self._node = node
        self._events = events
        self._left = left
        self._metrics = Metrics(node)
        self._place = node.config.admin(node.name)
        self._hosts: frozenset[str] | None = None
        self._ending = asyncio.Event()
        self._runner: web.AppRunner | None = None
        self._socket: socket.socket | None = None
        self._file: tuple[Path, int] | None = None
        """The Unix socket and its inode."""

    def open(self) -> None:
        """Take the place that the configuration says; whoever connects is refused until `start`.

        Raises:
            AdminError: Something else is there.
        """
        try:
            if isinstance(self._place, Path):
                self._socket, beside = _bind_unix(self._place)
                self._file = beside, os.stat(beside).st_ino
            else:
                self._socket = _bind_tcp(*self._place)
        except OSError as error:
            raise self._error(error) from error

    async def start(self) -> None:
        """Listen; `open`s if that has not been done.

        Raises:
            AdminError: Something else is there.
        """
        if self._socket is None:
            self.open()
        assert self._socket is not None
        application = web.Application(middlewares=[self._guard])
        application.add_routes(
            [
                web.get("/bindings", self._bindings),
                web.get("/sessions", self._sessions),
                web.get("/counters", self._counters),
                web.get("/health", self._health),
                web.get("/events", self._stream),
                web.get("/desired", self._desired),
                web.get("/metrics", self._exposition),
                web.post("/attach", self._attach),
                web.post("/detach", self._detach),
                web.post("/move", self._move),
            ]
        )
        self._runner = Runner(application, _refusal, self._node.counters, NodeLogger(_LOGGER, self._node.name))
        await self._runner.setup()
        try:
            await web.SockSite(self._runner, self._socket).start()
        except OSError as error:
            raise self._error(error) from error
        if self._file is None:
            self._hosts = names(*self._socket.getsockname()[:2])
        elif isinstance(self._place, Path):  # not before: whoever waits for the file finds one that answers
            beside, inode = self._file
            self._file = beside.rename(self._place), inode

    @property
    def addresses(self) -> list[Any]:
        """Where it listens."""
        return [] if self._runner is None else self._runner.addresses

    async def stop(self) -> None:
        """Listen no more; streams of events end."""
        self._ending.set()
        if self._runner is not None:
            await self._runner.cleanup()
        if self._socket is not None:
            self._socket.close()
        if self._file is not None:
            path, inode = self._file
            with suppress(OSError):
                if os.stat(path).st_ino == inode:
                    os.unlink(path)
        self._runner = self._socket = self._file = None

    def _error(self, error: OSError) -> AdminError:
        shown = str(self._place) if isinstance(self._place, Path) else tcp_text(*self._place)
        return AdminError("admin", shown, f"cannot listen: {error.strerror or error}")

    # --- requests -------------------------------------------------------------------------------------

    @web.middleware
    async def _guard(self, request: web.Request, handler: _Handler) -> web.StreamResponse:
        if self._hosts is not None:
            host, origin = request.headers.get("Host"), request.headers.get("Origin")
            if host is None or host.lower() not in self._hosts:
                return _refusal(P4pmipError("Host", host, "not this server", self._hosts), 421)
            if origin is not None and origin.lower().partition("://")[2] not in self._hosts:
                return _refusal(P4pmipError("Origin", origin, "another site", self._hosts), 403)
        try:
            return await handler(request)
        except P4pmipError as error:
            return _refusal(error, 400)
        except web.HTTPException as error:
            return _refusal(P4pmipError(request.method, request.path, error.reason), error.status)

    async def _bindings(self, _request: web.Request) -> web.Response:
        node = self._node
        rows = [binding_json(node.config, node.name, session) for session in node.sessions()]
        return web.json_response({"bindings": rows})

    async def _sessions(self, request: web.Request) -> web.Response:
        """The bindings by the numbers that their entries in the switch carry; `?limit=N`: only the first."""
        node, limit = self._node, request.query.get("limit") or None
        sessions = list(node.sessions())
        shown = sessions if limit is None else sessions[: _number("limit", limit)]
        rows = {one.session_id: binding_json(node.config, node.name, one) for one in shown}
        return web.json_response({"count": len(sessions), "sessions": rows})

    async def _counters(self, _request: web.Request) -> web.Response:
        return web.json_response(counters(self._node))

    async def _health(self, _request: web.Request) -> web.Response:
        return web.json_response(health(self._node) | {"started": self._events.started})

    async def _exposition(self, _request: web.Request) -> web.Response:
        headers = {"Content-Type": "text/plain; version=0.0.4; charset=utf-8"}
        return web.Response(body=self._metrics.text(), headers=headers)

    async def _desired(self, request: web.Request) -> web.Response:
        mine = self._node.switch.session.target
        asked = request.query.get("target", mine.label)
        if asked != self._node.name and asked != mine.label:
            target = parse_target(asked)
            if (target.address, target.device_id) != (mine.address, mine.device_id):
                return _refusal(P4pmipError("target", asked, "not the switch of this node", (mine.label,)), 404)
        sessions = {binding.session_id: about(binding) for binding in self._node.switch.bindings()}
        return web.json_response(desired_json(self._node.switch.desired().values(), sessions))

    async def _attach(self, request: web.Request) -> web.Response:
        return await self._register(request, orders.attach)

    async def _detach(self, request: web.Request) -> web.Response:
        return web.json_response(orders.detach(self._node, _text(await _body(request), "mn")))

    async def _move(self, request: web.Request) -> web.Response:
        return await self._register(request, orders.move)

    async def _register(self, request: web.Request, order: _Order) -> web.Response:
        """The session at once; with `wait`, what came of it once that is known, or so many seconds are over."""
        asked = await _body(request)
        seconds = _wait(asked)
        with self._events.listen() as listener:
            done = order(self._node, _text(asked, "mn"), _text_or_none(asked, "link"))
            if order is orders.move:
                self._left(self._node, str(done["mn"]).encode())
            if seconds is not None:
                done |= await outcome(self._node, listener, done, seconds)
        return web.json_response(done)

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        """Server-Sent Events; `?after=N` or Last-Event-ID: first what is still known of later ones."""
        asked = request.query.get("after", request.headers.get("Last-Event-ID"))
        after = None if asked is None else _number("after", asked)
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"})
        await response.prepare(request)
        with self._events.listen(after) as listener, suppress(ConnectionError):
            await response.write(b": listening\n\n")
            ending = asyncio.ensure_future(self._ending.wait())
            try:
                while not self._ending.is_set():
                    getting = asyncio.ensure_future(listener.queue.get())
                    await asyncio.wait((getting, ending), timeout=KEEP_ALIVE, return_when=asyncio.FIRST_COMPLETED)
                    if not getting.done():
                        getting.cancel()
                        await response.write(b": still here\n\n")
                        continue
                    told = self._events.json(getting.result())
                    if told is not None:
                        told |= {"missed": listener.missed} if listener.missed else {}
                        await response.write(f"id: {told['id']}\ndata: {json.dumps(told)}\n\n".encode())
            finally:
                ending.cancel()
        return response


def _bind_unix(path: Path) -> tuple[socket.socket, Path]:
    """A socket, and where it is until it listens: beside its place."""
    _remove_stale(path)
    bound = socket.socket(socket.AF_UNIX)
    beside = path.with_name(f".{os.getpid():x}.{bound.fileno():x}")
    try:
        # The file gets its mode from the socket (Linux); a umask would be that of everything else meanwhile.
        os.fchmod(bound.fileno(), 0o600)
        bound.bind(str(beside))
    except OSError:
        bound.close()
        raise
    return bound, beside


def _bind_tcp(host: str, port: int) -> socket.socket:
    bound = socket.socket(socket.AF_INET if ip_address(host).version == 4 else socket.AF_INET6)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((host, port))
    except OSError:
        bound.close()
        raise
    return bound


def _remove_stale(path: Path) -> None:
    """Take away the socket of a node that was killed; OSError if somebody listens, or it is something else."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise FileExistsError(errno.EEXIST, "there is a file that is no socket")
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
            return
    raise OSError(errno.EADDRINUSE, "another process listens there")


async def _body(request: web.Request) -> dict[str, Any]:
    if request.content_type != "application/json" or (request.charset or "utf-8").lower() != "utf-8":
        raise P4pmipError("Content-Type", request.headers.get("Content-Type"), "not JSON", ("application/json",))
    try:
        document = json.loads(await request.read())
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise P4pmipError("body", "", "not a JSON object")
    return document


def _number(place: str, text: str) -> int:
    if not text.isdecimal() or len(text) > _DIGITS:
        raise P4pmipError(place, text, f"not a number of at most {_DIGITS} digits")
    return int(text)


def _text(document: dict[str, Any], key: str) -> str:
    value = document.get(key)
    if not isinstance(value, str):
        raise P4pmipError(key, value, "must be text")
    return value


def _text_or_none(document: dict[str, Any], key: str) -> str | None:
    return None if document.get(key) is None else _text(document, key)


def _wait(document: dict[str, Any]) -> float | None:
    value = document.get("wait")
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= LONGEST_WAIT:
        raise P4pmipError("wait", str(value), f"must be a number of seconds, at most {LONGEST_WAIT}")
    return value


def _refusal(error: P4pmipError, status: int) -> web.Response:
    told = {
        "error": error.problem,
        "place": error.place,
        "value": error.value if isinstance(error.value, str | int | None) else str(error.value),
        "choices": [str(choice) for choice in error.choices],
    }
    return web.json_response(told, status=status)
