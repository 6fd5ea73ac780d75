"""The one exception of the codecs: what a caller asked to encode does not fit the wire."""

from p4pmip.errors import P4pmipError


class WireError(P4pmipError):
    """A value cannot be put on the wire (a field too wide, an address of the wrong family, a message too long)."""
