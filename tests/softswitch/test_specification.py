"""The corners of the P4Runtime specification, on features.p4 and router.p4."""

from typing import Any

import grpc
import pytest
from google.protobuf import text_format

from p4pmip.softswitch import SoftSwitch
from p4pmip.softswitch.target.refusal import Code, Refusal
from p4pmip.softswitch.target.stubs import p4runtime, rpc_status

INSERT, MODIFY, DELETE = "INSERT", "MODIFY", "DELETE"
MEMBER = "action_profile_member { action_profile_id: <ecmp> member_id: 1 action { action_id: <send> "
MEMBER += 'params { param_id: 1 value: "\\002" } } }'
AGING = 'table_entry { table_id: <aging> match { field_id: 1 exact { value: "\\005" } } '
MARK = 'action { action { action_id: <mark> params { param_id: 1 value: "\\007" } } } '
SPREAD = 'table_entry { table_id: <spread> match { field_id: 1 exact { value: "\\005" } } '


class Features:
    """A switch that runs features.p4, without gRPC."""

    def __init__(self, config: "p4runtime.ForwardingPipelineConfig") -> None:
        self.switch = SoftSwitch()
        self.switch.load(config)
        running = self.switch.device.running
        assert running is not None
        self.running = running
        info = running.schema.info
        self.named: list[Any] = [
            *info.tables, *info.actions, *info.meters, *info.counters, *info.registers, *info.action_profiles,
            *info.value_sets, *info.digests,
        ]  # fmt: skip

    def entity(self, text: str) -> "p4runtime.Entity":
        """An entity in protobuf's text format; names in angle brackets become ids."""
        for one in self.named:
            text = text.replace(f"<{one.preamble.alias}>", str(one.preamble.id))
        return text_format.Parse(text, p4runtime.Entity())

    def write(self, text: str, kind: str = INSERT) -> None:
        """One update."""
        update = p4runtime.Update(type=p4runtime.Update.Type.Value(kind), entity=self.entity(text))
        self.running.write(update, 0.0)

    def read(self, text: str) -> "list[p4runtime.Entity]":
        """One entity of a read."""
        return list(self.running.read(self.entity(text), 0.0))


@pytest.fixture
def features(program: Any) -> Features:
    """The program, with one member, one group and one entry that idles."""
    made = Features(program("features"))
    made.write(MEMBER)
    made.write("action_profile_group { action_profile_id: <ecmp> group_id: 1 members { member_id: 1 weight: 1 } }")
    made.write(AGING + MARK + "}")
    return made


