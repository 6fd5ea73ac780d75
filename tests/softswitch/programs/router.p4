// An IPv4 router with a policy table, counters, a meter and a controller: what most programs use.
#include <core.p4>
#define V1MODEL_VERSION 20180101
#include <v1model.p4>

@controller_header("packet_in")
header packet_in_t { bit<9> ingress_port; bit<7> reason; }

@controller_header("packet_out")
header packet_out_t { bit<9> egress_port; bit<7> _pad; }

header ethernet_t { bit<48> dst; bit<48> src; bit<16> type; }

header ipv4_t {
    bit<4> version; bit<4> ihl; bit<8> dscp; bit<16> length; bit<16> id; bit<3> flags; bit<13> offset;
    bit<8> ttl; bit<8> protocol; bit<16> checksum; bit<32> src; bit<32> dst;
}

header udp_t { bit<16> src; bit<16> dst; bit<16> length; bit<16> checksum; }

struct headers_t { packet_in_t packet_in; packet_out_t packet_out; ethernet_t ethernet; ipv4_t ipv4; udp_t udp; }
struct metadata_t { bit<16> nexthop; bit<2> color; }

parser router_parser(packet_in packet, out headers_t hdr, inout metadata_t meta, inout standard_metadata_t std) {
    state start {
        transition select(std.ingress_port) {
            510: parse_packet_out;
            default: parse_ethernet;
        }
    }
    state parse_packet_out { packet.extract(hdr.packet_out); transition parse_ethernet; }
    state parse_ethernet {
        packet.extract(hdr.ethernet);
        transition select(hdr.ethernet.type) { 0x0800: parse_ipv4; default: accept; }
    }
    state parse_ipv4 {
        packet.extract(hdr.ipv4);
        verify(hdr.ipv4.ihl == 5, error.ParserInvalidArgument);
        transition select(hdr.ipv4.protocol) { 17: parse_udp; default: accept; }
    }
    state parse_udp { packet.extract(hdr.udp); transition accept; }
}

control router_verify(inout headers_t hdr, inout metadata_t meta) {
    apply {
        verify_checksum(hdr.ipv4.isValid(),
            { hdr.ipv4.version, hdr.ipv4.ihl, hdr.ipv4.dscp, hdr.ipv4.length, hdr.ipv4.id, hdr.ipv4.flags,
              hdr.ipv4.offset, hdr.ipv4.ttl, hdr.ipv4.protocol, hdr.ipv4.src, hdr.ipv4.dst },
            hdr.ipv4.checksum, HashAlgorithm.csum16);
    }
}

control router_ingress(inout headers_t hdr, inout metadata_t meta, inout standard_metadata_t std) {
    direct_counter(CounterType.packets_and_bytes) route_counter;
    counter(64, CounterType.packets_and_bytes) port_counter;
    direct_meter<bit<2>>(MeterType.packets) policy_meter;

    action drop() { mark_to_drop(std); }
    action punt(bit<7> reason) {
        std.egress_spec = 510;
        hdr.packet_in.setValid();
        hdr.packet_in.ingress_port = std.ingress_port;
        hdr.packet_in.reason = reason;
    }
    action set_nexthop(bit<16> nexthop) { meta.nexthop = nexthop; route_counter.count(); }
    action no_route() { mark_to_drop(std); route_counter.count(); }
    action forward(bit<9> port, bit<48> src, bit<48> dst) {
        std.egress_spec = port;
        hdr.ethernet.src = src;
        hdr.ethernet.dst = dst;
        hdr.ipv4.ttl = hdr.ipv4.ttl - 1;
    }
    action police() { policy_meter.read(meta.color); }

    table route {
        key = { hdr.ipv4.dst: lpm @name("dst"); }
        actions = { set_nexthop; no_route; }
        const default_action = no_route();
        counters = route_counter;
        size = 4096;
    }
    table nexthop {
        key = { meta.nexthop: exact @name("nexthop"); }
        actions = { forward; drop; @defaultonly NoAction; }
        default_action = drop();
        size = 8192;
    }
    table policy {
        key = {
            std.ingress_port: optional @name("port");
            hdr.ipv4.src: ternary @name("src");
            hdr.udp.dst: range @name("udp_dst");
        }
        actions = { drop; punt; police; NoAction; }
        default_action = NoAction();
        meters = policy_meter;
        size = 128;
    }

    apply {
        mark_to_drop(std);
        if (hdr.packet_out.isValid()) {
            std.egress_spec = hdr.packet_out.egress_port;
            hdr.packet_out.setInvalid();
        } else if (std.checksum_error == 0 && std.parser_error == error.NoError && hdr.ipv4.isValid()) {
            port_counter.count((bit<32>)std.ingress_port & 63);
            if (hdr.ipv4.ttl <= 1) {
                punt(1);
            } else if (route.apply().hit) {
                nexthop.apply();
                policy.apply();
                if (meta.color == 2) { drop(); }
            }
        }
    }
}

control router_egress(inout headers_t hdr, inout metadata_t meta, inout standard_metadata_t std) { apply { } }

control router_update(inout headers_t hdr, inout metadata_t meta) {
    apply {
        update_checksum(hdr.ipv4.isValid(),
            { hdr.ipv4.version, hdr.ipv4.ihl, hdr.ipv4.dscp, hdr.ipv4.length, hdr.ipv4.id, hdr.ipv4.flags,
              hdr.ipv4.offset, hdr.ipv4.ttl, hdr.ipv4.protocol, hdr.ipv4.src, hdr.ipv4.dst },
            hdr.ipv4.checksum, HashAlgorithm.csum16);
    }
}

control router_deparser(packet_out packet, in headers_t hdr) {
    apply { packet.emit(hdr.packet_in); packet.emit(hdr.ethernet); packet.emit(hdr.ipv4); packet.emit(hdr.udp); }
}

V1Switch(router_parser(), router_verify(), router_ingress(), router_egress(), router_update(), router_deparser()) main;
