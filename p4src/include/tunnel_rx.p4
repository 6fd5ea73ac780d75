/* The end of a tunnel: peer, encapsulation and key must agree on a session, and the inner address must be its own. */

#ifndef TUNNEL_RX_P4
#define TUNNEL_RX_P4

#include "port.p4"

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
        meta.rx_dscp_mode = dscp_mode;
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

    @id(0x01000041)
    action rx_session(@id(1) session_t session_id, @id(2) vrf_t vrf, @id(3) Direction direction) {
        meta.session_id = session_id;
        meta.vrf = vrf;
        meta.direction = direction;
    }

    /* The MAG's between PBU and PBA: it knows its own key, but not yet the mobile node's addresses. */
    @id(0x01000042)
    action rx_session_unchecked(@id(1) session_t session_id, @id(2) vrf_t vrf, @id(3) Direction direction) {
        meta.session_id = session_id;
        meta.vrf = vrf;
        meta.direction = direction;
    }

    /* No key, or one that stands for a realm: the inner address finds the session. */
    @id(0x01000043)
    action rx_vrf(@id(1) vrf_t vrf, @id(2) Direction direction) {
        meta.vrf = vrf;
        meta.direction = direction;
    }

    @id(0x02000009)
    table gre_rx {
        key = {
            meta.peer_id: exact @id(1) @name("peer_id");
            meta.encapsulation: exact @id(2) @name("encapsulation");
            meta.key_valid: exact @id(3) @name("key_valid");
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
    action realm_session(@id(1) session_t session_id, @id(2) vrf_t vrf) {
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

    /* The ways out of what stood outside, by what was inside. */
    @hidden
    action drop_rare_outer() {
        hdr.ipv4_options.setInvalid();
        hdr.destination_options.setInvalid();
        hdr.udp.setInvalid();
        hdr.tlv.setInvalid();
        hdr.gre_checksum.setInvalid();
        hdr.gre_sequence.setInvalid();
    }

    @hidden
    action keep_options() {
        hdr.ipv4_options = hdr.inner_ipv4_options;
        hdr.inner_ipv4_options.setInvalid();
    }

    @hidden
    action bare_ipv6() {
        hdr.ipv6 = hdr.inner_ipv6;
        hdr.inner_ipv6.setInvalid();
        hdr.ipv4.setInvalid();
        hdr.gre.setInvalid();
        hdr.gre_key.setInvalid();
        meta.ether_type = TYPE_IPV6;
        meta.length = 40 |+| hdr.ipv6.payload_length;
        meta.traffic_class = hdr.ipv6.traffic_class;
    }

    @hidden
    action bare_ipv4() {
        hdr.ipv4 = hdr.inner_ipv4;
        hdr.inner_ipv4.setInvalid();
        hdr.ipv6.setInvalid();
        hdr.gre.setInvalid();
        hdr.gre_key.setInvalid();
        meta.ether_type = TYPE_IPV4;
        meta.length = hdr.ipv4.total_length;
        meta.traffic_class = hdr.ipv4.traffic_class;
    }

    /* The mobile node's end of the inner packet. */
    @hidden
    action mn_is_source_v6() {
        meta.address_v6 = hdr.ipv6.src;
    }

    @hidden
    action mn_is_destination_v6() {
        meta.address_v6 = hdr.ipv6.dst;
    }

    @hidden
    action mn_is_source_v4() {
        meta.address_v4 = hdr.ipv4.src;
    }

    @hidden
    action mn_is_destination_v4() {
        meta.address_v4 = hdr.ipv4.dst;
    }

    apply {
        meta.outer_traffic_class = meta.traffic_class;
        if (hdr.ipv6.isValid()) {
            meta.room = hdr.ipv6.payload_length;
            if (hdr.destination_options.isValid()) {
                meta.room = meta.room |-| (8 + ((bit<16>)hdr.destination_options.length << 3));
            }
            tunnel_rx_v6.apply();
        } else {
            meta.room = meta.length - ((bit<16>)hdr.ipv4.version_ihl[3:0] << 2);
            tunnel_rx_v4.apply();
        }
        if (meta.reason != Reason.NONE) {
            // No tunnel of ours.
        } else if (standard_metadata.parser_error != error.NoError || standard_metadata.checksum_error == 1
            || (!hdr.inner_ipv4.isValid() && !hdr.inner_ipv6.isValid())
            || (hdr.tlv.isValid() && hdr.udp.length - 12 != hdr.tlv.length)) {
            if (standard_metadata.parser_error == error.GreHeader) {
                meta.reason = Reason.GRE_HEADER;
            } else if (hdr.gre.isValid() && hdr.gre.protocol != TYPE_IPV4 && hdr.gre.protocol != TYPE_IPV6) {
                meta.reason = Reason.GRE_PROTOCOL;
            } else if (standard_metadata.parser_error == error.NoError && standard_metadata.checksum_error == 1) {
                meta.reason = Reason.CHECKSUM;
            } else {
                meta.reason = Reason.TUNNEL_HEADER;
            }
        } else {
            if (hdr.udp.isValid() || hdr.gre_checksum.isValid() || hdr.gre_sequence.isValid()
                || hdr.ipv4_options.isValid() || hdr.destination_options.isValid()) {
                drop_rare_outer();
            }
            if (hdr.inner_ipv6.isValid()) {
                bare_ipv6();
            } else {
                bare_ipv4();
                if (hdr.inner_ipv4_options.isValid()) {
                    keep_options();
                }
            }
            if (meta.length |+| meta.tunnel_header > meta.room
                || (hdr.ipv4.isValid() && meta.length < (bit<16>)hdr.ipv4.version_ihl[3:0] << 2)) {
                meta.reason = Reason.TUNNEL_HEADER;
            } else {
                switch (gre_rx.apply().action_run) {
                    rx_session: {
                        if (hdr.ipv6.isValid()) {
                            if (meta.direction == Direction.UPLINK) {
                                mn_is_source_v6();
                            } else {
                                mn_is_destination_v6();
                            }
                            session_address_v6.apply();
                        } else {
                            if (meta.direction == Direction.UPLINK) {
                                mn_is_source_v4();
                            } else {
                                mn_is_destination_v4();
                            }
                            session_address_v4.apply();
                        }
                    }
                    rx_vrf: {
                        if (hdr.ipv6.isValid()) {
                            if (meta.direction == Direction.UPLINK) {
                                mn_is_source_v6();
                            } else {
                                mn_is_destination_v6();
                            }
                            realm_session_v6.apply();
                        } else {
                            if (meta.direction == Direction.UPLINK) {
                                mn_is_source_v4();
                            } else {
                                mn_is_destination_v4();
                            }
                            realm_session_v4.apply();
                        }
                    }
                    default: {
                    }
                }
            }
        }
    }
}

#endif
