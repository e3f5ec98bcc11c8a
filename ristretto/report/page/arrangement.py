"""Where the boxes of a drawing stand: in rows from top to bottom, with few crossings and straight arrows.

Sugiyama, Tagawa and Toda, "Methods for visual understanding of hierarchical system structures" (1981): rows by the
longest way from a source, arrows over several rows through points in these, orders by means of neighbours. Places
within a row are the nearest ones to the neighbours' that leave boxes apart, by pooling adjacent violators.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

SWEEPS = 8
"""Times that orders and places are brought in line, down and up."""
GAP = 18.0
"""Pixels between neighbours in a row."""
STRAIGHT = 4.0
"""How much more a point on a long arrow counts than a box: long arrows are straight so."""
POINT = 10.0
"""Pixels that such a point takes."""


@dataclass(frozen=True)
class Arrangement:
    """Where things stand.

    Parameters
    ----------
    ranks : list of int
        The row of each box, from above.
    centres : list of float
        The middle of each box, pixels from the left.
    ways : list of list of (int, float)
        For each arrow the points between its ends: row, and pixels from the left.
    width : float
        Of all, pixels.
    """

    ranks: list[int]
    centres: list[float]
    ways: list[list[tuple[int, float]]]
    width: float


def rows_of(count: int, arrows: Sequence[tuple[int, int]]) -> list[int]:
    """Give the row of each box: below all that lead to it. One that nothing leads to stands right above its readers.

    Parameters
    ----------
    count : int
        Of boxes; each arrow leads from a lower number to a higher one.
    arrows : sequence of (int, int)
    """
    ranks = [0] * count
    for start, end in sorted(arrows, key=lambda arrow: arrow[1]):
        ranks[end] = max(ranks[end], ranks[start] + 1)
    reached = {end for _, end in arrows}
    nearest: dict[int, int] = {}
    for start, end in arrows:
        nearest[start] = min(ranks[end], nearest.get(start, ranks[end]))
    for box in nearest.keys() - reached:
        ranks[box] = nearest[box] - 1
    return ranks


def arrange(ranks: Sequence[int], widths: Sequence[float], arrows: Sequence[tuple[int, int]]) -> Arrangement:
    """Give places to boxes whose rows are known.

    Parameters
    ----------
    ranks : sequence of int
        See `rows_of`.
    widths : sequence of float
        Of the boxes, pixels.
    arrows : sequence of (int, int)
    """
    row_of, wide = list(ranks), list(widths)
    links: list[tuple[int, int]] = []
    chains: list[list[int]] = []
    for start, end in arrows:
        chain = []
        before = start
        for row in range(ranks[start] + 1, ranks[end]):
            point = len(row_of)
            row_of.append(row)
            wide.append(POINT)
            links.append((before, point))
            chain.append(point)
            before = point
        links.append((before, end))
        chains.append(chain)
    above: list[list[int]] = [[] for _ in row_of]
    below: list[list[int]] = [[] for _ in row_of]
    for start, end in links:
        below[start].append(end)
        above[end].append(start)
    rows: list[list[int]] = [[] for _ in range(max(row_of, default=-1) + 1)]
    for thing, row in enumerate(row_of):
        rows[row].append(thing)
    _order(rows, above, below)
    weights = [1.0 if thing < len(ranks) else STRAIGHT for thing in range(len(row_of))]
    centres = _places(rows, above, below, wide, weights)
    left = min((centre - width / 2 for centre, width in zip(centres, wide, strict=True)), default=0.0)
    right = max((centre + width / 2 for centre, width in zip(centres, wide, strict=True)), default=0.0)
    centres = [centre - left for centre in centres]
    ways = [[(row_of[point], centres[point]) for point in chain] for chain in chains]
    return Arrangement(list(ranks), centres[: len(ranks)], ways, right - left)


def _order(rows: list[list[int]], above: Sequence[Sequence[int]], below: Sequence[Sequence[int]]) -> None:
    """Order each row by the mean places of its neighbours, in the rows above and below by turns."""
    for sweep in range(SWEEPS):
        down = sweep % 2 == 0
        neighbours = above if down else below
        for index in range(len(rows)) if down else reversed(range(len(rows))):
            beside = rows[index - 1] if down else rows[index + 1] if index + 1 < len(rows) else []
            place = {thing: number for number, thing in enumerate(beside)}
            row = rows[index]
            means = {}
            for number, thing in enumerate(row):
                known = [place[other] for other in neighbours[thing] if other in place]
                means[thing] = sum(known) / len(known) if known else float(number)
            row.sort(key=lambda thing: means[thing])


def _places(
    rows: Sequence[Sequence[int]],
    above: Sequence[Sequence[int]],
    below: Sequence[Sequence[int]],
    wide: Sequence[float],
    weights: Sequence[float],
) -> list[float]:
    """Give the middle of each thing: as near to the mean of its neighbours as those beside it allow."""
    centres = [0.0] * len(wide)
    for row in rows:
        for thing, centre in zip(row, _apart(row, [0.0] * len(row), wide, weights), strict=True):
            centres[thing] = centre
    before = centres
    for sweep in range(2 * SWEEPS):
        down = sweep % 2 == 0
        before, centres = centres, list(centres)
        for row in rows if down else reversed(rows):
            wishes = []
            for thing in row:
                near = [centres[other] for other in (above[thing] if down else below[thing])]
                wishes.append(sum(near) / len(near) if near else centres[thing])
            for thing, centre in zip(row, _apart(row, wishes, wide, weights), strict=True):
                centres[thing] = centre
    # Half-way between what suits the rows above and what suits those below: distances that both keep, it keeps too.
    return _on_one_axis(rows, [(one + other) / 2 for one, other in zip(before, centres, strict=True)])


def _on_one_axis(rows: Sequence[Sequence[int]], centres: Sequence[float]) -> list[float]:
    """Move whole rows so that things alone in theirs stand below each other: else branches of unlike width push on."""
    alone = [index for index, row in enumerate(rows) if len(row) == 1]
    moved = list(centres)
    for index, row in enumerate(rows):
        place = bisect_left(alone, index)
        around = alone[place : place + 1] if index in alone[place : place + 1] else alone[max(place - 1, 0) : place + 1]
        if around:
            shift = sum(centres[rows[other][0]] for other in around) / len(around)
            for thing in row:
                moved[thing] -= shift
    return moved


def _apart(row: Sequence[int], wishes: Sequence[float], wide: Sequence[float], weights: Sequence[float]) -> list[float]:
    """Give the places nearest to those wished for, in squares, in which neighbours keep their order and distance."""
    offsets, place = [], 0.0
    for before, thing in zip([None, *row], row, strict=False):
        place += 0.0 if before is None else (wide[before] + wide[thing]) / 2 + GAP
        offsets.append(place)
    # Less its offset, each place must not be smaller than the one before: pools of equal ones.
    pools: list[tuple[float, float, int]] = []
    for thing, wish, offset in zip(row, wishes, offsets, strict=True):
        mean, weight, size = wish - offset, weights[thing], 1
        while pools and pools[-1][0] > mean:
            other, heavy, many = pools.pop()
            mean = (mean * weight + other * heavy) / (weight + heavy)
            weight, size = weight + heavy, size + many
        pools.append((mean, weight, size))
    levels = [mean for mean, _, size in pools for _ in range(size)]
    return [level + offset for level, offset in zip(levels, offsets, strict=True)]
