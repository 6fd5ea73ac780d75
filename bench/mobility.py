"""How fast an LMA engine registers unknown mobile nodes, and what a binding costs.

Decoding, the steps of RFC 5213, key and address allocation, the answer of the world and encoding are in the figure;
sockets, the switch and the journal are not. Run alone: `python bench/mobility.py [bindings]`.
"""

import gc
import resource
import sys
import time
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from random import Random
from typing import Any

from p4pmip.mobility.config import Directory, LmaConfig, Peer, Profile, Realm
from p4pmip.mobility.effects import Install
from p4pmip.mobility.endpoint import Endpoint
from p4pmip.mobility.lma import LocalMobilityAnchor
from p4pmip.wire import options as o
from p4pmip.wire.message import BindingUpdate
from p4pmip.wire.mobility_header import encode
from p4pmip.wire.numbers import BindingUpdateFlag, HandoffIndicator

MILLION = 1_000_000
RATE_BOUND = 10_000.0
RATIO_BOUND = 1.3
MEMORY_BOUND = 2.0 * 1024**3
ROUNDS = 40
SAMPLE = 500
_LMA = Endpoint(IPv6Address("2001:db8::1"))
_MAG = Endpoint(IPv6Address("2001:db8::2"))
_FLAGS = BindingUpdateFlag.A | BindingUpdateFlag.P


def anchor() -> LocalMobilityAnchor:
    """An LMA with room for sixteen million mobile nodes of one domain."""
    realm = Realm("r", ipv4_pool=IPv4Network("10.0.0.0/8"), prefix_pool=IPv6Network("2001:db8::/32"))
    config = LmaConfig(
        realms={"r": realm},
        directory=Directory(domains={b"operator.example": Profile("r")}),
        peers=(Peer(_MAG.address),),
        local=(_LMA,),
        heartbeat_interval=None,
    )
    return LocalMobilityAnchor(config, Random(1))


def updates(first: int, count: int, utc: float) -> list[bytes]:
    """Initial PBUs of mobile nodes that nobody knows, dual stack, with a downlink key."""
    return [
        encode(
            BindingUpdate(
                number & 0xFFFF,
                _FLAGS,
                900,
                (
                    o.MobileNodeIdentifier.nai(b"mn%07d@operator.example" % number),
                    o.HomeNetworkPrefix(IPv6Address(0), 0),
                    o.HandoffIndicatorOption(HandoffIndicator.ATTACHMENT_OVER_A_NEW_INTERFACE),
                    o.AccessTechnologyOption(4),
                    o.LinkLayerIdentifier(number.to_bytes(6, "big")),
                    o.Timestamp.from_utc(utc),
                    o.GreKey(number),
                    o.IPv4HomeAddressRequest(IPv4Address(0), 0),
                ),
            ),
            _MAG.address,
            _LMA.address,
        )
        for number in range(first, first + count)
    ]


def register(lma: LocalMobilityAnchor, octets: list[bytes], now: float, utc: float) -> float:
    """Seconds of processor time that it takes to register them all."""
    began = time.process_time()
    for one in octets:
        lma.receive(one, _MAG, _LMA, now, utc)
        for effect in lma.effects():
            if isinstance(effect, Install):
                lma.installed(effect.ticket, now, utc)
        lma.effects()
    return time.process_time() - began


def _resident() -> int:
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


def measure(bindings: int = MILLION) -> list[dict[str, Any]]:
    """The figures of this room, one row each."""
    utc = 1_790_000_000.0
    lma = anchor()
    before = _resident()
    for first in range(0, bindings, 50_000):
        utc += 0.01
        register(lma, updates(first, min(50_000, bindings - first), utc), 0.0, utc)
    # What lives for hours is not to be walked again and again: a node does the same after a restore.
    gc.collect()
    gc.freeze()
    memory = _resident() - before
    few, many = _rates(lma, bindings, utc + 1)
    assert len(lma.cache) == bindings + ROUNDS * SAMPLE
    return [
        _row("LMA: initial registrations per second, 1,000 bindings", few, "1/s", RATE_BOUND, few >= RATE_BOUND),
        _row(
            f"LMA: initial registrations per second, {bindings:,} bindings", many, "1/s", RATE_BOUND, many >= RATE_BOUND
        ),
        _row("LMA: slow-down from 1,000 bindings on", few / many, "ratio", RATIO_BOUND, few / many <= RATIO_BOUND),
        _row(f"LMA: memory of {bindings:,} bindings", float(memory), "octets", MEMORY_BOUND, memory <= MEMORY_BOUND),
    ]


def _rates(large: LocalMobilityAnchor, bindings: int, utc: float) -> tuple[float, float]:
    """Registrations per second of an LMA with 1,000 bindings and of a large one.

    The two take turns, and the best of many short rounds counts: the machine may have other things to do.
    """
    few, many = 0.0, 0.0
    for number in range(ROUNDS):
        small = anchor()
        register(small, updates(0, 1_000, utc), 0.0, utc)
        few = max(few, SAMPLE / register(small, updates(1_000, SAMPLE, utc), 0.0, utc))
        first = bindings + number * SAMPLE
        many = max(many, SAMPLE / register(large, updates(first, SAMPLE, utc + number), 0.0, utc + number))
    return few, many


def _row(name: str, value: float, unit: str, bound: float, ok: bool) -> dict[str, Any]:
    return {
        "name": name,
        "value": value,
        "unit": unit,
        "peer": None,
        "peer_value": None,
        "ratio": None,
        "bound": bound,
        "ok": ok,
        "skipped": None,
    }


if __name__ == "__main__":
    for row in measure(int(sys.argv[1]) if len(sys.argv) > 1 else MILLION):
        print(f"{row['name']}: {row['value']:,.2f} {row['unit']} (bound {row['bound']:,.2f}) ok={row['ok']}")
