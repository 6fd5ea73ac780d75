"""tshark reads what p4pmip writes, and finds the same options at the same places with the same values.

Where Debian 12's tshark (4.0) does not know something, or has it wrong:
- it knows neither Update Notifications nor the LMA User-Plane Address option: places and sizes are compared alone;
- it does not verify the checksum of a Mobility Header: scapy does;
- it does not name the flags S and D;
- it shows no MN-Identifier of one or two octets;
- it shows two octets less of an authenticator and of vendor data than there are, and of an authenticator
  of two or less it never comes back: the rest of longer ones is compared.
"""

from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import strategies as st
from tests.interop.oracle import LMA, MAG, examples, field, needs_tshark, octets_of, shown, tshark
from tests.wire.strategies import ipv4, messages_with, option_strategies, u8, u16, u32

from p4pmip.wire import icmpv6
from p4pmip.wire import message as m
from p4pmip.wire import neighbor_option as n
from p4pmip.wire import options as o
from p4pmip.wire.dhcpv4 import Dhcp
from p4pmip.wire.echo import EchoRequest
from p4pmip.wire.ethernet import EtherType
from p4pmip.wire.gre import Gre
from p4pmip.wire.ip import IPProtocol, IPv4Packet, IPv6Packet
from p4pmip.wire.mobility_header import decode, encode
from p4pmip.wire.numbers import SIGNALLING_PORT, HeartbeatFlag
from p4pmip.wire.udp import Udp

pytestmark = needs_tshark

Expected = Iterator[tuple[str, str | None]]
"""Field names with what tshark shows of them, or `0x` and their octets."""

unassigned = st.builds(o.UnknownOption, st.integers(71, 255), st.binary(max_size=20))
authentication = st.builds(o.Authentication, u8, u32, st.binary(min_size=3, max_size=32))
known = option_strategies | {o.UnknownOption: unassigned, o.Authentication: authentication}
known_options = st.lists(st.one_of(*known.values()), max_size=8).map(tuple)
messages = st.one_of(*messages_with(known_options).values())


def raw(octets: bytes) -> str:
    return f"0x{octets.hex()}"


def flag(value: bool) -> str:
    return "1" if value else "0"


# --- what each option and message should look like --------------------------------------------------------------------


def option_fields(option: o.Option) -> Expected:
    match option:
        case o.AlternateCareOfAddress(address):
            yield "mip6.acoa.acoa", raw(address.packed)
        case o.MobileNodeIdentifier(subtype, identifier):
            yield "mip6.mnid.subtype", str(subtype)
            if len(identifier) > 2:
                yield "mip6.mnid.identifier", raw(identifier)
        case o.Authentication(subtype, spi, authenticator):
            yield "mip6.auth.subtype", str(subtype)
            yield "mip6.auth.mobility_spi", str(spi)
            yield "mip6.auth.auth_data", raw(authenticator[:-2])
        case o.ReplayProtection(timestamp):
            yield "mip6.mseg_id.timestamp", raw(timestamp.to_bytes(8, "big"))
        case o.VendorSpecific(vendor, subtype, _):
            yield "mip6.vsm.vendorId", str(vendor)
            yield "mip6.vsm.subtype", str(subtype)
        case o.ServiceSelection(identifier):
            yield "mip6.ss.identifier", raw(identifier)
        case o.HomeNetworkPrefix(address, length):
            yield "mip6.nemo.mnp.pfl", str(length)
            yield "mip6.nemo.mnp.mnp", raw(address.packed)
        case o.HandoffIndicatorOption(indicator):
            yield "mip6.hi", str(indicator)
        case o.AccessTechnologyOption(technology):
            yield "mip6.att", str(technology)
        case o.LinkLayerIdentifier(identifier):
            if identifier:
                yield "mip6.mnlli.lli", raw(identifier)
        case o.LinkLocalAddress(address):
            yield "mip6.lila_lla", raw(address.packed)
        case o.Timestamp(value):
            yield "mip6.timestamp_tmp", raw(value.to_bytes(8, "big"))
        case o.RestartCounter(counter):
            yield "mip6.rc", str(counter)
        case o.NatDetection(force, refresh_time):
            yield "mip6.natd.f_flag", flag(force)
            yield "mip6.natd.refresh_t", str(refresh_time)
        case o.GreKey(key):
            yield "mip6.gre_key", None if key is None else str(key)
        case o.IPv4HomeAddressRequest(address, length):
            yield "mip6.ipv4ha.preflen", str(length)
            yield "mip6.ipv4ha.ha", str(address)
        case o.IPv4HomeAddressReply(status, length, address):
            yield "mip6.ipv4aa.sts", str(status)
            yield "mip6.ipv4ha.preflen", str(length)
            yield "mip6.ipv4ha.ha", str(address)
        case o.IPv4DefaultRouter(address):
            yield "mip6.ipv4dra.dra", str(address)
        case o.IPv4DhcpSupportMode(server):
            yield "mip6.ipv4dsm.s_flag", flag(server)
        case o.LmaUserPlaneAddress() | o.UnknownOption():
            pass


