"""The binding cache lookup of RFC 5213 §5.4.1 over its whole input product, against the rules written out here."""

from itertools import product

import pytest
from tests.mobility.crafted import ANY, LL, Anchor, options, status
from tests.mobility.domain import LMA, MAGS, MN

from p4pmip.mobility.cache import lookup
from p4pmip.mobility.endpoint import Endpoint
from p4pmip.mobility.incoming import Incoming
from p4pmip.mobility.peer import PeerState
from p4pmip.mobility.request import Request, parse
from p4pmip.wire.message import BindingUpdate
from p4pmip.wire.mobility_header import decode, encode
from p4pmip.wire.numbers import BindingUpdateFlag
from p4pmip.wire.options import HomeNetworkPrefix

OTHER_LL = bytes((2, 0, 0, 0, 0, 99))
OTHER_MN = b"someone@a.example"
FLAGS = BindingUpdateFlag.A | BindingUpdateFlag.P


def arrived(update: BindingUpdate, source: Endpoint, peer: PeerState | None) -> Request:
    """A PBU as the lookup sees it."""
    return parse(update, Incoming(update, decode(encode(update)), source, Endpoint(LMA), peer))


def anchor(entries: int, known_ll: bool) -> tuple[Anchor, str, str]:
    """An LMA with so many entries of MN (the first at MAG 0, two prefixes) and one of somebody else."""
    lma = Anchor()
    lma.ask(1, mn=OTHER_MN, ll=OTHER_LL[:-1] + b"\x55")
    others = lma.only().binding.prefixes[0]
    mine = "2001:db8:a0ff::/64"
    if entries:
        lma.ask(0, prefixes=(mine, "2001:db8:a0ff:1::/64"), ll=LL if known_ll else None)
    if entries > 1:
        lma.ask(2, ll=bytes((2, 0, 0, 0, 0, 77)), att=9)
    assert len(lma.sessions()) == entries + 1
    return lma, mine, str(others)


def expected(hnp: str, ll: str, att: str, hi: int, entries: int, known_ll: bool, same_mag: bool) -> str:
    """RFC 5213 §5.4.1.1 to §5.4.1.3, in prose turned into ifs."""
    if hnp != "zero":
        if hnp == "other's":
            return "155"
        if not entries:
            return "new"
        if hnp == "subset":
            return "159"
        ll_present_and_same = ll == "same" and known_ll
        if ll_present_and_same and att == "same":
            return "update"
        if hi == 2:
            return "update"
        if ll == "none" and not known_ll and att == "same" and hi == 3:
            return "update"
        if same_mag and att == "same":
            return "update"
        return "new"
    if ll != "none":
        if entries and ll == "same" and known_ll and att == "same":
            return "update"
        if entries == 1 and hi == 2:
            return "update"
        if entries == 1 and hi == 4:
            return "wait"
        return "new"
    if entries == 1 and hi in (2, 3):
        return "update"
    if entries == 1 and hi == 4:
        return "wait"
    return "new"


@pytest.mark.requirement(
    "R5213-5.1-2",
    "R5213-5.3.1-12",
    "R5213-5.4-3",
    "R5213-5.4.1-1",
    "R5213-5.4.1.1-1",
    "R5213-5.4.1.1-2",
    "R5213-5.4.1.1-3",
    "R5213-5.4.1.1-4",
    "R5213-5.4.1.1-5",
    "R5213-5.4.1.2-1",
    "R5213-5.4.1.2-2",
    "R5213-5.4.1.2-3",
    "R5213-5.4.1.2-6",
    "R5213-5.4.1.3-1",
    "R5213-5.4.1.3-2",
    "R5213-5.4.1.3-3",
    "R5844-3.1.2.1-6",
)
@pytest.mark.parametrize("known_ll", [True, False])
@pytest.mark.parametrize("entries", [0, 1, 2])
def test_lookup_over_its_whole_product(entries: int, known_ll: bool) -> None:
    lma, mine, others = anchor(entries, known_ll)
    first = next((session for session in lma.sessions() if session.mn == MN), None)
    cases = product(
        ("zero", "match", "other's", "subset"), ("none", "same", "other"), ("same", "other"), range(1, 6), (True, False)
    )
    for hnp, ll, att, hi, same_mag in cases:
        prefixes = {
            "zero": (ANY,),
            "match": (mine, "2001:db8:a0ff:1::/64"),
            "other's": (others,),
            "subset": (mine,),
        }[hnp]
        update = BindingUpdate(
            1,
            FLAGS,
            900,
            options(
                prefixes=prefixes,
                hi=hi,
                att=3 if att == "same" else 4,
                ll={"none": None, "same": LL, "other": OTHER_LL}[ll],
            ),
        )
        source = Endpoint(MAGS[0 if same_mag else 1])
        request = arrived(update, source, lma.engine.peers[source.address])
        match = lookup(lma.engine.cache, request, "operator-a", None)
        if match.status is not None:
            got = str(int(match.status))
        elif match.wait:
            got = "wait"
        else:
            got = "new" if match.entry is None else "update"
        assert got == expected(hnp, ll, att, hi, entries, known_ll, same_mag), (hnp, ll, att, hi, same_mag)
        if match.entry is not None:
            assert match.entry.session == first


