"""The net as a drawing: boxes from top to bottom, formats where arrows leave and arrive."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from ristretto.report.page.arrangement import Arrangement, arrange, rows_of
from ristretto.report.page.model import CondensedLayer, Node
from ristretto.report.page.svg import number, tag
from ristretto.report.page.wiring import Arrow, Box, connect, told_apart

LINE, PADDING = 15, 8
"""Pixels of a line of text, and around it."""
CHARACTERS = {"name": 7.6, "type": 6.5, "weights": 7.2}
"""Pixels that a character of a style takes at most, as a rule: the browser's font is not known here."""
NARROWEST, LONGEST = 92, 32
"""Pixels of a box, and characters in it."""
BETWEEN = 46
"""Pixels between rows: room for a format at either end of an arrow."""
EDGE = 12
"""Pixels around the drawing."""


@dataclass(frozen=True)
class Line:
    """A line of text in a box: what is shown, all of it, and its style."""

    text: str
    style: str

    @classmethod
    def of(cls, text: str, style: str) -> Line:
        """Give a text, shortened to what a box holds."""
        return cls(text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}\u2026", style)


def drawn(nodes: Sequence[Node], layers: Sequence[CondensedLayer]) -> Markup:
    """Draw a net.

    Parameters
    ----------
    nodes : sequence of Node
        Each reads what those before it make.
    layers : sequence of CondensedLayer
        Those with formats; a box of one leads to its histograms.
    """
    boxes, arrows = connect(nodes, layers)
    near, told = told_apart(boxes, arrows, rows_of(len(boxes), [(arrow.start, arrow.end) for arrow in arrows]))
    ends = [(arrow.start, arrow.end) for arrow in near]
    words: list[list[Arrow]] = [[] for _ in boxes]
    for arrow in told:
        words[arrow.end].append(arrow)
    lines = [_lines(box, own) for box, own in zip(boxes, words, strict=True)]
    widths = [max(NARROWEST, *(2 * PADDING + CHARACTERS[line.style] * len(line.text) for line in own)) for own in lines]
    places = arrange(rows_of(len(boxes), ends), widths, ends)
    heights = [2 * PADDING + LINE * len(own) for own in lines]
    tops, bottom = _rows(places, heights)
    inside = _arrows(near, places, widths, heights, tops)
    for index, box in enumerate(boxes):
        left = places.centres[index] - widths[index] / 2 + EDGE
        inside.append(_box(box, lines[index], left, tops[places.ranks[index]], widths[index], heights[index]))
    width, height = places.width + 2 * EDGE, bottom + EDGE
    label = f"The net as a drawing: {len(nodes)} layers. The table of wiring has the same in words."
    return tag(
        "svg",
        *inside,
        width=width,
        height=height,
        viewBox=f"0 0 {number(width)} {number(height)}",
        role="group",
        aria_label=label,
        class_="net",
    )


def _lines(box: Box, told: Sequence[Arrow]) -> list[Line]:
    lines = [Line.of(box.main.name, "name"), Line.of(box.main.type, "type")]
    if box.layer is not None:
        weights = box.layer.places[1].fmt
        lines.append(Line.of(f"weights {'float' if weights is None else weights.describe()}", "weights"))
    lines += [Line.of(f"{node.name} \u00b7 {node.type}", "type") for node in box.followers]
    return lines + [Line.of(f"reads {arrow.blob}", "type") for arrow in told]


def _rows(places: Arrangement, heights: Sequence[float]) -> tuple[list[float], float]:
    """Give the upper end of each row, and the lower end of the last one."""
    tallest = [0.0] * (max(places.ranks, default=-1) + 1)
    for height, rank in zip(heights, places.ranks, strict=True):
        tallest[rank] = max(tallest[rank], height)
    tops, top = [], float(EDGE)
    for height in tallest:
        tops.append(top)
        top += height + BETWEEN
    return tops, top - BETWEEN


