"""What `check` has found: as a table, as lines, as plain data, as JUnit XML, and as Markdown for a pull request."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ristretto.jobs.checking import Checked, Finding
from ristretto.jobs.lock import Scores
from ristretto.jobs.telling_builds import figure, plain_scores
from ristretto.report import difference, junit, kinds, markdown

MARK = "<!-- ristretto check -->"
"""The first line of the Markdown, by which a comment is found that is to be replaced."""
HEAD = ("job", "result", "score in the lock", "score now", "float net")


def shown(found: Sequence[Checked]) -> RenderableType:
    """Give a line for each job, and below it what is wrong, line by line."""
    table = Table(box=box.SIMPLE, pad_edge=False)
    for index, column in enumerate(HEAD):
        table.add_column(column, justify="left" if index < 2 else "right", overflow="fold")
    for checked in found:
        table.add_row(*map(Text, _row(checked)))
    return Group(table, *(Text(line) for checked in found for line in lines(checked)))


def lines(checked: Checked) -> Iterator[str]:
    """Say all that is to be said of a job, a line for each thing."""
    name = checked.job.name
    if checked.error:
        yield f"{name}: error: {checked.error}"
    if checked.hint:
        yield f"{name}: hint: {checked.hint}"
    for line in checked.worse:
        yield f"{name}: {line}"
    for finding in checked.findings:
        yield from (f"{name}: {line}" for line in _of_finding(finding))
    for note in checked.notes:
        yield f"{name}: note: {note}"


def plain(found: Sequence[Checked]) -> dict[str, Any]:
    """Give it as plain data; scores as fractions."""
    return {
        **kinds.head(kinds.CHECK),
        "holds": all(checked.holds for checked in found),
        "jobs": [
            {
                "name": checked.job.name,
                "holds": checked.holds,
                "scores_before": plain_scores(checked.before),
                "scores": plain_scores(checked.after),
                "worse": checked.worse,
                "outputs": [
                    {
                        "path": finding.path,
                        "differs": finding.differs or None,
                        "note": finding.note or None,
                        "difference": None if finding.difference is None else difference.plain(finding.difference),
                    }
                    for finding in checked.findings
                ],
                "notes": checked.notes,
                "error": checked.error or None,
                "hint": checked.hint or None,
            }
            for checked in found
        ],
    }


def as_junit(found: Sequence[Checked]) -> str:
    """Give JUnit XML: a suite for each job, in it a case for each output and one for the score."""
    return junit.text("ristretto check", [junit.Suite(checked.job.name, _cases(checked)) for checked in found])


def as_markdown(found: Sequence[Checked]) -> str:
    """Give Markdown: a table of the jobs, then what changed in each."""
    wrong = [checked for checked in found if not checked.holds]
    verdict = f"{len(wrong)} of {len(found)} jobs differ" if wrong else f"all {len(found)} jobs hold"
    parts = [MARK, f"### ristretto check: {verdict}", markdown.table(HEAD, map(_row, found))]
    for checked in found:
        if said := list(_sections(checked)):
            parts += [f"#### {markdown.escaped(checked.job.name)}", *said]
    return "\n\n".join(parts) + "\n"


def _row(checked: Checked) -> tuple[str, ...]:
    result = "error" if checked.error else "same" if checked.holds else "DIFFERENT"
    return checked.job.name, result, _score(checked.before), _score(checked.after), _float(checked.after)


def _score(scores: Scores | None) -> str:
    return "" if scores is None else figure(scores.score)


def _float(scores: Scores | None) -> str:
    return "" if scores is None else figure(scores.baseline)


def _of_finding(finding: Finding) -> Iterator[str]:
    if finding.differs or finding.note:
        yield f"{finding.path}: {finding.differs or finding.note}"
    if finding.difference is not None and not finding.difference.same:
        yield from (f"{finding.path}: {line}" for line in difference.lines(finding.difference))


def _cases(checked: Checked) -> list[junit.Case]:
    if checked.error:
        hint = f"\nhint: {checked.hint}" if checked.hint else ""
        return [junit.Case("build", error=f"{checked.error}{hint}")]
    cases = []
    for finding in checked.findings:
        said = "\n".join(_of_finding(finding))
        cases.append(junit.Case(finding.path, failure=said) if finding.differs else junit.Case(finding.path, told=said))
    told = "\n".join([f"score {_score(checked.after)}, in the lock {_score(checked.before)}", *checked.notes])
    return [*cases, junit.Case("score", failure="\n".join(checked.worse), told=told)]


def _sections(checked: Checked) -> Iterator[str]:
    if checked.error:
        yield f"- error: {markdown.escaped(checked.error)}"
    if checked.hint:
        yield f"- hint: {markdown.escaped(checked.hint)}"
    if checked.worse:
        yield "\n".join(f"- {markdown.escaped(line)}" for line in checked.worse)
    for finding in checked.findings:
        if finding.differs:
            yield f"- {markdown.escaped(f'{finding.path}: {finding.differs}')}"
        if finding.difference is not None and not finding.difference.same:
            yield markdown.difference(finding.difference)
    if checked.notes:
        yield "\n".join(f"- note: {markdown.escaped(note)}" for note in checked.notes)
