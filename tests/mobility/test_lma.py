"""The LMA: the steps of RFC 5213 §5.3 with crafted PBUs."""

from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Any

import pytest
from tests.mobility.crafted import ANY, FLAGS, LL, Anchor, option, options, status
from tests.mobility.domain import DIRECTORY, LMA, MAGS, MN, REALM, UTC, lma_config, lma_peers, realms

from p4pmip.mobility.binding import Granularity, Gre, Phase
from p4pmip.mobility.config import ConfigError, Directory, GrePolicy, Peer, Profile, Realm
from p4pmip.mobility.dialects import Dialect
from p4pmip.mobility.effects import Install, ParameterProblem, Send
from p4pmip.mobility.endpoint import Endpoint
from p4pmip.mobility.reconfigure import reconfigure
from p4pmip.wire import options as o
from p4pmip.wire.message import BindingError, BindingUpdate, UnknownMessage
from p4pmip.wire.mobility_header import encode, with_checksum
from p4pmip.wire.numbers import BindingUpdateFlag

NO_SUCH = b"mn@nowhere.example"
OFF = b"off@a.example"
PREFIX = "2001:db8:a000::/64"
SKEWED = UTC + 3600

# --- §5.3.1: the steps, in their order ------------------------------------------------------------------------------

FAULTS: list[tuple[int, dict[str, Any]]] = [
    (160, {"mn": None}),
    (154, {"mag": Endpoint(IPv6Address("2001:db8:ffff::1"))}),
    (153, {"mn": NO_SUCH}),
    (152, {"mn": OFF}),
    (156, {"stamp": SKEWED}),
    (158, {"prefixes": ()}),
    (161, {"hi": None}),
    (162, {"att": None}),
    (155, {"prefixes": ("2001:db8:dead::/64",)}),
]


def stepwise() -> Anchor:
    domains = DIRECTORY.domains
    return Anchor(directory=Directory({OFF: Profile("operator-a", proxy_registration=False)}, domains))


@pytest.mark.requirement(
    "R5213-5.3.1-4",
    "R5213-5.3.1-5",
    "R5213-5.3.1-6",
    "R5213-5.3.1-7",
    "R5213-5.3.1-8",
    "R5213-5.3.1-9",
    "R5213-5.3.1-10",
    "R5213-5.3.1-11",
    "R5213-6.2-1",
    "R5844-3.1.2.1-2",
)
@pytest.mark.parametrize(("code", "fault"), FAULTS, ids=[str(code) for code, _ in FAULTS])
def test_each_step_has_its_status_and_changes_nothing(code: int, fault: dict[str, Any]) -> None:
    lma = stepwise()
    assert status(lma.ask(**fault)) == code
    assert not lma.sessions()
    assert not lma.installs
    assert lma.engine.counters[f"status_{code}"] == 1


@pytest.mark.requirement("R5213-5.3-1")
def test_of_two_faults_the_earlier_step_decides() -> None:
    for first, (code, fault) in enumerate(FAULTS):
        for later, other in FAULTS[first + 1 :]:
            if not fault.keys() & other.keys():
                assert status(stepwise().ask(**{**other, **fault})) == code, (code, later)


@pytest.mark.requirement("R5213-5.3.1-2", "R6275-9.2-1", "R6275-9.2-2", "R6275-9.2-3", "R6275-9.2-4", "R5846-6.2-1")
def test_what_is_no_good_as_a_mobility_header() -> None:
    lma = Anchor()
    good = encode(BindingUpdate(1, FLAGS, 900, options(stamp=UTC)), MAGS[0], LMA)
    spoilt = bytes((*good[:4], good[4] ^ 1, *good[5:]))
    assert not lma.send(UnknownMessage(1, b""), octets=spoilt)
    assert lma.outcomes == ["bad_checksum"]
    (error,) = lma.send(UnknownMessage(99, bytes(2)))
    assert isinstance(error, BindingError)
    assert error.status == 2
    for octets, pointer in (
        (bytes((58, *good[1:4], 0, 0, *good[6:])), 0),
        (bytes((59, 0, *good[2:4], 0, 0, *good[6:8])), 1),
    ):
        lma.log.clear()
        assert not lma.send(UnknownMessage(1, b""), octets=with_checksum(bytearray(octets), MAGS[0], LMA))
        assert [effect.pointer for effect in lma.log if isinstance(effect, ParameterProblem)] == [pointer]
    assert not lma.sessions()


@pytest.mark.requirement("R6275-9.3.3-1", "R6275-9.3.3-2", "R6275-9.3.3-3")
def test_errors_are_told_to_single_nodes_and_not_too_often() -> None:
    lma = Anchor()
    unknown = UnknownMessage(99, bytes(2))
    assert not lma.send(unknown, Endpoint(IPv6Address("ff02::1")))
    assert not lma.send(unknown, Endpoint(IPv6Address("::")))
    assert sum(len(lma.send(unknown)) for _ in range(25)) == 10
    lma.wait(1.0)
    (error,) = lma.send(unknown)
    assert error == BindingError(2, IPv6Address(0))
    assert lma.engine.counters["error_rate_limited"] == 15


@pytest.mark.requirement("R6275-6.1.7-1")
@pytest.mark.parametrize("care_of", ["ff02::1", "::", "::1", "fe80::1"])
def test_a_care_of_address_that_is_no_nodes_is_dropped_in_silence(care_of: str) -> None:
    lma = Anchor()
    assert lma.ask(care_of=IPv6Address(care_of)) is None
    assert lma.outcomes == ["ignored_bad_care_of_address"]
    assert not lma.sessions()


@pytest.mark.requirement("R6275-10.3.1-3")
def test_a_pbu_is_answered_whether_it_asks_for_that_or_not() -> None:
    assert status(Anchor().ask(flags=BindingUpdateFlag.P)) == 0


