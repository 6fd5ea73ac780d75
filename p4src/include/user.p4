/* The packet that is being served, by one name wherever it stands. */

#ifndef USER_P4
#define USER_P4

#include "header.p4"

control UserPacket(in headers_t hdr, inout metadata_t meta) {
    @hidden
    action from_ipv6(in ipv6_t ip) {
        meta.user.ether_type = TYPE_IPV6;
        meta.tx_protocol = PROTO_IPV6;
        meta.user.src_v6 = ip.src;
        meta.user.dst_v6 = ip.dst;
        meta.user.protocol = ip.next_header;
        meta.user.dscp = ip.dscp;
        meta.user.ecn = ip.ecn;
        meta.user.hop_limit = ip.hop_limit;
        meta.user.length = 40 |+| ip.payload_length;
    }

    @hidden
    action from_ipv4(in ipv4_t ip) {
        meta.user.ether_type = TYPE_IPV4;
        meta.tx_protocol = PROTO_IPV4;
        meta.user.src_v4 = ip.src;
        meta.user.dst_v4 = ip.dst;
        meta.user.protocol = ip.protocol;
        meta.user.dscp = ip.dscp;
        meta.user.ecn = ip.ecn;
        meta.user.hop_limit = ip.ttl;
        meta.user.length = ip.total_length;
    }

    apply {
        if (meta.terminated == 1) {
            if (hdr.inner_ipv6.isValid()) {
                from_ipv6(hdr.inner_ipv6);
            } else {
                from_ipv4(hdr.inner_ipv4);
            }
        } else if (hdr.ipv6.isValid()) {
            from_ipv6(hdr.ipv6);
        } else {
            from_ipv4(hdr.ipv4);
        }
    }
}

#endif
