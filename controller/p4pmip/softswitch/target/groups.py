"""Action profile members and groups, multicast groups, clone sessions and parser value sets (P4Runtime §9.2, §9.4)."""

from collections.abc import Iterable, Iterator
from functools import partial

from p4pmip.softswitch.pipeline import Pipeline, Profile
from p4pmip.softswitch.replication import CloneSession, Replica
from p4pmip.softswitch.tables import Group, Member
from p4pmip.softswitch.target.action import decode_action, encode_action
from p4pmip.softswitch.target.bytestring import decode, encode
from p4pmip.softswitch.target.refusal import Code, Refusal, invalid, not_found
from p4pmip.softswitch.target.schema import ProfileSchema, Schema, unknown
from p4pmip.softswitch.target.stubs import p4runtime
from p4pmip.softswitch.target.update import DELETE, INSERT, MODIFY, Undo, in_turn, kind_name

PORT_WIDTH = 32
INSTANCE_LIMIT = (1 << 16) - 1
"""v1model's egress_rid has 16 bits."""


def _exists(what: str, value: object) -> Refusal:
    return Refusal(Code.ALREADY_EXISTS, what, value, "already exists: MODIFY it")


def _in_use(what: str, value: object, users: int) -> Refusal:
    return Refusal(Code.FAILED_PRECONDITION, what, value, f"is in use by {users}")


