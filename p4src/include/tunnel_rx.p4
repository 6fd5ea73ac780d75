/* The end of a tunnel: peer, encapsulation and key must agree on a session, and the inner address must be its own. */

#ifndef TUNNEL_RX_P4
#define TUNNEL_RX_P4

#include "port.p4"

// What the inner header says, against what the outer one leaves for it.
#define LONGER_THAN_ROOM \
    (LENGTH(hdr.inner_ipv6, hdr.inner_ipv4) |+| \
     ((hdr.ipv6.isValid() ? 16w40 : 20) + (hdr.gre.isValid() ? 16w4 : 0) + (hdr.gre_key.isValid() ? 16w4 : 0)) \
     > meta.length)

#define INNER_TRAFFIC_CLASS (hdr.inner_ipv6.isValid() ? hdr.inner_ipv6.traffic_class : hdr.inner_ipv4.traffic_class)

control TunnelEnd(inout headers_t hdr, inout metadata_t meta, in standard_metadata_t standard_metadata) {
    @id(0x13000004)
    direct_counter(CounterType.packets_and_bytes) tunnel_rx_v6_counter;
    @id(0x13000005)
    direct_counter(CounterType.packets_and_bytes) tunnel_rx_v4_counter;
    @id(0x13000006)
    direct_counter(CounterType.packets_and_bytes) gre_rx_counter;

    @id(0x13000007)
    direct_counter(CounterType.packets_and_bytes) realm_session_v6_counter;
    @id(0x13000008)
    direct_counter(CounterType.packets_and_bytes) realm_session_v4_counter;

    @id(0x01000040)
    action terminate(@id(1) peer_t peer_id, @id(2) DscpMode dscp_mode) {
        meta.peer_id = peer_id;
        meta.outer_traffic_class = (TRAFFIC_CLASS & (bit<8>)dscp_mode) | (INNER_TRAFFIC_CLASS & ~(bit<8>)dscp_mode);
    }

    @id(0x02000007)
    table tunnel_rx_v6 {
        key = {
            meta.vrf: exact @id(1) @name("vrf");
            hdr.ipv6.dst: exact @id(2) @name("local") @format(IPV6_ADDRESS);
            hdr.ipv6.src: exact @id(3) @name("peer") @format(IPV6_ADDRESS);
        }
        actions = {
            terminate;
            @defaultonly stop(meta);
        }
        const default_action = stop(meta, Reason.TUNNEL_PEER);
        size = PEERS;
        counters = tunnel_rx_v6_counter;
    }

    @id(0x02000008)
    table tunnel_rx_v4 {
        key = {
            meta.vrf: exact @id(1) @name("vrf");
            hdr.ipv4.dst: exact @id(2) @name("local") @format(IPV4_ADDRESS);
            hdr.ipv4.src: exact @id(3) @name("peer") @format(IPV4_ADDRESS);
        }
        actions = {
            terminate;
            @defaultonly stop(meta);
        }
        const default_action = stop(meta, Reason.TUNNEL_PEER);
        size = PEERS;
        counters = tunnel_rx_v4_counter;
    }

    /* Where the packet is from now on; nothing of the tunnel is left. */
    @hidden
    action leave_tunnel(vrf_t vrf, Direction direction) {
        meta.vrf = vrf;
        meta.direction = direction;
        hdr.gre.setInvalid();
        hdr.gre_key.setInvalid();
    }

    @id(0x01000041)
    action rx_session(@id(1) @refers_to(session, session_id) session_t session_id, @id(2) vrf_t vrf,
                      @id(3) Direction direction) {
        meta.session_id = session_id;
        leave_tunnel(vrf, direction);
    }

    /* The MAG's between PBU and PBA: it knows its own key, but not yet the mobile node's addresses. */
    @id(0x01000042)
    action rx_session_unchecked(@id(1) @refers_to(session, session_id) session_t session_id, @id(2) vrf_t vrf,
                                @id(3) Direction direction) {
        meta.session_id = session_id;
        leave_tunnel(vrf, direction);
    }

    /* No key, or one that stands for a realm: the inner address finds the session. */
    @id(0x01000043)
    action rx_vrf(@id(1) vrf_t vrf, @id(2) Direction direction) {
        leave_tunnel(vrf, direction);
    }

    @id(0x02000009)
    table gre_rx {
        key = {
            meta.peer_id: exact @id(1) @name("peer_id");
            meta.encapsulation: exact @id(2) @name("encapsulation");
            hdr.gre_key.isValid(): exact @id(3) @name("key_valid");
            meta.key: exact @id(4) @name("gre_key");
        }
        actions = {
            rx_session;
            rx_session_unchecked;
            rx_vrf;
            @defaultonly stop(meta);
        }
        const default_action = stop(meta, Reason.TUNNEL_KEY);
        size = SESSIONS;
        counters = gre_rx_counter;
    }

    @id(0x01000044)
    action realm_session(@id(1) @refers_to(session, session_id) session_t session_id, @id(2) vrf_t vrf) {
        meta.session_id = session_id;
        meta.vrf = vrf;
    }

    @id(0x0200000a)
    table realm_session_v6 {
        key = {
            meta.peer_id: exact @id(1) @name("peer_id");
            meta.encapsulation: exact @id(2) @name("encapsulation");
            meta.vrf: exact @id(3) @name("vrf");
            meta.address_v6: lpm @id(4) @name("address") @format(IPV6_ADDRESS);
        }
        actions = {
            realm_session;
            @defaultonly stop(meta);
        }
        const default_action = stop(meta, Reason.REALM_ADDRESS);
        size = SESSION_PREFIXES;
        counters = realm_session_v6_counter;
    }

    @id(0x0200000b)
    table realm_session_v4 {
        key = {
            meta.peer_id: exact @id(1) @name("peer_id");
            meta.encapsulation: exact @id(2) @name("encapsulation");
            meta.vrf: exact @id(3) @name("vrf");
            meta.address_v4: exact @id(4) @name("address") @format(IPV4_ADDRESS);
        }
        actions = {
            realm_session;
            @defaultonly stop(meta);
        }
        const default_action = stop(meta, Reason.REALM_ADDRESS);
        size = SESSIONS;
        counters = realm_session_v4_counter;
    }

    @id(0x13000014)
    direct_counter(CounterType.packets_and_bytes) session_address_v6_counter;

    @id(0x0200000c)
    table session_address_v6 {
        key = {
            meta.session_id: exact @id(1) @name("session_id");
            meta.address_v6: lpm @id(2) @name("address") @format(IPV6_ADDRESS);
        }
        actions = {
            NoAction;
            @defaultonly stop(meta);
        }
        const default_action = stop(meta, Reason.SESSION_ADDRESS);
        size = SESSION_PREFIXES;
        counters = session_address_v6_counter;
    }

    @id(0x13000015)
    direct_counter(CounterType.packets_and_bytes) session_address_v4_counter;

    @id(0x0200000d)
    table session_address_v4 {
        key = {
            meta.session_id: exact @id(1) @name("session_id");
            meta.address_v4: exact @id(2) @name("address") @format(IPV4_ADDRESS);
        }
        actions = {
            NoAction;
            @defaultonly stop(meta);
        }
        const default_action = stop(meta, Reason.SESSION_ADDRESS);
        size = SESSIONS;
        counters = session_address_v4_counter;
    }

    /* What seldom stands between the two IP headers. IPv4 options go where their header goes. */
    @hidden
    action drop_rare() {
        meta.length = meta.length |-| ((hdr.udp.isValid() ? 16w8 : 0) + (hdr.tlv.isValid() ? 16w4 : 0)
            + (hdr.gre_checksum.isValid() ? 16w4 : 0) + (hdr.gre_sequence.isValid() ? 16w4 : 0)
            + (hdr.ipv4_options.isValid() ? IPV4_HEADER_LENGTH(hdr.ipv4) - 20 : 0)
            + (hdr.destination_options.isValid() ? 8 + ((bit<16>)hdr.destination_options.length << 3) : 0));
        hdr.destination_options.setInvalid();
        hdr.udp.setInvalid();
        hdr.tlv.setInvalid();
        hdr.gre_checksum.setInvalid();
        hdr.gre_sequence.setInvalid();
        hdr.ipv4_options = hdr.inner_ipv4_options;
        hdr.inner_ipv4_options.setInvalid();
    }

    @hidden
    action bare_ipv6() {
        hdr.ipv6 = hdr.inner_ipv6;
        hdr.inner_ipv6.setInvalid();
        hdr.ipv4.setInvalid();
        meta.length = 40 |+| hdr.ipv6.payload_length;
    }

    @hidden
    action bare_ipv4() {
        hdr.ipv4 = hdr.inner_ipv4;
        hdr.inner_ipv4.setInvalid();
        hdr.ipv6.setInvalid();
        meta.length = hdr.ipv4.total_length;
    }

    /* The mobile node's end of the inner packet. */
    @hidden
    action mobile_node_v6() {
        if (meta.direction == Direction.UPLINK) {
            meta.address_v6 = hdr.ipv6.src;
        } else {
            meta.address_v6 = hdr.ipv6.dst;
        }
    }

    @hidden
    action mobile_node_v4() {
        if (meta.direction == Direction.UPLINK) {
            meta.address_v4 = hdr.ipv4.src;
        } else {
            meta.address_v4 = hdr.ipv4.dst;
        }
    }

    apply {
        if (meta.encapsulation == Encapsulation.NONE || meta.role != Role.TRANSPORT) {
            if (meta.encapsulation == Encapsulation.NONE) {
                meta.reason = Reason.LOCAL;
            } else {
                meta.reason = Reason.UNTRUSTED_TUNNEL;
            }
        } else if (hdr.ipv6.isValid()) {
            tunnel_rx_v6.apply();
        } else {
            tunnel_rx_v4.apply();
        }
        if (hdr.udp.isValid() || hdr.gre_checksum.isValid() || hdr.gre_sequence.isValid() || hdr.ipv4_options.isValid()
            || hdr.destination_options.isValid() || hdr.inner_ipv4_options.isValid()) {
            if (meta.reason == Reason.NONE
                && ((hdr.tlv.isValid() && hdr.udp.length - 12 != hdr.tlv.length)
                    || (hdr.inner_ipv4_options.isValid()
                        && hdr.inner_ipv4.total_length < IPV4_HEADER_LENGTH(hdr.inner_ipv4)))) {
                meta.reason = Reason.TUNNEL_HEADER;
            }
            drop_rare();
        }
        if (meta.reason != Reason.NONE || standard_metadata.parser_error != error.NoError
            || standard_metadata.checksum_error == 1 || (!hdr.inner_ipv4.isValid() && !hdr.inner_ipv6.isValid())
            || LONGER_THAN_ROOM) {
            if (meta.reason != Reason.NONE) {
                // Not a tunnel of ours.
            } else if (standard_metadata.parser_error == error.GreHeader) {
                meta.reason = Reason.GRE_HEADER;
            } else if (hdr.gre.isValid() && hdr.gre.protocol != TYPE_IPV4 && hdr.gre.protocol != TYPE_IPV6) {
                meta.reason = Reason.GRE_PROTOCOL;
            } else if (standard_metadata.parser_error == error.NoError && standard_metadata.checksum_error == 1) {
                meta.reason = Reason.CHECKSUM;
            } else {
                meta.reason = Reason.TUNNEL_HEADER;
            }
        } else {
            if (hdr.inner_ipv6.isValid()) {
                bare_ipv6();
            } else {
                bare_ipv4();
            }
            switch (gre_rx.apply().action_run) {
                rx_session: {
                    if (hdr.ipv6.isValid()) {
                        mobile_node_v6();
                        session_address_v6.apply();
                    } else {
                        mobile_node_v4();
                        session_address_v4.apply();
                    }
                }
                rx_vrf: {
                    if (hdr.ipv6.isValid()) {
                        mobile_node_v6();
                        realm_session_v6.apply();
                    } else {
                        mobile_node_v4();
                        realm_session_v4.apply();
                    }
                }
                default: {
                }
            }
        }
    }
}

#endif
