"""A message on its way through an engine."""

from typing import NamedTuple

from p4pmip.mobility.endpoint import Endpoint
from p4pmip.mobility.peer import PeerState
from p4pmip.wire.message import Message
from p4pmip.wire.mobility_header import Decoded


class Incoming(NamedTuple):
    """A message that arrived, and everything that is known of it besides what it says."""

    message: Message | None
    """None: it could not be decoded."""
    decoded: Decoded
    """The octets it was made from, for its authenticator, and what was skipped in them."""
    source: Endpoint
    destination: Endpoint
    peer: PeerState | None
    """Who sent it, by its source address; None: nobody that we know."""