REFUSED = [
    ("is_const is read only", INSERT, SPREAD + "is_const: true }", Code.INVALID_ARGUMENT, "is_const"),
    ("is_const, deleting", DELETE, AGING + "is_const: true }", Code.INVALID_ARGUMENT, "is_const"),
    ("the time of the last hit", MODIFY, AGING + MARK + "time_since_last_hit { } }", Code.INVALID_ARGUMENT, "read"),
    ("a negative timeout", MODIFY, AGING + MARK + "idle_timeout_ns: -1 }", Code.INVALID_ARGUMENT, "negative"),
    ("counters of meters", MODIFY, AGING + MARK + "meter_counter_data { } }", Code.UNIMPLEMENTED, "meter counters"),
    ("counters of meters", MODIFY, "meter_entry { meter_id: <limits> counter_data { } }", Code.UNIMPLEMENTED, "meter"),
    ("member 0", INSERT, MEMBER.replace("member_id: 1", "member_id: 0"), Code.INVALID_ARGUMENT, "not a valid id"),
    ("member in use", DELETE, MEMBER, Code.FAILED_PRECONDITION, "in use"),
    ("member without action", INSERT, "action_profile_member { action_profile_id: <ecmp> member_id: 2 }",
     Code.INVALID_ARGUMENT, "action_id"),
    ("group 0", INSERT, "action_profile_group { action_profile_id: <ecmp> }", Code.INVALID_ARGUMENT, "not a valid id"),
    ("a negative size", INSERT, "action_profile_group { action_profile_id: <ecmp> group_id: 2 max_size: -1 }",
     Code.INVALID_ARGUMENT, "max_size"),
    ("another size", MODIFY, "action_profile_group { action_profile_id: <ecmp> group_id: 1 max_size: 3 }",
     Code.INVALID_ARGUMENT, "cannot change"),
    ("weight 0", MODIFY, "action_profile_group { action_profile_id: <ecmp> group_id: 1 members { member_id: 1 } }",
     Code.INVALID_ARGUMENT, "weight"),
    ("a member that is not there", MODIFY,
     "action_profile_group { action_profile_id: <ecmp> group_id: 1 members { member_id: 9 weight: 1 } }",
     Code.NOT_FOUND, "member"),
    ("a watched port", MODIFY, "action_profile_group { action_profile_id: <ecmp> group_id: 1 "
     'members { member_id: 1 weight: 1 watch_port: "\\001" } }', Code.UNIMPLEMENTED, "watch_port"),
    ("a direct table's member", INSERT, AGING.replace("5", "6") + "action { action_profile_member_id: 1 } }",
     Code.INVALID_ARGUMENT, "does not fit"),
    ("an action for an indirect table", INSERT, SPREAD + MARK + "}", Code.INVALID_ARGUMENT, "does not fit"),
    ("an unknown member", INSERT, SPREAD + "action { action_profile_member_id: 9 } }", Code.NOT_FOUND, "member"),
    ("an unknown group", INSERT, SPREAD + "action { action_profile_group_id: 9 } }", Code.NOT_FOUND, "group"),
    ("the default of an indirect table", MODIFY, "table_entry { table_id: <spread> is_default_action: true }",
     Code.PERMISSION_DENIED, "default"),
    ("a default entry that comes", INSERT, "table_entry { table_id: <aging> is_default_action: true }",
     Code.INVALID_ARGUMENT, "default entry"),
    ("a default entry with a timeout", MODIFY,
     "table_entry { table_id: <aging> is_default_action: true idle_timeout_ns: 1 }", Code.INVALID_ARGUMENT, "idle"),
    ("constant entries", INSERT, "table_entry { table_id: <fixed> priority: 1 }", Code.PERMISSION_DENIED, "constant"),
    ("multicast group 0", INSERT, "packet_replication_engine_entry { multicast_group_entry { } }",
     Code.INVALID_ARGUMENT, "not a valid id"),
    ("a replica twice", INSERT, "packet_replication_engine_entry { multicast_group_entry { multicast_group_id: 1 "
     "replicas { egress_port: 1 instance: 1 } replicas { egress_port: 1 instance: 1 } } }",
     Code.INVALID_ARGUMENT, "given twice"),
    ("a replica that egress_rid cannot name", INSERT, "packet_replication_engine_entry { multicast_group_entry { "
     "multicast_group_id: 1 replicas { egress_port: 1 instance: 65536 } } }", Code.INVALID_ARGUMENT, "egress_rid"),
    ("backup replicas", INSERT, "packet_replication_engine_entry { multicast_group_entry { multicast_group_id: 1 "
     'replicas { egress_port: 1 backup_replicas { port: "\\002" } } } }', Code.UNIMPLEMENTED, "backup"),
    ("a class of service", INSERT, "packet_replication_engine_entry { clone_session_entry { session_id: 1 "
     "class_of_service: 2 } }", Code.UNIMPLEMENTED, "class_of_service"),
    ("a counter comes", INSERT, "counter_entry { }", Code.INVALID_ARGUMENT, "MODIFY"),
    ("a register's index", MODIFY, "register_entry { register_id: <cells> index { index: -1 } "
     'data { bitstring: "\\001" } }', Code.INVALID_ARGUMENT, "negative"),
    ("a register's end", MODIFY, "register_entry { register_id: <cells> index { index: 8 } "
     'data { bitstring: "\\001" } }', Code.OUT_OF_RANGE, "too large"),
    ("a value set's member twice", MODIFY, "value_set_entry { value_set_id: <special> "
     + 2 * 'members { match { field_id: 1 exact { value: "\\001" } } } ' + "}", Code.ALREADY_EXISTS, "twice"),
    ("too many members", MODIFY, "value_set_entry { value_set_id: <special> " + "".join(
        f'members {{ match {{ field_id: 1 exact {{ value: "\\{at:03o}" }} }} }} ' for at in range(1, 6)) + "}",
     Code.RESOURCE_EXHAUSTED, "at most 4"),
    ("a value set comes", INSERT, "value_set_entry { value_set_id: <special> }", Code.INVALID_ARGUMENT, "MODIFY"),
    ("a digest that is not there", MODIFY, "digest_entry { digest_id: <learnt_t> }", Code.NOT_FOUND, "INSERT it"),
    ("an extern", INSERT, "extern_entry { }", Code.UNIMPLEMENTED, "externs"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "text", "code", "message"), [one[1:] for one in REFUSED], ids=[o[0] for o in REFUSED])
def test_refused(features: Features, kind: str, text: str, code: Code, message: str) -> None:
    before = [one.SerializeToString() for one in features.running.everything(0.0)]
    with pytest.raises(Refusal, match=message) as caught:
        features.write(text, kind)
    assert caught.value.code is code
    assert [one.SerializeToString() for one in features.running.everything(0.0)] == before, "something has changed"


