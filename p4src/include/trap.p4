/* What is for this switch and its controller; what only pretends to be. */

#ifndef TRAP_P4
#define TRAP_P4

#include "port.p4"

#define WORD(value) ((bit<32>)(value))

control Trap(in headers_t hdr, inout metadata_t meta, inout standard_metadata_t standard_metadata) {
    bit<32> sum = 0;

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

    /* Policy, not configuration: signalling is believed on transport ports only. First match wins. */
    @id(0x02000005)
    table trap {
        key = {
            meta.role: ternary @id(1) @name("role");
            meta.is_local: ternary @id(2) @name("is_local");
            meta.kind: ternary @id(3) @name("kind");
        }
        actions = {
            stop(meta);
            @defaultonly NoAction;
        }
        const default_action = NoAction();
        const entries = {
            (_, _, Kind.MALFORMED): stop(meta, Reason.MALFORMED);
            (_, _, Kind.OTHER): stop(meta, Reason.ETHER_TYPE);
            (_, _, Kind.ARP): stop(meta, Reason.ARP);
            (_, _, Kind.NEIGHBOR_DISCOVERY): stop(meta, Reason.NEIGHBOR_DISCOVERY);
            (Role.ACCESS, _, Kind.ROUTER_SOLICITATION): stop(meta, Reason.ROUTER_SOLICITATION);
            (Role.ACCESS, _, Kind.DHCP): stop(meta, Reason.DHCP);
            (_, 1, Kind.ICMP): stop(meta, Reason.ICMP);
            (_, 1, Kind.FRAGMENT): stop(meta, Reason.FRAGMENT);
            (Role.TRANSPORT, 1, Kind.SIGNALLING): stop(meta, Reason.SIGNALLING);
            (_, 1, Kind.SIGNALLING): stop(meta, Reason.UNTRUSTED_SIGNALLING);
        }
        counters = trap_counter;
    }

    /* 14 octets of Ethernet, 4 more with a tag. */
#define LONGER_THAN_FRAME ((bit<32>)meta.length + (hdr.vlan.isValid() ? 32w18 : 14) > standard_metadata.packet_length)

    apply {
        if (hdr.ipv6.isValid()) {
            local_v6.apply();
        } else if (hdr.ipv4.isValid()) {
            local_v4.apply();
        }
        // One question for all that is not simply somebody's packet.
        if (meta.reason == Reason.NONE
            && (meta.kind != Kind.NONE || LONGER_THAN_FRAME || standard_metadata.checksum_error == 1
                || standard_metadata.parser_error != error.NoError || hdr.ipv4_options.isValid())) {
            if (meta.kind == Kind.NONE && !hdr.ipv6.isValid() && !hdr.ipv4.isValid()) {
                meta.reason = Reason.MALFORMED; // ends within its IP header
            } else if (LONGER_THAN_FRAME
                       || (hdr.ipv4_options.isValid() && meta.length < IPV4_HEADER_LENGTH(hdr.ipv4))) {
                meta.reason = Reason.MALFORMED;
            } else if (hdr.ipv4.isValid() && standard_metadata.checksum_error == 1) {
                // The bit speaks for every checksum in the packet; only the header's matters to a packet that passes by.
                sum = WORD(hdr.ipv4.version_ihl ++ hdr.ipv4.traffic_class) + WORD(hdr.ipv4.total_length)
                    + WORD(hdr.ipv4.identification)
                    + WORD(hdr.ipv4.flags_offset)
                    + WORD(hdr.ipv4.ttl ++ hdr.ipv4.protocol) + WORD(hdr.ipv4.checksum)
                    + WORD(hdr.ipv4.src[31:16]) + WORD(hdr.ipv4.src[15:0])
                    + WORD(hdr.ipv4.dst[31:16]) + WORD(hdr.ipv4.dst[15:0]);
                // With options it is not known, and then the packet is not trusted.
                if (hdr.ipv4_options.isValid() || sum[15:0] + sum[31:16] != 0xffff) {
                    meta.reason = Reason.CHECKSUM;
                }
            }
            if (meta.reason == Reason.NONE && meta.kind != Kind.NONE) {
                trap.apply();
                if (meta.reason == Reason.NONE && meta.own == 0 && GROUP_ADDRESSED) {
                    meta.reason = Reason.SCOPE;
                }
            }
        }
    }
}

#endif
