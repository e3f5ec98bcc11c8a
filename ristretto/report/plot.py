"""Plots, as PNG or SVG: the same bytes for the same numbers.

matplotlib is an extra, so it is imported where it is needed. Figures are made without pyplot: that one keeps state of
its own and asks for a screen.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from io import BytesIO
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ristretto.api import Swept
from ristretto.errors import OutputError, RistrettoError
from ristretto.report.sweep import SWEPT_PART_NAMES, mode_name
from ristretto.report.training import History
from ristretto.search import Score
from ristretto.search.sweep import Point

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NO_MARKS: Mapping[str, Mapping[str, None]] = {
    "png": {"Software": None},
    "svg": {"Creator": None, "Date": None, "Format": None, "Type": None},
}
"""Kinds of plot, by suffix, with what matplotlib would write into the file of itself and of today."""

STYLE: Mapping[str, Any] = {
    # matplotlib brings this font along: the letters are the same on every machine.
    "font.family": ["DejaVu Sans"],
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.8,
    "lines.linewidth": 1.8,
    "figure.dpi": 150,
    "savefig.dpi": "figure",
    # Without it the names of an SVG's parts are random.
    "svg.hashsalt": "ristretto",
}

CURVES: Sequence[Mapping[str, Any]] = (
    {"color": "#0072B2", "marker": "o", "markersize": 8, "markerfacecolor": "white"},
    {"color": "#D55E00", "marker": "s", "markersize": 5},
    {"color": "#009E73", "marker": "^", "markersize": 8, "markerfacecolor": "white"},
    {"color": "#CC79A7", "marker": "D", "markersize": 4},
)
"""Colours that the colour-blind can tell apart (Okabe and Ito 2008). The markers tell curves apart without colour, and
where two meet, the lower one shows around the upper."""
BASELINE_COLOUR = "#555555"
PANEL_WIDTH, PANEL_HEIGHT = 4.2, 2.7
"""Inches."""
LABEL_OFFSETS = ((-7, 5), (7, -13), (-7, 16), (7, -24), (-7, -13), (7, 5))
"""Where a point's label is tried, in points from it, until it covers nothing: the steps of a rising front lie below and
to the right."""
MARKER_BOX = 5
"""Half the side of the square around a point that labels should leave free, points."""


def plot_kind(path: str | Path) -> str:
    """Give the kind of plot that a file's suffix asks for.

    Raises
    ------
    OutputError
        When there is no such kind.
    """
    kind = Path(path).suffix.removeprefix(".").lower()
    if kind not in NO_MARKS:
        raise OutputError(f"{path} is neither a .png nor a .svg", hint="give plots a name that ends in .png or .svg")
    return kind


def require_matplotlib() -> None:
    """Make sure, before long work, that plots can be drawn.

    Raises
    ------
    RistrettoError
        When matplotlib is not there.
    """
    try:
        import matplotlib.figure  # noqa: F401 (that it can be imported is all that matters)
    except ImportError as error:
        raise RistrettoError(
            f"plots need matplotlib, which cannot be imported: {error}",
            hint="install it by: pip install 'ristretto-cnn[plot]'",
        ) from error


def plot_sweep(swept: Swept, kind: str) -> bytes:
    """Draw score against width, a panel for each part, a curve for each mode: Figure 4 of the paper.

    Parameters
    ----------
    swept : Swept
    kind : str
        "png" or "svg".

    Returns
    -------
    bytes
        The file's content.

    Raises
    ------
    RistrettoError
        When matplotlib is not there.
    """
    result = swept.result
    with _style():
        columns = 2 if len(result.parts) == 4 else len(result.parts)
        rows = math.ceil(len(result.parts) / columns)
        figure = _figure(columns, rows)
        panels = list(figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).flat)
        for place, (part, axes) in enumerate(zip(result.parts, panels, strict=True)):
            for line, mode in zip(CURVES, result.modes, strict=False):
                scores = [result.scores[Point(mode, part, width)] for width in result.widths]
                heights = [_height(score, result.higher_is_better) for score in scores]
                axes.plot(result.widths, heights, **line, label=mode_name(mode))
            _baseline(axes, _height(result.baseline, result.higher_is_better))
            axes.set_title(SWEPT_PART_NAMES[part], fontsize=11)
            axes.set_xticks(result.widths)
            if place % columns == 0:
                axes.set_ylabel(_unit(result.score_blob, result.higher_is_better))
            if place >= len(panels) - columns:
                axes.set_xlabel("bits")
        figure.suptitle(f"{swept.net.name or 'net'}: {result.score_blob} against width")
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False)
        return _bytes(figure, kind)


def plot_front(
    costs: Sequence[float],
    scores: Sequence[float],
    labels: Sequence[str],
    kind: str,
    *,
    cost_name: str,
    score_name: str,
    title: str = "",
    baseline: float | None = None,
) -> bytes:
    """Draw a Pareto front: score against cost, a label at each point.

    Parameters
    ----------
    costs, scores : sequences of float
        One of each for each point, in any order; drawn as they are.
    labels : sequence of str
        What stands at the points; may be empty strings.
    kind : str
        "png" or "svg".
    cost_name, score_name : str
        What the axes are called, with their units.
    title : str
    baseline : float or None
        The float net's score.

    Returns
    -------
    bytes
        The file's content.

    Raises
    ------
    RistrettoError
        When matplotlib is not there.
    """
    points = sorted(zip(costs, scores, labels, strict=True))
    with _style():
        rising = not points or points[-1][1] >= points[0][1]
        figure = _figure(1.7, 1.7)
        axes = figure.subplots()
        # Between two nets there is none: what the cheaper one scores holds until the next one's cost is paid.
        x, y = [cost for cost, _, _ in points], [score for _, score, _ in points]
        axes.step(x, y, **CURVES[0], where="post", label="condensed nets")
        if baseline is not None:
            _baseline(axes, baseline)
            axes.legend(loc="lower right" if rising else "upper right", frameon=False)
        axes.set(xlabel=cost_name, ylabel=score_name, title=title)
        axes.margins(x=0.12, y=0.12)
        axes.xaxis.set_major_formatter(lambda cost, _: f"{cost:,.10g}")
        _label(figure, axes, points, rising=rising)
        return _bytes(figure, kind)


def plot_training(history: History, kind: str) -> bytes:
    """Draw a training: losses above, accuracies below, against iterations.

    Parameters
    ----------
    history : History
        Losses of batches are drawn as they are, faint, with the solver's mean over them.
    kind : str
        "png" or "svg".

    Returns
    -------
    bytes
        The file's content.

    Raises
    ------
    RistrettoError
        When matplotlib is not there.
    """
    names = list(dict.fromkeys((scored.net, name) for scored in history.scores for name in scored.scores))
    with _style():
        figure = _figure(1.7, 2)
        losses, scores = figure.subplots(2, 1, sharex=True)
        iterations = [update.iteration for update in history.updates]
        losses.plot(iterations, [update.loss for update in history.updates], color="#bbbbbb", linewidth=0.8)
        smoothed = [update.smoothed for update in history.updates]
        losses.plot(iterations, smoothed, color=CURVES[0]["color"], label="training loss")
        losses.set_ylabel("loss")
        for line, (net, name) in zip(cycle(CURVES), names, strict=False):
            seen = [scored for scored in history.scores if scored.net == net and name in scored.scores]
            # What lies between 0 and 1 is an accuracy or might be one; all else is of the size of a loss.
            axes = scores if all(0 <= scored.scores[name] <= 1 for scored in seen) else losses
            label = f"{name}, test net {net}" if net else name
            axes.plot([s.iteration for s in seen], [s.scores[name] for s in seen], **line, label=label)
        scores.set(ylabel="scores", xlabel="iteration")
        for axes in (losses, scores):
            if axes.get_legend_handles_labels()[0]:
                axes.legend(frameon=False)
        return _bytes(figure, kind)


@contextmanager
def _style() -> Iterator[None]:
    """Draw in our style, whatever a matplotlibrc says."""
    require_matplotlib()
    from matplotlib import style

    with style.context(["default", dict(STYLE)]):
        yield


def _figure(columns: float, rows: float) -> Figure:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(PANEL_WIDTH * columns, PANEL_HEIGHT * rows + 0.8), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _bytes(figure: Figure, kind: str) -> bytes:
    out = BytesIO()
    figure.savefig(out, format=kind, metadata=dict(NO_MARKS[kind]))
    return out.getvalue()


def _height(score: Score, higher_is_better: bool) -> float:
    """Give an accuracy in percent, a loss as it is; what no axis can show leaves a gap."""
    return (100 * score.value if higher_is_better else score.value) if math.isfinite(score.value) else math.nan


def _unit(blob: str, higher_is_better: bool) -> str:
    return f"{blob}, %" if higher_is_better else blob


def _baseline(axes: Axes, score: float) -> None:
    axes.axhline(score, color=BASELINE_COLOUR, linestyle="--", linewidth=1.2, label="float", zorder=1.5)


def _label(figure: Figure, axes: Axes, points: Sequence[tuple[float, float, str]], *, rising: bool) -> None:
    """Put each point's label beside it, where it covers neither a point nor a label if there is such a place."""
    from matplotlib.transforms import Bbox

    # Places are known once the axes have theirs.
    figure.draw_without_rendering()
    half = MARKER_BOX * figure.dpi / 72
    taken = [Bbox([(x - half, y - half), (x + half, y + half)]) for x, y in _pixels(axes, points)]
    for cost, score, label in points:
        for number, (right, up) in enumerate(LABEL_OFFSETS, 1):
            text = axes.annotate(
                label,
                (cost, score),
                (right, up if rising else -8 - up),
                textcoords="offset points",
                horizontalalignment="left" if right > 0 else "right",
                fontsize=8,
                bbox={"boxstyle": "round,pad=0.1", "facecolor": "white", "edgecolor": "none", "alpha": 0.8},
            )
            box = text.get_window_extent()
            if number == len(LABEL_OFFSETS) or not any(box.overlaps(other) for other in taken):
                taken.append(box)
                break
            text.remove()


def _pixels(axes: Axes, points: Sequence[tuple[float, float, str]]) -> list[tuple[float, float]]:
    return [tuple(axes.transData.transform((cost, score))) for cost, score, _ in points]
