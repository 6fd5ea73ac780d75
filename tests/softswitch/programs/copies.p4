// Clone with and without fields, multicast, resubmit, recirculate, digests.
#include <core.p4>
#define V1MODEL_VERSION 20180101
#include <v1model.p4>

header what_t { bit<8> op; bit<8> a; bit<16> b; }
struct headers_t { what_t w; }
struct metadata_t { @field_list(1) bit<16> kept; bit<16> lost; }
struct learnt_t { bit<8> a; bit<16> b; }

parser the_parser(packet_in packet, out headers_t hdr, inout metadata_t meta, inout standard_metadata_t std) {
    state start { packet.extract(hdr.w); transition accept; }
}

control the_verify(inout headers_t hdr, inout metadata_t meta) { apply { } }

control the_ingress(inout headers_t hdr, inout metadata_t meta, inout standard_metadata_t std) {
    apply {
        std.egress_spec = std.ingress_port ^ 1;
        meta.lost = meta.lost + 1;
        if (hdr.w.op == 1) { clone(CloneType.I2E, (bit<32>)hdr.w.a); }
        else if (hdr.w.op == 2) { meta.kept = hdr.w.b; clone_preserving_field_list(CloneType.I2E, (bit<32>)hdr.w.a, 1); hdr.w.b = 0; }
        else if (hdr.w.op == 3) { std.mcast_grp = (bit<16>)hdr.w.a; }
        else if (hdr.w.op == 4 && std.instance_type == 0) { meta.kept = hdr.w.b + 1; resubmit_preserving_field_list(1); }
        else if (hdr.w.op == 4) { hdr.w.b = meta.kept + meta.lost; }
        else if (hdr.w.op == 10 && std.instance_type == 0) { meta.kept = 5; resubmit_preserving_field_list(0); }
        else if (hdr.w.op == 10) { hdr.w.b = meta.kept + meta.lost; }
        else if (hdr.w.op == 12) { hdr.w.a = hdr.w.a + (bit<8>)std.instance_type; hdr.w.b = hdr.w.b + meta.kept; }
        else if (hdr.w.op == 5) { digest<learnt_t>(1, { hdr.w.a, hdr.w.b }); }
    }
}

control the_egress(inout headers_t hdr, inout metadata_t meta, inout standard_metadata_t std) {
    apply {
        if (std.instance_type == 1 || std.instance_type == 2) { hdr.w.b = meta.kept + meta.lost; }
        else if (hdr.w.op == 3) { hdr.w.b = std.egress_rid; }
        else if (hdr.w.op == 6) { meta.kept = hdr.w.b; hdr.w.op = 16; hdr.w.a = 7; recirculate_preserving_field_list(1); }
        else if (hdr.w.op == 7) { clone(CloneType.E2E, (bit<32>)hdr.w.a); hdr.w.b = 1; }
        else if (hdr.w.op == 9) { meta.kept = 0x1111; clone_preserving_field_list(CloneType.E2E, (bit<32>)hdr.w.a, 1); meta.kept = 0x2222; }
        else if (hdr.w.op == 11) { meta.kept = 0x100; hdr.w.op = 12; recirculate_preserving_field_list(1); }
        else if (hdr.w.op == 8) { mark_to_drop(std); }
    }
}

control the_update(inout headers_t hdr, inout metadata_t meta) { apply { } }

control the_deparser(packet_out packet, in headers_t hdr) { apply { packet.emit(hdr.w); } }

V1Switch(the_parser(), the_verify(), the_ingress(), the_egress(), the_update(), the_deparser()) main;
