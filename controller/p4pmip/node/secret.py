"""The shared secrets of RFC 4285, each in a file that only its owner may read."""

import stat
from pathlib import Path

from p4pmip.errors import P4pmipError


def read_secret(place: str, path: Path) -> bytes:
    """The octets of a secret file, without the newline at its end.

    Raises:
        P4pmipError: It cannot be read, is empty, or others than its owner may read it.
    """
    try:
        mode = path.stat().st_mode
        octets = path.read_bytes().rstrip(b"\n")
    except OSError as error:
        raise P4pmipError(place, str(path), f"cannot be read: {error.strerror}") from error
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise P4pmipError(place, str(path), f"others may read it (mode {stat.S_IMODE(mode):04o})", ("0600", "0400"))
    if not octets:
        raise P4pmipError(place, str(path), "it is empty")
    return octets
