"""Everything that is encoded by hand is read back by the protobuf library, equal."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p4pmip.errors import P4pmipError
from p4pmip.forwarding.entry import Entry, Lpm, Ternary
from p4pmip.forwarding.update import Operation
from p4pmip.p4runtime import wirecode
from p4pmip.p4runtime.codec import Codec, Range
from p4pmip.p4runtime.pipeline import Pipeline
from p4pmip.p4runtime.stubs import p4runtime_pb2

u16, u32, u48, u128 = (st.integers(0, (1 << width) - 1) for width in (16, 32, 48, 128))


@st.composite
def entries(draw: st.DrawFn) -> Entry:
    """Entries of every table, of every kind of match, some without their don't-care fields."""
    table = draw(st.sampled_from(["host", "tunnel", "route", "acl"]))
    to_tunnel = (("tunnel_id", draw(u32)), ("session_id", draw(u32)), ("gre_key", draw(u32)))
    if table == "host":
        match = (("realm", draw(u16)), ("address", draw(u32)))
        return Entry(table, match, *draw(st.sampled_from([("to_tunnel", to_tunnel), ("discard", ())])))
    if table == "tunnel":
        params = (("source", draw(u128)), ("destination", draw(u128)), ("mac", draw(u48)), ("hop_limit", 64))
        return Entry(table, (("tunnel_id", draw(u32)),), "encap", params)
    if table == "route":
        length = draw(st.integers(0, 128))
        prefix = draw(u128) >> (128 - length) << (128 - length)
        lpm = ((("prefix", Lpm(prefix, length))),) if length else ()
        return Entry(table, (("realm", draw(u16)), *lpm), "to_tunnel", to_tunnel)
    mask, low = draw(st.integers(1, 255)), draw(st.integers(0, 60000))
    fields = (
        ("port", draw(st.integers(0, 511))),
        ("protocol", Ternary(draw(st.integers(0, 255)) & mask, mask)),
        ("l4", Range(low, low + draw(st.integers(0, 5000)))),
    )
    kept = tuple(field for field in fields if draw(st.booleans()))
    return Entry(table, kept, "discard", (), draw(st.integers(1, (1 << 31) - 1)))  # type: ignore[arg-type]


def by_protobuf(pipeline: Pipeline, entry: Entry) -> p4runtime_pb2.TableEntry:
    """The message as the protobuf library builds it."""
    table = pipeline.schema.tables[entry.table]
    message = p4runtime_pb2.TableEntry(table_id=table.id, priority=entry.priority)
    for name, match in entry.match:
        field = message.match.add(field_id=table.fields[name].id)
        octets = wirecode.canonical
        match match:
            case Lpm(value, length):
                field.lpm.value, field.lpm.prefix_len = octets(value), length
            case Ternary(value, mask):
                field.ternary.value, field.ternary.mask = octets(value), octets(mask)
            case Range(low, high):
                field.range.low, field.range.high = octets(low), octets(high)
            case int(value) if table.fields[name].kind.value == "optional":
                field.optional.value = octets(value)
            case int(value):
                field.exact.value = octets(value)
    action = table.actions[entry.action]
    message.action.action.action_id = action.id
    for name, value in entry.params:
        message.action.action.params.add(param_id=action.params[name].id, value=wirecode.canonical(value))
    return message


@given(data=st.data())
def test_table_entry_is_what_protobuf_writes(small: Pipeline, data: st.DataObject) -> None:
    entry = data.draw(entries())
    octets = small.codec.encode(entry)
    assert octets == by_protobuf(small, entry).SerializeToString(deterministic=True)
    assert small.codec.decode(p4runtime_pb2.TableEntry.FromString(octets)) == entry


@given(data=st.data(), device_id=st.integers(0, (1 << 64) - 1), election_id=u128, role=st.sampled_from(["", "pmip"]))
def test_write_request(small: Pipeline, data: st.DataObject, device_id: int, election_id: int, role: str) -> None:
    updates = data.draw(st.lists(st.tuples(st.sampled_from(Operation), entries()), max_size=5))
    octets = [small.codec.update(operation, entry) for operation, entry in updates]
    request = p4runtime_pb2.WriteRequest.FromString(wirecode.write_request(device_id, election_id, role, octets))
    assert request.device_id == device_id
    assert request.election_id.high << 64 | request.election_id.low == election_id
    assert request.HasField("election_id") == bool(election_id)
    assert request.role == role
    assert [(update.type, update.entity.table_entry) for update in request.updates] == [
        (operation, by_protobuf(small, entry)) for operation, entry in updates
    ]


