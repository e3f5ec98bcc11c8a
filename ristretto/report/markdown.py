"""Markdown: tables, and how two nets differ, for comments on pull requests."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from ristretto.api import Difference
from ristretto.report.difference import others

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>|~#])")


def escaped(text: str) -> str:
    """Give a text as it is, whatever its characters mean in Markdown; line ends become spaces."""
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    r"""Give a table; what stands in its cells is escaped.

    Examples
    --------
    >>> print(table(["layer", "bits"], [["conv_1", "8"]]))
    | layer | bits |
    |---|---|
    | conv\_1 | 8 |
    """
    lines = [head, *rows]
    cells = [f"| {' | '.join(map(escaped, line))} |" for line in lines]
    return "\n".join([cells[0], "|" + "---|" * len(head), *cells[1:]])


def difference(found: Difference) -> str:
    """Give how two nets differ: a table of what changed, then what else there is to say, a line for each."""
    parts = []
    if found.changes:
        rows = [(change.layer, change.what, change.before, change.after) for change in found.changes]
        parts.append(table(["layer", "what", "before", "after"], rows))
    parts += [f"- {escaped(line)}" for line in others(found)]
    return "\n\n".join(parts)
