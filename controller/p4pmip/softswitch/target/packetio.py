"""Packet-in and packet-out: the controller headers of P4Info (P4Runtime §16.1)."""

from p4pmip.softswitch.target.bytestring import decode, encode
from p4pmip.softswitch.target.refusal import Refusal, invalid
from p4pmip.softswitch.target.schema import PacketMetadata
from p4pmip.softswitch.target.stubs import p4runtime


def packet_in(header: PacketMetadata | None, frame: bytes) -> "p4runtime.PacketIn | None":
    """What left for the CPU port, as the controller gets it; None if it is shorter than its header."""
    message = p4runtime.PacketIn()
    if header is None:
        message.payload = frame
        return message
    octets = header.octets
    if len(frame) < octets:
        return None
    message.payload = frame[octets:]
    value, left = int.from_bytes(frame[:octets], "big"), 8 * octets
    for number, _, width in header.fields:
        left -= width
        message.metadata.add(metadata_id=number, value=encode(value >> left & (1 << width) - 1))
    return message


def packet_out(header: PacketMetadata | None, given: "p4runtime.PacketOut") -> bytes:
    """The frame that enters at the CPU port.

    Raises:
        Refusal: its metadata are not those of P4Info's packet_out header.
    """
    if header is None:
        if given.metadata:
            raise invalid("packet_out: metadata", len(given.metadata), "P4Info has no packet_out header", ["none"])
        return given.payload
    values = {one.metadata_id: one.value for one in given.metadata}
    unknown = set(values) - {number for number, _, _ in header.fields}
    if unknown:
        raise invalid("packet_out: metadata_id", min(unknown), "no such metadata", _choices(header))
    whole = 0
    for number, name, width in header.fields:
        if number not in values:
            raise invalid("packet_out: metadata", name, "is missing", _choices(header))
        whole = whole << width | decode(values[number], width, f"packet_out: {name}")
    return (whole << 8 * header.octets - header.width).to_bytes(header.octets, "big") + given.payload


def _choices(header: PacketMetadata) -> list[str]:
    return [f"{number} {name}" for number, name, _ in header.fields]


__all__ = ["Refusal", "packet_in", "packet_out"]
