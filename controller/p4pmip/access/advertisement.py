"""The Router Advertisement that a MAG makes for one mobile node (RFC 5213 §6.9.2, §6.9.5, §6.12)."""

from collections.abc import Iterator
from ipaddress import IPv6Network

from p4pmip.access.served import AccessSettings, Service
from p4pmip.wire.icmpv6 import RouterAdvertisement
from p4pmip.wire.neighbor_option import Mtu, NeighborOption, PrefixInformation, Rdnss, SourceLinkLayerAddress

_FOR_EVER = 0xFFFFFFFF


def advertisement(
    service: Service, settings: AccessSettings, now: float, gone: tuple[IPv6Network, ...] = ()
) -> RouterAdvertisement:
    """What the node is told: its home network prefixes, MTU and DNS; prefixes that are `gone` with lifetimes of 0."""
    lifetime = int(min(settings.router_lifetime, service.left(now)))
    return RouterAdvertisement(lifetime, tuple(_options(service, settings, now, lifetime, gone)))


def withdrawal(service: Service, settings: AccessSettings) -> RouterAdvertisement:
    """The same taken back: this is no router for the node any more, and its prefixes end."""
    options: list[NeighborOption] = [SourceLinkLayerAddress(settings.router_mac)]
    options += [_prefix(prefix, 0) for prefix in service.binding.prefixes]
    if service.ipv6_dns:
        options.append(Rdnss(0, service.ipv6_dns))
    return RouterAdvertisement(0, tuple(options))


def _options(
    service: Service, settings: AccessSettings, now: float, lifetime: int, gone: tuple[IPv6Network, ...]
) -> Iterator[NeighborOption]:
    yield SourceLinkLayerAddress(settings.router_mac)
    yield Mtu(service.link_mtu)
    valid = min(int(service.left(now)), _FOR_EVER - 1)
    for prefix in service.binding.prefixes:
        yield _prefix(prefix, valid)
    for prefix in gone:
        yield _prefix(prefix, 0)
    if service.ipv6_dns:
        yield Rdnss(lifetime, service.ipv6_dns)


def _prefix(prefix: IPv6Network, lifetime: int) -> PrefixInformation:
    """Autonomous only at 64 bits: any other length does not fit an interface identifier (RFC 4862 §5.5.3)."""
    return PrefixInformation(prefix.network_address, prefix.prefixlen, True, prefix.prefixlen == 64, lifetime, lifetime)
