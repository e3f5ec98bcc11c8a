"""Histograms of a layer's places, with the lines at which their formats clip."""

from __future__ import annotations

import math
from dataclasses import dataclass

from markupsafe import Markup

from ristretto.report.page import figures
from ristretto.report.page.axes import Axis
from ristretto.report.page.model import Place
from ristretto.report.page.svg import number, picture, tag

WIDTH, HEIGHT = 260, 104
TOP, FOOT, SIDE = 6, 86, 4
CHARACTER = 7.0
"""Pixels that a character below the picture takes at most."""
REACH = 1.6
"""A format that reaches farther than so many times the numbers has its end off the picture: the bars would be too
narrow."""


@dataclass(frozen=True)
class Drawn:
    """A histogram with its words.

    Parameters
    ----------
    drawing : Markup
    ends : str
        Where the format clips; empty for a place in float.
    """

    drawing: Markup
    ends: str


def drawn(place: Place, name: str) -> Drawn:
    """Draw the numbers of a place, on a logarithmic scale of counts: single outliers show beside millions.

    Parameters
    ----------
    place : Place
    name : str
        What it is, for the picture's text.
    """
    bins, fmt = place.bins, place.fmt
    low, high = bins.start, bins.end
    span = max(abs(low), abs(high), bins.width)
    clips = [] if fmt is None else [end for end in (fmt.low, fmt.high) if abs(end) <= REACH * span]
    low, high = min([low, *clips]), max([high, *clips])
    more = 0.03 * (high - low)
    x = Axis(low - more, high + more, SIDE, WIDTH - SIDE)
    top = math.log1p(max(bins.counts))
    inside = [tag("path", d=_outline(place, x, top), class_="bars")]
    inside.append(tag("line", x1=SIDE, x2=WIDTH - SIDE, y1=FOOT, y2=FOOT, class_="axis"))
    if fmt is not None:
        inside += _beyond(fmt.low, fmt.high, clips, x)
    for value in dict.fromkeys((place.low, 0.0, place.high)):
        if x.low <= value <= x.high:
            inside.append(tag("line", x1=x.at(value), x2=x.at(value), y1=FOOT, y2=FOOT + 4, class_="axis"))
    inside += _ends(place, x)
    ends = "" if fmt is None else f"{figures.real(fmt.low)} and {figures.real(fmt.high)}"
    clipping = f" The format clips at {ends}; {figures.share(place.saturated)} saturate." if fmt else " It is in float."
    words = f"Histogram of {name}: from {figures.real(place.low)} to {figures.real(place.high)}.{clipping}"
    return Drawn(picture(WIDTH, HEIGHT, words, inside, class_="histogram"), ends)


def _outline(place: Place, x: Axis, top: float) -> str:
    """Give the commands of the outline of all bars."""
    bins = place.bins
    commands = [f"M{number(x.at(bins.start))} {FOOT}"]
    for index, count in enumerate(bins.counts):
        height = FOOT - (FOOT - TOP) * math.log1p(count) / top if top else FOOT
        commands.append(f"V{number(height)}H{number(x.at(bins.start + bins.width * (index + 1)))}")
    return "".join([*commands, f"V{FOOT}Z"])


def _beyond(low: float, high: float, clips: list[float], x: Axis) -> list[Markup]:
    """Shade what lies beyond the ends of a format, and draw a line at each end that is in the picture."""
    parts = []
    for end, begin, finish in ((low, x.start, low), (high, high, x.end)):
        if end not in clips:
            continue
        left = begin if begin == x.start else x.at(begin)
        right = finish if finish == x.end else x.at(finish)
        if right - left > 0.05:
            parts.append(tag("rect", x=left, y=TOP, width=right - left, height=FOOT - TOP, class_="beyond"))
        parts.append(tag("line", x1=x.at(end), x2=x.at(end), y1=TOP - 4, y2=FOOT + 4, class_="clip"))
    return parts


def _ends(place: Place, x: Axis) -> list[Markup]:
    """Write the least and the greatest number below where they stand, and zero where there is room."""
    texts: list[Markup] = []
    taken: list[tuple[float, float]] = []
    for value in dict.fromkeys((place.low, place.high, 0.0)):
        text = figures.real(value)
        half = CHARACTER * len(text) / 2
        middle = min(max(x.at(value), half), WIDTH - half)
        free = all(middle + half < left or right < middle - half for left, right in taken)
        if x.low <= value <= x.high and free:
            taken.append((middle - half, middle + half))
            texts.append(tag("text", text, x=middle, y=HEIGHT - 3, class_="tick middle"))
    return texts
