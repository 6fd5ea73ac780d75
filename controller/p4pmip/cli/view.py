"""`p4pmip view`: the live view of nodes that run in other processes."""

import argparse
import asyncio
import signal
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from p4pmip.errors import P4pmipError


def register(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "view",
        help="serve the live view of running nodes",
        description="Serve one page that shows running nodes, each by its admin API and its switch, until Ctrl-C;"
        " read-only. Its address is printed.",
    )
    parser.add_argument(
        "nodes", metavar="SOCKET", nargs="*", help="admin socket of a node (default: every *.sock in this directory)"
    )
    parser.add_argument(
        "--at", metavar="ADDR:PORT", default="127.0.0.1:0", help="where to listen (default: any free port on loopback)"
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Serve until a signal."""
    from p4pmip.view.server import listening_address

    nodes = arguments.nodes or sorted(str(path) for path in Path().glob("*.sock") if path.is_socket())
    if not nodes:
        raise P4pmipError("SOCKET", None, "no node's socket is in this directory: say which")
    return asyncio.run(_serve(nodes, listening_address(arguments.at, "--at")))


async def _serve(nodes: list[str], address: tuple[str, int]) -> int:
    from p4pmip.view.server import ViewServer
    from p4pmip.view.sources import Remote

    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    async with AsyncExitStack() as stack:
        sources = [await stack.enter_async_context(Remote(where)) for where in nodes]
        for source in sources:
            await source.ask("/health")
        server = ViewServer(sources, address, "--at")
        url = await server.start()
        stack.push_async_callback(server.stop)
        print(f"the live view is at {url}", flush=True)
        await ended.wait()
    return 0
