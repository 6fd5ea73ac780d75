// Where control flow ends: exit and return in actions, in applies and in egress; switch, hit and miss; log, assert, assume.
#include <core.p4>
#define V1MODEL_VERSION 20180101
#include <v1model.p4>

header what_t { bit<8> op; bit<8> key; bit<8> seen; bit<8> left; }
struct headers_t { what_t w; }
struct metadata_t { }

parser the_parser(packet_in packet, out headers_t hdr, inout metadata_t meta, inout standard_metadata_t std) {
    state start { packet.extract(hdr.w); transition select(hdr.w.op) { 0xf0 .. 0xff: strict; default: accept; } }
    // No default: what fits neither leaves the parser with error.NoMatch.
    state strict { transition select(hdr.w.key, hdr.w.seen) { (1, 0x10 &&& 0xf0): accept; (2 .. 4, _): shorter; } }
    state shorter { packet.advance(800); transition accept; }
}

control the_verify(inout headers_t hdr, inout metadata_t meta) { apply { } }

control inner(inout what_t w) {
    apply {
        w.seen = w.seen + 1;
        if (w.key == 1) { return; }
        if (w.key == 2) { exit; }
        w.seen = w.seen + 16;
    }
}

control the_ingress(inout headers_t hdr, inout metadata_t meta, inout standard_metadata_t std) {
    inner() called;
    action leave() { hdr.w.seen = 0x11; exit; }
    action give_up() { hdr.w.seen = 0x22; if (hdr.w.left == 5) { return; } hdr.w.seen = 0x33; }
    action miss() { hdr.w.seen = 0x44; }
    table choose {
        key = { hdr.w.key: exact; }
        actions = { leave; give_up; miss; }
        const default_action = miss();
        const entries = { 1: leave(); 2: give_up(); }
    }
    table switched {
        key = { hdr.w.key: exact; }
        actions = { leave; give_up; miss; }
        const default_action = miss();
        const entries = { 1: leave(); 2: give_up(); }
    }
    table other {
        key = { hdr.w.key: exact; }
        actions = { miss; NoAction; }
        default_action = NoAction();
        const entries = { 7: miss(); }
    }
    apply {
        std.egress_spec = std.ingress_port ^ 1;
        if (hdr.w.op == 0) { choose.apply(); hdr.w.left = hdr.w.left + 1; }
        else if (hdr.w.op == 1) { called.apply(hdr.w); hdr.w.left = hdr.w.left + 1; }
        else if (hdr.w.op == 2) { if (hdr.w.key > 9) { return; } hdr.w.seen = 0x55; }
        else if (hdr.w.op == 3) { if (other.apply().hit) { hdr.w.left = 1; } else { hdr.w.left = 2; } }
        else if (hdr.w.op == 4) {
            switch (switched.apply().action_run) { leave: { hdr.w.left = 1; } give_up: { hdr.w.left = 2; } default: { hdr.w.left = 3; } }
        }
        else if (hdr.w.op == 5) { switch (hdr.w.key) { 1: 2: { hdr.w.left = 1; } 3: { hdr.w.left = 2; } default: { hdr.w.left = 3; } } }
        else if (hdr.w.op == 6) { assert(hdr.w.key != 1); assume(hdr.w.key != 2); log_msg("key {} of {}", { hdr.w.key, hdr.w.op }); log_msg("plain"); }
        else if (hdr.w.op == 7) { bit<16> drawn; random(drawn, 16w3, 16w6); hdr.w.left = drawn[7:0]; }
        else if (hdr.w.op >= 0xf0) {
            if (std.parser_error == error.NoMatch) { hdr.w.left = 0xaa; }
            else if (std.parser_error == error.PacketTooShort) { hdr.w.left = 0xbb; }
        }
        if (hdr.w.op == 0xe0) { exit; }
        hdr.w.op = hdr.w.op | 0x80;
    }
}

control the_egress(inout headers_t hdr, inout metadata_t meta, inout standard_metadata_t std) {
    action last() { hdr.w.left = 0x77; exit; }
    apply {
        if (hdr.w.key == 0x0e) { last(); }
        if (hdr.w.key == 0x0f) { return; }
        hdr.w.key = hdr.w.key | 0x80;
    }
}

control the_update(inout headers_t hdr, inout metadata_t meta) { apply { } }

control the_deparser(packet_out packet, in headers_t hdr) { apply { packet.emit(hdr.w); } }

V1Switch(the_parser(), the_verify(), the_ingress(), the_egress(), the_update(), the_deparser()) main;
