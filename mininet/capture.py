"""Write the frames that arrive at interfaces to DIRECTORY/INTERFACE.pcap: capture.py DIRECTORY INTERFACE...

Only what arrives is seen, so that a frame that is bridged or switched is seen once; a frame is in its file as soon as
it has been read, with the time at which the kernel had it: a busy machine may read it later. The files are there when
the capture has begun.
"""

import selectors
import socket
import struct
import sys
from pathlib import Path

ETH_P_ALL = 3
SOL_PACKET, PACKET_ADD_MEMBERSHIP, PACKET_IGNORE_OUTGOING, PACKET_MR_PROMISC = 263, 1, 23, 1
SO_TIMESTAMPNS = 35
TIMESPEC = struct.Struct("@ll")
MAGIC_NANOSECONDS = 0xA1B23C4D
LINKTYPE_ETHERNET = 1
SNAPLEN = 65535


def main(directory: Path, interfaces: list) -> None:
    """Capture until killed."""
    selector = selectors.DefaultSelector()
    for interface in interfaces:
        tap = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)  # of no protocol: nothing comes before it is bound
        tap.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
        tap.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        tap.bind((interface, ETH_P_ALL))
        membership = struct.pack("IHH8s", socket.if_nametoindex(interface), PACKET_MR_PROMISC, 0, b"")
        tap.setsockopt(SOL_PACKET, PACKET_ADD_MEMBERSHIP, membership)
        file = (directory / f"{interface}.pcap").open("wb", buffering=0)
        file.write(struct.pack("<IHHiIII", MAGIC_NANOSECONDS, 2, 4, 0, 0, SNAPLEN, LINKTYPE_ETHERNET))
        selector.register(tap, selectors.EVENT_READ, file)
    while True:
        for key, _ in selector.select():
            try:
                octets, ancillary, _, _ = key.fileobj.recvmsg(SNAPLEN, socket.CMSG_SPACE(TIMESPEC.size))
            except OSError:  # down for a while, or gone for good: then nothing is ever read again
                continue
            seconds, nanoseconds = TIMESPEC.unpack(ancillary[0][2])
            key.data.write(struct.pack("<IIII", seconds, nanoseconds, len(octets), len(octets)) + octets)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
