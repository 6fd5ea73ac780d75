"""The shared secrets of RFC 4285, each in a file that only its owner may read."""

import os
import stat
from pathlib import Path

from p4pmip.errors import P4pmipError


def read_secret(place: str, path: Path) -> bytes:
    """The octets of a secret file, without the newline at its end.

    Raises:
        P4pmipError: It cannot be read, is empty or no regular file, or others than its owner may read it.
    """
    try:
        with open(path, "rb", opener=_at_once) as file:
            mode = os.fstat(file.fileno()).st_mode
            octets = file.read().rstrip(b"\n") if stat.S_ISREG(mode) else None
    except OSError as error:
        raise P4pmipError(place, str(path), f"cannot be read: {error.strerror}") from error
    if octets is None:
        raise P4pmipError(place, str(path), "it is no regular file")
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise P4pmipError(place, str(path), f"others may read it (mode {stat.S_IMODE(mode):04o})", ("0600", "0400"))
    if not octets:
        raise P4pmipError(place, str(path), "it is empty")
    return octets


def _at_once(path: str, flags: int) -> int:
    """Open a file; a pipe would keep its reader waiting for a writer."""
    return os.open(path, flags | os.O_NONBLOCK | os.O_NOCTTY)
