"""Which mobile nodes have sent something: by the counters of the entries that their packets hit in the switch.

What the switch forwards, the controller does not see; without this, every node that is only talking would be probed.
"""

import asyncio
from collections import Counter

from p4pmip.errors import P4pmipError
from p4pmip.forwarding.entry import EntryKey
from p4pmip.node.links import Links
from p4pmip.p4runtime.arbitration import State
from p4pmip.p4runtime.session import Session

TABLES = ("mn_src_v4", "mn_src_v6")


class Presence:
    """Tells the access side who is there.

    Attributes:
        counters: `looks` at the counters, and `not_read`: probes find out, then.
    """

    def __init__(self, session: Session, links: Links) -> None:
        self._session = session
        self._links = links
        self._packets: dict[EntryKey, int] = {}
        self.counters: Counter[str] = Counter()

    async def watch(self, interval: float) -> None:
        """Look every so many seconds while somebody is served, until cancelled."""
        while True:
            await asyncio.sleep(interval)
            if self._session.state is State.READY and self._links.access.services():
                try:
                    await self.look()
                    self.counters["looks"] += 1
                except P4pmipError:  # the target's, or entries that are not of our program
                    self.counters["not_read"] += 1

    async def look(self) -> None:
        """Whose counters have grown is there.

        Raises:
            TargetError: The switch cannot be read.
        """
        before, self._packets = self._packets, {}
        for table in TABLES:
            async for row in self._session.reader.rows(table, counters=True):
                if row.counter is None:
                    continue
                key = row.entry.key
                self._packets[key] = row.counter.packets
                if row.counter.packets > before.get(key, 0):
                    where = dict(row.entry.match)
                    link, mac = where["link_id"], where["mac"]
                    assert isinstance(link, int)
                    assert isinstance(mac, int)
                    self._links.access.heard(link, mac.to_bytes(6, "big"), asyncio.get_running_loop().time())
