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
#include "include/user.p4"
#include "include/tunnel_rx.p4"
#include "include/ecn.p4"
#include "include/session.p4"
#include "include/tunnel_tx.p4"
#include "include/route.p4"
#include "include/acl.p4"
#include "include/packetio.p4"

control PacketIngress(inout headers_t hdr, inout metadata_t meta, inout standard_metadata_t standard_metadata) {
    FromController() from_controller;
    Port() port;
    Trap() trap;
    TunnelTermination() tunnel_termination;
    UserPacket() user_packet;
    TunnelSession() tunnel_session;
    EcnDecapsulation() ecn_decapsulation;
    Source() source;
    Routable() routable;
    Destination() destination;
    Session() session;
    TunnelStart() tunnel_start;
    Route() route;
    Acl() acl;
    Verdict() verdict;

    /* The one decrement at this router (RFC 2784 §3.1 asks for it after a tunnel too). */
    @hidden
    action count_hop_v6(inout bit<8> hop_limit) {
        hop_limit = hop_limit - 1;
    }

    @hidden
    action count_hop_v4(inout bit<8> ttl) {
        ttl = ttl - 1;
        meta.update_user_checksum = 1;
    }

    apply {
        // Until something says otherwise: port 0 is a real port.
        mark_to_drop(standard_metadata);

        if (hdr.packet_out.isValid() && hdr.packet_out.submit_to_ingress == 0) {
            standard_metadata.egress_spec = hdr.packet_out.egress_port;
            hdr.packet_out.setInvalid();
            exit;
        }
        if (hdr.packet_out.isValid()) {
            from_controller.apply(hdr, meta);
        }

        port.apply(hdr, meta);
        if (meta.reason == Reason.NONE) {
            trap.apply(hdr, meta, standard_metadata);
        }
        if (meta.reason == Reason.NONE && meta.is_local == 1 && meta.injected == 0) {
            if (meta.encapsulation == Encapsulation.NONE) {
                meta.reason = Reason.LOCAL;
            } else {
                tunnel_termination.apply(hdr, meta, standard_metadata);
                meta.terminated = 1;
            }
        }
        if (meta.reason == Reason.NONE) {
            user_packet.apply(hdr, meta);
            meta.tx_ether_type = meta.user.ether_type;
            meta.mtu = 0xffff;
            if (meta.terminated == 1) {
                tunnel_session.apply(hdr, meta);
                if (meta.reason == Reason.NONE) {
                    ecn_decapsulation.apply(hdr, meta);
                }
                if (meta.direction == Direction.DOWNLINK) {
                    meta.in_session = 1;
                }
            } else if (meta.role == Role.ACCESS) {
                source.apply(meta, hdr);
            }
        }
        if (meta.reason == Reason.NONE && meta.injected == 0) {
            routable.apply(meta, hdr);
            if (meta.reason == Reason.NONE && (meta.role == Role.SERVICE || meta.direction == Direction.UPLINK && meta.terminated == 1)) {
                destination.apply(meta);
            }
        }
        if (meta.reason == Reason.NONE) {
            meta.tx_vrf = meta.vrf;
            meta.tx_dst_v6 = meta.user.dst_v6;
            meta.tx_dst_v4 = meta.user.dst_v4;
            if (meta.in_session == 1) {
                session.apply(meta);
                if (meta.encapsulate == 1) {
                    tunnel_start.apply(hdr, meta);
                }
            }
        }
        if (meta.reason == Reason.NONE) {
            route.apply(hdr, meta, standard_metadata);
        }
        if (meta.reason == Reason.NONE) {
            acl.apply(meta, standard_metadata);
        }
        if (meta.reason == Reason.NONE) {
            hdr.ethernet.setInvalid();
            hdr.vlan.setInvalid();
            if (meta.injected == 0) {
                if (meta.terminated == 1) {
                    if (hdr.inner_ipv6.isValid()) {
                        count_hop_v6(hdr.inner_ipv6.hop_limit);
                    } else {
                        count_hop_v4(hdr.inner_ipv4.ttl);
                    }
                } else if (hdr.ipv6.isValid()) {
                    count_hop_v6(hdr.ipv6.hop_limit);
                } else if (hdr.ipv4.isValid()) {
                    count_hop_v4(hdr.ipv4.ttl);
                }
            }
        } else {
            verdict.apply(hdr, meta, standard_metadata);
        }
    }
}

control PacketEgress(inout headers_t hdr, inout metadata_t meta, inout standard_metadata_t standard_metadata) {
    apply {
        if (meta.recirculate == 1) {
            recirculate_preserving_field_list(0);
        }
    }
}

@pkginfo(name="p4pmip", version="1.0")
V1Switch(PacketParser(), ChecksumVerification(), PacketIngress(), PacketEgress(), ChecksumUpdate(), PacketDeparser()) main;
