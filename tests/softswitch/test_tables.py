"""Match tables against the plain definition: look at every entry."""

from hypothesis import given, settings
from hypothesis import strategies as st

from p4pmip.softswitch.ir import Const, KeyField, MatchKind, Table
from p4pmip.softswitch.tables import Entry, Match, MatchTable, prefixes

WIDTHS = (4, 3)


def table(*kinds: MatchKind) -> MatchTable:
    """A table with a key of these kinds."""
    key = tuple(
        KeyField(f"k{at}", Const(0), width, kind) for at, (kind, width) in enumerate(zip(kinds, WIDTHS, strict=False))
    )
    return MatchTable(
        Table(
            name="t", key=key, actions=(), default_action=None, default_arguments=(), default_const=False, size=99,
            direct_counter=False, direct_meter=None, meter_target=None, idle_timeout=False, profile=None, entries=(),
            immutable=False, next={}, otherwise=None, on_hit=None, on_miss=None, by_hit=False,
        )
    )  # fmt: skip


def part(kind: MatchKind, width: int) -> st.SearchStrategy[tuple[int, int] | None]:
    """What an entry may say about a field."""
    top = (1 << width) - 1
    value = st.integers(0, top)
    match kind:
        case MatchKind.EXACT:
            return value.map(lambda one: (one, 0))
        case MatchKind.LPM:
            return st.none() | st.tuples(value, st.integers(1, width)).map(
                lambda one: (one[0] >> width - one[1] << width - one[1], one[1])
            )
        case MatchKind.TERNARY:
            return st.none() | st.tuples(value, value).map(lambda one: (one[0] & one[1], one[1]))
        case MatchKind.OPTIONAL:
            return st.none() | value.map(lambda one: (one, top))
        case MatchKind.RANGE:
            return st.none() | st.tuples(value, value).map(lambda one: (min(one), max(one)))


def fits(kind: MatchKind, width: int, said: tuple[int, int] | None, value: int) -> bool:
    """Whether a field has what the entry says."""
    if said is None:
        return True
    match kind:
        case MatchKind.EXACT | MatchKind.OPTIONAL:
            return value == said[0]
        case MatchKind.LPM:
            return value >> width - said[1] == said[0] >> width - said[1]
        case MatchKind.TERNARY:
            return value & said[1] == said[0]
        case MatchKind.RANGE:
            return said[0] <= value <= said[1]


def expected(kinds: tuple[MatchKind, ...], entries: list[Entry], key: tuple[int, ...]) -> Entry | None:
    """The best entry by looking at all of them."""
    found = [
        entry
        for entry in entries
        if all(fits(*one) for one in zip(kinds, WIDTHS, entry.match, key, strict=False))
    ]  # fmt: skip
    lengths = {
        id(entry): sum(
            said[1] for kind, said in zip(kinds, entry.match, strict=False) if kind is MatchKind.LPM and said
        )
        for entry in found
    }
    ternary = any(kind in (MatchKind.TERNARY, MatchKind.RANGE, MatchKind.OPTIONAL) for kind in kinds)
    rank = (lambda one: (one.priority, -one.sequence)) if ternary else (lambda one: (lengths[id(one)], 0))
    return max(found, key=rank, default=None)


KINDS = st.sampled_from(
    [
        (MatchKind.EXACT, MatchKind.EXACT),
        (MatchKind.EXACT, MatchKind.LPM),
        (MatchKind.LPM,),
        (MatchKind.TERNARY, MatchKind.EXACT),
        (MatchKind.TERNARY, MatchKind.LPM),
        (MatchKind.RANGE, MatchKind.OPTIONAL),
        (MatchKind.RANGE, MatchKind.RANGE),
        (MatchKind.OPTIONAL, MatchKind.TERNARY),
    ]
)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_find_is_the_best_of_all_entries(data: st.DataObject) -> None:
    kinds = data.draw(KINDS)
    held = table(*kinds)
    match: st.SearchStrategy[Match] = st.tuples(*(part(*one) for one in zip(kinds, WIDTHS, strict=False)))
    entries: list[Entry] = []
    for one, priority in data.draw(st.lists(st.tuples(match, st.integers(1, 5)), max_size=12)):
        rank = priority if held.needs_priority else 0
        if (one, rank) in held.by_key:
            continue
        entries.append(Entry(one, rank, 0, ()))
        held.insert(entries[-1])
    for gone in data.draw(st.lists(st.sampled_from(entries), unique=True)) if entries else ():
        entries.remove(gone)
        held.remove(gone)
    for number in range(1 << sum(WIDTHS[: len(kinds)])):
        key = (number,) if len(kinds) == 1 else (number >> WIDTHS[1], number & (1 << WIDTHS[1]) - 1)
        assert held.find(number) is expected(kinds, entries, key), key


@given(st.integers(0, 255), st.integers(0, 255))
def test_prefixes_cover_a_range_once(low: int, high: int) -> None:
    covered = [one for value, mask in prefixes(low, high, 8) for one in range(256) if one & mask == value]
    assert sorted(covered) == list(range(low, high + 1))
    assert len(list(prefixes(low, high, 8))) <= 14


def test_equal_priorities_the_first_one_wins() -> None:
    held = table(MatchKind.TERNARY)
    first, second = Entry(((1, 1),), 5, 0, ()), Entry(((2, 2),), 5, 0, ())
    held.insert(first)
    held.insert(second)
    assert held.find(3) is first
