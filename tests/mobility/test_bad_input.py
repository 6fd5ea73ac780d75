"""Whatever arrives: no exception, a counted reason, and the other bindings untouched."""

from ipaddress import IPv6Address

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.mobility.crafted import FLAGS, Anchor
from tests.mobility.domain import LMA, MAGS, UTC, Domain
from tests.wire.strategies import message

from p4pmip.mobility.binding import Gre
from p4pmip.mobility.endpoint import Endpoint
from p4pmip.wire import options as o
from p4pmip.wire.message import BindingUpdate, Message
from p4pmip.wire.mobility_header import encode


@pytest.mark.requirement("OUR-INPUT-1")
@settings(max_examples=300)
@given(st.lists(st.one_of(st.binary(max_size=80), message), max_size=8), st.booleans())
def test_nothing_that_arrives_at_an_lma_raises_or_touches_another_binding(
    arrivals: list[bytes | Message], known: bool
) -> None:
    lma = Anchor()
    lma.ask(mn=b"bystander@a.example", gre=Gre.KEYED, ipv4="0.0.0.0")
    before = lma.only()
    source = Endpoint(MAGS[1] if known else IPv6Address("2001:db8:bad::1"))
    for arrival in arrivals:
        octets = arrival if isinstance(arrival, bytes) else encode(arrival, source.address, LMA)
        seen = sum(lma.engine.counters.values())
        lma.engine.receive(octets, source, Endpoint(LMA), lma.now, lma.utc)
        lma.settle()
        assert sum(lma.engine.counters.values()) > seen
    assert before in lma.sessions()


@pytest.mark.requirement("R5213-6.9.1.2-2", "OUR-INPUT-1")
@settings(max_examples=300)
@given(st.lists(st.one_of(st.binary(max_size=80), message), max_size=8))
def test_nothing_that_arrives_at_a_mag_raises(arrivals: list[bytes | Message]) -> None:
    domain = Domain()
    domain.attach(0)
    domain.run(0.5)
    before = list(domain.mag(0).sessions())
    stranger = Endpoint(IPv6Address("2001:db8:bad::1"))
    for arrival in arrivals:
        octets = arrival if isinstance(arrival, bytes) else encode(arrival, stranger.address, MAGS[0])
        domain.mag(0).receive(octets, stranger, Endpoint(MAGS[0]), domain.now, domain.utc)
        domain.by_address[stranger.address] = domain.lma
        domain.carry_out()
    assert list(domain.mag(0).sessions()) == before


@pytest.mark.requirement("OUR-INPUT-1")
def test_a_request_so_long_that_no_answer_fits_is_counted() -> None:
    lma = Anchor()
    prefix = o.HomeNetworkPrefix(IPv6Address("2001:db8:dead::"), 64)
    mn = o.MobileNodeIdentifier.nai(b"x" * 4 + b"@a.example")
    octets = encode(BindingUpdate(1, FLAGS, 900, (mn, *(prefix,) * 84)), MAGS[0], LMA)
    assert len(octets) == 2048
    lma.engine.receive(octets, Endpoint(MAGS[0]), Endpoint(LMA), 0.0, UTC)
    assert not lma.settle()
    assert lma.engine.counters == {"status_161": 1, "unsendable": 1}
    assert not lma.sessions()
