"""The scenarios: ordinary hosts and tools on Figure 1, and what packets and tables must show."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import figure1
from network import Lab
from report import Handover, Report
from restarts import lma_restart, mag_restart, rekey, switch_restart
from security import spoof
from traffic import (
    PATIENT,
    SERVER,
    advertisements,
    delivered,
    echo_requests,
    gap_ms,
    server_ipv6,
    start_pings,
    start_stream,
    tunnelled,
)

from p4pmip.wire.message import (
    BindingAcknowledgement,
    BindingRevocationAcknowledgement,
    BindingRevocationIndication,
    BindingUpdate,
)
from p4pmip.wire.neighbor_option import Mtu
from p4pmip.wire.numbers import DEFAULT_CODEPOINTS, Status
from p4pmip.wire.options import GreKey
from p4pmip.wire.packet import Packet, Transport


@dataclass(frozen=True)
class Scenario:
    """How the lab is set up, and what is done in it."""

    play: Callable[[Lab, Report], None]
    different: dict[str, Any]

    def settings(self, directory: Path, target: str, executor: str | None = None) -> figure1.Settings:
        """The lab's settings for this scenario."""
        return figure1.Settings(directory=directory, target=target, executor=executor, **self.different)


def _reaches(lab: Lab, report: Report, *mobile_nodes: str) -> None:
    """Every node reaches its operator's server, by every family it has, all at once."""
    under_way = []
    for name in mobile_nodes:
        if 4 in lab.settings.families:
            under_way.append((name, SERVER, start_pings(lab, name, SERVER, 5, PATIENT)))
        if 6 in lab.settings.families:
            destination = server_ipv6(figure1.MOBILE_NODES[name])
            under_way.append((name, destination, start_pings(lab, name, destination, 5, PATIENT)))
    for name, destination, pings in under_way:
        sent, lost = pings.finish()
        report.check(f"{name} reaches {destination}", sent == 5 and not lost, f"{sent - len(lost)} of 5 pings answered")


def _acknowledgements(lab: Lab) -> list[BindingAcknowledgement]:
    return [message for message in lab.messages("lma") if isinstance(message, BindingAcknowledgement)]


def _updates(lab: Lab, mag: str) -> list[BindingUpdate]:
    return [message for message in lab.messages(mag) if isinstance(message, BindingUpdate)]


def _gre_option(message: BindingUpdate | BindingAcknowledgement) -> GreKey | None:
    return next((option for option in message.options if isinstance(option, GreKey)), None)


def _in_tunnel(report: Report, packets: list[Packet], what: str, right: Callable[[Packet], bool]) -> None:
    wrong = [packet for packet in packets if not right(packet)]
    report.check(what, bool(packets) and not wrong, f"{len(packets) - len(wrong)} of {len(packets)} tunnel packets")


def _keyed(packet: Packet) -> bool:
    return packet.transport is Transport.GRE and packet.gre is not None and packet.gre.key is not None


# --- addresses and keys -------------------------------------------------------------------------------


def overlap(lab: Lab, report: Report) -> None:
    """The same address in two realms at once: only the GRE key tells whose packet it is."""
    lab.attach("mn1", "mn3")
    same = lab.ipv4("mn1") == lab.ipv4("mn3") == figure1.home_address(lab.settings, "mn1")
    report.check("both have the same address", same, lab.ipv4("mn1"))
    one = start_pings(lab, "mn1", SERVER, 50, 0.02, "aa")
    other = start_pings(lab, "mn3", SERVER, 50, 0.02, "bb")
    for name, pings in (("mn1", one), ("mn3", other)):
        sent, lost = pings.finish()
        report.check(f"{name} reaches its own operator's {SERVER}", sent == 50 and not lost, f"{len(lost)} lost")
    owner = {b"\xaa": figure1.mac_of("mn1"), b"\xbb": figure1.mac_of("mn3")}

    def replies() -> list[bool]:
        """Whether each reply was delivered to the one that asked."""
        found = ((ethernet.destination.hex(":"), packet.payload[-1:]) for _, ethernet, packet in delivered(lab, "mag1"))
        return [destination == owner[pattern] for destination, pattern in found if pattern in owner]

    lab.until(lambda: len(replies()) >= 100, "the capture has every reply")
    wrong = replies().count(False)
    report.check("nothing is delivered to the wrong one", not wrong, f"{wrong} of {len(replies())}")
    for interface, peer in (("lma-eth1", "lma"), ("mag1-eth1", "mag1")):
        accepted, seen = lab.keys(peer), {packet.gre.key for packet in tunnelled(lab, interface) if packet.gre}
        report.check(
            f"what reaches {peer} carries the two keys it has given out",
            seen == accepted and len(accepted) == 2,
            ", ".join(f"0x{key:08x}" for key in sorted(accepted)),
        )
    cache = lab.bindings("lma")
    named = {row["uplink_key"] for row in cache}, {row["downlink_key"] for row in cache}
    right = named == (lab.keys("lma"), lab.keys("mag1"))
    report.check("p4pmip bindings names both sessions and their keys", right, [row["mn"] for row in cache])


