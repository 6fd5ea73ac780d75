"""How fast an LMA engine registers unknown mobile nodes, and what a binding costs.

Decoding, the steps of RFC 5213, key and address allocation, the answer of the world and encoding are in the figure;
sockets, the switch and the journal are not. Run alone: `python bench/mobility.py [bindings]`.
"""

import gc
import resource
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from itertools import count
from random import Random
from typing import Any

from p4pmip.mobility.config import Directory, LmaConfig, Peer, Profile, Realm
from p4pmip.mobility.effects import Install, Send
from p4pmip.mobility.endpoint import Endpoint
from p4pmip.mobility.lma import LocalMobilityAnchor
from p4pmip.wire import options as o
from p4pmip.wire.message import BindingAcknowledgement, BindingUpdate
from p4pmip.wire.mobility_header import decode, encode
from p4pmip.wire.numbers import BindingUpdateFlag, HandoffIndicator

MILLION = 1_000_000
RATE_BOUND = 10_000.0
RATIO_BOUND = 1.3
MEMORY_BOUND = 2.0 * 1024**3
ROUNDS = 40
SAMPLE = 500
STEP = 10_000
MILESTONES = (10_000, 100_000)
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


def updates(first: int, many: int, utc: float) -> list[bytes]:
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
        for number in range(first, first + many)
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


def answer(utc: float) -> BindingAcknowledgement:
    """What an initial registration is answered with."""
    lma = anchor()
    lma.receive(updates(0, 1, utc)[0], _MAG, _LMA, 0.0, utc)
    for effect in lma.effects():
        if isinstance(effect, Install):
            lma.installed(effect.ticket, 0.0, utc)
    (sent,) = [effect.message for effect in lma.effects() if isinstance(effect, Send)]
    assert isinstance(sent, BindingAcknowledgement)
    assert sent.status == 0
    return sent


def codec(octets: list[bytes], reply: BindingAcknowledgement) -> float:
    """Seconds of processor time to decode the PBUs and encode as many answers, with nothing to decide."""
    began = time.process_time()
    for one in octets:
        decode(one, _MAG.address, _LMA.address)
        encode(reply, _LMA.address, _MAG.address)
    return time.process_time() - began


@dataclass(slots=True)
class Rates:
    """The best of short rounds per second: an LMA with 1,000 bindings, a large one, and the codec alone."""

    few: float = 0.0
    many: float = 0.0
    codec: float = 0.0


def compare(large: LocalMobilityAnchor, unknown: Iterator[int], utc: float, rounds: int) -> Rates:
    """The three take turns: the machine may have other things to do.

    Args:
        unknown: Numbers of mobile nodes that the large one does not know, `SAMPLE` apart.
    """
    best, reply = Rates(), answer(utc)
    for number in range(rounds):
        small = anchor()
        register(small, updates(0, 1_000, utc), 0.0, utc)
        some = updates(1_000, SAMPLE, utc)
        best.few = max(best.few, SAMPLE / register(small, some, 0.0, utc))
        best.codec = max(best.codec, SAMPLE / codec(some, reply))
        more = updates(next(unknown), SAMPLE, utc + number)
        best.many = max(best.many, SAMPLE / register(large, more, 0.0, utc + number))
    return best


def measure(bindings: int = MILLION) -> list[dict[str, Any]]:
    """The figures of this room, one row each; on the way up, rates at a few sizes for the plot."""
    utc = 1_790_000_000.0
    lma, unknown = anchor(), count(10 * bindings, SAMPLE)
    before = _resident()
    rows = []
    for first in range(0, bindings, STEP):
        utc += 1.0
        register(lma, updates(first, min(STEP, bindings - first), utc), 0.0, utc)
        if first + STEP in MILESTONES and first + STEP < bindings:
            utc += 1.0
            rows.append(_rate(first + STEP, compare(lma, unknown, utc, ROUNDS // 8)))
            utc += ROUNDS
    # What lives for hours is not to be walked again and again: a node does the same after a restore.
    gc.collect()
    gc.freeze()
    memory, held = float(_resident() - before), len(lma.cache)
    found = compare(lma, unknown, utc + 1.0, ROUNDS)
    assert len(lma.cache) == held + ROUNDS * SAMPLE
    slower = found.few / found.many
    return [
        _rate(1_000, Rates(0.0, found.few, found.codec)),
        *rows,
        _rate(held, found),
        _row("LMA: slow-down from 1,000 bindings on", slower, "ratio", RATIO_BOUND, slower <= RATIO_BOUND),
        _row(f"LMA: memory of {held:,} bindings", memory, "octets", MEMORY_BOUND, memory <= MEMORY_BOUND),
    ]


def _rate(bindings: int, rates: Rates) -> dict[str, Any]:
    name = f"LMA: initial registrations per second, {bindings:,} bindings"
    row = _row(name, rates.many, "1/s", RATE_BOUND, rates.many >= RATE_BOUND)
    return row | {"peer": "decode and encode alone", "peer_value": rates.codec, "ratio": rates.many / rates.codec}


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
