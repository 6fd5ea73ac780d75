"""How fast a PBU is decoded and encoded, beside scapy on the same packet in the same run.

Both get the whole IPv6 packet: p4pmip verifies the checksum on decoding (scapy does not), and both compute it on
encoding.
Run alone: `python bench/wire.py`.
"""

import importlib.util
import time
from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address
from typing import Any

from p4pmip.wire import options as o
from p4pmip.wire.ip import IPProtocol, IPv6Packet
from p4pmip.wire.message import BindingUpdate
from p4pmip.wire.mobility_header import Checksum, decode, encode
from p4pmip.wire.numbers import AccessTechnology, BindingUpdateFlag, HandoffIndicator

RATIO_BOUND = 20.0
ROUNDS = 12
_MAG, _LMA = IPv6Address("2001:db8::2"), IPv6Address("2001:db8::1")

PBU = BindingUpdate(
    7,
    BindingUpdateFlag.A | BindingUpdateFlag.P,
    900,
    (
        o.MobileNodeIdentifier.nai("alice@operator.example"),
        o.HomeNetworkPrefix(IPv6Address(0), 0),
        o.HandoffIndicatorOption(HandoffIndicator.ATTACHMENT_OVER_A_NEW_INTERFACE),
        o.AccessTechnologyOption(AccessTechnology.IEEE_802_11),
        o.LinkLayerIdentifier(bytes.fromhex("00005e005301")),
        o.LinkLocalAddress(IPv6Address("fe80::200:5eff:fe00:5213")),
        o.Timestamp.from_utc(1_790_000_000.0),
        o.GreKey(0x2A),
        o.IPv4HomeAddressRequest(IPv4Address(0), 0),
    ),
)
"""What a MAG sends when a dual-stack mobile node comes."""


def write() -> bytes:
    """The packet with the PBU."""
    return IPv6Packet(_MAG, _LMA, IPProtocol.MOBILITY_HEADER, encode(PBU, _MAG, _LMA)).encode()


def read(octets: bytes) -> None:
    """Decode the packet with the PBU, checksum and all."""
    packet = IPv6Packet.decode(octets)
    assert isinstance(packet, IPv6Packet)
    found = decode(packet.payload, packet.source, packet.destination)
    assert found.checksum is Checksum.OK


def measure() -> list[dict[str, Any]]:
    """The figures of this room, one row each."""
    octets = write()
    names = {
        "decode": f"wire: PBUs of {len(octets) - 40} octets decoded per second",
        "encode": f"wire: PBUs of {len(octets) - 40} octets encoded per second",
    }
    ours: dict[str, Callable[[], object]] = {"decode": lambda: read(octets), "encode": write}
    theirs = _scapy(octets) if importlib.util.find_spec("scapy") else {}
    best: dict[tuple[str, str], float] = {}
    for _ in range(ROUNDS):  # in turns, so that whatever else the machine does slows both
        for verb in names:
            best["p4pmip", verb] = max(best.get(("p4pmip", verb), 0.0), _rate(ours[verb], 2000))
            if theirs:
                best["scapy", verb] = max(best.get(("scapy", verb), 0.0), _rate(theirs[verb], 60))
    return [_row(name, best["p4pmip", verb], best.get(("scapy", verb))) for verb, name in names.items()]


def _scapy(octets: bytes) -> dict[str, Callable[[], object]]:
    """The same with scapy; what it builds is compared once, octet for octet."""
    from scapy.layers import inet6

    def build() -> bytes:
        options: list[Any] = []
        at = 52
        while at < len(octets):
            kind, data = octets[at], octets[at + 2 : at + 2 + octets[at + 1]]
            if kind == 0:
                options.append(inet6.Pad1())
                at += 1
                continue
            options.append(inet6.PadN(optdata=data) if kind == 1 else inet6.MIP6OptUnknown(otype=kind, odata=data))
            at += 2 + len(data)
        flags = int(PBU.flags)
        header = inet6.MIP6MH_BU(
            seq=PBU.sequence,
            flags=flags >> 9,
            reserved=flags & 0x1FF,
            mhtime=PBU.lifetime,
            options=options,
            autopad=0,
        )
        return bytes(inet6.IPv6(src=str(_MAG), dst=str(_LMA), hlim=64) / header)

    assert build() == octets
    return {"decode": lambda: inet6.IPv6(octets), "encode": build}


def _rate(call: Callable[[], object], count: int) -> float:
    """Calls per second of processor time."""
    began = time.process_time()
    for _ in range(count):
        call()
    return count / (time.process_time() - began)


def _row(name: str, value: float, peer_value: float | None) -> dict[str, Any]:
    ratio = None if peer_value is None else value / peer_value
    return {
        "name": name,
        "value": value,
        "unit": "1/s",
        "peer": None if ratio is None else "scapy",
        "peer_value": peer_value,
        "ratio": ratio,
        "bound": RATIO_BOUND,
        "ok": ratio is not None and ratio >= RATIO_BOUND,
        "skipped": None if ratio is not None else "scapy is not installed",
    }


if __name__ == "__main__":
    for row in measure():
        if row["skipped"]:
            print(f"{row['name']}: {row['value']:,.0f} {row['unit']} ({row['skipped']})")
        else:
            print(
                f"{row['name']}: {row['value']:,.0f} {row['unit']}, scapy {row['peer_value']:,.0f},"
                f" ratio {row['ratio']:.1f} (bound {row['bound']:.0f}) ok={row['ok']}"
            )
