/* What is for this switch and its controller; what only pretends to be. */

#ifndef TRAP_P4
#define TRAP_P4

#include "port.p4"
#include "checksum.p4"

control Trap(in headers_t hdr, inout metadata_t meta, inout standard_metadata_t standard_metadata) {
    bit<16> length = 0;
    bit<16> sum = 0;

    @id(0x13000002)
    direct_counter(CounterType.packets) trap_counter;

    @id(0x01000020)
    action is_local() {
        meta.is_local = 1;
    }

    @id(0x13000012)
    direct_counter(CounterType.packets_and_bytes) local_v6_counter;

    @id(0x02000003)
    table local_v6 {
        key = {
            meta.vrf: exact @id(1) @name("vrf");
            hdr.ipv6.dst: exact @id(2) @name("address") @format(IPV6_ADDRESS);
        }
        actions = {
            is_local;
            @defaultonly NoAction;
        }
        const default_action = NoAction();
        size = LOCAL_ADDRESSES;
        counters = local_v6_counter;
    }

    @id(0x13000013)
    direct_counter(CounterType.packets_and_bytes) local_v4_counter;

    @id(0x02000004)
    table local_v4 {
        key = {
            meta.vrf: exact @id(1) @name("vrf");
            hdr.ipv4.dst: exact @id(2) @name("address") @format(IPV4_ADDRESS);
        }
        actions = {
            is_local;
            @defaultonly NoAction;
        }
        const default_action = NoAction();
        size = LOCAL_ADDRESSES;
        counters = local_v4_counter;
    }

    /* Policy, not configuration: signalling and tunnels are believed on transport ports only. First match wins. */
    @id(0x02000005)
    table trap {
        key = {
            meta.role: ternary @id(1) @name("role");
            meta.is_local: ternary @id(2) @name("is_local");
            meta.ether_type: ternary @id(3) @name("ether_type");
            meta.protocol: ternary @id(4) @name("protocol");
            meta.icmp_type: ternary @id(5) @name("icmp_type");
            meta.udp_port: ternary @id(6) @name("udp_port");
        }
        actions = {
            stop(meta);
            NoAction;
        }
        const default_action = NoAction();
        const entries = {
            (_, _, TYPE_ARP, _, _, _): stop(meta, Reason.ARP);
            (_, _, TYPE_IPV6, PROTO_ICMPV6, ICMPV6_NEIGHBOR_SOLICITATION, _): stop(meta, Reason.NEIGHBOR_DISCOVERY);
            (_, _, TYPE_IPV6, PROTO_ICMPV6, ICMPV6_NEIGHBOR_ADVERTISEMENT, _): stop(meta, Reason.NEIGHBOR_DISCOVERY);
            (Role.ACCESS, _, TYPE_IPV6, PROTO_ICMPV6, ICMPV6_ROUTER_SOLICITATION, _): stop(meta, Reason.ROUTER_SOLICITATION);
            (Role.ACCESS, _, TYPE_IPV4, PROTO_UDP, _, PORT_DHCP_SERVER): stop(meta, Reason.DHCP);
            (Role.ACCESS, _, TYPE_IPV6, PROTO_UDP, _, PORT_DHCPV6_SERVER): stop(meta, Reason.DHCP);
            (_, 1, TYPE_IPV6, PROTO_ICMPV6, _, _): stop(meta, Reason.ICMP);
            (_, 1, TYPE_IPV4, PROTO_ICMP, _, _): stop(meta, Reason.ICMP);
            (Role.TRANSPORT, 1, TYPE_IPV6, PROTO_MOBILITY, _, _): stop(meta, Reason.SIGNALLING);
            (Role.TRANSPORT, 1, TYPE_IPV4, PROTO_UDP, _, PORT_SIGNALLING): stop(meta, Reason.SIGNALLING);
            (Role.TRANSPORT, 1, _, _, _, _): NoAction();
            (_, 1, TYPE_IPV6, PROTO_MOBILITY, _, _): stop(meta, Reason.UNTRUSTED_SIGNALLING);
            (_, 1, TYPE_IPV4, PROTO_UDP, _, PORT_SIGNALLING): stop(meta, Reason.UNTRUSTED_SIGNALLING);
            (_, 1, _, PROTO_GRE, _, _): stop(meta, Reason.UNTRUSTED_TUNNEL);
            (_, 1, _, PROTO_IPV4, _, _): stop(meta, Reason.UNTRUSTED_TUNNEL);
            (_, 1, _, PROTO_IPV6, _, _): stop(meta, Reason.UNTRUSTED_TUNNEL);
            (_, 1, TYPE_IPV4, PROTO_UDP, _, PORT_TUNNEL): stop(meta, Reason.UNTRUSTED_TUNNEL);
        }
        counters = trap_counter;
    }

    apply {
        if (standard_metadata.parser_error == error.IPHeader) {
            meta.reason = Reason.MALFORMED;
        } else if (hdr.ipv6.isValid()) {
            length = 40 |+| hdr.ipv6.payload_length;
            local_v6.apply();
        } else if (hdr.ipv4.isValid()) {
            length = hdr.ipv4.total_length;
            if (length < (bit<16>)hdr.ipv4.ihl << 2) {
                meta.reason = Reason.MALFORMED;
            } else if (standard_metadata.checksum_error == 1) {
                // The bit speaks for every checksum in the packet; only this one matters to a packet that passes by.
                hash(sum, HashAlgorithm.csum16, 16w0, { IPV4_FIELDS(hdr.ipv4, hdr.ipv4_options), hdr.ipv4.checksum }, 32w65536);
                if (sum != 0) {
                    meta.reason = Reason.CHECKSUM;
                }
            }
            local_v4.apply();
        } else if (meta.ether_type == TYPE_IPV6 || meta.ether_type == TYPE_IPV4) {
            meta.reason = Reason.MALFORMED;
        } else if (meta.ether_type != TYPE_ARP) {
            meta.reason = Reason.ETHER_TYPE;
        }
        if (meta.reason == Reason.NONE) {
            if ((bit<32>)length + meta.link_header > standard_metadata.packet_length) {
                meta.reason = Reason.MALFORMED;
            } else if (meta.is_local == 1 && (meta.fragment == 1 || (hdr.ipv4.isValid() && (hdr.ipv4.mf == 1
                       || hdr.ipv4.fragment_offset != 0)))) {
                meta.reason = Reason.FRAGMENT;
            } else if (meta.injected == 0) {
                trap.apply();
            }
        }
    }
}

#endif