def test_no_octets_make_it_raise() -> None:
    lma = Anchor()
    good = encode(BindingUpdate(1, FLAGS, 900, options(stamp=UTC, gre=Gre.KEYED, ipv4="0.0.0.0")))
    over_udp = Endpoint(IPv4Address("192.0.2.1"), 5436)
    for end in range(len(good)):
        lma.send(UnknownMessage(1, b""), over_udp, Endpoint(IPv4Address("192.0.2.9"), 5436), good[:end])
    for at in range(len(good)):
        for bit in range(8):
            octets = bytearray(good)
            octets[at] ^= 1 << bit
            lma.send(UnknownMessage(1, b""), over_udp, Endpoint(IPv4Address("192.0.2.9"), 5436), bytes(octets))
    assert not lma.sessions()


@pytest.mark.requirement("R5213-8.1-1")
def test_a_binding_update_that_is_no_proxy_binding_update_is_ignored() -> None:
    lma = Anchor()
    assert lma.ask(flags=BindingUpdateFlag.A) is None
    assert lma.outcomes == ["ignored_not_for_lma"]


@pytest.mark.requirement("R5213-4-2", "R5213-4-3", "R5213-5.3.1-5")
def test_a_mag_may_be_confined_to_realms() -> None:
    lma = Anchor(peers=lma_peers(realms=frozenset({"operator-b"})))
    assert status(lma.ask(mn=MN)) == 154
    assert status(lma.ask(mn=b"x@b.example")) == 0


def test_any_mag_where_any_may_come() -> None:
    lma = Anchor(peers=(), any_mag=Peer(IPv6Address("::")))
    assert status(lma.ask()) == 0
    assert lma.engine.peers[MAGS[0]].sessions == 1


# --- §5.3.2 to §5.3.5 ------------------------------------------------------------------------------------------------


@pytest.mark.requirement("R5213-5.3.1-3", "R5213-5.3.1-12", "R5213-5.3.2-1", "R5213-5.3.2-5", "R5213-5.3.2-7")
def test_an_initial_registration_allocates_a_prefix_and_makes_an_entry() -> None:
    lma = Anchor()
    answer = lma.ask()
    assert status(answer) == 0
    session = lma.only()
    assert session.phase is Phase.ACTIVE
    assert option(answer, o.HomeNetworkPrefix).address == session.binding.prefixes[0].network_address
    assert answer is not None
    assert answer.lifetime == 900


@pytest.mark.requirement("R5213-5.2-1", "R5213-5.3.2-1", "R5213-5.3.6-4", "R5213-5.4-2")
def test_several_prefixes_per_session() -> None:
    lma = Anchor(directory=Directory(domains={b"a.example": Profile("operator-a", prefix_count=3)}))
    answer = lma.ask()
    assert answer is not None
    granted = [one for one in answer.options if isinstance(one, o.HomeNetworkPrefix)]
    assert len({one.address for one in granted}) == 3
    assert len(lma.only().prefixes) == 3


@pytest.mark.requirement("R5213-5.3.2-3")
def test_no_prefix_left_is_130_and_changes_nothing() -> None:
    realm = Realm("operator-a", prefix_pool=IPv6Network("2001:db8:a000::/63"))
    lma = Anchor(realms={"operator-a": realm}, directory=Directory(domains={b"a.example": Profile("operator-a")}))
    for number in range(2):
        assert status(lma.ask(mn=b"%d@a.example" % number)) == 0
    before = lma.sessions()
    assert status(lma.ask(mn=b"2@a.example")) == 130
    assert lma.sessions() == before
    lma.ask(mn=b"0@a.example", lifetime=0, prefixes=(str(before[0].binding.prefixes[0]),))
    lma.wait(11)
    assert status(lma.ask(mn=b"2@a.example")) == 0


@pytest.mark.requirement("R5213-4-2", "R5213-5.3.2-4", "R5213-6.2-1")
def test_a_prefix_that_is_asked_for_must_be_ours_free_and_not_another_nodes() -> None:
    static = IPv6Network("2001:db8:a00f::/64")
    directory = Directory({b"s@a.example": Profile("operator-a", prefixes=(static,))}, DIRECTORY.domains)
    lma = Anchor(directory=directory)
    assert status(lma.ask(prefixes=(PREFIX,))) == 0
    assert status(lma.ask(mn=b"2@a.example", prefixes=(PREFIX,))) == 155
    assert status(lma.ask(mn=b"3@a.example", prefixes=(str(static),))) == 155
    assert status(lma.ask(mn=b"4@a.example", prefixes=("2001:db8:a000:8000::/65",))) == 155
    assert status(lma.ask(mn=b"s@a.example")) == 0
    assert lma.sessions()[-1].binding.prefixes == (static,)


@pytest.mark.requirement(
    "R5213-5.3.3-1", "R5213-5.3.3-2", "R6275-6.1.7-2", "R6275-10.3.1-1", "R6275-10.3.1-2", "R6275-10.3.1-4"
)
def test_a_refresh_extends_and_the_granted_lifetime_is_no_longer_than_asked() -> None:
    lma = Anchor(lifetime=400)
    answer = lma.ask(lifetime=10)
    assert answer is not None
    assert answer.lifetime == 10
    lma.wait(30)
    answer = lma.ask(lifetime=1000, hi=5, prefixes=(PREFIX,))
    assert answer is not None
    assert answer.lifetime == 100
    lma.wait(390)
    assert len(lma.sessions()) == 1
    lma.wait(20)
    assert not lma.sessions()
    assert lma.engine.counters["binding_expired"] == 1


@pytest.mark.requirement("R5213-5.3.4-1", "R5213-5.3.4-3", "R5213-5.3.4-4", "R5213-6.11-1", "OUR-TUNNEL-1")
def test_a_handoff_moves_the_tunnel_and_keeps_the_session() -> None:
    lma = Anchor()
    lma.ask(0)
    before = lma.only()
    tunnel = IPv6Address("2001:db8:0:3::99")
    answer = lma.ask(1, care_of=tunnel, hi=3)
    assert status(answer) == 0
    after = lma.only()
    assert (after.session_id, after.prefixes) == (before.session_id, before.prefixes)
    assert after.binding.tunnel.peer == tunnel
    assert lma.sent[-1].destination == Endpoint(MAGS[1])
    assert lma.installs[-1].old == before.binding
    assert lma.installs[-1].new == after.binding


