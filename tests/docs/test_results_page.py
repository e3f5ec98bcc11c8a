"""docs/results.md: every number stands beside the command, or the test, that gives it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
SECTIONS = re.split(r"(?m)^## ", (ROOT / "docs" / "results.md").read_text("utf-8"))[1:]
SOURCE = re.compile(r"`scripts/bench (\w+)`|`(tests/[\w/]+\.py)`")


def test_there_are_sections() -> None:
    assert len(SECTIONS) > 7


@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: section.splitlines()[0])
def test_a_section_names_what_measured_it(section: str) -> None:
    before_numbers = section[: section.find("\n| ")] if "\n| " in section else section
    found = SOURCE.findall(before_numbers)
    assert found, "no command before the numbers"
    for bench, test in found:
        assert (ROOT / (test or f"scripts/benchmarks/{bench}.py")).is_file(), bench or test
        assert test or f"{bench}" in (ROOT / "scripts" / "bench").read_text("utf-8")


@pytest.mark.parametrize("section", [s for s in SECTIONS if "<!--" in s], ids=lambda section: section.splitlines()[0])
def test_a_measured_table_says_where_and_when(section: str) -> None:
    for name, block in re.findall(r"(?s)<!-- (\w+): begin -->(.*?)<!-- \1: end -->", section):
        assert f"`scripts/bench {name}`" in section
        assert re.search(r"(?m)^Measured on .+, \d+ cores, .+, 20\d\d-\d\d-\d\d\.$", block)


def test_other_pages_with_measured_tables_name_their_command() -> None:
    for page in (ROOT / "docs" / "results").glob("*.md"):
        head = page.read_text("utf-8").split("\n| ")[0]
        assert SOURCE.search(head), page.name
