"""Axes of a chart: where a number is drawn, and which numbers stand beside the axis."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from ristretto.report.page.svg import tag


@dataclass(frozen=True)
class Axis:
    """Maps numbers from ``low .. high`` to pixels from ``start .. end``; a logarithmic one by powers of two."""

    low: float
    high: float
    start: float
    end: float
    logarithmic: bool = False

    def at(self, value: float) -> float:
        """Give where a number is drawn."""
        low, high, place = self.low, self.high, value
        if self.logarithmic:
            low, high, place = math.log2(low), math.log2(high), math.log2(value)
        share = (place - low) / (high - low) if high > low else 0.5
        return self.start + share * (self.end - self.start)

    def ticks(self, about: int) -> list[float]:
        """Give round numbers along it."""
        return round_numbers(self.low, self.high, about)


def round_numbers(low: float, high: float, about: int) -> list[float]:
    """Give round numbers between two ends, about so many.

    Examples
    --------
    >>> round_numbers(0.3, 4.1, 4)
    [1.0, 2.0, 3.0, 4.0]
    """
    if not high > low:
        return [low]
    rough = (high - low) / max(about, 1)
    decade = 10.0 ** math.floor(math.log10(rough))
    step = next(decade * factor for factor in (1, 2, 2.5, 5, 10) if decade * factor >= rough * (1 - 1e-9))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(step * k, 12 - math.floor(math.log10(step))) for k in range(first, last + 1)]


def widened(values: Sequence[float], share: float = 0.08, least: float = 0.0) -> tuple[float, float]:
    """Give the ends of numbers, drawn apart a little, and at least so far."""
    low, high = min(values), max(values)
    more = max((high - low) * share, (least - (high - low)) / 2, abs(high) * 1e-9, 1e-12)
    return low - more, high + more


def grid(
    x: Axis,
    y: Axis,
    x_ticks: Sequence[float],
    y_ticks: Sequence[float],
    x_text: Callable[[float], str],
    y_text: Callable[[float], str],
) -> list[Markup]:
    """Give horizontal lines at the ticks of `y`, a line at its foot, and the ticks' texts."""
    foot = max(y.start, y.end)
    parts = [tag("line", x1=x.start, x2=x.end, y1=y.at(tick), y2=y.at(tick), class_="rule") for tick in y_ticks]
    parts += [tag("text", y_text(tick), x=x.start - 6, y=y.at(tick) + 4, class_="tick end") for tick in y_ticks]
    parts += [tag("line", x1=x.start, x2=x.end, y1=foot, y2=foot, class_="axis")]
    for tick in x_ticks:
        parts.append(tag("line", x1=x.at(tick), x2=x.at(tick), y1=foot, y2=foot + 4, class_="axis"))
        parts.append(tag("text", x_text(tick), x=x.at(tick), y=foot + 17, class_="tick middle"))
    return parts
