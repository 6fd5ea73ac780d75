"""Reading a switch for the views, one table at a time: the counters of sessions, the entries, the drops."""

import asyncio
from collections.abc import Iterator, Mapping
from typing import Any

from p4pmip.forwarding.entry import Entry
from p4pmip.forwarding.program import Direction
from p4pmip.p4runtime.reader import Count, Reader, TableRow
from p4pmip.p4runtime.schema import Schema
from p4pmip.p4runtime.view import View, session_of
from p4pmip.view.model import Model, Traffic

STEP = 0.02
"""Seconds between two tables: others write meanwhile."""
ROWS = 100
"""Entries of a table that are shown."""
LARGE = 2000
"""A switch with more sessions is not asked for the tables that hold something of each: BMv2 lets no write in while it
serves a read."""
PER_SESSION = 4096
"""Tables with room for more entries than this grow with the sessions."""

_NOTHING = Count(0, 0)
_UPLINK_AT_LMA = ("gre_rx", "realm_session_v4", "realm_session_v6")


class Poll:
    """Reads one node's switch into a model."""

    def __init__(self, model: Model, node: str, reader: Reader, schema: Schema) -> None:
        self._model = model
        self._node = node
        self._reader = reader
        self._schema = schema

    async def round(self, sessions: Mapping[int, Mapping[str, Any]], now: float) -> None:
        """Read everything once; `sessions` are the node's by session id, at least with `mn`.

        Raises:
            TargetError: The switch does not answer.
        """
        counted: dict[tuple[int, Direction, str], Count] = {}
        view = View(self._schema, sessions)
        for table in self._schema.tables.values():
            if table.size > PER_SESSION and len(sessions) > LARGE:
                self._model.table(self._node, table.name, table.size, len(sessions), [])
                continue
            shown: list[dict[str, Any]] = []
            count = 0
            async for row in self._reader.rows(table.name, counters=True):
                count += 1
                for session_id, direction in _counts(row.entry):
                    key = (session_id, direction, table.name)
                    counted[key] = _sum(counted.get(key, _NOTHING), row)
                if len(shown) < ROWS:
                    shown.append(view.json(row))
            self._model.table(self._node, table.name, table.size, count, shown)
            await asyncio.sleep(STEP)
        self._model.drops(self._node, await self._reader.drops())
        for session_id in sessions:
            self._model.traffic(self._node, session_id, _traffic(counted, session_id), now)


def _counts(entry: Entry) -> Iterator[tuple[int, Direction]]:
    """Whose packets an entry counts, and which way they went."""
    session_id = session_of(entry)
    if session_id is None:
        return
    if entry.table == "session":
        yield session_id, Direction(int(dict(entry.match)["direction"]))  # type: ignore[arg-type]
    elif entry.table in _UPLINK_AT_LMA:
        yield session_id, Direction.UPLINK


def _sum(before: Count, row: TableRow) -> Count:
    more = row.counter or _NOTHING
    return Count(before.packets + more.packets, before.octets + more.octets)


def _traffic(counted: Mapping[tuple[int, Direction, str], Count], session_id: int) -> Traffic:
    """A MAG counts both ways in `session`; an LMA sees the uplink where it comes out of the tunnel only."""
    down = counted.get((session_id, Direction.DOWNLINK, "session"), _NOTHING)
    up = counted.get((session_id, Direction.UPLINK, "session"))
    if up is None:
        parts = [counted.get((session_id, Direction.UPLINK, table), _NOTHING) for table in _UPLINK_AT_LMA]
        up = Count(sum(one.packets for one in parts), sum(one.octets for one in parts))
    return Traffic(up, down)
