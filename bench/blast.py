"""Send frames at a rate and count what arrives: `blast.py OUT IN RATE SECONDS HEX`; prints frames sent and received.

Its own process, so that it can run inside a network namespace. A burst at a time, on a clock: what was missed is not
made up for, so that the rate is never above what was asked.
"""

import socket
import sys
import time

BURST = 16
DRAIN = 0.3
"""Seconds until what is under way has arrived."""
_SOL_PACKET, _QDISC_BYPASS = 263, 20


def received(interface: str) -> int:
    """Frames that the kernel has counted in."""
    with open(f"/sys/class/net/{interface}/statistics/rx_packets", encoding="ascii") as file:
        return int(file.read())


def main() -> None:
    """The command."""
    out, into, rate, seconds, frame = sys.argv[1], sys.argv[2], float(sys.argv[3]), float(sys.argv[4]), sys.argv[5]
    octets = bytes.fromhex(frame)
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as link:
        link.setsockopt(_SOL_PACKET, _QDISC_BYPASS, 1)
        link.bind((out, 0))
        before, sent = received(into), 0
        began = due = time.monotonic()
        while (now := time.monotonic()) < began + seconds:
            if now < due:
                time.sleep(due - now)
                continue
            for _ in range(BURST):
                link.send(octets)
            sent += BURST
            due = max(due, now - BURST / rate) + BURST / rate
        took = time.monotonic() - began
        time.sleep(DRAIN)
        print(sent, received(into) - before, took)


if __name__ == "__main__":
    main()
