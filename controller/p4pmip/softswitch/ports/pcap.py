"""pcap files, as far as a port needs them: classic format, Ethernet."""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from p4pmip.errors import P4pmipError

MAGIC = 0xA1B2C3D4
MAGIC_NANOSECONDS = 0xA1B23C4D
ETHERNET = 1
SNAPSHOT = 262_144
_HEADER = struct.Struct("=IHHiIII")
_RECORD = struct.Struct("=IIII")


class PcapWriter:
    """Frames to a file, each written out at once."""

    def __init__(self, path: Path) -> None:
        """Create the file.

        Raises:
            OSError: it cannot be written.
        """
        self._file: BinaryIO = path.open("wb")
        self._file.write(_HEADER.pack(MAGIC, 2, 4, 0, 0, SNAPSHOT, ETHERNET))
        self._file.flush()

    def write(self, frame: bytes, utc: float) -> None:
        """One frame with its time."""
        seconds = int(utc)
        record = _RECORD.pack(seconds, int((utc - seconds) * 1e6), len(frame), len(frame))
        self._file.write(record + frame)
        self._file.flush()

    def close(self) -> None:
        """Finish."""
        self._file.close()


def read_pcap(path: Path) -> Iterator[tuple[float, bytes]]:
    """(time, frame) of every record.

    Raises:
        P4pmipError: the file is no pcap file of Ethernet frames.
        OSError: it cannot be read.
    """
    data = path.read_bytes()
    order = _byte_order(path, data)
    network = struct.unpack_from(f"{order}I", data, 20)[0] & 0xFFFF
    if network != ETHERNET:
        raise P4pmipError(str(path), network, "has another link type than Ethernet", [ETHERNET])
    fraction = 1e-9 if struct.unpack_from(f"{order}I", data)[0] == MAGIC_NANOSECONDS else 1e-6
    at = _HEADER.size
    while at + _RECORD.size <= len(data):
        seconds, part, captured, _ = struct.unpack_from(f"{order}IIII", data, at)
        at += _RECORD.size
        yield seconds + part * fraction, data[at : at + captured]
        at += captured


def _byte_order(path: Path, data: bytes) -> str:
    if len(data) >= _HEADER.size:
        for order in "<>":
            if struct.unpack_from(f"{order}I", data)[0] in (MAGIC, MAGIC_NANOSECONDS):
                return order
    raise P4pmipError(str(path), data[:4].hex(), "is no pcap file", [f"{MAGIC:08x}", f"{MAGIC_NANOSECONDS:08x}"])
