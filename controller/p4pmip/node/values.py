"""What single values of a configuration file must be by themselves: names, addresses, networks, files, numbers."""

import re
import string
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, Strict, ValidationInfo

from p4pmip.access.served import ROUTER_MAC

IPAddress = IPv4Address | IPv6Address
IPNetwork = IPv4Network | IPv6Network
NAI_MAXIMUM = 253
"""Octets of a network access identifier (RFC 7542)."""
_OF_NAMES = frozenset(f"{string.ascii_letters}{string.digits}._-")
_NOT_UNICAST = tuple(
    ip_network(text)
    for text in ("0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/3", "::/8", "fe80::/10", "ff00::/8")
)
"""Where no mobile node can have an address: this network, loopback, one link, groups, and what is reserved."""


def _name(text: str) -> str:
    if not text or text.startswith((".", "-")) or set(text) - _OF_NAMES:
        raise ValueError("letters, digits, '.', '_' and '-', and neither '.' nor '-' first")
    return text


def _nai(text: str) -> str:
    if len(text.encode()) > NAI_MAXIMUM:
        raise ValueError(f"longer than {NAI_MAXIMUM} octets")
    return text


def _beside(path: Path, info: ValidationInfo) -> Path:
    return path if info.context is None else info.context["folder"] / path


def _admin(text: str) -> str:
    address = tcp_address(text)
    if address is not None and ip_address(address[0]).is_unspecified:
        raise ValueError("every request names the address that it is for: give the one to listen at")
    if address is None and re.fullmatch(r"[^/]*:\d+", text):
        raise ValueError("neither ADDRESS:PORT, with a numeric address, nor a socket's path (which may be ./PATH)")
    return text


def _interface(text: str) -> str:
    if len(text.encode()) > 15 or text in (".", "..") or re.search(r"[\s/:]", text):
        raise ValueError("an interface's name has 1 to 15 octets, none of them a blank, '/' or ':'")
    return text


def _address_text(value: object) -> object:
    if not isinstance(value, str | IPv4Address | IPv6Address):
        raise ValueError("an address is a text")
    return value


def _network_text(value: object) -> object:
    if not isinstance(value, str | IPv4Network | IPv6Network):
        raise ValueError("a network is a text")
    return value


def _of_one_node(address: IPAddress) -> IPAddress:
    if address.is_multicast or address.is_unspecified or "%" in str(address) or str(address) == "255.255.255.255":
        raise ValueError("not the address of one node")
    return address


def _of_mobile_nodes(pool: IPNetwork) -> IPNetwork:
    for network in _NOT_UNICAST:
        if network.version == pool.version and network.overlaps(pool):
            raise ValueError(f"no mobile node can have an address of {network}")
    return pool


def _mac(text: str) -> str:
    octets = text.lower().split(":")
    if len(octets) != 6 or any(len(octet) != 2 or set(octet) - set("0123456789abcdef") for octet in octets):
        raise ValueError("a link-layer address is six octets, as in 02:00:00:00:00:01")
    if int(octets[0], 16) & 1:
        raise ValueError("a link-layer address of a node is not a group address")
    if not any(int(octet, 16) for octet in octets):
        raise ValueError("a link-layer address of a node is not all zeros")
    return ":".join(octets)


def _each_once(neighbours: object) -> object:
    found: set[IPAddress] = set()
    for key in neighbours if isinstance(neighbours, dict) else ():
        try:
            address = ip_address(key)
        except ValueError:
            continue  # which is said of the key
        if address in found:
            raise ValueError(f"{address} is given twice")
        found.add(address)
    return neighbours


def _not_the_router(mac: str) -> str:
    if mac == ROUTER_MAC.hex(":"):
        raise ValueError("the router's link-layer address on every access link (RFC 6543)")
    return mac


Number = Annotated[float, Strict()]
Name = Annotated[str, AfterValidator(_name)]
Nai = Annotated[str, Field(max_length=NAI_MAXIMUM), AfterValidator(_nai)]
FilePath = Annotated[Path, AfterValidator(_beside)]
"""A file; where its path is relative, it is relative to the configuration file."""
AdminText = Annotated[str, AfterValidator(_admin)]
InterfaceName = Annotated[str, Field(min_length=1, max_length=15), AfterValidator(_interface)]
Address = Annotated[IPAddress, BeforeValidator(_address_text), AfterValidator(_of_one_node)]
Ipv4Text = Annotated[IPv4Address, BeforeValidator(_address_text)]
Ipv4Pool = Annotated[IPv4Network, BeforeValidator(_network_text), AfterValidator(_of_mobile_nodes)]
PrefixPool = Annotated[IPv6Network, BeforeValidator(_network_text), AfterValidator(_of_mobile_nodes)]
Prefix = Annotated[IPv6Network, BeforeValidator(_network_text)]
Destination = Annotated[IPNetwork, BeforeValidator(_network_text)]
MacText = Annotated[str, AfterValidator(_mac)]
Neighbours = Annotated[dict[Address, MacText], BeforeValidator(_each_once)]
MobileNodeMac = Annotated[str, AfterValidator(_mac), AfterValidator(_not_the_router)]


def tcp_address(text: str) -> tuple[str, int] | None:
    """`ADDRESS:PORT` or `[ADDRESS]:PORT` in its parts; None if the text is no such thing."""
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdecimal() or int(port) > 65535 or "/" in host:
        return None
    try:
        return str(ip_address(host.removeprefix("[").removesuffix("]"))), int(port)
    except ValueError:
        return None


def tcp_text(host: str, port: int) -> str:
    """The address and port in one text again."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
