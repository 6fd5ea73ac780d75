// The same operations over numbers of many widths, unsigned and signed: one header for each, chosen by the first octet.
#include <core.p4>
#define V1MODEL_VERSION 20180101
#include <v1model.p4>

// Sixteen fields of a width are whole octets: two that are given, and a result for each operation.
#define HEADER(name, number) header name { \
    number a; number b; number sum; number difference; number product; number conjunction; number disjunction; \
    number exclusive; number complement; number left; number right; number saturated_sum; number saturated_difference; \
    number negative; number less; number equal; }

HEADER(u1_t, bit<1>) HEADER(u7_t, bit<7>) HEADER(u13_t, bit<13>) HEADER(u32_t, bit<32>) HEADER(u33_t, bit<33>)
HEADER(u64_t, bit<64>) HEADER(u65_t, bit<65>) HEADER(u128_t, bit<128>) HEADER(u200_t, bit<200>) HEADER(s2_t, int<2>)
HEADER(s8_t, int<8>) HEADER(s33_t, int<33>) HEADER(s64_t, int<64>) HEADER(s128_t, int<128>)

header what_t { bit<8> which; bit<8> shift; }
struct headers_t {
    what_t w;
    u1_t u1; u7_t u7; u13_t u13; u32_t u32; u33_t u33; u64_t u64; u65_t u65; u128_t u128; u200_t u200; s2_t s2;
    s8_t s8; s33_t s33; s64_t s64; s128_t s128;
}
struct metadata_t { }

#define STATE(name) state parse_##name { packet.extract(hdr.name); transition accept; }

parser the_parser(packet_in packet, out headers_t hdr, inout metadata_t meta, inout standard_metadata_t std) {
    state start {
        packet.extract(hdr.w);
        transition select(hdr.w.which) {
            0: parse_u1; 1: parse_u7; 2: parse_u13; 3: parse_u32; 4: parse_u33; 5: parse_u64; 6: parse_u65;
            7: parse_u128; 8: parse_u200; 9: parse_s2; 10: parse_s8; 11: parse_s33; 12: parse_s64; 13: parse_s128;
            default: accept;
        }
    }
    STATE(u1) STATE(u7) STATE(u13) STATE(u32) STATE(u33) STATE(u64) STATE(u65) STATE(u128) STATE(u200) STATE(s2)
    STATE(s8) STATE(s33) STATE(s64) STATE(s128)
}

control the_verify(inout headers_t hdr, inout metadata_t meta) { apply { } }

#define OPERATIONS(n) { \
    n.sum = n.a + n.b; n.difference = n.a - n.b; n.product = n.a * n.b; n.conjunction = n.a & n.b; \
    n.disjunction = n.a | n.b; n.exclusive = n.a ^ n.b; n.complement = ~n.a; n.left = n.a << hdr.w.shift; \
    n.right = n.a >> hdr.w.shift; n.saturated_sum = n.a |+| n.b; n.saturated_difference = n.a |-| n.b; \
    n.negative = -n.a; n.less = n.a < n.b ? n.a : n.b; n.equal = n.a == n.b ? n.a : n.less; }
#define CHOICE(name) if (hdr.name.isValid()) OPERATIONS(hdr.name)

control the_ingress(inout headers_t hdr, inout metadata_t meta, inout standard_metadata_t std) {
    apply {
        std.egress_spec = std.ingress_port ^ 1;
        CHOICE(u1) CHOICE(u7) CHOICE(u13) CHOICE(u32) CHOICE(u33) CHOICE(u64) CHOICE(u65) CHOICE(u128) CHOICE(u200)
        CHOICE(s2) CHOICE(s8) CHOICE(s33) CHOICE(s64) CHOICE(s128)
    }
}

control the_egress(inout headers_t hdr, inout metadata_t meta, inout standard_metadata_t std) { apply { } }

control the_update(inout headers_t hdr, inout metadata_t meta) { apply { } }

control the_deparser(packet_out packet, in headers_t hdr) {
    apply {
        packet.emit(hdr.w);
        packet.emit(hdr.u1); packet.emit(hdr.u7); packet.emit(hdr.u13); packet.emit(hdr.u32); packet.emit(hdr.u33);
        packet.emit(hdr.u64); packet.emit(hdr.u65); packet.emit(hdr.u128); packet.emit(hdr.u200);
        packet.emit(hdr.s2); packet.emit(hdr.s8); packet.emit(hdr.s33); packet.emit(hdr.s64); packet.emit(hdr.s128);
    }
}

V1Switch(the_parser(), the_verify(), the_ingress(), the_egress(), the_update(), the_deparser()) main;