def _box(box: Box, lines: Sequence[Line], left: float, top: float, width: float, height: float) -> Markup:
    kind = "float" if box.layer is None else "condensed"
    parts = [
        tag("title", " \u00b7 ".join([box.main.name, box.main.type, *(node.name for node in box.followers)])),
        tag("rect", x=left, y=top, width=width, height=height, rx=5, class_=f"box {kind}"),
    ]
    for index, line in enumerate(lines):
        middle, base = left + width / 2, top + PADDING + LINE * index + 11
        parts.append(tag("text", line.text, x=middle, y=base, class_=f"middle {line.style}"))
    if box.index is None:
        return tag("g", *parts)
    # The same link stands in the table of layers: there the keyboard reaches it without a way through all boxes.
    return tag("a", *parts, href=f"#layer-{box.index}", tabindex="-1")


def _arrows(
    arrows: Sequence[Arrow],
    places: Arrangement,
    widths: Sequence[float],
    heights: Sequence[float],
    tops: Sequence[float],
) -> list[Markup]:
    ranks, centres = places.ranks, places.centres
    starts = _ports([arrow.start for arrow in arrows], _towards(arrows, places, down=True), centres, widths)
    ends = _ports([arrow.end for arrow in arrows], _towards(arrows, places, down=False), centres, widths)
    rightmost: dict[int, float] = {}
    for arrow, start in zip(arrows, starts, strict=True):
        rightmost[arrow.start] = max(start, rightmost.get(arrow.start, start))
    lines: list[Markup] = []
    texts: list[Markup] = []
    written: set[tuple[int, str]] = set()
    for index, arrow in enumerate(arrows):
        x, y = starts[index] + EDGE, tops[ranks[arrow.start]] + heights[arrow.start]
        commands = [f"M{number(x)} {number(y)}"]
        for row, across in [*places.ways[index], (ranks[arrow.end], ends[index])]:
            # Straight past the boxes of a row, then over to the next one.
            y = tops[row] - BETWEEN
            commands.append(f"V{number(y)}")
            commands.append(_bend(x, y, across + EDGE, tops[row]))
            x, y = across + EDGE, tops[row]
        lines.append(tag("path", tag("title", arrow.blob), d="".join(commands), class_="arrow"))
        lines.append(tag("path", d=f"M{number(x - 3.5)} {number(y - 6)}l3.5 6l3.5 -6z", class_="head"))
        if arrow.made and (arrow.start, arrow.blob) not in written:
            written.add((arrow.start, arrow.blob))
            below = tops[ranks[arrow.start]] + heights[arrow.start] + 13
            texts.append(tag("text", arrow.made, x=rightmost[arrow.start] + EDGE + 6, y=below, class_="format"))
        if arrow.read:
            texts.append(tag("text", arrow.read, x=x + 6, y=y - 5, class_="format"))
    return [*lines, *texts]


def _bend(x: float, y: float, across: float, down: float) -> str:
    middle = number((y + down) / 2)
    return f"C{number(x)} {middle} {number(across)} {middle} {number(across)} {number(down)}"


def _towards(arrows: Sequence[Arrow], places: Arrangement, *, down: bool) -> list[float]:
    """Give, for each arrow, how far right the next thing on its way stands: down from its start, or up from its end."""
    found = []
    for arrow, way in zip(arrows, places.ways, strict=True):
        if way:
            found.append(way[0 if down else -1][1])
        else:
            found.append(places.centres[arrow.end if down else arrow.start])
    return found


def _ports(
    boxes: Sequence[int], towards: Sequence[float], centres: Sequence[float], widths: Sequence[float]
) -> list[float]:
    """Give each arrow its place along the side of its box, in the order of where they go: they do not cross there."""
    own: dict[int, list[int]] = {}
    for index, box in enumerate(boxes):
        own.setdefault(box, []).append(index)
    found = [0.0] * len(boxes)
    for box, indices in own.items():
        step = min(16.0, widths[box] / (len(indices) + 1))
        for place, index in enumerate(sorted(indices, key=lambda index: towards[index])):
            found[index] = centres[box] + step * (place - (len(indices) - 1) / 2)
    return found
