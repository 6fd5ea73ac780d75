"""The topology with plain `mn`, as anybody would use it.

In a process namespace and a network namespace of its own: what `mn` does after a failure goes by name.
"""

import shutil
import subprocess
from pathlib import Path

import pytest
from tests.lab.started import HERE, LACKING

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(bool(LACKING), reason=LACKING),
    pytest.mark.skipif(shutil.which("mn") is None, reason="mn is not on PATH (Debian: apt-get install mininet)"),
]


def test_a_host_attaches_talks_and_moves(tmp_path: Path) -> None:
    """With Mininet's own command line."""
    orders = (
        f"mn1 udhcpc -i mn1-eth0 -f -q -n -s {HERE / 'dhcp-script'}",
        "mn1 ping -c 2 -W 5 10.1.0.2",
        "py net['air'].move('mn1', 'mag2')",
        "mn1 ping -c 3 -W 5 10.1.0.2",
        "exit",
    )
    mn = ["mn", "--custom", str(HERE / "figure1.py"), "--topo", "figure1", "--switch", "pmip", "--controller", "none"]
    apart = ["unshare", "--pid", "--net", "--fork", "--mount-proc", "--kill-child"]
    done = subprocess.run(
        [*apart, *mn], input="\n".join(orders) + "\n", capture_output=True, text=True, timeout=120, cwd=tmp_path
    )
    assert done.returncode == 0, done.stdout + done.stderr
    said = done.stdout + done.stderr
    assert "lease of 10.0.0.11 obtained" in said
    assert said.count(" 0% packet loss") == 2, said
