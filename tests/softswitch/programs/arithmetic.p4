// Arithmetic of every width: signed, saturating, shifts, concatenation, slices, more than 64 bits.
#include <core.p4>
#define V1MODEL_VERSION 20180101
#include <v1model.p4>

header numbers_t {
    bit<8> op; bit<8> a; bit<8> b; bit<16> c; bit<16> d; bit<32> e; bit<48> f; bit<64> g; bit<64> h;
    bit<128> i; bit<128> j; bit<3> k; bit<5> l; int<16> m; int<16> n; bit<1> o; bit<7> p;
}
struct headers_t { numbers_t n; }
struct metadata_t { }

parser the_parser(packet_in packet, out headers_t hdr, inout metadata_t meta, inout standard_metadata_t std) {
    state start { packet.extract(hdr.n); transition accept; }
}

control the_verify(inout headers_t hdr, inout metadata_t meta) { apply { } }

control the_ingress(inout headers_t hdr, inout metadata_t meta, inout standard_metadata_t std) {
    apply {
        std.egress_spec = std.ingress_port ^ 1;
        if (!hdr.n.isValid()) { mark_to_drop(std); return; }
        if (hdr.n.op == 0) { hdr.n.a = hdr.n.a + hdr.n.b; hdr.n.g = hdr.n.g - hdr.n.h; hdr.n.i = hdr.n.i + hdr.n.j; }
        else if (hdr.n.op == 1) { hdr.n.c = hdr.n.c |+| hdr.n.d; hdr.n.g = hdr.n.g |-| hdr.n.h; hdr.n.a = hdr.n.a |-| hdr.n.b; }
        else if (hdr.n.op == 2) { hdr.n.m = hdr.n.m |+| hdr.n.n; }
        else if (hdr.n.op == 3) { hdr.n.m = hdr.n.m |-| hdr.n.n; }
        else if (hdr.n.op == 4) { hdr.n.m = hdr.n.m >> hdr.n.b; hdr.n.g = hdr.n.g >> hdr.n.b; hdr.n.i = hdr.n.i << hdr.n.b; }
        else if (hdr.n.op == 5) { hdr.n.e = hdr.n.c ++ hdr.n.d; hdr.n.i = hdr.n.g ++ hdr.n.h; }
        else if (hdr.n.op == 6) { hdr.n.f[40:9] = hdr.n.e; hdr.n.i[100:37] = hdr.n.g; hdr.n.a = hdr.n.j[70:63]; }
        else if (hdr.n.op == 7) { hdr.n.g = hdr.n.g * hdr.n.h; hdr.n.k = hdr.n.k * 3; hdr.n.c = hdr.n.c * hdr.n.d; }
        else if (hdr.n.op == 8) { if (hdr.n.m < hdr.n.n) { hdr.n.a = 1; } if (hdr.n.i < hdr.n.j) { hdr.n.b = 1; } }
        else if (hdr.n.op == 9) { hdr.n.i = (hdr.n.i & hdr.n.j) ^ ~hdr.n.i; hdr.n.l = ~hdr.n.l; hdr.n.m = -hdr.n.m; }
        else if (hdr.n.op == 10) { hdr.n.m = hdr.n.m * hdr.n.n; hdr.n.e = (bit<32>)(int<32>)hdr.n.m; }
        else if (hdr.n.op == 11) { hdr.n.e = hdr.n.e << hdr.n.a; hdr.n.i = hdr.n.i >> hdr.n.a; hdr.n.k = hdr.n.k |+| (bit<3>)hdr.n.l; }
        else if (hdr.n.op == 12) { log_msg("a is {}", { hdr.n.a }); assert(hdr.n.a != 0); assume(hdr.n.b != 1); }
        else if (hdr.n.op == 13) { exit; }
        hdr.n.p = hdr.n.p + (bit<7>)hdr.n.o;
    }
}

control the_egress(inout headers_t hdr, inout metadata_t meta, inout standard_metadata_t std) {
    apply {

    }
}

control the_update(inout headers_t hdr, inout metadata_t meta) { apply { } }

control the_deparser(packet_out packet, in headers_t hdr) { apply { packet.emit(hdr.n); } }

V1Switch(the_parser(), the_verify(), the_ingress(), the_egress(), the_update(), the_deparser()) main;