def message_fields(message: m.Message) -> Expected:
    match message:
        case m.BindingUpdate(sequence, flags, lifetime):
            yield "mip6.mhtype", "5"
            yield "mip6.bu.seqnr", str(sequence)
            for letter in "AHLKMPFTB":
                yield f"mip6.bu.{letter.lower()}_flag", flag(bool(flags & type(flags)[letter]))
            yield "mip6.nemo.bu.r_flag", flag(bool(flags & type(flags).R))
            yield "mip6.bu.lifetime", str(lifetime)
        case m.BindingAcknowledgement(status, flags, sequence, lifetime):
            yield "mip6.mhtype", "6"
            yield "mip6.ba.status", str(status)
            for letter in "KPTB":
                yield f"mip6.ba.{letter.lower()}_flag", flag(bool(flags & type(flags)[letter]))
            yield "mip6.nemo.ba.r_flag", flag(bool(flags & type(flags).R))
            yield "mip6.ba.seqnr", str(sequence)
            yield "mip6.ba.lifetime", str(lifetime)
        case m.BindingError(status, home_address):
            yield "mip6.mhtype", "7"
            yield "mip6.be.status", str(status)
            yield "mip6.be.haddr", raw(home_address.packed)
        case m.Heartbeat(flags, sequence):
            yield "mip6.mhtype", "13"
            yield "mip6.hb.u_flag", flag(bool(flags & type(flags).U))
            yield "mip6.hb.r_flag", flag(bool(flags & type(flags).R))
            yield "mip6.hb.seqnr", str(sequence)
        case m.BindingRevocationIndication(trigger, sequence, flags):
            yield "mip6.bri_br.type", "1"
            yield "mip6.bri_r.trigger", str(trigger)
            yield "mip6.bri_seqnr", str(sequence)
            for letter in "PVG":
                yield f"mip6.bri_i{letter.lower()}", flag(bool(flags & type(flags)[letter]))
        case m.BindingRevocationAcknowledgement(status, sequence, flags):
            yield "mip6.bri_br.type", "2"
            yield "mip6.bri_status", str(status)
            yield "mip6.bri_seqnr", str(sequence)
            for letter in "PVG":
                yield f"mip6.bri_a{letter.lower()}", flag(bool(flags & type(flags)[letter]))
        case m.BindingRefreshRequest():
            yield "mip6.mhtype", "0"
        case m.UpdateNotification():
            yield "mip6.mhtype", "19"
        case m.UpdateNotificationAcknowledgement():
            yield "mip6.mhtype", "20"
        case m.UnknownMessage(mh_type):
            yield "mip6.mhtype", str(mh_type)


WITHOUT_OPTIONS = (
    m.UpdateNotification,
    m.UpdateNotificationAcknowledgement,
    m.BindingRefreshRequest,
    m.UnknownMessage,
)
"""Of these tshark shows no options: those it does not know, and in a Binding Refresh Request it looks for none."""


def assert_shows(node: ElementTree.Element, fields: Expected) -> None:
    for name, value in fields:
        if value is not None and value.startswith("0x"):
            assert octets_of(node, name) == value.removeprefix("0x"), name
        else:
            assert shown(node, name) == value, name


def option_nodes(packet: ElementTree.Element) -> list[ElementTree.Element]:
    tree = next((found for found in packet.iter("field") if found.get("show") == "Mobility Options"), None)
    nodes = [] if tree is None else list(tree)
    return [node for node in nodes if node.get("name") not in ("mip6.options.pad1", "mip6.options.padn")]


def test_tshark_reads_every_message_and_option(tmp_path: Path) -> None:
    sent = examples(messages, 500)
    assert len({type(message) for message in sent}) == 9
    packets = [IPv6Packet(MAG, LMA, IPProtocol.MOBILITY_HEADER, encode(message, MAG, LMA)).encode() for message in sent]
    compared = 0
    for message, octets, packet in zip(sent, packets, tshark(packets, tmp_path / "mh.pcapng"), strict=True):
        assert field(packet, "_ws.malformed") is None
        assert_shows(packet, message_fields(message))
        if isinstance(message, WITHOUT_OPTIONS):
            continue
        found = decode(octets[40:])
        nodes = option_nodes(packet)
        places = [(int(node.get("pos", "")) - 40, int(node.get("size", ""))) for node in nodes]
        assert places == [(offset, 2 + octets[40 + offset + 1]) for offset in found.offsets]
        for option, node in zip(message.options, nodes, strict=True):
            assert_shows(node, option_fields(option))
            compared += 1
    assert compared > 500


@pytest.mark.parametrize("kind", [kind for kind in option_strategies if kind is not o.UnknownOption])
def test_every_option_has_an_expectation(kind: type) -> None:
    (option,) = examples(option_strategies[kind], 1)[:1]
    assert list(option_fields(option)) or kind in (o.LmaUserPlaneAddress, o.LinkLayerIdentifier, o.ServiceSelection)


