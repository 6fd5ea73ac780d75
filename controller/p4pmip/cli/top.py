"""`p4pmip top`: the live view for a terminal.

Drawn with the standard library's curses: it shows a handful of columns and takes two keys, for which a widget toolkit
would be one more dependency of every node.
"""

import argparse
import asyncio
import sys
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from p4pmip.cli._arguments import seconds
from p4pmip.errors import P4pmipError

if TYPE_CHECKING:
    import curses

    from p4pmip.view.model import Model

Json = dict[str, Any]
MESSAGES = 8
KEYS = 0.1
"""Seconds between two looks at the keyboard."""


def register(subparsers: Any) -> None:
    """Add the command."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "top",
        help="watch a running node in the terminal",
        description="Sessions with their keys and rates, drops by reason and the latest signalling of a running node;"
        " read-only. q ends it.",
    )
    parser.add_argument("--node", metavar="SOCKET", help="admin socket of the node (default: the only one here)")
    parser.add_argument("--target", metavar="TARGET", help="HOST:PORT[/DEVICE_ID] of its switch (default: as it says)")
    parser.add_argument("--interval", metavar="SECONDS", type=seconds, default=1.0, help="default: 1")
    parser.add_argument("--once", action="store_true", help="print it once, as text")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Watch until q or Ctrl-C."""
    from p4pmip.node.client import NodeClient
    from p4pmip.view.model import Model

    where = NodeClient.find(args.node).where
    model = Model()
    if args.once:
        asyncio.run(_look_once(where, model, args))
        print("\n".join(lines(model)))
        return 0
    if not sys.stdout.isatty():
        raise P4pmipError("top", "standard output", "is no terminal", ["--once"])
    import curses

    curses.wrapper(lambda screen: asyncio.run(_watch(screen, where, model, args)))
    return 0


# --- reading ------------------------------------------------------------------------------------------


async def _look_once(where: str, model: "Model", args: argparse.Namespace) -> None:
    from p4pmip.view.sources import Remote

    async with Remote(where, args.target) as node:
        # Counters are read twice: two readings make a rate.
        for wait in (0.0, args.interval):
            await asyncio.sleep(wait)
            await node.know(model)
            await node.count(model)


async def _watch(screen: "curses.window", where: str, model: "Model", args: argparse.Namespace) -> None:
    from p4pmip.view.sources import Remote

    screen.nodelay(True)
    async with Remote(where, args.target, args.interval) as node:
        await node.know(model)
        watching = asyncio.create_task(node.watch(model))
        try:
            while screen.getch() not in (ord("q"), 27):
                _draw(screen, list(lines(model)))
                await asyncio.sleep(KEYS)
        finally:
            watching.cancel()


def _draw(screen: "curses.window", text: list[str]) -> None:
    height, width = screen.getmaxyx()
    screen.erase()
    for row, line in enumerate(text[: height - 1]):
        screen.addnstr(row, 0, line, width - 1)
    screen.refresh()


# --- drawing ------------------------------------------------------------------------------------------

_COLUMNS = ("MOBILE NODE", "REALM", "IPV4", "MAG", "STATE", "UPLINK", "DOWNLINK", "UP", "DOWN")


def lines(model: "Model") -> Iterator[str]:
    """What is shown, line by line."""
    for node in model.documents("node"):
        count = node.get("sessions", 0)
        sessions = "1 session" if count == 1 else f"{count} sessions"
        yield f"{node['name']}: {sessions}, switch {node.get('target')} {node.get('state')}"
        if node.get("reason"):
            yield f"  {node['reason']}"
    yield ""
    rows = [_COLUMNS, *(_row(model, one) for one in sorted(model.documents("session"), key=_order))]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_COLUMNS))]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
    drops = {f"{one['node']} {reason}": n for one in model.documents("drops") for reason, n in one["reasons"].items()}
    yield ""
    yield "drops: " + (", ".join(f"{reason} {count}" for reason, count in drops.items()) or "none")
    for alarm in model.documents("alarm"):
        yield f"alarm: {alarm['node']} {alarm['name']}: {alarm['detail']}"
    latest = sorted(model.documents("message"), key=lambda one: -int(one["number"]))[:MESSAGES]
    if latest:
        yield ""
    for message in latest:
        clock = time.strftime("%H:%M:%S", time.gmtime(message["time"]))
        yield f"{clock}  {message['from']} > {message['to']}  {message['summary']}  {message['outcome']}".rstrip()


def _order(row: Json) -> tuple[str, str]:
    return str(row.get("realm")), str(row.get("mn"))


def _row(model: "Model", one: Json) -> tuple[str, ...]:
    traffic = model.get(f"traffic/{one['node']}/{one['id']}") or {}
    words = tuple(str(one.get(name) or "-") for name in ("mn", "realm", "ipv4", "mag", "state"))
    keys = tuple("-" if one.get(end) is None else f"0x{one[end]:08x}" for end in ("uplink_key", "downlink_key"))
    return (*words, *keys, _rate(traffic.get("up")), _rate(traffic.get("down")))


def _rate(flow: Json | None) -> str:
    return "-" if flow is None else f"{flow['packets_per_second']:.0f}/s {flow['bits_per_second'] / 1000:.1f} kbit/s"
