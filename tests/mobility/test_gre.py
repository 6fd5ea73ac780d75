"""The GRE Key option in every dialect: what a MAG and an LMA do to each other, and an LMA with crafted PBUs."""

from dataclasses import replace
from ipaddress import IPv6Address
from typing import Any

import pytest
from tests.mobility.crafted import Anchor, option, status
from tests.mobility.domain import (
    LMA,
    MAGS,
    REALM,
    Domain,
    domain_of,
    lma_config,
    lma_peers,
    mag_config,
    realms,
)

from p4pmip.mobility.binding import Gre, Phase
from p4pmip.mobility.config import GrePolicy, Peer
from p4pmip.mobility.dialects import Dialect
from p4pmip.mobility.effects import Advertise, Install, Send
from p4pmip.mobility.update_list import State
from p4pmip.wire import options as o
from p4pmip.wire.message import BindingAcknowledgement, BindingUpdate
from p4pmip.wire.mobility_header import encode
from p4pmip.wire.numbers import DEFAULT_CODEPOINTS, BindingAcknowledgementFlag, Codepoints

DRAFT, RFC, STRICT = Dialect.DRAFT_00, Dialect.RFC5845, Dialect.RFC5845_STRICT
ALL = pytest.mark.parametrize("dialect", list(Dialect))
FINAL = pytest.mark.parametrize("dialect", [RFC, STRICT])
NONE, MODE, KEY = GrePolicy(Gre.PLAIN), GrePolicy(Gre.MODE), GrePolicy(Gre.KEYED)
KEY_REQUIRED, MODE_REQUIRED = GrePolicy(Gre.KEYED, True), GrePolicy(Gre.MODE, True)
PREFIX = "2001:db8:a000::/64"


def pbus(domain: Domain) -> list[BindingUpdate]:
    return [send.message for send in domain.sent if isinstance(send.message, BindingUpdate)]


def pbas(domain: Domain) -> list[BindingAcknowledgement]:
    return [send.message for send in domain.sent if isinstance(send.message, BindingAcknowledgement)]


def offered(message: Any) -> str:
    found = option(message, o.GreKey)
    return "none" if found is None else "2" if found.key is None else "6"


def both(domain: Domain, mag: int = 0) -> tuple[Any, Any]:
    """The one session at the LMA, and the one at a MAG."""
    (lma,), (end,) = list(domain.anchor().sessions()), list(domain.mag(mag).sessions())
    return lma, end


# --- the initial exchange (draft-00 §3.2, §3.3.1) --------------------------------------------------------------------


@pytest.mark.requirement(
    "D00-3.2-1",
    "D00-3.2-2",
    "D00-3.2-4",
    "D00-6.1-2",
    "D00-6.1-3",
    "R5845-3.1-1",
    "R5845-3.2-1",
    "R5845-3.2-2",
    "R5845-4.2-1",
    "R5845-4.2-3",
    "R5845-5.2-1",
    "R5845-6.1-2",
    "R5845-6.1-3",
)
@ALL
def test_gre_without_keys(dialect: Dialect) -> None:
    domain = domain_of(dialect, MODE)
    domain.attach(0)
    domain.run()
    assert [offered(one) for one in (*pbus(domain), *pbas(domain))] == ["2", "2"]
    octets = next(send.octets for send in domain.sent)
    assert bytes.fromhex("21020000") in octets
    lma, mag = both(domain)
    assert (lma.gre, mag.gre) == (Gre.MODE, Gre.MODE)
    assert {lma.uplink_key, lma.downlink_key, mag.uplink_key, mag.downlink_key} == {None}


