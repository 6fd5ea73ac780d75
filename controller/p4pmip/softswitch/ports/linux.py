"""A port that is a Linux interface (packet(7))."""

import contextlib
import socket
import struct

ETH_P_ALL = 3
SOL_PACKET = 263
PACKET_ADD_MEMBERSHIP = 1
PACKET_AUXDATA = 8
PACKET_QDISC_BYPASS = 20
PACKET_IGNORE_OUTGOING = 23
PACKET_MR_PROMISC = 1
SO_RCVBUFFORCE = 33

RECEIVE_BUFFER = 4 << 20
FRAME_LIMIT = 65_536
VLAN_VALID = 0x10
TPID_VALID = 0x40
TPID_8021Q = 0x8100
TAG_AT = 12
"""A VLAN tag stands after both addresses."""

_AUXDATA = struct.Struct("@IIIHHHH")
_SPACE = socket.CMSG_SPACE(_AUXDATA.size)


def with_tag(frame: bytes, auxdata: bytes) -> bytes:
    """A frame with the VLAN tag that the kernel took out of it."""
    status, _, _, _, _, tci, tpid = _AUXDATA.unpack_from(auxdata)
    if not status & VLAN_VALID:
        return frame
    tag = struct.pack("!HH", tpid if status & TPID_VALID else TPID_8021Q, tci)
    return frame[:TAG_AT] + tag + frame[TAG_AT:]


class LinuxPort:
    """Frames of one interface, in promiscuous mode, without those that the host itself sends."""

    def __init__(self, number: int, interface: str) -> None:
        """Open the interface.

        Raises:
            OSError: there is no such interface, or the process may not open packet sockets.
        """
        self.number = number
        self.interface = interface
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        try:
            self._open()
        except OSError:
            self._socket.close()
            raise

    def _open(self) -> None:
        one = self._socket
        one.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
        one.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
        one.setsockopt(SOL_PACKET, PACKET_QDISC_BYPASS, 1)
        with contextlib.suppress(OSError):
            one.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, RECEIVE_BUFFER)
        one.bind((self.interface, ETH_P_ALL))
        self._index = socket.if_nametoindex(self.interface)
        membership = struct.pack("@iHH8s", self._index, PACKET_MR_PROMISC, 0, b"")
        one.setsockopt(SOL_PACKET, PACKET_ADD_MEMBERSHIP, membership)
        one.setblocking(False)

    def fileno(self) -> int:
        """For select."""
        return self._socket.fileno()

    def receive(self) -> bytes | None:
        """The next frame, or None. The kernel takes VLAN tags out of frames; they are put back.

        Raises:
            OSError: the interface has gone, or is down now.
        """
        try:
            frame, ancillary, _, _ = self._socket.recvmsg(FRAME_LIMIT, _SPACE)
        except BlockingIOError:
            return None
        for level, kind, data in ancillary:
            if level == SOL_PACKET and kind == PACKET_AUXDATA and len(data) >= _AUXDATA.size:
                return with_tag(frame, data)
        return frame

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
        self._socket.close()
