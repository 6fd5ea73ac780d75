"""P4Runtime over gRPC: arbitration, pipeline configurations, writes with their errors, reads, streams."""

from collections.abc import Callable
from typing import Any

import grpc
import pytest
from google.protobuf import text_format

from p4pmip.softswitch import SoftSwitch
from p4pmip.softswitch.target.refusal import Code
from p4pmip.softswitch.target.stubs import p4runtime, rpc_status

Programs = Callable[[str], "p4runtime.ForwardingPipelineConfig"]
INSERT, MODIFY, DELETE = 1, 2, 3
TEN = "\\n\\000\\000\\000"
"""10.0.0.0."""

ROUTE = 'table_entry { table_id: 35769601 match { field_id: 1 lpm { value: "\\n\\000\\000\\000" prefix_len: 8 } } '
ROUTE += "action { action { "
SET_NEXTHOP = 'action_id: 20503519 params { param_id: 1 value: "\\005" } } } }'


def entity(text: str) -> "p4runtime.Entity":
    """An entity in protobuf's text format."""
    return text_format.Parse(text, p4runtime.Entity())


def update(text: str, kind: int = INSERT) -> "p4runtime.Update":
    """An update in protobuf's text format."""
    return p4runtime.Update(type=kind, entity=entity(text))  # type: ignore[arg-type]


def route(value: str, length: int, nexthop: int = 5) -> str:
    """An entry of the router's route table."""
    return (
        f'table_entry {{ table_id: 35769601 match {{ field_id: 1 lpm {{ value: "{value}" prefix_len: {length} }} }} '
        f'action {{ action {{ action_id: 20503519 params {{ param_id: 1 value: "\\{nexthop:03o}" }} }} }} }}'
    )


@pytest.fixture
async def ready(controller: Any, program: Programs) -> Any:
    """A primary controller of a switch that runs the router."""
    assert await controller.arbitrate() == Code.OK
    await controller.push(program("router"))
    return controller


