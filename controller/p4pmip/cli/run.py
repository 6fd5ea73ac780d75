"""`p4pmip run`: nodes of a configuration file, until they are told to stop."""

import argparse
import asyncio
import logging
import signal
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from p4pmip.errors import P4pmipError
from p4pmip.node.log import LEVELS, log_requests, start_logging, without_identities

_LOGGER = logging.getLogger("p4pmip.run")


def register(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "run",
        help="run MAGs and LMAs of a configuration file",
        description="Run nodes until SIGTERM or SIGINT; SIGHUP reads the file again and applies what changed.",
    )
    parser.add_argument("config", metavar="CONFIG", type=Path, help="TOML file")
    parser.add_argument("--node", metavar="NAME", action="append", default=[], help="only this node; may be repeated")
    parser.add_argument("--log-level", choices=LEVELS, default="info", help="default: info; keys and NAIs: debug only")
    parser.add_argument("--log-json", action="store_true", help="log JSON objects, one a line")
    parser.add_argument(
        "--p4runtime-log",
        metavar="FILE",
        type=Path,
        help="append every P4Runtime request to this file; keys stand in it",
    )
    parser.add_argument(
        "--view", metavar="ADDR:PORT", nargs="?", const="127.0.0.1:0",
        help="serve the live view (default: any free port on loopback)",
    )  # fmt: skip
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run until a signal; P4pmipError if a node cannot start."""
    from p4pmip.loop import run as run_loop
    from p4pmip.node.service import Service
    from p4pmip.view.server import listening_address

    view = None if arguments.view is None else listening_address(arguments.view)
    service = Service(arguments.config, arguments.node)
    start_logging(arguments.log_level, arguments.log_json, service.names)
    if arguments.p4runtime_log is not None:
        log_requests(arguments.p4runtime_log)
    return run_loop(_run(service, view))


async def _run(service: Any, view: tuple[str, int] | None) -> int:
    loop = asyncio.get_running_loop()
    wanted: asyncio.Queue[signal.Signals] = asyncio.Queue()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.add_signal_handler(number, wanted.put_nowait, number)
    async with AsyncExitStack() as stack:
        await service.open()
        stack.push_async_callback(service.stop)
        if view is not None:
            await _serve_view(service, view, stack)
        starting = asyncio.create_task(service.start(lambda name: _LOGGER.info("%s serves", name)))
        asked = asyncio.create_task(wanted.get())
        while True:
            await asyncio.wait({asked} if starting.done() else {asked, starting}, return_when=asyncio.FIRST_COMPLETED)
            if starting.done():
                starting.result()
            if not asked.done():
                continue
            if asked.result() is not signal.SIGHUP:
                break
            if starting.done():
                await _reload(service)
            else:
                _LOGGER.error("not reloaded: nodes are still waiting for their switches")
            asked = asyncio.create_task(wanted.get())
        if not starting.done():
            starting.cancel()
            await asyncio.wait({starting})
        _LOGGER.info("stopping")
    return 0


async def _serve_view(service: Any, address: tuple[str, int], stack: AsyncExitStack) -> None:
    from p4pmip.view.server import ViewServer
    from p4pmip.view.sources import Local

    server = ViewServer([Local(node, service.events[name]) for name, node in service.nodes.items()], address)
    _LOGGER.info("the live view is at %s", await server.start())
    stack.push_async_callback(server.stop)


async def _reload(service: Any) -> None:
    try:
        told = await service.reload()
    except P4pmipError as error:
        for line in str(error).splitlines():
            _LOGGER.error("not reloaded: %s", without_identities(line))
        return
    for line in told or ["nothing changed"]:
        _LOGGER.info("reloaded: %s", line)
