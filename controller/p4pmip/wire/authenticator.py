"""The mobility message authentication option (RFC 4285 §5), as a light alternative to IPsec between MAG and LMA.

The authenticator covers care-of address, home address and the Mobility Header from Payload Proto up to the SPI, its
checksum zero and its Header Len final. RFC 4285 was written for a mobile node, so between MAG and LMA the two
addresses are chosen here: the care-of address is the Proxy-CoA, the home address that of the first home network
prefix option (`::` when there is none or it is ALL_ZERO). HMAC-SHA1-96 is the RFC's own algorithm; HMAC-SHA256-128 is
a private extension that both ends configure for an SPI.
"""

import hmac
from dataclasses import dataclass, replace
from enum import Enum
from ipaddress import IPv6Address

from p4pmip.wire.checksum import IPAddress
from p4pmip.wire.error import WireError
from p4pmip.wire.message import Message, UnknownMessage
from p4pmip.wire.mobility_header import Decoded, decode, encode, with_checksum
from p4pmip.wire.numbers import DEFAULT_CODEPOINTS, AuthenticationSubtype, Codepoints
from p4pmip.wire.options import Authentication, HomeNetworkPrefix

_BEFORE_AUTHENTICATOR = 7
"""Octets of the option before its authenticator: type, length, subtype, SPI."""
_UNSPECIFIED = IPv6Address(0)


class Algorithm(Enum):
    """How an authenticator is computed: its digest and how many octets of it are sent."""

    HMAC_SHA1_96 = ("sha1", 12)
    HMAC_SHA256_128 = ("sha256", 16)

    @property
    def size(self) -> int:
        """Octets of an authenticator."""
        return self.value[1]

    def authenticator(self, key: bytes, data: bytes) -> bytes:
        """The authenticator of `data`."""
        digest, size = self.value
        return hmac.digest(key, data, digest)[:size]


@dataclass(frozen=True, slots=True)
class SecurityAssociation:
    """What both ends of a mobility security association know."""

    spi: int
    key: bytes
    algorithm: Algorithm = Algorithm.HMAC_SHA1_96
    subtype: int = AuthenticationSubtype.MN_HA

    def __repr__(self) -> str:
        return f"SecurityAssociation(spi={self.spi}, algorithm={self.algorithm.name})"


def home_address(message: Message) -> IPv6Address:
    """The home address that goes into a message's authenticator."""
    options = () if isinstance(message, UnknownMessage) else message.options
    return next((option.address for option in options if isinstance(option, HomeNetworkPrefix)), _UNSPECIFIED)


def authentication_of(message: Message) -> Authentication | None:
    """The authentication option of a message, if its last option is one; elsewhere it protects nothing."""
    if isinstance(message, UnknownMessage) or not message.options:
        return None
    last = message.options[-1]
    return last if isinstance(last, Authentication) else None


def sign(
    message: Message,
    association: SecurityAssociation,
    care_of: IPAddress,
    source: IPAddress | None = None,
    destination: IPAddress | None = None,
    codepoints: Codepoints = DEFAULT_CODEPOINTS,
) -> bytes:
    """Encode a message with an authentication option behind its other options.

    Args:
        message: One without an authentication option.
        association: Key and SPI.
        care_of: The Proxy-CoA.
        source: As for `mobility_header.encode`.
        destination: As for `mobility_header.encode`.
        codepoints: As for `mobility_header.encode`.

    Raises:
        WireError: the message does not fit, or is of a type that takes no options.
    """
    if isinstance(message, UnknownMessage):
        raise WireError("UnknownMessage", message.mh_type, "a message of this type cannot be signed")
    blank = Authentication(association.subtype, association.spi, bytes(association.algorithm.size))
    octets = bytearray(encode(replace(message, options=(*message.options, blank)), codepoints=codepoints))
    at = decode(bytes(octets), codepoints=codepoints).offsets[-1] + _BEFORE_AUTHENTICATOR
    data = care_of.packed + home_address(message).packed + bytes(octets[:at])
    octets[at : at + association.algorithm.size] = association.algorithm.authenticator(association.key, data)
    return with_checksum(octets, source, destination)


def verify(decoded: Decoded, association: SecurityAssociation, care_of: IPAddress) -> bool:
    """Whether a decoded message's last option is the authenticator that `association` gives it."""
    if decoded.message is None:
        return False
    option = authentication_of(decoded.message)
    if option is None or (option.spi, option.subtype) != (association.spi, association.subtype):
        return False
    covered = bytearray(decoded.octets[: decoded.offsets[-1] + _BEFORE_AUTHENTICATOR])
    covered[4:6] = b"\0\0"
    data = care_of.packed + home_address(decoded.message).packed + covered
    return hmac.compare_digest(association.algorithm.authenticator(association.key, data), option.authenticator)
