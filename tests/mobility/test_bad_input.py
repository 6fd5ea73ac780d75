"""Whatever arrives: no exception, a counted reason, and the other bindings untouched."""

from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.mobility.crafted import FLAGS, Anchor
from tests.mobility.domain import LMA, MAGS, MN, UTC, Domain
from tests.wire.strategies import message, option_strategies

from p4pmip.mobility.binding import Gre, Phase
from p4pmip.mobility.endpoint import Endpoint
from p4pmip.wire import options as o
from p4pmip.wire.message import BindingAcknowledgement, BindingUpdate, Message
from p4pmip.wire.mobility_header import encode
from p4pmip.wire.numbers import BindingAcknowledgementFlag

_ECHOED = (o.MobileNodeIdentifier, o.HandoffIndicatorOption, o.AccessTechnologyOption, o.LinkLayerIdentifier)
"""What an answer must not have otherwise than it was asked (RFC 5213 §6.9.1.2)."""
answers = st.lists(
    st.one_of(
        st.builds(o.GreKey, st.none() | st.just(7)),
        st.builds(o.HomeNetworkPrefix, st.just(IPv6Address("2001:db8:a000::")), st.sampled_from((0, 56, 64, 128))),
        st.builds(o.IPv4HomeAddressReply, st.sampled_from((0, 128)), st.just(16), st.just(IPv4Address("10.1.0.9"))),
        st.builds(o.IPv4DefaultRouter, st.just(IPv4Address("10.1.0.1"))),
        *(option_strategies[kind] for kind in option_strategies if kind not in _ECHOED),
    ),
    max_size=6,
)


@pytest.mark.requirement("OUR-INPUT-1")
@settings(max_examples=150)
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
@settings(max_examples=150)
@given(st.lists(st.one_of(st.binary(max_size=80), message), max_size=8), st.booleans())
def test_nothing_that_arrives_at_a_mag_raises(arrivals: list[bytes | Message], known: bool) -> None:
    domain = Domain()
    domain.attach(0)
    domain.run(0.5)
    before = list(domain.mag(0).sessions())
    source = Endpoint(LMA if known else IPv6Address("2001:db8:bad::1"))
    domain.by_address[source.address] = domain.lma
    for arrival in arrivals:
        octets = arrival if isinstance(arrival, bytes) else encode(arrival, source.address, MAGS[0])
        domain.mag(0).receive(octets, source, Endpoint(MAGS[0]), domain.now, domain.utc)
        domain.carry_out()
    assert known or list(domain.mag(0).sessions()) == before


@pytest.mark.requirement("OUR-INPUT-1")
@settings(max_examples=150)
@given(st.lists(st.tuples(st.integers(0, 255), st.integers(0, 255), st.sampled_from((0, 1, 900)), answers), max_size=6))
def test_whatever_the_lma_answers_the_mag_goes_on(replies: list[tuple[int, int, int, list[o.Option]]]) -> None:
    """Acknowledgements that match, of any status and with any options: what is served is what the switch holds."""
    domain = Domain()
    domain.loss = lambda send: []
    domain.attach(0)
    for status, flags, lifetime, options in replies:
        asked = [send.message for send in domain.sent if isinstance(send.message, BindingUpdate)][-1]
        options = [o.MobileNodeIdentifier.nai(MN), *options]
        answer = BindingAcknowledgement(
            status, BindingAcknowledgementFlag(flags | 0x20), asked.sequence, lifetime, tuple(options)
        )
        octets = encode(answer, LMA, MAGS[0])
        domain.mag(0).receive(octets, Endpoint(LMA), Endpoint(MAGS[0]), domain.now, domain.utc)
        domain.run(1.5)
    domain.run(100)
    node = domain.mags[0]
    assert node.switch == {session.session_id: session for session in node.engine.sessions()}
    assert {int(key) for kind, key in node.journal if kind == "session"} == set(node.switch)
    assert set(node.served) <= {one.session_id for one in node.switch.values() if one.phase is Phase.ACTIVE}


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
