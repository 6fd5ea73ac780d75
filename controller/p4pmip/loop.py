"""How a process that serves others runs: a quick event loop, and nothing that pauses it while somebody waits."""

import asyncio
import gc
import sys
from collections.abc import Coroutine
from typing import TypeVar

import uvloop

_T = TypeVar("_T")

SWITCH_INTERVAL = 0.0005
"""Seconds for which a thread keeps the interpreter when another wants it: a commit that is done waits that long."""
THRESHOLDS = (500, 4, 10_000)
"""Of the garbage collector. Objects are freed by their last user, and bindings stay: what two short collections (of at
most 2,000 objects, less than a millisecond) have found alive is looked through again after 20 million more."""


def run(work: Coroutine[None, None, _T]) -> _T:
    """Run to the end, as `asyncio.run` does."""
    sys.setswitchinterval(SWITCH_INTERVAL)
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)