@pytest.mark.requirement(
    "D00-3.1-1",
    "D00-3.3.1-1",
    "D00-3.3.1-2",
    "D00-3.3.1-3",
    "D00-4.1-1",
    "D00-4.2-1",
    "D00-4.2-2",
    "D00-5.1-1",
    "D00-5.1-2",
    "D00-5.2-2",
    "D00-6.1-1",
    "R5845-3.3.1-1",
    "R5845-3.3.1-2",
    "R5845-4.1-1",
    "R5845-4.2-2",
    "R5845-4.2-4",
    "R5845-5.1-1",
    "R5845-5.2-2",
    "R5213-6.1-1",
)
@ALL
def test_keys_are_exchanged_and_kept_at_both_ends(dialect: Dialect) -> None:
    domain = domain_of(dialect)
    domain.attach(0)
    domain.run()
    assert [offered(one) for one in (*pbus(domain), *pbas(domain))] == ["6", "6"]
    lma, mag = both(domain)
    assert (lma.gre, mag.gre) == (Gre.KEYED, Gre.KEYED)
    assert lma.downlink_key == mag.downlink_key == option(pbus(domain)[0], o.GreKey).key
    assert lma.uplink_key == mag.uplink_key == option(pbas(domain)[0], o.GreKey).key
    # What marks every packet: the LMA sends with the downlink key, the MAG with the uplink key, each receives its own.
    assert (lma.binding.transmit_key, lma.binding.receive_key) == (lma.downlink_key, lma.uplink_key)
    assert (mag.binding.transmit_key, mag.binding.receive_key) == (mag.uplink_key, mag.downlink_key)


@pytest.mark.requirement("D00-3.3.1-1", "D00-5.2-4", "R5845-3.1-2", "R5845-3.3.1-1")
@ALL
def test_overlapping_private_ipv4_makes_keys_required_at_both_ends(dialect: Dialect) -> None:
    domain = domain_of(
        dialect, lma={"realms": realms(MODE, overlapping=True)}, mag={"realms": realms(NONE, overlapping=True)}
    )
    domain.attach(0, b"1@a.example", mac=1)
    domain.attach(0, b"3@b.example", mac=3)
    domain.run()
    one, three = domain.anchor().sessions()
    assert one.ipv4 == three.ipv4
    assert one.uplink_key != three.uplink_key
    assert one.downlink_key != three.downlink_key
    assert {one.gre, three.gre} == {Gre.KEYED}


@pytest.mark.requirement("D00-3.3.1-1", "R5845-2.2-1")
@pytest.mark.parametrize("where", ["realm", "peer", "mobile node"])
def test_the_policy_check_is_per_realm_peer_and_mobile_node(where: str) -> None:
    config = mag_config(MAGS[0], Peer(LMA, gre=NONE if where != "realm" else None))
    profile = replace(config.directory.domains[b"a.example"], gre=MODE if where == "mobile node" else None)
    policy = config.policy(config.peers[0], profile, ipv4=True)
    assert policy == {"realm": REALM.gre, "peer": NONE, "mobile node": MODE}[where]


# --- the LMA's side with crafted PBUs --------------------------------------------------------------------------------


@pytest.mark.requirement("D00-3.2-3", "D00-5.2-1", "D00-6.2-1")
@pytest.mark.parametrize("gre", [Gre.MODE, Gre.KEYED])
def test_an_lma_without_gre_refuses_the_option_in_draft_00_only(gre: Gre) -> None:
    without = {"realms": realms(NONE), "gre_supported": False}
    assert status(Anchor(peers=lma_peers(dialect=DRAFT), **without).ask(gre=gre)) == 181
    for dialect in (RFC, STRICT):
        answer = Anchor(peers=lma_peers(dialect=dialect), **without).ask(gre=gre)
        assert (status(answer), offered(answer)) == (0, "none")


@pytest.mark.requirement("D00-5.2-5", "R5845-5.2-5", "R5845-5.2-6", "R5845-6.4-1")
@ALL
def test_gre_that_is_not_needed_is_not_granted(dialect: Dialect) -> None:
    answer = Anchor(peers=lma_peers(dialect=dialect), realms=realms(NONE)).ask(gre=Gre.KEYED)
    assert status(answer) == (0 if dialect is DRAFT else 2)
    assert offered(answer) == "none"


@pytest.mark.requirement("D00-5.2-4", "D00-6.2-2", "R5845-5.2-4", "R5845-6.4-1")
@ALL
@pytest.mark.parametrize("policy", [KEY_REQUIRED, MODE_REQUIRED])
def test_gre_that_is_required_and_not_offered_is_163(dialect: Dialect, policy: GrePolicy) -> None:
    lma = Anchor(peers=lma_peers(dialect=dialect), realms=realms(policy))
    assert status(lma.ask()) == 163
    assert not lma.sessions()


