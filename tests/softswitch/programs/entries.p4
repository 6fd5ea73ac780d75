// Entries that stand in the program: their order, priorities that are given, each kind of key; what a controller adds.
#include <core.p4>
#define V1MODEL_VERSION 20180101
#include <v1model.p4>

header what_t { bit<8> op; bit<8> a; bit<16> b; bit<32> c; }
struct headers_t { what_t w; }
struct metadata_t { }

parser the_parser(packet_in packet, out headers_t hdr, inout metadata_t meta, inout standard_metadata_t std) {
    state start { packet.extract(hdr.w); transition accept; }
}

control the_verify(inout headers_t hdr, inout metadata_t meta) { apply { } }

control the_ingress(inout headers_t hdr, inout metadata_t meta, inout standard_metadata_t std) {
    action found(bit<16> b) { hdr.w.b = b; }
    table ordered {
        key = { hdr.w.a: ternary; }
        actions = { found; }
        const default_action = found(0xffff);
        const entries = { 0x10 &&& 0xf0: found(1); 0x18 &&& 0xf8: found(2); 0x20: found(3); _: found(4); }
    }
    table largest {
        key = { hdr.w.a: ternary; }
        actions = { found; @defaultonly NoAction; }
        default_action = NoAction();
        largest_priority_wins = true;
        entries = { priority = 10: 0x10 &&& 0xf0: found(1); priority = 20: 0x18 &&& 0xf8: found(2); priority = 5: _: found(3); }
    }
    table smallest {
        key = { hdr.w.a: ternary; }
        actions = { found; @defaultonly NoAction; }
        default_action = NoAction();
        largest_priority_wins = false;
        entries = { priority = 10: 0x10 &&& 0xf0: found(1); priority = 20: 0x18 &&& 0xf8: found(2); priority = 5: 0x1f: found(3); }
    }
    table prefixes {
        key = { hdr.w.c: lpm; }
        actions = { found; @defaultonly NoAction; }
        default_action = NoAction();
        const entries = { 0x0a000000 &&& 0xff000000: found(1); 0x0a010000 &&& 0xffff0000: found(2); 0x0a010203: found(3); _: found(4); }
    }
    table ranges {
        key = { hdr.w.a: range; hdr.w.c: lpm; }
        actions = { found; @defaultonly NoAction; }
        default_action = NoAction();
        const entries = { (1 .. 5, _): found(1); (3 .. 9, 0x0a000000 &&& 0xff000000): found(2); (200 .. 255, 1): found(3); }
    }
    table maybe {
        key = { hdr.w.a: optional; hdr.w.c: exact; }
        actions = { found; @defaultonly NoAction; }
        default_action = NoAction();
        const entries = { (7, 1): found(1); (_, 1): found(2); (_, 2): found(3); }
    }
    table mixed {
        key = { hdr.w.c: lpm; hdr.w.a: ternary; }
        actions = { found; @defaultonly NoAction; }
        default_action = NoAction();
    }
    table keyless { actions = { found; } default_action = found(0x7777); }
    apply {
        std.egress_spec = std.ingress_port ^ 1;
        if (hdr.w.op == 0) { ordered.apply(); }
        else if (hdr.w.op == 1) { largest.apply(); }
        else if (hdr.w.op == 2) { smallest.apply(); }
        else if (hdr.w.op == 3) { prefixes.apply(); }
        else if (hdr.w.op == 4) { ranges.apply(); }
        else if (hdr.w.op == 5) { maybe.apply(); }
        else if (hdr.w.op == 6) { mixed.apply(); }
        else if (hdr.w.op == 7) { keyless.apply(); }
    }
}

control the_egress(inout headers_t hdr, inout metadata_t meta, inout standard_metadata_t std) { apply { } }

control the_update(inout headers_t hdr, inout metadata_t meta) { apply { } }

control the_deparser(packet_out packet, in headers_t hdr) { apply { packet.emit(hdr.w); } }

V1Switch(the_parser(), the_verify(), the_ingress(), the_egress(), the_update(), the_deparser()) main;
