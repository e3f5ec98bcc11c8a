"""TrimmingMode: a kind of number format, with the widths that are tried and the formats that follow from them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from ristretto.calibrate import CalibrationStats
from ristretto.errors import SearchError
from ristretto.net import LayerQuant, Part
from ristretto.search.criteria import Criterion
from ristretto.search.sites import Bounds
from ristretto.search.widths import Bits, Widths

LADDER = (16, 8, 4, 2, 1)
"""The widths that are tried, bits, as in the original tool."""
UNCONDENSED = 32
"""The width of what not even the widest rung holds; the fork's word for float."""

Quants = Mapping[str, LayerQuant]
"""Formats by layer name."""


@dataclass(frozen=True)
class Ladder:
    """Widths that are tried one after the other, the rest of the net in float.

    Parameters
    ----------
    part : str
        What is condensed; "all" for the whole net.
    rungs : sequence of Bits
        From wide to narrow.
    otherwise : Bits
        The widths when not even the first rung holds.
    """

    part: str
    rungs: Sequence[Bits]
    otherwise: Bits

    def bits(self, rung: int) -> Bits:
        """Give the widths of a rung; those above all rungs for -1."""
        return self.otherwise if rung < 0 else self.rungs[rung]

    def within(self, bounds: Bounds) -> Ladder:
        """Give the ladder of those rungs that lie within bounds; where it loses wide ones, the widest left must do.

        Raises
        ------
        SearchError
            When none does.
        """
        rungs = [bits for bits in self.rungs if all(bounds.hold(width) for width in bits.values())]
        if not rungs:
            raise SearchError(
                f"nothing to try for {self.part} between {bounds.min_bits} and {bounds.max_bits} bits",
                hint=f"its widths: {', '.join(_shown(bits) for bits in self.rungs)}",
            )
        return replace(self, rungs=rungs, otherwise=self.otherwise if rungs[0] == self.rungs[0] else rungs[0])


def _shown(bits: Bits) -> str:
    return "/".join(dict.fromkeys(map(str, bits.values())))


def ladder(name: str, parts: Sequence[Part], widths: Sequence[int] = LADDER) -> Ladder:
    """Give the ladder on which parts share each width."""
    rungs = [dict.fromkeys(parts, width) for width in widths]
    return Ladder(name, rungs, dict.fromkeys(parts, UNCONDENSED))


class TrimmingMode(ABC):
    """A kind of number format.

    A mode is one subclass in one file of ``ristretto.search.modes`` and one entry in ``MODES``.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    """What the summary calls the condensed net."""
    by_layer: ClassVar[bool] = False
    """Whether every place may have a width of its own."""
    moves_radix_points: ClassVar[bool] = False
    """Whether every place has a radix point of its own, which may be moved, and the bias that of the weights."""
    is_on_grids: ClassVar[bool] = True
    """Whether its numbers are integers, up to a factor."""

    @abstractmethod
    def ladders(self, parts: Sequence[Part]) -> Sequence[Ladder]:
        """Give what is tried, in order; each ladder by itself."""

    def check(self, bits: Bits) -> None:  # noqa: B027 (most modes take whatever they are given)
        """Raise a SearchError when the mode has no formats of these widths."""

    @abstractmethod
    def by_range(self, stats: CalibrationStats, widths: Widths) -> Quants:
        """Choose formats as the original tool does: from the ranges after the whole forward pass.

        Parameters
        ----------
        stats : CalibrationStats
        widths : mapping of str to LayerWidths
            For each layer that was calibrated; a place without a width stays in float.

        Returns
        -------
        mapping of str to LayerQuant
            For the same layers.
        """

    @abstractmethod
    def by_error(self, stats: CalibrationStats, widths: Widths) -> Quants:
        """Choose formats by what they do to a layer's output, from numbers as they are in use.

        Where the output ranks classes, the places lost come first; else, and among equals, the squared error decides.
        """

    def check_criterion(self, criterion: Criterion) -> None:  # noqa: B027 (most modes take each)
        """Raise a SearchError when a criterion means nothing for these formats."""

    @abstractmethod
    def by_criterion(self, criterion: Criterion, stats: CalibrationStats, widths: Widths) -> Quants:
        """Choose formats by one criterion, the same for every place."""
