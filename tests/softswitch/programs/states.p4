// Action profiles, selectors, registers, meters and counters by index.
#include <core.p4>
#define V1MODEL_VERSION 20180101
#include <v1model.p4>

header what_t { bit<8> op; bit<8> a; bit<16> b; bit<64> c; }
struct headers_t { what_t w; }
struct metadata_t { bit<2> color; }

parser the_parser(packet_in packet, out headers_t hdr, inout metadata_t meta, inout standard_metadata_t std) {
    state start { packet.extract(hdr.w); transition accept; }
}

control the_verify(inout headers_t hdr, inout metadata_t meta) { apply { } }

control the_ingress(inout headers_t hdr, inout metadata_t meta, inout standard_metadata_t std) {
    register<bit<64>>(16) wide;
    register<bit<7>>(8) narrow;
    counter(8, CounterType.packets_and_bytes) hits;
    meter(4, MeterType.packets) limits;
    action_profile(16) shared_actions;
    action_selector(HashAlgorithm.crc32, 32w16, 32w16) choosing;
    action set(bit<16> b) { hdr.w.b = b; }
    action send(bit<9> port) { std.egress_spec = port & 3; }
    table by_profile { key = { hdr.w.a: exact; } actions = { set; send; NoAction; } implementation = shared_actions; }
    table by_selector { key = { hdr.w.a: ternary; hdr.w.b: selector; hdr.w.c: selector; } actions = { set; send; NoAction; } implementation = choosing; }
    apply {
        std.egress_spec = std.ingress_port ^ 1;
        hits.count((bit<32>)hdr.w.op);
        if (hdr.w.op == 0) { by_profile.apply(); }
        else if (hdr.w.op == 1) { by_selector.apply(); }
        else if (hdr.w.op == 2) { bit<64> old; wide.read(old, (bit<32>)hdr.w.a); wide.write((bit<32>)hdr.w.a, old + hdr.w.c); hdr.w.c = old; }
        else if (hdr.w.op == 3) { bit<7> old; narrow.read(old, (bit<32>)hdr.w.a); narrow.write((bit<32>)hdr.w.a, old + hdr.w.b[6:0]); hdr.w.b = (bit<16>)old; }
        else if (hdr.w.op == 4) { limits.execute_meter((bit<32>)hdr.w.a, meta.color); hdr.w.b = (bit<16>)meta.color; }
        else if (hdr.w.op == 5) { mark_to_drop(std); }
    }
}

control the_egress(inout headers_t hdr, inout metadata_t meta, inout standard_metadata_t std) {
    apply {

    }
}

control the_update(inout headers_t hdr, inout metadata_t meta) { apply { } }

control the_deparser(packet_out packet, in headers_t hdr) { apply { packet.emit(hdr.w); } }

V1Switch(the_parser(), the_verify(), the_ingress(), the_egress(), the_update(), the_deparser()) main;
