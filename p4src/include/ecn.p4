/* Congestion marks at the end of a tunnel (RFC 6040 §4.2, figure 4), and DSCP by RFC 2983. */

#ifndef ECN_P4
#define ECN_P4

#include "port.p4"

control EcnDecapsulation(inout headers_t hdr, inout metadata_t meta) {
    @id(0x13000003)
    direct_counter(CounterType.packets) ecn_counter;

    @id(0x01000030)
    action keep_ecn() {
    }

    @id(0x01000031)
    action set_ecn(@id(1) bit<2> ecn) {
        hdr.ipv4.traffic_class[1:0] = ecn;
        hdr.ipv6.traffic_class[1:0] = ecn;
    }

    /* All 16 rows, so that each has its counter: some are worth an alarm. (Equal marks come here if the DSCP differs.) */
    @id(0x02000006)
    table ecn_decap {
        key = {
            TRAFFIC_CLASS[1:0]: exact @id(1) @name("inner");
            meta.outer_traffic_class[1:0]: exact @id(2) @name("outer");
        }
        actions = {
            keep_ecn;
            set_ecn;
            stop(meta);
        }
        const default_action = keep_ecn();
        const entries = {
            (ECN_NOT_ECT, ECN_NOT_ECT): keep_ecn();
            (ECN_NOT_ECT, ECN_ECT0): keep_ecn();
            (ECN_NOT_ECT, ECN_ECT1): keep_ecn();
            (ECN_NOT_ECT, ECN_CE): stop(meta, Reason.ECN);
            (ECN_ECT0, ECN_NOT_ECT): keep_ecn();
            (ECN_ECT0, ECN_ECT0): keep_ecn();
            (ECN_ECT0, ECN_ECT1): set_ecn(ECN_ECT1);
            (ECN_ECT0, ECN_CE): set_ecn(ECN_CE);
            (ECN_ECT1, ECN_NOT_ECT): keep_ecn();
            (ECN_ECT1, ECN_ECT0): keep_ecn();
            (ECN_ECT1, ECN_ECT1): keep_ecn();
            (ECN_ECT1, ECN_CE): set_ecn(ECN_CE);
            (ECN_CE, ECN_NOT_ECT): keep_ecn();
            (ECN_CE, ECN_ECT0): keep_ecn();
            (ECN_CE, ECN_ECT1): keep_ecn();
            (ECN_CE, ECN_CE): keep_ecn();
        }
        counters = ecn_counter;
    }

    @hidden
    action copy_dscp() {
        hdr.ipv4.traffic_class[7:2] = meta.outer_traffic_class[7:2];
        hdr.ipv6.traffic_class[7:2] = meta.outer_traffic_class[7:2];
    }

    apply {
        // Where both headers say the same, there is nothing to do.
        if (meta.reason == Reason.NONE && TRAFFIC_CLASS != meta.outer_traffic_class) {
            ecn_decap.apply();
            copy_dscp();
        }
    }
}

#endif
