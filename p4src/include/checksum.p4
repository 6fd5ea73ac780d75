/* Checksums that come in, all reported by one bit, and those that go out. */

#ifndef CHECKSUM_P4
#define CHECKSUM_P4

#include "header.p4"

#define IPV4_FIELDS(h, options) \
    h.version_ihl, h.traffic_class, h.total_length, h.identification, h.flags_offset, h.ttl, h.protocol, h.src, h.dst, \
    options.octets

/* What is parsed after the GRE header is no longer payload; headers that are not there do not count. */
#define INNER_HEADERS \
    hdr.inner_ipv4.version_ihl, hdr.inner_ipv4.traffic_class, hdr.inner_ipv4.total_length, \
    hdr.inner_ipv4.identification, hdr.inner_ipv4.flags_offset, hdr.inner_ipv4.ttl, hdr.inner_ipv4.protocol, \
    hdr.inner_ipv4.checksum, hdr.inner_ipv4.src, hdr.inner_ipv4.dst, hdr.inner_ipv4_options.octets, \
    hdr.inner_ipv6.version, hdr.inner_ipv6.traffic_class, hdr.inner_ipv6.flow_label, \
    hdr.inner_ipv6.payload_length, hdr.inner_ipv6.next_header, hdr.inner_ipv6.hop_limit, hdr.inner_ipv6.src, \
    hdr.inner_ipv6.dst

control ChecksumVerification(inout headers_t hdr, inout metadata_t meta) {
    apply {
        verify_checksum(hdr.ipv4.isValid(), { IPV4_FIELDS(hdr.ipv4, hdr.ipv4_options) },
                        hdr.ipv4.checksum, HashAlgorithm.csum16);
        verify_checksum(hdr.inner_ipv4.isValid(), { IPV4_FIELDS(hdr.inner_ipv4, hdr.inner_ipv4_options) },
                        hdr.inner_ipv4.checksum, HashAlgorithm.csum16);
        // RFC 2784 §2.3: over the GRE header, with the checksum as zero, and everything after it
        verify_checksum_with_payload(hdr.gre_checksum.isValid(),
            { hdr.gre.flags_version, hdr.gre.protocol, hdr.gre_checksum.reserved,
              hdr.gre_key.key, hdr.gre_sequence.number, INNER_HEADERS },
            hdr.gre_checksum.checksum, HashAlgorithm.csum16);
        // RFC 768: zero is "none". Only tunnels have their UDP header extracted.
        verify_checksum_with_payload(hdr.udp.isValid() && hdr.udp.checksum != 0,
            { hdr.ipv4.src, hdr.ipv4.dst, 8w0, hdr.ipv4.protocol, hdr.udp.length,
              hdr.udp.src_port, hdr.udp.dst_port, hdr.udp.length, hdr.tlv.zero, hdr.tlv.next_header, hdr.tlv.length,
              hdr.gre.flags_version, hdr.gre.protocol, hdr.gre_checksum.checksum,
              hdr.gre_checksum.reserved, hdr.gre_key.key, hdr.gre_sequence.number, INNER_HEADERS },
            hdr.udp.checksum, HashAlgorithm.csum16);
    }
}

control ChecksumUpdate(inout headers_t hdr, inout metadata_t meta) {
    apply {
        update_checksum(hdr.tx_ipv4.isValid(),
            { hdr.tx_ipv4.version_to_protocol, hdr.tx_ipv4.addresses },
            hdr.tx_ipv4.checksum, HashAlgorithm.csum16);
        // The user's, whose hop limit or congestion mark may have changed.
        update_checksum(hdr.ipv4.isValid(), { IPV4_FIELDS(hdr.ipv4, hdr.ipv4_options) },
                        hdr.ipv4.checksum, HashAlgorithm.csum16);
    }
}

#endif
