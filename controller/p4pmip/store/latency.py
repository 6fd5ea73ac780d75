"""How long the disk under a journal takes: printed beside every figure that waits for it."""

import os
import time
from pathlib import Path
from tempfile import TemporaryFile

_BLOCK = bytes(4096)


def fsync_latency(directory: Path, rounds: int = 50) -> tuple[float, ...]:
    """Seconds that each of `rounds` appended and synchronised blocks of 4 KiB took, the fastest first.

    Raises:
        OSError: Nothing can be written there.
    """
    latencies = []
    with TemporaryFile(dir=directory, buffering=0) as file:
        for _ in range(rounds):
            file.write(_BLOCK)
            started = time.perf_counter()
            os.fsync(file.fileno())
            latencies.append(time.perf_counter() - started)
    return tuple(sorted(latencies))
