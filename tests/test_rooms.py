"""The rooms of `p4pmip` import one way only, and the inner ones touch nothing of the world (docs/architecture.md)."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "controller" / "p4pmip"
INNER = ("wire", "mobility", "access", "forwarding")
ABOVE = {
    "wire": set[str](),
    "mobility": {"wire"},
    "access": {"wire", "mobility"},
    "forwarding": {"wire", "mobility"},
    "p4runtime": {"wire", "mobility", "forwarding"},
    "softswitch": {"loop"},
    "store": {"wire", "mobility"},
    "node": {"wire", "mobility", "access", "forwarding", "p4runtime", "store"},
    "view": {"wire", "forwarding", "p4runtime", "node"},
    "demo": {"wire", "mobility", "forwarding", "p4runtime", "softswitch", "store", "node", "view"},
}
"""What each room may import (`loop` belongs to none); `cli` may import all."""
WORLD = {"asyncio", "socket", "subprocess", "threading", "multiprocessing", "time", "sqlite3", "grpc", "aiohttp"}
"""Sockets, clocks, processes and disks."""


def imports(room: str) -> Iterator[tuple[str, str]]:
    """What the modules of a room import, inside functions too, with the module's name."""
    for path in sorted((PACKAGE / room).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                yield from ((path.name, alias.name) for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, path
                yield path.name, node.module or ""


def test_every_room_is_known() -> None:
    """A new one is given its place here."""
    found = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert found == {*ABOVE, "cli"}


@pytest.mark.parametrize("room", sorted(ABOVE))
def test_arrows(room: str) -> None:
    """A room imports itself, the rooms above it, and the one exception."""
    allowed = ABOVE[room] | {room, "errors"}
    for module, name in imports(room):
        parts = name.split(".")
        assert parts[0] != "p4pmip" or len(parts) == 1 or parts[1] in allowed, f"{room}/{module}: {name}"


@pytest.mark.parametrize("room", INNER)
def test_no_world(room: str) -> None:
    """Time, randomness' seed and octets come in as arguments."""
    for module, name in imports(room):
        assert name.split(".")[0] not in WORLD, f"{room}/{module}: {name}"
