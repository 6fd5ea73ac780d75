"""Whether the interfaces behind a switch's ports have a carrier, by rtnetlink, where they are this machine's."""

import asyncio
import errno
import logging
import socket
from collections.abc import Callable, Mapping
from typing import Any

_LOGGER = logging.getLogger(__name__)
_DATAGRAM = 1 << 17
"""Octets: more than the kernel puts into one."""
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
        self._present: set[str] = set()
        """Seen since the kernel was last asked for all."""

    async def run(self) -> None:
        """Watch until cancelled; OSError if the kernel does not let us."""
        # Netlink is Linux's: nobody else needs it. Of pyroute2 only the messages: uvloop refuses its asyncio sockets.
        from pyroute2.netlink import NLM_F_DUMP, NLM_F_REQUEST, NLMSG_DONE
        from pyroute2.netlink.rtnl import RTM_GETLINK, RTMGRP_LINK
        from pyroute2.netlink.rtnl.ifinfmsg import ifinfmsg
        from pyroute2.netlink.rtnl.iprsocket import MarshalRtnl

        ask = ifinfmsg()
        ask["header"].update(type=RTM_GETLINK, flags=NLM_F_REQUEST | NLM_F_DUMP)
        ask.encode()
        loop, marshal = asyncio.get_running_loop(), MarshalRtnl()
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK) as netlink:
            netlink.bind((0, RTMGRP_LINK))  # before the first look, so that nothing is missed between
            netlink.send(ask.data)
            while True:
                try:
                    octets = await loop.sock_recv(netlink, _DATAGRAM)
                except OSError as error:
                    if error.errno != errno.ENOBUFS:
                        raise
                    # More came than there was room for: look again.
                    self._present.clear()
                    netlink.send(ask.data)
                    continue
                for message in marshal.parse(octets):
                    if message["header"]["type"] == NLMSG_DONE:
                        self._looked()
                    else:
                        self._seen(message)

    def _looked(self) -> None:
        for name in self._interfaces.keys() - self._present:
            if name in self._good:
                self._is(name, False)
            else:
                _LOGGER.warning("interface %s is not there: nobody is seen to leave by it until it is", name)

    def _seen(self, message: Any) -> None:
        name = message.get("IFLA_IFNAME")
        if name not in self._interfaces or message.get("event") not in ("RTM_NEWLINK", "RTM_DELLINK"):
            return
        flags = int(message.get("flags") or 0)
        self._present.add(name)
        self._is(name, message.get("event") == "RTM_NEWLINK" and flags & _UP_AND_RUNNING == _UP_AND_RUNNING)

    def _is(self, name: str, good: bool) -> None:
        if self._good.get(name, True) and not good:
            for link in self._interfaces[name]:
                self._lost(link)
        self._good[name] = good
