"""p4runtime-shell drives the softswitch, from the environment of its own that `p4pmip shell` makes."""

import asyncio
import os
from pathlib import Path

import pytest

from p4pmip.cli.shell import environment
from p4pmip.errors import P4pmipError
from p4pmip.softswitch import SoftSwitch

ROUTER = Path(__file__).parent / "programs" / "router"
PMIP = Path(__file__).parents[2] / "p4src" / "build" / "pmip"
FRAME = bytes.fromhex("0000000000020000000000010800450000210001000001")
FRAME += bytes.fromhex("11ebc5c00002020a0102030035003c000ded8a68656c6c6f")
"""No route: it goes to the controller."""

START = """
import os
import re
import sys
import traceback
import p4runtime_sh.shell as sh


def failed(*error):
    traceback.print_exception(*error)
    os._exit(1)  # there are threads that would go on


sys.excepthook = failed

address, program = sys.argv[1:]
config = sh.FwdPipeConfig(program + ".p4info.txtpb", program + ".json")
sh.setup(device_id=1, grpc_addr=address, election_id=(0, 1), config=config, verbose=False)
"""
OWN = """
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
PACKETS = """
packets = sh.PacketIn()
print("ready", flush=True)
packet = packets.packet_in_queue.get(timeout=30)
print(packet.packet.payload.hex())
packet = sh.PacketOut()
packet.payload = b"x" * 60
packet.metadata["egress_port"] = "2"
packet.metadata["_pad"] = "0"
packet.send()
"""
EVERYTHING = """
# An entry in every table, each match field and parameter by what P4Info says it is.
from p4.config.v1 import p4info_pb2 as p4info

def canonical(entry):
    # The shell pads values, which are read back without leading zeros.
    return re.sub(r'"(?:\\\\000)+(?!")', '"', str(entry.msg()))


Kind = p4info.MatchField
info = sh.context.p4info
SAID = {Kind.EXACT: "1", Kind.LPM: "1/%d", Kind.TERNARY: "1&&&1", Kind.RANGE: "1..2", Kind.OPTIONAL: "1"}
actions = {one.preamble.id: one for one in info.actions}
written = {}
for table in info.tables:
    if table.is_const_table:
        continue
    refs = [one for one in table.action_refs if one.scope != p4info.ActionRef.DEFAULT_ONLY]
    action = actions[refs[0].id]
    entry = sh.TableEntry(table.preamble.name)(action=action.preamble.name)
    for field in table.match_fields:
        said = SAID[field.match_type]
        entry.match[field.name] = said % field.bitwidth if field.match_type == Kind.LPM else said
    for parameter in action.params:
        entry.action[parameter.name] = "1"
    if any(field.match_type in (Kind.TERNARY, Kind.RANGE, Kind.OPTIONAL) for field in table.match_fields):
        entry.priority = 7
    entry.insert()
    entry.metadata = b"again"
    entry.modify()
    (held,) = sh.TableEntry(table.preamble.name).read()
    assert canonical(held) == canonical(entry), (held, entry)
    written[table.preamble.id] = entry
    if not table.const_default_action_id:
        default = sh.TableEntry(table.preamble.name)
        default.is_default = True
        default.modify()
        (held,) = default.read()
        assert held.is_default
for direct in info.direct_counters:
    if direct.direct_table_id in written:
        counter = sh.DirectCounterEntry(direct.preamble.name)
        counter.table_entry = written[direct.direct_table_id]
        counter.packet_count = 11
        counter.modify()
        (held,) = counter.read()
        assert held.packet_count == 11, held
for indirect in info.counters:
    counter = sh.CounterEntry(indirect.preamble.name)
    counter.index = 1
    counter.packet_count = 5
    counter.modify()
    (held,) = counter.read()
    assert held.packet_count == 5, held
    counter = sh.CounterEntry(indirect.preamble.name)
    assert len(list(counter.read())) == indirect.size
for one in info.meters:
    meter = sh.MeterEntry(one.preamble.name)
    meter.index = 1
    meter.cir, meter.cburst, meter.pir, meter.pburst = 1, 2, 3, 4
    meter.modify()
    (held,) = meter.read()
    assert (held.cir, held.cburst, held.pir, held.pburst) == (1, 2, 3, 4), held
group = sh.MulticastGroupEntry(4)
group.add(5, 1).add(6, 2)
group.insert()
(held,) = sh.MulticastGroupEntry(4).read()
assert [(one.egress_port, one.instance) for one in held.replicas] == [(5, 1), (6, 2)], held
group.delete()
session = sh.CloneSessionEntry(9)
session.add(5, 1)
session.insert()
session.delete()
for entry in written.values():
    entry.delete()
left = [one for table in info.tables if not table.is_const_table for one in sh.TableEntry(table.preamble.name).read()]
assert left == [], left
print(len(written), len(info.direct_counters), len(info.counters), len(info.meters))
sh.teardown()
"""


@pytest.fixture(scope="module")
def python() -> str:
    """The Python of the shell's environment, which is made once for a user."""
    try:
        return str(environment())
    except P4pmipError as error:
        pytest.skip(f"p4runtime-shell cannot be installed here: {error}")


async def _shell(python: str, address: str, program: Path, script: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        python, "-c", START + script, address, str(program),
        env={**os.environ, "PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION": "python"}, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip


def end(process: asyncio.subprocess.Process) -> None:
    """A shell that did not come to its end."""
    if process.returncode is None:
        process.kill()


async def test_entries_counters_and_packets(served: tuple[SoftSwitch, str], python: str) -> None:
    out: list[bytes] = []
    served[0].attach(2, out.append)
    process = await _shell(python, served[1], ROUTER, PACKETS + OWN)
    assert process.stdout is not None
    try:
        assert await asyncio.wait_for(process.stdout.readline(), 60) == b"ready\n"
        served[0].receive(1, FRAME)
        text, _ = await asyncio.wait_for(process.communicate(), 60)
    finally:
        end(process)
    assert process.returncode == 0
    assert text.decode().splitlines() == [FRAME.hex(), "[1, 1, 1]", "1 1", "[0]", "0"]
    assert out == [b"x" * 60]


async def test_every_kind_of_entity_of_our_program(served: tuple[SoftSwitch, str], python: str) -> None:
    process = await _shell(python, served[1], PMIP, EVERYTHING)
    try:
        text, _ = await asyncio.wait_for(process.communicate(), 60)
    finally:
        end(process)
    assert process.returncode == 0
    tables, direct, counters, meters = map(int, text.split())
    assert tables >= 20
    assert direct >= 20
    assert (counters, meters) == (1, 1)
