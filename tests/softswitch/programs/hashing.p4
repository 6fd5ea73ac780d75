// Every hash and checksum, with payload too.
#include <core.p4>
#define V1MODEL_VERSION 20180101
#include <v1model.p4>

header data_t { bit<8> op; bit<8> a; bit<16> b; bit<32> c; bit<16> sum; bit<32> made; }
struct headers_t { data_t d; }
struct metadata_t { }

parser the_parser(packet_in packet, out headers_t hdr, inout metadata_t meta, inout standard_metadata_t std) {
    state start { packet.extract(hdr.d); transition accept; }
}

control the_verify(inout headers_t hdr, inout metadata_t meta) { apply { 
    verify_checksum(hdr.d.op == 7, { hdr.d.op, hdr.d.a, hdr.d.b, hdr.d.c }, hdr.d.sum, HashAlgorithm.csum16);
    verify_checksum_with_payload(hdr.d.op == 9, { hdr.d.op, hdr.d.a, hdr.d.b, hdr.d.c }, hdr.d.sum, HashAlgorithm.csum16);
    verify_checksum(hdr.d.op == 16, { hdr.d.a, hdr.d.b, hdr.d.c }, hdr.d.sum, HashAlgorithm.crc16);
} }

control the_ingress(inout headers_t hdr, inout metadata_t meta, inout standard_metadata_t std) {
    apply {
        std.egress_spec = std.ingress_port ^ 1;
        if (hdr.d.op == 0) { hash(hdr.d.made, HashAlgorithm.crc32, 32w0, { hdr.d.a, hdr.d.b, hdr.d.c }, 32w1000); }
        else if (hdr.d.op == 1) { hash(hdr.d.made, HashAlgorithm.crc16, 32w5, { hdr.d.a, hdr.d.b, hdr.d.c }, 32w1000); }
        else if (hdr.d.op == 2) { hash(hdr.d.made, HashAlgorithm.csum16, 32w0, { hdr.d.b, hdr.d.c }, 32w65536); }
        else if (hdr.d.op == 3) { hash(hdr.d.made, HashAlgorithm.xor16, 32w0, { hdr.d.b, hdr.d.c }, 32w65536); }
        else if (hdr.d.op == 4) { hash(hdr.d.made, HashAlgorithm.identity, 32w0, { hdr.d.a, hdr.d.b }, 32w65536); }
        else if (hdr.d.op == 5) { hash(hdr.d.made, HashAlgorithm.crc32_custom, 32w0, { hdr.d.c }, 32w77); }
        else if (hdr.d.op == 6) { hash(hdr.d.made, HashAlgorithm.crc16_custom, 32w0, { hdr.d.c }, 32w77); }
        else if (hdr.d.op == 14) { hash(hdr.d.made, HashAlgorithm.crc16, 32w9, { hdr.d.a }, 32w0); }
        else if (hdr.d.op == 15) { hash(hdr.d.made, HashAlgorithm.crc32, 32w0, { hdr.d.b, 16w0xffff, hdr.d.a[3:0], 4w5 }, 64w0x100000000); }
        if (std.checksum_error == 1) { hdr.d.a = 0xee; }
    }
}

control the_egress(inout headers_t hdr, inout metadata_t meta, inout standard_metadata_t std) {
    apply {

    }
}

control the_update(inout headers_t hdr, inout metadata_t meta) { apply { update_checksum(hdr.d.op == 7 || hdr.d.op == 2, { hdr.d.op, hdr.d.a, hdr.d.b, hdr.d.c }, hdr.d.sum, HashAlgorithm.csum16);
    update_checksum_with_payload(hdr.d.op == 8, { hdr.d.a, hdr.d.op, hdr.d.b }, hdr.d.sum, HashAlgorithm.csum16);
    update_checksum(hdr.d.op == 10, { hdr.d.a, hdr.d.b, hdr.d.c }, hdr.d.sum, HashAlgorithm.crc16);
    update_checksum(hdr.d.op == 11, { hdr.d.b, hdr.d.c }, hdr.d.sum, HashAlgorithm.xor16);
    update_checksum(hdr.d.op == 12, { hdr.d.a, hdr.d.b, hdr.d.c }, hdr.d.made, HashAlgorithm.crc32);
    update_checksum_with_payload(hdr.d.op == 13, { hdr.d.a, hdr.d.b, hdr.d.c }, hdr.d.made, HashAlgorithm.crc32);
    update_checksum_with_payload(hdr.d.op == 17, { hdr.d.a, hdr.d.b, hdr.d.c }, hdr.d.sum, HashAlgorithm.crc16);
    update_checksum_with_payload(hdr.d.op == 18, { hdr.d.b }, hdr.d.sum, HashAlgorithm.xor16);
    update_checksum(hdr.d.op == 19, { hdr.d.b }, hdr.d.sum, HashAlgorithm.identity);
} }

control the_deparser(packet_out packet, in headers_t hdr) { apply { packet.emit(hdr.d); } }

V1Switch(the_parser(), the_verify(), the_ingress(), the_egress(), the_update(), the_deparser()) main;
