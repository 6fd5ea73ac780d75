"""P4Info of a compiled program alone: what an STF file may name, where p4c makes no P4Info (some P4-14 programs)."""

from p4pmip.softswitch.ir import MatchKind, Program, Table
from p4pmip.softswitch.target.stubs import p4info

ACTION, TABLE, PROFILE, COUNTER, DIRECT_COUNTER, REGISTER = (
    prefix << 24 for prefix in (0x01, 0x02, 0x11, 0x12, 0x13, 0x14)
)
"""P4Runtime's prefixes of ids (§6.3)."""
KINDS = {
    MatchKind.EXACT: p4info.MatchField.EXACT,
    MatchKind.LPM: p4info.MatchField.LPM,
    MatchKind.TERNARY: p4info.MatchField.TERNARY,
    MatchKind.RANGE: p4info.MatchField.RANGE,
    MatchKind.OPTIONAL: p4info.MatchField.OPTIONAL,
}


def p4info_of(program: Program) -> "p4info.P4Info":
    """Tables, actions, profiles, counters and registers by their names; ids by their order.

    Actions may have one name: each table has its own (P4-14 uses one in several tables, p4c copies it).
    """
    info = p4info.P4Info()
    for action in program.actions.values():
        one = info.actions.add()
        _named(one.preamble, ACTION | action.id, action.name)
        for number, (name, width) in enumerate(action.parameters, 1):
            one.params.add(id=number, name=name, bitwidth=width)
    for number, profile in enumerate(program.profiles.values(), 1):
        held = info.action_profiles.add(size=profile.size, with_selector=profile.selector is not None)
        _named(held.preamble, PROFILE | number, profile.name)
    for number, table in enumerate(program.tables.values(), 1):
        _table(info, program, TABLE | number, table)
    for number, (name, size) in enumerate(program.counters.items(), 1):
        cells = info.counters.add(size=size)
        cells.spec.unit = p4info.CounterSpec.BOTH
        _named(cells.preamble, COUNTER | number, name)
    for number, (name, (size, width)) in enumerate(program.registers.items(), 1):
        register = info.registers.add(size=size)
        register.type_spec.bitstring.bit.bitwidth = width
        _named(register.preamble, REGISTER | number, name)
    return info


def _named(preamble: "p4info.Preamble", number: int, name: str) -> None:
    preamble.id, preamble.name, preamble.alias = number, name, name


def _table(info: "p4info.P4Info", program: Program, number: int, table: Table) -> None:
    one = info.tables.add(size=table.size)
    _named(one.preamble, number, table.name)
    for place, field in enumerate(table.key, 1):
        one.match_fields.add(id=place, name=field.name, bitwidth=field.width, match_type=KINDS[field.match])
    for action in table.actions:
        one.action_refs.add(id=ACTION | action)
    for profile in info.action_profiles:
        if profile.preamble.name == table.profile:
            one.implementation_id = profile.preamble.id
            profile.table_ids.append(number)
    for name, counted in program.direct_counters.items():
        if counted == table.name:
            counter = info.direct_counters.add(direct_table_id=number)
            counter.spec.unit = p4info.CounterSpec.BOTH
            _named(counter.preamble, DIRECT_COUNTER | len(info.direct_counters), name)
            one.direct_resource_ids.append(counter.preamble.id)
