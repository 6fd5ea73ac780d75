// Exact, LPM, ternary, range and optional keys with priorities; direct counters and meters; idle timeouts.
#include <core.p4>
#define V1MODEL_VERSION 20180101
#include <v1model.p4>

header keys_t { bit<8> op; bit<8> a; bit<16> b; bit<32> c; bit<128> d; }
struct headers_t { keys_t k; }
struct metadata_t { bit<2> color; }

parser the_parser(packet_in packet, out headers_t hdr, inout metadata_t meta, inout standard_metadata_t std) {
    state start { packet.extract(hdr.k); transition accept; }
}

control the_verify(inout headers_t hdr, inout metadata_t meta) { apply { } }

control the_ingress(inout headers_t hdr, inout metadata_t meta, inout standard_metadata_t std) {
    direct_counter(CounterType.packets_and_bytes) exact_hits;
    direct_counter(CounterType.packets) mixed_hits;
    direct_meter<bit<2>>(MeterType.packets) limit;
    counter(16, CounterType.packets_and_bytes) totals;
    action set(bit<16> b, bit<9> port) { hdr.k.b = b; std.egress_spec = port & 3; }
    action count(bit<8> index) { totals.count((bit<32>)index); }
    action drop() { mark_to_drop(std); }
    action set_counted(bit<32> c) { exact_hits.count(); hdr.k.c = c; }
    action police(bit<8> a) { limit.read(meta.color); hdr.k.a = a; }
    table exactly { key = { hdr.k.a: exact; hdr.k.b: exact; } actions = { set_counted; NoAction; } counters = exact_hits; default_action = NoAction(); }
    table longest { key = { hdr.k.a: exact; hdr.k.d: lpm; } actions = { set; count; drop; NoAction; } default_action = NoAction(); }
    table mixed {
        key = { hdr.k.c: ternary; hdr.k.b: range; hdr.k.a: optional; std.ingress_port: ternary; }
        actions = { set; count; drop; NoAction; }
        counters = mixed_hits; default_action = NoAction();
    }
    table policed { key = { hdr.k.d: ternary; hdr.k.a: optional; } actions = { police; NoAction; } meters = limit; default_action = NoAction(); }
    table aging { key = { hdr.k.c: lpm; } actions = { set; NoAction; } support_timeout = true; default_action = NoAction(); }
    apply {
        std.egress_spec = std.ingress_port ^ 1;
        if (!hdr.k.isValid()) { return; }
        if (hdr.k.op[0:0] == 1) { exactly.apply(); }
        if (hdr.k.op[1:1] == 1) { if (longest.apply().miss) { hdr.k.c = 0; } }
        if (hdr.k.op[2:2] == 1) {
            switch (mixed.apply().action_run) { count: { hdr.k.op = 9; } drop: { hdr.k.op = 8; } default: { } }
        }
        if (hdr.k.op[3:3] == 1) { policed.apply(); hdr.k.b = (bit<16>)meta.color; }
        if (hdr.k.op[4:4] == 1) { aging.apply(); }
    }
}

control the_egress(inout headers_t hdr, inout metadata_t meta, inout standard_metadata_t std) {
    apply {

    }
}

control the_update(inout headers_t hdr, inout metadata_t meta) { apply { } }

control the_deparser(packet_out packet, in headers_t hdr) { apply { packet.emit(hdr.k); } }

V1Switch(the_parser(), the_verify(), the_ingress(), the_egress(), the_update(), the_deparser()) main;