@pytest.mark.requirement("D00-3.3.2-3", "R5845-3.3.2-1", "R5845-3.3.2-4", "R5845-3.3.2-6", "R5213-6.11-1")
@ALL
def test_the_uplink_key_stays_over_refreshes_and_handoffs(dialect: Dialect) -> None:
    lma = Anchor(peers=lma_peers(dialect=dialect))
    keys = [option(lma.ask(gre=Gre.KEYED, key=1), o.GreKey).key]
    for mag, key in ((0, 1), (1, 2), (0, 1), (2, 1), (2, 5)):
        keys.append(option(lma.ask(mag, gre=Gre.KEYED, key=key, hi=3), o.GreKey).key)
        assert lma.only().downlink_key == key
    assert len(set(keys)) == 1


@pytest.mark.requirement("D00-3.3.2-2", "D00-3.3.2-7", "R5845-3.3.2-5")
@ALL
def test_the_new_mag_may_offer_the_downlink_key_of_the_old_one(dialect: Dialect) -> None:
    lma = Anchor(peers=lma_peers(dialect=dialect))
    lma.ask(0, gre=Gre.KEYED, key=0)
    lma.ask(0, mn=b"2@a.example", gre=Gre.KEYED, key=2)
    assert status(lma.ask(1, gre=Gre.KEYED, key=0, hi=3)) == 0
    assert status(lma.ask(1, mn=b"2@a.example", gre=Gre.KEYED, key=0, hi=3)) == 0  # the MAG's to choose, whatever it is
    assert [session.downlink_key for session in lma.sessions()] == [0, 0]


@pytest.mark.requirement("D00-3.3.2-4", "R5845-3.3.2-7", "R5845-3.3.2-8")
@pytest.mark.parametrize(
    ("dialect", "policy", "code"),
    [
        (DRAFT, KEY, 163),
        (DRAFT, KEY_REQUIRED, 163),
        (RFC, KEY, 0),
        (RFC, KEY_REQUIRED, 163),
        (STRICT, KEY, 0),
        (STRICT, KEY_REQUIRED, 163),
    ],
)
def test_a_handoff_without_the_option_for_a_keyed_session(dialect: Dialect, policy: GrePolicy, code: int) -> None:
    lma = Anchor(peers=lma_peers(dialect=dialect), realms=realms(policy))
    lma.ask(0, gre=Gre.KEYED)
    before = lma.only()
    assert status(lma.ask(1, hi=3)) == code
    if code:
        assert lma.only() == before
    else:
        assert lma.only().gre is Gre.PLAIN
        assert lma.engine.keys.allocator.resting == 1


@pytest.mark.requirement("D00-3.3.2-5", "D00-3.3.2-6", "R5845-3.3.2-4")
@ALL
def test_a_refresh_with_another_downlink_key_updates_the_entry(dialect: Dialect) -> None:
    lma = Anchor(peers=lma_peers(dialect=dialect))
    lma.ask(gre=Gre.KEYED, key=1)
    before = lma.only()
    answer = lma.ask(gre=Gre.KEYED, key=2, hi=5)
    assert (status(answer), option(answer, o.GreKey).key) == (0, before.uplink_key)
    assert lma.only().downlink_key == 2
    assert lma.installs[-1].new.transmit_key == 2  # type: ignore[union-attr]


@pytest.mark.requirement("D00-3.3.2-1", "OUR-GRE-6")
@pytest.mark.parametrize(
    ("dialect", "policy", "code", "answered"),
    [
        (DRAFT, KEY_REQUIRED, 0, "none"),
        (RFC, KEY_REQUIRED, 0, "6"),
        (STRICT, KEY_REQUIRED, 163, "none"),
        (STRICT, KEY, 0, "6"),
    ],
)
def test_a_refresh_without_the_option(dialect: Dialect, policy: GrePolicy, code: int, answered: str) -> None:
    lma = Anchor(peers=lma_peers(dialect=dialect), realms=realms(policy))
    lma.ask(gre=Gre.KEYED)
    before = lma.only()
    answer = lma.ask(hi=5)
    assert (status(answer), offered(answer)) == (code, answered)
    assert (lma.only().uplink_key, lma.only().downlink_key) == (before.uplink_key, before.downlink_key)


