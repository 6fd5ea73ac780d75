"""What the documents refer to is there: files, sections, commands with their options, targets of make, pictures."""

import argparse
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from p4pmip.cli.main import build_parser

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted(
    path.relative_to(ROOT)
    for pattern in ("*.md", "docs/*.md", "examples/**/*.md", "fuzz/*.md", "bench/**/*.md", "tests/**/*.md")
    for path in ROOT.glob(pattern)
)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```(?:sh)?\n(.*?)^```", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"`([^`]+)`")
COMMAND = re.compile(r"(?:^|[\s/])p4pmip ([a-z][a-z0-9]*)([^#|`]*)")
MAKE = re.compile(r"^(?:sudo )?make ([a-z][a-z0-9-]*)")
PLACE = re.compile(r"(?:bench|controller|docs|examples|fuzz|mininet|p4src|tests)/[\w./-]*\w|\w+(?:/\w+)+\.py")
MADE = re.compile(r"bench/results\.json|.*\.(sock|db)")
"""Made by a command, and in no checkout."""


def text_of(document: Path) -> str:
    """The document."""
    return (ROOT / document).read_text(encoding="utf-8")


def spans(document: Path) -> Iterator[str]:
    """What stands as code in a document, lines of blocks and words in a sentence alike."""
    text = text_of(document)
    for block in FENCE.findall(text):
        yield from block.splitlines()
    yield from CODE.findall(re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL).replace("\n", " "))


def anchors(document: Path) -> set[str]:
    """The sections of a document, by the names that links give them."""
    titles = re.findall(r"^#+ (.*)$", text_of(document), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def parsers() -> dict[str, argparse.ArgumentParser]:
    """Every command's parser."""
    (commands,) = (one for one in build_parser()._actions if isinstance(one, argparse._SubParsersAction))
    return dict(commands.choices)


def test_there_are_documents() -> None:
    """Else everything below would hold."""
    assert {Path("README.md"), Path("docs/tutorial.md"), Path("examples/figure-1/README.md")} <= set(DOCUMENTS)
    assert sum(len(LINK.findall(text_of(document))) for document in DOCUMENTS) > 20


@pytest.mark.parametrize("document", DOCUMENTS, ids=str)
def test_links(document: Path) -> None:
    """Each relative one leads to a file of the checkout, and to a section that it has."""
    for link in LINK.findall(text_of(document)):
        if link.startswith(("http://", "https://", "mailto:")):
            continue
        name, _, section = link.partition("#")
        there = (ROOT / document.parent / name).resolve() if name else ROOT / document
        assert there.exists(), f"{document}: {link}"
        assert there.is_relative_to(ROOT), f"{document}: {link}"
        assert not section or section in anchors(there.relative_to(ROOT)), f"{document}: {link}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=str)
def test_commands_and_options(document: Path) -> None:
    """Each `p4pmip COMMAND` is one, and has the options that stand behind it."""
    known = parsers()
    for span in spans(document):
        for name, rest in COMMAND.findall(span):
            assert name in known, f"{document}: {span}"
            for option in re.findall(r"(?<![\w-])--[a-z][\w-]*", rest):
                # What follows a lone `--` is for BMv2's parser.
                assert option in known[name].format_help() or " -- " in rest, f"{document}: {span}: {option}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=str)
def test_targets_of_make(document: Path) -> None:
    """Each `make TARGET` is in the Makefile."""
    targets = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    for span in spans(document):
        for target in MAKE.findall(span):
            assert target in targets, f"{document}: {span}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=str)
def test_places(document: Path) -> None:
    """Each path that stands as code is there: seen from the checkout, the document, or the package."""
    within = ("", document.parent, "tests", "controller/p4pmip", "controller/p4pmip/softswitch")
    for span in spans(document):
        for place in PLACE.findall(span):
            if MADE.fullmatch(place) or any(letter in span for letter in "*{}<>"):
                continue
            assert any((ROOT / one / place).exists() for one in within), f"{document}: {place}"
