/* Ordinary routing, of what is tunnelled (in the transport VRF) and of what is not (in its realm). */

#ifndef ROUTE_P4
#define ROUTE_P4

#include "port.p4"

// Of the outermost IP header that is sent.
#define SEND_IPV6 (hdr.tx_ipv6.isValid() || (hdr.ipv6.isValid() && !hdr.tx_ipv4.isValid()))
#define ETHER_TYPE ETHER_TYPE_IF(SEND_IPV6)

control Route(inout headers_t hdr, inout metadata_t meta, inout standard_metadata_t standard_metadata) {
    @id(0x1300000f)
    direct_counter(CounterType.packets_and_bytes) nexthop_counter;

    @id(0x01000080)
    action set_nexthop(@id(1) @refers_to(nexthop, nexthop_id) nexthop_t nexthop_id) {
        meta.nexthop_id = nexthop_id;
    }

    /* An address of this switch: what was tunnelled goes round once more, what came out of a tunnel ends here. */
    @id(0x01000081)
    action local() {
        meta.nexthop_id = NEXTHOP_SELF;
        meta.reason = Reason.LOCAL;
    }

    @id(0x13000016)
    direct_counter(CounterType.packets_and_bytes) route_v6_counter;

    @id(0x02000014)
    table route_v6 {
        key = {
            meta.vrf: exact @id(1) @name("vrf");
            meta.address_v6: lpm @id(2) @name("dst") @format(IPV6_ADDRESS);
        }
        actions = {
            set_nexthop;
            local;
            stop(meta);
        }
        const default_action = stop(meta, Reason.NO_ROUTE);
        size = ROUTES;
        counters = route_v6_counter;
    }

    @id(0x13000017)
    direct_counter(CounterType.packets_and_bytes) route_v4_counter;

    @id(0x02000015)
    table route_v4 {
        key = {
            meta.vrf: exact @id(1) @name("vrf");
            meta.address_v4: lpm @id(2) @name("dst") @format(IPV4_ADDRESS);
        }
        actions = {
            set_nexthop;
            local;
            stop(meta);
        }
        const default_action = stop(meta, Reason.NO_ROUTE);
        size = ROUTES;
        counters = route_v4_counter;
    }

    /* The one decrement at this router (RFC 2784 §3.1 asks for it after a tunnel too), and the new Ethernet header. */
    @hidden
    action hop(mac_t src, mac_t dst, bit<16> ether_type) {
        if (hdr.ipv6.isValid()) {
            hdr.ipv6.hop_limit = hdr.ipv6.hop_limit - 1;
        } else {
            hdr.ipv4.ttl = hdr.ipv4.ttl - 1;
        }
        hdr.ethernet.src = src;
        hdr.ethernet.dst = dst;
        hdr.ethernet.ether_type = ether_type;
    }

    @hidden
    action refuse(bit<16> mtu) {
        meta.reason = Reason.TOO_BIG;
        meta.length = mtu |-| (meta.length - LENGTH(hdr.ipv6, hdr.ipv4));
    }

    @id(0x01000082)
    action l2(@id(1) bit<9> port, @id(2) @format(MAC_ADDRESS) mac_t src, @id(3) @format(MAC_ADDRESS) mac_t dst,
              @id(4) bit<16> mtu) {
        if (meta.length > mtu) {
            refuse(mtu);
        } else {
            standard_metadata.egress_spec = port;
            hop(src, dst, ETHER_TYPE);
            hdr.vlan.setInvalid();
        }
    }

    @id(0x01000083)
    action l2_vlan(@id(1) bit<9> port, @id(2) bit<12> vlan_id, @id(3) @format(MAC_ADDRESS) mac_t src,
                   @id(4) @format(MAC_ADDRESS) mac_t dst, @id(5) bit<16> mtu) {
        if (meta.length > mtu) {
            refuse(mtu);
        } else {
            standard_metadata.egress_spec = port;
            hop(src, dst, TYPE_VLAN);
            hdr.vlan.setValid();
            hdr.vlan.pcp = 0;
            hdr.vlan.dei = 0;
            hdr.vlan.vlan_id = vlan_id;
            hdr.vlan.ether_type = ETHER_TYPE;
        }
    }

    @id(0x02000016)
    table nexthop {
        key = {
            meta.nexthop_id: exact @id(1) @name("nexthop_id");
        }
        actions = {
            l2;
            l2_vlan;
            @defaultonly stop(meta);
        }
        const default_action = stop(meta, Reason.NO_NEXTHOP);
        size = NEXTHOPS;
        counters = nexthop_counter;
    }

    /* To itself: the peer's end of the tunnel is here too. */
    @hidden
    action go_round() {
        meta.reason = Reason.NONE;
        meta.own = 1;
        standard_metadata.egress_spec = CPU_PORT;
        hop(0, 0, ETHER_TYPE);
        hdr.vlan.setInvalid();
    }

    apply {
        if (meta.reason == Reason.NONE && meta.nexthop_id == 0) {
            if (SEND_IPV6) {
                route_v6.apply();
            } else {
                route_v4.apply();
            }
        }
        if (meta.reason == Reason.NONE) {
            nexthop.apply();
        } else if (meta.nexthop_id == NEXTHOP_SELF) {
            if (meta.tunnel_id != 0) {
                go_round();
            } else if (meta.peer_id != 0) {
                meta.reason = Reason.DECAPSULATED_LOCAL;
            }
        }
    }
}

#endif
