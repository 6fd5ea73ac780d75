"""`p4pmip top`: the live view for a terminal.

Drawn with the standard library's curses: it shows a handful of columns and takes a few keys, for which a widget toolkit
would be one more dependency of every node.
"""

import argparse
import asyncio
import contextlib
import os
import re
import sys
import time
from collections.abc import Iterator
from enum import Enum
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
QUIT = (ord("q"), 27)


def register(subparsers: Any) -> None:
    """Add the command."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "top",
        help="watch a running node in the terminal",
        description="Sessions with their keys and rates, drops by reason and the latest signalling of a running node;"
        " read-only. Arrows and page keys move through the sessions, q ends it.",
    )
    parser.add_argument("--node", metavar="SOCKET", help="admin socket of the node (default: the only one here)")
    parser.add_argument("--target", metavar="TARGET", help="HOST:PORT[/DEVICE_ID] of its switch (default: as it says)")
    parser.add_argument("--interval", metavar="SECONDS", type=seconds, default=1.0, help="default: 1")
    parser.add_argument("--once", action="store_true", help="print it once, as text")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Watch until q or Ctrl-C."""
    from p4pmip.node.client import NodeClient
    from p4pmip.p4runtime.target import parse_target
    from p4pmip.view.model import Model

    if args.target is not None:
        parse_target(args.target)  # wrong on the command line is said here, unreachable beside the sessions
    where = NodeClient.find(args.node).where
    model = Model()
    if args.once:
        asyncio.run(_look_once(where, model, args))
        print("\n".join(line for _, line in lines(model)))
        return 0
    if not sys.stdout.isatty():
        raise P4pmipError("top", "standard output", "is no terminal", ["--once"])
    import curses

    try:
        curses.setupterm()
    except curses.error as error:
        raise P4pmipError("TERM", os.environ.get("TERM"), f"no screen can be drawn ({error})", ["--once"]) from error
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
    import curses

    from p4pmip.view.sources import Remote

    with contextlib.suppress(curses.error):  # a terminal that cannot hide it
        curses.curs_set(0)
    screen.nodelay(True)
    screen.keypad(True)
    first = 0
    async with Remote(where, args.target, args.interval) as node:
        await node.know(model)
        watching = asyncio.create_task(node.watch(model))
        try:
            while (key := screen.getch()) not in QUIT:
                first = _moved(first, key, len(list(model.documents("session"))))
                _draw(screen, model, first)
                await asyncio.sleep(KEYS)
        finally:
            watching.cancel()


def _moved(first: int, key: int, sessions: int) -> int:
    """Which session is the first that is shown, after a key."""
    import curses

    steps = {
        curses.KEY_DOWN: 1,
        ord("j"): 1,
        curses.KEY_UP: -1,
        ord("k"): -1,
        curses.KEY_NPAGE: 10,
        curses.KEY_PPAGE: -10,
    }
    return max(0, min(first + steps.get(key, 0), sessions - 1))


def _draw(screen: "curses.window", model: "Model", first: int) -> None:
    import curses

    styles = {
        Style.TITLE: curses.A_BOLD,
        Style.HEAD: curses.A_REVERSE,
        Style.TROUBLE: curses.A_BOLD | curses.A_STANDOUT,
    }
    height, width = screen.getmaxyx()
    screen.erase()
    # The last column of the last line cannot be written to.
    for row, (style, line) in enumerate(lines(model, width - 1, height, first)[:height]):
        padded = line.ljust(width - 1) if style is Style.HEAD else line
        screen.addnstr(row, 0, padded, width - 1, styles.get(style, curses.A_NORMAL))
    screen.refresh()


# --- drawing ------------------------------------------------------------------------------------------


class Style(Enum):
    """How a line stands out."""

    PLAIN = 0
    TITLE = 1
    HEAD = 2
    TROUBLE = 3


Line = tuple[Style, str]
Row = dict[str, str]

_COLUMNS = ("MOBILE NODE", "REALM", "IPV4", "MAG", "STATE", "UPLINK", "DOWNLINK", "UP bit/s", "DOWN bit/s")
_DISPENSABLE = ("REALM", "STATE", "IPV4", "DOWN bit/s", "UP bit/s", "MAG", "DOWNLINK")
"""What is left out where the terminal is too narrow, in this order."""
_RIGHT = ("UP bit/s", "DOWN bit/s")
_NAME = 16
"""A mobile node's name is cut to as little as that first."""


