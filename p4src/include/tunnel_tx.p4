/* The start of a tunnel: one entry per peer and encapsulation, shared by all their sessions. */

#ifndef TUNNEL_TX_P4
#define TUNNEL_TX_P4

#include "port.p4"

control TunnelStart(inout headers_t hdr, inout metadata_t meta) {
    @id(0x1300000e)
    direct_counter(CounterType.packets_and_bytes) tunnel_tx_counter;

    // RFC 2473 §6, RFC 6040 §4.1 (normal mode). Flow label 0.
    @hidden
    action push_ipv6(in bit<8> next_header, in bit<16> extra, in ipv6_address_t src, in ipv6_address_t dst,
                     in bit<8> hop_limit, in DscpMode dscp_mode, in bit<6> dscp, in bit<16> mtu) {
        hdr.tx_ipv6.setValid();
        hdr.tx_ipv6.version = 6;
        hdr.tx_ipv6.dscp = dscp_mode == DscpMode.PIPE ? dscp : meta.user.dscp;
        hdr.tx_ipv6.ecn = meta.user.ecn;
        hdr.tx_ipv6.flow_label = 0;
        hdr.tx_ipv6.payload_length = meta.user.length + extra;
        hdr.tx_ipv6.next_header = next_header;
        hdr.tx_ipv6.hop_limit = hop_limit;
        hdr.tx_ipv6.src = src;
        hdr.tx_ipv6.dst = dst;
        meta.overhead = 40 + extra;
        meta.mtu = mtu;
        meta.tx_ether_type = TYPE_IPV6;
        meta.tx_dst_v6 = dst;
    }

    // DF, and therefore no identification (RFC 6864 §4.1).
    @hidden
    action push_ipv4(in bit<8> protocol, in bit<16> extra, in ipv4_address_t src, in ipv4_address_t dst,
                     in bit<8> ttl, in DscpMode dscp_mode, in bit<6> dscp, in bit<16> mtu) {
        hdr.tx_ipv4.setValid();
        hdr.tx_ipv4.version = 4;
        hdr.tx_ipv4.ihl = 5;
        hdr.tx_ipv4.dscp = dscp_mode == DscpMode.PIPE ? dscp : meta.user.dscp;
        hdr.tx_ipv4.ecn = meta.user.ecn;
        hdr.tx_ipv4.total_length = meta.user.length + extra + 20;
        hdr.tx_ipv4.identification = 0;
        hdr.tx_ipv4.reserved = 0;
        hdr.tx_ipv4.df = 1;
        hdr.tx_ipv4.mf = 0;
        hdr.tx_ipv4.fragment_offset = 0;
        hdr.tx_ipv4.ttl = ttl;
        hdr.tx_ipv4.protocol = protocol;
        hdr.tx_ipv4.src = src;
        hdr.tx_ipv4.dst = dst;
        meta.overhead = 20 + extra;
        meta.mtu = mtu;
        meta.tx_ether_type = TYPE_IPV4;
        meta.tx_dst_v4 = dst;
    }

    // RFC 2784, RFC 2890: neither checksum nor sequence number.
    @hidden
    action push_gre() {
        hdr.tx_gre.setValid();
        hdr.tx_gre.has_checksum = 0;
        hdr.tx_gre.routing = 0;
        hdr.tx_gre.has_key = meta.tx_key_valid;
        hdr.tx_gre.has_sequence = 0;
        hdr.tx_gre.strict_route = 0;
        hdr.tx_gre.recursion = 0;
        hdr.tx_gre.reserved = 0;
        hdr.tx_gre.version = 0;
        hdr.tx_gre.protocol = meta.user.ether_type;
    }

    @hidden
    action push_udp(in bit<16> extra) {
        hdr.tx_udp.setValid();
        hdr.tx_udp.src_port = PORT_TUNNEL;
        hdr.tx_udp.dst_port = PORT_TUNNEL;
        hdr.tx_udp.length = meta.user.length + extra;
        hdr.tx_udp.checksum = 0;
    }

    @id(0x01000070)
    action encap_v6_ip(@id(1) @format(IPV6_ADDRESS) ipv6_address_t src, @id(2) @format(IPV6_ADDRESS) ipv6_address_t dst,
                       @id(3) bit<8> hop_limit, @id(4) DscpMode dscp_mode, @id(5) bit<6> dscp, @id(6) bit<16> mtu) {
        push_ipv6(meta.tx_protocol, 0, src, dst, hop_limit, dscp_mode, dscp, mtu);
    }

    @id(0x01000071)
    action encap_v6_gre(@id(1) @format(IPV6_ADDRESS) ipv6_address_t src, @id(2) @format(IPV6_ADDRESS) ipv6_address_t dst,
                        @id(3) bit<8> hop_limit, @id(4) DscpMode dscp_mode, @id(5) bit<6> dscp, @id(6) bit<16> mtu) {
        push_ipv6(PROTO_GRE, 4 + meta.tx_key_length, src, dst, hop_limit, dscp_mode, dscp, mtu);
        push_gre();
    }

    @id(0x01000072)
    action encap_v4_ip(@id(1) @format(IPV4_ADDRESS) ipv4_address_t src, @id(2) @format(IPV4_ADDRESS) ipv4_address_t dst,
                       @id(3) bit<8> hop_limit, @id(4) DscpMode dscp_mode, @id(5) bit<6> dscp, @id(6) bit<16> mtu) {
        push_ipv4(meta.tx_protocol, 0, src, dst, hop_limit, dscp_mode, dscp, mtu);
    }

    @id(0x01000073)
    action encap_v4_gre(@id(1) @format(IPV4_ADDRESS) ipv4_address_t src, @id(2) @format(IPV4_ADDRESS) ipv4_address_t dst,
                        @id(3) bit<8> hop_limit, @id(4) DscpMode dscp_mode, @id(5) bit<6> dscp, @id(6) bit<16> mtu) {
        push_ipv4(PROTO_GRE, 4 + meta.tx_key_length, src, dst, hop_limit, dscp_mode, dscp, mtu);
        push_gre();
    }

    @id(0x01000074)
    action encap_v4_udp(@id(1) @format(IPV4_ADDRESS) ipv4_address_t src, @id(2) @format(IPV4_ADDRESS) ipv4_address_t dst,
                        @id(3) bit<8> hop_limit, @id(4) DscpMode dscp_mode, @id(5) bit<6> dscp, @id(6) bit<16> mtu) {
        push_ipv4(PROTO_UDP, 8, src, dst, hop_limit, dscp_mode, dscp, mtu);
        push_udp(8);
    }

    @id(0x01000075)
    action encap_v4_udp_tlv_gre(@id(1) @format(IPV4_ADDRESS) ipv4_address_t src, @id(2) @format(IPV4_ADDRESS) ipv4_address_t dst,
                                @id(3) bit<8> hop_limit, @id(4) DscpMode dscp_mode, @id(5) bit<6> dscp, @id(6) bit<16> mtu) {
        push_ipv4(PROTO_UDP, 16 + meta.tx_key_length, src, dst, hop_limit, dscp_mode, dscp, mtu);
        push_udp(16 + meta.tx_key_length);
        hdr.tx_tlv.setValid();
        hdr.tx_tlv.zero = 0;
        hdr.tx_tlv.next_header = PROTO_GRE;
        hdr.tx_tlv.length = meta.user.length + 4 + meta.tx_key_length;
        push_gre();
    }

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
        tunnel_tx.apply();
        if (meta.tx_key_valid == 1) {
            hdr.tx_gre_key.setValid();
            hdr.tx_gre_key.key = meta.tx_key;
        }
        meta.tx_vrf = VRF_TRANSPORT;
    }
}

#endif