@pytest.mark.requirement("D00-5.2-6", "R5845-5.2-7")
@ALL
@pytest.mark.parametrize("gre", list(Gre))
def test_a_deregistration_is_never_refused_for_gre(dialect: Dialect, gre: Gre) -> None:
    lma = Anchor(peers=lma_peers(dialect=dialect), realms=realms(KEY_REQUIRED))
    lma.ask(gre=Gre.KEYED)
    assert status(lma.ask(lifetime=0, prefixes=(PREFIX,), gre=gre)) == 0
    lma.wait(11)
    assert not lma.sessions()
    assert lma.engine.keys.allocator.resting == 1


@pytest.mark.requirement("OUR-GRE-1")
def test_two_gre_key_options_are_refused_with_128() -> None:
    lma = Anchor()
    assert status(lma.ask(gre=Gre.KEYED, extra=(o.GreKey(8),))) == 128
    assert lma.engine.counters["duplicate_option"] == 1
    assert not lma.sessions()


@pytest.mark.requirement("D00-6.1-2", "D00-6.1-3", "R5845-6.1-2", "R5845-6.1-3")
@pytest.mark.parametrize("length", [0, 1, 3, 4, 5, 7, 8])
def test_an_option_of_another_length_is_skipped_and_counted(length: int) -> None:
    lma = Anchor()
    answer = lma.ask(extra=(o.UnknownOption(33, bytes(length)),))
    assert (status(answer), offered(answer)) == (0, "none")
    assert lma.engine.counters["bad_option_length"] == 1
    reserved = lma.ask(mn=b"2@a.example", extra=(o.UnknownOption(33, bytes.fromhex("ffff00000009")),))
    assert offered(reserved) == "6"
    assert lma.sessions()[1].downlink_key == 9
    octets = encode(reserved)  # type: ignore[arg-type]
    at = octets.index(bytes.fromhex("21060000"))
    assert at % 4 == 0


@pytest.mark.requirement("D00-7-1")
def test_the_numbers_that_the_draft_leaves_open_are_configuration() -> None:
    numbers = Codepoints(gre_key_option=200, not_required=190, required=191)
    without = Anchor(peers=lma_peers(dialect=DRAFT, codepoints=numbers), realms=realms(NONE), gre_supported=False)
    assert status(without.ask(extra=(o.UnknownOption(200, bytes(2)),))) == 190
    required = Anchor(peers=lma_peers(dialect=DRAFT, codepoints=numbers), realms=realms(KEY_REQUIRED))
    assert status(required.ask(gre=Gre.KEYED)) == 191  # 33 means nothing to it
    assert DEFAULT_CODEPOINTS.not_required > 128
    assert DEFAULT_CODEPOINTS.required > 128


# --- the MAG's side --------------------------------------------------------------------------------------------------


@pytest.mark.requirement("D00-3.3.2-1", "D00-4.2-8", "R5845-3.3.2-3", "R5845-4.2-12")
@ALL
def test_refreshes_and_deregistrations_of_the_mag(dialect: Dialect) -> None:
    domain = domain_of(dialect)
    domain.attach(0)
    domain.run()
    lma, _ = both(domain)
    domain.run(3000)
    domain.detach(0)
    domain.run(1)
    updates = pbus(domain)
    assert len(updates) == 3
    assert [offered(one) for one in updates] == ["6", "none" if dialect is DRAFT else "6", "none"]
    assert option(updates[1], o.HandoffIndicatorOption).indicator == 5
    after = next(domain.anchor().sessions())
    assert (after.uplink_key, after.downlink_key) == (lma.uplink_key, lma.downlink_key)


@pytest.mark.requirement("D00-3.3.2-2", "D00-4.2-1", "R5845-3.3.2-5")
@ALL
def test_a_hint_from_the_handoff_process_makes_the_option_needed(dialect: Dialect) -> None:
    domain = domain_of(dialect, KEY, NONE)
    domain.attach(0, hint=Gre.KEYED)
    domain.run()
    assert offered(pbus(domain)[0]) == "6"
    assert both(domain)[1].gre is Gre.KEYED


