"""finsy drives the softswitch: every kind of entity that it knows, written and read back."""

from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

import finsy as fy
import pytest
from finsy.p4entity import P4Replica, P4ValueSetMember

from p4pmip.softswitch import SoftSwitch

PROGRAMS = Path(__file__).parent / "programs"


def options(name: str) -> "fy.SwitchOptions":
    """finsy's options with a program."""
    return fy.SwitchOptions(p4info=PROGRAMS / f"{name}.p4info.txtpb", p4blob=PROGRAMS / f"{name}.json")


ROUTER: list[Any] = [
    fy.P4TableEntry("route", match=fy.Match(dst=(0x0A000000, 8)), action=fy.Action("set_nexthop", nexthop=5)),
    fy.P4TableEntry("nexthop", match=fy.Match(nexthop=5), action=fy.Action("forward", port=2, src=1, dst=2)),
    fy.P4TableEntry("policy", priority=10, match=fy.Match(udp_dst=(53, 99)), action=fy.Action("punt", reason=3)),
    fy.P4TableEntry(
        "policy",
        priority=11,
        match=fy.Match(port=3, src=(0x0A000000, 0xFF000000)),
        action=fy.Action("police"),
        meter_config=fy.P4MeterConfig(cir=1, cburst=2, pir=3, pburst=4),
    ),
]
FEATURES: list[Any] = [
    fy.P4MulticastGroupEntry(4, replicas=(P4Replica(5, instance=1), P4Replica(6, instance=2))),
    fy.P4CloneSessionEntry(9, replicas=(P4Replica(5, instance=1),), packet_length_bytes=64),
    fy.P4ActionProfileMember("ecmp", member_id=1, action=fy.Action("send", port=3)),
    fy.P4ActionProfileGroup("ecmp", group_id=2, max_size=8, members=[fy.P4Member(1, weight=2)]),
    fy.P4TableEntry("spread", match=fy.Match(code=15), action=fy.P4IndirectAction(group_id=2)),
    fy.P4TableEntry("aging", match=fy.Match(value=1), action=fy.Action("mark", word=7), idle_timeout_ns=5),
    fy.P4DigestEntry("learnt_t", max_list_size=3, max_timeout_ns=4, ack_timeout_ns=5),
]


@pytest.mark.parametrize(("name", "entities"), [("router", ROUTER), ("features", FEATURES)])
async def test_what_is_written_is_read_back(served: tuple[SoftSwitch, str], name: str, entities: list[Any]) -> None:
    async with fy.Switch("sw", served[1], options(name)) as client:
        switch: Any = client
        await switch.insert(entities)
        for one in entities:
            wanted: Any = one
            if isinstance(one, fy.P4TableEntry):
                wanted = fy.P4TableEntry(
                    one.table_id,
                    match=one.match,
                    priority=one.priority,
                    meter_config=fy.P4MeterConfig(cir=0, cburst=0, pir=0, pburst=0),
                )
            (found,) = [got async for got in switch.read(wanted)]
            assert found == one
        await switch.delete(list(reversed(entities)))
        left = [got async for got in switch.read(fy.P4TableEntry())]
        assert [one for one in left if not one.is_const] == []


async def test_modified_cells(served: tuple[SoftSwitch, str]) -> None:
    cells: list[Any] = [
        fy.P4RegisterEntry("cells", index=3, data=77),
        fy.P4MeterEntry("limits", index=1, config=fy.P4MeterConfig(cir=1, cburst=2, pir=3, pburst=4)),
        fy.P4ValueSetEntry("special", members=[P4ValueSetMember(99)]),
    ]
    async with fy.Switch("sw", served[1], options("features")) as client:
        switch: Any = client
        await switch.modify(cells)
        for one in cells:
            assert [got async for got in switch.read(one)] == [one]


async def test_our_program(served: tuple[SoftSwitch, str]) -> None:
    """A route with its counter, a cell of the counter and of the meter, the default entry, by P4Info's own names."""
    program = Path(__file__).parents[2] / "p4src" / "build"
    given = fy.SwitchOptions(p4info=program / "pmip.p4info.txtpb", p4blob=program / "pmip.json")
    async with fy.Switch("sw", served[1], given) as client:
        switch: Any = client
        (counter,), (meter,) = switch.p4info.counters, switch.p4info.meters
        table = switch.p4info.tables["route_v4"]
        fields: dict[str, Any] = {one.alias: 1 for one in table.match_fields}
        fields["dst"] = IPv4Network("10.0.0.0/8")
        action = next(one for one in table.actions if one.params)
        route = fy.P4TableEntry(
            table.alias,
            match=fy.Match(**fields),
            action=fy.Action(action.alias, **{one.name: 1 for one in action.params}),
            metadata=b"ours",
        )
        await switch.insert([route])
        direct: Any = fy.P4DirectCounterEntry(
            table.direct_counter.alias, table_entry=route, data=fy.P4CounterData(byte_count=7, packet_count=3)
        )
        cells: list[Any] = [
            fy.P4CounterEntry(counter.alias, index=1, data=fy.P4CounterData(packet_count=5)),
            fy.P4MeterEntry(meter.alias, index=1, config=fy.P4MeterConfig(cir=1, cburst=2, pir=3, pburst=4)),
        ]
        await switch.modify([direct, *cells])
        for one in cells:
            assert [got async for got in switch.read(one)] == [one]
        (read,) = [got async for got in switch.read(direct)]
        assert read.data == direct.data
        (held,) = [got async for got in switch.read(fy.P4TableEntry(table.alias))]
        assert held == route
        defaults = [got async for got in switch.read(fy.P4TableEntry(table.alias, is_default_action=True))]
        assert [one.is_default_action for one in defaults] == [True]
        await switch.delete([route])
        assert [got async for got in switch.read(fy.P4TableEntry(table.alias))] == []


async def test_packets(served: tuple[SoftSwitch, str]) -> None:
    out: list[bytes] = []
    served[0].attach(2, out.append)
    frame = bytes.fromhex("0000000000020000000000010800450000210001000001")
    frame += bytes.fromhex("11ebc5c00002020a0102030035003c000ded8a68656c6c6f")
    async with fy.Switch("sw", served[1], options("router")) as client:
        switch: Any = client
        packets = switch.read_packets()
        served[0].receive(1, frame)
        packet = await anext(packets)
        assert (packet.payload, packet["ingress_port"], packet["reason"]) == (frame, 1, 1)
        await switch.write(fy.P4PacketOut(b"x" * 60, egress_port=2, _pad=0))
        await switch.write([])
        served[0].receive(1, frame)
        await anext(packets)
    assert out == [b"x" * 60]