def realm_keys(lab: Lab, report: Report) -> None:
    """One pair of keys for a whole realm."""
    lab.attach("mn1", "mn2", "mn3")
    _reaches(lab, report, "mn1", "mn2", "mn3")
    uplink = {packet.gre.key for packet in tunnelled(lab, "lma-eth1") if packet.gre}
    report.check("three sessions of two realms use two uplink keys", len(uplink) == 2, len(uplink))
    addresses = [entry["key"] for entry in lab.tables("lma").get("realm_session_v4", ())]
    report.check("inner addresses find the sessions", len(addresses) == 3, f"{len(addresses)} entries")


def dual_stack(lab: Lab, report: Report) -> None:
    """Both families, with path MTU and traceroute as everywhere else."""
    lab.attach("mn1")
    _reaches(lab, report, "mn1")
    route = lab["mn1"].cmd("ip -6 route show default").strip()
    report.check("its router is RFC 6543's", "via fe80::200:5eff:fe00:5213 dev mn1-eth0 proto ra" in route, route)
    heard = advertisements(lab, "mag1")
    ours = [any(isinstance(one, Mtu) and one.mtu == 1452 for one in message.options) for _, message in heard]
    report.check("every Router Advertisement names the tunnel MTU", heard and all(ours), f"{len(heard)}: 1452 octets")
    to_others = {ethernet.destination.hex(":") for ethernet, _ in heard} - {figure1.mac_of("mn1")}
    report.check("they go to mn1 alone", heard and not to_others, ", ".join(to_others))
    link = int(lab["mn1"].cmd("cat /sys/class/net/mn1-eth0/mtu"))
    report.check("DHCP has told it too", link == 1452, f"{link} octets")
    answered = lab.ping("mn1", SERVER, size=1800)
    report.check("what is too big is fragmented by its sender", answered == 5, f"{answered} of 5 pings answered")
    lab["mn1"].cmd("ip link set mn1-eth0 mtu 1500")
    said = lab["mn1"].cmd(f"ping -n -M do -c 1 -s 1472 -W 1 {SERVER}")
    report.check("fragmentation needed names the tunnel MTU", "mtu = 1452" in said, said.strip().splitlines()[1])
    lab["mn1"].cmd("ip route flush cache; echo 1 > /proc/sys/net/ipv4/ip_no_pmtu_disc")
    answered = lab.ping("mn1", SERVER, size=1472, more="-M dont")
    whole = sum(len(frame.octets) == 1514 and not frame.octets[20] for frame in lab.frames("mag1-eth2"))
    detail = f"{answered} of 5 pings answered, {whole} packets of 1500 octets without DF"
    report.check("without DF the MAG fragments", answered == 5 and whole >= 5, detail)
    said = lab["mn1"].cmd(f"traceroute -n -q 1 -w 1 {SERVER}")
    hops = [line.split()[1] for line in said.splitlines()[1:] if len(line.split()) > 1]
    report.check("traceroute shows the MAG and the LMA", hops == ["10.0.0.1", "10.0.0.1", SERVER], " ".join(hops))


def ipv6(lab: Lab, report: Report) -> None:
    """IPv6 alone."""
    lab.attach("mn1", "mn3")
    _reaches(lab, report, "mn1", "mn3")
    _in_tunnel(report, tunnelled(lab, "lma-eth1"), "uplink is GRE with a key", _keyed)
    report.check("nobody has an IPv4 address", lab.ipv4("mn1") is None)
    report.check("each has a prefix of its own", lab.ipv6("mn1") != lab.ipv6("mn3"), lab.ipv6("mn1"))


def ipv4_transport(lab: Lab, report: Report) -> None:
    """Signalling in UDP, tunnels over IPv4 (RFC 5844 §4)."""
    lab.attach("mn1")
    _reaches(lab, report, "mn1")
    _in_tunnel(
        report,
        tunnelled(lab, "lma-eth1") + tunnelled(lab, "mag1-eth1"),
        "every packet is GRE with a key over IPv4",
        lambda packet: _keyed(packet) and packet.source is not None and packet.source.version == 4,
    )


