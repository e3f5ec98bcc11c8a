"""JUnit XML: what continuous integration reads test results from.

The elements are those that every reader knows: ``testsuites``, ``testsuite``, ``testcase``, ``failure``, ``error``,
``system-out``. There are no times in it, so that the same results give the same bytes.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from xml.etree import ElementTree

_NO_XML = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML cannot hold, however they are written."""


@dataclass(frozen=True)
class Case:
    """One test case.

    Parameters
    ----------
    name : str
    failure, error : str
        Why it failed, or could not be tried: the first line in short, all lines in full. Empty where it did not.
    told : str
        What else there is to say.
    """

    name: str
    failure: str = ""
    error: str = ""
    told: str = ""


@dataclass(frozen=True)
class Suite:
    """Test cases under one name."""

    name: str
    cases: Sequence[Case]


def text(name: str, suites: Sequence[Suite]) -> str:
    """Give the XML of some suites, with a line end at its end.

    Parameters
    ----------
    name : str
        Of them all.
    suites : sequence of Suite
    """
    root = ElementTree.Element("testsuites", {"name": name, **_counts([c for suite in suites for c in suite.cases])})
    for suite in suites:
        found = ElementTree.SubElement(root, "testsuite", {"name": _clean(suite.name), **_counts(suite.cases)})
        for case in suite.cases:
            _add(found, f"{name}.{suite.name}", case)
    ElementTree.indent(root)
    body = ElementTree.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{body}\n'


def _add(suite: ElementTree.Element, kind: str, case: Case) -> None:
    element = ElementTree.SubElement(suite, "testcase", {"classname": _clean(kind), "name": _clean(case.name)})
    for tag, said in (("failure", case.failure), ("error", case.error)):
        if said:
            ElementTree.SubElement(element, tag, {"message": _clean(said.splitlines()[0])}).text = _clean(said)
    if case.told:
        ElementTree.SubElement(element, "system-out").text = _clean(case.told)


def _counts(cases: Sequence[Case]) -> dict[str, str]:
    failures, errors = (sum(bool(getattr(case, kind)) for case in cases) for kind in ("failure", "error"))
    return {"tests": str(len(cases)), "failures": str(failures), "errors": str(errors)}


def _clean(text: str) -> str:
    return _NO_XML.sub("?", text)
