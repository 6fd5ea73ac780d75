"""What holds for the whole suite.

Examples are the same in every run, and judged by what they do, never by how long a busy machine takes. What a test
needs and a machine lacks is said by its marker, so that each skip has its reason: `bmv2` (simple_switch_grpc on PATH)
and `root`.
"""

import os
import shutil
import signal

import pytest
from hypothesis import settings

settings.register_profile("p4pmip", deadline=None, derandomize=True)
settings.load_profile("p4pmip")

# A shell lets what is to run in the background ignore the one, nohup the other; there are tests that send them.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

LACKING = {
    "bmv2": "" if shutil.which("simple_switch_grpc") else "BMv2's simple_switch_grpc is not on PATH",
    "root": "" if os.geteuid() == 0 else "needs root",
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip, with the reason, what this machine cannot run."""
    for item in items:
        for marker, reason in LACKING.items():
            if reason and item.get_closest_marker(marker) is not None:
                item.add_marker(pytest.mark.skip(reason=reason))
