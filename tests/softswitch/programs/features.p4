// What a plain forwarding program does not use: each command octet asks for one feature.
#include <core.p4>
#define V1MODEL_VERSION 20180101
#include <v1model.p4>

header command_t { bit<8> code; bit<8> value; bit<16> word; }
header label_t { bit<7> label; bit<1> last; bit<8> exp; }
header options_t { varbit<320> data; }
header short_t { bit<8> a; }
header long_t { bit<16> a; bit<16> b; }
header_union choice_t { short_t short_one; long_t long_one; }

struct headers_t { command_t command; label_t[4] labels; choice_t choice; options_t options; }
struct metadata_t {
    @field_list(1) bit<16> kept;
    bit<16> lost;
    bit<32> index;
    int<8> signed_value;
}

struct learnt_t { bit<8> value; bit<9> port; }

parser feature_parser(packet_in packet, out headers_t hdr, inout metadata_t meta, inout standard_metadata_t std) {
    value_set<bit<8>>(4) special;
    state start {
        packet.extract(hdr.command);
        transition select(hdr.command.code) {
            1: parse_labels;
            2: parse_short;
            3: parse_long;
            4: parse_options;
            5: parse_peek;
            6: parse_verify;
            special: parse_special;
            default: accept;
        }
    }
    state parse_labels {
        packet.extract(hdr.labels.next);
        transition select(hdr.labels.last.last) { 0: parse_labels; default: accept; }
    }
    state parse_short { packet.extract(hdr.choice.short_one); transition accept; }
    state parse_long { packet.extract(hdr.choice.long_one); transition accept; }
    state parse_options { packet.extract(hdr.options, (bit<32>)hdr.command.value * 8); transition accept; }
    state parse_peek {
        meta.kept = packet.lookahead<bit<16>>();
        packet.advance((bit<32>)hdr.command.value * 8);
        transition accept;
    }
    state parse_verify { verify(hdr.command.value != 0, error.HeaderTooShort); transition accept; }
    state parse_special { meta.kept = 0xabcd; transition accept; }
}

control feature_verify(inout headers_t hdr, inout metadata_t meta) { apply { } }

