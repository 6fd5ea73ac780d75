"""Send frames as fast as they come out again: `blast.py OUT IN SECONDS WINDOW HEX`; prints sent, received, seconds.

Its own process, so that it can run inside a network namespace. Never more than WINDOW frames are under way, so that
what is between the two interfaces is kept busy and never flooded. What has not come after a while counts as lost.
"""

import os
import socket
import sys
import time

BURST = 8
PATIENCE = 0.2
"""Seconds after which what is under way is lost."""
_SOL_PACKET, _QDISC_BYPASS = 263, 20


def main() -> None:
    """The command."""
    out, into, seconds, window = sys.argv[1], sys.argv[2], float(sys.argv[3]), int(sys.argv[4])
    octets = bytes.fromhex(sys.argv[5])
    counter = os.open(f"/sys/class/net/{into}/statistics/rx_packets", os.O_RDONLY)

    def received() -> int:
        """Frames that the kernel has counted in."""
        return int(os.pread(counter, 32, 0))

    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as link:
        link.setsockopt(_SOL_PACKET, _QDISC_BYPASS, 1)
        link.bind((out, 0))
        before = last = received()
        sent = lost = 0
        began = moved = time.monotonic()
        while (now := time.monotonic()) < began + seconds:
            arrived = received()
            if arrived != last:
                last, moved = arrived, now
            elif now > moved + PATIENCE:
                lost, moved = sent - (arrived - before), now
            if sent - lost - (arrived - before) > window - BURST:
                time.sleep(20e-6)  # leaves the core to the switch
                continue
            for _ in range(BURST):
                link.send(octets)
            sent += BURST
        took = time.monotonic() - began
        arrived = received() - before
        time.sleep(PATIENCE)
        print(sent, arrived, received() - before, took)


if __name__ == "__main__":
    main()
