/* To and from the controller, and the end of every packet that is not forwarded. */

#ifndef PACKETIO_P4
#define PACKETIO_P4

#include "header.p4"

/* A packet from the controller that does not simply leave. */
control FromController(inout headers_t hdr, inout metadata_t meta, inout standard_metadata_t standard_metadata) {
    /* It has no role and is in no address space; its session says where it goes. Here is no hop: the decrement is undone. */
    @hidden
    action into_session() {
        meta.own = 1;
        meta.session_id = hdr.packet_out.session_id;
        meta.direction = hdr.packet_out.direction;
        meta.vrf = VRF_NONE;
        hdr.ipv6.hop_limit = hdr.ipv6.hop_limit + 1;
        hdr.ipv4.ttl = hdr.ipv4.ttl + 1;
    }

    apply {
        if (hdr.packet_out.session_id != 0) {
            into_session();
        } else if (hdr.packet_out.egress_port == CPU_PORT) {
            meta.own = 1;
        }
        standard_metadata.ingress_port = hdr.packet_out.egress_port;
        hdr.packet_out.setInvalid();
    }
}

control Verdict(inout headers_t hdr, inout metadata_t meta, inout standard_metadata_t standard_metadata) {
    bit<2> color = 0;

    /* By Reason. */
    @id(0x12000001)
    counter<Reason>(256, CounterType.packets) reasons;

    /* By link_id and the low four bits of Reason: no host can keep another one's packets from the controller. */
    @id(0x14000001)
    meter<bit<16>>(PUNT_METERS, MeterType.packets) punts;

    /* The packet as it would have been forwarded, without the tunnel it was about to enter. */
    @hidden
    action punt() {
        hdr.packet_in.setValid();
        hdr.packet_in.ingress_port = standard_metadata.ingress_port;
        hdr.packet_in.pad = 0;
        hdr.packet_in.reason = meta.reason;
        hdr.packet_in.session_id = meta.session_id;
        hdr.packet_in.aux = (bit<32>)meta.link_id;
        hdr.tx_ipv4.setInvalid();
        hdr.tx_ipv6.setInvalid();
        hdr.tx_udp.setInvalid();
        hdr.tx_tlv.setInvalid();
        hdr.tx_gre.setInvalid();
        hdr.tx_gre_keyed.setInvalid();
        meta.nexthop_id = 0;
        standard_metadata.egress_spec = CPU_PORT;
    }

    apply {
        if ((bit<8>)meta.reason < REASON_DROP) {
            punts.execute_meter(meta.link_id ++ ((bit<8>)meta.reason)[3:0], color);
            if (color == V1MODEL_METER_COLOR_RED) {
                meta.reason = Reason.METER;
            }
        }
        reasons.count(meta.reason);
        if ((bit<8>)meta.reason < REASON_DROP) {
            punt();
            if (meta.reason == Reason.TOO_BIG) {
                hdr.packet_in.aux = (bit<32>)meta.length;
            }
            // What came out of a tunnel is shown without it.
            if (meta.peer_id != 0) {
                if (hdr.vlan.isValid()) {
                    hdr.vlan.ether_type = ETHER_TYPE_IF(hdr.ipv6.isValid());
                } else {
                    hdr.ethernet.ether_type = ETHER_TYPE_IF(hdr.ipv6.isValid());
                }
            }
        } else {
            mark_to_drop(standard_metadata);
        }
    }
}

#endif
