"""The accurate preset: formats by squared error, and widths given back until the whole net holds."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from ristretto.calibrate import Distribution, LayerStats
from ristretto.formats import FixedPoint
from ristretto.net import LayerQuant, Part, Phase
from ristretto.search.preset import LADDER, UNCONDENSED, Preset, Trials
from ristretto.search.result import Bits

CLIPPED_BITS = 4
"""How many integer bits below full coverage are considered; beyond, saturation always costs more than it gains."""


class AccuratePreset(Preset):
    """Formats that make the least squared error, in nets whose ranges are measured as they are in use.

    - An activation's fractional length minimizes the squared error over the histogram of its values; where only
      ReLUs read an output, over what they let through.
    - The weights' minimizes the expected squared error of the layer's output: an error in a weight is multiplied by
      an input, one in the bias is not, so ``mean(x**2) * sum(dw**2) + sum(db**2)``.
    - The three parts are condensed together and scored; while the margin is missed, the part whose next wider width
      raises the score most gets it.
    """

    name = "accurate"
    calibration_phase = Phase.TEST

    def layer_quant(self, stats: LayerStats, bits: Bits) -> LayerQuant:
        """Choose the fractional lengths by squared error."""
        part, activations = stats.layer.op.part, Part.ACTIVATIONS
        assert part is not None
        layer_in = layer_out = params = None
        if activations in bits:
            layer_in = _for_blob(stats.layer_in, bits[activations], rectified=False)
            layer_out = _for_blob(stats.layer_out, bits[activations], rectified=stats.rectified)
        if part in bits:
            params = _for_params(stats, bits[part])
        return LayerQuant(layer_in, layer_out, params)

    def decide(self, trials: Trials) -> Bits:
        """Find each part's width alone, then give bits back until the parts hold together."""
        bits = {part: trials.smallest(part) for part in trials.parts}
        while not trials.together(bits).holds:
            wider = [{**bits, part: step} for part, width in bits.items() if (step := _next_wider(width))]
            if not wider:
                break
            # The first of equals: the order of parts decides, not that of dictionaries or threads.
            bits = max(wider, key=lambda candidate: trials.together(candidate).score.value)
        return bits


def _next_wider(width: int) -> int | None:
    rungs = (UNCONDENSED, *LADDER)
    index = rungs.index(width)
    return rungs[index - 1] if index > 1 else None


def _for_blob(values: Distribution, bw: int, *, rectified: bool) -> FixedPoint:
    magnitude = max(values.range.max, 0.0) if rectified else values.range.magnitude
    return _least(
        candidates(bw, magnitude), lambda fmt: values.squared_error(fmt, rectified=rectified)
    )


def _for_params(stats: LayerStats, bw: int) -> FixedPoint:
    gain = stats.layer_in.mean_square()
    blobs = [blob.astype(np.float64) for blob in stats.layer.blobs]

    def error(fmt: FixedPoint) -> float:
        squares = [float(((fmt.trim(blob) - blob) ** 2).sum()) for blob in blobs]
        return gain * squares[0] + sum(squares[1:])

    return _least(candidates(bw, stats.params.magnitude), error)


def candidates(bw: int, magnitude: float) -> list[FixedPoint]:
    """Give the formats to choose from: from full coverage on, one integer bit less each time."""
    first = FixedPoint.covering(bw, magnitude)
    return [FixedPoint(bw, first.fl + clipped) for clipped in range(CLIPPED_BITS + 1)]


def _least(formats: Iterable[FixedPoint], error: Callable[[FixedPoint], float]) -> FixedPoint:
    """Give the format with the least error; the first of equals, which clips least."""
    return min(formats, key=error)
