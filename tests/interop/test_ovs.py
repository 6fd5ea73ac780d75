"""Our GRE and Open vSwitch's understand each other: both directions, IPv4 and IPv6 outside and inside."""

import json
import shutil
import subprocess
import sys

import pytest
from scapy.layers.inet import IP
from scapy.layers.inet6 import IPv6
from tests.interop.ovs_exchange import OUTER

LACKING = [name for name in ("ovs-vswitchd", "ovsdb-server", "unshare") if shutil.which(name) is None]


@pytest.mark.root
@pytest.mark.skipif(bool(LACKING), reason=f"not installed: {', '.join(LACKING)} (Debian: openvswitch-switch)")
@pytest.mark.parametrize("target", ["softswitch", pytest.param("bmv2", marks=pytest.mark.bmv2)])
def test_every_family_in_every_family_both_ways(target: str) -> None:
    words = ["unshare", "-n", sys.executable, "-m", "tests.interop.ovs_exchange", target]
    ended = subprocess.run(words, capture_output=True, text=True, timeout=120, check=False)
    assert ended.returncode == 0, ended.stderr[-2000:]
    cases = json.loads(ended.stdout)
    assert len(cases) == 2 * 2 * len(OUTER)
    for name, case in cases.items():
        assert case["arrived"], f"{name}: nothing arrived"
        ip = IP if name.startswith("IPv4") else IPv6
        sent, arrived = ip(bytes.fromhex(case["sent"])), ip(bytes.fromhex(case["arrived"]))
        # One router between them: ours.
        if ip is IP:
            sent.ttl -= 1
            del sent.chksum
        else:
            sent.hlim -= 1
        assert bytes(arrived) == bytes(ip(bytes(sent))), name
