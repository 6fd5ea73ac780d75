"""Traffic between the hosts of the lab, and what its captures show."""

import json
import re
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import figure1
from network import Lab

from p4pmip.wire import icmpv6
from p4pmip.wire.capture import Frame
from p4pmip.wire.ethernet import Ethernet, EtherType, mac
from p4pmip.wire.fault import Fault
from p4pmip.wire.icmpv6 import RouterAdvertisement
from p4pmip.wire.ip import IPProtocol, IPv4Packet, IPv6Packet, decode_ip
from p4pmip.wire.packet import Packet, decode_frame

SERVER = "10.1.0.2"
"""Each operator's server: the same address in both."""
PATIENT = 0.2
"""Seconds between pings: ping waits as long for the last answer, however many it has had, and a machine may be busy."""
_ANSWER = re.compile(r"icmp_seq=(\d+) .*time=([\d.]+) ms")
_SUMMARY = re.compile(r"(\d+) packets transmitted, (\d+) received")


def server_ipv6(operator: str) -> str:
    """The same over IPv6."""
    return f"2001:db8:e:{operator}::2"


@dataclass
class Pings:
    """A stream of pings that is under way."""

    process: "subprocess.Popen[str]"
    round_trips: dict[int, float] = field(default_factory=dict)
    """Milliseconds until the answer came, by the number of the ping; known when they have finished."""

    def finish(self, seconds: float = 60.0) -> tuple[int, list[int]]:
        """How many were sent, and the numbers of those that were not answered."""
        said, _ = self.process.communicate(timeout=seconds)
        summary = _SUMMARY.search(said)
        if summary is None:
            raise figure1.Failure(f"ping says: {said[-300:]}")
        self.round_trips = {int(number): float(took) for number, took in _ANSWER.findall(said)}
        sent = int(summary[1])
        return sent, [number for number in range(1, sent + 1) if number not in self.round_trips]


def start_pings(lab: Lab, host: str, destination: str, count: int, interval: float, pattern: str = "00") -> Pings:
    """Ping in the background."""
    command = ["ping", "-n", "-c", str(count), "-i", str(interval), "-W", "1", "-p", pattern, destination]
    return Pings(lab[host].popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True))


@dataclass
class Stream:
    """iperf3 from a host to a server, under way."""

    client: "subprocess.Popen[str]"
    server: "subprocess.Popen[str]"

    def finish(self, seconds: float = 60.0) -> dict[str, Any]:
        """iperf3's own sum."""
        try:
            said, _ = self.client.communicate(timeout=seconds)
            found: dict[str, Any] = json.loads(said)
        except (subprocess.TimeoutExpired, json.JSONDecodeError) as error:
            raise figure1.Failure(f"iperf3: {error}") from error
        finally:
            for process in (self.client, self.server):
                if process.poll() is None:
                    process.terminate()
                process.wait()
        if "error" in found:
            raise figure1.Failure(f"iperf3: {found['error']}")
        return found


def start_stream(lab: Lab, host: str, server: str, port: int, seconds: int, *more: str) -> Stream:
    """Send to the server for some seconds: TCP, or UDP with `-u`."""
    listening = lab[server].popen(
        ["iperf3", "-s", "-1", "-p", str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, text=True
    )
    lab.until(lambda: figure1.listens(lab[server].pid, port), "iperf3 listens")
    command = ["iperf3", "-c", SERVER, "-p", str(port), "-t", str(seconds), "-J", *more]
    client = lab[host].popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return Stream(client, listening)


# --- what the captures show ---------------------------------------------------------------------------


def tunnelled(lab: Lab, interface: str) -> list[Packet]:
    """The tunnel packets that have arrived at an interface of a switch."""
    packets = (decode_frame(frame) for frame in lab.frames(interface))
    return [packet for packet in packets if packet.inner is not None]


def _user_packet(frame: Frame) -> tuple[Ethernet, IPv4Packet | IPv6Packet] | None:
    """A packet of a user: not ARP, Neighbor Discovery or DHCP."""
    ethernet = Ethernet.decode(frame.octets)
    if isinstance(ethernet, Fault) or ethernet.ether_type not in (EtherType.IPV4, EtherType.IPV6):
        return None
    packet = decode_ip(ethernet.payload)
    if isinstance(packet, Fault):
        return None
    if isinstance(packet, IPv6Packet):
        neighbor = packet.next_header == IPProtocol.ICMPV6 and packet.hop_limit == 255
        return None if neighbor else (ethernet, packet)
    dhcp = packet.protocol == IPProtocol.UDP and packet.payload[:4] in (b"\0\x43\0\x44", b"\0\x44\0\x43")
    return None if dhcp else (ethernet, packet)


def delivered(lab: Lab, mag: str) -> list[tuple[Frame, Ethernet, IPv4Packet | IPv6Packet]]:
    """What a MAG has delivered to mobile nodes."""
    found = []
    for frame in lab.arrivals("air", mag):
        user = _user_packet(frame)
        if user is not None:
            found.append((frame, *user))
    return found


def advertisements(lab: Lab, mag: str) -> list[tuple[Ethernet, RouterAdvertisement]]:
    """The Router Advertisements that a MAG has sent into its cell."""
    found = []
    for frame in lab.arrivals("air", mag):
        ethernet = Ethernet.decode(frame.octets)
        packet = None if isinstance(ethernet, Fault) else decode_ip(ethernet.payload)
        if isinstance(packet, IPv6Packet) and packet.next_header == IPProtocol.ICMPV6:
            message = icmpv6.decode(packet.payload, packet.source, packet.destination)
            if isinstance(message, RouterAdvertisement):
                found.append((ethernet, message))
    return found


def echo_requests(frames: Iterable[Frame], pattern: int) -> dict[int, int]:
    """When (ns) each echo request over IPv4 with a pattern arrived, by its number."""
    found = {}
    for frame in frames:
        octets = frame.octets
        if octets[12:14] == b"\x08\0" and octets[23] == IPProtocol.ICMP and octets[34] == 8 and octets[-1] == pattern:
            found[int.from_bytes(octets[40:42], "big")] = frame.time
    return found


_REPORTS = (bytes.fromhex("333300000016"), bytes.fromhex("01005e000016"))
"""The groups of MLDv2 and IGMPv3 reports."""


def _tells(frame: Frame) -> bool:
    octets = frame.octets
    arp = octets[12:14] == b"\x08\x06"
    neighbor = octets[12:14] == b"\x86\xdd" and octets[20] == IPProtocol.ICMPV6
    return not octets[0] & 1 or arp or neighbor or octets[:6] in (b"\xff" * 6, *_REPORTS)


def gap_ms(lab: Lab, mobile_node: str, mag: str, since: int) -> float:
    """From the node's first frame at a MAG after `since` (ns) to the first packet that the MAG delivers to it.

    What a host says to a group for itself (mDNS) tells nobody that it is there: ARP, Neighbor Discovery, DHCP, reports
    of the groups that it listens to, and unicast do.
    """
    address = mac(figure1.mac_of(mobile_node))
    mine = (frame for frame in lab.frames(f"{mag}-eth2") if frame.time > since and frame.octets[6:12] == address)
    first = next((frame.time for frame in mine if _tells(frame)), None)
    if first is None:
        raise figure1.Failure(f"{mag} has seen no frame of {mobile_node}")
    arrival = next(
        (
            frame.time
            for frame, ethernet, _ in delivered(lab, mag)
            if frame.time > first and ethernet.destination == address
        ),
        None,
    )
    if arrival is None:
        raise figure1.Failure(f"{mag} has delivered nothing to {mobile_node}")
    return (arrival - first) / 1e6
