/*
 * Bytes to headers. A tunnel is parsed wherever it looks like one; whether it is ours is decided later, by its addresses.
 * So what is wrong with a tunnel is noted, and asked about only then: it may be somebody else's business.
 */

#ifndef PARSER_P4
#define PARSER_P4

#include "header.p4"

error {
    InnerIPHeader, // slot 2
    GreHeader      // bits that a receiver must refuse, or a version
}

parser PacketParser(packet_in packet,
                    out headers_t hdr,
                    inout metadata_t meta,
                    inout standard_metadata_t standard_metadata) {
    bit<32> ahead; // what is looked at, not extracted: it stays payload
    bit<32> bits;  // of a header whose length varies

    state start {
        transition select(meta.own, standard_metadata.ingress_port) {
            (0, CPU_PORT): from_controller;
            default: ethernet;
        }
    }

    state from_controller {
        packet.extract(hdr.packet_out);
        transition ethernet;
    }

    state ethernet {
        packet.extract(hdr.ethernet);
        transition select(hdr.ethernet.ether_type) {
            TYPE_IPV4: ipv4;
            TYPE_IPV6: ipv6;
            TYPE_VLAN: vlan;
            TYPE_ARP: arp;
            default: other;
        }
    }

    state vlan {
        packet.extract(hdr.vlan);
        meta.vlan_id = hdr.vlan.vlan_id;
        transition select(hdr.vlan.ether_type) {
            TYPE_IPV4: ipv4;
            TYPE_IPV6: ipv6;
            TYPE_ARP: arp;
            default: other;
        }
    }

    state arp {
        meta.kind = Kind.ARP;
        transition accept;
    }

    state other {
        meta.kind = Kind.OTHER;
        transition accept;
    }

    // Slot 1

    state ipv4 {
        packet.extract(hdr.ipv4);
        meta.length = hdr.ipv4.total_length;
        transition select(hdr.ipv4.version_ihl, hdr.ipv4.total_length) {
            (0x45, 0 .. 19): malformed;
            (0x45, _): ipv4_payload;
            (0x46 .. 0x4f, _): ipv4_options;
            default: malformed;
        }
    }

    state malformed {
        meta.kind = Kind.MALFORMED;
        transition accept;
    }

    state ipv4_options {
        bits = ((bit<32>)hdr.ipv4.version_ihl - 0x45) << 5;
        packet.extract(hdr.ipv4_options, bits);
        transition ipv4_payload;
    }

    state ipv4_payload {
        // More fragments, or an offset?
        transition select(hdr.ipv4.flags_offset, hdr.ipv4.protocol) {
            (0 &&& 0x3fff, PROTO_UDP): udp_v4;
            (0 &&& 0x3fff, PROTO_GRE): gre;
            (0 &&& 0x3fff, PROTO_IPV4): ip_in_ip_v4;
            (0 &&& 0x3fff, PROTO_IPV6): ip_in_ip_v6;
            (0 &&& 0x3fff, PROTO_ICMP): icmp;
            (0 &&& 0x3fff, _): accept;
            default: fragment;
        }
    }

    state ipv6 {
        packet.extract(hdr.ipv6);
        meta.length = 40 |+| hdr.ipv6.payload_length;
        transition select(hdr.ipv6.version, hdr.ipv6.next_header) {
            (6, PROTO_DESTINATION_OPTIONS): destination_options;
            (6, PROTO_UDP): udp_v6;
            (6, PROTO_GRE): gre;
            (6, PROTO_IPV4): ip_in_ip_v4;
            (6, PROTO_IPV6): ip_in_ip_v6;
            (6, PROTO_ICMPV6): icmpv6;
            (6, PROTO_MOBILITY): signalling;
            (6, PROTO_FRAGMENT): fragment;
            (6, _): accept;
            default: malformed;
        }
    }

    state destination_options {
        ahead = packet.lookahead<bit<32>>();
        bits = ((bit<32>)ahead[23:16] << 6) + 48;
        packet.extract(hdr.destination_options, bits);
        transition select(hdr.destination_options.next_header) {
            PROTO_GRE: gre;
            PROTO_IPV4: ip_in_ip_v4;
            PROTO_IPV6: ip_in_ip_v6;
            PROTO_MOBILITY: signalling;
            PROTO_FRAGMENT: fragment;
            default: accept;
        }
    }

    state fragment {
        meta.kind = Kind.FRAGMENT;
        transition accept;
    }

    state udp_v4 {
        ahead = packet.lookahead<bit<32>>();
        transition select(ahead) {
            PORT_SIGNALLING &&& DESTINATION_PORT: signalling;
            PORT_TUNNEL &&& DESTINATION_PORT: udp_tunnel;
            PORT_DHCP_SERVER &&& DESTINATION_PORT: dhcp;
            default: accept;
        }
    }

    state udp_v6 {
        ahead = packet.lookahead<bit<32>>();
        transition select(ahead) {
            PORT_DHCPV6_SERVER &&& DESTINATION_PORT: dhcp;
            default: accept;
        }
    }

    state icmpv6 {
        ahead = packet.lookahead<bit<32>>();
        transition select(ahead) {
            ICMPV6_ROUTER_SOLICITATION &&& ICMPV6_TYPE: router_solicitation;
            ICMPV6_NEIGHBOR_SOLICITATION &&& ICMPV6_TYPE: neighbor_discovery;
            ICMPV6_NEIGHBOR_ADVERTISEMENT &&& ICMPV6_TYPE: neighbor_discovery;
            default: icmp;
        }
    }

    state icmp {
        meta.kind = Kind.ICMP;
        transition accept;
    }

    state router_solicitation {
        meta.kind = Kind.ROUTER_SOLICITATION;
        transition accept;
    }

    state neighbor_discovery {
        meta.kind = Kind.NEIGHBOR_DISCOVERY;
        transition accept;
    }

    state dhcp {
        meta.kind = Kind.DHCP;
        transition accept;
    }

    state signalling {
        meta.kind = Kind.SIGNALLING;
        transition accept;
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
        // The TLV header begins with 0, an IP header with its version (RFC 5845 §7).
        ahead = packet.lookahead<bit<32>>();
        transition select(ahead) {
            0x0000_0000 &&& 0xf000_0000: tlv;
            0x4000_0000 &&& 0xf000_0000: inner_ipv4;
            0x6000_0000 &&& 0xf000_0000: inner_ipv6;
            default: accept;
        }
    }

    state tlv {
        packet.extract(hdr.tlv);
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
        // What RFC 1701's bits announce would move everything after them.
        transition select(hdr.gre.flags_version) {
            0x2000 &&& 0xec07: gre_key;
            0x0000 &&& 0xfc07: gre_payload;
            0x1000 &&& 0xfc07: gre_sequence;
            0x8000 &&& 0xcc07: gre_checksum;
            default: gre_malformed;
        }
    }

    state gre_malformed {
        verify(false, error.GreHeader);
        transition accept;
    }

    state gre_checksum {
        packet.extract(hdr.gre_checksum);
        transition select(hdr.gre.flags_version) {
            0x2000 &&& 0x2000: gre_key;
            0x1000 &&& 0x1000: gre_sequence;
            default: gre_payload;
        }
    }

    state gre_key {
        packet.extract(hdr.gre_key);
        meta.key = hdr.gre_key.key;
        transition select(hdr.gre.flags_version, hdr.gre.protocol) {
            (0x1000 &&& 0x1000, _): gre_sequence;
            (_, TYPE_IPV4): inner_ipv4;
            (_, TYPE_IPV6): inner_ipv6;
            default: accept;
        }
    }

    state gre_sequence {
        packet.extract(hdr.gre_sequence);
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
        transition select(hdr.inner_ipv4.version_ihl, hdr.inner_ipv4.total_length) {
            (0x45, 0 .. 19): inner_malformed;
            (0x45, _): accept;
            (0x46 .. 0x4f, _): inner_ipv4_options;
            default: inner_malformed;
        }
    }

    state inner_ipv4_options {
        bits = ((bit<32>)hdr.inner_ipv4.version_ihl - 0x45) << 5;
        packet.extract(hdr.inner_ipv4_options, bits);
        transition accept;
    }

    state inner_ipv6 {
        packet.extract(hdr.inner_ipv6);
        transition select(hdr.inner_ipv6.version) {
            6: accept;
            default: inner_malformed;
        }
    }

    state inner_malformed {
        verify(false, error.InnerIPHeader);
        transition accept;
    }
}

control PacketDeparser(packet_out packet, in headers_t hdr) {
    apply {
        packet.emit(hdr.packet_in);
        packet.emit(hdr.ethernet);
        packet.emit(hdr.vlan);
        packet.emit(hdr.tx_ipv4);
        packet.emit(hdr.tx_ipv6);
        packet.emit(hdr.tx_udp);
        packet.emit(hdr.tx_tlv);
        packet.emit(hdr.tx_gre);
        packet.emit(hdr.tx_gre_keyed);
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
