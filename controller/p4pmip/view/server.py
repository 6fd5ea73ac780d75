"""The page's server: read-only, on loopback unless told otherwise, and at work only while somebody looks."""

import asyncio
import json
import logging
import socket
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from importlib import resources
from ipaddress import ip_address
from pathlib import PurePath

from aiohttp import web

from p4pmip.errors import P4pmipError
from p4pmip.node.http import Runner, names
from p4pmip.view.model import Model
from p4pmip.view.sources import Source

DEFAULT = "127.0.0.1:0"
INTERVAL = 0.1
"""Seconds between two looks at what changed."""
KEEP_ALIVE = 150
"""Looks without a change after which the stream says that it still is there."""

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self';"
    " connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_PAGE = resources.files("p4pmip.view").joinpath("page")
_FILES = {one.name: _TYPES[PurePath(one.name).suffix] for one in _PAGE.iterdir()}
"""The page's files, and what each is; nothing else is served."""
_LOGGER = logging.getLogger(__name__)
_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def address_of(text: str, place: str = "--view") -> tuple[str, int]:
    """`ADDRESS:PORT` or `[ADDRESS]:PORT`; P4pmipError, which names the place, if it is no such thing."""
    host, colon, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    try:
        address = ip_address("127.0.0.1" if host == "localhost" else host)
    except ValueError:
        address = None
    if not colon or address is None or not port.isdecimal() or int(port) > 65535:
        raise P4pmipError(place, text, "is no address and port", [DEFAULT, "[::1]:8080"])
    return str(address), int(port)


def listening_address(text: str, place: str = "--view") -> tuple[str, int]:
    """The same of an address that can be listened at now: to be asked before anything is started.

    Raises:
        P4pmipError: It is no address, is none of this machine's, is somebody else's already, or is not allowed.
    """
    address = address_of(text, place)
    family = socket.AF_INET6 if ip_address(address[0]).version == 6 else socket.AF_INET
    try:
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the server does
            probe.bind(address)
            probe.listen()
    except OSError as error:
        raise _cannot_listen(place, text, error) from error
    return address


def _cannot_listen(place: str, text: str, error: OSError) -> P4pmipError:
    return P4pmipError(place, text, f"cannot listen: {error.strerror or error}")


class ViewServer:
    """Serves the page of some nodes.

    Args:
        sources: The nodes.
        address: Where to listen, as `address_of` has it; port 0 is any free one.
        place: What gave that address.
    """

    def __init__(self, sources: Sequence[Source], address: tuple[str, int], place: str = "--view") -> None:
        self._sources = sources
        self._address = address
        self._place = place
        self._hosts: frozenset[str] = frozenset()
        self._ending = asyncio.Event()
        self._watchers = 0
        self._work: asyncio.Task[None] | None = None
        self._runner: web.AppRunner | None = None
        self.model = Model()

    async def start(self) -> str:
        """Listen; the answer is the page's address.

        Raises:
            P4pmipError: The address cannot be had.
        """
        application = web.Application(middlewares=[self._guard])
        application.add_routes(
            [
                web.get("/", self._page),
                web.get("/state", self._state),
                web.get("/events", self._stream),
                web.get(r"/message/{number:\d{1,9}}", self._message),
                web.get("/{file}", self._page),
            ]
        )
        self._runner = Runner(application, _refusal, Counter(), _LOGGER)
        await self._runner.setup()
        host, port = self._address
        try:
            await web.TCPSite(self._runner, host, port).start()
        except OSError as error:
            await self._runner.cleanup()
            raise _cannot_listen(self._place, f"{host}:{port}", error) from error
        bound = self._runner.addresses[0][1]
        shown = f"[{host}]" if ip_address(host).version == 6 else host
        self._hosts = names(host, bound)
        return f"http://{shown}:{bound}/"

    async def stop(self) -> None:
        """Listen no more; streams end."""
        self._ending.set()
        self._idle()
        if self._runner is not None:
            await self._runner.cleanup()

    # --- requests -------------------------------------------------------------------------------------

    @web.middleware
    async def _guard(self, request: web.Request, handler: _Handler) -> web.StreamResponse:
        """Another Host is another site's name for this address: its pages are not to read here."""
        known = ip_address(self._address[0]).is_unspecified or request.headers.get("Host", "").lower() in self._hosts
        if not known:
            return _refusal("This server has another name.", 421)
        try:
            response = await handler(request)
        except web.HTTPException as error:
            return _refusal(error.reason, error.status)
        if not response.prepared:
            response.headers.update(HEADERS)
        return response

    async def _page(self, request: web.Request) -> web.Response:
        name = request.match_info.get("file", "index.html")
        if name not in _FILES:
            raise web.HTTPNotFound
        return web.Response(body=_PAGE.joinpath(name).read_bytes(), content_type=_FILES[name], charset="utf-8")

    async def _state(self, _request: web.Request) -> web.Response:
        return web.json_response(self.model.since(None))

    async def _message(self, request: web.Request) -> web.Response:
        found = self.model.message(int(request.match_info["number"]))
        if found is None:
            raise web.HTTPNotFound
        return web.json_response(found)

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        """Server-sent events: everything, and then what changes."""
        response = web.StreamResponse(headers={**HEADERS, "Content-Type": "text/event-stream"})
        await response.prepare(request)
        known = request.headers.get("Last-Event-ID", "")
        revision = int(known) if known.isdecimal() and len(known) < 19 else None
        self._look()
        quiet = 0
        try:
            while not self._ending.is_set():
                if revision is None or revision != self.model.revision:
                    changes = self.model.since(revision)
                    revision, quiet = changes["revision"], 0
                    await response.write(f"id: {revision}\ndata: {json.dumps(changes)}\n\n".encode())
                elif (quiet := quiet + 1) >= KEEP_ALIVE:
                    quiet = 0
                    await response.write(b":\n\n")
                await asyncio.sleep(INTERVAL)
        except ConnectionResetError:
            pass  # the page was closed
        finally:
            self._watchers -= 1
            if not self._watchers:
                self._idle()
        return response

    # --- at work while somebody looks -----------------------------------------------------------------

    def _look(self) -> None:
        self._watchers += 1
        if self._work is None:
            self._work = asyncio.get_running_loop().create_task(self._watch())

    def _idle(self) -> None:
        if self._work is not None:
            self._work.cancel()
        self._work = None

    async def _watch(self) -> None:
        # First who is who: messages are shown with names.
        await asyncio.gather(*(source.introduce(self.model) for source in self._sources))
        await asyncio.gather(*(source.watch(self.model) for source in self._sources))


def _refusal(why: object, status: int) -> web.Response:
    return web.Response(status=status, text=f"{why}\n", headers=HEADERS)