def lines(model: "Model", width: int | None = None, height: int | None = None, first: int = 0) -> list[Line]:
    """What is shown, line by line; as wide and as long as it is, unless told how much room there is."""
    above = [*_nodes(model), (Style.PLAIN, "")]
    below = [(Style.PLAIN, ""), _drops(model), *_alarms(model), *_messages(model)]
    rows = [_row(model, one) for one in sorted(model.documents("session"), key=_order)]
    if height is not None:
        # Signalling gives way first, then alarms; some sessions are always seen.
        below = below[: max(2, height - len(above) - min(len(rows) + 1, max(height // 3, 4)))]
        room = max(2, height - len(above) - len(below) - 1)
        if len(rows) > room:
            shown = rows[first : first + room - 1]
            more = f"{first} above, {len(rows) - first - len(shown)} below (arrows, page up, page down)"
            rows, below = shown, [(Style.TITLE, more), *below]
    table = _table(rows, width)
    return [(style, _cut(line, width)) for style, line in (*above, *table, *below)][:height]


def _nodes(model: "Model") -> Iterator[Line]:
    for node in model.documents("node"):
        count = node.get("sessions", 0)
        sessions = "1 session" if count == 1 else f"{count} sessions"
        good = node.get("state") == "ready"
        text = f"{node['name']}: {sessions}, switch {node.get('target')} {node.get('state')}"
        yield Style.TITLE if good else Style.TROUBLE, text
        if node.get("reason"):
            yield Style.TROUBLE, f"  {node['reason']}"


def _drops(model: "Model") -> Line:
    drops = {f"{one['node']} {reason}": n for one in model.documents("drops") for reason, n in one["reasons"].items()}
    return Style.PLAIN, "drops: " + (", ".join(f"{reason} {count}" for reason, count in drops.items()) or "none")


def _alarms(model: "Model") -> Iterator[Line]:
    for alarm in model.documents("alarm"):
        yield Style.TROUBLE, f"alarm: {alarm['node']} {alarm['name']}: {alarm['detail']}"


def _messages(model: "Model") -> Iterator[Line]:
    latest = sorted(model.documents("message"), key=lambda one: (-one["time"], -one["number"]))[:MESSAGES]
    if latest:
        yield Style.PLAIN, ""
    for message in latest:
        clock = time.strftime("%H:%M:%S", time.gmtime(message["time"]))
        words = f"{clock}  {message['from']} > {message['to']}  {message['summary']}  {message['outcome']}"
        yield Style.PLAIN, words.rstrip()


def _table(rows: list[Row], width: int | None) -> Iterator[Line]:
    """The sessions, with as many columns as there is room for."""
    columns = list(_COLUMNS)
    widths = {name: max(len(name), *(len(row[name]) for row in rows)) if rows else len(name) for name in columns}
    if width is not None:
        spare = width - _length(widths, columns)
        longest = widths["MOBILE NODE"]
        widths["MOBILE NODE"] = max(min(_NAME, longest), longest + min(spare, 0))
        for name in _DISPENSABLE:
            if _length(widths, columns) > width:
                columns.remove(name)
        widths["MOBILE NODE"] += min(max(width - _length(widths, columns), 0), longest - widths["MOBILE NODE"])
    for style, row in ((Style.HEAD, dict(zip(_COLUMNS, _COLUMNS, strict=True))), *((Style.PLAIN, row) for row in rows)):
        cells = ((_cut(row[name], widths[name]), widths[name], name in _RIGHT) for name in columns)
        yield (
            style,
            "  ".join(f"{cell:>{wide}}" if right else f"{cell:<{wide}}" for cell, wide, right in cells).rstrip(),
        )
    if not rows:
        yield Style.PLAIN, "no sessions"


def _length(widths: dict[str, int], columns: list[str]) -> int:
    return sum(widths[name] + 2 for name in columns) - 2


def _cut(text: str, width: int | None) -> str:
    return text if width is None or len(text) <= width else text[: max(width - 1, 0)] + "…"


def _order(row: Json) -> tuple[str, str]:
    """By realm and name, numbers in names by their value: shorter ones first."""
    return str(row.get("realm")), re.sub(r"[0-9]+", lambda found: found.group().zfill(20), str(row.get("mn")))


def _row(model: "Model", one: Json) -> Row:
    traffic = model.get(f"traffic/{one['node']}/{one['id']}") or {}
    words = tuple(str(one.get(name) or "-") for name in ("mn", "realm", "ipv4", "mag", "state"))
    keys = tuple("-" if one.get(end) is None else f"0x{one[end]:08x}" for end in ("uplink_key", "downlink_key"))
    return dict(zip(_COLUMNS, (*words, *keys, _rate(traffic.get("up")), _rate(traffic.get("down"))), strict=True))


def _rate(flow: Json | None) -> str:
    """Bits a second, as `ls -h` would write them."""
    if flow is None:
        return "-"
    rate = float(flow["bits_per_second"])
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if rate >= size:
            return f"{rate / size:.1f}{unit}"
    return f"{rate:.0f}"
