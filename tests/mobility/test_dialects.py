"""The GRE decision tables over their whole input product, against tables written out here from the texts."""

from itertools import product

import pytest

from p4pmip.mobility.binding import Gre
from p4pmip.mobility.dialects import (
    Action,
    Answer,
    Dialect,
    Kind,
    Memo,
    Verdict,
    lma_decision,
    mag_decision,
    refresh_with_option,
)

DRAFT, RFC, STRICT = Dialect.DRAFT_00, Dialect.RFC5845, Dialect.RFC5845_STRICT
OPTION = {Gre.PLAIN: "none", Gre.MODE: "2", Gre.KEYED: "6"}
VERDICT = {
    Verdict.ACCEPTED: "0",
    Verdict.ACCEPTED_NOT_REQUIRED: "2",
    Verdict.NOT_SUPPORTED: "TBA1",
    Verdict.REQUIRED: "TBA2",
}

# kind | option | BCE | condition | draft-00 | rfc5845 | strict (empty: as rfc5845)
# An outcome: status, option of the answer, what the BCE becomes; `initial`: as the initial row with the same option.
LMA_TABLE = """
deregistration | *    | *          | -            | 0 none plain | 0 none plain |
initial        | none | *          | required     | TBA2         | TBA2         |
initial        | none | *          | -            | 0 none plain | 0 none plain |
initial        | 2 6  | *          | no gre       | TBA1         | 0 none plain |
initial        | 2 6  | *          | wants none   | 0 none plain | 2 none plain |
initial        | 6    | *          | -            | 0 6 keyed    | 0 6 keyed    |
initial        | 2    | *          | key required | TBA2         | TBA2         |
initial        | 2    | *          | -            | 0 2 mode     | 0 2 mode     |
refresh        | 6    | keyed      | -            | 0 6 keyed    | 0 6 keyed    |
refresh        | 6    | mode plain | -            | initial      | initial      |
refresh        | 2    | keyed      | key required | TBA2         | TBA2         |
refresh        | 2    | keyed mode | -            | 0 2 mode     | 0 2 mode     |
refresh        | 2    | plain      | -            | initial      | initial      |
refresh        | none | keyed      | required     | 0 none keyed | 0 6 keyed    | TBA2
refresh        | none | keyed      | -            | 0 none keyed | 0 6 keyed    |
refresh        | none | mode       | required     | 0 none mode  | 0 2 mode     | TBA2
refresh        | none | mode       | -            | 0 none mode  | 0 2 mode     |
refresh        | none | plain      | -            | initial      | initial      |
handoff        | 6    | keyed      | -            | 0 6 keyed    | 0 6 keyed    |
handoff        | 6    | mode plain | -            | initial      | initial      |
handoff        | 2    | keyed      | key required | TBA2         | TBA2         |
handoff        | 2    | *          | -            | initial      | initial      |
handoff        | none | keyed      | required     | TBA2         | TBA2         |
handoff        | none | keyed      | -            | TBA2         | 0 none plain |
handoff        | none | mode plain | -            | initial      | initial      |
"""


def expected_lma(
    dialect: Dialect, kind: str, option: str, held: str, wanted: str, required: bool, supported: bool
) -> str:
    """Read the table above."""
    holds = {
        "-": True,
        "required": required and wanted != "plain",
        "key required": required and wanted == "keyed",
        "no gre": not supported,
        "wants none": wanted == "plain",
    }
    for line in LMA_TABLE.strip().splitlines():
        row_kind, options, helds, condition, draft, rfc, strict = (cell.strip() for cell in line.split("|"))
        if row_kind != kind or not holds[condition]:
            continue
        if options != "*" and option not in options.split():
            continue
        if helds != "*" and held not in helds.split():
            continue
        outcome = draft if dialect is DRAFT else (strict or rfc) if dialect is STRICT else rfc
        if outcome == "initial":
            return expected_lma(dialect, "initial", option, held, wanted, required, supported)
        return outcome
    raise AssertionError("the table is not total")


@pytest.mark.requirement(
    "D00-3.2-2",
    "D00-3.2-3",
    "D00-3.3.1-3",
    "D00-3.3.2-3",
    "D00-3.3.2-4",
    "D00-5.2-1",
    "D00-5.2-4",
    "D00-5.2-5",
    "R5845-2.2-1",
    "R5845-3.3.1-2",
    "R5845-3.3.2-6",
    "R5845-3.3.2-7",
    "R5845-3.3.2-8",
    "R5845-5.2-1",
    "R5845-5.2-2",
    "R5845-5.2-4",
    "R5845-5.2-5",
    "R5845-5.2-6",
)
def test_lma_table_over_its_whole_product() -> None:
    rows = 0
    for dialect, kind, option, held, wanted, required, supported in product(
        Dialect, Kind, Gre, Gre, Gre, (False, True), (False, True)
    ):
        decision = lma_decision(dialect, kind, option, held, wanted, required, supported)
        expected = expected_lma(dialect, kind.value, OPTION[option], held.value, wanted.value, required, supported)
        got = VERDICT[decision.verdict]
        if not decision.refused:
            got += f" {OPTION[decision.option]} {decision.becomes.value}"
        assert got == expected, (dialect, kind, option, held, wanted, required, supported)
        rows += 1
    assert rows == 3 * 4 * 3 * 3 * 3 * 2 * 2


