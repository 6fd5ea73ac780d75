"""A port that is a Linux interface (packet(7))."""

import contextlib
import fcntl
import os
import socket
import struct

from p4pmip.softswitch.ports.ring import SOL_PACKET, ReceiveRing

ETH_P_ALL = 3
PACKET_ADD_MEMBERSHIP = 1
PACKET_QDISC_BYPASS = 20
PACKET_IGNORE_OUTGOING = 23
PACKET_MR_PROMISC = 1
SO_RCVBUFFORCE = 33
SIOCGIFMTU = 0x8921

RECEIVE_BUFFER = 4 << 20
"""For frames that are too long for the ring."""


class LinuxPort:
    """Frames of one interface, in promiscuous mode, without those that the host itself sends.

    Attributes:
        ring: Where they arrive.
    """

    def __init__(self, number: int, interface: str) -> None:
        """Open the interface.

        Raises:
            OSError: there is no such interface, or the process may not open packet sockets.
        """
        self.number = number
        self.interface = interface
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        try:
            self.ring = self._open()
        except OSError:
            self._socket.close()
            raise

    def _open(self) -> ReceiveRing:
        one, mtu = self._socket, self._mtu()
        one.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
        one.setsockopt(SOL_PACKET, PACKET_QDISC_BYPASS, 1)
        with contextlib.suppress(OSError):
            one.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, RECEIVE_BUFFER)
        ring = ReceiveRing(one, mtu, self.number)
        one.bind((self.interface, ETH_P_ALL))
        self._index = socket.if_nametoindex(self.interface)
        membership = struct.pack("@iHH8s", self._index, PACKET_MR_PROMISC, 0, b"")
        one.setsockopt(SOL_PACKET, PACKET_ADD_MEMBERSHIP, membership)
        one.setblocking(False)
        return ring

    def _mtu(self) -> int:
        request = fcntl.ioctl(self._socket, SIOCGIFMTU, struct.pack("16s16x", self.interface.encode()))
        mtu: int = struct.unpack_from("@i", request, 16)[0]
        return mtu

    def fileno(self) -> int:
        """For select."""
        return self._socket.fileno()

    def receive(self) -> bytes | None:
        """The next frame, or None. The kernel takes VLAN tags out of frames; they are put back.

        Raises:
            OSError: the interface has gone, or is down now.
        """
        frame = self.ring.take()
        if frame is None and (error := self.error()):
            raise OSError(error, os.strerror(error))
        return frame

    def error(self) -> int:
        """What the kernel has to say about the interface, once: an errno, or 0."""
        return self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)

    def exists(self) -> bool:
        """Whether the interface is still there, up or down."""
        try:
            socket.if_indextoname(self._index)
        except OSError:
            return False
        return True

    def send(self, frame: bytes) -> bool:
        """Send a frame; False if the interface does not take it (full, too long, too short, down)."""
        try:
            self._socket.send(frame)
        except OSError:
            return False
        return True

    def close(self) -> None:
        """Give the interface back."""
        self.ring.close()
        self._socket.close()