@pytest.mark.requirement("R5213-5.3.1-13")
def test_the_alternate_care_of_address_tells_a_refresh_from_a_handoff() -> None:
    lma = Anchor()
    tunnel = IPv6Address("2001:db8:0:3::99")
    lma.ask(0, care_of=tunnel)
    lma.ask(1, care_of=tunnel, hi=5)
    assert lma.outcomes == ["accepted_initial", "accepted_refresh"]


@pytest.mark.requirement(
    "D00-5.2-6",
    "R5845-5.2-7",
    "R5213-5.3.5-2",
    "R5213-5.3.5-3",
    "R5213-5.3.5-4",
    "R5213-5.3.5-6",
    "R6275-6.1.7-2",
    "R5844-3.1.2.5-1",
)
def test_deregistration_holds_the_entry_and_then_lets_everything_go() -> None:
    lma = Anchor(min_delay_before_bce_delete=0.5)
    lma.ask(gre=Gre.KEYED)
    session = lma.only()
    answer = lma.ask(lifetime=0, prefixes=(PREFIX,), gre=Gre.KEYED, hi=4)
    assert status(answer) == 0
    assert answer is not None
    assert answer.lifetime == 0
    assert lma.only().phase is Phase.HELD
    assert lma.only().uplink_key == session.uplink_key
    lma.wait(0.4)
    assert lma.only().prefixes == session.prefixes
    lma.wait(0.2)
    assert not lma.sessions()
    assert lma.installs[-1].new is None
    assert not lma.engine.cache.prefixes
    assert lma.engine.keys.allocator.resting == 1


@pytest.mark.requirement("R5845-3.3.2-1", "R5213-5.3.5-5")
@pytest.mark.parametrize("mag", [0, 1])
def test_a_pbu_during_the_hold_revives_the_session_with_its_keys(mag: int) -> None:
    lma = Anchor()
    lma.ask(gre=Gre.KEYED)
    before = lma.only()
    lma.ask(lifetime=0, prefixes=(PREFIX,), hi=4)
    lma.wait(5)
    answer = lma.ask(mag, gre=Gre.KEYED, key=9, hi=3)
    assert option(answer, o.GreKey).key == before.uplink_key
    lma.wait(20)
    after = lma.only()
    assert (after.session_id, after.prefixes, after.phase) == (before.session_id, before.prefixes, Phase.ACTIVE)


@pytest.mark.requirement("R5213-5.3.5-1")
def test_a_mag_that_no_longer_serves_deregisters_into_silence() -> None:
    lma = Anchor()
    lma.ask(0)
    lma.ask(1, hi=3)
    before = lma.only()
    assert lma.ask(0, lifetime=0, prefixes=(PREFIX,)) is None
    assert lma.only() == before
    assert lma.outcomes[-1] == "ignored_stale_deregistration"


@pytest.mark.requirement("R5213-5.3.5-3")
def test_a_deregistration_is_answered_again_without_a_longer_hold() -> None:
    lma = Anchor()
    lma.ask()
    assert status(lma.ask(lifetime=0, prefixes=(PREFIX,))) == 0
    assert status(lma.ask(lifetime=0, prefixes=(PREFIX,), step=6)) == 0
    lma.wait(4.1)
    assert not lma.sessions()


# --- §5.3.6: the PBA -------------------------------------------------------------------------------------------------


@pytest.mark.requirement(
    "R5213-5.3.1-14", "R5213-5.3.6-2", "R5213-5.3.6-5", "R5213-5.3.6-6", "R5213-5.3.6-7", "R5213-5.5-1", "R5213-5.5-10"
)
def test_a_success_echoes_what_it_was_asked_with() -> None:
    lma = Anchor()
    answer = lma.ask()
    assert option(answer, o.MobileNodeIdentifier) == o.MobileNodeIdentifier.nai(MN)
    assert option(answer, o.HandoffIndicatorOption).indicator == 1
    assert option(answer, o.AccessTechnologyOption).technology == 3
    assert option(answer, o.LinkLayerIdentifier).identifier == LL
    assert option(answer, o.Timestamp) == o.Timestamp.from_utc(lma.utc)
    assert option(answer, o.LinkLocalAddress) is None
    bare = lma.ask(mn=b"2@a.example", ll=None, stamped=False)
    assert option(bare, o.LinkLayerIdentifier) is None
    assert option(bare, o.Timestamp) is None


@pytest.mark.requirement("R5213-5.3.1-4", "R5213-5.3.1-14", "R5213-5.3.6-2", "R5213-5.3.6-3", "R5213-5.3.6-5")
def test_a_refusal_has_all_that_a_pba_must_have() -> None:
    lma = Anchor()
    answer = lma.ask(mn=None, prefixes=(), hi=None, att=None)
    assert option(answer, o.MobileNodeIdentifier) == o.MobileNodeIdentifier(1, b"")
    assert option(answer, o.HomeNetworkPrefix).address == IPv6Address(0)
    assert option(answer, o.HandoffIndicatorOption).indicator == 0
    assert option(answer, o.AccessTechnologyOption).technology == 0
    assert answer is not None
    assert answer.lifetime == 0
    two = ("2001:db8:dead::/64", "2001:db8:beef::/64")
    answer = lma.ask(prefixes=two)
    assert answer is not None
    echoed = [f"{one.address}/{one.length}" for one in answer.options if isinstance(one, o.HomeNetworkPrefix)]
    assert echoed == list(two)


@pytest.mark.requirement("R5213-5.3.6-8", "R5213-5.3.6-9", "R5213-5.3.6-10")
def test_the_link_local_address_in_its_four_cases() -> None:
    lma = Anchor()
    zero, own = o.LinkLocalAddress(IPv6Address(0)), o.LinkLocalAddress(IPv6Address("fe80::99"))
    made = option(lma.ask(extra=(zero,)), o.LinkLocalAddress).address
    assert made.is_link_local
    assert lma.only().link_local == made
    assert option(lma.ask(1, extra=(zero,), hi=3), o.LinkLocalAddress).address == made
    assert option(lma.ask(1, extra=(own,), hi=5), o.LinkLocalAddress).address == own.address
    assert lma.only().link_local == own.address
    refused = lma.ask(mn=NO_SUCH, extra=(own,))
    assert option(refused, o.LinkLocalAddress) == own


