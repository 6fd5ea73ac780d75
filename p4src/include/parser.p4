/*
 * Bytes to headers. A tunnel is parsed wherever it looks like one; whether it is ours is decided later, by its addresses.
 * Only a wrong IP header is an error here: what a tunnel carries may be somebody else's business.
 */

#ifndef PARSER_P4
#define PARSER_P4

#include "header.p4"

error {
    IPHeader,      // slot 1: version or header length
    InnerIPHeader  // slot 2
}

parser PacketParser(packet_in packet,
                    out headers_t hdr,
                    inout metadata_t meta,
                    inout standard_metadata_t standard_metadata) {
    state start {
        meta.port = standard_metadata.ingress_port;
        transition select(meta.own, standard_metadata.ingress_port) {
            (0, CPU_PORT): from_controller;
            default: ethernet;
        }
    }

    state from_controller {
        packet.extract(hdr.packet_out);
        meta.port = hdr.packet_out.egress_port;
        meta.link_header = 6;
        transition ethernet;
    }

    state ethernet {
        packet.extract(hdr.ethernet);
        meta.ether_type = hdr.ethernet.ether_type;
        meta.link_header = meta.link_header + 14;
        transition select(hdr.ethernet.ether_type) {
            TYPE_VLAN: vlan;
            TYPE_IPV4: ipv4;
            TYPE_IPV6: ipv6;
            default: accept;
        }
    }

    state vlan {
        packet.extract(hdr.vlan);
        meta.vlan_id = hdr.vlan.vlan_id;
        meta.ether_type = hdr.vlan.ether_type;
        meta.link_header = meta.link_header + 4;
        transition select(hdr.vlan.ether_type) {
            TYPE_IPV4: ipv4;
            TYPE_IPV6: ipv6;
            default: accept;
        }
    }

    // Slot 1

    state ipv4 {
        packet.extract(hdr.ipv4);
        verify(hdr.ipv4.version == 4 && hdr.ipv4.ihl >= 5, error.IPHeader);
        meta.protocol = hdr.ipv4.protocol;
        meta.tunnel_header = 20;
        transition select(hdr.ipv4.ihl) {
            5: ipv4_payload;
            default: ipv4_options;
        }
    }

    state ipv4_options {
        packet.extract(hdr.ipv4_options, ((bit<32>)hdr.ipv4.ihl - 5) << 5);
        meta.tunnel_header = (bit<16>)hdr.ipv4.ihl << 2;
        transition ipv4_payload;
    }

    state ipv4_payload {
        transition select(hdr.ipv4.mf, hdr.ipv4.fragment_offset, hdr.ipv4.protocol) {
            (0, 0, PROTO_IPV4): ip_in_ip_v4;
            (0, 0, PROTO_IPV6): ip_in_ip_v6;
            (0, 0, PROTO_GRE): gre;
            (0, 0, PROTO_UDP): udp_v4;
            (1, 0, PROTO_UDP): udp;
            (_, 0, PROTO_TCP): ports;
            (_, 0, PROTO_ICMP): icmp;
            default: accept;
        }
    }

    state ipv6 {
        packet.extract(hdr.ipv6);
        verify(hdr.ipv6.version == 6, error.IPHeader);
        meta.protocol = hdr.ipv6.next_header;
        meta.tunnel_header = 40;
        transition select(hdr.ipv6.next_header) {
            PROTO_DESTINATION_OPTIONS: destination_options;
            default: ipv6_payload;
        }
    }

    state destination_options {
        bit<32> length = (bit<32>)packet.lookahead<bit<16>>()[7:0];
        packet.extract(hdr.destination_options, (length << 6) + 48);
        meta.protocol = hdr.destination_options.next_header;
        meta.tunnel_header = 48 + ((bit<16>)hdr.destination_options.length << 3);
        transition ipv6_payload;
    }

    state ipv6_payload {
        transition select(meta.protocol) {
            PROTO_IPV4: ip_in_ip_v4;
            PROTO_IPV6: ip_in_ip_v6;
            PROTO_GRE: gre;
            PROTO_UDP: udp;
            PROTO_TCP: ports;
            PROTO_ICMPV6: icmp;
            PROTO_FRAGMENT: fragment;
            default: accept;
        }
    }

    state fragment {
        meta.fragment = 1; // IPv6; IPv4 tells by its fields
        transition accept;
    }

    state ports {
        ports_t pair = packet.lookahead<ports_t>();
        meta.user.src_port = pair.src;
        meta.user.dst_port = pair.dst;
        transition accept;
    }

    state icmp {
        meta.icmp_type = packet.lookahead<bit<8>>();
        transition accept;
    }

    state udp {
        ports_t pair = packet.lookahead<ports_t>();
        meta.user.src_port = pair.src;
        meta.user.dst_port = pair.dst;
        meta.udp_port = pair.dst;
        transition accept;
    }

    state udp_v4 {
        ports_t pair = packet.lookahead<ports_t>();
        meta.user.src_port = pair.src;
        meta.user.dst_port = pair.dst;
        meta.udp_port = pair.dst;
        transition select(pair.dst) {
            PORT_TUNNEL: udp_tunnel;
            default: accept;
        }
    }

    // What a tunnel puts between slot 1 and slot 2

    state ip_in_ip_v4 {
        meta.encapsulation = Encapsulation.IP;
        transition inner_ipv4;
    }

    state ip_in_ip_v6 {
        meta.encapsulation = Encapsulation.IP;
        transition inner_ipv6;
    }

    state udp_tunnel {
        packet.extract(hdr.udp);
        meta.encapsulation = Encapsulation.UDP;
        meta.tunnel_header = meta.tunnel_header + 8;
        // The TLV header begins with 0, an IP header with its version (RFC 5845 §7).
        transition select(packet.lookahead<bit<4>>()) {
            0: tlv;
            4: inner_ipv4;
            6: inner_ipv6;
            default: accept;
        }
    }

    state tlv {
        packet.extract(hdr.tlv);
        meta.tunnel_header = meta.tunnel_header + 4;
        transition select(hdr.tlv.next_header) {
            PROTO_GRE: tlv_gre;
            PROTO_IPV4: inner_ipv4;
            PROTO_IPV6: inner_ipv6;
            default: accept;
        }
    }

    state tlv_gre {
        meta.encapsulation = Encapsulation.UDP_GRE;
        transition gre_header;
    }

    state gre {
        meta.encapsulation = Encapsulation.GRE;
        transition gre_header;
    }

    state gre_header {
        packet.extract(hdr.gre);
        meta.tunnel_header = meta.tunnel_header + 4;
        // RFC 1701's bits would move everything after them.
        transition select(hdr.gre.routing, hdr.gre.strict_route, hdr.gre.recursion, hdr.gre.version, hdr.gre.has_checksum) {
            (0, 0, 0, 0, 1): gre_checksum;
            (0, 0, 0, 0, 0): gre_key_or_not;
            default: accept;
        }
    }

    state gre_checksum {
        packet.extract(hdr.gre_checksum);
        meta.tunnel_header = meta.tunnel_header + 4;
        transition gre_key_or_not;
    }

    state gre_key_or_not {
        transition select(hdr.gre.has_key) {
            1: gre_key;
            default: gre_sequence_or_not;
        }
    }

    state gre_key {
        packet.extract(hdr.gre_key);
        meta.key_valid = 1;
        meta.key = hdr.gre_key.key;
        meta.tunnel_header = meta.tunnel_header + 4;
        transition gre_sequence_or_not;
    }

    state gre_sequence_or_not {
        transition select(hdr.gre.has_sequence) {
            1: gre_sequence;
            default: gre_payload;
        }
    }

    state gre_sequence {
        packet.extract(hdr.gre_sequence);
        meta.tunnel_header = meta.tunnel_header + 4;
        transition gre_payload;
    }

    state gre_payload {
        transition select(hdr.gre.protocol) {
            TYPE_IPV4: inner_ipv4;
            TYPE_IPV6: inner_ipv6;
            default: accept;
        }
    }

    // Slot 2

    state inner_ipv4 {
        packet.extract(hdr.inner_ipv4);
        verify(hdr.inner_ipv4.version == 4 && hdr.inner_ipv4.ihl >= 5, error.InnerIPHeader);
        transition select(hdr.inner_ipv4.ihl) {
            5: inner_ipv4_payload;
            default: inner_ipv4_options;
        }
    }

    state inner_ipv4_options {
        packet.extract(hdr.inner_ipv4_options, ((bit<32>)hdr.inner_ipv4.ihl - 5) << 5);
        transition inner_ipv4_payload;
    }

    state inner_ipv4_payload {
        transition select(hdr.inner_ipv4.fragment_offset, hdr.inner_ipv4.protocol) {
            (0, PROTO_TCP): ports;
            (0, PROTO_UDP): ports;
            default: accept;
        }
    }

    state inner_ipv6 {
        packet.extract(hdr.inner_ipv6);
        verify(hdr.inner_ipv6.version == 6, error.InnerIPHeader);
        transition select(hdr.inner_ipv6.next_header) {
            PROTO_TCP: ports;
            PROTO_UDP: ports;
            default: accept;
        }
    }
}

control PacketDeparser(packet_out packet, in headers_t hdr) {
    apply {
        packet.emit(hdr.packet_in);
        packet.emit(hdr.tx_ethernet);
        packet.emit(hdr.tx_vlan);
        packet.emit(hdr.ethernet);
        packet.emit(hdr.vlan);
        packet.emit(hdr.tx_ipv4);
        packet.emit(hdr.tx_ipv6);
        packet.emit(hdr.tx_udp);
        packet.emit(hdr.tx_tlv);
        packet.emit(hdr.tx_gre);
        packet.emit(hdr.tx_gre_key);
        packet.emit(hdr.ipv4);
        packet.emit(hdr.ipv4_options);
        packet.emit(hdr.ipv6);
        packet.emit(hdr.destination_options);
        packet.emit(hdr.udp);
        packet.emit(hdr.tlv);
        packet.emit(hdr.gre);
        packet.emit(hdr.gre_checksum);
        packet.emit(hdr.gre_key);
        packet.emit(hdr.gre_sequence);
        packet.emit(hdr.inner_ipv4);
        packet.emit(hdr.inner_ipv4_options);
        packet.emit(hdr.inner_ipv6);
    }
}

#endif