async def refused(awaitable: Any) -> grpc.aio.AioRpcError:
    """The error of an RPC that must fail."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await awaitable
    return caught.value


def errors(error: grpc.aio.AioRpcError) -> list[tuple[int, str]]:
    """(code, message) for each update of a Write that failed."""
    details = dict(error.trailing_metadata() or ())["grpc-status-details-bin"]
    status = rpc_status.Status.FromString(details)
    found = []
    for one in status.details:
        unpacked = p4runtime.Error()
        assert one.Unpack(unpacked)
        found.append((unpacked.canonical_code, unpacked.message))
    return found


# -- arbitration --


async def test_primary_backup_and_handover(served: tuple[SoftSwitch, str], controller: Any) -> None:
    async with grpc.aio.insecure_channel(served[1]) as channel:
        other = type(controller)(channel)
        assert await controller.arbitrate(5) == Code.OK
        assert await other.arbitrate(3) == Code.ALREADY_EXISTS
        assert await other.arbitrate(9) == Code.OK
        told = (await controller.receive()).arbitration
        assert (told.status.code, told.election_id.low) == (Code.ALREADY_EXISTS, 9)
        other.stream.cancel()
        told = (await controller.receive()).arbitration
        assert (told.status.code, told.election_id.low) == (Code.NOT_FOUND, 9)
        # A backup is not promoted by itself, nor by an id below the highest one seen.
        assert await controller.arbitrate(8) == Code.NOT_FOUND
        assert await controller.arbitrate(9) == Code.OK


async def test_a_taken_election_id_ends_the_stream(served: tuple[SoftSwitch, str], controller: Any) -> None:
    await controller.arbitrate(5)
    async with grpc.aio.insecure_channel(served[1]) as channel:
        error = await refused(type(controller)(channel).arbitrate(5))
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert error.details() == "election_id: is used by another controller of this role: 5"


async def test_roles_have_primaries_of_their_own(served: tuple[SoftSwitch, str], controller: Any) -> None:
    assert await controller.arbitrate(5) == Code.OK
    async with grpc.aio.insecure_channel(served[1]) as channel:
        assert await type(controller)(channel).arbitrate(1, role="reader") == Code.OK


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        ({"device_id": 4}, grpc.StatusCode.NOT_FOUND, "device_id: unknown device id: 4 (valid: 1)"),
    ],
)
async def test_arbitration_refused(controller: Any, arguments: Any, code: grpc.StatusCode, text: str) -> None:
    error = await refused(controller.arbitrate(**arguments))
    assert (error.code(), error.details()) == (code, text)


async def test_no_election_id_is_never_primary(controller: Any) -> None:
    assert await controller.arbitrate(None) == Code.NOT_FOUND


async def test_a_stream_keeps_its_role(controller: Any) -> None:
    await controller.arbitrate(1)
    error = await refused(controller.arbitrate(1, role="other"))
    assert error.code() is grpc.StatusCode.FAILED_PRECONDITION


# -- pipeline configurations --


async def test_only_the_primary_pushes(controller: Any, program: Programs) -> None:
    error = await refused(controller.push(program("router")))
    assert error.code() is grpc.StatusCode.PERMISSION_DENIED
    await controller.arbitrate(2)
    error = await refused(controller.push(program("router")))
    assert error.details() == "election_id: is not the primary's: 1 (valid: 2)"


async def test_save_then_commit(served: tuple[SoftSwitch, str], controller: Any, program: Programs) -> None:
    await controller.arbitrate()
    commit = p4runtime.SetForwardingPipelineConfigRequest(device_id=1)
    commit.action = p4runtime.SetForwardingPipelineConfigRequest.COMMIT
    commit.election_id.low = 1
    assert (await refused(controller.stub.SetForwardingPipelineConfig(commit))).code() is grpc.StatusCode.NOT_FOUND
    await controller.push(program("router"), "VERIFY")
    await controller.push(program("router"), "VERIFY_AND_SAVE")
    assert served[0].device.running is None
    await controller.stub.SetForwardingPipelineConfig(commit)
    assert served[0].device.running is not None


async def test_cookie_and_config_are_read_back(ready: Any, program: Programs) -> None:
    kinds = p4runtime.GetForwardingPipelineConfigRequest
    request = kinds(device_id=1, response_type=kinds.COOKIE_ONLY)
    config = (await ready.stub.GetForwardingPipelineConfig(request)).config
    assert (config.cookie.cookie, config.p4_device_config) == (7, b"")
    request = kinds(device_id=1, response_type=kinds.ALL)
    assert (await ready.stub.GetForwardingPipelineConfig(request)).config == program("router")


async def test_there_is_no_config_before_the_first_push(controller: Any) -> None:
    request = p4runtime.GetForwardingPipelineConfigRequest(device_id=1)
    assert not (await controller.stub.GetForwardingPipelineConfig(request)).HasField("config")


async def test_commit_wipes_and_reconcile_keeps(ready: Any, program: Programs) -> None:
    await ready.write(update(route(TEN, 8)))
    wanted = entity("table_entry { table_id: 35769601 counter_data { } }")
    await ready.push(program("router"), "RECONCILE_AND_COMMIT")
    assert len(await ready.read(wanted)) == 1
    await ready.push(program("router"))
    assert await ready.read(wanted) == []


async def test_reconcile_refuses_what_does_not_fit_and_changes_nothing(ready: Any, program: Programs) -> None:
    await ready.write(update(route(TEN, 8)))
    error = await refused(ready.push(program("features"), "RECONCILE_AND_COMMIT"))
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "cannot be carried over to the new program: unknown table id: 35769601" in str(error.details())
    assert len(await ready.read(entity("table_entry { table_id: 35769601 }"))) == 1


@pytest.mark.parametrize(
    ("old", "new", "text"),
    [
        (b'"op" : "assign"', b'"op" : "warp"', "router.p4:"),
        (b'"match_type" : "lpm"', b'"match_type" : "fuzzy"', "match kind not supported: 'fuzzy'"),
        (b"csum16", b"md5", "hash algorithm not supported: 'md5'"),
        (b'"version" : [', b'"version" : [9, ', "unknown version of the BMv2 JSON"),
    ],
)
async def test_an_unsupported_program_is_refused(
    controller: Any, program: Programs, old: bytes, new: bytes, text: str
) -> None:
    await controller.arbitrate()
    config = program("router")
    config.p4_device_config = config.p4_device_config.replace(old, new)
    error = await refused(controller.push(config, "VERIFY"))
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert text in str(error.details())


async def test_p4info_of_another_program_is_refused(controller: Any, program: Programs) -> None:
    await controller.arbitrate()
    config = program("router")
    config.p4info.tables[0].match_fields[0].bitwidth = 48
    error = await refused(controller.push(config))
    assert error.details() == (
        "p4info: table router_ingress.route, dst: differs from the program: 'lpm of 48 bits' (valid: lpm of 32 bits)"
    )


# -- writes --

MISSING = "router_ingress.route: entry: does not exist: 'dst=0x0a000000/8'"
TABLES = "35769601 router_ingress.route, 43370402 router_ingress.nexthop, 37709145 router_ingress.policy"


@pytest.mark.parametrize(
    ("text", "kind", "code", "message"),
    [
        ("table_entry { table_id: 99 }", INSERT, Code.NOT_FOUND, f"table_id: unknown table id: 99 (valid: {TABLES})"),
        (route("\\n", 0), INSERT, Code.INVALID_ARGUMENT, "matches everything: leave the field out: '/0'"),
        (route("\\n\\001", 8), INSERT, Code.INVALID_ARGUMENT, "has bits beyond its prefix length: '0xa01/8'"),
        (route("\\n\\000\\000\\000\\000", 8), INSERT, Code.OUT_OF_RANGE, "does not fit 32 bits: '0x0a00000000'"),
        (route("", 8), INSERT, Code.INVALID_ARGUMENT, "is empty, a value has at least one octet"),
        (route(TEN, 40), INSERT, Code.INVALID_ARGUMENT, "no such prefix length: '/40' (valid: 1..32)"),
        ("table_entry { table_id: 43370402 }", INSERT, Code.INVALID_ARGUMENT, "an exact field cannot be left out"),
        (
            "table_entry { table_id: 37709145 }",
            INSERT,
            Code.INVALID_ARGUMENT,
            "this table's entries need a priority: 0 (valid: 1 and above)",
        ),
        (
            ROUTE.replace("match", "priority: 3 match") + SET_NEXTHOP,
            INSERT,
            Code.INVALID_ARGUMENT,
            "this table's entries have no priority: 3 (valid: 0)",
        ),
        (
            ROUTE + "action_id: 7 } } }",
            INSERT,
            Code.INVALID_ARGUMENT,
            "action_id: is no action of it: 7 (valid: 20503519 router_ingress.set_nexthop, ",
        ),
        (ROUTE + "action_id: 20503519 } } }", INSERT, Code.INVALID_ARGUMENT, "a parameter is missing: 'nexthop'"),
        (
            ROUTE + 'action_id: 20503519 params { param_id: 4 value: "a" } } } }',
            INSERT,
            Code.INVALID_ARGUMENT,
            "param_id: no such parameter: 4 (valid: 1 nexthop)",
        ),
        (
            ROUTE + 'action_id: 20503519 params { param_id: 1 value: "abc" } } } }',
            INSERT,
            Code.OUT_OF_RANGE,
            "set_nexthop: nexthop: does not fit 16 bits: '0x616263'",
        ),
        (
            route(TEN, 8),
            MODIFY,
            Code.NOT_FOUND,
            "router_ingress.route: entry: does not exist: 'dst=0x0a000000/8'",
        ),
        (
            route(TEN, 8),
            DELETE,
            Code.NOT_FOUND,
            "router_ingress.route: entry: does not exist: 'dst=0x0a000000/8'",
        ),
        (
            "table_entry { table_id: 35769601 is_default_action: true }",
            MODIFY,
            Code.PERMISSION_DENIED,
            "router_ingress.route: default entry: is constant",
        ),
        (
            "table_entry { table_id: 43370402 is_default_action: true }",
            INSERT,
            Code.INVALID_ARGUMENT,
            "can only be modified",
        ),
        ("counter_entry { counter_id: 5 }", MODIFY, Code.NOT_FOUND, "counter_id: unknown counter id: 5"),
        ("extern_entry { }", INSERT, Code.UNIMPLEMENTED, "entity: is not supported"),
    ],
)
async def test_write_refused(ready: Any, text: str, kind: int, code: Code, message: str) -> None:
    error = await refused(ready.write(update(text, kind)))
    assert error.code() is grpc.StatusCode.UNKNOWN
    ((got, said),) = errors(error)
    assert message in said
    assert got == code


async def test_the_lpm_value_is_right_aligned_like_every_bytestring(ready: Any) -> None:
    """10.0.0.0 is four octets; a shorter string is a smaller number."""
    error = await refused(ready.write(update(route("\\n", 8))))
    assert errors(error)[0][0] == Code.INVALID_ARGUMENT


async def test_every_update_of_a_batch_has_its_own_answer(ready: Any) -> None:
    good, bad = update(route(TEN, 8)), update("table_entry { table_id: 99 }")
    error = await refused(ready.write(good, bad, good))
    assert [code for code, _ in errors(error)] == [Code.OK, Code.NOT_FOUND, Code.ALREADY_EXISTS]
    assert len(await ready.read(entity("table_entry { table_id: 35769601 }"))) == 1


@pytest.mark.parametrize("atomicity", [1, 2])
async def test_all_or_nothing(ready: Any, atomicity: int) -> None:
    kept = route("\\013\\000\\000\\000", 8, 1)
    await ready.write(update(kept))
    updates = [
        update(route(TEN, 8)),
        update(route("\\013\\000\\000\\000", 8, 2), MODIFY),
        update("table_entry { table_id: 99 }"),
        update(kept, DELETE),
    ]
    error = await refused(ready.write(*updates, atomicity=atomicity))
    assert [code for code, _ in errors(error)] == [Code.ABORTED, Code.ABORTED, Code.NOT_FOUND, Code.ABORTED]
    assert await ready.read(entity("table_entry { table_id: 35769601 }")) == [entity(kept)]
    await ready.write(*updates[:2], atomicity=atomicity)
    assert len(await ready.read(entity("table_entry { table_id: 35769601 }"))) == 2


async def test_a_full_table_says_so(ready: Any) -> None:
    held = [
        update(
            f"table_entry {{ table_id: 37709145 priority: {number} action {{ action {{ action_id: 21257015 }} }} "
            f'match {{ field_id: 2 ternary {{ value: "\\{number // 64:01o}{number % 64:02o}" mask: "\\377" }} }} }}'
        )
        for number in range(1, 129)
    ]
    action = next(one.preamble.id for one in ready.info.actions if one.preamble.alias == "NoAction")
    for one in held:
        one.entity.table_entry.action.action.action_id = action
    await ready.write(*held)
    last = p4runtime.Update()
    last.CopyFrom(held[0])
    last.entity.table_entry.priority = 999
    error = await refused(ready.write(last))
    text = "table: is full: 128 entries: 'router_ingress.policy' (valid: at most 128)"
    assert errors(error) == [(Code.RESOURCE_EXHAUSTED, text)]


async def test_writes_without_a_pipeline(controller: Any) -> None:
    await controller.arbitrate()
    error = await refused(controller.write(update(route(TEN, 8))))
    assert error.code() is grpc.StatusCode.FAILED_PRECONDITION


async def test_counters_are_read_and_written(served: tuple[SoftSwitch, str], ready: Any) -> None:
    text = route(TEN, 8)
    await ready.write(update(text))
    frame = bytes.fromhex(
        "000000000002000000000001080045000021000100000811e4c5c00002020a0102030035003c000ded8a68656c6c6f"
    )
    served[0].receive(3, frame)
    (found,) = await ready.read(entity("table_entry { table_id: 35769601 counter_data { } }"))
    assert (found.table_entry.counter_data.packet_count, found.table_entry.counter_data.byte_count) == (1, len(frame))
    await ready.write(update(text.replace("action {", "counter_data { packet_count: 50 } action {", 1), MODIFY))
    served[0].receive(3, frame)
    (found,) = await ready.read(entity("direct_counter_entry { table_entry { table_id: 35769601 } }"))
    assert found.direct_counter_entry.data.packet_count == 51
    counter = next(one.preamble.id for one in ready.info.counters)
    (cell,) = await ready.read(entity(f"counter_entry {{ counter_id: {counter} index {{ index: 3 }} }}"))
    assert cell.counter_entry.data.packet_count == 2


async def test_packet_out_and_packet_in(served: tuple[SoftSwitch, str], ready: Any) -> None:
    out: list[bytes] = []
    served[0].attach(9, out.append)
    request = p4runtime.StreamMessageRequest()
    request.packet.payload = b"payload of the packet"
    request.packet.metadata.add(metadata_id=1, value=b"\x09")
    await ready.stream.write(request)
    error = (await ready.receive()).error
    assert error.canonical_code == Code.INVALID_ARGUMENT
    assert error.message == "packet_out: metadata: is missing: '_pad' (valid: 1 egress_port, 2 _pad)"
    request.packet.metadata.add(metadata_id=2, value=b"\x00")
    await ready.stream.write(request)
    # A packet whose TTL has run out is punted: its packet-in comes after the packet-out was done.
    frame = bytes.fromhex("0000000000020000000000010800450000210001000001")
    frame += bytes.fromhex("11ebc5c00002020a0102030035003c000ded8a68656c6c6f")
    await ready.stub.Capabilities(p4runtime.CapabilitiesRequest())
    served[0].receive(3, frame)
    packet = (await ready.receive()).packet
    assert [(one.metadata_id, one.value) for one in packet.metadata] == [(1, b"\x03"), (2, b"\x01")]
    assert packet.payload == frame
    assert out == [b"payload of the packet"]


async def test_a_backup_sends_no_packets(served: tuple[SoftSwitch, str], ready: Any) -> None:
    async with grpc.aio.insecure_channel(served[1]) as channel:
        other = type(ready)(channel)
        assert await other.arbitrate(0) == Code.ALREADY_EXISTS
        request = p4runtime.StreamMessageRequest()
        request.packet.payload = b"x"
        await other.stream.write(request)
        error = (await other.receive()).error
    assert (error.canonical_code, error.message) == (
        Code.PERMISSION_DENIED,
        "packet_out: is not the primary's: 'this stream'",
    )


async def test_malformed_requests_are_refused(served: tuple[SoftSwitch, str]) -> None:
    async with grpc.aio.insecure_channel(served[1]) as channel:
        call: Any = channel.unary_unary("/p4.v1.P4Runtime/Write")
        error = await refused(call(b"\xff\xff\xff"))
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