@pytest.mark.requirement("R5213-5.3.6-10")
def test_a_deregistration_has_the_link_local_address_that_it_names() -> None:
    lma = Anchor()
    lma.ask(extra=(o.LinkLocalAddress(IPv6Address("fe80::99")),))
    other = o.LinkLocalAddress(IPv6Address("fe80::77"))
    assert option(lma.ask(lifetime=0, prefixes=(PREFIX,), extra=(other,)), o.LinkLocalAddress) == other
    assert lma.only().link_local == other.address


@pytest.mark.requirement("R5213-5.3.6-1")
def test_the_answer_goes_back_the_way_that_the_pbu_came() -> None:
    lma = Anchor()
    for details in ({}, {"mn": NO_SUCH}, {"care_of": IPv6Address("2001:db8:0:2::77")}):
        assert lma.ask(2, **details) is not None
        assert (lma.sent[-1].source, lma.sent[-1].destination) == (Endpoint(LMA), Endpoint(MAGS[2]))


@pytest.mark.requirement("R5213-8.1-2", "R6275-6.2.1-1")
def test_an_option_that_nobody_knows_is_skipped() -> None:
    unknown = (o.UnknownOption(200, b"what?"), o.ServiceSelection(b"internet"), o.VendorSpecific(1, 2, b""))
    lma = Anchor()
    answer = lma.ask(extra=unknown)
    assert status(answer) == 0
    assert option(answer, o.UnknownOption) is None


@pytest.mark.requirement("R5213-5.1-1", "R5213-5.1-2", "R5213-5.1-3", "R5213-5.3.2-5", "R5213-5.3.6-9")
def test_what_an_entry_holds() -> None:
    lma = Anchor()
    lma.ask(extra=(o.LinkLocalAddress(IPv6Address(0)),))
    session = lma.only()
    assert (session.mn, session.technology, session.link_layer) == (MN, 3, LL)
    assert session.link_local is not None
    assert session.binding.prefixes == (IPv6Network(PREFIX),)
    assert session.binding.tunnel.peer == MAGS[0]
    assert session.timestamp == o.Timestamp.from_utc(lma.utc).value
    lma.ask(mn=b"2@a.example", ll=None, stamped=False)
    bare = lma.sessions()[1]
    assert (bare.link_layer, bare.timestamp, bare.sequence) == (b"", 0, lma.sequence)


# --- §5.5: order -----------------------------------------------------------------------------------------------------


@pytest.mark.requirement(
    "R5213-5.5-1", "R5213-5.5-2", "R5213-5.5-4", "R5213-5.5-6", "R5213-5.5-7", "R5213-5.5-8", "R5213-5.5-9"
)
def test_timestamps() -> None:
    lma = Anchor()
    assert status(lma.ask(stamp=UTC + 0.2)) == 0
    assert status(lma.ask(stamp=UTC + 0.2)) == 156
    lower = lma.ask(stamp=UTC + 0.1)
    assert status(lower) == 157
    assert option(lower, o.Timestamp) == o.Timestamp.from_utc(lma.utc)
    lma.now = 10.0
    for skew, code in ((-0.301, 156), (-0.299, 0), (0.299, 0), (0.301, 156)):
        answer = lma.ask(step=1.0, stamp=UTC + lma.now + 1.0 + skew)
        assert status(answer) == code, skew
        mine = o.Timestamp.from_utc(lma.utc if code else lma.utc + skew)
        assert option(answer, o.Timestamp) == mine
        assert answer is not None
        assert answer.sequence == lma.sequence


@pytest.mark.requirement("R5213-5.5-5", "R5213-9.3-2")
def test_stamps_that_mobile_nodes_make_have_no_window() -> None:
    lma = Anchor(mobile_node_generated_timestamp_in_use=True)
    assert status(lma.ask(stamp=UTC - 1000)) == 0
    assert status(lma.ask(stamp=UTC - 999)) == 0
    assert status(lma.ask(stamp=UTC - 1000)) == 157
    with pytest.raises(ConfigError, match="needs timestamps"):
        lma_config(mobile_node_generated_timestamp_in_use=True, timestamp_based_approach_in_use=False)


@pytest.mark.requirement("R5213-5.5-3", "R6275-10.3.1-4")
def test_a_timestamp_makes_the_sequence_number_meaningless() -> None:
    lma = Anchor()
    for sequence in (9, 9, 3, 65535, 0):
        answer = lma.ask(sequence=sequence)
        assert status(answer) == 0
        assert answer is not None
        assert answer.sequence == sequence


@pytest.mark.requirement("R5213-5.5-10", "R5213-5.5-11", "R6275-9.5.1-1", "R6275-9.5.1-2", "R6275-9.5.1-3")
@pytest.mark.parametrize(
    ("last", "sequence", "good"),
    [
        (10, 11, True),
        (10, 10, False),
        (10, 9, False),
        (65535, 0, True),
        (0, 65535, False),
        (10, 10 + 32767, True),
        (10, 10 + 32768, False),
        (10, 10 + 32769, False),
    ],
)
def test_sequence_numbers_count_modulo_65536(last: int, sequence: int, good: bool) -> None:
    lma = Anchor()
    assert status(lma.ask(sequence=last, stamped=False)) == 0
    answer = lma.ask(sequence=sequence, stamped=False)
    assert status(answer) == (0 if good else 135)
    assert answer is not None
    assert answer.sequence == (sequence if good else last)


@pytest.mark.requirement("R5213-5.5-6")
def test_a_replay_does_not_bring_back_a_deleted_session() -> None:
    lma = Anchor(min_delay_before_bce_delete=0.0)
    stamp = UTC + 0.25
    lma.ask(stamp=stamp - 0.1)
    assert status(lma.ask(lifetime=0, prefixes=(PREFIX,), stamp=stamp)) == 0
    lma.wait(0.01)
    assert not lma.sessions()
    assert status(lma.ask(stamp=stamp - 0.1)) == 157
    lma.wait(1.0)
    assert not lma.engine._stamps


# --- the world may refuse, and may be slow ---------------------------------------------------------------------------


@pytest.mark.requirement("R5213-5.3.2-6", "OUR-PENDING-1")
def test_no_success_before_the_switch_and_the_journal_have_it() -> None:
    lma = Anchor()
    lma.hold = True
    assert lma.ask() is None
    assert len(lma.tickets) == 1
    (answer,) = lma.answer()
    assert status(answer) == 0  # type: ignore[arg-type]


@pytest.mark.requirement("OUR-PENDING-2")
def test_a_refused_initial_registration_leaves_nothing() -> None:
    lma = Anchor()
    lma.refuse = True
    assert status(lma.ask(gre=Gre.KEYED, ipv4="0.0.0.0")) == 130
    assert not lma.sessions()
    assert not lma.engine.cache.prefixes
    assert not any(lma.engine.cache.ipv4.values())
    assert not lma.engine.cache.sessions
    assert "install_refused" in lma.alarms


@pytest.mark.requirement("OUR-PENDING-2")
def test_a_refused_handoff_leaves_the_entry_as_it_was() -> None:
    lma = Anchor()
    lma.ask(0, gre=Gre.KEYED, ipv4="0.0.0.0")
    before, deadline = lma.only(), lma.engine.next_timer()
    lma.refuse = True
    assert status(lma.ask(1, gre=Gre.KEYED, key=99, hi=3, ipv4="0.0.0.0", lifetime=5)) == 130
    assert lma.only() == before
    assert lma.engine.next_timer() == deadline
    lma.refuse = False
    assert status(lma.ask(1, gre=Gre.KEYED, key=99, hi=3, ipv4="0.0.0.0")) == 0


PENDING = [
    ("initial", {}, {"hi": 1}, "accepted_refresh", 0),
    ("initial", {}, {"mag": 1, "hi": 3}, "accepted_handoff", 0),
    ("initial", {}, {"lifetime": 0, "hi": 4}, "accepted_deregistration", 0),
    ("refresh", {"hi": 5}, {"mag": 1, "hi": 3}, "accepted_handoff", 0),
    ("refresh", {"hi": 5}, {"lifetime": 0, "hi": 4}, "accepted_deregistration", 0),
    ("handoff", {"mag": 1, "hi": 3}, {"mag": 1, "hi": 5}, "accepted_refresh", 0),
    ("handoff", {"mag": 1, "hi": 3}, {"mag": 0, "lifetime": 0}, "accepted_deregistration", 0),
    ("handoff", {"mag": 1, "hi": 3}, {"mag": 2, "lifetime": 0}, "ignored_stale_deregistration", None),
    ("deregistration", {"lifetime": 0}, {"hi": 3}, "accepted_refresh", 0),
    ("deregistration", {"lifetime": 0}, {"mag": 1, "hi": 3}, "accepted_handoff", 0),
]


@pytest.mark.requirement("OUR-PENDING-3")
@pytest.mark.parametrize(("pending", "first", "second", "outcome", "code"), PENDING)
def test_what_a_second_pbu_does_to_a_pending_binding(
    pending: str, first: dict[str, Any], second: dict[str, Any], outcome: str, code: int | None
) -> None:
    lma = Anchor()
    if pending != "initial":
        lma.ask()
    lma.hold = True
    assert lma.ask(**first) is None
    assert lma.ask(**second) is None
    assert lma.outcomes[-1] == "waiting"
    assert len(lma.tickets) == 1
    messages = lma.answer()
    assert lma.outcomes[-1] == outcome
    assert len(messages) == (1 if code is None else 2)
    assert len(lma.sessions()) == 1


@pytest.mark.requirement("OUR-PENDING-3")
def test_a_retransmission_takes_the_place_of_the_one_that_waits() -> None:
    lma = Anchor()
    lma.hold = True
    for _ in range(4):
        assert lma.ask(step=1.0) is None
    assert lma.outcomes[1:] == ["waiting", "waiting_superseding", "waiting_superseding"]
    assert [message.sequence for message in lma.answer()] == [1, 4]  # type: ignore[union-attr]


@pytest.mark.requirement("OUR-PENDING-3")
def test_a_pbu_that_waited_for_a_refused_one_is_judged_by_what_is_left() -> None:
    lma = Anchor()
    lma.hold = True
    lma.ask()
    lma.ask()
    messages = lma.answer(refuse=True)
    assert [status(message) for message in messages] == [130, 0]  # type: ignore[arg-type]
    assert lma.outcomes[-1] == "accepted_initial"


@pytest.mark.requirement("OUR-PENDING-3")
def test_a_pbu_that_waited_for_a_deletion_starts_a_session() -> None:
    lma = Anchor(min_delay_before_bce_delete=0.0)
    lma.ask()
    lma.ask(lifetime=0, prefixes=(PREFIX,))
    lma.hold = True
    lma.wait(0.1)
    assert lma.ask() is None
    lma.answer()
    assert lma.outcomes[-1] == "accepted_initial"
    assert len(lma.sessions()) == 1


@pytest.mark.requirement("R6275-10.3.1-2")
def test_a_lifetime_that_ends_while_a_refused_refresh_is_pending_ends_the_session() -> None:
    lma = Anchor()
    lma.ask(lifetime=1)
    lma.hold = True
    lma.wait(3.9)
    lma.ask(hi=5, lifetime=900)
    lma.wait(1.0)
    assert len(lma.sessions()) == 1
    lma.answer(refuse=True)
    assert not lma.sessions()


def test_nobody_can_refuse_an_end() -> None:
    lma = Anchor(min_delay_before_bce_delete=0.0)
    lma.ask()
    lma.refuse = True
    assert status(lma.ask(lifetime=0, prefixes=(PREFIX,))) == 0
    lma.wait(1)
    assert not lma.sessions()
    assert lma.alarms == ["install_refused", "install_refused"]


def test_an_unknown_ticket_is_counted() -> None:
    lma = Anchor()
    lma.engine.installed(99, 0.0, UTC)
    lma.engine.refused(99, "why", 0.0, UTC)
    assert lma.engine.counters["unknown_ticket"] == 2


# --- RFC 5844 --------------------------------------------------------------------------------------------------------


def ipv4_anchor(**changes: object) -> Anchor:
    profiles = {
        b"6@a.example": Profile("operator-a", ipv4=False),
        b"4@a.example": Profile("operator-a", ipv6=False),
        b"s@a.example": Profile("operator-a", ipv4_home_address=IPv4Address("10.1.7.7")),
    }
    return Anchor(directory=Directory(profiles, DIRECTORY.domains), **changes)


