/* Names for the numbers that the rest of the program uses. */

#ifndef DEFINE_P4
#define DEFINE_P4

/* BMv2 reserves 511 for drops; simple_switch_grpc is told the CPU port with --cpu-port. */
const bit<9> CPU_PORT = 510;

const bit<16> TYPE_IPV4 = 0x0800;
const bit<16> TYPE_ARP = 0x0806;
const bit<16> TYPE_VLAN = 0x8100;
const bit<16> TYPE_IPV6 = 0x86dd;

const bit<8> PROTO_ICMP = 1;
const bit<8> PROTO_IPV4 = 4;
const bit<8> PROTO_UDP = 17;
const bit<8> PROTO_IPV6 = 41;
const bit<8> PROTO_FRAGMENT = 44;
const bit<8> PROTO_GRE = 47;
const bit<8> PROTO_ICMPV6 = 58;
const bit<8> PROTO_DESTINATION_OPTIONS = 60;
const bit<8> PROTO_MOBILITY = 135;

/* UDP ports are looked at in pairs. */
const bit<32> DESTINATION_PORT = 0xffff;
const bit<32> PORT_DHCP_SERVER = 67;
const bit<32> PORT_DHCPV6_SERVER = 547;
const bit<32> PORT_SIGNALLING = 5436; // RFC 5844 §4.1.3.1
const bit<32> PORT_TUNNEL = 5437;     // RFC 5844 §4.1.3.2

/* The first octet of a word. */
const bit<32> ICMPV6_TYPE = 0xff00_0000;
const bit<32> ICMPV6_ROUTER_SOLICITATION = 133 << 24;
const bit<32> ICMPV6_NEIGHBOR_SOLICITATION = 135 << 24;
const bit<32> ICMPV6_NEIGHBOR_ADVERTISEMENT = 136 << 24;

/* Where hosts report the groups they listen to: MLDv2 (RFC 3810 §5.2.14), IGMPv3 (RFC 3376 §4.2.14). */
const bit<128> ALL_MLDV2_ROUTERS = 0xff02_0000_0000_0000_0000_0000_0000_0016;
const bit<32> ALL_IGMPV3_ROUTERS = 0xe000_0016;

/* The address space that tunnels run in; realms have the others, and nobody has the last one. */
const bit<16> VRF_TRANSPORT = 0;
const bit<16> VRF_NONE = 0xffff;

/* The next hop that is this switch. */
const bit<32> NEXTHOP_SELF = 0xffffffff;

/* What kind of link a port (and VLAN) is. From TRANSPORT on, networks. */
enum bit<2> Role {
    NONE = 0,      // the controller, into a session
    ACCESS = 1,    // mobile nodes
    TRANSPORT = 2, // between MAG and LMA
    SERVICE = 3    // an operator's network behind the LMA
}

/* What could be for the controller, by its protocol alone. */
enum bit<4> Kind {
    NONE = 0,
    ARP = 1,
    NEIGHBOR_DISCOVERY = 2,
    ROUTER_SOLICITATION = 3,
    DHCP = 4,
    ICMP = 5,
    SIGNALLING = 6,
    FRAGMENT = 7,
    MALFORMED = 8, // version or header length
    OTHER = 9      // no IP
}

/* As seen from the mobile node. */
enum bit<2> Direction {
    NONE = 0,
    UPLINK = 1,
    DOWNLINK = 2
}

/* What stands between the outer and the inner IP header. */
enum bit<3> Encapsulation {
    NONE = 0,
    IP = 1,     // nothing: IP-in-IP (RFC 5213's default)
    GRE = 2,    // GRE, with or without key
    UDP = 3,    // UDP port 5437 (RFC 5844 §4.1.3)
    UDP_GRE = 4 // UDP port 5437, TLV header, GRE (RFC 5845 §7)
}

/* RFC 2983: who decides the DSCP of the outer header and, after the tunnel, of the inner one. The bits that are copied. */
enum bit<8> DscpMode {
    UNIFORM = 0xff, // one DSCP, copied at both ends
    PIPE = 0x03     // the outer DSCP comes from the entry, the inner one is left alone
}

/* RFC 3168 §5 */
const bit<2> ECN_NOT_ECT = 0;
const bit<2> ECN_ECT1 = 1;
const bit<2> ECN_ECT0 = 2;
const bit<2> ECN_CE = 3;

/*
 * Why a packet was not simply forwarded. Below REASON_DROP it goes to the controller (and the low four bits select the
 * meter); from there on it is dropped. Each is counted. The controller reads the names from P4Info.
 */
enum bit<8> Reason {
    NONE = 0,
    // to the controller
    SIGNALLING = 1,           // Mobility Header or UDP 5436 for a local address, from a transport port
    ARP = 2,
    NEIGHBOR_DISCOVERY = 3,
    ROUTER_SOLICITATION = 4,
    DHCP = 5,
    ICMP = 6,                 // ICMP for a local address
    HOP_LIMIT = 7,            // hop limit or TTL exhausted here
    TOO_BIG = 8,              // for the tunnel or the link; aux is the MTU that would fit
    UNKNOWN_SOURCE = 9,       // no session for this link, MAC and source address: spoofed, or not attached yet
    UNRESOLVED = 10,          // on-link destination whose neighbour is not known yet
    LISTENER_REPORT = 11,     // MLDv2 or IGMPv3 on an access link: often the first that a host says
    // dropped
    METER = 16,               // would go to the controller, but beyond the rate of its kind and link
    PORT = 17,                // no role for this port and VLAN
    STATION = 18,             // frame for somebody else's MAC
    ETHER_TYPE = 19,
    MALFORMED = 20,           // IP version, header length or total length
    CHECKSUM = 21,            // IPv4 header, GRE, or UDP of a tunnel
    SCOPE = 22,               // multicast, link-local or otherwise not to be routed
    FRAGMENT = 23,            // fragment for a local address
    UNTRUSTED_SIGNALLING = 24, // Mobility Header or UDP 5436 for a local address, not from a transport port
    UNTRUSTED_TUNNEL = 25,    // tunnel packet for a local address, not from a transport port
    LOCAL = 26,               // for a local address, but nothing here takes it
    TUNNEL_PEER = 27,         // no tunnel between these two addresses
    TUNNEL_HEADER = 28,       // what the tunnel carries is not a whole IP packet, or the TLV header is wrong
    GRE_HEADER = 29,          // bits 1, 4 or 5, or version not 0
    GRE_PROTOCOL = 30,        // neither IPv4 nor IPv6
    TUNNEL_KEY = 31,          // no session or realm for this peer, encapsulation and key
    SESSION_ADDRESS = 32,     // inner address is not one of the session's
    REALM_ADDRESS = 33,       // no session of the realm has the inner address
    ECN = 34,                 // congestion marked outside, but inside not ECN-capable (RFC 6040 §4.2)
    DECAPSULATED_LOCAL = 35,  // out of a tunnel, for a local end point
    NO_SESSION = 36,          // nothing says where this direction of the session goes
    NO_BINDING = 37,          // home address or prefix without a binding
    NO_TUNNEL = 38,
    NO_ROUTE = 39,
    NO_NEXTHOP = 40
}
const bit<8> REASON_DROP = 16;

#endif