@pytest.mark.requirement("D00-4.2-3")
def test_tba1_is_remembered_for_the_mobile_node_at_that_lma() -> None:
    domain = domain_of(DRAFT, NONE, KEY, lma={"gre_supported": False})
    domain.attach(0)
    domain.run()
    assert [offered(one) for one in pbus(domain)] == ["6", "none"]
    assert [int(one.status) for one in pbas(domain)] == [181, 0]
    assert both(domain)[1].gre is Gre.PLAIN
    domain.detach(0)
    domain.run(20)
    domain.attach(0)
    domain.run()
    assert offered(pbus(domain)[-1]) == "none"
    domain.attach(0, b"2@a.example", mac=2)
    domain.run()
    assert offered(pbus(domain)[-2]) == "6"


@pytest.mark.requirement("D00-4.2-3", "OUR-GRE-2")
def test_tba1_where_gre_is_required_ends_it() -> None:
    domain = domain_of(DRAFT, NONE, KEY_REQUIRED, lma={"gre_supported": False})
    number = domain.attach(0)
    domain.run(60)
    assert len(pbus(domain)) == 1
    assert domain.mag(0).state(number or 0) is State.STOPPED
    assert "possible_misconfiguration" in [alarm.name for alarm in domain.mags[0].alarms]


@pytest.mark.requirement("D00-4.2-4", "R5845-4.2-8")
@ALL
def test_a_mag_that_is_told_that_gre_is_required_sends_it(dialect: Dialect) -> None:
    domain = domain_of(dialect, KEY_REQUIRED, NONE)
    domain.attach(0)
    domain.run()
    first, second = pbus(domain)
    assert (offered(first), offered(second)) == ("none", "6")
    assert second.sequence != first.sequence
    assert option(second, o.Timestamp).value > option(first, o.Timestamp).value
    assert option(second, o.HandoffIndicatorOption) == option(first, o.HandoffIndicatorOption)
    assert both(domain)[1].gre is Gre.KEYED
    domain.run(3000)
    assert offered(pbus(domain)[-1]) == "6"


@pytest.mark.requirement("D00-4.2-5", "R5845-4.2-9")
@ALL
def test_a_mag_without_gre_raises_an_alarm_instead(dialect: Dialect) -> None:
    domain = domain_of(dialect, KEY_REQUIRED, NONE, mag={"gre_supported": False})
    domain.attach(0)
    domain.run(60)
    assert len(pbus(domain)) == 1
    assert [alarm.name for alarm in domain.mags[0].alarms] == ["possible_misconfiguration"]


@pytest.mark.requirement("D00-4.2-6", "R5845-4.2-10", "R5845-4.2-11")
@ALL
def test_success_without_the_option_means_no_gre_for_this_binding(dialect: Dialect) -> None:
    domain = domain_of(dialect, NONE, KEY)
    domain.attach(0)
    domain.run(3000)
    assert both(domain)[1].gre is Gre.PLAIN
    assert {offered(one) for one in pbus(domain)[1:]} == {"none"}
    domain.attach(0, b"2@a.example", mac=2)
    domain.run()
    assert offered(pbus(domain)[-1]) == "6"  # another session may need it


@pytest.mark.requirement("R5845-4.2-6", "R5845-4.2-7")
def test_an_lma_that_skips_the_option_is_remembered_to_lack_gre() -> None:
    domain = domain_of(RFC, NONE, KEY, lma={"gre_supported": False}, mag={"capability_memo": 100.0})
    domain.attach(0, b"1@a.example", mac=1)
    domain.run()
    domain.attach(0, b"2@a.example", mac=2)
    domain.run(100)
    domain.attach(0, b"3@a.example", mac=3)
    domain.run()
    assert [offered(one) for one in pbus(domain)] == ["6", "none", "6"]
    domain.mag(0).forget_refusals()
    domain.attach(0, b"4@a.example", mac=4)
    assert offered(pbus(domain)[-1]) == "6"


