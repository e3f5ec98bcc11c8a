"""Sweep: every width on each part of a net alone, the rest in float; Table 1 and Figure 4 of the paper."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from ristretto.calibrate import CalibrationStats
from ristretto.errors import FormatError, SearchError
from ristretto.net import Part, QuantSpec
from ristretto.search.kept_formats import KeptFormats
from ristretto.search.mode import TrimmingMode
from ristretto.search.preset import Preset
from ristretto.search.result import ALL_PARTS, Score
from ristretto.search.widths import Bits, of_parts, parts_of

SWEPT_PARTS = (*(part.value for part in Part), ALL_PARTS)
"""What a sweep may condense: each part alone, and all of them together."""
MOST_BITS = 32
"""Of a word; wider ones are float's own business."""


@dataclass(frozen=True)
class Point:
    """One net of a sweep.

    Parameters
    ----------
    mode : str
        The trimming mode's name.
    part : str
        What is condensed, the rest in float; "all" for all parts together.
    width : int
        To how many bits.
    """

    mode: str
    part: str
    width: int


@dataclass(frozen=True, eq=False)
class Sweep:
    """What a sweep found.

    Parameters
    ----------
    preset : str
    score_blob : str
        The output blob whose mean is the score.
    higher_is_better : bool
        False when the score is a loss.
    baseline : Score
        The float net's.
    scores : mapping of Point to Score
        By mode, then by part, then from wide to narrow.
    notes : tuple of str
        What the user should know: dead layers.
    """

    preset: str
    score_blob: str
    higher_is_better: bool
    baseline: Score
    scores: Mapping[Point, Score]
    notes: tuple[str, ...] = ()

    @property
    def modes(self) -> list[str]:
        """The trimming modes, in order."""
        return list(dict.fromkeys(point.mode for point in self.scores))

    @property
    def parts(self) -> list[str]:
        """What was condensed, in order."""
        return list(dict.fromkeys(point.part for point in self.scores))

    @property
    def widths(self) -> list[int]:
        """The widths, bits, from wide to narrow."""
        return sorted({point.width for point in self.scores}, reverse=True)


def check_widths(modes: Sequence[TrimmingMode], parts: Sequence[str], widths: Sequence[int]) -> None:
    """Make sure, before any work, that every mode has formats of every width.

    Raises
    ------
    SearchError
        When there is nothing to try, or a mode has no such formats: names mode, part and width.
    """
    if not (modes and parts and widths):
        raise SearchError("a sweep needs a mode, a part and a width at least")
    for width in widths:
        if not 1 <= width <= MOST_BITS:
            raise SearchError(f"a width of {width} bits", hint=f"widths lie between 1 and {MOST_BITS}")
    for mode, point in _points(modes, parts, widths):
        with _naming(point):
            mode.check(_bits(point, list(Part)))


def choose_parts(stats: CalibrationStats, wanted: Sequence[str] | None) -> list[str]:
    """Give what is condensed, of `SWEPT_PARTS` and in their order; without a wish all that the net has.

    Raises
    ------
    SearchError
        When the net lacks a part that is wanted.
    """
    present = [part.value for part in parts_of(stats)]
    for part in wanted or ():
        if part not in (*present, ALL_PARTS):
            raise SearchError(f"the net has no {part}", hint=f"its parts: {', '.join(present)}")
    return [part for part in SWEPT_PARTS if part in (wanted or [*present, ALL_PARTS])]


def plan_sweep(
    stats: CalibrationStats,
    preset: Preset,
    modes: Sequence[TrimmingMode],
    parts: Sequence[str],
    widths: Sequence[int],
    *,
    kept: KeptFormats | None = None,
    progress: Callable[[], None] = lambda: None,
) -> dict[Point, QuantSpec]:
    """Choose the formats of every net of a sweep, before the first is scored.

    Parameters
    ----------
    stats : CalibrationStats
    preset : Preset
        How formats are chosen.
    modes : sequence of TrimmingMode
    parts : sequence of str
        As `choose_parts` gives them.
    widths : sequence of int
        Bits, in any order.
    kept : KeptFormats or None
        Knows formats that were chosen before.
    progress : callable
        Called after each net's formats.

    Raises
    ------
    SearchError
        When a mode has no formats of a width for this net.
    """
    present = parts_of(stats)
    plan = {}
    for mode, point in _points(modes, parts, widths):
        with _naming(point):
            plan[point] = preset.spec(mode, stats, of_parts(stats, _bits(point, present)), kept)
        progress()
    return plan


def _points(
    modes: Sequence[TrimmingMode], parts: Sequence[str], widths: Sequence[int]
) -> Iterator[tuple[TrimmingMode, Point]]:
    for mode in modes:
        for part in parts:
            for width in sorted(set(widths), reverse=True):
                yield mode, Point(mode.name, part, width)


def _bits(point: Point, present: Sequence[Part]) -> Bits:
    return dict.fromkeys(present if point.part == ALL_PARTS else [Part(point.part)], point.width)


@contextmanager
def _naming(point: Point) -> Iterator[None]:
    """Name the mode, the part and the width in an error about formats."""
    try:
        yield
    except (SearchError, FormatError) as error:
        where = f"{point.mode}, {point.part} at {point.width} bits"
        raise SearchError(f"{where}: {error.message}", hint=error.hint) from error
