"""How the admin API and the page are served: what is no request is counted and refused as any other bad request.

aiohttp by itself would log what it was sent, with a traceback; MN-Identifiers and keys may stand there.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.web_protocol import ERROR

from p4pmip.errors import P4pmipError
from p4pmip.node.values import tcp_text

Refuse = Callable[[P4pmipError, int], web.Response]
"""Makes the answer to a request that is refused with a status."""

Log = logging.Logger | logging.LoggerAdapter[logging.Logger]

_MALFORMED = (HttpProcessingError, web.RequestPayloadError)
_EXPECTED = "100-continue"
_LEFT = (ConnectionError, TimeoutError)


@dataclass(frozen=True, slots=True)
class _Faults:
    """What becomes of what is no request, and of one that shows a defect; as of `Runner`."""

    refuse: Refuse
    counters: Counter[str]
    log: Log


class Runner(web.AppRunner):
    """Serves an application.

    Args:
        application: What answers requests.
        refuse: Makes the answer to what is no request, and to one that shows a defect.
        counters: Where `malformed_request` and `alarm_defect` are counted.
        log: Told of both, of the former at debug level.
    """

    def __init__(self, application: web.Application, refuse: Refuse, counters: Counter[str], log: Log) -> None:
        super().__init__(application, shutdown_timeout=1.0)
        self._faults = _Faults(refuse, counters, log)

    async def _make_server(self) -> web.Server:
        server = await super()._make_server()
        return _Server(server, self._faults)


class _Server(web.Server):
    """The same requests to the same application, over connections of our own."""

    def __init__(self, server: web.Server, faults: _Faults) -> None:
        super().__init__(self._answer, request_factory=self._request)
        self._application, self._factory = server.request_handler, server.request_factory
        self._faults = faults

    def __call__(self) -> web.RequestHandler:
        return _Connection(self, self._faults)

    def _request(self, message: Any, *more: Any) -> web.BaseRequest:
        if message.url is None:  # CONNECT to nowhere, which aiohttp takes for a request and then stumbles over
            self._faults.counters["malformed_request"] += 1
            message = ERROR
        return self._factory(message, *more)

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        # Before aiohttp looks at it, whose answer would quote it, and cannot be encoded where it is not UTF-8.
        expected = request.headers.get("Expect") or _EXPECTED
        if expected.lower() != _EXPECTED:
            return self._faults.refuse(P4pmipError("Expect", expected, "cannot be met", (_EXPECTED,)), 417)
        return await self._application(request)


class _Connection(web.RequestHandler):
    def __init__(self, server: web.Server, faults: _Faults) -> None:
        super().__init__(server, loop=asyncio.get_running_loop(), access_log=None)  # type: ignore[arg-type]
        self._faults = faults

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002 - it quotes the request
    ) -> web.StreamResponse:
        """The answer where no handler gave one; the connection ends with it."""
        self.log_exception("a request failed", exc_info=exc or TimeoutError())  # which aiohttp does not hand on
        if request.writer.output_size > 0:
            raise ConnectionError("the answer had begun")
        if isinstance(exc, _MALFORMED):
            response = self._faults.refuse(P4pmipError("request", None, f"malformed ({type(exc).__name__})"), 400)
        else:
            response = self._faults.refuse(P4pmipError("request", None, "failed; the log says why"), status)
        response.force_close()
        return response

    def log_exception(self, *args: Any, **kw: Any) -> None:
        """What went wrong with a request or its answer."""
        error = kw.get("exc_info")
        if isinstance(error, _MALFORMED):
            self._faults.counters["malformed_request"] += 1
            self._faults.log.debug("malformed request: %r", error)
        elif isinstance(error, _LEFT):
            self._faults.log.debug("a client left: %r", error)
        else:
            self._faults.counters["alarm_defect"] += 1
            self._faults.log.error(*args, **kw)


def names(host: str, port: int) -> frozenset[str]:
    """What a Host header may say of a server at an address, in lower case."""
    shown = (host, "localhost") if ip_address(host).is_loopback else (host,)
    return frozenset(tcp_text(name.lower(), port) for name in shown)
