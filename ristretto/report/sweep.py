"""A sweep as the paper's Table 1 on a terminal, and as plain data."""

from __future__ import annotations

from typing import Any

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ristretto.api import Swept
from ristretto.report import kinds
from ristretto.report.terminal import PART_NAMES, chosen_by
from ristretto.search import ALL_PARTS, Score
from ristretto.search.sweep import Point

SWEPT_PART_NAMES = {**PART_NAMES, ALL_PARTS: "all together"}
"""What tables and plots of a sweep call the parts."""


def shown(swept: Swept) -> RenderableType:
    """Give a table for each mode: a line for each width, a column for each part, the float net's score above."""
    result = swept.result
    what = f"{result.score_blob} with one part condensed and the rest in float, or with all condensed together"
    head = f"{swept.net.name or 'net'}: {what}{chosen_by(swept.formats_by)}\nfloat net: {_figure(result.baseline)}"
    return Group(Text(head), *(_of_mode(swept, mode) for mode in result.modes))


def _of_mode(swept: Swept, mode: str) -> RenderableType:
    result = swept.result
    table = Table(box=box.SIMPLE, pad_edge=False)
    for name in ("bits", *(SWEPT_PART_NAMES[part] for part in result.parts)):
        table.add_column(name, justify="right", no_wrap=True)
    for width in result.widths:
        scores = [result.scores[Point(mode, part, width)] for part in result.parts]
        table.add_row(str(width), *map(_figure, scores))
    return Group(Text(f"\n{mode_name(mode)}"), table)


def mode_name(mode: str) -> str:
    """Give the name of a trimming mode in plain words."""
    return mode.replace("_", " ")


def plain(swept: Swept) -> dict[str, Any]:
    """Give a sweep's result.

    Returns
    -------
    dict
        Scores as fractions, widths in bits.
    """
    result = swept.result
    return {
        **kinds.head(kinds.SWEEP),
        "net": swept.net.name,
        "preset": result.preset,
        "formats_by": swept.formats_by,
        "score_blob": result.score_blob,
        "higher_is_better": result.higher_is_better,
        "iterations": swept.iterations,
        "baseline_score": result.baseline.value,
        "baseline_score_argmax": result.baseline.argmax,
        "trials": [
            {
                "trimming_mode": point.mode,
                "part": point.part,
                "bit_width": point.width,
                "score": score.value,
                "score_argmax": score.argmax,
            }
            for point, score in result.scores.items()
        ],
        "calibration": {"source": swept.stats.source, "batches": swept.stats.batches},
        "notes": list(result.notes),
    }


def _figure(score: Score) -> str:
    return f"{score.value:.4f}"
