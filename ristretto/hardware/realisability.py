"""Realisability: what a net asks of hardware, layer by layer, and whether integers and shifts will do."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ristretto.formats import Arithmetic, FixedPoint, Format, PowerOfTwo
from ristretto.formats.ends import saturates
from ristretto.formats.power_of_two import WIDEST_EXPONENT
from ristretto.hardware.datapath import Datapath, Stage
from ristretto.hardware.mac import MacPath
from ristretto.hardware.observe import MOST_CODES, Observed, Seen
from ristretto.hardware.obstacle import Obstacle
from ristretto.net import LayerQuant, Shape
from ristretto.net.op import Array
from ristretto.net.quant import bits_of, param_bits

EVERY_POWER = PowerOfTwo(-WIDEST_EXPONENT, WIDEST_EXPONENT)


@dataclass(frozen=True, eq=False)
class LayerNeeds:
    """What one multiply-accumulate layer asks of hardware.

    Parameters
    ----------
    stage : Stage
    quant : LayerQuant or None
        None for a layer in float.
    weights, bias : Seen or None
        What trimming does to them, exactly; None where there are none, or they have no format with codes.
    observed : Observed or None
        What passed through it; None where no pictures were run, or its totals are not exact.
    macs : int
        Multiply-accumulates for one picture.
    weight_bits : int
        Memory for weights and bias, bits.
    in_bits, out_bits : int
        Memory for its input and its output of one picture, bits.
    """

    stage: Stage
    quant: LayerQuant | None
    weights: Seen | None
    bias: Seen | None
    observed: Observed | None
    macs: int
    weight_bits: int
    in_bits: int
    out_bits: int

    @property
    def name(self) -> str:
        """The layer's name."""
        return self.stage.layer.name

    @property
    def path(self) -> MacPath | None:
        """The way of its numbers; without the bias where that has no grid, None where there are no integers."""
        return self.stage.mac or self.stage.products

    @property
    def in_shift(self) -> int | None:
        """Right shift from the producer's grid to its input's, bits; None from real numbers."""
        return self.stage.trim_in.shift if self.stage.trim_in else None


@dataclass(frozen=True, eq=False)
class Realisability:
    """What a net asks of hardware.

    Parameters
    ----------
    datapath : Datapath
    layers : tuple of LayerNeeds
        Those that multiply and accumulate, in order.
    batches, pictures : int
        What was observed.
    source : str
        Where it came from.
    """

    datapath: Datapath
    layers: tuple[LayerNeeds, ...]
    batches: int = 0
    pictures: int = 0
    source: str = ""

    @property
    def obstacles(self) -> tuple[tuple[str, Obstacle], ...]:
        """What needs more than shifts, with the layer's name."""
        return self.datapath.obstacles

    @property
    def between(self) -> tuple[Stage, ...]:
        """Layers that do not multiply where integers are aligned, divided or trimmed, in order."""
        return tuple(
            stage
            for stage in self.datapath.stages
            if stage.layer.op.part is None
            and (stage.trim_in or stage.trim_out or (stage.work and (len(stage.bottoms) > 1 or stage.work.right_shift)))
        )

    @property
    def host(self) -> tuple[str, ...]:
        """Layers that are no part of the data path, by name."""
        return tuple(stage.layer.name for stage in self.datapath.stages if stage.host)

    @cached_property
    def extra_shifts(self) -> tuple[str, ...]:
        """Say where numbers are shifted beside the way from an accumulator to its output, a line for each place."""
        return tuple(line for stage in self.datapath.stages for line in extra_shifts(stage))

    @property
    def macs(self) -> int:
        """Multiply-accumulates for one picture."""
        return sum(layer.macs for layer in self.layers)

    @property
    def weight_bits(self) -> int:
        """Memory for all weights and biases, bits."""
        return sum(layer.weight_bits for layer in self.layers)

    @property
    def activation_bits(self) -> int:
        """What the layers write for one picture, bits."""
        return sum(layer.out_bits for layer in self.layers)

    @property
    def working_bits(self) -> int:
        """The most that one layer reads and writes for one picture, bits: what must be at hand at once."""
        return max((layer.in_bits + layer.out_bits for layer in self.layers), default=0)

    @property
    def widest_product(self) -> int:
        """Bits."""
        return max((layer.path.product_bits for layer in self.layers if layer.path), default=0)

    @property
    def widest_accumulator(self) -> int:
        """The word that holds every total of every layer, bits."""
        return max((layer.path.accumulator_bits for layer in self.layers if layer.path), default=0)