@pytest.mark.requirement("R5213-5.4.1.1-6", "R5213-5.4.1.2-6", "R5213-5.4.1.3-3")
@pytest.mark.parametrize("prefixes", [(ANY,), ("2001:db8:a0ff::/64",)])
def test_a_deregistration_that_fits_no_session_is_ignored_in_silence(prefixes: tuple[str, ...]) -> None:
    lma = Anchor()
    assert lma.ask(prefixes=prefixes, lifetime=0) is None
    assert lma.outcomes[-1] == "ignored_unknown_session"
    assert not lma.sessions()


@pytest.mark.requirement("R5213-5.4.1.1-5")
def test_a_new_session_cannot_take_the_prefixes_of_another_of_the_same_node() -> None:
    """Ours: §5.4.1.1's last rule leads to a session that asks for prefixes in use; it is refused with 155."""
    lma = Anchor()
    lma.ask(0)
    before = lma.only()
    answer = lma.ask(1, prefixes=(str(before.binding.prefixes[0]),), hi=1, ll=OTHER_LL, att=4)
    assert status(answer) == 155
    assert lma.only() == before


@pytest.mark.requirement("R5844-3.1.2.1-7", "R5844-3.1.2.7-1")
def test_an_ipv4_home_address_finds_its_entry_where_no_prefix_is_named() -> None:
    lma = Anchor()
    lma.ask(0, prefixes=(), ipv4="0.0.0.0")
    address = str(lma.only().binding.ipv4).split("/")[0]
    assert status(lma.ask(1, prefixes=(), ipv4=address, hi=2, ll=OTHER_LL)) == 0
    assert lma.only().path.peer.address == MAGS[1]
    assert status(lma.ask(2, mn=OTHER_MN, prefixes=(), ipv4=address, hi=2, ll=OTHER_LL)) == 171
    assert lma.only().path.peer.address == MAGS[1]


@pytest.mark.requirement("R5213-5.4.1.2-3", "R5213-5.4.1.2-4", "R5213-5.4.1.2-5", "R5213-5.4.1.3-2")
class TestWaitForDeregistration:
    """HI = 4 and one entry of the mobile node that nothing else identifies (§5.4.1.2, §5.4.1.3)."""

    def test_the_deregistration_comes_and_the_entry_is_updated(self) -> None:
        lma = Anchor()
        lma.ask(0)
        before = lma.only()
        assert lma.ask(1, hi=4, ll=OTHER_LL) is None
        assert lma.ask(0, lifetime=0, hi=4, prefixes=(str(before.binding.prefixes[0]),)) is not None
        after = lma.only()
        assert after.session_id == before.session_id
        assert after.prefixes == before.prefixes
        assert after.path.peer.address == MAGS[1]
        assert [int(send.message.status) for send in lma.sent] == [0, 0, 0]  # type: ignore[union-attr]

    def test_it_does_not_come_and_the_session_is_new(self) -> None:
        lma = Anchor()
        lma.ask(0)
        assert lma.ask(1, hi=4, ll=OTHER_LL) is None
        assert not lma.wait(1.4)
        (answer,) = lma.wait(0.2)
        assert status(answer) == 0  # type: ignore[arg-type]
        assert len(lma.sessions()) == 2
        assert len({prefix for session in lma.sessions() for prefix in session.prefixes}) == 2

    def test_it_had_been_before(self) -> None:
        lma = Anchor()
        lma.ask(0)
        before = lma.only()
        lma.ask(0, lifetime=0, prefixes=(str(before.binding.prefixes[0]),))
        assert status(lma.ask(1, hi=4, ll=OTHER_LL)) == 0
        assert lma.only().session_id == before.session_id

    def test_the_wait_can_be_skipped(self) -> None:
        lma = Anchor(max_delay_before_new_bce_assign=0.0)
        lma.ask(0)
        assert status(lma.ask(1, hi=4, ll=OTHER_LL)) == 0
        assert len(lma.sessions()) == 2

    def test_a_retransmission_takes_the_place_of_the_first(self) -> None:
        lma = Anchor()
        lma.ask(0)
        assert lma.ask(1, hi=4, ll=OTHER_LL) is None
        assert lma.ask(1, hi=4, ll=OTHER_LL, step=1.0) is None
        messages = lma.wait(1.0)
        assert [message.sequence for message in messages] == [3]  # type: ignore[union-attr]


def test_prefix_option_in_the_request_is_what_was_parsed() -> None:
    update = BindingUpdate(1, FLAGS, 900, options(prefixes=("2001:db8:a0ff::/64",)))
    request = arrived(update, Endpoint(MAGS[0]), None)
    assert [HomeNetworkPrefix(one.address, one.length) for one in request.home_prefixes] == request.home_prefixes
    assert len(request.prefixes) == 1
