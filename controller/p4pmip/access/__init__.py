"""What a node says on its links: to mobile nodes as their MAG, to its neighbours as a router. Sans-IO."""

from p4pmip.access.effects import (
    AccessEffect,
    AddressReleased,
    AddressWanted,
    Attachment,
    Detached,
    Direction,
    Inject,
    MobileNodeSeen,
    NeighbourChanged,
    RouterEffect,
    Transmit,
)
from p4pmip.access.frame import Punt
from p4pmip.access.links import AccessLinks
from p4pmip.access.neighbour import NeighbourSettings
from p4pmip.access.router import RouterLinks
from p4pmip.access.router_link import RouterLink
from p4pmip.access.served import ROUTER_LINK_LOCAL, ROUTER_MAC, AccessSettings, Service

__all__ = [
    "ROUTER_LINK_LOCAL",
    "ROUTER_MAC",
    "AccessEffect",
    "AccessLinks",
    "AccessSettings",
    "AddressReleased",
    "AddressWanted",
    "Attachment",
    "Detached",
    "Direction",
    "Inject",
    "MobileNodeSeen",
    "NeighbourChanged",
    "NeighbourSettings",
    "Punt",
    "RouterEffect",
    "RouterLink",
    "RouterLinks",
    "Service",
    "Transmit",
]
