"""`p4pmip events`: what happens at a running node, as it happens."""

import argparse
import json
import time
from typing import Any

from p4pmip.cli._arguments import add_node


def register(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser("events", help="follow what happens at a running node")
    add_node(parser)
    parser.add_argument("--history", action="store_true", help="begin with what the node still remembers")
    parser.add_argument("--json", action="store_true", help="print JSON objects, one a line")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print events until interrupted."""
    from p4pmip.node.client import NodeClient

    for event in NodeClient.find(arguments.node).events(0 if arguments.history else None):
        print(json.dumps(event) if arguments.json else _line(event), flush=True)
    return 0


def _line(event: dict[str, Any]) -> str:
    seconds, milliseconds = divmod(round(event["time"] * 1000), 1000)
    at = time.strftime("%H:%M:%S", time.localtime(seconds))
    return f"{at}.{milliseconds:03d} {event['node']} {event['event']}: {', '.join(_words(event))}"


def _words(event: dict[str, Any]) -> list[str]:
    match event["event"]:
        case "sent" | "received":
            message = event["message"] or {"name": "undecodable"}
            words = [f"{message['name']} {event['source']} -> {event['destination']}"]
            words += [f"{key} {message[key]}" for key in ("sequence", "status") if message.get(key) is not None]
            return words + ([event["outcome"]] if "outcome" in event else [])
        case "install" | "installed" | "refused":
            states = [None if event[key] is None else event[key]["state"] for key in ("before", "after")]
            words = [str(event["mn"]), f"session {event['session']}", f"{states[0] or 'none'} -> {states[1] or 'none'}"]
            return words + ([event["reason"]] if "reason" in event else [])
        case "advertise" | "withdraw":
            return [str(event["binding"]["mn"]), f"session {event['session']}"]
        case _:
            about = {key: value for key, value in event.items() if key not in ("id", "time", "node", "event")}
            return [f"{key} {value}" for key, value in about.items() if value != ""]
