"""The MAG's DHCPv4 server against RFC 2131's table of requests, with scapy reading what it answers."""

from dataclasses import replace
from ipaddress import IPv4Address, IPv4Interface, IPv6Network

import pytest
from scapy.layers.dhcp import DHCP
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether

from p4pmip.access.dhcp_server import DhcpOutcome, answer, reply_frame
from p4pmip.access.served import ROUTER_MAC, AccessSettings, Service
from p4pmip.mobility.binding import AccessLink, Binding, Granularity, Gre, Phase, Role, Tunnel
from p4pmip.wire.dhcpv4 import BROADCAST_FLAG, Dhcp, DhcpMessageType, DhcpOp, DhcpOption

MAC = bytes.fromhex("020000000001")
HOME = IPv4Interface("10.0.0.5/24")
ROUTER = IPv4Address("10.0.0.1")
OTHER = IPv4Address("192.0.2.9")
UNSPECIFIED = IPv4Address(0)
SETTINGS = AccessSettings()
NOW = 1000.0

BINDING = Binding(
    role=Role.MAG,
    mn=b"alice@example.org",
    realm="red",
    session_id=1,
    phase=Phase.ACTIVE,
    prefixes=(IPv6Network("2001:db8:1::/64"),),
    ipv4=HOME,
    ipv4_router=ROUTER,
    tunnel=Tunnel(IPv4Address("192.0.2.1"), IPv4Address("192.0.2.2")),
    gre=Gre.KEYED,
    granularity=Granularity.SESSION,
    uplink_key=1,
    downlink_key=2,
    access=AccessLink(3, MAC),
)
SERVICE = Service(BINDING, NOW + 600.9, 1452, (IPv4Address("10.0.0.53"), IPv4Address("10.0.0.54")))


def message(kind: int, *options: tuple[int, bytes], **fields: object) -> Dhcp:
    base = Dhcp(DhcpOp.REQUEST, 0x1234, MAC, ((DhcpOption.MESSAGE_TYPE, bytes((kind,))), *options))
    return replace(base, **fields)  # type: ignore[arg-type]


def requested(address: IPv4Address) -> tuple[int, bytes]:
    return (DhcpOption.REQUESTED_ADDRESS, address.packed)


def server(address: IPv4Address) -> tuple[int, bytes]:
    return (DhcpOption.SERVER_IDENTIFIER, address.packed)


DISCOVER, REQUEST = DhcpMessageType.DISCOVER, DhcpMessageType.REQUEST
OFFER, ACK, NAK = DhcpMessageType.OFFER, DhcpMessageType.ACK, DhcpMessageType.NAK

CASES = {
    "discover": (message(DISCOVER), OFFER),
    "discover that wishes for another address": (message(DISCOVER, requested(OTHER)), OFFER),
    "selecting": (message(REQUEST, requested(HOME.ip), server(ROUTER)), ACK),
    "selecting another address": (message(REQUEST, requested(OTHER), server(ROUTER)), NAK),
    "selecting another server": (message(REQUEST, requested(HOME.ip), server(OTHER)), DhcpOutcome.OTHER_SERVER),
    "rebooting": (message(REQUEST, requested(HOME.ip)), ACK),
    "rebooting with an address of elsewhere": (message(REQUEST, requested(OTHER)), NAK),
    "requested address of three octets": (message(REQUEST, (DhcpOption.REQUESTED_ADDRESS, b"abc")), NAK),
    "renewing": (message(REQUEST, client_address=HOME.ip), ACK),
    "renewing another address": (message(REQUEST, client_address=OTHER), NAK),
    "request without any address": (message(REQUEST), NAK),
    "inform": (message(DhcpMessageType.INFORM, client_address=HOME.ip), ACK),
    "release": (message(DhcpMessageType.RELEASE, server(ROUTER), client_address=HOME.ip), DhcpOutcome.RELEASED),
    "decline": (message(DhcpMessageType.DECLINE, server(ROUTER), requested(HOME.ip)), DhcpOutcome.DECLINED),
    "offer from a host": (message(OFFER), DhcpOutcome.UNKNOWN_TYPE),
    "no message type": (replace(message(0), options=()), DhcpOutcome.UNKNOWN_TYPE),
    "reply": (message(ACK, op=DhcpOp.REPLY), DhcpOutcome.NOT_A_REQUEST),
    "relayed": (message(DISCOVER, relay_address=OTHER), DhcpOutcome.RELAYED),
    "for somebody else": (message(DISCOVER, client_mac=b"\x02\0\0\0\0\2"), DhcpOutcome.OTHER_HARDWARE_ADDRESS),
}


