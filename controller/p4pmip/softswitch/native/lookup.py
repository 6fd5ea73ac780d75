"""Looking up a key in machine code: the groups of a table one after the other, one hash probe each."""

from llvmlite import ir  # type: ignore[import-untyped]

from p4pmip.softswitch.ir import MatchKind, Table
from p4pmip.softswitch.native.bits import I64
from p4pmip.softswitch.native.layout import (
    CAPACITY_MASK,
    EMPTY,
    GONE,
    GROUP_WORDS,
    MOST,
    PRIORITY,
    SEQUENCE,
    SLOTS,
    TableLayout,
)
from p4pmip.softswitch.native.slots import mixed


def define_lookup(
    module: ir.Module, name: str, layout: TableLayout, view: ir.GlobalVariable, table: Table
) -> ir.Function:
    """A function of the key's words that returns the address of the best entry, or 0.

    The view is the number of groups, then for each its masks, its capacity, its highest priority, and its slots.
    """
    words = layout.words
    function = ir.Function(module, ir.FunctionType(I64, [I64] * words), name)
    key = list(function.args)
    by_priority = any(f.match in (MatchKind.TERNARY, MatchKind.RANGE, MatchKind.OPTIONAL) for f in table.key)
    entry = function.append_basic_block("entry")
    group_head, group_body = function.append_basic_block("group"), function.append_basic_block("group_body")
    probe, probed = function.append_basic_block("probe"), function.append_basic_block("probed")
    compare, hit = function.append_basic_block("compare"), function.append_basic_block("hit")
    following, group_next = function.append_basic_block("following"), function.append_basic_block("group_next")
    done = function.append_basic_block("done")
    b = ir.IRBuilder(entry)
    at, group, best, slot = (b.alloca(I64) for _ in range(4))
    for variable in (at, best, slot):
        b.store(I64(0), variable)
    # Tables change meanwhile: what is acquired here was whole when it was published.
    address = b.load_atomic(view, "acquire", 8, typ=I64)
    pointer = b.inttoptr(address, I64.as_pointer())
    count = b.load(pointer, typ=I64)
    b.store(b.add(address, I64(8)), group)
    b.branch(group_head)

    b.position_at_end(group_head)
    index = b.load(at, typ=I64)
    b.cbranch(b.icmp_unsigned("<", index, count), group_body, done)

    b.position_at_end(group_body)
    here = b.inttoptr(b.load(group, typ=I64), I64.as_pointer())

    def word(base: ir.Value, offset: int) -> ir.Value:
        return b.load(b.gep(base, [I64(offset)], source_etype=I64), typ=I64)

    masked = [b.and_(one, word(here, offset)) for offset, one in enumerate(key)]
    if by_priority:
        have = b.load(best, typ=I64)
        check, go_on = function.append_basic_block("check"), function.append_basic_block("go_on")
        b.cbranch(b.icmp_unsigned("!=", have, I64(0)), check, go_on)
        b.position_at_end(check)
        priority = word(b.inttoptr(have, I64.as_pointer()), words + PRIORITY)
        b.cbranch(b.icmp_unsigned(">", priority, word(here, words + MOST)), done, go_on)
        b.position_at_end(go_on)
    value = None
    for one in masked:
        value = mixed(b, value, one)
    capacity = word(here, words + CAPACITY_MASK)
    slots = b.inttoptr(word(here, words + SLOTS), I64.as_pointer())
    b.store(b.and_(value, capacity), slot)
    b.branch(probe)

    b.position_at_end(probe)
    place = b.load(slot, typ=I64)
    found = b.load_atomic(b.gep(slots, [place], source_etype=I64), "acquire", 8, typ=I64)
    b.cbranch(b.icmp_unsigned("==", found, I64(EMPTY)), group_next, probed)

    b.position_at_end(probed)
    b.cbranch(b.icmp_unsigned("==", found, I64(GONE)), following, compare)

    b.position_at_end(compare)
    held = b.inttoptr(found, I64.as_pointer())
    same = None
    for offset, one in enumerate(masked):
        equal = b.icmp_unsigned("==", word(held, offset), one)
        same = equal if same is None else b.and_(same, equal)
    b.cbranch(same, hit, following)

    b.position_at_end(following)
    b.store(b.and_(b.add(place, I64(1)), capacity), slot)
    b.branch(probe)

    b.position_at_end(hit)
    if not by_priority:
        b.store(found, best)
        b.branch(done)
    else:
        have = b.load(best, typ=I64)
        compare_best, take = function.append_basic_block("compare_best"), function.append_basic_block("take")
        b.cbranch(b.icmp_unsigned("==", have, I64(0)), take, compare_best)
        b.position_at_end(compare_best)
        old = b.inttoptr(have, I64.as_pointer())
        new_priority, old_priority = word(held, words + PRIORITY), word(old, words + PRIORITY)
        higher = b.icmp_unsigned(">", new_priority, old_priority)
        equal = b.icmp_unsigned("==", new_priority, old_priority)
        earlier = b.icmp_unsigned("<", word(held, words + SEQUENCE), word(old, words + SEQUENCE))
        b.cbranch(b.or_(higher, b.and_(equal, earlier)), take, group_next)
        b.position_at_end(take)
        b.store(found, best)
        b.branch(group_next)

    b.position_at_end(group_next)
    b.store(b.add(b.load(at, typ=I64), I64(1)), at)
    b.store(b.add(b.load(group, typ=I64), I64(8 * (words + GROUP_WORDS))), group)
    b.branch(group_head)

    b.position_at_end(done)
    b.ret(b.load(best, typ=I64))
    return function
