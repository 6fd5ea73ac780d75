"""What can be wrong with octets from the network: a reason and where, as values, never as an exception."""

from dataclasses import dataclass
from enum import StrEnum


class Reason(StrEnum):
    """Why something could not be decoded, or not as its sender should have written it."""

    TRUNCATED = "truncated"
    """The octets end before the header does."""
    BAD_HEADER_LENGTH = "bad_header_length"
    """Header Len (or the like) is below the minimum of the header or message."""
    BAD_PAYLOAD_PROTO = "bad_payload_proto"
    """Payload Proto of a Mobility Header is not 59 (RFC 6275 §9.2)."""
    BAD_CHECKSUM = "bad_checksum"
    TRAILING_OCTETS = "trailing_octets"
    """Octets follow the end that the header's own length gives."""
    BAD_OPTION_LENGTH = "bad_option_length"
    """An option of a length that its type cannot have; it is skipped."""
    BAD_OPTION_VALUE = "bad_option_value"
    """An option whose fields contradict each other (a prefix longer than its address); it is skipped."""
    OPTION_TRUNCATED = "option_truncated"
    """An option reaches beyond the message; it and what follows are lost."""
    DUPLICATE_OPTION = "duplicate_option"
    """An option that may stand once stands again (GRE Key)."""
    BAD_VERSION = "bad_version"
    BAD_FLAGS = "bad_flags"
    """Reserved bits are set that a receiver must not ignore (RFC 2784 §2.3)."""
    UNKNOWN_PROTOCOL = "unknown_protocol"
    BAD_LENGTH = "bad_length"
    """A length field contradicts the octets that are there."""
    FRAGMENT = "fragment"
    """Part of a packet: nothing of what follows can be decoded."""
    BAD_VALUE = "bad_value"
    """A field of a value that the header does not allow (a hop limit, a hardware type, a magic cookie)."""
    UNKNOWN_FORMAT = "unknown_format"
    """Neither a pcap nor a pcapng file, or a link layer nobody here reads."""
    NESTED_TOO_DEEPLY = "nested_too_deeply"
    """More headers or tunnels inside each other than anybody has use for."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong, `offset` octets into the header it was found in."""

    offset: int
    reason: str
    """A `Reason`."""
