"""The numbers of the P4 program's enumerations that entries carry; a test holds them against the P4Info."""

from enum import IntEnum

VRF_TRANSPORT = 0
"""The address space in which tunnels run; realms have the others."""

CPU_PORT = 510
"""The port to the controller; as an ingress port in a packet-out, the switch itself."""


class Direction(IntEnum):
    """As seen from the mobile node."""

    UPLINK = 1
    DOWNLINK = 2


class Encapsulation(IntEnum):
    """What stands between outer and inner IP header."""

    IP = 1
    GRE = 2
    UDP = 3
    UDP_GRE = 4


class DscpMode(IntEnum):
    """RFC 2983's two models."""

    UNIFORM = 0xFF
    PIPE = 0x03


class Reason(IntEnum):
    """Those reasons that entries give."""

    ICMP = 6
    UNRESOLVED = 10
    NO_BINDING = 37


class PuntReason(IntEnum):
    """Reasons for which packets go to the controller; each has its meter."""

    SIGNALLING = 1
    ARP = 2
    NEIGHBOR_DISCOVERY = 3
    ROUTER_SOLICITATION = 4
    DHCP = 5
    ICMP = 6
    HOP_LIMIT = 7
    TOO_BIG = 8
    UNKNOWN_SOURCE = 9
    UNRESOLVED = 10
    LISTENER_REPORT = 11