def no_gre(lab: Lab, report: Report) -> None:
    """Plain tunnels, RFC 5213's default."""
    lab.attach("mn1", "mn3")
    _reaches(lab, report, "mn1", "mn3")
    _in_tunnel(
        report,
        tunnelled(lab, "lma-eth1") + tunnelled(lab, "mag1-eth1"),
        "every packet is IP in IP",
        lambda packet: packet.transport is Transport.IP,
    )
    report.check("no message carries a GRE Key option", not any(map(_gre_option, _updates(lab, "mag1"))))


def mode_only(lab: Lab, report: Report) -> None:
    """GRE without keys."""
    lab.attach("mn1", "mn3")
    _reaches(lab, report, "mn1", "mn3")
    _in_tunnel(
        report,
        tunnelled(lab, "lma-eth1") + tunnelled(lab, "mag1-eth1"),
        "every packet is GRE without a key",
        lambda packet: packet.gre is not None and packet.gre.key is None,
    )
    options = [_gre_option(message) for message in [*_updates(lab, "mag1"), *_acknowledgements(lab)]]
    report.check("every GRE Key option is 2 octets", options and all(one == GreKey(None) for one in options))


# --- negotiation --------------------------------------------------------------------------------------


def required(lab: Lab, report: Report) -> None:
    """A MAG that does not ask for GRE, an LMA that insists: status 163, and asked again with the option."""
    lab.attach("mn1")
    _reaches(lab, report, "mn1")
    statuses = [message.status for message in _acknowledgements(lab)]
    report.check("refused with 163, then accepted", statuses[:2] == [Status.GRE_KEY_OPTION_REQUIRED, 0], statuses)
    options = [_gre_option(message) is not None for message in _updates(lab, "mag1")]
    report.check("asked without the option, then with it", options[:2] == [False, True], options)
    _in_tunnel(report, tunnelled(lab, "lma-eth1"), "uplink is GRE with a key", _keyed)


def unsupported(lab: Lab, report: Report) -> None:
    """draft-00's LMA without GRE: TBA1, and asked again without the option."""
    lab.attach("mn1")
    _reaches(lab, report, "mn1")
    statuses = [message.status for message in _acknowledgements(lab)]
    expected = [DEFAULT_CODEPOINTS.not_required, 0]
    report.check("refused with TBA1, then accepted", statuses[:2] == expected, statuses)
    options = [_gre_option(message) is not None for message in _updates(lab, "mag1")]
    report.check("asked with the option, then without it", options[:2] == [True, False], options)
    plain = tunnelled(lab, "lma-eth1")
    _in_tunnel(report, plain, "every packet is IP in IP", lambda packet: packet.transport is Transport.IP)


def revoke(lab: Lab, report: Report) -> None:
    """The LMA revokes a binding (RFC 5846): the MAG stops serving the node, and the others do not notice."""
    lab.attach("mn1", "mn3")
    _reaches(lab, report, "mn1", "mn3")
    before = lab.keys("mag1")
    lab.move("mn1", None)  # it would be back at once
    lab.order("lma", "detach", figure1.nai("mn1"))
    lab.until(lambda: len(lab.keys("mag1")) == 1, "mag1 gives up the key of mn1")
    report.check("mag1 accepts the key of mn3 alone", lab.keys("mag1") < before)
    indications = [one for one in lab.messages("lma") if isinstance(one, BindingRevocationIndication)]
    answers = [one for one in lab.messages("mag1") if isinstance(one, BindingRevocationAcknowledgement)]
    report.check("the LMA has revoked one binding", len(indications) == 1, indications)
    report.check("mag1 has agreed", [answer.status for answer in answers] == [0], answers)
    _reaches(lab, report, "mn3")
    lab.move("mn1", "mag1")
    lab.until(lambda: lab.ping("mn1", SERVER, 1) == 1, "mn1 is served again when it comes back")


def draft_00(lab: Lab, report: Report) -> None:
    """Dialects mixed: mag1 speaks draft-00, mag2 RFC 5845, and a node moves from one to the other."""
    lab.attach("mn1")
    _reaches(lab, report, "mn1")
    before = _acknowledgements(lab)
    lab.move("mn1", "mag2")
    lab.until(lambda: lab.ping("mn1", SERVER, 1) == 1, "mn1 reaches its operator by mag2")
    _reaches(lab, report, "mn1")
    after = _acknowledgements(lab)[len(before) :]
    accepted = [message for message in after if message.status == 0 and message.lifetime]
    keys = {_gre_option(message) for message in (before[-1], *accepted)}
    report.check("the uplink key is the same at both", len(keys) == 1 and None not in keys, keys)


