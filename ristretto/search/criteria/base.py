"""Criterion: what decides on a format among those of one width."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, TypeVar
from weakref import WeakKeyDictionary

from ristretto.calibrate import LayerStats, Range
from ristretto.formats import FixedPoint, Format
from ristretto.net.quant import LAYER_IN, LAYER_OUT, PARAMS
from ristretto.search.fit import candidates

F = TypeVar("F", bound=Format)


@dataclass(frozen=True)
class Spot:
    """One place of one layer.

    Parameters
    ----------
    stats : LayerStats
        Of the layer.
    place : str
        One of ``ristretto.net.quant.PLACES``.
    """

    stats: LayerStats
    place: str

    def seen(self, *, bias: bool = True) -> Range:
        """Give the range of the numbers there; a format may leave the bias alone."""
        if self.place == PARAMS:
            return self.stats.params if bias else self.stats.weights
        return self.stats.layer_in.range if self.place == LAYER_IN else self.stats.layer_out.range


class Criterion(ABC):
    """What decides on a format among those of one width, whatever the trimming mode.

    A criterion is one subclass in one file of ``ristretto.search.criteria`` and one entry in ``CRITERIA``.
    """

    name: ClassVar[str]
    weighs_errors: ClassVar[bool] = True
    """Whether small numbers count, and not only whether large ones saturate."""

    @abstractmethod
    def best(self, formats: Sequence[F], spots: Sequence[Spot]) -> F:
        """Give the best format for places that share one; the first of equals.

        Parameters
        ----------
        formats : sequence of Format
            At least one, all of one width.
        spots : sequence of Spot
        """

    def fixed_points(self, spot: Spot, bw: int) -> Sequence[FixedPoint]:
        """Give the fixed-point formats to choose from for one place: from full coverage on, ever finer ones."""
        return candidates(bw, spot.seen().magnitude, spot.seen(bias=False).magnitude)

    def fixed_point(self, spot: Spot, bw: int) -> FixedPoint:
        """Give the best fixed-point format of a width, bits, for one place."""
        return self.best(self.fixed_points(spot, bw), [spot])

    def activations(
        self, stats: LayerStats, layer_in: int | None, layer_out: int | None
    ) -> tuple[FixedPoint | None, FixedPoint | None]:
        """Give the fixed-point formats of a layer's input and output, of these widths; None leaves one in float."""
        first, second = (
            None if bw is None else self.fixed_point(Spot(stats, place), bw)
            for place, bw in ((LAYER_IN, layer_in), (LAYER_OUT, layer_out))
        )
        return first, second


class ErrorCriterion(Criterion):
    """Takes the format with the least error.

    Errors are counted as shares of the power of what they disturb, so that those of several places may be added up.
    """

    def __init__(self) -> None:
        self._known: WeakKeyDictionary[LayerStats, dict[tuple[str, Format], float]] = WeakKeyDictionary()

    @abstractmethod
    def measure(self, spot: Spot, fmt: Format) -> float:
        """Give the share that trimming one place costs, 0 for nothing."""

    def share(self, spot: Spot, fmt: Format) -> float:
        """Give the share that trimming one place costs; a search asks for it in many trials, so it is kept."""
        known = self._known.setdefault(spot.stats, {})
        if (spot.place, fmt) not in known:
            known[spot.place, fmt] = self.measure(spot, fmt)
        return known[spot.place, fmt]

    def best(self, formats: Sequence[F], spots: Sequence[Spot]) -> F:
        """Take the least sum of shares."""
        best, lowest = formats[0], math.inf
        for fmt in formats:
            total = 0.0
            for spot in spots:
                total += self.share(spot, fmt)
                if total >= lowest:
                    # No more places than it takes to see that this is not the least.
                    break
            else:
                best, lowest = fmt, total
        return best
