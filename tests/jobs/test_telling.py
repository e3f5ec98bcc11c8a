"""JUnit XML and Markdown: whatever stands in names and messages."""

from __future__ import annotations

import re
from xml.etree import ElementTree

from hypothesis import given
from hypothesis import strategies as st

from ristretto.api import Change, Difference
from ristretto.jobs import Checked, Finding, Job, Scores, telling_checks
from ristretto.jobs.telling_checks import as_junit, as_markdown
from ristretto.report import junit, markdown

HOSTILE = "a|b]]><&\"'`*_ \u2028\u202e"
SCORES = Scores("accuracy", True, 0.99, 0.98, True)


def difference(*changes: Change) -> Difference:
    return Difference(changes, (), (), False, ("n", "n"), False)


def checked(name: str = "lenet", **parts: object) -> Checked:
    return Checked(Job(name, {}, {}), before=SCORES, after=SCORES, **parts)  # type: ignore[arg-type]


def cells(line: str) -> list[str]:
    """Give the cells of a line of a table: what stands between bars that no backslash precedes."""
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def test_names_do_not_break_out_of_tables() -> None:
    found = checked(
        HOSTILE, findings=[Finding(HOSTILE, "the net differs", difference(Change(HOSTILE, "params", "8.7", "8.6")))]
    )
    lines = as_markdown([found]).splitlines()
    tables = [line for line in lines if line.startswith("|")]
    assert [len(cells(line)) for line in tables] == [5, 5, 5, 4, 4, 4]
    assert cells(tables[-1])[1:] == ["params", "8.7", "8.6"]
    assert "<" not in as_markdown([found]).replace(telling_checks.MARK, "").replace("\\<", "")


@given(st.text(st.characters(codec="utf-8")))
def test_xml_is_well_formed_whatever_a_message_holds(text: str) -> None:
    case = junit.Case(text, failure=f"x{text}", told=text)
    root = ElementTree.fromstring(junit.text("run", [junit.Suite(text, [case])]).encode())
    assert (root.get("tests"), root.get("failures")) == ("1", "1")
    name = str(root[0][0].get("name"))
    # Characters that XML has no way to write become question marks, and the parser makes line ends of all their kinds.
    kept = re.sub("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "?", text)
    assert name.split() == kept.split()


def test_junit_counts_failures_and_errors_by_suite_and_in_all() -> None:
    failing = checked("one", findings=[Finding("a.prototxt", "it is missing"), Finding("b.json")], worse=["it fell"])
    broken = Checked(Job("two", {}, {}), error="no data", hint="fetch them")
    root = ElementTree.fromstring(as_junit([failing, broken, checked("three")]).encode())
    counts = [tuple(e.get(key) for key in ("name", "tests", "failures", "errors")) for e in (root, *root)]
    assert counts == [
        ("ristretto check", "5", "2", "1"),
        ("one", "3", "2", "0"),
        ("two", "1", "0", "1"),
        ("three", "1", "0", "0"),
    ]
    (error,) = root.iter("error")
    assert (error.get("message"), error.text) == ("no data", "no data\nhint: fetch them")
    assert not [e for e in root.iter() if {"time", "timestamp", "hostname"} & set(e.attrib)]


def test_markdown_tells_errors_and_hints() -> None:
    text = as_markdown([Checked(Job("two", {}, {}), error="no_data", hint="fetch them"), checked("one")])
    assert "### ristretto check: 1 of 2 jobs differ" in text
    assert r"- error: no\_data" in text
    assert "- hint: fetch them" in text
    assert cells(next(line for line in text.splitlines() if line.startswith("| two"))) == ["two", "error", "", "", ""]


def test_a_difference_in_markdown_tells_layers_that_one_net_lacks() -> None:
    found = Difference((), ("conv_1",), (), True, ("", "m"), False)
    assert markdown.difference(found).split("\n\n") == [
        r"- layer only in the first: conv\_1",
        "- the layers stand in another order",
        r"- the net's name: none -\> m",
    ]