@pytest.mark.requirement(
    "R5844-3.1.2.1-1",
    "R5844-3.1.2.1-8",
    "R5844-3.1.2.2-1",
    "R5844-3.1.2.2-4",
    "R5844-3.1.2.2-6",
    "R5844-3.1.2.6-2",
    "R5844-3.1.2.6-4",
    "R5844-3.1.2.6-5",
    "R5844-3.2.3.2-9",
)
def test_an_ipv4_home_address_is_allocated_with_its_router() -> None:
    lma = ipv4_anchor(dhcp_server=False)
    answer = lma.ask(prefixes=(), ipv4="0.0.0.0")
    reply = option(answer, o.IPv4HomeAddressReply)
    assert (reply.status, reply.prefix_length, reply.address) == (0, 16, IPv4Address("10.1.0.2"))
    assert option(answer, o.IPv4DefaultRouter).address == IPv4Address("10.1.0.1")
    assert option(answer, o.IPv4DhcpSupportMode).server is False
    assert option(answer, o.HomeNetworkPrefix) is None
    assert option(lma.ask(mn=b"s@a.example", ipv4="0.0.0.0"), o.IPv4HomeAddressReply).address == IPv4Address("10.1.7.7")


@pytest.mark.requirement(
    "R5844-3.1.2.1-3", "R5844-3.1.2.1-4", "R5844-3.1.2.1-5", "R5844-3.1.2.2-2", "R5844-3.1.2.6-3", "R5844-3.2.2-1"
)
@pytest.mark.parametrize(
    ("details", "code", "reply"),
    [
        ({"mn": b"6@a.example", "ipv4": "0.0.0.0"}, 170, 129),
        ({"mn": b"4@a.example", "ipv4": "0.0.0.0"}, 172, 128),
        ({"ipv4": "10.1.7.7"}, 171, 129),
        ({"ipv4": "10.9.0.1"}, 171, 129),
        ({"mn": b"s@a.example", "ipv4": "10.1.0.9"}, 171, 129),
        ({"ipv4": "0.0.0.0", "extra": (o.IPv4HomeAddressRequest(IPv4Address(0), 16),)}, 173, 128),
    ],
)
def test_ipv4_refusals(details: dict[str, Any], code: int, reply: int) -> None:
    lma = ipv4_anchor()
    answer = lma.ask(**details)
    assert status(answer) == code
    assert option(answer, o.IPv4HomeAddressReply).status == reply
    assert not lma.sessions()


@pytest.mark.requirement("R5844-3.1.2.2-3")
def test_no_ipv4_address_left_is_130_and_the_prefix_is_free_again() -> None:
    realm = replace(REALM, ipv4_pool=IPv4Network("10.1.0.0/30"))
    directory = Directory(domains={b"a.example": Profile("operator-a")})
    lma = Anchor(realms={"operator-a": realm}, directory=directory)
    assert status(lma.ask(ipv4="0.0.0.0")) == 0
    answer = lma.ask(mn=b"2@a.example", ipv4="0.0.0.0")
    assert status(answer) == 130
    assert option(answer, o.IPv4HomeAddressReply).status == 128
    assert list(lma.engine.cache.prefixes.values()) == [lma.engine.cache.of(MN)[0]]


@pytest.mark.requirement("R5844-3.1.2.1-9", "R5844-3.1.2.2-4", "R5844-3.1.2.3-1", "R5844-3.1.2.5-2")
def test_one_family_can_be_deregistered_alone() -> None:
    lma = Anchor()
    lma.ask(ipv4="0.0.0.0")
    address = str(lma.only().binding.ipv4).split("/")[0]
    assert status(lma.ask(prefixes=(), ipv4=address, lifetime=0)) == 0
    assert lma.only().ipv4 is None
    assert lma.only().phase is Phase.ACTIVE
    assert status(lma.ask(prefixes=(PREFIX,), ipv4="0.0.0.0", hi=5)) == 0
    assert lma.only().ipv4 is not None
    assert status(lma.ask(prefixes=(PREFIX,), lifetime=0)) == 0
    assert lma.only().prefixes == ()
    assert not lma.engine.cache.prefixes
    address = str(lma.only().binding.ipv4).split("/")[0]
    assert status(lma.ask(prefixes=(), ipv4=address, lifetime=0)) == 0
    assert lma.only().phase is Phase.HELD


@pytest.mark.requirement("R5844-3.1.2.4-1")
def test_a_handoff_that_leaves_a_family_out_releases_it() -> None:
    lma = Anchor()
    lma.ask(ipv4="0.0.0.0")
    assert status(lma.ask(1, hi=3)) == 0
    assert lma.only().ipv4 is None
    assert not lma.engine.cache.ipv4["operator-a"]
    lma.ask(1, hi=5, ipv4="0.0.0.0")
    assert status(lma.ask(0, hi=3, prefixes=(), ipv4="0.0.0.0")) == 0
    assert lma.only().prefixes == ()


@pytest.mark.requirement("R5844-4.1.1-1", "R5844-4.1.3.1-1", "R5844-4.1.3.2-1", "R5844-4.1.3.2-2")
def test_over_ipv4_and_udp_the_answer_goes_to_the_port_it_came_from() -> None:
    mag, own = Endpoint(IPv4Address("192.0.2.1"), 40000), Endpoint(IPv4Address("192.0.2.9"), 5436)
    lma = Anchor(peers=(Peer(mag.address),))
    assert status(lma.ask(mag, destination=own)) == 0
    sent = lma.sent[-1]
    assert (sent.source, sent.destination) == (own, mag)
    assert sent.octets[4:6] == b"\0\0"
    assert lma.only().binding.tunnel.peer == mag.address