@pytest.mark.requirement("OUR-GRE-6")
def test_a_lenient_refresh_without_option_is_counted() -> None:
    for held in (Gre.MODE, Gre.KEYED):
        decision = lma_decision(RFC, Kind.REFRESH, Gre.PLAIN, held, Gre.KEYED, True, True)
        assert decision.counter == "refresh_without_option"
        assert lma_decision(DRAFT, Kind.REFRESH, Gre.PLAIN, held, Gre.KEYED, True, True).counter is None


# sent | status | option | BULE | draft-00 | rfc5845 (both dialects of it)
# `ok` is below 128 and not 2; the first row that fits decides.
MAG_TABLE = """
2 6    | 2    | 2 6  | *              | as ok                    | plain session option_with_status_2
6      | ok   | 6    | *              | keyed                    | keyed
6      | ok   | 2    | *              | mode - uplink_key_missing | mode - uplink_key_missing
2      | ok   | 2    | *              | mode                     | mode
2      | ok   | 6    | *              | deregister - unrequested_key | deregister - unrequested_key
2 6    | 2    | none | *              | plain                    | plain session
2 6    | ok   | none | *              | plain                    | plain lma
2 6    | TBA1 | *    | *              | resend_without mobile_node | refused
none 2 | TBA2 | *    | *              | resend_with              | resend_with
6      | TBA2 | *    | *              | alarm                    | alarm
none   | ok   | none | new plain      | plain                    | plain
none   | 2    | none | new plain      | plain                    | plain
none   | ok   | none | mode keyed     | keep                     | keep - peer_without_option
none   | 2    | none | mode keyed     | keep                     | plain session
none   | ok   | 6    | keyed          | update                   | update
none   | 2    | 6    | keyed          | update                   | update
none   | ok   | 2    | mode           | keep                     | keep
none   | 2    | 2    | mode           | keep                     | keep
none   | ok   | *    | mode keyed     | keep - unexpected_option | keep - unexpected_option
none   | 2    | *    | mode keyed     | keep - unexpected_option | keep - unexpected_option
none   | ok   | *    | new plain      | plain - unexpected_option | plain - unexpected_option
none   | 2    | *    | new plain      | plain - unexpected_option | plain - unexpected_option
*      | *    | *    | *              | refused                  | refused
"""
ANSWER = {
    Answer.ACCEPTED: "ok",
    Answer.NOT_REQUIRED: "2",
    Answer.NOT_SUPPORTED: "TBA1",
    Answer.REQUIRED: "TBA2",
    Answer.REFUSED: "other",
}


def expected_mag(dialect: Dialect, sent: str, answer: str, option: str, held: str) -> str:
    """Read the table above."""
    for line in MAG_TABLE.strip().splitlines():
        cells = [cell.strip() for cell in line.split("|")]
        inputs = (sent, answer, option, held)
        if all(cell == "*" or value in cell.split() for cell, value in zip(cells[:4], inputs, strict=True)):
            outcome = cells[4] if dialect is DRAFT else cells[5]
            return expected_mag(dialect, sent, "ok", option, held) if outcome == "as ok" else outcome
    raise AssertionError("the table is not total")


@pytest.mark.requirement(
    "D00-4.2-3",
    "D00-4.2-4",
    "D00-4.2-6",
    "D00-4.2-7",
    "R5845-4.2-3",
    "R5845-4.2-4",
    "R5845-4.2-6",
    "R5845-4.2-10",
    "R5845-4.2-11",
)
def test_mag_table_over_its_whole_product() -> None:
    rows = 0
    helds: tuple[Gre | None, ...] = (*Gre, None)
    for dialect, sent, answer, option, held in product(Dialect, Gre, Answer, Gre, helds):
        decision = mag_decision(dialect, sent, answer, option, held)
        words = [decision.action.name.lower()]
        if decision.memo is not None or decision.counter is not None:
            words.append("-" if decision.memo is None else decision.memo.name.lower())
        if decision.counter is not None:
            words.append(decision.counter)
        expected = expected_mag(
            dialect, OPTION[sent], ANSWER[answer], OPTION[option], "new" if held is None else held.value
        )
        assert " ".join(words) == expected, (dialect, sent, answer, option, held)
        rows += 1
    assert rows == 3 * 3 * 5 * 3 * 4


@pytest.mark.requirement("D00-3.3.2-1", "R5845-3.3.2-3")
def test_who_repeats_the_option_on_a_refresh() -> None:
    for held in (Gre.MODE, Gre.KEYED):
        assert not refresh_with_option(DRAFT, held)
        assert refresh_with_option(RFC, held)
        assert refresh_with_option(STRICT, held)
    for dialect in Dialect:
        assert not refresh_with_option(dialect, Gre.PLAIN)


def test_memos_belong_to_outcomes_without_gre() -> None:
    for dialect, sent, answer, option in product(Dialect, Gre, Answer, Gre):
        decision = mag_decision(dialect, sent, answer, option, None)
        if decision.memo in (Memo.SESSION, Memo.LMA):
            assert decision.action is Action.PLAIN