class Groups:
    """Everything that names several ways on for one packet."""

    def __init__(self, schema: Schema, pipeline: Pipeline) -> None:
        self.schema = schema
        self.pipeline = pipeline
        self._replica_messages: dict[tuple[str, int], p4runtime.PacketReplicationEngineEntry] = {}

    def _profile(self, profile_id: int) -> tuple[ProfileSchema, Profile]:
        schema = self.schema.profile(profile_id)
        return schema, self.pipeline.profiles[schema.name]

    # -- members --

    def write_member(self, kind: int, given: "p4runtime.ActionProfileMember") -> Undo:
        """One member of an action profile."""
        schema, profile = self._profile(given.action_profile_id)
        number, place = given.member_id, f"{schema.name}: member"
        member = profile.members.get(number)
        if number == 0:
            raise invalid(place, number, "is not a valid id", ["1 and above"])
        if kind == INSERT:
            if member is not None:
                raise _exists(place, number)
            if len(profile.members) >= schema.size > 0:
                raise Refusal(Code.RESOURCE_EXHAUSTED, place, number, "the profile is full", [f"at most {schema.size}"])
            ref, arguments = decode_action(schema.name, schema.actions, given.action)
            profile.members[number] = Member(number, ref.action, arguments)
            return partial(_forget, profile.members, number)
        if member is None:
            raise not_found(place, number, "does not exist", sorted(profile.members))
        if kind == DELETE:
            if member.users:
                raise _in_use(place, number, member.users)
            del profile.members[number]
            return partial(profile.members.__setitem__, number, member)
        ref, arguments = decode_action(schema.name, schema.actions, given.action)
        before = member.action, member.arguments
        member.action, member.arguments = ref.action, arguments

        def undo() -> None:
            member.action, member.arguments = before

        return undo

    def read_member(self, given: "p4runtime.ActionProfileMember") -> Iterator["p4runtime.Entity"]:
        """Members of one profile, or of all."""
        for schema, profile in self._chosen(given.action_profile_id):
            for number, member in profile.members.items():
                if given.member_id in (0, number):
                    entity = p4runtime.Entity()
                    into = entity.action_profile_member
                    into.action_profile_id, into.member_id = schema.id, number
                    encode_action(schema.by_action[member.action], member.arguments, into.action)
                    yield entity

    # -- groups --

    def write_group(self, kind: int, given: "p4runtime.ActionProfileGroup") -> Undo:
        """One group of an action selector."""
        schema, profile = self._profile(given.action_profile_id)
        if not schema.selector:
            choices = [one.name for one in self.schema.profiles.values() if one.selector]
            raise invalid("action_profile_group", schema.name, "has no selector", choices)
        number, place = given.group_id, f"{schema.name}: group"
        group = profile.groups.get(number)
        if number == 0:
            raise invalid(place, number, "is not a valid id", ["1 and above"])
        if kind == INSERT:
            if group is not None:
                raise _exists(place, number)
            group = Group(number, given.max_size)
            self._fill(schema, profile, group, given)
            profile.groups[number] = group
            created = group
            return in_turn(partial(_forget, profile.groups, number), partial(_count, created, -1))
        if group is None:
            raise not_found(place, number, "does not exist", sorted(profile.groups))
        if kind == DELETE:
            if group.users:
                raise _in_use(place, number, group.users)
            del profile.groups[number]
            _count(group, -1)
            deleted = group
            return in_turn(partial(profile.groups.__setitem__, number, deleted), partial(_count, deleted, +1))
        changed, before, source = group, group.members, group.source
        if given.max_size != group.most:
            raise invalid(f"{place} {number}: max_size", given.max_size, "cannot change", [group.most])
        self._fill(schema, profile, group, given)

        def undo() -> None:
            _count(changed, -1)
            changed.set(before)
            changed.source = source
            _count(changed, +1)

        return undo

    def _fill(
        self, schema: ProfileSchema, profile: Profile, group: Group, given: "p4runtime.ActionProfileGroup"
    ) -> None:
        place = f"{schema.name}: group {given.group_id}"
        members: list[tuple[Member, int]] = []
        for one in given.members:
            if one.member_id not in profile.members:
                raise not_found(f"{place}: member", one.member_id, "does not exist", sorted(profile.members))
            if one.weight < 1:
                raise invalid(f"{place}: weight", one.weight, "must be positive", ["1 and above"])
            if one.WhichOneof("watch_kind") is not None and (one.watch or one.watch_port):
                raise Refusal(Code.UNIMPLEMENTED, f"{place}: watch_port", one.member_id, "is not supported", ["unset"])
            members.append((profile.members[one.member_id], one.weight))
        if len({member.id for member, _ in members}) != len(members):
            raise invalid(f"{place}: members", [member.id for member, _ in members], "a member is given twice")
        if given.max_size < 0 or (schema.max_group_size and not given.max_size):
            choices = [f"1..{schema.max_group_size}"] if schema.max_group_size else ["0 and above"]
            raise invalid(f"{place}: max_size", given.max_size, "is too small", choices)
        most = given.max_size
        if schema.max_group_size and given.max_size > schema.max_group_size:
            raise invalid(f"{place}: max_size", given.max_size, "is too large", [f"at most {schema.max_group_size}"])
        total = sum(weight for _, weight in members)
        if most and total > most:
            raise Refusal(Code.RESOURCE_EXHAUSTED, f"{place}: weights", total, "is too large", [f"at most {most}"])
        _count(group, -1)
        group.set(members)
        _count(group, +1)
        copy = p4runtime.ActionProfileGroup()
        copy.CopyFrom(given)
        group.source = copy

    def read_group(self, given: "p4runtime.ActionProfileGroup") -> Iterator["p4runtime.Entity"]:
        """Groups of one profile, or of all."""
        for _, profile in self._chosen(given.action_profile_id):
            for number, group in profile.groups.items():
                if given.group_id in (0, number):
                    assert isinstance(group.source, p4runtime.ActionProfileGroup)
                    entity = p4runtime.Entity()
                    entity.action_profile_group.CopyFrom(group.source)
                    yield entity

    def _chosen(self, profile_id: int) -> Iterable[tuple[ProfileSchema, Profile]]:
        if profile_id:
            return [self._profile(profile_id)]
        return [self._profile(one) for one in self.schema.profiles]

    # -- replication --

    def write_replication(self, kind: int, given: "p4runtime.PacketReplicationEngineEntry") -> Undo:
        """A multicast group or a clone session."""
        which = given.WhichOneof("type")
        if which is None:
            choices = ["multicast_group_entry", "clone_session_entry"]
            raise invalid("packet_replication_engine_entry", None, "says nothing", choices)
        multicast = which == "multicast_group_entry"
        number = given.multicast_group_entry.multicast_group_id if multicast else given.clone_session_entry.session_id
        what = "multicast group" if multicast else "clone session"
        if number == 0:
            raise invalid(what, number, "is not a valid id", ["1 and above"])
        replication = self.pipeline.replication
        key = (which, number)
        known = key in self._replica_messages
        if kind == INSERT and known:
            raise _exists(what, number)
        if kind != INSERT and not known:
            known_ids = sorted(one for name, one in self._replica_messages if name == which)
            raise not_found(what, number, "does not exist", known_ids)
        before = self._replica_messages.get(key)
        if kind == DELETE:
            del self._replica_messages[key]
            if multicast:
                del replication.groups[number]
            else:
                del replication.sessions[number]
        else:
            entry = given.multicast_group_entry if multicast else given.clone_session_entry
            replicas = tuple(self._replica(one, f"{what} {number}") for one in entry.replicas)
            if len(set(replicas)) != len(replicas):
                raise invalid(f"{what} {number}: replicas", len(replicas), "one (port, instance) is given twice")
            copy = p4runtime.PacketReplicationEngineEntry()
            copy.CopyFrom(given)
            if multicast:
                replication.groups[number] = replicas
            else:
                replication.sessions[number] = self._session(given.clone_session_entry, replicas)
            self._replica_messages[key] = copy

        def undo() -> None:
            if before is None:
                self.write_replication(DELETE, given)
            else:
                self.write_replication(MODIFY if key in self._replica_messages else INSERT, before)

        return undo

    @staticmethod
    def _session(given: "p4runtime.CloneSessionEntry", replicas: tuple[Replica, ...]) -> CloneSession:
        place = f"clone session {given.session_id}"
        if given.packet_length_bytes < 0:
            raise invalid(f"{place}: packet_length_bytes", given.packet_length_bytes, "is negative", ["0 and above"])
        if given.class_of_service:
            problem = "there are no queues"
            raise Refusal(Code.UNIMPLEMENTED, f"{place}: class_of_service", given.class_of_service, problem, [0])
        return CloneSession(replicas, given.packet_length_bytes)

    @staticmethod
    def _replica(given: "p4runtime.Replica", place: str) -> Replica:
        if given.backup_replicas:
            problem = "backup replicas are not supported"
            raise Refusal(Code.UNIMPLEMENTED, place, len(given.backup_replicas), problem, ["none"])
        if given.WhichOneof("port_kind") == "port":
            port = decode(given.port, PORT_WIDTH, f"{place}: port")
        else:
            port = given.egress_port
        if port == 0:
            raise invalid(f"{place}: port", port, "is not a valid port", ["1 and above"])
        if given.instance > INSTANCE_LIMIT:
            raise invalid(f"{place}: instance", given.instance, "does not fit egress_rid", [f"0..{INSTANCE_LIMIT}"])
        return Replica(port, given.instance)

    def read_replication(self, given: "p4runtime.PacketReplicationEngineEntry") -> Iterator["p4runtime.Entity"]:
        """Multicast groups or clone sessions, or both."""
        which = given.WhichOneof("type")
        wanted = given.multicast_group_entry.multicast_group_id or given.clone_session_entry.session_id
        for (name, number), message in self._replica_messages.items():
            if which in (None, name) and wanted in (0, number):
                entity = p4runtime.Entity()
                entity.packet_replication_engine_entry.CopyFrom(message)
                yield entity

    # -- value sets --

    def write_value_set(self, kind: int, given: "p4runtime.ValueSetEntry") -> Undo:
        """Replace the members of a parser value set."""
        info = self.schema.value_sets.get(given.value_set_id)
        if info is None:
            raise unknown("value_set_id", given.value_set_id, "value set", self.schema.value_sets)
        name = info.preamble.name
        if kind != MODIFY:
            raise invalid(f"{name}: update type", kind_name(kind), "can only be modified", ["MODIFY"])
        if len(given.members) > info.size > 0:
            problem = "is too many members"
            raise Refusal(Code.RESOURCE_EXHAUSTED, name, len(given.members), problem, [f"at most {info.size}"])
        widths = {one.id: one.bitwidth for one in info.match}
        values = [self._value(name, widths, one) for one in given.members]
        members = set(values)
        if len(members) != len(values):
            raise Refusal(Code.ALREADY_EXISTS, f"{name}: members", len(values), "a member is given twice")
        held = self.pipeline.value_sets[name]
        before = set(held)
        held.clear()
        held.update(members)
        return in_turn(held.clear, partial(held.update, before))

    @staticmethod
    def _value(name: str, widths: dict[int, int], member: "p4runtime.ValueSetMember") -> int:
        """All fields, each padded to whole octets, as a select compares them."""
        given = {one.field_id: one for one in member.match}
        value = 0
        for field_id, width in widths.items():
            one = given.get(field_id)
            if one is None or one.WhichOneof("field_match_type") != "exact":
                raise invalid(f"{name}: field_id", field_id, "needs an exact value", ["exact"])
            octets = -(-width // 8)
            value = value << 8 * octets | decode(one.exact.value, width, f"{name}: field {field_id}")
        return value

    def read_value_set(self, given: "p4runtime.ValueSetEntry") -> Iterator["p4runtime.Entity"]:
        """The members of one value set, or of all."""
        if given.value_set_id and given.value_set_id not in self.schema.value_sets:
            raise unknown("value_set_id", given.value_set_id, "value set", self.schema.value_sets)
        for number, info in self.schema.value_sets.items():
            if given.value_set_id not in (0, number):
                continue
            entity = p4runtime.Entity()
            entity.value_set_entry.value_set_id = number
            for value in sorted(self.pipeline.value_sets[info.preamble.name]):
                member = entity.value_set_entry.members.add()
                shift = sum(-(-one.bitwidth // 8) * 8 for one in info.match)
                for one in info.match:
                    shift -= -(-one.bitwidth // 8) * 8
                    part = value >> shift & (1 << one.bitwidth) - 1
                    member.match.add(field_id=one.id).exact.value = encode(part)
            yield entity


def _forget(known: dict[int, Member] | dict[int, Group], number: int) -> None:
    known.pop(number)


def _count(group: Group, by: int) -> None:
    """Members know how many groups and entries refer to them."""
    for member, _ in group.members:
        member.users += by