def test_delete_looks_at_the_key_only(features: Features) -> None:
    nonsense = 'action { action { action_id: 1 } } idle_timeout_ns: -5 meter_config { cir: -1 } metadata: "x" }'
    features.write(AGING + nonsense, DELETE)
    assert features.read("table_entry { table_id: <aging> }") == []
    features.write("action_profile_group { action_profile_id: <ecmp> group_id: 1 max_size: 99 }", DELETE)
    features.write("action_profile_member { action_profile_id: <ecmp> member_id: 1 }", DELETE)


def test_one_shot_sets_and_members_do_not_mix(features: Features) -> None:
    one_shot = "action { action_profile_action_set { " + 2 * (
        'action_profile_actions { action { action_id: <send> params { param_id: 1 value: "\\003" } } weight: 1 } '
    )
    other = SPREAD.replace("5", "6")
    features.write(SPREAD + "action { action_profile_group_id: 1 } }")
    with pytest.raises(Refusal, match="do not mix"):
        features.write(other + one_shot + "} } }")
    features.write(SPREAD + one_shot + "} } }", MODIFY)
    (held,) = features.read("table_entry { table_id: <spread> }")
    assert len(held.table_entry.action.action_profile_action_set.action_profile_actions) == 2
    with pytest.raises(Refusal, match="do not mix"):
        features.write(other + "action { action_profile_member_id: 1 } }")


def test_metadata_and_timeouts_are_read_back(features: Features) -> None:
    features.write(AGING + MARK + 'idle_timeout_ns: 7 metadata: "abc" controller_metadata: 9 }', MODIFY)
    (plain,) = features.read("table_entry { table_id: <aging> }")
    entry = plain.table_entry
    assert (entry.idle_timeout_ns, entry.metadata, entry.controller_metadata) == (7, b"abc", 9)
    assert not entry.HasField("time_since_last_hit")
    assert not entry.is_const
    (timed,) = features.read("table_entry { table_id: <aging> time_since_last_hit { } }")
    assert timed.table_entry.HasField("time_since_last_hit")
    assert features.read('table_entry { table_id: <aging> metadata: "abd" }') == []
    group = "packet_replication_engine_entry { multicast_group_entry { multicast_group_id: 4 "
    features.write(group + 'replicas { egress_port: 1 } metadata: "xyz" } }')
    (read,) = features.read("packet_replication_engine_entry { multicast_group_entry { } }")
    assert read.packet_replication_engine_entry.multicast_group_entry.metadata == b"xyz"


# -- over gRPC --


def parts(error: grpc.aio.AioRpcError) -> list[int]:
    """The code for each part of a request."""
    status = rpc_status.Status.FromString(dict(error.trailing_metadata() or ())["grpc-status-details-bin"])
    assert (status.code, status.message) == (error.code().value[0], error.details())
    codes = []
    for one in status.details:
        unpacked = p4runtime.Error()
        assert one.Unpack(unpacked)
        codes.append(unpacked.canonical_code)
    return codes


@pytest.fixture
async def ready(controller: Any, program: Any) -> Any:
    """A primary controller of a switch that runs the router."""
    await controller.arbitrate()
    await controller.push(program("router"))
    return controller


async def test_a_read_answers_what_it_can_and_says_what_it_cannot(ready: Any) -> None:
    wanted = ["counter_entry { }", "table_entry { table_id: 99 }", "table_entry { }", "meter_entry { meter_id: 7 }"]
    request = p4runtime.ReadRequest(
        device_id=1, entities=[text_format.Parse(one, p4runtime.Entity()) for one in [*wanted, ""]]
    )
    found, caught = [], None
    try:
        async for response in ready.stub.Read(request):
            found += response.entities
    except grpc.aio.AioRpcError as error:
        caught = error
    assert caught is not None
    assert caught.code() is grpc.StatusCode.UNKNOWN
    assert parts(caught) == [0, Code.NOT_FOUND, 0, Code.NOT_FOUND, Code.INVALID_ARGUMENT]
    assert {one.WhichOneof("entity") for one in found} == {"counter_entry"}


async def test_reads_without_pipeline_device_or_role(controller: Any, program: Any) -> None:
    async def code(**fields: Any) -> grpc.StatusCode:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            async for _ in controller.stub.Read(p4runtime.ReadRequest(**fields)):
                pass
        return caught.value.code()

    assert await code(device_id=1) is grpc.StatusCode.FAILED_PRECONDITION
    await controller.arbitrate()
    await controller.push(program("router"))
    assert await code(device_id=2) is grpc.StatusCode.NOT_FOUND
    assert await code(device_id=1, role="nobody") is grpc.StatusCode.NOT_FOUND


