"""Our program with a thousand sessions: their entries, packets of any of them, and entries that come and go.

The entries are what a MAG or an LMA writes for its bindings; the packets are IPv4 and IPv6, plain on one side and in
GRE on the other.
"""

import random
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address

from bench.pipeline import LMA, MAG, SESSIONS, Course, courses
from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import GRE, Ether
from scapy.packet import Packet, Raw
from tests.softswitch.test_native import write_both

from p4pmip.forwarding.entry import Entry
from p4pmip.p4runtime.codec import Codec
from p4pmip.softswitch.target.refusal import Refusal
from p4pmip.softswitch.target.running import Running
from p4pmip.softswitch.target.stubs import p4runtime

OF_A_SESSION = ("session", "mn_src_v6", "mn_src_v4", "sess_dst_v6", "sess_dst_v4", "gre_rx",
                "session_address_v6", "session_address_v4")  # fmt: skip
"""Tables whose entries come and go with a binding."""
FINDING = {
    "MAG uplink": ("mn_src_v6", "mn_src_v4"),
    "MAG downlink": ("gre_rx",),
    "LMA uplink": ("gre_rx",),
    "LMA downlink": ("sess_dst_v6", "sess_dst_v4"),
}
"""By role and direction, the tables that find a packet's session."""
DIRECTIONS = tuple(FINDING)
PORT = 1
MISSING = 40
"""How many of these entries are away at most."""
SAMPLED = 40
"""Sessions that send, and each both IPv4 and IPv6."""


class Domain:
    """The same sessions in two switches, and what their packets met."""

    def __init__(self, runnings: tuple[Running, Running], number: int) -> None:
        """Of the four roles and directions, the one of this number."""
        self.direction = DIRECTIONS[number % len(DIRECTIONS)]
        (course,) = (one for one in courses(78) if one.name == self.direction)
        self._runnings, self._course = runnings, course
        codec = Codec(course.pipeline.schema)
        # The realm's default route, for IPv6 too.
        routes = [
            Entry("route_v6", one.match, one.action, one.params)
            for one in course.entries
            if one.table == "route_v4" and "dst" not in dict(one.match)
        ]
        messages = [codec.message(one) for one in (*course.entries, *routes)]
        for message in messages:
            self._write(p4runtime.Update.INSERT, message)
        tables = {one.alias: one.id for one in runnings[0].schema.tables.values()}
        passing = {tables[one] for one in OF_A_SESSION}
        self._present = [one for one in messages if one.table_id in passing]
        self._missing: list[p4runtime.TableEntry] = []
        self._finding = [tables[one] for one in FINDING[self.direction]]
        self._gone = 0

    def _write(self, kind: int, message: "p4runtime.TableEntry") -> None:
        update = p4runtime.Update(type=kind, entity=p4runtime.Entity(table_entry=message))  # type: ignore[arg-type]
        # What any other change has put there or taken away is refused, by both.
        write_both(self._runnings, update)

    def churn(self, choose: random.Random) -> None:
        """One entry of a session goes, or one that had gone comes back."""
        back = len(self._missing) >= MISSING or (self._missing and choose.random() < 0.5)
        source, into = (self._missing, self._present) if back else (self._present, self._missing)
        at = choose.randrange(len(source))
        source[at], source[-1] = source[-1], source[at]
        message = source.pop()
        into.append(message)
        if not back and message.table_id in self._finding:
            self._gone += self._counted(message)
        self._write(p4runtime.Update.INSERT if back else p4runtime.Update.DELETE, message)

    def _counted(self, given: "p4runtime.TableEntry") -> int:
        """Packets of the entries that fit, in the interpreter."""
        wanted = p4runtime.Entity()
        wanted.direct_counter_entry.table_entry.table_id = given.table_id
        wanted.direct_counter_entry.table_entry.match.extend(given.match)
        try:
            found = list(self._runnings[0].read(wanted, 0.0))
        except Refusal:  # another change took it away
            return 0
        return sum(one.direct_counter_entry.data.packet_count for one in found)

    def hits(self) -> int:
        """Packets that found their session, by the counters of the tables that find it."""
        return self._gone + sum(self._counted(p4runtime.TableEntry(table_id=one)) for one in self._finding)

    def frames(self, choose: random.Random, others: Iterator[tuple[int, bytes]]) -> Iterator[tuple[int, bytes]]:
        """Packets of sessions, mostly whole, some changed or cut; and, one in eight, others."""
        numbers = choose.sample(range(SESSIONS), SAMPLED)
        made = [_frame(self.direction, self._course, number, four, choose) for number in numbers for four in (0, 1)]
        while True:
            if choose.random() < 0.125:
                yield next(others)
                continue
            frame = bytearray(choose.choice(made))
            if choose.random() < 0.25:
                for _ in range(choose.choice([0, 1, 1, 3])):
                    frame[choose.randrange(len(frame))] = choose.choice([0, 1, 0xFF, choose.randrange(256)])
                if choose.random() < 0.3:
                    del frame[choose.randrange(len(frame)) :]
            yield PORT, bytes(frame)


def _frame(direction: str, course: Course, number: int, four: int, choose: random.Random) -> bytes:
    """A packet of a session, as it comes in on port 1: plain from the mobile node or its correspondent, or in GRE."""
    ends: list[str]
    if four:
        ends = [str(IPv4Address(0x0A000000 + number)), "172.16.0.10"]
    else:
        ends = [str(IPv6Address((0x20010DB800F00000 + number << 64) + choose.randrange(1, 99))), "2001:db8:ffff::7"]
    up, tos = direction.endswith("uplink"), choose.choice([0, 0, 1, 3, 0xB8, 0xB9])
    source, destination = ends if up else ends[::-1]
    lives = choose.choice([64] * 14 + [2, 1])
    user: Packet = (
        IP(src=source, dst=destination, ttl=lives, tos=tos)
        if four
        else IPv6(src=source, dst=destination, hlim=lives, tc=tos)
    )
    user = user / UDP(sport=1000, dport=2000) / Raw(b"x" * choose.choice([0, 1, 36, 200, 1200]))
    ether = Ether(course.frame[:14])
    if (direction.startswith("MAG")) == up:
        ether.type = 0x0800 if four else 0x86DD
        return bytes(ether / user)
    tunnel = (MAG, LMA) if up else (LMA, MAG)
    key = (0x1000 if up else 0x2000) + number
    outer = IPv6(src=str(tunnel[0]), dst=str(tunnel[1]), nh=47, tc=choose.choice([0, 0, 0, tos, tos, 3]))
    gre = GRE(proto=0x0800 if four else 0x86DD, key_present=1, key=key)
    return bytes(ether / outer / gre / user)
