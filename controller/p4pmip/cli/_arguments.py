"""Arguments that several commands take."""

import argparse


def add_node(parser: argparse.ArgumentParser) -> None:
    """`--node`."""
    parser.add_argument(
        "--node", metavar="SOCKET", help="admin socket or ADDRESS:PORT of the node; default: the one in this directory"
    )


def add_mobile_node(parser: argparse.ArgumentParser) -> None:
    """MN."""
    parser.add_argument("mn", metavar="MN", help="the mobile node: its NAI or link-layer address")


def add_link(parser: argparse.ArgumentParser) -> None:
    """LINK."""
    parser.add_argument("link", metavar="LINK", nargs="?", help="access port, or PORT.VLAN; default: the only one")


def add_wait(parser: argparse.ArgumentParser) -> None:
    """`--wait` and `--no-wait`."""
    group = parser.add_mutually_exclusive_group()
    group.add_argument(
        "--wait", metavar="SECONDS", type=seconds, default=10.0, help="wait so long for the outcome; default: 10"
    )
    group.add_argument("--no-wait", action="store_true", help="return once the node has been asked")


def count(text: str) -> int:
    """How often something is done, at least once, for argparse's `type`."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not 1 or more")
    return value


def seconds(text: str) -> float:
    """A time to wait, for argparse's `type`."""
    value = float(text)
    if not 0.1 <= value <= 3600:
        raise argparse.ArgumentTypeError(f"{text} is not in 0.1..3600 seconds")
    return value