@pytest.mark.requirement("OUR-GRE-3")
@ALL
def test_what_must_not_be_forwarded_plain_is_deregistered(dialect: Dialect) -> None:
    domain = domain_of(dialect, NONE, KEY_REQUIRED)
    domain.attach(0)
    domain.run(30)
    assert not domain.mags[0].served
    assert not domain.mags[0].switch
    assert not list(domain.anchor().sessions())
    assert "gre_policy" in [alarm.name for alarm in domain.mags[0].alarms]
    assert not any(isinstance(effect, Advertise) for effect in domain.mags[0].log)


class Scripted:
    """A MAG that is answered by hand."""

    def __init__(self, dialect: Dialect, policy: GrePolicy = KEY, **changes: Any) -> None:
        config = mag_config(MAGS[0], Peer(LMA, dialect=dialect), realms=realms(policy), **changes)
        self.domain = Domain(lma_config(), config)
        self.domain.loss = lambda send: []
        self.number = self.domain.attach(0) or 0

    def answer(self, code: int = 0, gre: tuple[o.Option, ...] = (), **changes: Any) -> None:
        """A PBA to the last PBU."""
        asked = pbus(self.domain)[-1]
        echoed = [
            one
            for one in asked.options
            if not isinstance(one, o.GreKey | o.HomeNetworkPrefix | o.IPv4HomeAddressRequest)
        ]
        prefix = o.HomeNetworkPrefix(IPv6Address("2001:db8:a000::"), 64)
        details = {"lifetime": 900, "sequence": asked.sequence, **changes}
        answer = BindingAcknowledgement(
            code,
            BindingAcknowledgementFlag.P,
            options=(*echoed, prefix, *gre),
            **details,
        )
        send = Send(
            encode(answer, LMA, MAGS[0]),
            answer,
            self.domain.lma.engine.common.local[0],
            self.domain.mags[0].engine.common.local[0],
        )
        self.domain.mag(0).receive(send.octets, send.source, send.destination, self.domain.now, self.domain.utc)
        self.domain.carry_out()

    def binding(self) -> Any:
        (session,) = self.domain.mag(0).sessions()
        return session

    @property
    def counters(self) -> Any:
        return self.domain.mag(0).counters


@pytest.mark.requirement("D00-4.2-7", "R5845-4.2-4")
@ALL
def test_another_uplink_key_in_a_refresh_is_taken_over(dialect: Dialect) -> None:
    mag = Scripted(dialect)
    mag.answer(gre=(o.GreKey(5),))
    assert mag.binding().uplink_key == 5
    mag.domain.run(2600)
    mag.answer(gre=(o.GreKey(6),))
    assert mag.binding().uplink_key == 6
    assert mag.domain.mags[0].switch[mag.number].uplink_key == 6


@pytest.mark.requirement("D00-4.2-7")
def test_the_normal_refresh_of_the_draft_keeps_both_keys() -> None:
    mag = Scripted(DRAFT)
    mag.answer(gre=(o.GreKey(5),))
    before = mag.binding()
    mag.domain.run(2600)
    assert offered(pbus(mag.domain)[-1]) == "none"
    mag.answer()
    after = mag.binding()
    assert (after.gre, after.uplink_key, after.downlink_key) == (Gre.KEYED, 5, before.downlink_key)


@pytest.mark.requirement("OUR-GRE-4")
@ALL
@pytest.mark.parametrize(
    ("policy", "gre", "counter", "becomes"),
    [
        (KEY, (o.GreKey(None),), "uplink_key_missing", Gre.MODE),
        (KEY_REQUIRED, (o.GreKey(None),), "uplink_key_missing", None),
        (MODE, (o.GreKey(4),), "unrequested_key", None),
    ],
)
def test_an_option_of_the_other_length_in_the_answer(
    dialect: Dialect, policy: GrePolicy, gre: tuple[o.Option, ...], counter: str, becomes: Gre | None
) -> None:
    mag = Scripted(dialect, policy)
    mag.answer(gre=gre)
    assert mag.counters[counter] == 1
    if becomes is not None:
        assert mag.binding().gre is becomes
    else:
        assert pbus(mag.domain)[-1].lifetime == 0
        assert not mag.domain.mags[0].served