control feature_ingress(inout headers_t hdr, inout metadata_t meta, inout standard_metadata_t std) {
    register<bit<16>>(8) cells;
    meter(4, MeterType.bytes) limits;
    action_selector(HashAlgorithm.crc16, 32w16, 32w8) ecmp;

    action send(bit<9> port) { std.egress_spec = port; }
    action drop() { mark_to_drop(std); }
    table spread {
        key = { hdr.command.code: exact @name("code"); hdr.command.word: selector @name("word"); }
        actions = { send; drop; NoAction; }
        implementation = ecmp;
        size = 16;
    }
    action mark(bit<16> word) { hdr.command.word = word; }
    table aging {
        key = { hdr.command.value: exact @name("value"); }
        actions = { mark; NoAction; }
        support_timeout = true;
        default_action = NoAction();
        size = 16;
    }
    table fixed {
        key = { hdr.command.value: ternary @name("value"); }
        actions = { mark; NoAction; }
        default_action = NoAction();
        const entries = { 0x10 &&& 0xf0: mark(1); 0x18 &&& 0xf8: mark(2); 0x20: mark(3); }
    }

    apply {
        std.egress_spec = std.ingress_port ^ 1;
        meta.lost = 7;
        if (hdr.command.code == 1) {
            hdr.labels.pop_front(1);
            hdr.labels.push_front(2);
            hdr.labels[0].setValid();
            hdr.labels[0].label = 5;
            hdr.labels[0].exp = (bit<8>)hdr.command.value;
        } else if (hdr.command.code == 2) {
            hdr.choice.long_one.setValid();
            hdr.choice.long_one.a = 0x1234;
            hdr.choice.long_one.b = (bit<16>)(bit<1>)(hdr.choice.short_one.isValid() ? 1w1 : 1w0);
        } else if (hdr.command.code == 5 || meta.kept == 0xabcd) {
            hdr.command.word = meta.kept;
        } else if (hdr.command.code == 6) {
            hdr.command.word = std.parser_error == error.HeaderTooShort ? 16w0xeeee : 16w0;
        } else if (hdr.command.code == 7) {
            bit<16> old;
            cells.read(old, (bit<32>)hdr.command.value);
            cells.write((bit<32>)hdr.command.value, old + hdr.command.word);
            hdr.command.word = old;
        } else if (hdr.command.code == 8) {
            bit<2> color;
            limits.execute_meter((bit<32>)hdr.command.value, color);
            hdr.command.word = (bit<16>)color;
        } else if (hdr.command.code == 9) {
            hash(meta.index, HashAlgorithm.crc32, 32w0, { hdr.command.value, hdr.command.word }, 32w65536);
            hdr.command.word = (bit<16>)meta.index;
        } else if (hdr.command.code == 10) {
            digest<learnt_t>(1, { hdr.command.value, std.ingress_port });
        } else if (hdr.command.code == 11) {
            meta.kept = hdr.command.word;
            clone_preserving_field_list(CloneType.I2E, (bit<32>)hdr.command.value, 1);
        } else if (hdr.command.code == 12) {
            std.mcast_grp = (bit<16>)hdr.command.value;
        } else if (hdr.command.code == 13 && std.instance_type == 0) {
            meta.kept = hdr.command.word;
            resubmit_preserving_field_list(1);
        } else if (hdr.command.code == 13) {
            hdr.command.word = meta.kept + 1 - meta.lost;
        } else if (hdr.command.code == 14 && std.instance_type != 0) {
            hdr.command.code = 0;
            hdr.command.word = meta.kept;
        } else if (hdr.command.code == 15) {
            spread.apply();
        } else if (hdr.command.code == 16) {
            aging.apply();
        } else if (hdr.command.code == 17) {
            fixed.apply();
        } else if (hdr.command.code == 18) {
            meta.signed_value = (int<8>)hdr.command.value;
            meta.signed_value = meta.signed_value >> 1;
            hdr.command.value = (bit<8>)meta.signed_value;
            hdr.command.word = hdr.command.word |+| 0xff00;
        } else if (hdr.command.code == 19) {
            exit;
        } else if (hdr.command.code == 20) {
            assert(hdr.command.value != 0);
        } else if (hdr.command.code == 21) {
            hdr.command.word = hdr.command.word << hdr.command.value;
        } else if (hdr.command.code == 22) {
            truncate((bit<32>)hdr.command.value);
        }
        if (hdr.command.code == 19) { hdr.command.word = 0xffff; }
    }
}

control feature_egress(inout headers_t hdr, inout metadata_t meta, inout standard_metadata_t std) {
    apply {
        if (hdr.command.code == 11 && std.instance_type == 1) {
            hdr.command.word = meta.kept + meta.lost;
            hdr.command.value = 0xc1;
        } else if (hdr.command.code == 12) {
            hdr.command.word = std.egress_rid;
        } else if (hdr.command.code == 14) {
            meta.kept = hdr.command.word + 1;
            recirculate_preserving_field_list(1);
        } else if (hdr.command.code == 23) {
            hdr.command.word = (bit<16>)std.packet_length;
        } else if (hdr.command.code == 24 && std.instance_type == 0) {
            hdr.command.word = 0x2222;
            clone_preserving_field_list(CloneType.E2E, (bit<32>)hdr.command.value, 1);
        }
    }
}

control feature_update(inout headers_t hdr, inout metadata_t meta) {
    apply {
        update_checksum_with_payload(hdr.command.code == 25, { hdr.command.code, hdr.command.value },
            hdr.command.word, HashAlgorithm.csum16);
    }
}

control feature_deparser(packet_out packet, in headers_t hdr) {
    apply { packet.emit(hdr.command); packet.emit(hdr.labels); packet.emit(hdr.choice); packet.emit(hdr.options); }
}

V1Switch(feature_parser(), feature_verify(), feature_ingress(), feature_egress(), feature_update(),
    feature_deparser()) main;
