"""Which mobile nodes have sent something: by the counters of the entries that their packets hit in the switch.

What the switch forwards, the controller does not see; without this, every node that is only talking would be probed.
"""

from collections.abc import AsyncIterator
from typing import Any

from p4pmip.p4runtime.reader import Reader

TABLES = ("mn_src_v4", "mn_src_v6")


class Presence:
    """Remembers the counters, to tell whose have grown."""

    def __init__(self) -> None:
        self._packets: dict[Any, int] = {}

    async def look(self, reader: Reader) -> AsyncIterator[tuple[int, bytes]]:
        """Link and link-layer address of every node that has sent something since the last look.

        Raises:
            TargetError: The switch cannot be read.
        """
        before, self._packets = self._packets, {}
        for table in TABLES:
            async for row in reader.rows(table, counters=True):
                if row.counter is None:
                    continue
                self._packets[row.entry.key] = row.counter.packets
                if row.counter.packets > before.get(row.entry.key, 0):
                    where = dict(row.entry.match)
                    link, mac = where["link_id"], where["mac"]
                    assert isinstance(link, int)
                    assert isinstance(mac, int)
                    yield link, mac.to_bytes(6, "big")
