"""The nodes of one access link that are not served: who was heard of, when, and what each will want to hear."""

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from ipaddress import IPv6Address
from math import inf

from p4pmip.access.served import AccessSettings
from p4pmip.wire.ethernet import Ethernet


@dataclass(slots=True)
class Waiting:
    """One of them."""

    heard: float
    """When it sent something last."""
    reported: float = -inf
    """When it was last reported."""
    asked: dict[str, Ethernet] = field(default_factory=dict)
    """The last frame of each kind that waits for its answer: nobody repeats a question within a second."""
    link_local: IPv6Address | None = None


class WaitingNodes:
    """Those of one link, by MAC address; who was silent for longest comes first."""

    def __init__(self, settings: AccessSettings) -> None:
        self._settings = settings
        self._nodes: OrderedDict[bytes, Waiting] = OrderedDict()

    def hear(self, mac: bytes, now: float) -> Waiting:
        """A node has sent something."""
        node = self._nodes.get(mac)
        if node is None:
            node = self._nodes[mac] = Waiting(now)
        node.heard = max(node.heard, now)
        self._nodes.move_to_end(mac)
        return node

    def take(self, mac: bytes) -> Waiting | None:
        """A node is served from now on."""
        return self._nodes.pop(mac, None)

    def crowd(self) -> Iterator[bytes]:
        """Those for whom there is no room; they are forgotten."""
        while len(self._nodes) > self._settings.waiting_per_link:
            yield self._nodes.popitem(last=False)[0]

    def gone(self, now: float) -> Iterator[bytes]:
        """Those that have been silent for as long as nobody is who is there; they are forgotten."""
        while (due := self.next_timer()) is not None and due <= now:
            yield self._nodes.popitem(last=False)[0]

    def next_timer(self) -> float | None:
        """When the first of them will have been silent for that long."""
        if not self._nodes:
            return None
        return next(iter(self._nodes.values())).heard + self._settings.idle_timeout
