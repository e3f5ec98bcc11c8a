"""The integer executor: codes, exact sums, shifts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from ristretto.errors import in_layer
from ristretto.execute.codes import weight_codes
from ristretto.execute.compiled import Builder, Codes, Piece, ProgramStep
from ristretto.execute.compiled.graph import WIDEST_CODE
from ristretto.execute.exact import EXACT_IN_FLOAT64
from ristretto.execute.executor import Executor, Step
from ristretto.execute.lower import Lowered, lower
from ristretto.execute.simulate import QuantizedStep, float_step
from ristretto.execute.trim_step import TrimInsideStep, TrimStep
from ristretto.formats import Arithmetic, FixedPoint, Format
from ristretto.net import Layer


@dataclass(eq=False)
class Apart:
    """A layer that no program runs, and its steps."""

    lowered: Lowered
    steps: list[Step]


@dataclass(eq=False)
class Stretch:
    """Layers that become one program, and those that run after it although they stand among them."""

    builder: Builder = field(default_factory=Builder)
    layers: list[Layer] = field(default_factory=list)
    later: list[Apart] = field(default_factory=list)

    def is_in_the_way_of(self, lowered: Lowered) -> bool:
        """Whether a layer that would join the program needs, or changes, what a later one changes or reads."""
        return any(
            lowered.touched & other.lowered.changed or lowered.changed & other.lowered.touched for other in self.later
        )


class IntegerExecutor(Executor):
    """Runs quantized layers on integer codes; everything left in float runs in float.

    It gives the same bits as the simulating executor for every net. A layer whose input and weights have up to 16 bits
    runs in integers throughout, with exact sums. Where 53 bits do not hold them, or a word has 17 to 31 bits, it runs
    the simulating executor's own step; with 32 bits, the fork's word for float, both run in float32 (see `lower`).

    Consecutive layers are compiled into one program (`ristretto.execute.compiled`): on codes, or in float32 where a
    layer is in float. What no program can do, scores and losses above all, runs its own forward between them.
    """

    name = "integer"

    def plan(self) -> Sequence[Step]:
        """Programs, and the layers between them."""
        steps: list[Step] = []
        stretch = Stretch()
        for lowered in lower(self.net, self.arithmetic):
            layer, tops = lowered.layer, self.shapes[lowered.layer.name]
            piece = self._piece(lowered)
            if piece is None:
                stretch.later.append(Apart(lowered, self._apart(lowered)))
                continue
            if stretch.is_in_the_way_of(lowered):
                steps += self._finished(stretch)
                stretch = Stretch()
            if stretch.builder.takes(piece, self._bottoms(layer), tops):
                stretch.builder.add(piece, self._bottoms(layer), tops, self.keep)
                stretch.layers.append(layer)
            else:
                stretch.later.append(Apart(lowered, self._apart(lowered)))
        return steps + self._finished(stretch)

    def _bottoms(self, layer: Layer) -> list[tuple[int, ...]]:
        return self.net.bottom_shapes(self.net[layer.name], self.shapes)

    def _finished(self, stretch: Stretch) -> list[Step]:
        """Give the program of a stretch, and the steps after it."""
        steps: list[Step] = []
        if stretch.layers:
            inside = {layer.name for layer in stretch.layers}
            others = (layer for layer in self.net if layer.name not in inside)
            wanted = {*self.outputs, *(blob for layer in others for blob in layer.bottoms)}
            steps.append(ProgramStep(stretch.builder, wanted, self.arithmetic, self.threads))
        return steps + [step for apart in stretch.later for step in apart.steps]

    def _piece(self, lowered: Lowered) -> Piece | None:
        """Give what a program may run; None where the numbers or sums are none that it knows."""
        layer = lowered.layer
        if lowered.in_full:
            return None if layer.op.trims_inside else self._coded(layer)
        if layer.op.part is not None and self.arithmetic.sums_in_float32:
            return None
        trims = lowered.trim_in, lowered.trim_out
        if any(not isinstance(fmt, FixedPoint | None) for fmt in trims):
            return None
        trim_in, trim_out = (fmt if isinstance(fmt, FixedPoint) else None for fmt in trims)
        return Piece(layer, trim_in, trim_out)

    def _coded(self, layer: Layer) -> Piece | None:
        """Give a layer on codes; None where a format has no codes that a program knows, or sums may not be exact."""
        quant, walk = layer.quant, layer.op.geometry(self._bottoms(layer)[0])
        assert quant is not None
        layer_in, layer_out, params = quant.layer_in, quant.layer_out, quant.params
        if walk is None or not isinstance(layer_in, FixedPoint) or not isinstance(layer_out, FixedPoint):
            return None
        if max(layer_in.bw, layer_out.bw) > WIDEST_CODE or params is None:
            return None
        with in_layer(layer.name, "its weights"):
            codes = _codes(layer, params, self.arithmetic)
        if codes is None:
            return None
        if np.isnan(codes.bias).any():
            with in_layer(layer.name, f"blob '{layer.tops[0]}'"):
                layer_out.refuse_nan(codes.bias)
        rows = layer.op.weight_rows(codes.weights, walk)
        largest = int(np.abs(rows.astype(np.int64)).sum(axis=1).max()) * -layer_in.low_code
        if not codes.has_real_bias:
            # Python's integers: these may be far too long for 64 bits.
            raised, lift = max(layer_in.fl, 0), max(-layer_in.fl, 0)
            largest = (largest << lift) + (int(np.abs(codes.bias).max(initial=0)) << raised)
        return None if largest >= EXACT_IN_FLOAT64 else Piece(layer, layer_in, layer_out, codes)

    def _apart(self, lowered: Lowered) -> list[Step]:
        """Give the steps of a layer that no program runs."""
        layer, arithmetic = lowered.layer, self.arithmetic
        if lowered.in_full:
            if layer.op.trims_inside:
                return [TrimInsideStep(layer, arithmetic)]
            return [QuantizedStep(layer, arithmetic)]
        steps: list[Step] = []
        if lowered.trim_in:
            steps.append(TrimStep(layer.name, layer.bottoms[0], lowered.trim_in, arithmetic))
        steps.append(float_step(self, layer))
        if lowered.trim_out:
            steps.append(TrimStep(layer.name, layer.tops[0], lowered.trim_out, arithmetic, is_top=True))
        return steps


def _codes(layer: Layer, params: Format, arithmetic: Arithmetic) -> Codes | None:
    """Give a layer's weights as integers; None where they are none of up to 16 bits.

    Powers of two are integers, too. A multiplication is as fast as a shift here; in hardware they are shifts.
    """
    codes = weight_codes(layer, params, arithmetic)
    if codes is None:
        return None
    bits = WIDEST_CODE if codes.has_real_bias else min(codes.bits, WIDEST_CODE)
    if max(int(codes.weights.max()), ~int(codes.weights.min())) >> (bits - 1):
        return None
    return replace(codes, weights=codes.weights.astype(np.int16), bits=bits)