@pytest.mark.requirement("OUR-GRE-1")
def test_a_pba_with_two_gre_key_options_is_ignored() -> None:
    mag = Scripted(RFC)
    mag.answer(gre=(o.GreKey(4), o.GreKey(5)))
    assert mag.counters["ignored_duplicate_option"] == 1
    assert not mag.domain.mags[0].served


@pytest.mark.requirement(
    "R5845-4.1-1",
    "R5845-7.2-1",
    "R5845-7.2-3",
    "R5845-7.3-1",
    "R5845-7.3-2",
    "R5845-7.3-3",
    "R5845-7.3-4",
    "R5844-4.2.2-4",
)
@FINAL
def test_status_3_is_gre_without_udp_or_nothing(dialect: Dialect) -> None:
    mag = Scripted(dialect)
    mag.answer(3, gre=(o.GreKey(5),))
    assert mag.binding().gre is Gre.KEYED
    assert mag.counters["unexpected_status"] == 1
    config = mag_config(MAGS[0], Peer(LMA, dialect=dialect, udp=True, udp_required=True))
    mag = Scripted(dialect)
    mag.domain = Domain(lma_config(), config)
    mag.domain.loss = lambda send: []
    mag.domain.attach(0)
    assert pbus(mag.domain)[-1].flags & 0x80
    mag.answer(3, gre=(o.GreKey(5),))
    assert pbus(mag.domain)[-1].lifetime == 0


# --- dialects that do not match --------------------------------------------------------------------------------------


@pytest.mark.requirement("OUR-GRE-5")
@pytest.mark.parametrize(("lma", "mag"), [(one, two) for one in Dialect for two in Dialect])
def test_any_two_dialects_keep_a_keyed_session_over_refresh_and_handoff(lma: Dialect, mag: Dialect) -> None:
    domain = domain_of(lma, KEY_REQUIRED, mag_dialect=mag)
    domain.attach(0)
    domain.run(5000)
    domain.attach(1, indicator=3)
    domain.run(1)
    domain.detach(0)
    domain.run(5000)
    anchor, end = both(domain, 1)
    assert anchor.gre is end.gre is Gre.KEYED
    assert (anchor.uplink_key, anchor.downlink_key) == (end.uplink_key, end.downlink_key)
    assert domain.mags[1].served


# --- the switch -------------------------------------------------------------------------------------------------------


@pytest.mark.requirement("R5213-6.9.1.1-10", "OUR-PROPOSED-1")
@ALL
def test_a_mag_receives_under_its_key_before_the_answer_comes(dialect: Dialect) -> None:
    domain = domain_of(dialect)
    domain.attach(0)
    installs = [effect for effect in domain.mags[0].log if isinstance(effect, Install)]
    (proposed,) = installs
    assert proposed.new is not None
    assert proposed.new.phase is Phase.PROPOSED
    assert proposed.new.receive_key == option(pbus(domain)[0], o.GreKey).key
    assert proposed.new.transmit_key is None
    domain.run()
    installs = [effect for effect in domain.mags[0].log if isinstance(effect, Install)]
    assert [install.new.phase for install in installs if install.new] == [Phase.PROPOSED, Phase.ACTIVE]
    kinds = [type(effect) for effect in domain.mags[0].log]
    assert kinds.index(Advertise) > len(kinds) - 1 - kinds[::-1].index(Install)
    # The LMA: uplink first, then the answer.
    order = [type(effect) for effect in domain.lma.log]
    assert order.index(Install) < order.index(Send)


@pytest.mark.requirement("OUR-PROPOSED-2")
def test_a_mag_whose_switch_refuses_after_success_deregisters() -> None:
    domain = domain_of(RFC)
    domain.mags[0].refuse = lambda install: "full" if install.after and install.after.phase is Phase.ACTIVE else None
    domain.attach(0)
    domain.run(0.5)
    assert [one.lifetime for one in pbus(domain)] == [900, 0]
    assert not domain.mags[0].served
    domain.run(30)
    assert not domain.mags[0].switch
    assert not domain.lma.switch