@pytest.mark.requirement("R5844-4.1.3.1-2", "R5844-4.1.3.1-4")
def test_forced_udp_encapsulation_only_where_it_is_accepted() -> None:
    mag, own = Endpoint(IPv4Address("192.0.2.1"), 5436), Endpoint(IPv4Address("192.0.2.9"), 5436)
    forced = FLAGS | BindingUpdateFlag.F
    lma = Anchor(peers=(Peer(mag.address),))
    assert status(lma.ask(mag, destination=own, flags=forced)) == 129
    lma = Anchor(peers=(Peer(mag.address),), accept_forced_ipv4_udp_encapsulation_request=True)
    assert status(lma.ask(mag, destination=own, flags=forced)) == 0
    assert lma.only().binding.tunnel.udp


@pytest.mark.requirement("R5844-3.1.2.3-1", "R5844-3.1.2.6-1", "R5844-3.1.2.6-3", "R5844-3.1.2.6-5")
def test_an_answer_about_ipv4_alone_has_no_prefixes() -> None:
    lma = Anchor()
    lma.ask(ipv4="0.0.0.0")
    answer = lma.ask(prefixes=(), ipv4="10.1.0.2", hi=5)
    assert status(answer) == 0
    assert option(answer, o.HomeNetworkPrefix) is None
    assert option(answer, o.IPv4HomeAddressReply).address == IPv4Address("10.1.0.2")
    assert lma.only().prefixes
    answer = lma.ask(prefixes=(), ipv4="10.9.0.1", hi=5)
    assert status(answer) == 171
    assert option(answer, o.HomeNetworkPrefix) is None
    assert option(answer, o.IPv4HomeAddressReply).address == IPv4Address("10.9.0.1")
    assert option(answer, o.IPv4DefaultRouter) is None


@pytest.mark.requirement("R5213-5.3.6-4")
def test_the_answer_to_a_deregistration_names_the_prefixes_that_were_assigned() -> None:
    lma = Anchor()
    lma.ask()
    answer = lma.ask(lifetime=0, hi=4)  # ALL_ZERO: found by the link-layer identifier
    assert status(answer) == 0
    assert option(answer, o.HomeNetworkPrefix) == o.HomeNetworkPrefix(IPv6Network(PREFIX).network_address, 64)


@pytest.mark.requirement("R5213-5.3.2-1")
def test_one_all_zero_prefix_among_others_is_allocated() -> None:
    lma = Anchor()
    answer = lma.ask(prefixes=("2001:db8:a0ff::/64", ANY))
    assert status(answer) == 0
    assert option(answer, o.HomeNetworkPrefix).address == IPv6Network(PREFIX).network_address
    assert lma.only().binding.prefixes == (IPv6Network(PREFIX),)


@pytest.mark.requirement("R5844-3.1.2.1-3", "R5844-3.1.2.1-4", "R5844-3.1.2.1-5")
@pytest.mark.parametrize(
    ("details", "code"),
    [
        ({"mn": b"4@a.example", "prefixes": (PREFIX,)}, 172),
        ({"mn": b"6@a.example", "prefixes": (PREFIX,), "ipv4": "0.0.0.0"}, 170),
        ({"mn": b"x@a.example", "prefixes": (PREFIX,), "ipv4": "0.0.0.0", "extra": "twice"}, 173),
        ({"mn": b"x@a.example", "prefixes": (PREFIX,)}, 155),
        ({"mn": b"4@a.example", "prefixes": (PREFIX,), "att": None}, 162),
    ],
)
def test_what_a_mobile_node_may_ask_for_is_judged_before_its_entry_is_looked_up(
    details: dict[str, Any], code: int
) -> None:
    lma = ipv4_anchor()
    lma.ask()
    if details.get("extra") == "twice":
        details = {**details, "extra": (o.IPv4HomeAddressRequest(IPv4Address(0), 16),)}
    assert status(lma.ask(**details)) == code


def test_whoever_may_no_longer_have_a_family_may_still_deregister_it() -> None:
    lma = Anchor()
    lma.ask(ipv4="0.0.0.0")
    directory = Directory({MN: Profile("operator-a", ipv4=False)})
    reconfigure(lma.engine, replace(lma.config, directory=directory), lma.now)
    assert status(lma.ask(lifetime=0, prefixes=(PREFIX,), ipv4="10.1.0.2")) == 0
    assert lma.only().phase is Phase.HELD


@pytest.mark.requirement("R5844-3.1.2.6-5")
def test_an_ipv4_home_address_needs_a_default_router() -> None:
    profile = Profile("operator-a", ipv4_home_address=IPv4Address("10.1.7.7"))
    with pytest.raises(ConfigError, match="no IPv4 default router"):
        lma_config(realms={"operator-a": Realm("operator-a")}, directory=Directory({MN: profile}))


@pytest.mark.requirement("R5844-3.1.2.1-10")
def test_ipv4_can_be_added_to_a_session_that_had_none() -> None:
    lma = Anchor()
    lma.ask()
    before = lma.only()
    answer = lma.ask(prefixes=(PREFIX,), ipv4="0.0.0.0", hi=5)
    assert status(answer) == 0
    assert option(answer, o.IPv4HomeAddressReply).status == 0
    assert lma.only().ipv4 is not None
    assert (lma.only().prefixes, lma.only().session_id) == (before.prefixes, before.session_id)


# --- RFC 7389, RFC 5845 §7 -------------------------------------------------------------------------------------------


@pytest.mark.requirement("R7389-1-1", "R7389-4-3", "R7389-5-2", "R7389-5-3", "R7389-5-4", "R7389-7-2")
def test_the_user_plane_address_is_told_to_who_asks() -> None:
    plane = IPv6Address("2001:db8:0:1::77")
    asked = (o.LmaUserPlaneAddress(None),)
    lma = Anchor(tunnel=(plane,))
    assert option(lma.ask(extra=asked), o.LmaUserPlaneAddress).address == plane
    assert option(lma.ask(hi=5), o.LmaUserPlaneAddress) is None
    assert lma.only().binding.tunnel.local == plane
    everywhere = Anchor(tunnel=(plane,), domain_wide_lma_upa_support=True)
    assert option(everywhere.ask(), o.LmaUserPlaneAddress).address == plane


