"""A committed configuration with its entities: which part of it answers for which kind."""

from collections.abc import Iterator

from p4pmip.softswitch.target.cells import Cells
from p4pmip.softswitch.target.config import Loaded
from p4pmip.softswitch.target.digests import Digests
from p4pmip.softswitch.target.entries import TableEntries
from p4pmip.softswitch.target.groups import Groups
from p4pmip.softswitch.target.refusal import Code, Refusal, invalid
from p4pmip.softswitch.target.stubs import p4runtime
from p4pmip.softswitch.target.update import Undo


class Running:
    """A committed configuration with everything a controller can write and read."""

    def __init__(self, loaded: Loaded) -> None:
        self.config = loaded.config
        self.schema = loaded.schema
        self.pipeline = loaded.pipeline
        self.entries = TableEntries(self.schema, self.pipeline)
        self.cells = Cells(self.schema, self.pipeline, self.entries)
        self.groups = Groups(self.schema, self.pipeline)
        self.digests = Digests(self.schema)

    def write(self, update: "p4runtime.Update", now: float) -> Undo:
        """One update of any entity."""
        kind, entity = update.type, update.entity
        which = entity.WhichOneof("entity")
        if not kind:
            raise invalid("update type", "UNSPECIFIED", "must be given", ["INSERT", "MODIFY", "DELETE"])
        match which:
            case "table_entry":
                return self.entries.write(kind, entity.table_entry, now)
            case "counter_entry":
                return self.cells.write_counter(kind, entity.counter_entry)
            case "direct_counter_entry":
                return self.cells.write_direct_counter(kind, entity.direct_counter_entry)
            case "meter_entry":
                return self.cells.write_meter(kind, entity.meter_entry, now)
            case "direct_meter_entry":
                return self.cells.write_direct_meter(kind, entity.direct_meter_entry, now)
            case "register_entry":
                return self.cells.write_register(kind, entity.register_entry)
            case "action_profile_member":
                return self.groups.write_member(kind, entity.action_profile_member)
            case "action_profile_group":
                return self.groups.write_group(kind, entity.action_profile_group)
            case "packet_replication_engine_entry":
                return self.groups.write_replication(kind, entity.packet_replication_engine_entry)
            case "value_set_entry":
                return self.groups.write_value_set(kind, entity.value_set_entry)
            case "digest_entry":
                return self.digests.write(kind, entity.digest_entry)
            case _:
                raise _unsupported(which)

    def read(self, entity: "p4runtime.Entity", now: float) -> Iterator["p4runtime.Entity"]:
        """All entities that one entity of a ReadRequest asks for."""
        which = entity.WhichOneof("entity")
        match which:
            case "table_entry":
                return self.entries.read(entity.table_entry, now)
            case "counter_entry":
                return self.cells.read_counter(entity.counter_entry)
            case "direct_counter_entry":
                return self.cells.read_direct_counter(entity.direct_counter_entry)
            case "meter_entry":
                return self.cells.read_meter(entity.meter_entry)
            case "direct_meter_entry":
                return self.cells.read_direct_meter(entity.direct_meter_entry)
            case "register_entry":
                return self.cells.read_register(entity.register_entry)
            case "action_profile_member":
                return self.groups.read_member(entity.action_profile_member)
            case "action_profile_group":
                return self.groups.read_group(entity.action_profile_group)
            case "packet_replication_engine_entry":
                return self.groups.read_replication(entity.packet_replication_engine_entry)
            case "value_set_entry":
                return self.groups.read_value_set(entity.value_set_entry)
            case "digest_entry":
                return self.digests.read(entity.digest_entry)
            case _:
                raise _unsupported(which)

    def everything(self, now: float) -> list["p4runtime.Entity"]:
        """All that was written, parents first: what a reconcile carries over."""
        wanted = [p4runtime.Entity() for _ in range(10)]
        wanted[0].action_profile_member.SetInParent()
        wanted[1].action_profile_group.SetInParent()
        wanted[2].packet_replication_engine_entry.SetInParent()
        wanted[3].value_set_entry.SetInParent()
        wanted[4].digest_entry.SetInParent()
        wanted[5].table_entry.meter_config.SetInParent()
        wanted[5].table_entry.counter_data.SetInParent()
        wanted[6].CopyFrom(wanted[5])
        wanted[6].table_entry.is_default_action = True
        wanted[7].counter_entry.SetInParent()
        wanted[8].meter_entry.SetInParent()
        wanted[9].register_entry.SetInParent()
        return [found for one in wanted for found in self.read(one, now)]


def _unsupported(which: str | None) -> Refusal:
    if which is None:
        return invalid("entity", None, "says nothing")
    return Refusal(Code.UNIMPLEMENTED, "entity", which, "is not supported: v1model has no other externs")
