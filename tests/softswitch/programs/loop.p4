// A program that recirculates every packet for ever.
#include <core.p4>
#define V1MODEL_VERSION 20180101
#include <v1model.p4>

header one_t { bit<8> octet; }
struct headers_t { one_t one; }
struct metadata_t { }

parser loop_parser(packet_in packet, out headers_t hdr, inout metadata_t meta, inout standard_metadata_t std) {
    state start { packet.extract(hdr.one); transition accept; }
}
control loop_verify(inout headers_t hdr, inout metadata_t meta) { apply { } }
control loop_ingress(inout headers_t hdr, inout metadata_t meta, inout standard_metadata_t std) {
    apply { std.egress_spec = 2; }
}
control loop_egress(inout headers_t hdr, inout metadata_t meta, inout standard_metadata_t std) {
    apply { recirculate_preserving_field_list(1); }
}
control loop_update(inout headers_t hdr, inout metadata_t meta) { apply { } }
control loop_deparser(packet_out packet, in headers_t hdr) { apply { packet.emit(hdr.one); } }
V1Switch(loop_parser(), loop_verify(), loop_ingress(), loop_egress(), loop_update(), loop_deparser()) main;
