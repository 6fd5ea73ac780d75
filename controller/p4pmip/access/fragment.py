"""Fragmentation of an inner IPv4 packet before it is tunnelled (RFC 791 §3.2, RFC 7588 §3.3.1.2)."""

from dataclasses import replace

from p4pmip.wire.ip import IPv4Packet

_END_OF_OPTIONS = 0
_NO_OPERATION = 1
_COPIED = 0x80


def fragments(packet: IPv4Packet, mtu: int) -> tuple[IPv4Packet, ...]:
    """The fragments of a packet, none longer than `mtu` octets; a packet that fits is returned as it is.

    A fragment can be fragmented again. Empty if the packet may not be fragmented, or `mtu` is below the 68 octets
    that every link must carry (RFC 791 §3.2).
    """
    header = 20 + len(packet.options)
    if header + len(packet.payload) <= mtu:
        return (packet,)
    if packet.dont_fragment or mtu < 68:
        return ()
    later_options = _copied_options(packet.options)
    found = []
    at, options = 0, packet.options
    while at < len(packet.payload):
        room = mtu - 20 - len(options)
        last = len(packet.payload) - at <= room
        piece = packet.payload[at:] if last else packet.payload[at : at + room // 8 * 8]
        found.append(
            replace(
                packet,
                payload=piece,
                options=options,
                more_fragments=not last or packet.more_fragments,
                fragment_offset=packet.fragment_offset + at // 8,
            )
        )
        at += len(piece)
        options = later_options
    return tuple(found)


def _copied_options(options: bytes) -> bytes:
    """The options that stand in every fragment: those with the copied flag, padded to whole words (RFC 791 §3.1)."""
    copied = b""
    at = 0
    while at < len(options) and options[at] != _END_OF_OPTIONS:
        if options[at] == _NO_OPERATION:
            at += 1
            continue
        size = options[at + 1] if at + 1 < len(options) else 0
        if size < 2 or at + size > len(options):
            break
        if options[at] & _COPIED:
            copied += options[at : at + size]
        at += size
    return copied.ljust((len(copied) + 3) // 4 * 4, b"\0")