def test_tshark_finds_signalling_on_its_udp_port(tmp_path: Path) -> None:
    sent = m.Heartbeat(HeartbeatFlag.R, 77, (o.RestartCounter(3),))
    source, destination = examples(st.tuples(ipv4, ipv4), 1)[0]
    udp = Udp(SIGNALLING_PORT, SIGNALLING_PORT, encode(sent, source, destination)).encode(source, destination)
    (packet,) = tshark([IPv4Packet(source, destination, IPProtocol.UDP, udp).encode()], tmp_path / "udp.pcapng")
    assert shown(packet, "mip6.hb.seqnr") == "77"
    assert shown(packet, "mip6.rc") == "3"


def test_tshark_reads_gre(tmp_path: Path) -> None:
    inner = IPv4Packet(*examples(st.tuples(ipv4, ipv4), 1)[0], IPProtocol.UDP, Udp(1, 2, b"").payload).encode()
    sent = examples(
        st.builds(Gre, st.just(int(EtherType.IPV4)), st.just(inner), st.none() | u32, st.none() | u32, st.booleans()),
        60,
    )
    packets = [IPv6Packet(MAG, LMA, IPProtocol.GRE, gre.encode()).encode() for gre in sent]
    for gre, packet in zip(sent, tshark(packets, tmp_path / "gre.pcapng"), strict=True):
        assert shown(packet, "gre.proto") == "0x0800"
        assert shown(packet, "gre.key") == (None if gre.key is None else f"0x{gre.key:08x}")
        assert shown(packet, "gre.sequence_number") == (None if gre.sequence is None else str(gre.sequence))
        assert shown(packet, "gre.checksum.status") == ("1" if gre.checksum else None)


def _icmpv6_packets() -> list[bytes]:
    options = neighbor_options()
    sent: list[icmpv6.Icmpv6Message] = [
        icmpv6.RouterSolicitation(options[:1]),
        icmpv6.RouterAdvertisement(1800, options),
        icmpv6.NeighborSolicitation(LMA, options[:1]),
        icmpv6.NeighborAdvertisement(LMA, True, True, False),
        EchoRequest(1, 2, b"abc"),
        icmpv6.packet_too_big(1452, IPv6Packet(MAG, LMA, 59, b"").encode()),
    ]
    return [IPv6Packet(MAG, LMA, IPProtocol.ICMPV6, icmpv6.encode(one, MAG, LMA), 255).encode() for one in sent]


def neighbor_options() -> tuple[n.NeighborOption, ...]:
    return (
        n.SourceLinkLayerAddress(bytes.fromhex("00005e005213")),
        n.PrefixInformation(MAG, 64, True, True, 7200, 3600),
        n.Mtu(1452),
        n.Rdnss(1800, (MAG, LMA)),
    )


def test_tshark_reads_neighbor_discovery(tmp_path: Path) -> None:
    found = tshark(_icmpv6_packets(), tmp_path / "icmpv6.pcapng")
    assert [shown(packet, "icmpv6.type") for packet in found] == ["133", "134", "135", "136", "128", "2"]
    assert {shown(packet, "icmpv6.checksum.status") for packet in found} == {"1"}
    advertisement = found[1]
    assert_shows(
        advertisement,
        iter(
            [
                ("icmpv6.nd.ra.router_lifetime", "1800"),
                ("icmpv6.opt.linkaddr", "00:00:5e:00:52:13"),
                ("icmpv6.opt.prefix.length", "64"),
                ("icmpv6.opt.prefix.valid_lifetime", "7200"),
                ("icmpv6.opt.prefix.preferred_lifetime", "3600"),
                ("icmpv6.opt.mtu", "1452"),
                ("icmpv6.opt.rdnss", str(MAG)),
            ]
        ),
    )


def test_tshark_reads_dhcp(tmp_path: Path) -> None:
    values = st.binary(min_size=4, max_size=4)
    sent = examples(
        st.builds(
            lambda xid, mac, kind, lease, router, your: Dhcp(
                2, xid, mac, ((53, bytes((kind,))), (51, lease), (3, router)), your_address=your
            ),
            u32, st.binary(min_size=6, max_size=6), st.integers(1, 8), values, values, ipv4,
        ),
        20,
    )  # fmt: skip
    source, destination = examples(st.tuples(ipv4, ipv4), 1)[0]
    packets = [
        IPv4Packet(source, destination, IPProtocol.UDP, Udp(67, 68, one.encode()).encode(source, destination)).encode()
        for one in sent
    ]
    for one, packet in zip(sent, tshark(packets, tmp_path / "dhcp.pcapng"), strict=True):
        assert int(shown(packet, "dhcp.id") or "", 16) == one.transaction_id
        assert shown(packet, "dhcp.option.dhcp") == str(one.message_type)
        assert shown(packet, "dhcp.ip.your") == str(one.your_address)
        assert octets_of(packet, "dhcp.option.ip_address_lease_time") == (one.option(51) or b"").hex()
        assert octets_of(packet, "dhcp.option.router") == (one.option(3) or b"").hex()


@pytest.mark.parametrize("strategy", [u8, u16])
def test_examples_are_many(strategy: st.SearchStrategy[int]) -> None:
    assert len(set(examples(strategy, 50))) > 20
