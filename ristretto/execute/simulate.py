"""The simulating executor: real units, trimmed; the readable truth that the integer executor must equal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from ristretto.execute.compiled import Builder, Piece, ProgramStep
from ristretto.execute.executor import Executor, Step
from ristretto.execute.lower import Lowered, lower, trimmed_blobs
from ristretto.execute.reference import ReferenceStep
from ristretto.execute.trim_step import TrimInsideStep, TrimStep
from ristretto.execute.values import State
from ristretto.formats import Arithmetic
from ristretto.net import Layer


class SimulateExecutor(Executor):
    """Runs every layer's reference forward; a quantized layer as the fork does in its TEST phase.

    1. The input blob is trimmed in place: every later reader sees the trimmed one.
    2. Weights and bias are trimmed.
    3. Products are summed in float64, and the bias is added. That is exact while every sum stays below 2**53 steps
       of the grid on which products and bias lie, as it does with words of up to 16 bits in any real net; beyond, the
       last bits are rounded. (The fork sums in float32: the same wherever that is exact, as with 8 bits.)
    4. The output blob is trimmed.

    What lies between runs on real numbers in float32. Sums of layers in float, which are rounded, are added up by the
    same kernel as in the integer executor, and so are rounded alike.
    """

    name = "simulate"

    def plan(self) -> Sequence[Step]:
        """Give the steps of one layer after the other."""
        return [step for lowered in lower(self.net, self.arithmetic) for step in self.steps_of(lowered)]

    def steps_of(self, lowered: Lowered) -> Iterator[Step]:
        """Give the steps of one layer."""
        layer = lowered.layer
        if lowered.in_full:
            inside = layer.op.trims_inside
            yield TrimInsideStep(layer, self.arithmetic) if inside else QuantizedStep(layer, self.arithmetic)
            return
        if lowered.trim_in:
            yield TrimStep(layer.name, layer.bottoms[0], lowered.trim_in, self.arithmetic)
        yield float_step(self, layer)
        if lowered.trim_out:
            yield TrimStep(layer.name, layer.tops[0], lowered.trim_out, self.arithmetic, is_top=True)


def float_step(executor: Executor, layer: Layer) -> Step:
    """Give the step of a layer in float.

    In the emulation of the fork, which multiplies matrices with a BLAS as numpy does, even the order of float sums is
    the same as its.
    """
    bottoms = executor.net.bottom_shapes(executor.net[layer.name], executor.shapes)
    tops = executor.shapes[layer.name]
    piece, builder = Piece(layer), Builder()
    if executor.arithmetic.sums_in_float32 or layer.op.part is None or not builder.takes(piece, bottoms, tops):
        return ReferenceStep(layer)
    builder.add(piece, bottoms, tops, executor.keep)
    return ProgramStep(builder, layer.tops, executor.arithmetic, executor.threads)


class QuantizedStep:
    """A layer with all three formats, in real units."""

    def __init__(self, layer: Layer, arithmetic: Arithmetic) -> None:
        assert layer.quant is not None
        assert layer.quant.layer_in is not None
        assert layer.quant.layer_out is not None
        self.layer, self.arithmetic = layer, arithmetic
        self.layer_in, self.layer_out = layer.quant.layer_in, layer.quant.layer_out
        self.blobs = [blob.astype(np.float64) for blob in trimmed_blobs(layer, arithmetic)]

    def run(self, state: State) -> None:
        """Trim, compute, trim."""
        bottom = self.layer.bottoms[0]
        x = self.layer_in.trim(state.blobs[bottom], self.arithmetic)
        state.blobs[bottom] = x
        (y,) = self.layer.op.forward([x.astype(np.float64)], self.blobs)
        state.store(self.layer.name, self.layer.tops, (self.layer_out.trim(y, self.arithmetic),))
