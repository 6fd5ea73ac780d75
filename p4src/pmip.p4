/*
 * Proxy Mobile IPv6 with GRE keys: the data plane of a mobile access gateway and of a local mobility anchor.
 *
 * One program for both. What a port is (access, transport, service) and what becomes of a packet is decided by table
 * entries, so one switch may be both at once. Outer and inner packet may be IPv4 or IPv6 in any combination.
 */

#define V1MODEL_VERSION 20200408
#include <core.p4>
#include <v1model.p4>

#include "include/define.p4"
#include "include/size.p4"
#include "include/header.p4"
#include "include/parser.p4"
#include "include/checksum.p4"
#include "include/port.p4"
#include "include/trap.p4"
#include "include/tunnel_rx.p4"
#include "include/ecn.p4"
#include "include/session.p4"
#include "include/tunnel_tx.p4"
#include "include/route.p4"
#include "include/packetio.p4"

control PacketIngress(inout headers_t hdr, inout metadata_t meta, inout standard_metadata_t standard_metadata) {
    FromController() from_controller;
    Port() port;
    Trap() trap;
    TunnelEnd() tunnel_end;
    EcnDecapsulation() ecn_decapsulation;
    Source() source;
    Routable() routable;
    Destination() destination;
    Session() session;
    Route() route;
    Verdict() verdict;

    apply {
        // A packet that is forwarded has its egress port from `nexthop`; any other one meets the verdict.
        if (hdr.packet_out.isValid()) {
            if (hdr.packet_out.submit_to_ingress == 0) {
                standard_metadata.egress_spec = hdr.packet_out.egress_port;
                hdr.packet_out.setInvalid();
                exit;
            }
            from_controller.apply(hdr, meta, standard_metadata);
        }
        port.apply(hdr, meta, standard_metadata);
        trap.apply(hdr, meta, standard_metadata);
        if (meta.reason == Reason.NONE && meta.is_local == 1) {
            tunnel_end.apply(hdr, meta, standard_metadata);
            ecn_decapsulation.apply(hdr, meta);
        } else if (meta.reason == Reason.NONE && meta.role == Role.ACCESS) {
            source.apply(hdr, meta);
        }
        routable.apply(hdr, meta);
        // From a transport or service link, and not at the end of its downlink: at an LMA. Whose address? At a MAG with
        // local routing the same is asked of what comes from mobile nodes.
        if (meta.reason == Reason.NONE && (FROM_NETWORK || meta.vrf != VRF_TRANSPORT)
            && meta.direction != Direction.DOWNLINK) {
            destination.apply(hdr, meta);
        }
        // At a MAG, down from an LMA, or where the controller says.
        if (meta.reason == Reason.NONE && (!FROM_NETWORK || meta.direction == Direction.DOWNLINK)) {
            session.apply(hdr, meta);
        }
        route.apply(hdr, meta, standard_metadata);
        if (meta.reason != Reason.NONE) {
            verdict.apply(hdr, meta, standard_metadata);
        }
    }
}

control PacketEgress(inout headers_t hdr, inout metadata_t meta, inout standard_metadata_t standard_metadata) {
    apply {
        if (meta.nexthop_id == NEXTHOP_SELF) {
            recirculate_preserving_field_list(0);
        }
    }
}

@pkginfo(name="p4pmip", version="1.0")
V1Switch(PacketParser(), ChecksumVerification(), PacketIngress(), PacketEgress(), ChecksumUpdate(), PacketDeparser()) main;
