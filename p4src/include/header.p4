/*
 * Headers in three slots. Slot 1 is what arrived; slot 2 (inner_*) is what it carries, if it looks like a tunnel;
 * slot 3 (tx_*) is the tunnel that is put in front and is never extracted. Terminating a tunnel moves slot 2 into slot 1, which
 * therefore always has the user's packet; entering one makes slot 3 valid.
 */

#ifndef HEADER_P4
#define HEADER_P4

#include "define.p4"

typedef bit<48> mac_t;
typedef bit<32> ipv4_address_t;
typedef bit<128> ipv6_address_t;
typedef bit<16> vrf_t;
typedef bit<12> link_t;
typedef bit<16> peer_t;
typedef bit<16> tunnel_t;
typedef bit<32> session_t;
typedef bit<32> nexthop_t;

@controller_header("packet_in")
header packet_in_t {
    @id(1) bit<9> ingress_port;
    @id(2) @padding bit<7> pad;
    @id(3) Reason reason;
    @id(4) session_t session_id;
    @id(5) bit<32> aux; // TOO_BIG: the MTU that would fit; otherwise the link_id
}

/*
 * submit_to_ingress = 0: the packet leaves by `port` as it is.
 * submit_to_ingress = 1, session_id = 0: it is treated as if received on `port`; CPU_PORT stands for this switch itself.
 * submit_to_ingress = 1, session_id not 0: it continues in that session and direction, its hop limit untouched.
 */
@controller_header("packet_out")
header packet_out_t {
    @id(1) bit<9> egress_port;
    @id(2) bit<1> submit_to_ingress;
    @id(3) Direction direction;
    @id(4) @padding bit<4> pad;
    @id(5) session_t session_id;
}

header ethernet_t {
    mac_t dst;
    mac_t src;
    bit<16> ether_type;
}

header vlan_t {
    bit<3> pcp;
    bit<1> dei;
    bit<12> vlan_id;
    bit<16> ether_type;
}

header ipv4_t {
    bit<8> version_ihl;
    bit<8> traffic_class; // DSCP and ECN
    bit<16> total_length;
    bit<16> identification;
    bit<16> flags_offset;
    bit<8> ttl;
    bit<8> protocol;
    bit<16> checksum;
    ipv4_address_t src;
    ipv4_address_t dst;
}

header ipv4_options_t {
    varbit<320> octets;
}

header ipv6_t {
    bit<4> version;
    bit<8> traffic_class; // DSCP and ECN
    bit<20> flow_label;
    bit<16> payload_length;
    bit<8> next_header;
    bit<8> hop_limit;
    ipv6_address_t src;
    ipv6_address_t dst;
}

/* RFC 8200 §4.6; Linux puts one with the tunnel encapsulation limit (RFC 2473 §4.1.1) before what it tunnels. */
header destination_options_t {
    bit<8> next_header;
    bit<8> length;
    varbit<16368> octets;
}

header udp_t {
    bit<16> src_port;
    bit<16> dst_port;
    bit<16> length;
    bit<16> checksum;
}

/* RFC 5845 §7 */
header tlv_t {
    bit<8> zero;
    bit<8> next_header;
    bit<16> length;
}

/* RFC 2784 §2.1 with RFC 2890 §2. */
header gre_t {
    bit<16> flags_version; // C R K S s, recursion (3), reserved (5), version (3); a receiver must refuse R, s and bit 5
    bit<16> protocol;
}

/* What is sent, in pieces as long as can be: BMv2's time goes into filling in fields, also when a header becomes valid. */

header tx_ipv4_t {
    bit<80> version_to_protocol;
    bit<16> checksum;
    bit<64> addresses;
}

header tx_ipv6_t {
    bit<320> octets;
}

header tx_udp_t {
    bit<32> ports;
    bit<32> length_checksum;
}

header tx_gre_t {
    bit<32> flags_to_protocol;
}

header tx_gre_keyed_t {
    bit<64> flags_to_key;
}

header gre_checksum_t {
    bit<16> checksum;
    bit<16> reserved;
}

header gre_key_t {
    bit<32> key;
}

header gre_sequence_t {
    bit<32> number;
}

struct headers_t {
    packet_in_t packet_in;
    packet_out_t packet_out;
    // of the frame received, until a next hop is found; then of the one sent
    ethernet_t ethernet;
    vlan_t vlan;
    // slot 3
    tx_ipv4_t tx_ipv4;
    tx_ipv6_t tx_ipv6;
    tx_udp_t tx_udp;
    tlv_t tx_tlv;
    tx_gre_t tx_gre;
    tx_gre_keyed_t tx_gre_keyed;
    // slot 1
    ipv4_t ipv4;
    ipv4_options_t ipv4_options;
    ipv6_t ipv6;
    destination_options_t destination_options;
    udp_t udp;
    tlv_t tlv;
    gre_t gre;
    gre_checksum_t gre_checksum;
    gre_key_t gre_key;
    gre_sequence_t gre_sequence;
    // slot 2
    ipv4_t inner_ipv4;
    ipv4_options_t inner_ipv4_options;
    ipv6_t inner_ipv6;
}

/* BMv2 clears every field for every packet: there are no more than are needed, and what headers say is asked of them. */
struct metadata_t {
    Reason reason;
    // where it came from
    bit<12> vlan_id;
    Role role;
    vrf_t vrf;
    link_t link_id;
    @field_list(0)
    bit<1> own; // made by this switch or its controller; survives recirculation
    // what it looks like
    Kind kind;
    bit<1> is_local;
    Encapsulation encapsulation;
    bit<32> key;
    // tunnel received
    peer_t peer_id; // 0: none, the packet did not come through a tunnel of ours
    bit<8> outer_traffic_class; // its ECN; its DSCP if that is to be the user's, which else has been put here
    // what the next table looks for: the mobile node's end of the packet, later where to send it
    ipv6_address_t address_v6;
    ipv4_address_t address_v4;
    bit<16> length; // of the IP packet: received, then decapsulated, then to be sent; if TOO_BIG, how much would fit
    session_t session_id;
    Direction direction;
    // where it goes
    tunnel_t tunnel_id; // 0: none
    nexthop_t nexthop_id;
}

// (p4c makes another field of a bare choice, but not of one within a sum.)
#define ETHER_TYPE_IF(ipv6) (TYPE_IPV4 + (ipv6 ? TYPE_IPV6 - TYPE_IPV4 : 0))

#define FROM_NETWORK ((bit<2>)meta.role >= 2)

/* What slot 1 has: the packet as it came, until a tunnel ends here, then the user's. */
#define TRAFFIC_CLASS (hdr.ipv6.isValid() ? hdr.ipv6.traffic_class : hdr.ipv4.traffic_class)
#define LENGTH(ipv6, ipv4) (ipv6.isValid() ? 40 |+| ipv6.payload_length : ipv4.total_length)
#define IPV4_HEADER_LENGTH(ipv4) ((bit<16>)ipv4.version_ihl[3:0] << 2)

#endif
