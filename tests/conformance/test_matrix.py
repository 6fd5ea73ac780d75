"""The conformance table and the suite say the same."""

from tests.conformance.matrix import marked, rows


def test_every_row_has_a_test_and_every_test_a_row() -> None:
    table, tests = rows(), marked()
    assert set(table) == set(tests)


def test_every_row_names_exactly_the_tests_that_name_it() -> None:
    table, tests = rows(), marked()
    wrong = {
        identifier: sorted(named ^ tests.get(identifier, set()))
        for identifier, (_, _, named) in table.items()
        if named != tests.get(identifier, set())
    }
    assert not wrong


def test_the_draft_is_covered_statement_by_statement() -> None:
    draft = [identifier for identifier in rows() if identifier.startswith("D00-")]
    assert len(draft) >= 31
    for section, count in {"3.2": 4, "3.3.1": 3, "3.3.2": 7, "4.1": 1, "4.2": 10, "5.1": 2, "5.2": 7, "6.1": 3}.items():
        assert [one for one in draft if one.startswith(f"D00-{section}-")] == [
            f"D00-{section}-{number}" for number in range(1, count + 1)
        ]


def test_nothing_is_only_planned() -> None:
    for identifier, (section, asks, named) in rows().items():
        assert named, identifier
        assert section.strip(), identifier
        assert not any(word in asks.lower() for word in ("planned", "later version")), identifier