def lossy(lab: Lab, report: Report) -> None:
    """30 % of the signalling is lost: of ten messages that arrive anywhere, the first, fourth and seventh."""
    rules = []
    for interface in lab["control"].peers().values():
        chain = f"add chain netdev lossy {interface}"
        rules += [f'{chain} {{ type filter hook ingress device "{interface}" priority 0; }}']
        rules += [f"add rule netdev lossy {interface} ip6 nexthdr 135 numgen inc mod 10 {{ 0, 3, 6 }} counter drop"]
    script = "\n".join(["add table netdev lossy", *rules])
    figure1.run(lab["control"], f"nft -f - <<'END'\n{script}\nEND\n")
    lab.attach(*figure1.MOBILE_NODES, seconds=60)
    for name in figure1.MOBILE_NODES:
        report.check(
            f"{name} gets its addresses", lab.ipv4(name) and lab.ipv6(name), f"{lab.ipv4(name)} {lab.ipv6(name)}"
        )
    for mag in ("mag2", "mag1", "mag2"):
        lab.move("mn1", mag)
        lab.until(lambda: lab.ping("mn1", SERVER, 1) == 1, f"mn1 reaches its operator by {mag}", 60)
    _reaches(lab, report, *figure1.MOBILE_NODES)
    listed = lab["control"].cmd("nft list table netdev lossy")
    lost = sum(int(line.split("packets ")[1].split()[0]) for line in listed.splitlines() if "packets " in line)
    report.check("signalling was lost indeed", lost > 0, f"{lost} messages")


# --- handover -----------------------------------------------------------------------------------------

_DOWNLINK_INTERVAL = 0.005


def handover(lab: Lab, report: Report) -> None:
    """mn1 moves under ping, UDP and TCP, while mn3, with the same address, stays."""
    lab.attach("mn1", "mn3")
    _reaches(lab, report, "mn1", "mn3")
    addresses = lab.ipv4("mn1"), lab.ipv6("mn1")
    before, downlink_before = _session_of(lab, "mn1", "mag1"), lab.keys("mag1")
    stayer = start_pings(lab, "mn3", SERVER, 600, 0.01, "bb")
    mover = start_pings(lab, "mn1", SERVER, 600, 0.01, "aa")
    downlink = start_pings(lab, "opa", figure1.home_address(lab.settings, "mn1"), 1200, _DOWNLINK_INTERVAL, "aa")
    udp = start_stream(lab, "mn1", "opa", 5202, 6, "-u", "-b", "300k", "-l", "500")
    # Paced: what a full queue of the switch drops would look like a loss by the move.
    tcp = start_stream(lab, "mn1", "opa", 5201, 6, "--fq-rate", "4M")
    lab.until(lambda: len(delivered(lab, "mag1")) > 200, "traffic flows")
    moved = time.time_ns()
    lab.move("mn1", "mag2")
    downlink.finish()
    uplink_sent, uplink_lost = mover.finish()
    _, lost_by_stayer = stayer.finish()
    tcp_sum, udp_sum = tcp.finish(), udp.finish()
    after = _session_of(lab, "mn1", "mag2")

    # Not by the answers: a host whose link comes up may wait for up to a second before it sends any.
    sending = echo_requests(lab.frames("lma-eth3"), 0xAA)
    arrived = {number for number, when in echo_requests(lab.arrivals("air", "mag1"), 0xAA).items() if when < moved}
    arrived |= echo_requests(lab.arrivals("air", "mag2"), 0xAA).keys()
    sent, lost = len(sending), sorted(sending.keys() - arrived)
    gap = gap_ms(lab, "mn1", "mag2", moved)
    report.handover = Handover("mn1", before[0], after[0], before[1], after[1], len(lost), sent, gap)
    report.check("it keeps its addresses", (lab.ipv4("mn1"), lab.ipv6("mn1")) == addresses, addresses)
    report.check("it keeps its uplink key", before[0] is not None and before[0] == after[0], f"{before[0]}")
    report.check("it has a downlink key of mag2", after[1] in lab.keys("mag2"), f"{after[1]}")
    report.check("mag1 gave out the one before", before[1] in downlink_before, f"{before[1]}")
    in_one_gap = not lost or lost == list(range(lost[0], lost[-1] + 1))
    report.check("downlink: lost in one gap only", in_one_gap and sent >= 1000, f"{_ranges(lost)} of {sent} lost")
    modified = lab.modified("lma", "session", moved)
    before_move = [took for number, took in downlink.round_trips.items() if sending[number] < moved]
    round_trip = int(max(before_move) * 1e6)
    window = (moved - round_trip, modified + round_trip)
    outside = [number for number in lost if not window[0] <= sending[number] <= window[1]]
    detail = (
        f"{len(lost)} of {sent} lost, {len(outside)} of them sent outside of these {(modified - moved) / 1e6:.1f} ms"
        f" and a round trip of {round_trip / 1e6:.1f} ms"
    )
    report.check("downlink: lost is what was sent from link down to the LMA's MODIFY", not outside, detail)
    late = [number for number in lost if sending[number] > modified]
    report.check("uplink goes on", len(uplink_lost) < uplink_sent / 2, f"{len(uplink_lost)} of {uplink_sent} lost")
    report.check("the one that stays loses nothing", not lost_by_stayer, f"{len(lost_by_stayer)} lost")
    received = tcp_sum["end"]["sum_received"]["bytes"]
    late = tcp_sum["intervals"][-1]["sum"]["bytes"]
    report.check("TCP goes on after the move", late > 0, f"{received} octets, {late} in the last second")
    summary = udp_sum["end"]["sum"]
    share = summary["lost_percent"]
    report.check("UDP goes on after the move", share < 50, f"{summary['lost_packets']} of {summary['packets']} lost")
    wrong = 0
    owner = {b"\xaa": figure1.mac_of("mn1"), b"\xbb": figure1.mac_of("mn3")}
    for mag in figure1.MAGS:
        for _, ethernet, packet in delivered(lab, mag):
            mine = owner.get(packet.payload[-1:]) if packet.payload[-8:-1] in (b"\xaa" * 7, b"\xbb" * 7) else None
            wrong += mine is not None and ethernet.destination.hex(":") != mine
    report.check("nothing is delivered to the wrong node or realm", wrong == 0, f"{wrong} packets")
    report.check("the interruption is measured", gap > 0, f"{gap:.1f} ms (published: 7.8 ms for a P4/BMv2 scheme)")


