"""What `build` has done, as a table and as plain data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich import box
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from ristretto.jobs.building import Built, State
from ristretto.jobs.lock import Scores
from ristretto.report import kinds


def table(found: Sequence[Built]) -> RenderableType:
    """Give a line for each job: what became of it, and why; its score beside the float net's."""
    result = Table(box=box.SIMPLE, pad_edge=False)
    for column in ("job", "state", "score", "float", "remarks"):
        result.add_column(column, justify="right" if column in ("score", "float") else "left", overflow="fold")
    for built in found:
        scores = built.scores
        figures = ("", "") if scores is None else (figure(scores.score), figure(scores.baseline))
        result.add_row(*map(Text, (built.job.name, built.state.value, *figures, "; ".join(_remarks(built)))))
    return result


def plain(found: Sequence[Built]) -> dict[str, Any]:
    """Give it as plain data; scores as fractions."""
    return {
        **kinds.head(kinds.BUILD),
        "jobs": [
            {
                "name": built.job.name,
                "state": built.state.name.lower(),
                "reasons": built.reasons,
                "scores": plain_scores(built.scores),
                "outputs": built.outputs,
                "missed": built.missed,
                "error": built.error or None,
                "hint": built.hint or None,
            }
            for built in found
        ],
    }


def plain_scores(scores: Scores | None) -> dict[str, Any] | None:
    """Give scores as plain data."""
    return None if scores is None else vars(scores).copy()


def figure(score: float) -> str:
    """Give a score in a few characters."""
    return f"{score:.4f}"


def _remarks(built: Built) -> list[str]:
    if built.state is State.FAILED:
        return [f"error: {built.error}"]
    return [*built.reasons, *built.missed]
