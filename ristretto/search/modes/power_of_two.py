"""Integer power of two weights: multiplications become shifts; activations are dynamic fixed point."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ristretto.calibrate import CalibrationStats, LayerStats
from ristretto.errors import SearchError
from ristretto.formats import PowerOfTwo
from ristretto.net import LayerQuant, Part
from ristretto.net.quant import PARAMS
from ristretto.search.criteria import Criterion
from ristretto.search.criteria.base import Spot
from ristretto.search.fit import least, params_cost
from ristretto.search.mode import Ladder, Quants, TrimmingMode
from ristretto.search.modes.dynamic_fixed_point import activations_by_error, activations_by_range
from ristretto.search.result import ALL_PARTS
from ristretto.search.widths import Bits, Widths

WEIGHT_BITS = 4
ACTIVATION_BITS = 8
LARGEST_EXPONENT = -1
EXPONENTS = 8
"""A sign and three bits: eight exponents; the original always takes -8 to -1."""


class PowerOfTwoMode(TrimmingMode):
    """Weights of 4 bits, activations of 8; there is nothing narrower to try."""

    name = "integer_power_of_2_weights"
    title = "Power of two net"

    def ladders(self, parts: Sequence[Part]) -> Sequence[Ladder]:
        """One rung, which is taken whether it holds or not."""
        bits = {part: ACTIVATION_BITS if part is Part.ACTIVATIONS else WEIGHT_BITS for part in parts}
        return [Ladder(ALL_PARTS, [bits], otherwise=bits)]

    def check(self, bits: Bits) -> None:
        """Raise a SearchError when weights have another width than 4 bits."""
        if any(width != WEIGHT_BITS for part, width in bits.items() if part is not Part.ACTIVATIONS):
            raise SearchError(f"powers of two have {WEIGHT_BITS} bits", hint=f"ask for {WEIGHT_BITS}-bit weights")

    def by_range(self, stats: CalibrationStats, widths: Widths) -> Quants:
        """Give all layers the exponents -8 to -1."""
        fmt = _exponents(LARGEST_EXPONENT)
        return {
            name: LayerQuant(*activations_by_range(layer, widths[name]), None if widths[name].params is None else fmt)
            for name, layer in stats.layers.items()
        }

    def by_error(self, stats: CalibrationStats, widths: Widths) -> Quants:
        """Give each layer the eight exponents that do least to its output."""
        return {
            name: LayerQuant(
                *activations_by_error(layer, widths[name]), None if widths[name].params is None else _fitting(layer)
            )
            for name, layer in stats.layers.items()
        }

    def by_criterion(self, criterion: Criterion, stats: CalibrationStats, widths: Widths) -> Quants:
        """Give each layer the best eight exponents."""
        return {
            name: LayerQuant(
                *criterion.activations(layer, widths[name].layer_in, widths[name].layer_out),
                None if widths[name].params is None else criterion.best(_candidates(layer), [Spot(layer, PARAMS)]),
            )
            for name, layer in stats.layers.items()
        }


def _exponents(largest: int) -> PowerOfTwo:
    return PowerOfTwo(largest - EXPONENTS + 1, largest)


def _fitting(stats: LayerStats) -> PowerOfTwo:
    return least(_candidates(stats), lambda fmt: params_cost(stats, fmt))


def _candidates(stats: LayerStats) -> list[PowerOfTwo]:
    """Give what is tried: the greatest exponent covers all weights in the last."""
    magnitude = stats.weights.magnitude
    top = int(np.clip(np.frexp(magnitude)[1] if magnitude > 0 else 0, -64, 64))
    return [_exponents(largest) for largest in (top - 2, top - 1, top)]
