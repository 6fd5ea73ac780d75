/* From a packet to its session, and from a session to where it goes. */

#ifndef SESSION_P4
#define SESSION_P4

#include "port.p4"

/* A MAG's uplink: the lookup that finds the session is the one that refuses a forged source (RFC 5213 §6.10.5). */
control Source(inout metadata_t meta, in headers_t hdr) {
    @id(0x13000009)
    direct_counter(CounterType.packets_and_bytes) mn_src_v6_counter;
    @id(0x1300000a)
    direct_counter(CounterType.packets_and_bytes) mn_src_v4_counter;

    @id(0x01000050)
    action mn(@id(1) @refers_to(session, session_id) session_t session_id) {
        meta.session_id = session_id;
        meta.direction = Direction.UPLINK;
        meta.in_session = 1;
    }

    @id(0x0200000e)
    table mn_src_v6 {
        key = {
            meta.link_id: exact @id(1) @name("link_id");
            hdr.ethernet.src: exact @id(2) @name("mac") @format(MAC_ADDRESS);
            meta.user.src_v6: lpm @id(3) @name("address") @format(IPV6_ADDRESS);
        }
        actions = {
            mn;
            @defaultonly stop(meta);
        }
        const default_action = stop(meta, Reason.UNKNOWN_SOURCE);
        size = SESSION_PREFIXES;
        counters = mn_src_v6_counter;
        support_timeout = true; // how a mobile node that left silently is noticed
    }

    @id(0x0200000f)
    table mn_src_v4 {
        key = {
            meta.link_id: exact @id(1) @name("link_id");
            hdr.ethernet.src: exact @id(2) @name("mac") @format(MAC_ADDRESS);
            meta.user.src_v4: exact @id(3) @name("address") @format(IPV4_ADDRESS);
        }
        actions = {
            mn;
            @defaultonly stop(meta);
        }
        const default_action = stop(meta, Reason.UNKNOWN_SOURCE);
        size = SESSIONS;
        counters = mn_src_v4_counter;
        support_timeout = true;
    }

    apply {
        if (meta.user.ether_type == TYPE_IPV6) {
            mn_src_v6.apply();
        } else {
            mn_src_v4.apply();
        }
    }
}

/* May this packet be forwarded by a router at all, and for how long yet? */
control Routable(inout metadata_t meta, in headers_t hdr) {
    apply {
        if (meta.user.ether_type == TYPE_IPV6) {
            // ff00::/8, fe80::/10 at either end, and 0::/104 (unspecified, loopback) as source or destination
            if (hdr.ethernet.dst[40:40] == 1
                || meta.user.dst_v6[127:120] == 0xff || meta.user.dst_v6[127:118] == 0x3fa || meta.user.dst_v6[127:24] == 0
                || meta.user.src_v6[127:120] == 0xff || meta.user.src_v6[127:118] == 0x3fa || meta.user.src_v6[127:24] == 0) {
                meta.reason = Reason.SCOPE;
            }
        } else {
            // 224.0.0.0/3, 127.0.0.0/8, 0.0.0.0/8 and 169.254.0.0/16
            if (hdr.ethernet.dst[40:40] == 1
                || meta.user.dst_v4[31:29] == 7 || meta.user.dst_v4[31:24] == 127 || meta.user.dst_v4[31:24] == 0
                || meta.user.dst_v4[31:16] == 0xa9fe
                || meta.user.src_v4[31:29] == 7 || meta.user.src_v4[31:24] == 127 || meta.user.src_v4[31:24] == 0
                || meta.user.src_v4[31:16] == 0xa9fe) {
                meta.reason = Reason.SCOPE;
            }
        }
        if (meta.reason == Reason.NONE && meta.user.hop_limit <= 1) {
            meta.reason = Reason.HOP_LIMIT;
        }
    }
}

/* An LMA's downlink: whose address is it? One address may be a home address in every realm. */
control Destination(inout metadata_t meta) {
    @id(0x1300000b)
    direct_counter(CounterType.packets_and_bytes) sess_dst_v6_counter;
    @id(0x1300000c)
    direct_counter(CounterType.packets_and_bytes) sess_dst_v4_counter;

    @id(0x01000051)
    action dl_session(@id(1) @refers_to(session, session_id) session_t session_id) {
        meta.session_id = session_id;
        meta.direction = Direction.DOWNLINK;
        meta.in_session = 1;
    }

    @id(0x02000010)
    table sess_dst_v6 {
        key = {
            meta.vrf: exact @id(1) @name("vrf");
            meta.user.dst_v6: lpm @id(2) @name("address") @format(IPV6_ADDRESS);
        }
        actions = {
            dl_session;
            @defaultonly NoAction;
        }
        const default_action = NoAction();
        size = SESSION_PREFIXES;
        counters = sess_dst_v6_counter;
    }

    @id(0x02000011)
    table sess_dst_v4 {
        key = {
            meta.vrf: exact @id(1) @name("vrf");
            meta.user.dst_v4: exact @id(2) @name("address") @format(IPV4_ADDRESS);
        }
        actions = {
            dl_session;
            @defaultonly NoAction;
        }
        const default_action = NoAction();
        size = SESSIONS;
        counters = sess_dst_v4_counter;
    }

    apply {
        if (meta.user.ether_type == TYPE_IPV6) {
            sess_dst_v6.apply();
        } else {
            sess_dst_v4.apply();
        }
    }
}

/* Where a session's packets go. A handover is one MODIFY of one entry of this table. */
control Session(inout metadata_t meta) {
    @id(0x1300000d)
    direct_counter(CounterType.packets_and_bytes) session_counter;

    /* Without GRE, or with GRE that has no key. */
    @id(0x01000060)
    action to_tunnel(@id(1) @refers_to(tunnel_tx, tunnel_id) tunnel_t tunnel_id) {
        meta.encapsulate = 1;
        meta.tunnel_id = tunnel_id;
    }

    @id(0x01000061)
    action to_tunnel_keyed(@id(1) @refers_to(tunnel_tx, tunnel_id) tunnel_t tunnel_id, @id(2) bit<32> gre_key) {
        meta.encapsulate = 1;
        meta.tunnel_id = tunnel_id;
        meta.tx_key_valid = 1;
        meta.tx_key = gre_key;
        meta.tx_key_length = 4;
    }

    @id(0x01000062)
    action to_access(@id(1) @refers_to(nexthop, nexthop_id) nexthop_t nexthop_id) {
        meta.nexthop_id = nexthop_id;
    }

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

    apply {
        session.apply();
    }
}

#endif
