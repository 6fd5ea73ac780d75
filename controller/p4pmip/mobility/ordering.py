"""Which PBU is newer: timestamps or sequence numbers (RFC 5213 §5.5, RFC 6275 §9.5.1), and RFC 4285 §6."""

from typing import NamedTuple

from p4pmip.mobility.config import LmaConfig
from p4pmip.mobility.request import Request
from p4pmip.wire.numbers import Status
from p4pmip.wire.options import Timestamp

_FRACTIONS = 65536
_NTP_EPOCH = 2208988800
"""1970-01-01 in seconds since 1900."""
_LOW = 0xFFFF_FFFF


class Disorder(NamedTuple):
    """A PBU that is not newer, and what its refusal has to say."""

    status: int
    timestamp: int | None = None
    """The LMA's own time."""
    sequence: int | None = None
    """The last accepted one."""
    replay: int | None = None
    """The LMA's own seconds, with the fraction that came (RFC 4285 §6)."""


def check_timestamp(request: Request, last: int, config: LmaConfig, utc: float) -> Disorder | None:
    """Whether a PBU with a Timestamp option is newer than `last` and its clock is near ours.

    Args:
        request: The PBU; it has the option.
        last: The highest value accepted for this mobile node; 0 if there is none.
        config: The window, and whether mobile nodes make the stamps.
        utc: Our time.
    """
    value = request.timestamp
    assert value is not None
    if value < last:
        return Disorder(Status.TIMESTAMP_LOWER_THAN_PREV_ACCEPTED, Timestamp.from_utc(utc).value)
    windowed = not (config.mobile_node_generated_timestamp_in_use or request.order_checked)
    if value == last or (windowed and abs(value / _FRACTIONS - utc) > config.timestamp_validity_window):
        return Disorder(Status.TIMESTAMP_MISMATCH, Timestamp.from_utc(utc).value)
    return None


def check_sequence(sequence: int, last: int) -> Disorder | None:
    """Whether a sequence number is newer: `last` and the 32768 values before it are not, modulo 2^16."""
    if 0 < (sequence - last) % 65536 < 32768:
        return None
    return Disorder(Status.SEQUENCE_NUMBER_OUT_OF_WINDOW, sequence=last)


def ntp(utc: float, noise: int = 0) -> int:
    """A time as RFC 4285 §6 has it: 32.32 bits since 1900; `noise` fills the bits that no clock has."""
    return int((utc + _NTP_EPOCH) * 2**32) + noise & 0xFFFF_FFFF_FFFF_FFFF


def from_ntp(value: int) -> float:
    """Seconds since 1970 of such a time."""
    return value / 2**32 - _NTP_EPOCH


def replay_skew(theirs: int, utc: float) -> int:
    """How many seconds the LMA's clock is ahead of ours, by a refused replay protection option."""
    return (theirs >> 32) - (ntp(utc) >> 32)


def check_replay(request: Request, last: int, window: float, utc: float) -> Disorder | None:
    """Why a PBU whose replay protection is missing, off or old is refused; None: it is fine (RFC 4285 §6).

    Args:
        request: The PBU.
        last: The highest value accepted for this mobile node; 0 if there is none.
        window: How far, in seconds, it may be off.
        utc: Our time.
    """
    value = request.replay
    if value is None:
        return Disorder(Status.MIPV6_MESG_ID_REQD)
    if value > last and (request.order_checked or abs(from_ntp(value) - utc) <= window):
        return None
    return Disorder(Status.MIPV6_ID_MISMATCH, replay=ntp(utc) & ~_LOW | value & _LOW)
