"""What the lab needs of the machine: told in one line if it is not there.

Nothing of Mininet is imported here before it is known to be there.
"""

import importlib.util
import os
import shutil
import tempfile
from collections.abc import Iterable

PACKAGES = {
    "mnexec": "mininet",
    "ifconfig": "net-tools",
    "brctl": "bridge-utils",
    "ip": "iproute2",
    "bridge": "iproute2",
    "ethtool": "ethtool",
    "sysctl": "procps",
    "nft": "nftables",
    "ping": "iputils-ping",
    "traceroute": "traceroute",
    "iperf3": "iperf3",
    "udhcpc": "udhcpc",
}
"""The programs that the lab starts, and Debian's packages with them."""
BMV2 = "simple_switch_grpc"
_LONGEST_SOCKET = "mag1/p4runtime"
"""The Unix socket with the longest path in the lab's directory."""
_UNIX_PATH = 107
"""Octets of a Unix socket's path (Linux: sockaddr_un, without the zero at its end)."""
_RANDOM = "x" * 8
"""As much as `tempfile.mkdtemp` adds to a prefix."""


def lacks(target: str) -> str | None:
    """Why this machine cannot run the lab on a target, and what to do about it, in one line; None if it can."""
    if os.geteuid() != 0:
        return "the lab makes network namespaces: run it as root (sudo)"
    packages = [package for program, package in PACKAGES.items() if shutil.which(program) is None]
    if packages:
        missing = " ".join(dict.fromkeys(packages))
        return f"the lab needs Mininet and its tools; on Debian: apt-get install --no-install-recommends {missing}"
    if target == "bmv2" and shutil.which(BMV2) is None:
        return f"BMv2's {BMV2} is not on PATH: install it, or take the softswitch (TARGET=softswitch)"
    return lacks_mininet()


def directory_prefix(scenario: str | None = None) -> str:
    """How the name of the directory of a scenario begins, or of the lab."""
    return "p4pmip-" if scenario is None else f"p4pmip-{scenario}-"


def lacks_room(scenarios: Iterable[str] = ()) -> str | None:
    """Why the Unix sockets of scenarios, or of the lab, cannot be where new directories are made; None if they can."""
    folder = tempfile.gettempdir()
    prefixes = [directory_prefix(one) for one in scenarios] or [directory_prefix()]
    longest = max(len(os.fsencode(f"{folder}/{prefix}{_RANDOM}/{_LONGEST_SOCKET}")) for prefix in prefixes)
    if longest <= _UNIX_PATH:
        return None
    return (
        f"TMPDIR: too long, Unix sockets in it would have paths of {longest} octets (valid: {_UNIX_PATH}): {folder!r}"
    )


def lacks_mininet() -> str | None:
    """The same of Mininet's own modules."""
    try:
        found = importlib.util.find_spec("mininet.net")
    except ModuleNotFoundError:
        found = None
    if found is not None:
        return None
    return (
        "the lab needs Mininet; on Debian: apt-get install --no-install-recommends"
        f" {' '.join(dict.fromkeys(PACKAGES.values()))}; and in the checkout: make .venv/.lab"
    )
