"""What calibration saw, as plain arrays that can be put away, and back."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ristretto.calibrate.behind import layers_behind
from ristretto.calibrate.distribution import Distribution, Range
from ristretto.calibrate.stats import CalibrationStats, LayerStats
from ristretto.net import Net
from ristretto.net.op import Array


def to_arrays(stats: CalibrationStats) -> dict[str, Array]:
    """Give all that calibration saw, but for the layers themselves and the name of the source."""
    arrays: dict[str, Array] = {"batches": np.array(stats.batches)}
    # Most blobs are the output of one layer and the input of others.
    numbers: dict[int, int] = {}

    def number(seen: Distribution) -> int:
        if id(seen) not in numbers:
            index = numbers[id(seen)] = len(numbers)
            arrays[f"range {index}"] = np.array([seen.range.min, seen.range.max, seen.step])
            arrays[f"counts {index}"] = seen.counts
        return numbers[id(seen)]

    for index, layer in enumerate(stats.layers.values()):
        blobs = [number(layer.layer_in), number(layer.layer_out), layer.rectified, layer.ranked]
        arrays[f"layer {index}"] = np.array(blobs, np.int64)
        final = (layer.final_in, layer.final_out)
        arrays[f"final {index}"] = np.array([end for seen in final for end in (seen.min, seen.max)])
        arrays[f"sample_in {index}"], arrays[f"sample_out {index}"] = layer.sample_in, layer.sample_out
    return arrays


def from_arrays(arrays: Mapping[str, Array], net: Net, source: str) -> CalibrationStats:
    """Give what calibration saw of a net, from the arrays that it was put away as.

    Parameters
    ----------
    arrays : mapping of str to array
    net : Net
        The one that was calibrated.
    source : str
        Where its batches come from, for reports.
    """
    known: dict[int, Distribution] = {}

    def distribution(index: int) -> Distribution:
        if index not in known:
            low, high, step = arrays[f"range {index}"].tolist()
            known[index] = Distribution(Range(low, high), step, arrays[f"counts {index}"])
        return known[index]

    layers = {}
    for index, layer in enumerate(layer for layer in net if layer.op.part is not None):
        layer_in, layer_out, rectified, ranked = arrays[f"layer {index}"].tolist()
        ends = arrays[f"final {index}"].tolist()
        layers[layer.name] = LayerStats(
            layer=layer,
            layer_in=distribution(layer_in),
            layer_out=distribution(layer_out),
            final_in=Range(*ends[:2]),
            final_out=Range(*ends[2:]),
            rectified=bool(rectified),
            ranked=bool(ranked),
            sample_in=arrays[f"sample_in {index}"],
            sample_out=arrays[f"sample_out {index}"],
            behind=layers_behind(net, layer, arrays[f"sample_out {index}"].shape),
        )
    return CalibrationStats(layers, int(arrays["batches"]), source)