def extra_shifts(stage: Stage) -> list[str]:
    """Say where a layer shifts numbers beside the way from its accumulator to its output, a line for each place."""
    name, lines = stage.layer.name, []
    trim, path, work = stage.trim_in, stage.mac, stage.work
    if trim and trim.shift and trim.source:
        assert isinstance(trim.format, FixedPoint)
        lines.append(
            f"layer '{name}': blob '{trim.blob}' has fl {trim.source.fl} and is read with fl {trim.format.fl}: "
            f"{_shift(trim.shift)}"
        )
    if work and any(work.alignment):
        shifts = ", ".join(str(shift) for shift in work.alignment)
        lines.append(f"layer '{name}': its bottoms are aligned, left shifts of {shifts} bits")
    if path and path.lift:
        lines.append(f"layer '{name}': its products need {_shift(-path.lift)} to meet its bias")
    if path and path.out_shift < 0:
        lines.append(f"layer '{name}': its output is finer than its accumulator: {_shift(path.out_shift)}")
    return lines


def _shift(right: int) -> str:
    return f"a shift to the {'right' if right > 0 else 'left'} by {abs(right)} bit{'s' if abs(right) > 1 else ''}"


def needs(
    datapath: Datapath,
    observed: Mapping[str, Observed] | None = None,
    *,
    batches: int = 0,
    pictures: int = 0,
    source: str = "",
) -> Realisability:
    """Put together what a net asks of hardware.

    Parameters
    ----------
    datapath : Datapath
    observed : mapping of str to Observed, or None
        What passed through its layers.
    batches, pictures : int
        How much that was.
    source : str
        Where it came from.
    """
    seen = observed or {}
    layers = tuple(
        _layer_needs(datapath, stage, seen.get(stage.layer.name))
        for stage in datapath.stages
        if stage.layer.op.part is not None
    )
    return Realisability(datapath, layers, batches, pictures, source)


def _layer_needs(datapath: Datapath, stage: Stage, observed: Observed | None) -> LayerNeeds:
    layer = datapath.net[stage.layer.name]
    quant = layer.quant.under(datapath.arithmetic) if layer.quant else None
    params = quant.params if quant else None
    weights, *others = layer.blobs
    bias = others[0] if others else None
    covered = params is not None and params.covers_bias
    return LayerNeeds(
        stage,
        quant,
        None if params is None else trimmed_weights(weights, params, datapath.arithmetic),
        None if params is None or bias is None or not covered else trimmed_weights(bias, params, datapath.arithmetic),
        observed,
        layer.op.macs(stage.shapes),
        param_bits([blob.size for blob in layer.blobs], params),
        _numbers(stage.shapes[0]) * bits_of(quant.layer_in if quant else None),
        _numbers(datapath.shapes[layer.name][0]) * bits_of(quant.layer_out if quant else None),
    )


def _numbers(shape: Shape) -> int:
    return math.prod(shape[1:])


def trimmed_weights(x: Array, params: Format, arithmetic: Arithmetic) -> Seen | None:
    """Say what trimming does to weights; None for a format without a grid.

    Of powers of two, those saturate that are smaller than the least or larger than the greatest once rounded; zeros are
    among them, as there is no zero.
    """
    if isinstance(params, FixedPoint):
        codes = params.encode(x, arithmetic)
        beyond = int(np.count_nonzero(saturates(params, x, arithmetic)))
        used = int(np.unique(codes).size) if params.bw <= MOST_CODES else None
        return Seen(x.size, beyond, int(codes.min()), int(codes.max()), used, 1 << params.bw)
    if isinstance(params, PowerOfTwo):
        codes = params.encode(x, arithmetic)
        powers = np.abs(EVERY_POWER.encode(x)).astype(np.int64) - 1 + EVERY_POWER.exp_min
        beyond = int(np.count_nonzero((powers < params.exp_min) | (powers > params.exp_max)))
        span = params.exp_max - params.exp_min + 1
        return Seen(x.size, beyond, int(codes.min()), int(codes.max()), int(np.unique(codes).size), 2 * span)
    return None
