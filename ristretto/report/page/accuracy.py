"""Score against bits, as charts: one for each part that was condensed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from ristretto.report.page import figures
from ristretto.report.page.axes import Axis, grid, widened
from ristretto.report.page.model import Result, Sweep
from ristretto.report.page.svg import path, picture, tag
from ristretto.report.sweep import SWEPT_PART_NAMES, mode_name
from ristretto.search import ALL_PARTS, LAYERS

WIDTH, HEIGHT = 270, 190
LEFT, RIGHT, TOP, BOTTOM = 50, 10, 8, 24
MANY = 8
"""Dots of a curve from which on they are small."""
MEANS = (ALL_PARTS, LAYERS)
"""Parts whose nets have several widths as a rule: they stand at the mean width of their weights."""


@dataclass(frozen=True)
class Dot:
    """A scored net in a chart."""

    bits: float
    score: float
    holds: bool | None
    words: str


@dataclass(frozen=True)
class Curve:
    """Scored nets of one kind; `joined` by a line, or not."""

    name: str
    dots: tuple[Dot, ...]
    joined: bool = True


@dataclass(frozen=True)
class Panel:
    """A chart with its heading."""

    title: str
    below: str
    drawing: Markup


def of_trials(result: Result) -> list[Panel]:
    """Draw the trials of a search: a panel for each part, with the float net's score and what the margin allows."""
    parts = list(dict.fromkeys(attempt.part for attempt in result.attempts))
    curves: dict[str, Curve] = {}
    for part in parts:
        dots = [
            Dot(
                attempt.mean,
                attempt.score,
                attempt.holds,
                f"{attempt.widths} bits: {_score(attempt.score, result.higher_is_better)}, "
                f"{'holds' if attempt.holds else 'misses the margin'}",
            )
            for attempt in result.attempts
            if attempt.part == part and attempt.mean and attempt.score is not None
        ]
        if dots:
            curves[part] = Curve("", tuple(sorted(dots, key=lambda dot: dot.bits)), joined=part not in MEANS)
    margin = result.error_margin / 100
    baseline = result.decided_baseline
    least = None if baseline is None else baseline - margin if result.higher_is_better else baseline + margin
    names = {part: "bits, mean of all weights" if part in MEANS else "bits" for part in curves}
    return _panels(
        {part: [curve] for part, curve in curves.items()}, baseline, least, names, better=result.higher_is_better
    )


def of_sweep(sweep: Sweep) -> list[Panel]:
    """Draw a sweep: a panel for each part, a curve for each trimming mode."""
    panels: dict[str, list[Curve]] = {}
    modes = modes_of(sweep)
    for part in dict.fromkeys(point.part for point in sweep.points):
        for mode in modes:
            dots = sorted(
                (
                    Dot(
                        point.width,
                        point.score,
                        None,
                        f"{mode_name(mode)}, {point.width} bits: {_score(point.score, sweep.higher_is_better)}",
                    )
                    for point in sweep.points
                    if point.part == part and point.mode == mode and point.score is not None
                ),
                key=lambda dot: dot.bits,
            )
            panels.setdefault(part, []).append(Curve(mode_name(mode), tuple(dots)))
    shown = {part: curves for part, curves in panels.items() if any(curve.dots for curve in curves)}
    return _panels(shown, sweep.baseline, None, dict.fromkeys(shown, "bits"), better=sweep.higher_is_better)


def modes_of(sweep: Sweep) -> list[str]:
    """Give the trimming modes of a sweep, in order."""
    return list(dict.fromkeys(point.mode for point in sweep.points))


def _panels(
    panels: dict[str, list[Curve]],
    baseline: float | None,
    least: float | None,
    below: dict[str, str],
    *,
    better: bool,
) -> list[Panel]:
    """Draw panels that share their axes, so that parts can be compared."""
    dots = [dot for curves in panels.values() for curve in curves for dot in curve.dots]
    if not dots:
        return []
    scores = [dot.score for dot in dots] + [level for level in (baseline, least) if level is not None]
    y = Axis(*widened(scores, least=0.002), HEIGHT - BOTTOM, TOP)
    widest = max(2.0, *(dot.bits for dot in dots))
    x = Axis(min(1.0, *(dot.bits for dot in dots)), widest, LEFT + 8, WIDTH - RIGHT, logarithmic=True)
    made = []
    for part, curves in panels.items():
        title = PART_TITLES.get(part, part)
        inside = _frame(x, y, better=better)
        if least is not None and baseline is not None:
            high, low = sorted((y.at(baseline), y.at(least)))
            inside.append(tag("rect", x=LEFT, y=high, width=WIDTH - RIGHT - LEFT, height=low - high, class_="allowed"))
        if baseline is not None:
            inside.append(
                tag("line", x1=LEFT, x2=WIDTH - RIGHT, y1=y.at(baseline), y2=y.at(baseline), class_="baseline")
            )
        for index, curve in enumerate(curves):
            inside += _curve(curve, index, x, y)
        words = "; ".join(dot.words for curve in curves for dot in curve.dots)
        level = "" if baseline is None else f" The float net has {_score(baseline, better)}."
        drawing = picture(WIDTH, HEIGHT, f"{title}: score against bits. {words}.{level}", inside, class_="chart")
        made.append(Panel(title, below[part], drawing))
    return made


PART_TITLES = SWEPT_PART_NAMES
"""What panels are called."""


def _frame(x: Axis, y: Axis, *, better: bool) -> list[Markup]:
    widths = [width for width in (1, 2, 4, 8, 16, 32) if x.low <= width <= x.high]
    outer = Axis(x.low, x.high, LEFT, WIDTH - RIGHT)
    ticks = y.ticks(5)
    digits = 0 if ticks[-1] - ticks[0] >= 0.04 else 2
    lines = grid(
        outer,
        y,
        (),
        ticks,
        str,
        (lambda tick: f"{100 * tick:.{digits}f} %") if better else figures.real,
    )
    foot = HEIGHT - BOTTOM
    for width in widths:
        lines.append(tag("line", x1=x.at(width), x2=x.at(width), y1=foot, y2=foot + 4, class_="axis"))
        lines.append(tag("text", str(width), x=x.at(width), y=foot + 17, class_="tick middle"))
    return lines


def _curve(curve: Curve, index: int, x: Axis, y: Axis) -> Sequence[Markup]:
    points = [(x.at(dot.bits), y.at(dot.score)) for dot in curve.dots]
    colour = f"s{index % 4}"
    radius = 4 if len(points) <= MANY else 3
    parts = [tag("path", d=path(points), class_=f"line {colour}")] if curve.joined and len(points) > 1 else []
    for dot, (across, down) in zip(curve.dots, points, strict=True):
        title = tag("title", dot.words)
        if dot.holds is False:
            cross = f"M{across - 4:.1f} {down - 4:.1f}l8 8m0 -8l-8 8"
            parts.append(tag("path", title, d=cross, class_="missed"))
        else:
            parts.append(tag("circle", title, cx=across, cy=down, r=radius, class_=f"dot {colour}"))
    return parts


def _score(value: float | None, better: bool) -> str:
    return figures.score(value, higher_is_better=better)
