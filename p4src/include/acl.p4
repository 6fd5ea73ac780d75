/* The last word, for people: empty unless they write into it. */

#ifndef ACL_P4
#define ACL_P4

#include "port.p4"

control Acl(inout metadata_t meta, inout standard_metadata_t standard_metadata) {
    @id(0x13000010)
    direct_counter(CounterType.packets_and_bytes) acl_counter;

    @id(0x01000090)
    action permit() {
    }

    @id(0x01000091)
    action redirect(@id(1) bit<9> port) {
        standard_metadata.egress_spec = port;
    }

    /* The user's packet, whether or not it is tunnelled. */
    @id(0x02000017)
    table acl {
        key = {
            meta.link_id: ternary @id(1) @name("link_id");
            meta.vrf: ternary @id(2) @name("vrf");
            meta.session_id: ternary @id(3) @name("session_id");
            meta.user.protocol: ternary @id(4) @name("protocol");
            meta.user.src_port: ternary @id(5) @name("src_port");
            meta.user.dst_port: ternary @id(6) @name("dst_port");
            meta.user.src_v4: ternary @id(7) @name("src_v4") @format(IPV4_ADDRESS);
            meta.user.dst_v4: ternary @id(8) @name("dst_v4") @format(IPV4_ADDRESS);
            meta.user.src_v6: ternary @id(9) @name("src_v6") @format(IPV6_ADDRESS);
            meta.user.dst_v6: ternary @id(10) @name("dst_v6") @format(IPV6_ADDRESS);
        }
        actions = {
            permit;
            redirect;
            stop(meta);
        }
        const default_action = permit();
        size = ACLS;
        counters = acl_counter;
    }

    apply {
        acl.apply();
    }
}

#endif
