// Header stacks and unions: indices known only at run time, whole copies, comparisons, stacks of unions.
#include <core.p4>
#define V1MODEL_VERSION 20180101
#include <v1model.p4>

header command_t { bit<8> op; bit<8> at; bit<8> from; bit<8> result; }
header item_t { bit<1> end; bit<7> low; bit<8> high; }
header tag_t { bit<8> kind; }
header narrow_t { bit<8> x; }
header wide_t { bit<24> x; }
header_union either_t { narrow_t narrow; wide_t wide; }
struct headers_t { command_t command; item_t[4] items; item_t[4] others; tag_t tag; either_t[2] pair; either_t single; }
struct metadata_t { bit<8> index; bit<8> size; item_t last; }

parser the_parser(packet_in packet, out headers_t hdr, inout metadata_t meta, inout standard_metadata_t std) {
    state start {
        packet.extract(hdr.command);
        transition select(hdr.command.op) { 0x20 .. 0x2f: tags; 0x30 .. 0x3f: single; default: items; }
    }
    state items {
        packet.extract(hdr.items.next);
        meta.index = (bit<8>)hdr.items.lastIndex;
        transition select(hdr.items.last.end) { 0: items; default: copied; }
    }
    state copied { meta.last = hdr.items.last; transition accept; }
    state tags {
        packet.extract(hdr.tag);
        transition select(hdr.tag.kind) { 1: narrow; 2: wide; default: accept; }
    }
    state narrow { packet.extract(hdr.pair.next.narrow); transition tags; }
    state wide { packet.extract(hdr.pair.next.wide); transition tags; }
    state single { transition select(hdr.command.at) { 1: single_narrow; 2: single_wide; default: accept; } }
    state single_narrow { packet.extract(hdr.single.narrow); transition accept; }
    state single_wide { packet.extract(hdr.single.wide); transition accept; }
}

control the_verify(inout headers_t hdr, inout metadata_t meta) { apply { } }

control the_ingress(inout headers_t hdr, inout metadata_t meta, inout standard_metadata_t std) {
    apply {
        std.egress_spec = std.ingress_port ^ 1;
        bit<32> at = (bit<32>)hdr.command.at;
        bit<32> from = (bit<32>)hdr.command.from;
        if (hdr.command.op == 0x10) { hdr.command.result = hdr.items[from].high; }
        else if (hdr.command.op == 0x11) { hdr.items[at].high = hdr.command.result; }
        else if (hdr.command.op == 0x12) { hdr.items[at] = hdr.items[from]; }
        else if (hdr.command.op == 0x13) { hdr.items[at].setInvalid(); }
        else if (hdr.command.op == 0x14) { hdr.items.push_front(1); }
        else if (hdr.command.op == 0x15) { hdr.items.pop_front(2); }
        else if (hdr.command.op == 0x16) { hdr.others = hdr.items; hdr.items.pop_front(4); hdr.others[0].high = hdr.others[0].high + 1; }
        else if (hdr.command.op == 0x17) { if (hdr.items[0] == hdr.items[1]) { hdr.command.result = 1; } else { hdr.command.result = 2; } }
        else if (hdr.command.op == 0x18) { hdr.command.result = meta.index; hdr.command.at = meta.last.high; }
        else if (hdr.command.op == 0x19) { hdr.items.push_front(3); hdr.items[1].setValid(); hdr.items[1].high = 7; }
        else if (hdr.command.op == 0x1a) { if (hdr.items[at].isValid()) { hdr.command.result = 1; } }
        else if (hdr.command.op == 0x20) { hdr.command.result = hdr.pair[0].isValid() ? 8w1 : 0; hdr.command.at = hdr.pair[1].isValid() ? 8w1 : 0; }
        else if (hdr.command.op == 0x21) { hdr.pair[0].wide.setValid(); hdr.pair[0].wide.x = 0xaabbcc; }
        else if (hdr.command.op == 0x22) { hdr.pair[1] = hdr.pair[0]; }
        else if (hdr.command.op == 0x30) { hdr.single.wide.setValid(); hdr.single.wide.x = 0x010203; }
        else if (hdr.command.op == 0x31) { hdr.single.narrow.setInvalid(); }
        else if (hdr.command.op == 0x32) { hdr.command.result = hdr.single.isValid() ? 8w1 : 0; }
    }
}

control the_egress(inout headers_t hdr, inout metadata_t meta, inout standard_metadata_t std) { apply { } }

control the_update(inout headers_t hdr, inout metadata_t meta) { apply { } }

control the_deparser(packet_out packet, in headers_t hdr) {
    apply {
        packet.emit(hdr.command); packet.emit(hdr.items); packet.emit(hdr.others); packet.emit(hdr.pair);
        packet.emit(hdr.single);
    }
}

V1Switch(the_parser(), the_verify(), the_ingress(), the_egress(), the_update(), the_deparser()) main;
