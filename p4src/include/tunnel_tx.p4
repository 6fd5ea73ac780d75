/* Where a session's packets go: into a tunnel, or to the mobile node. */

#ifndef TUNNEL_TX_P4
#define TUNNEL_TX_P4

#include "port.p4"

// The user's ECN, and its DSCP too if UNIFORM (dscp is then 0), else the entry's. ECN: RFC 6040 §4.1, normal mode.
#define OUTER_TRAFFIC_CLASS ((bit<32>)((TRAFFIC_CLASS & (bit<8>)dscp_mode) | ((bit<8>)dscp << 2)))

#define INNER_PROTOCOL (hdr.ipv6.isValid() ? (bit<32>)PROTO_IPV6 : (bit<32>)PROTO_IPV4)

// Not the length of the frame: it may have been padded.
#define TOO_BIG(overhead) (meta.length |+| (overhead) > mtu)
#define REFUSE(overhead) \
        meta.reason = Reason.TOO_BIG; \
        meta.length = mtu |-| (overhead);

// RFC 2473 §6. Flow label 0.
#define PUSH_IPV6(next, extra) \
        meta.length = meta.length + (40 + (extra)); \
        hdr.tx_ipv6.setValid(); \
        hdr.tx_ipv6.octets = (0x6000_0000 | OUTER_TRAFFIC_CLASS << 20) \
            ++ ((bit<32>)(meta.length - 40) << 16 | (next) << 8 | (bit<32>)hop_limit) ++ src ++ dst; \
        meta.vrf = VRF_TRANSPORT; \
        meta.address_v6 = dst;

// DF, and therefore no identification (RFC 6864 §4.1).
#define PUSH_IPV4(next, extra) \
        meta.length = meta.length + (20 + (extra)); \
        hdr.tx_ipv4.setValid(); \
        hdr.tx_ipv4.version_to_protocol = (0x4500_0000 | OUTER_TRAFFIC_CLASS << 16 | (bit<32>)meta.length) \
            ++ 32w0x0000_4000 ++ (bit<16>)((bit<32>)hop_limit << 8 | (next)); \
        hdr.tx_ipv4.addresses = src ++ dst; \
        meta.vrf = VRF_TRANSPORT; \
        meta.address_v4 = dst;

// RFC 2784, RFC 2890: neither checksum nor sequence number. The one with a key has been put there by the session.
#define GRE_PROTOCOL_TYPE (bit<32>)ETHER_TYPE_IF(hdr.ipv6.isValid())
#define PUSH_GRE \
        if (!hdr.tx_gre_keyed.isValid()) { \
            hdr.tx_gre.setValid(); \
            hdr.tx_gre.flags_to_protocol = GRE_PROTOCOL_TYPE; \
        }

#define GRE_LENGTH (hdr.tx_gre_keyed.isValid() ? 16w8 : 4)

// No checksum: the inner headers have theirs (RFC 5844 §4.1.3 lets it be zero over IPv4).
#define PUSH_UDP(extra) \
        hdr.tx_udp.setValid(); \
        hdr.tx_udp.ports = PORT_TUNNEL << 16 | PORT_TUNNEL; \
        hdr.tx_udp.length_checksum = (meta.length + (extra)) ++ 16w0;