@given(data=st.data())
def test_read_response_is_taken_apart(small: Pipeline, data: st.DataObject) -> None:
    held = data.draw(st.lists(entries(), max_size=6))
    response = p4runtime_pb2.ReadResponse()
    for entry in held:
        response.entities.add().table_entry.CopyFrom(small.codec.message(entry))
    response.entities.add().counter_entry.counter_id = 7
    assert wirecode.table_entries(response.SerializeToString()) == [small.codec.encode(entry) for entry in held]


@given(octets=st.binary(max_size=60))
def test_read_response_of_any_octets(octets: bytes) -> None:
    try:
        found = wirecode.table_entries(octets)
    except (ValueError, IndexError):
        return
    assert all(entry in octets for entry in found)


@pytest.mark.parametrize("value", [0, 1, 127, 128, 300, (1 << 32) - 1, 1 << 63])
def test_varint(value: int) -> None:
    assert p4runtime_pb2.Index.FromString(b"\x08" + wirecode.varint(value)).index == (
        value if value < 1 << 63 else value - (1 << 64)
    )


TO_TUNNEL = (("tunnel_id", 1), ("session_id", 2), ("gre_key", 3))
HOST = (("realm", 1), ("address", 2))


@pytest.mark.parametrize(
    ("entry", "place", "problem"),
    [
        (Entry("hosts", (), "discard"), "table", "no such table"),
        (Entry("host", (*HOST, ("vlan", 3)), "discard"), "host.vlan", "no such key field"),
        (Entry("host", HOST[:1], "discard"), "host.address", "must be given"),
        (Entry("host", (HOST[0], HOST[0]), "discard"), "host.realm", "given twice"),
        (Entry("host", (("realm", 1 << 16), HOST[1]), "discard"), "host.realm", "does not fit 16 bits"),
        (Entry("host", (("realm", -1), HOST[1]), "discard"), "host.realm", "does not fit 16 bits"),
        (Entry("host", (("realm", Lpm(1, 16)), HOST[1]), "discard"), "host.realm", "takes an integer"),
        (Entry("host", HOST, "dismiss"), "host action", "no such action"),
        (Entry("host", HOST, "NoAction"), "host action", "default entry only"),
        (Entry("host", HOST, "discard", (("why", 1),)), "host discard.why", "no such parameter"),
        (Entry("host", HOST, "to_tunnel", TO_TUNNEL[:2]), "host to_tunnel.gre_key", "missing"),
        (Entry("host", HOST, "to_tunnel", (*TO_TUNNEL[:2], ("gre_key", 1 << 32))), "host to_tunnel.gre_key", "32 bits"),
        (Entry("host", HOST, "discard", (), 3), "host priority", "must be 0"),
        (Entry("acl", (("port", 1),), "discard"), "acl priority", "above 0"),
        (Entry("acl", (("protocol", Ternary(6, 4)),), "discard", (), 1), "acl.protocol", "outside the mask"),
        (Entry("acl", (("protocol", Ternary(0, 0)),), "discard", (), 1), "acl.protocol", "mask is not"),
        (Entry("route", (("realm", 1), ("prefix", Lpm(1, 64))), "to_tunnel", TO_TUNNEL), "route.prefix", "host bits"),
        (Entry("route", (("realm", 1), ("prefix", Lpm(0, 0))), "to_tunnel", TO_TUNNEL), "route.prefix", "length is"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_named(small: Pipeline, entry: Entry, place: str, problem: str) -> None:
    with pytest.raises(P4pmipError, match=problem) as caught:
        small.codec.encode(entry)
    assert caught.value.place == place


@given(data=st.data())
def test_padded_answers_are_the_same_entry(small: Pipeline, data: st.DataObject) -> None:
    entry = data.draw(entries().filter(lambda e: e.table in ("host", "tunnel")))
    message = small.codec.message(entry)
    for match in message.match:
        match.exact.value = match.exact.value.rjust(20, b"\0")
    for param in message.action.action.params:
        param.value = param.value.rjust(20, b"\0")
    assert Codec(small.schema).decode(message) == entry