@pytest.mark.requirement("R5844-3.4.3-3")
@pytest.mark.parametrize(("request_", "expected"), CASES.values(), ids=CASES.keys())
def test_each_message_is_answered_as_the_rfc_says(request_: Dhcp, expected: DhcpMessageType | DhcpOutcome) -> None:
    reply = answer(request_, MAC, SERVICE, SETTINGS, NOW)
    if isinstance(reply, DhcpOutcome):
        assert reply is expected
    else:
        assert reply.message_type == expected


@pytest.mark.requirement("R5844-3.2.3.2-9", "R5844-3.4.3-1")
@pytest.mark.parametrize(
    "service",
    [
        replace(SERVICE, binding=replace(BINDING, ipv4=None, ipv4_router=None)),
        replace(SERVICE, dhcp_server=False),
    ],
)
def test_nothing_to_hand_out(service: Service) -> None:
    assert answer(message(DISCOVER), MAC, service, SETTINGS, NOW) is DhcpOutcome.NO_HOME_ADDRESS


@pytest.mark.parametrize("kind", [DISCOVER, REQUEST])
def test_a_binding_at_its_end_is_not_leased(kind: DhcpMessageType) -> None:
    request = message(kind, requested(HOME.ip))
    assert answer(request, MAC, SERVICE, SETTINGS, SERVICE.expires) is DhcpOutcome.EXPIRED


def read(reply: Dhcp | DhcpOutcome) -> tuple[Ether, dict[str, object]]:
    assert isinstance(reply, Dhcp)
    frame = Ether(reply_frame(reply, ROUTER, ROUTER_MAC))
    options: dict[str, object] = {option[0]: option[1:] for option in frame[DHCP].options if isinstance(option, tuple)}
    checksum = frame[UDP].chksum
    del frame[UDP].chksum
    assert Ether(frame.build())[UDP].chksum == checksum
    return frame, options


@pytest.mark.requirement("R5844-3.2.3.2-8", "R5844-3.4.3-3", "R5844-3.4.3-4")
def test_an_ack_says_all_that_a_host_needs() -> None:
    client = (DhcpOption.CLIENT_IDENTIFIER, b"\x01" + MAC)
    frame, options = read(answer(message(REQUEST, requested(HOME.ip), client), MAC, SERVICE, SETTINGS, NOW))
    assert (frame.src, frame.dst) == ("00:00:5e:00:52:13", "02:00:00:00:00:01")
    assert (frame[IP].src, frame[IP].dst) == ("10.0.0.1", "10.0.0.5")
    assert (frame[UDP].sport, frame[UDP].dport) == (67, 68)
    assert (frame["BOOTP"].op, frame["BOOTP"].xid, frame["BOOTP"].yiaddr) == (2, 0x1234, "10.0.0.5")
    assert options == {
        "message-type": (5,),
        "server_id": ("10.0.0.1",),
        "lease_time": (600,),
        "renewal_time": (300,),
        "rebinding_time": (525,),
        "subnet_mask": ("255.255.255.0",),
        "router": ("10.0.0.1",),
        "name_server": ("10.0.0.53", "10.0.0.54"),
        "interface-mtu": (1452,),
        "client_id": (b"\x01" + MAC,),
    }


def test_a_lease_is_no_longer_than_the_longest() -> None:
    service = replace(SERVICE, expires=NOW + 10**6)
    _, options = read(answer(message(DISCOVER), MAC, service, AccessSettings(longest_lease=7200), NOW))
    assert options["lease_time"] == (7200,)


def test_an_answer_to_inform_leases_nothing() -> None:
    frame, options = read(answer(message(DhcpMessageType.INFORM, client_address=HOME.ip), MAC, SERVICE, SETTINGS, NOW))
    assert frame["BOOTP"].yiaddr == "0.0.0.0"
    assert not {"lease_time", "renewal_time", "rebinding_time"} & options.keys()
    assert options["router"] == ("10.0.0.1",)


@pytest.mark.parametrize(
    ("request_", "destination"),
    [
        (message(DISCOVER), "10.0.0.5"),
        (message(DISCOVER, flags=BROADCAST_FLAG), "255.255.255.255"),
        (message(REQUEST, client_address=HOME.ip, flags=BROADCAST_FLAG), "10.0.0.5"),
        (message(REQUEST, requested(OTHER)), "255.255.255.255"),
    ],
)
def test_where_a_reply_goes(request_: Dhcp, destination: str) -> None:
    frame, _ = read(answer(request_, MAC, SERVICE, SETTINGS, NOW))
    assert frame[IP].dst == destination
    assert frame.dst == "02:00:00:00:00:01", "never to anybody else on the link"


def test_a_refusal_carries_no_address() -> None:
    frame, options = read(answer(message(REQUEST, client_address=OTHER), MAC, SERVICE, SETTINGS, NOW))
    assert (frame["BOOTP"].ciaddr, frame["BOOTP"].yiaddr) == ("0.0.0.0", "0.0.0.0")
    assert options.keys() == {"message-type", "server_id", "error_message"}
