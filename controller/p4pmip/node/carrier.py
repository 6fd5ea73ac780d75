"""Whether the interfaces behind a switch's ports have a carrier, by rtnetlink, where they are this machine's."""

import logging
from collections.abc import Callable, Mapping
from typing import Any

_LOGGER = logging.getLogger(__name__)
_UP_AND_RUNNING = 0x1 | 0x40
"""IFF_UP and IFF_RUNNING (netdevice(7))."""


class Carriers:
    """Watches interfaces.

    Args:
        interfaces: Interface name → the links behind it.
        lost: Called with each link of an interface that has lost its carrier, was set down, or is gone.
    """

    def __init__(self, interfaces: Mapping[str, tuple[int, ...]], lost: Callable[[int], None]) -> None:
        self._interfaces = interfaces
        self._lost = lost
        self._good: dict[str, bool] = {}

    async def run(self) -> None:
        """Watch until cancelled; OSError if the kernel does not let us."""
        from pyroute2 import AsyncIPRoute  # netlink is Linux's: nobody else needs it

        async with AsyncIPRoute() as netlink:
            await netlink.bind()  # before the first look, so that nothing is missed between
            async for message in await netlink.link("dump"):
                self._seen(message)
            for name in self._interfaces.keys() - self._good.keys():
                _LOGGER.warning("interface %s is not there: nobody is seen to leave by it until it is", name)
            while True:
                async for message in netlink.get():
                    self._seen(message)

    def _seen(self, message: Any) -> None:
        name = message.get("IFLA_IFNAME")
        if name not in self._interfaces or message.get("event") not in ("RTM_NEWLINK", "RTM_DELLINK"):
            return
        flags = int(message.get("flags") or 0)
        good = message.get("event") == "RTM_NEWLINK" and flags & _UP_AND_RUNNING == _UP_AND_RUNNING
        if self._good.get(name, True) and not good:
            for link in self._interfaces[name]:
                self._lost(link)
        self._good[name] = good
