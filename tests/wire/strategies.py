"""Messages and options as hypothesis makes them: every field over its whole width."""

from ipaddress import IPv4Address, IPv6Address

from hypothesis import strategies as st

from p4pmip.wire import message as m
from p4pmip.wire import options as o
from p4pmip.wire.numbers import (
    BindingAcknowledgementFlag,
    BindingUpdateFlag,
    HeartbeatFlag,
    MhType,
    OptionType,
    RevocationFlag,
    UpdateNotificationFlag,
)

u8 = st.integers(0, 0xFF)
u16 = st.integers(0, 0xFFFF)
u32 = st.integers(0, 0xFFFFFFFF)
u64 = st.integers(0, 0xFFFFFFFFFFFFFFFF)
some = st.binary(max_size=40)
ipv4 = st.builds(IPv4Address, u32)
ipv6 = st.builds(IPv6Address, st.integers(0, 2**128 - 1)) | st.just(IPv6Address("::"))
prefix_length4 = st.integers(0, 32)

KNOWN_OPTIONS = {3, 8, 9, 10, 19, 20, 22, 23, 24, 25, 26, 27, 28, 31, 33, 36, 37, 38, 39, 59}
KNOWN_MESSAGES = {0, 5, 6, 7, 13, 16, 19, 20}

option_strategies: dict[type, st.SearchStrategy[o.Option]] = {
    o.AlternateCareOfAddress: st.builds(o.AlternateCareOfAddress, ipv6),
    o.MobileNodeIdentifier: st.builds(o.MobileNodeIdentifier, u8, some),
    o.Authentication: st.builds(o.Authentication, u8, u32, some),
    o.ReplayProtection: st.builds(o.ReplayProtection, u64),
    o.VendorSpecific: st.builds(o.VendorSpecific, u32, u8, some),
    o.ServiceSelection: st.builds(o.ServiceSelection, st.binary(min_size=1, max_size=40)),
    o.HomeNetworkPrefix: st.builds(o.HomeNetworkPrefix, ipv6, st.integers(0, 128)),
    o.HandoffIndicatorOption: st.builds(o.HandoffIndicatorOption, u8),
    o.AccessTechnologyOption: st.builds(o.AccessTechnologyOption, u8),
    o.LinkLayerIdentifier: st.builds(o.LinkLayerIdentifier, some),
    o.LinkLocalAddress: st.builds(o.LinkLocalAddress, ipv6),
    o.Timestamp: st.builds(o.Timestamp, u64),
    o.RestartCounter: st.builds(o.RestartCounter, u32),
    o.NatDetection: st.builds(o.NatDetection, st.booleans(), u32),
    o.GreKey: st.builds(o.GreKey, st.none() | u32),
    o.IPv4HomeAddressRequest: st.builds(o.IPv4HomeAddressRequest, ipv4, prefix_length4),
    o.IPv4HomeAddressReply: st.builds(o.IPv4HomeAddressReply, u8, prefix_length4, ipv4),
    o.IPv4DefaultRouter: st.builds(o.IPv4DefaultRouter, ipv4),
    o.IPv4DhcpSupportMode: st.builds(o.IPv4DhcpSupportMode, st.booleans()),
    o.LmaUserPlaneAddress: st.builds(o.LmaUserPlaneAddress, st.none() | ipv4 | ipv6),
    o.UnknownOption: st.builds(
        o.UnknownOption,
        u8.filter(lambda kind: kind not in KNOWN_OPTIONS | {OptionType.PAD1, OptionType.PADN}),
        some,
    ),
}

option = st.one_of(*option_strategies.values())
options = st.lists(option, max_size=12).map(tuple)


def messages_with(options: st.SearchStrategy[tuple[o.Option, ...]]) -> dict[type, st.SearchStrategy[m.Message]]:
    """A strategy for each message, its options drawn from `options`."""
    return {
        m.BindingRefreshRequest: st.builds(m.BindingRefreshRequest, options),
        m.BindingUpdate: st.builds(m.BindingUpdate, u16, u16.map(BindingUpdateFlag), u16, options),
        m.BindingAcknowledgement: st.builds(
            m.BindingAcknowledgement, u8, u8.map(BindingAcknowledgementFlag), u16, u16, options
        ),
        m.BindingError: st.builds(m.BindingError, u8, ipv6, options),
        m.Heartbeat: st.builds(m.Heartbeat, u16.map(HeartbeatFlag), u32, options),
        m.BindingRevocationIndication: st.builds(
            m.BindingRevocationIndication, u8, u16, u16.map(RevocationFlag), options
        ),
        m.BindingRevocationAcknowledgement: st.builds(
            m.BindingRevocationAcknowledgement, u8, u16, u16.map(RevocationFlag), options
        ),
        m.UpdateNotification: st.builds(m.UpdateNotification, u16, u16, u16.map(UpdateNotificationFlag), options),
        m.UpdateNotificationAcknowledgement: st.builds(m.UpdateNotificationAcknowledgement, u16, u8, options),
    }


unknown_message = st.builds(
    m.UnknownMessage,
    u8.filter(lambda kind: kind not in KNOWN_MESSAGES),
    st.integers(0, 8).flatmap(lambda n: st.binary(min_size=8 * n + 2, max_size=8 * n + 2)),
) | st.builds(
    m.UnknownMessage,
    st.just(int(MhType.BINDING_REVOCATION)),
    st.binary(min_size=10, max_size=10).filter(lambda data: data[0] not in (1, 2)),
)

message_strategies = messages_with(options)
message = st.one_of(*message_strategies.values(), unknown_message)
