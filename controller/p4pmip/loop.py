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
THRESHOLDS = (5_000, 50, 50)
"""Of the garbage collector: objects are freed by their last user, and bindings that stay are not to be looked through
again and again."""


def run(work: Coroutine[None, None, _T]) -> _T:
    """Run to the end, as `asyncio.run` does."""
    sys.setswitchinterval(SWITCH_INTERVAL)
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)
