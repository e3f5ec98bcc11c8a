"""Sensitivities as a table: what each width of a site does to the outputs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ristretto.report.page import figures
from ristretto.report.page.model import Site

SHADES = 6
"""Steps of the shading, from harmless to ruinous."""
LEAST, MOST = -6.0, 0.0
"""Powers of ten at which the shading begins and ends: a distortion of 1 moves the outputs as far as they reach."""


@dataclass(frozen=True)
class Cell:
    """A distortion, its shade, and whether its width was chosen; empty where the width was not tried."""

    text: str
    value: float | None
    shade: int
    chosen: bool


@dataclass(frozen=True)
class Row:
    """A site with a cell for each width."""

    name: str
    part: str
    chosen: int | None
    cells: tuple[Cell, ...]


def widths_of(sites: Sequence[Site]) -> list[int]:
    """Give all widths that were tried, from narrow to wide."""
    return sorted({width for site in sites for width in site.distortions})


def rows(sites: Sequence[Site], part_names: dict[str, str]) -> list[Row]:
    """Give the table's rows."""
    widths = widths_of(sites)
    return [
        Row(
            site.name,
            part_names.get(site.part, site.part),
            site.chosen,
            tuple(_cell(site, width) for width in widths),
        )
        for site in sites
    ]


def _cell(site: Site, width: int) -> Cell:
    chosen = width == site.chosen
    if width not in site.distortions:
        return Cell("", None, 0, chosen)
    value = site.distortions[width]
    if value is None:
        return Cell("not a number", None, SHADES, chosen)
    return Cell(figures.real(value), value, shade(value), chosen)


def shade(distortion: float) -> int:
    """Give the shade of a distortion, 0 to `SHADES`, by its power of ten."""
    if distortion <= 0:
        return 0
    share = (math.log10(distortion) - LEAST) / (MOST - LEAST)
    return min(SHADES, max(0, math.ceil(share * SHADES)))
