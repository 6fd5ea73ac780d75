/* Where the packet came from: what kind of link, in whose address space; and whether the frame is for us. */

#ifndef PORT_P4
#define PORT_P4

#include "header.p4"

/* Nothing more is done with the packet, but for what `reason` asks; see Reason. */
@id(0x01000001)
action stop(inout metadata_t meta, @id(1) Reason reason) {
    meta.reason = reason;
}

#define GROUP_ADDRESSED (hdr.ethernet.dst[40:40] == 1)

#define LISTENER_REPORTS ((hdr.ipv6.isValid() && hdr.ipv6.dst == ALL_MLDV2_ROUTERS) \
                          || (hdr.ipv4.isValid() && hdr.ipv4.dst == ALL_IGMPV3_ROUTERS))

control Port(in headers_t hdr, inout metadata_t meta, inout standard_metadata_t standard_metadata) {
    @id(0x13000001)
    direct_counter(CounterType.packets_and_bytes) port_vlan_counter;

    @id(0x01000010)
    action set_access(@id(1) link_t link_id) {
        meta.role = Role.ACCESS;
        meta.link_id = link_id;
    }

    @id(0x01000011)
    action set_transport(@id(1) link_t link_id) {
        meta.role = Role.TRANSPORT;
        meta.link_id = link_id;
    }

    @id(0x01000012)
    action set_service(@id(1) vrf_t vrf, @id(2) link_t link_id) {
        meta.role = Role.SERVICE;
        meta.vrf = vrf;
        meta.link_id = link_id;
    }

    @id(0x02000001)
    table port_vlan {
        key = {
            standard_metadata.ingress_port: exact @id(1) @name("port");
            meta.vlan_id: exact @id(2) @name("vlan_id"); // 0: untagged
        }
        actions = {
            set_access;
            set_transport;
            set_service;
            @defaultonly stop(meta);
        }
        const default_action = stop(meta, Reason.PORT);
        size = LINKS;
        counters = port_vlan_counter;
    }

    @id(0x13000011)
    direct_counter(CounterType.packets_and_bytes) my_station_counter;

    @id(0x02000002)
    table my_station {
        key = {
            meta.link_id: exact @id(1) @name("link_id");
            hdr.ethernet.dst: exact @id(2) @name("mac") @format(MAC_ADDRESS);
        }
        actions = {
            NoAction;
        }
        const default_action = NoAction();
        size = LINKS;
        counters = my_station_counter;
    }

    apply {
        if (meta.own == 1) {
            standard_metadata.ingress_port = CPU_PORT;
            if (meta.session_id == 0) {
                meta.role = Role.TRANSPORT;
            }
        } else if (port_vlan.apply().hit) {
            if (my_station.apply().miss) {
                // What is addressed to a group is for the controller, or for nobody.
                if (!GROUP_ADDRESSED) {
                    meta.reason = Reason.STATION;
                } else if (meta.kind == Kind.NONE || meta.kind == Kind.OTHER) {
                    meta.reason = Reason.SCOPE;
                    if (meta.role == Role.ACCESS && LISTENER_REPORTS) {
                        meta.reason = Reason.LISTENER_REPORT;
                    }
                }
            }
        }
    }
}

#endif
