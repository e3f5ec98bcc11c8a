"""CalibrationStats: the first two stages of the paper, the ranges of weights and of layer outputs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from ristretto.calibrate.behind import layers_behind
from ristretto.calibrate.distribution import Accumulator, Distribution, Range
from ristretto.calibrate.sample import Sampler
from ristretto.errors import DataError, ModelError
from ristretto.execute import FloatExecutor
from ristretto.execute.score import Progress, in_order
from ristretto.net import Layer, Net, Shape
from ristretto.net.op import Array


@dataclass(frozen=True, eq=False)
class LayerStats:
    """What calibration saw of one layer that can be quantized.

    Parameters
    ----------
    layer : Layer
        The layer, with its weights.
    layer_in, layer_out : Distribution
        Of the input as the layer reads it, and of the output right after the layer, before anything works on it in
        place.
    final_in, final_out : Range
        Of the same two blobs after the whole net has run: what the original tool measures.
    rectified : bool
        Whether only the positive part of the output matters: all that read it are ReLUs.
    ranked : bool
        Whether the output holds the scores by which an accuracy ranks the classes.
    sample_in, sample_out : float32 arrays (n, ...)
        Some pictures' input and output, real units.
    behind : tuple of Layer
        What the output goes through before others read it: see `layers_behind`.
    """

    layer: Layer
    layer_in: Distribution
    layer_out: Distribution
    final_in: Range
    final_out: Range
    rectified: bool
    ranked: bool
    sample_in: Array
    sample_out: Array
    behind: tuple[Layer, ...] = ()

    @property
    def weights(self) -> Range:
        """The range of the weights without the bias."""
        return _range(self.layer.blobs[:1])

    @property
    def params(self) -> Range:
        """The range of weights and bias together."""
        return _range(self.layer.blobs)


@dataclass(frozen=True, eq=False)
class CalibrationStats:
    """What calibration saw of a net.

    Parameters
    ----------
    layers : mapping of str to LayerStats
        By layer name, in net order.
    batches : int
        How many batches were run.
    source : str
        Where they came from.
    """

    layers: Mapping[str, LayerStats]
    batches: int
    source: str


def _range(blobs: Sequence[Array]) -> Range:
    return Range(min(float(b.min()) for b in blobs), max(float(b.max()) for b in blobs))


def calibrate(
    net: Net,
    inputs: Mapping[str, Shape],
    batches: Iterable[Mapping[str, Array]],
    *,
    source: str = "",
    threads: int = 1,
    progress: Progress | None = None,
) -> CalibrationStats:
    """Run batches through the float net and measure what can be quantized.

    Parameters
    ----------
    net : Net
        Of one phase, with weights.
    inputs : mapping of str to shape
        The shapes of one batch.
    batches : iterable of batches
    source : str
        Where they come from, for reports.
    threads : int
        The result does not depend on it.

    Raises
    ------
    ModelError
        When the net has no layer that can be quantized, or a layer's numbers are not finite.
    DataError
        When there is no batch.
    """
    layers = [layer for layer in net if layer.op.part is not None]
    if not layers:
        raise ModelError(f"net '{net.name}' has no layer that can be quantized")
    read = {layer.name: net.version(layer.bottoms[0], before=layer) for layer in layers}
    final = {blob: net.version(blob) for layer in layers for blob in (layer.bottoms[0], layer.tops[0])}
    versions = sorted({*read.values(), *final.values(), *(f"{layer.name}.top0" for layer in layers)})
    executor = FloatExecutor(net, inputs, keep=versions)
    found = {version: Accumulator() for version in versions}
    samplers = {layer.name: Sampler() for layer in layers}
    count = 0
    with ThreadPoolExecutor(threads) as pool:
        for run in in_order(executor.run, batches, threads, progress):
            count += 1
            # Each blob by itself, batch after batch: the result does not depend on who is first.
            for _ in pool.map(lambda version, run=run: _add(found[version], version, run.kept[version]), versions):
                pass
            for name, sampler in samplers.items():
                sampler.add(run.kept[read[name]], run.kept[f"{name}.top0"])
    if not count:
        raise DataError("no batch to calibrate with", hint="ask for at least one batch")
    spread = {version: accumulator.finish() for version, accumulator in found.items()}
    samples = {name: sampler.finish() for name, sampler in samplers.items()}
    return CalibrationStats(
        {
            layer.name: LayerStats(
                layer=layer,
                layer_in=spread[read[layer.name]],
                layer_out=spread[f"{layer.name}.top0"],
                final_in=spread[final[layer.bottoms[0]]].range,
                final_out=spread[final[layer.tops[0]]].range,
                rectified=_rectified(net, layer),
                ranked=any(reader.op.higher_is_better for reader in net.consumers(layer)),
                sample_in=samples[layer.name][0],
                sample_out=samples[layer.name][1],
                behind=layers_behind(net, layer, samples[layer.name][1].shape),
            )
            for layer in layers
        },
        count,
        source,
    )


def _add(found: Accumulator, version: str, value: Array) -> None:
    if not np.isfinite(value).all():
        name, _, top = version.rpartition(".")
        raise ModelError(f"{top} is not finite for some picture", layer=name, hint="do weights and data fit?")
    found.add(value)


def _rectified(net: Net, layer: Layer) -> bool:
    readers = net.consumers(layer)
    return bool(readers) and all(
        reader.op.rectifies or (reader.op.commutes_with_relu and _rectified(net, reader)) for reader in readers
    )
