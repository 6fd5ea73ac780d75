"""What an entry does: an action, or a member, group or one-shot set of an action profile (P4Runtime §9.1.2)."""

from p4pmip.softswitch.pipeline import Pipeline
from p4pmip.softswitch.tables import Entry, Group, Member
from p4pmip.softswitch.target.action import decode_action, encode_action
from p4pmip.softswitch.target.refusal import Code, Refusal, invalid, not_found
from p4pmip.softswitch.target.schema import Schema, TableSchema
from p4pmip.softswitch.target.stubs import p4runtime


class Choices:
    """Actions of table entries, from messages and into them."""

    def __init__(self, schema: Schema, pipeline: Pipeline) -> None:
        self.schema = schema
        self.pipeline = pipeline

    def set(self, schema: TableSchema, entry: Entry, given: "p4runtime.TableAction", default: bool = False) -> None:
        """Give an entry what a message says.

        Raises:
            Refusal: the table, or the place as a default action, does not allow it; the entry is as it was.
        """
        kind = given.WhichOneof("type")
        if kind == "action" and schema.profile is None:
            ref, arguments = decode_action(schema.name, schema.actions, given.action)
            if ref.table_only if default else ref.default_only:
                problem = "is not allowed " + ("as the default action" if default else "but as the default action")
                raise Refusal(Code.PERMISSION_DENIED, f"{schema.name}: action", ref.name, problem)
            entry.action, entry.arguments = ref.action, arguments
            return
        if schema.profile is None or kind in (None, "action"):
            choices = ["action"] if schema.profile is None else ["action_profile_member_id"]
            choices += ["action_profile_group_id", "action_profile_action_set"] if schema.selector else []
            raise invalid(f"{schema.name}: action", kind, "does not fit the table", choices)
        self._refuse_mixed(schema, entry, kind == "action_profile_action_set")
        entry.choice, entry.source = self._choice(schema, str(kind), given), None
        if kind == "action_profile_action_set":
            copy = p4runtime.TableAction()
            copy.CopyFrom(given)
            entry.source = copy

    def _refuse_mixed(self, schema: TableSchema, entry: Entry, one_shot: bool) -> None:
        """The entries of a selector are all one-shot sets, or none is (§9.2.3)."""
        for other in self.schema.tables.values():
            if other.profile != schema.profile:
                continue
            for held in self.pipeline.tables[other.name].by_key.values():
                if other is schema and (held.match, held.priority) == (entry.match, entry.priority):
                    continue
                if (held.source is not None) != one_shot:
                    problem = "one-shot sets and members or groups do not mix in one selector"
                    choices = ["members and groups" if one_shot else "action_profile_action_set"]
                    raise invalid(f"{schema.name}: action", "one-shot" if one_shot else "member", problem, choices)
                return

    def _choice(self, schema: TableSchema, kind: str, given: "p4runtime.TableAction") -> Member | Group:
        profile = self.pipeline.profiles[self.schema.profile(schema.profile or 0).name]
        if kind == "action_profile_member_id":
            number = given.action_profile_member_id
            if number not in profile.members:
                raise not_found(f"{schema.name}: member", number, "does not exist", sorted(profile.members))
            return profile.members[number]
        if not schema.selector:
            raise invalid(f"{schema.name}: action", kind, "needs a selector", ["action_profile_member_id"])
        if kind == "action_profile_group_id":
            number = given.action_profile_group_id
            if number not in profile.groups:
                raise not_found(f"{schema.name}: group", number, "does not exist", sorted(profile.groups))
            return profile.groups[number]
        return self._action_set(schema, given.action_profile_action_set)

    def _action_set(self, schema: TableSchema, given: "p4runtime.ActionProfileActionSet") -> Group:
        """A one-shot group (§9.2.3)."""
        members: list[tuple[Member, int]] = []
        for one in given.action_profile_actions:
            if one.weight < 1:
                raise invalid(f"{schema.name}: weight", one.weight, "must be positive", ["1 and above"])
            if one.WhichOneof("watch_kind") is not None and (one.watch or one.watch_port):
                raise Refusal(Code.UNIMPLEMENTED, f"{schema.name}: watch_port", "set", "is not supported", ["unset"])
            ref, arguments = decode_action(schema.name, schema.actions, one.action)
            members.append((Member(0, ref.action, arguments), one.weight))
        group = Group(0)
        group.set(members)
        return group

    def encode(self, schema: TableSchema, entry: Entry, into: "p4runtime.TableEntry") -> None:
        """The entry's action, member, group or one-shot set."""
        match entry.choice:
            case None:
                ref = schema.by_action.get(entry.action)
                if ref is not None:
                    encode_action(ref, entry.arguments, into.action.action)
            case Member(id=number):
                into.action.action_profile_member_id = number
            case Group() if entry.source is not None:
                assert isinstance(entry.source, p4runtime.TableAction)
                into.action.CopyFrom(entry.source)
            case Group(id=number):
                into.action.action_profile_group_id = number


def use(entry: Entry, by: int) -> None:
    """Count who refers to members and groups, so that none is deleted while it is in use."""
    if entry.choice is not None:
        entry.choice.users += by