async def test_a_counter_without_data_stays_and_one_that_is_not_there_is_not_found(ready: Any) -> None:
    counter = next(one.preamble.id for one in ready.info.counters)
    text = f"counter_entry {{ counter_id: {counter} index {{ index: 1 }} data {{ packet_count: 5 byte_count: 6 }} }}"
    given = text_format.Parse(text, p4runtime.Entity())
    await ready.write(p4runtime.Update(type=p4runtime.Update.MODIFY, entity=given))
    given.counter_entry.ClearField("data")
    await ready.write(p4runtime.Update(type=p4runtime.Update.MODIFY, entity=given))
    (read,) = await ready.read(given)
    assert (read.counter_entry.data.packet_count, read.counter_entry.data.byte_count) == (5, 6)
    table = next(one.preamble.id for one in ready.info.tables if one.preamble.alias == "route")
    missing = text_format.Parse(
        f"direct_counter_entry {{ table_entry {{ table_id: {table} "
        'match { field_id: 1 lpm { value: "\\n\\000\\000\\000" prefix_len: 8 } } } }',
        p4runtime.Entity(),
    )
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await ready.read(missing)
    assert parts(caught.value) == [Code.NOT_FOUND]


async def test_after_save_writes_and_reads_are_of_the_saved_program(
    served: tuple[SoftSwitch, str], ready: Any, program: Any
) -> None:
    router, old = served[0].device.running, ready.info
    await ready.push(program("features"), "VERIFY_AND_SAVE")
    assert served[0].device.running is router, "packets still run in the old program"
    aging = next(one.preamble.id for one in ready.info.tables if one.preamble.alias == "aging")
    mark = next(one.preamble.id for one in ready.info.actions if one.preamble.alias == "mark")
    text = (AGING + MARK + "}").replace("<aging>", str(aging)).replace("<mark>", str(mark))
    given = text_format.Parse(text, p4runtime.Entity())
    await ready.write(p4runtime.Update(type=p4runtime.Update.INSERT, entity=given))
    route = next(one.preamble.id for one in old.tables if one.preamble.alias == "route")
    with pytest.raises(grpc.aio.AioRpcError):
        await ready.read(p4runtime.Entity(table_entry=p4runtime.TableEntry(table_id=route)))
    commit = p4runtime.SetForwardingPipelineConfigRequest(device_id=1)
    commit.action = p4runtime.SetForwardingPipelineConfigRequest.COMMIT
    commit.election_id.low = 1
    await ready.stub.SetForwardingPipelineConfig(commit)
    assert served[0].device.running is not router
    (read,) = await ready.read(p4runtime.Entity(table_entry=p4runtime.TableEntry(table_id=aging)))
    assert read == given
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await ready.stub.SetForwardingPipelineConfig(commit)
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND


async def test_an_election_id_of_zero_is_one(controller: Any, served: tuple[SoftSwitch, str]) -> None:
    request = p4runtime.StreamMessageRequest()
    request.arbitration.device_id = 1
    request.arbitration.election_id.SetInParent()
    await controller.stream.write(request)
    assert (await controller.receive()).arbitration.status.code == Code.OK
    write = p4runtime.WriteRequest(device_id=1)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await controller.stub.Write(write)
    assert caught.value.code() is grpc.StatusCode.PERMISSION_DENIED, "unset is not zero"
    write.election_id.SetInParent()
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await controller.stub.Write(write)
    assert caught.value.code() is grpc.StatusCode.FAILED_PRECONDITION, "that was the primary, but there is no pipeline"


async def test_a_primary_may_step_down(controller: Any) -> None:
    assert await controller.arbitrate(5) == Code.OK
    assert await controller.arbitrate(3) == Code.NOT_FOUND
    assert await controller.arbitrate(None) == Code.NOT_FOUND
    assert await controller.arbitrate(4) == Code.NOT_FOUND, "5 is the highest that was seen"
    assert await controller.arbitrate(5) == Code.OK, "equal to the highest is enough"


async def test_stream_errors_name_what_they_answer(ready: Any) -> None:
    request = p4runtime.StreamMessageRequest()
    request.digest_ack.digest_id = 99
    await ready.stream.write(request)
    error = (await ready.receive()).error
    assert (error.canonical_code, error.WhichOneof("details")) == (Code.INVALID_ARGUMENT, "digest_list_ack")
    assert error.digest_list_ack.digest_list_ack.digest_id == 99
    request = p4runtime.StreamMessageRequest()
    request.other.type_url = "x"
    await ready.stream.write(request)
    error = (await ready.receive()).error
    assert (error.WhichOneof("details"), error.other.other.type_url) == ("other", "x")


async def test_capabilities_of_a_device(controller: Any) -> None:
    for device in (0, 1):
        answer = await controller.stub.Capabilities(p4runtime.CapabilitiesRequest(device_id=device))
        assert answer.p4runtime_api_version.split(".")[0] == "1"
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await controller.stub.Capabilities(p4runtime.CapabilitiesRequest(device_id=2))
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND
