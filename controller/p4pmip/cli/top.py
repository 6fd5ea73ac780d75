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

from p4pmip.errors import P4pmipError

if TYPE_CHECKING:
    import curses

    from p4pmip.node.client import NodeClient
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
    parser.add_argument("--interval", metavar="SECONDS", type=_seconds, default=1.0, help="default: 1")
    parser.add_argument("--once", action="store_true", help="print it once, as text")
    parser.set_defaults(run=run)


def _seconds(text: str) -> float:
    value = float(text)
    if not 0.1 <= value <= 3600:
        raise argparse.ArgumentTypeError(f"{text} is not in 0.1..3600 seconds")
    return value


def run(args: argparse.Namespace) -> int:
    """Watch until q or Ctrl-C."""
    from p4pmip.node.client import NodeClient
    from p4pmip.view.model import Model

    client = NodeClient.find(args.node)
    names: dict[str, str] = {}
    model = Model(names)
    _know_peers(client, names)
    if args.once:
        asyncio.run(_look_once(client, model, args))
        print("\n".join(lines(model)))
        return 0
    if not sys.stdout.isatty():
        raise P4pmipError("top", "standard output", "is no terminal", ["--once"])
    import curses

    curses.wrapper(lambda screen: asyncio.run(_watch(screen, client, model, args)))
    return 0


def _know_peers(client: "NodeClient", names: dict[str, str]) -> None:
    from p4pmip.node.schema import SIGNALLING_PORT

    for peer in client.get("/health")["peers"]:
        names[peer["address"]] = names[f"[{peer['address']}]:{SIGNALLING_PORT}"] = peer["name"]


# --- reading ------------------------------------------------------------------------------------------


async def _look_once(client: "NodeClient", model: "Model", args: argparse.Namespace) -> None:
    await _read(client, model, args)
    # Counters are read twice: two readings make a rate.
    await asyncio.sleep(args.interval)
    await _read(client, model, args)


async def _read(client: "NodeClient", model: "Model", args: argparse.Namespace) -> None:
    """One round: what the node says of itself, and its switch's counters."""
    health = await asyncio.to_thread(client.get, "/health")
    # A session's id is what its entries in the switch carry; `desired` tells both.
    label = health["switch"]["target"]
    desired = await asyncio.to_thread(client.get, f"/desired?target={label}")
    about = {int(number): row for number, row in desired["sessions"].items()}
    rows = {row["mn"]: row for row in (await asyncio.to_thread(client.get, "/bindings"))["bindings"]}
    name = health["node"]
    shown = {number: {**rows.get(row["mn"], {}), **row} for number, row in about.items()}
    model.sessions(name, shown.items())
    model.node(name, state=health["switch"]["state"], reason=health["switch"]["reason"], target=label)
    try:
        await _counters(model, name, args.target or label, shown)
    except P4pmipError as error:
        model.node(name, reason=f"no rates and drops: {error}")


async def _counters(model: "Model", name: str, target: str, sessions: dict[int, Json]) -> None:
    from p4pmip.p4runtime import deployment
    from p4pmip.p4runtime.client import Client
    from p4pmip.p4runtime.reader import Reader
    from p4pmip.p4runtime.target import parse_target
    from p4pmip.view.poll import Poll

    async with Client(parse_target(target)) as client:
        pipeline = await deployment.running(client)
        if pipeline is None:
            raise P4pmipError("target", target, "runs no pipeline")
        reader = Reader(client, pipeline)
        await Poll(model, name, reader, pipeline.schema).round(sessions, time.monotonic())


async def _watch(screen: "curses.window", client: "NodeClient", model: "Model", args: argparse.Namespace) -> None:
    screen.nodelay(True)
    loop = asyncio.get_running_loop()

    def listen() -> None:
        try:
            for told in client.events(0):
                loop.call_soon_threadsafe(model.event, told)
        except (P4pmipError, RuntimeError):
            return  # the node has ended, or we have: the next round says so

    import threading

    threading.Thread(target=listen, daemon=True).start()
    due = 0.0
    while screen.getch() not in (ord("q"), 27):
        if time.monotonic() >= due:
            await _read(client, model, args)
            due = time.monotonic() + args.interval
        _draw(screen, list(lines(model)))
        await asyncio.sleep(KEYS)


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
        yield f"{node['name']}: {node.get('sessions', 0)} sessions, switch {node.get('target')} {node.get('state')}"
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
