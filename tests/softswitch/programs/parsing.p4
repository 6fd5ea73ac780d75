// Stacks, unions, lookahead, varbit, verify, value sets.
#include <core.p4>
#define V1MODEL_VERSION 20180101
#include <v1model.p4>

header kind_t { bit<8> op; bit<8> length; }
header label_t { bit<7> label; bit<1> last; bit<8> exp; }
header option_t { varbit<128> data; }
header one_t { bit<8> x; }
header two_t { bit<24> x; }
header_union either_t { one_t one; two_t two; }
struct headers_t { kind_t kind; label_t[3] labels; option_t option; either_t either; }
struct metadata_t { bit<16> seen; }

parser the_parser(packet_in packet, out headers_t hdr, inout metadata_t meta, inout standard_metadata_t std) {
    value_set<bit<8>>(4) chosen;
    state start {
        packet.extract(hdr.kind);
        transition select(hdr.kind.op, hdr.kind.length) {
            (1, _): labels; (2, 0 .. 16): options; (3, 0 &&& 1): one; (3, _): two; (4, _): peek; (5, _): check;
            default: special;
        }
    }
    state labels { packet.extract(hdr.labels.next); transition select(hdr.labels.last.last) { 0: labels; default: accept; } }
    state options { packet.extract(hdr.option, (bit<32>)hdr.kind.length << 3); transition accept; }
    state one { packet.extract(hdr.either.one); transition accept; }
    state two { packet.extract(hdr.either.two); transition accept; }
    state peek { meta.seen = packet.lookahead<bit<16>>(); transition select(packet.lookahead<bit<8>>()) { 0: one; default: accept; } }
    state check { verify(hdr.kind.length > 2, error.NoMatch); transition one; }
    state special { transition select(hdr.kind.op) { chosen: two; default: accept; } }
}

control the_verify(inout headers_t hdr, inout metadata_t meta) { apply { } }

control the_ingress(inout headers_t hdr, inout metadata_t meta, inout standard_metadata_t std) {
    apply {
        std.egress_spec = std.ingress_port ^ 1;
        if (std.parser_error != error.NoError) { hdr.kind.length = 0xee; }
        if (hdr.labels[1].isValid()) { hdr.labels.pop_front(1); hdr.labels[0].exp = hdr.labels[0].exp + 1; }
        if (hdr.either.one.isValid()) { hdr.either.two.setValid(); hdr.either.two.x = 0x010203; }
        if (hdr.kind.op == 4) { hdr.kind.length = meta.seen[7:0]; }
    }
}

control the_egress(inout headers_t hdr, inout metadata_t meta, inout standard_metadata_t std) {
    apply {

    }
}

control the_update(inout headers_t hdr, inout metadata_t meta) { apply { } }

control the_deparser(packet_out packet, in headers_t hdr) { apply { packet.emit(hdr.kind); packet.emit(hdr.labels); packet.emit(hdr.option); packet.emit(hdr.either); } }

V1Switch(the_parser(), the_verify(), the_ingress(), the_egress(), the_update(), the_deparser()) main;
