"""In which order a delta reaches the switch, so that no packet meets a half-built session.

A packet enters a session by one of a few tables: `gre_rx`, `realm_session_*`, `sess_dst_*`, `mn_src_*`. Whatever
these lead to is there before them and goes after them. A MODIFY comes between: what it needs has been inserted, what
it leaves has not been deleted. That makes the flip of a handover one update of one entry.
"""

from collections.abc import Iterable

from p4pmip.forwarding.entry import Entry
from p4pmip.forwarding.ledger import Delta
from p4pmip.forwarding.update import Operation, Update, make_update

_LEVEL = {
    # what others point to
    "nexthop": 0,
    "tunnel_tx": 0,
    "session_address_v6": 0,
    "session_address_v4": 0,
    "my_station": 0,
    "local_v6": 0,
    "local_v4": 0,
    # what points to these
    "session": 1,
    "route_v6": 1,
    "route_v4": 1,
    # where packets come in
    "tunnel_rx_v6": 2,
    "tunnel_rx_v4": 2,
    "gre_rx": 2,
    "realm_session_v6": 2,
    "realm_session_v4": 2,
    "sess_dst_v6": 2,
    "sess_dst_v4": 2,
    "mn_src_v6": 2,
    "mn_src_v4": 2,
    "port_vlan": 2,
}
_LEVELS = 3


def order(delta: Delta) -> list[list[Update]]:
    """Phases of updates: each is to be acknowledged before the next one is sent. Empty phases are left out."""
    phases = _levels(Operation.INSERT, delta.insert) if delta.insert else []
    if delta.modify:
        phases.append([make_update((Operation.MODIFY, entry)) for entry in delta.modify])
    if delta.delete:
        phases += reversed(_levels(Operation.DELETE, delta.delete))
    return [phase for phase in phases if phase]


def _levels(operation: Operation, entries: Iterable[Entry]) -> list[list[Update]]:
    levels: list[list[Update]] = [[] for _ in range(_LEVELS)]
    for entry in entries:
        levels[_LEVEL[entry[0].table]].append(make_update((operation, entry)))
    return levels