control Session(inout headers_t hdr, inout metadata_t meta) {
    @id(0x1300000d)
    direct_counter(CounterType.packets_and_bytes) session_counter;
    @id(0x1300000e)
    direct_counter(CounterType.packets_and_bytes) tunnel_tx_counter;

    /* Without GRE, or with GRE that has no key. */
    @id(0x01000060)
    action to_tunnel(@id(1) @refers_to(tunnel_tx, tunnel_id) tunnel_t tunnel_id) {
        meta.tunnel_id = tunnel_id;
    }

    @id(0x01000061)
    action to_tunnel_keyed(@id(1) @refers_to(tunnel_tx, tunnel_id) tunnel_t tunnel_id, @id(2) bit<32> gre_key) {
        meta.tunnel_id = tunnel_id;
        hdr.tx_gre_keyed.setValid();
        hdr.tx_gre_keyed.flags_to_key = (0x2000_0000 | GRE_PROTOCOL_TYPE) ++ gre_key;
    }

    @id(0x01000062)
    action to_access(@id(1) @refers_to(nexthop, nexthop_id) nexthop_t nexthop_id) {
        meta.nexthop_id = nexthop_id;
    }

    /* A handover is one MODIFY of one entry of this table. */
    @id(0x02000012)
    table session {
        key = {
            meta.session_id: exact @id(1) @name("session_id");
            meta.direction: exact @id(2) @name("direction");
        }
        actions = {
            to_tunnel;
            to_tunnel_keyed;
            to_access;
            @defaultonly stop(meta);
        }
        const default_action = stop(meta, Reason.NO_SESSION);
        size = SESSION_DIRECTIONS;
        counters = session_counter;
    }

    @id(0x01000070)
    action encap_v6_ip(@id(1) @format(IPV6_ADDRESS) ipv6_address_t src, @id(2) @format(IPV6_ADDRESS) ipv6_address_t dst,
                       @id(3) bit<8> hop_limit, @id(4) DscpMode dscp_mode, @id(5) bit<6> dscp, @id(6) bit<16> mtu) {
        if (TOO_BIG(40)) {
            REFUSE(40)
        } else {
            PUSH_IPV6(INNER_PROTOCOL, 0)
        }
    }

    @id(0x01000071)
    action encap_v6_gre(@id(1) @format(IPV6_ADDRESS) ipv6_address_t src, @id(2) @format(IPV6_ADDRESS) ipv6_address_t dst,
                        @id(3) bit<8> hop_limit, @id(4) DscpMode dscp_mode, @id(5) bit<6> dscp, @id(6) bit<16> mtu) {
        if (TOO_BIG(40 + GRE_LENGTH)) {
            REFUSE(40 + GRE_LENGTH)
        } else {
            PUSH_GRE
            PUSH_IPV6((bit<32>)PROTO_GRE, GRE_LENGTH)
        }
    }

    @id(0x01000072)
    action encap_v4_ip(@id(1) @format(IPV4_ADDRESS) ipv4_address_t src, @id(2) @format(IPV4_ADDRESS) ipv4_address_t dst,
                       @id(3) bit<8> hop_limit, @id(4) DscpMode dscp_mode, @id(5) bit<6> dscp, @id(6) bit<16> mtu) {
        if (TOO_BIG(20)) {
            REFUSE(20)
        } else {
            PUSH_IPV4(INNER_PROTOCOL, 0)
        }
    }

    @id(0x01000073)
    action encap_v4_gre(@id(1) @format(IPV4_ADDRESS) ipv4_address_t src, @id(2) @format(IPV4_ADDRESS) ipv4_address_t dst,
                        @id(3) bit<8> hop_limit, @id(4) DscpMode dscp_mode, @id(5) bit<6> dscp, @id(6) bit<16> mtu) {
        if (TOO_BIG(20 + GRE_LENGTH)) {
            REFUSE(20 + GRE_LENGTH)
        } else {
            PUSH_GRE
            PUSH_IPV4((bit<32>)PROTO_GRE, GRE_LENGTH)
        }
    }

    @id(0x01000074)
    action encap_v4_udp(@id(1) @format(IPV4_ADDRESS) ipv4_address_t src, @id(2) @format(IPV4_ADDRESS) ipv4_address_t dst,
                        @id(3) bit<8> hop_limit, @id(4) DscpMode dscp_mode, @id(5) bit<6> dscp, @id(6) bit<16> mtu) {
        if (TOO_BIG(28)) {
            REFUSE(28)
        } else {
            PUSH_UDP(8)
            PUSH_IPV4((bit<32>)PROTO_UDP, 8)
        }
    }

    @id(0x01000075)
    action encap_v4_udp_tlv_gre(@id(1) @format(IPV4_ADDRESS) ipv4_address_t src, @id(2) @format(IPV4_ADDRESS) ipv4_address_t dst,
                                @id(3) bit<8> hop_limit, @id(4) DscpMode dscp_mode, @id(5) bit<6> dscp, @id(6) bit<16> mtu) {
        if (TOO_BIG(32 + GRE_LENGTH)) {
            REFUSE(32 + GRE_LENGTH)
        } else {
            PUSH_GRE
            hdr.tx_tlv.setValid();
            hdr.tx_tlv.zero = 0;
            hdr.tx_tlv.next_header = PROTO_GRE;
            hdr.tx_tlv.length = meta.length + GRE_LENGTH;
            PUSH_UDP(12 + GRE_LENGTH)
            PUSH_IPV4((bit<32>)PROTO_UDP, 12 + GRE_LENGTH)
        }
    }

    /* One entry per peer and encapsulation, shared by all their sessions. */
    @id(0x02000013)
    table tunnel_tx {
        key = {
            meta.tunnel_id: exact @id(1) @name("tunnel_id");
        }
        actions = {
            encap_v6_ip;
            encap_v6_gre;
            encap_v4_ip;
            encap_v4_gre;
            encap_v4_udp;
            encap_v4_udp_tlv_gre;
            @defaultonly stop(meta);
        }
        const default_action = stop(meta, Reason.NO_TUNNEL);
        size = TUNNELS;
        counters = tunnel_tx_counter;
    }

    apply {
        switch (session.apply().action_run) {
            to_tunnel:
            to_tunnel_keyed: {
                tunnel_tx.apply();
            }
            default: {
            }
        }
    }
}

#endif