def _ranges(numbers: list[int]) -> str:
    """Numbers in ascending order as `3-7, 9`."""
    starts = [number for number in numbers if number - 1 not in numbers]
    ends = [number for number in numbers if number + 1 not in numbers]
    pairs = zip(starts, ends, strict=True)
    return ", ".join(str(start) if start == end else f"{start}-{end}" for start, end in pairs) or "none"


def _session_of(lab: Lab, name: str, mag: str) -> tuple[int | None, int | None]:
    """A mobile node's uplink and downlink key, as the messages of its registration at a MAG gave them."""
    update = next(
        (message for message in reversed(_updates(lab, mag)) if _about(message, name) and message.lifetime), None
    )
    acknowledgement = next(
        (message for message in reversed(_acknowledgements(lab)) if _about(message, name) and message.lifetime), None
    )
    uplink = None if acknowledgement is None else _gre_option(acknowledgement)
    downlink = None if update is None else _gre_option(update)
    return None if uplink is None else uplink.key, None if downlink is None else downlink.key


def _about(message: BindingUpdate | BindingAcknowledgement, name: str) -> bool:
    return any(getattr(option, "identifier", None) == figure1.nai(name).encode() for option in message.options)


_PLAIN = {"overlap": False}
SCENARIOS: dict[str, Scenario] = {
    "overlap": Scenario(overlap, {}),
    "handover": Scenario(handover, {"mag": {"idle_timeout": 5.0}}),
    "ipv6": Scenario(ipv6, {"families": (6,)}),
    "dual-stack": Scenario(dual_stack, {}),
    "ipv4-transport": Scenario(ipv4_transport, {"transport": "udp", "ipv4_tunnels": True}),
    "no-gre": Scenario(no_gre, _PLAIN | {"gre": "none"}),
    "mode-only": Scenario(mode_only, _PLAIN | {"gre": "mode"}),
    "required": Scenario(required, _PLAIN | {"required": True, "mag_gre": {"mag1": {"wanted": "none"}}}),
    "unsupported": Scenario(
        unsupported,
        _PLAIN
        | {
            "gre": "none",
            "lma": {"gre_supported": False},
            "mag_gre": {"mag1": {"wanted": "key"}},
            "dialects": {"mag1": "draft-00"},
        },
    ),
    "rekey": Scenario(rekey, {}),
    "realm-keys": Scenario(realm_keys, {"keys": "realm"}),
    "draft-00": Scenario(draft_00, {"dialects": {"mag1": "draft-00"}}),
    "revoke": Scenario(revoke, {}),
    "lma-restart": Scenario(lma_restart, {}),
    "mag-restart": Scenario(mag_restart, {}),
    "switch-restart": Scenario(switch_restart, {}),
    "lossy": Scenario(lossy, {}),
    "spoof": Scenario(spoof, {}),
}