@pytest.mark.requirement(
    "R5845-5.1-2",
    "R5845-6.4-1",
    "R5845-7.2-2",
    "R5845-7.2-6",
    "R5845-7.4-1",
    "R5845-7.4-2",
    "R5845-7.4-3",
    "R5844-4.1.3.1-3",
)
@pytest.mark.parametrize(
    ("dialect", "udp", "tlv", "code"),
    [
        (Dialect.RFC5845, True, True, 0),
        (Dialect.RFC5845, False, False, 3),
        (Dialect.DRAFT_00, True, False, 0),
    ],
)
def test_the_tlv_header_is_negotiated_by_the_t_flag(dialect: Dialect, udp: bool, tlv: bool, code: int) -> None:
    mag, own = Endpoint(IPv4Address("192.0.2.1"), 5436), Endpoint(IPv4Address("192.0.2.9"), 5436)
    lma = Anchor(peers=(Peer(mag.address, dialect=dialect, udp=udp),))
    answer = lma.ask(mag, destination=own, flags=FLAGS | BindingUpdateFlag.T, gre=Gre.KEYED)
    assert status(answer) == code
    assert answer is not None
    assert bool(answer.flags & 0x10) == tlv == lma.only().binding.tunnel.udp
    assert option(answer, o.GreKey).key is not None
    plain = lma.ask(mag, destination=own, gre=Gre.KEYED, mn=b"2@a.example")
    assert plain is not None
    assert not plain.flags & 0x10
    assert status(plain) == 0


@pytest.mark.requirement("R5845-7.2-4", "R5845-7.2-5", "R5845-7.2-6")
def test_the_format_of_the_tunnel_stays_over_a_refresh() -> None:
    mag, own = Endpoint(IPv4Address("192.0.2.1"), 5436), Endpoint(IPv4Address("192.0.2.9"), 5436)
    other = Endpoint(IPv4Address("192.0.2.2"), 5436)
    lma = Anchor(peers=tuple(Peer(one.address, udp=True) for one in (mag, other)))
    tlv = FLAGS | BindingUpdateFlag.T
    keyed: dict[str, Any] = {"destination": own, "gre": Gre.KEYED}
    lma.ask(mag, flags=tlv, **keyed)
    for flags, flag in ((FLAGS, False), (tlv, True)):
        answer = lma.ask(mag, flags=flags, hi=5, **keyed)
        assert status(answer) == 0
        assert answer is not None
        assert bool(answer.flags & 0x10) == flag
        assert lma.only().binding.tunnel.udp
    assert status(lma.ask(other, hi=3, **keyed)) == 0  # a handoff may renegotiate
    assert not lma.only().binding.tunnel.udp
    answer = lma.ask(other, flags=tlv, hi=5, **keyed)
    assert status(answer) == 3
    assert answer is not None
    assert not answer.flags & 0x10
    assert not lma.only().binding.tunnel.udp


# --- keys ------------------------------------------------------------------------------------------------------------


@pytest.mark.requirement("OUR-KEYS-3")
def test_no_key_left_is_130_and_changes_nothing() -> None:
    lma = Anchor(key_first=0, key_last=1, key_quarantine=5.0, min_delay_before_bce_delete=0.0)
    for number in range(2):
        assert status(lma.ask(mn=b"%d@a.example" % number, gre=Gre.KEYED)) == 0
    assert {session.uplink_key for session in lma.sessions()} == {0, 1}
    before = lma.sessions()
    assert status(lma.ask(mn=b"2@a.example", gre=Gre.KEYED)) == 130
    assert lma.sessions() == before
    lma.ask(mn=b"0@a.example", lifetime=0, prefixes=(str(before[0].binding.prefixes[0]),))
    lma.wait(4.9)
    assert status(lma.ask(mn=b"2@a.example", gre=Gre.KEYED)) == 130
    lma.wait(0.2)
    assert status(lma.ask(mn=b"2@a.example", gre=Gre.KEYED)) == 0


@pytest.mark.requirement("D00-3.1-2", "OUR-KEYS-4")
def test_a_pair_per_realm_as_figure_1_draws_it() -> None:
    policy = GrePolicy(Gre.KEYED, required=True)
    lma = Anchor(realms=realms(policy, granularity=Granularity.REALM, overlapping=True), min_delay_before_bce_delete=0)
    for number, mn in enumerate((b"1@a.example", b"2@a.example", b"3@b.example", b"4@b.example")):
        assert status(lma.ask(mn=mn, gre=Gre.KEYED, key=1 + number // 2, ipv4="0.0.0.0")) == 0
    one, two, three, four = lma.sessions()
    assert one.uplink_key == two.uplink_key != three.uplink_key == four.uplink_key
    assert {session.granularity for session in lma.sessions()} == {Granularity.REALM}
    lma.ask(mn=b"1@a.example", lifetime=0, prefixes=(str(one.binding.prefixes[0]),), ipv4="10.1.0.2")
    lma.wait(1)
    assert lma.engine.keys.allocator.resting == 0
    lma.ask(mn=b"2@a.example", lifetime=0, prefixes=(str(two.binding.prefixes[0]),), ipv4="10.1.0.3")
    lma.wait(1)
    assert lma.engine.keys.allocator.resting == 1


def test_effects_are_the_same_for_the_same_inputs() -> None:
    def run() -> list[object]:
        lma = Anchor()
        lma.ask(gre=Gre.KEYED, ipv4="0.0.0.0")
        lma.ask(1, gre=Gre.KEYED, hi=3)
        lma.ask(1, lifetime=0, prefixes=(PREFIX,))
        lma.wait(60)
        return list(lma.log)

    assert run() == run()
    assert [type(effect) for effect in run()].count(Install) == 4
    assert any(isinstance(effect, Send) for effect in run())


def test_a_configuration_that_contradicts_itself_is_refused() -> None:
    with pytest.raises(ConfigError, match="cannot require"):
        GrePolicy(Gre.PLAIN, required=True)
    with pytest.raises(ConfigError, match="wants GRE"):
        lma_config(gre_supported=False)
    with pytest.raises(ConfigError, match="unknown realm"):
        lma_config(directory=Directory(domains={b"x": Profile("nowhere")}))
    with pytest.raises(ConfigError, match="no range of keys"):
        lma_config(key_first=9, key_last=3)
    with pytest.raises(ConfigError, match="may stand once"):
        lma_config(peers=(Peer(MAGS[0]), Peer(MAGS[0])))
