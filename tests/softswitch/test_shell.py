"""p4runtime-shell drives the softswitch, from an environment of its own: it needs an older protobuf than all else.

Set P4RUNTIME_SHELL_PYTHON to the Python of a virtual environment with p4runtime-shell.
"""

import asyncio
import os
from pathlib import Path

import pytest

from p4pmip.softswitch import SoftSwitch

PYTHON = os.environ.get("P4RUNTIME_SHELL_PYTHON")
PROGRAM = Path(__file__).parent / "programs" / "router"
SCRIPT = """
import sys
import p4runtime_sh.shell as sh

address, program = sys.argv[1:]
config = sh.FwdPipeConfig(program + ".p4info.txtpb", program + ".json")
sh.setup(device_id=1, grpc_addr=address, election_id=(0, 1), config=config, verbose=False)
route = sh.TableEntry("route")(action="set_nexthop")
route.match["dst"] = "10.0.0.0/8"
route.action["nexthop"] = "5"
route.insert()
policy = sh.TableEntry("policy")(action="punt")
policy.match["udp_dst"] = "53..99"
policy.action["reason"] = "3"
policy.priority = 10
policy.insert()
nexthop = sh.TableEntry("nexthop")(action="forward")
nexthop.match["nexthop"] = "5"
for name, value in (("port", "2"), ("src", "00:00:00:00:00:01"), ("dst", "00:00:00:00:00:02")):
    nexthop.action[name] = value
nexthop.insert()
nexthop.action["port"] = "3"
nexthop.modify()
print([len(list(sh.TableEntry(name).read())) for name in ("route", "policy", "nexthop")])
counter = sh.CounterEntry("port_counter")
counter.index = 1
counter.read(lambda cell: print(cell.index, cell.packet_count))
print([one.packet_count for one in sh.DirectCounterEntry("route_counter").read()])
for name in ("route", "policy", "nexthop"):
    for one in sh.TableEntry(name).read():
        one.delete()
print(len(list(sh.TableEntry("route").read())))
sh.teardown()
"""


@pytest.mark.skipif(PYTHON is None, reason="P4RUNTIME_SHELL_PYTHON names no environment with p4runtime-shell")
async def test_shell(served: tuple[SoftSwitch, str]) -> None:
    process = await asyncio.create_subprocess_exec(
        str(PYTHON), "-c", SCRIPT, served[1], str(PROGRAM),
        env={**os.environ, "PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION": "python"}, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, _ = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 0
    assert out.decode().splitlines() == ["[1, 1, 1]", "1 0", "[0]", "0"]
