"""Write the frames that arrive at interfaces to DIRECTORY/INTERFACE.pcap: capture.py DIRECTORY INTERFACE...

Only what arrives is seen, so that a frame that is bridged or switched is seen once; a frame is in its file as soon as
it has been read. The files are there when the capture has begun.
"""

import selectors
import socket
import struct
import sys
import time
from pathlib import Path

ETH_P_ALL = 3
SOL_PACKET, PACKET_ADD_MEMBERSHIP, PACKET_IGNORE_OUTGOING, PACKET_MR_PROMISC = 263, 1, 23, 1
MAGIC_NANOSECONDS = 0xA1B23C4D
LINKTYPE_ETHERNET = 1
SNAPLEN = 65535


def main(directory: Path, interfaces: list) -> None:
    """Capture until killed."""
    selector = selectors.DefaultSelector()
    for interface in interfaces:
        tap = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        tap.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
        tap.bind((interface, ETH_P_ALL))
        membership = struct.pack("IHH8s", socket.if_nametoindex(interface), PACKET_MR_PROMISC, 0, b"")
        tap.setsockopt(SOL_PACKET, PACKET_ADD_MEMBERSHIP, membership)
        file = (directory / f"{interface}.pcap").open("wb", buffering=0)
        file.write(struct.pack("<IHHiIII", MAGIC_NANOSECONDS, 2, 4, 0, 0, SNAPLEN, LINKTYPE_ETHERNET))
        selector.register(tap, selectors.EVENT_READ, file)
    while True:
        for key, _ in selector.select():
            try:
                octets = key.fileobj.recv(SNAPLEN)
            except OSError:  # down for a while, or gone for good: then nothing is ever read again
                continue
            now = time.time_ns()
            key.data.write(struct.pack("<IIII", now // 10**9, now % 10**9, len(octets), len(octets)) + octets)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
