/* From a packet to its session, and from a session to where it goes. */

#ifndef SESSION_P4
#define SESSION_P4

#include "port.p4"

/* A MAG's uplink: the lookup that finds the session is the one that refuses a forged source (RFC 5213 §6.10.5). */
control Source(in headers_t hdr, inout metadata_t meta) {
    @id(0x13000009)
    direct_counter(CounterType.packets_and_bytes) mn_src_v6_counter;
    @id(0x1300000a)
    direct_counter(CounterType.packets_and_bytes) mn_src_v4_counter;

    @id(0x01000050)
    action mn(@id(1) @refers_to(session, session_id) session_t session_id) {
        meta.session_id = session_id;
        meta.direction = Direction.UPLINK;
    }

    /* EnableMAGLocalRouting (RFC 5213 §6.10.3): a destination of its realm that is on this MAG, too, is not tunnelled to. */
    @id(0x01000054)
    action mn_local(@id(1) @refers_to(session, session_id) session_t session_id, @id(2) vrf_t vrf) {
        meta.session_id = session_id;
        meta.direction = Direction.UPLINK;
        meta.vrf = vrf;
    }

    @id(0x0200000e)
    table mn_src_v6 {
        key = {
            meta.link_id: exact @id(1) @name("link_id");
            hdr.ethernet.src: exact @id(2) @name("mac") @format(MAC_ADDRESS);
            hdr.ipv6.src: lpm @id(3) @name("address") @format(IPV6_ADDRESS);
        }
        actions = {
            mn;
            mn_local;
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
            hdr.ipv4.src: exact @id(3) @name("address") @format(IPV4_ADDRESS);
        }
        actions = {
            mn;
            mn_local;
            @defaultonly stop(meta);
        }
        const default_action = stop(meta, Reason.UNKNOWN_SOURCE);
        size = SESSIONS;
        counters = mn_src_v4_counter;
        support_timeout = true;
    }

    apply {
        if (hdr.ipv6.isValid()) {
            mn_src_v6.apply();
        } else {
            mn_src_v4.apply();
        }
    }
}

/*
 * What no router forwards, and how long a packet may still go. IPv6: from fe80:: on there are link-local, the
 * site-local of old and multicast addresses, below ::100:0 the unspecified one and loopback. IPv4: 224.0.0.0 and on,
 * 0.0.0.0/8, 127.0.0.0/8 and 169.254.0.0/16.
 */
#define UNROUTABLE_V6(a) (a >= 0xfe80_0000_0000_0000_0000_0000_0000_0000 || a < 0x100_0000)
#define UNROUTABLE_V4(a) \
    (a >= 0xe000_0000 || a < 0x100_0000 || a & 0xff00_0000 == 0x7f00_0000 || a & 0xffff_0000 == 0xa9fe_0000)

/* The source of what came from a session has been looked up already. */
#define PLAIN (FROM_NETWORK && meta.peer_id == 0)
#define OUT_OF_SCOPE(unroutable, ip) (unroutable(ip.dst) || (PLAIN && unroutable(ip.src)))

control Routable(in headers_t hdr, inout metadata_t meta) {
    apply {
        if (meta.reason == Reason.NONE && meta.role != Role.NONE
            && (hdr.ipv6.isValid() ? (hdr.ipv6.hop_limit <= 1 || OUT_OF_SCOPE(UNROUTABLE_V6, hdr.ipv6))
                                   : (hdr.ipv4.ttl <= 1 || OUT_OF_SCOPE(UNROUTABLE_V4, hdr.ipv4)))) {
            if ((hdr.ipv6.isValid() && OUT_OF_SCOPE(UNROUTABLE_V6, hdr.ipv6))
                || (hdr.ipv4.isValid() && OUT_OF_SCOPE(UNROUTABLE_V4, hdr.ipv4))) {
                meta.reason = Reason.SCOPE;
            } else {
                meta.reason = Reason.HOP_LIMIT;
            }
        }
    }
}

/*
 * A downlink: whose address is it? One address may be a home address in every realm; in the transport VRF nobody has one.
 * What is for no mobile node is routed at an LMA, and goes up its tunnel at a MAG.
 */
control Destination(in headers_t hdr, inout metadata_t meta) {
    @id(0x1300000b)
    direct_counter(CounterType.packets_and_bytes) sess_dst_v6_counter;
    @id(0x1300000c)
    direct_counter(CounterType.packets_and_bytes) sess_dst_v4_counter;

    @id(0x01000051)
    action dl_session(@id(1) @refers_to(session, session_id) session_t session_id) {
        meta.session_id = session_id;
        meta.direction = Direction.DOWNLINK;
    }

    @id(0x01000052)
    action no_session_v6() {
        meta.address_v6 = hdr.ipv6.dst;
    }

    @id(0x01000053)
    action no_session_v4() {
        meta.address_v4 = hdr.ipv4.dst;
    }

    @id(0x02000010)
    table sess_dst_v6 {
        key = {
            meta.vrf: exact @id(1) @name("vrf");
            hdr.ipv6.dst: lpm @id(2) @name("address") @format(IPV6_ADDRESS);
        }
        actions = {
            dl_session;
            @defaultonly no_session_v6;
        }
        const default_action = no_session_v6();
        size = SESSION_PREFIXES;
        counters = sess_dst_v6_counter;
    }

    @id(0x02000011)
    table sess_dst_v4 {
        key = {
            meta.vrf: exact @id(1) @name("vrf");
            hdr.ipv4.dst: exact @id(2) @name("address") @format(IPV4_ADDRESS);
        }
        actions = {
            dl_session;
            @defaultonly no_session_v4;
        }
        const default_action = no_session_v4();
        size = SESSIONS;
        counters = sess_dst_v4_counter;
    }

    apply {
        if (hdr.ipv6.isValid()) {
            sess_dst_v6.apply();
        } else {
            sess_dst_v4.apply();
        }
    }
}

#endif
