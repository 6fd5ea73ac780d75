"""What the commands that look at targets have in common: arguments, and where desired state and names come from."""

import argparse
import asyncio
import json
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from p4pmip.p4runtime import deployment
from p4pmip.p4runtime.client import Client
from p4pmip.p4runtime.desired import Desired, fetch_desired
from p4pmip.p4runtime.pipeline import Pipeline
from p4pmip.p4runtime.quirks import PROFILES, profile
from p4pmip.p4runtime.status import Problem, TargetError
from p4pmip.p4runtime.stubs import code_pb2
from p4pmip.p4runtime.target import Target, load_inventory, parse_target

Subparsers = argparse._SubParsersAction  # its only name


def add_target(parser: argparse.ArgumentParser, *, count: str | None = None) -> None:
    """TARGET (`count` of them, as argparse has it), `--inventory` and `--kind`."""
    names = "targets" if count == "*" else "target"
    parser.add_argument(names, metavar="TARGET", nargs=count, help="HOST:PORT[/DEVICE_ID], or a name in the inventory")
    parser.add_argument("--inventory", metavar="FILE", type=Path, help="TOML file of targets by name")
    parser.add_argument("--kind", metavar="KIND", help=f"what a target given by address is: {', '.join(PROFILES)}")


def add_source(parser: argparse.ArgumentParser, *, required: bool = False) -> None:
    """`--node` and `--config`: where desired state and session names come from."""
    group = parser.add_mutually_exclusive_group(required=required)
    group.add_argument("--node", metavar="SOCKET", type=Path, help="admin socket of a running node")
    group.add_argument("--config", metavar="CONFIG", type=Path, help="a node's configuration file")


def add_json(parser: argparse.ArgumentParser) -> None:
    """`--json`."""
    parser.add_argument("--json", action="store_true", help="print JSON")


def inventory_of(args: argparse.Namespace) -> dict[str, Target]:
    """The targets of `--inventory`."""
    return load_inventory(args.inventory) if args.inventory is not None else {}


def target_of(args: argparse.Namespace, text: str | None = None) -> Target:
    """The target that was named."""
    quirks = profile(args.kind, "--kind") if args.kind is not None else None
    return parse_target(text if text is not None else args.target, inventory_of(args), quirks)


def desired_of(args: argparse.Namespace, target: Target) -> Desired:
    """The desired state of the target from where the arguments say; nothing if they do not."""
    if args.node is not None:
        return fetch_desired(args.node, target.label)
    if args.config is not None:
        # Imported here: the other commands need no configuration.
        from p4pmip.node.desired import desired_from_config

        return desired_from_config(args.config, target.label)
    return Desired()


async def running_pipeline(client: Client) -> Pipeline:
    """What the target runs; TargetError if nothing."""
    pipeline = await deployment.running(client)
    if pipeline is None:
        cause = Problem(code_pb2.FAILED_PRECONDITION, "runs no pipeline; `p4pmip deploy` sets one")
        raise TargetError(client.target.label, "GetForwardingPipelineConfig", cause)
    return pipeline


def finish(work: Coroutine[Any, Any, int]) -> int:
    """Run a command's coroutine; a target that fails is one line and exit status 1."""
    try:
        return asyncio.run(work)
    except TargetError as error:
        print(f"p4pmip: {error}", file=sys.stderr)
        return 1


def print_json(document: object) -> None:
    """One JSON document."""
    print(json.dumps(document, indent=2))
