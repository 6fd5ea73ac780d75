"""The configuration reference in the documentation is that of the schema."""

from pathlib import Path

from p4pmip.node.reference import BEGIN, END, reference


def test_the_reference_is_up_to_date() -> None:
    text = (Path(__file__).parents[2] / "docs" / "operations.md").read_text()
    assert text.partition(BEGIN)[2].partition(END)[0].strip() == reference().strip()
