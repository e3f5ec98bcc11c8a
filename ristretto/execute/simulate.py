"""The simulating executor: real units, trimmed; the readable truth that the integer executor must equal."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ristretto.execute.executor import Executor, Step
from ristretto.execute.lower import lower, trimmed_blobs
from ristretto.execute.trim_step import in_real_units
from ristretto.execute.values import State, real
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

    What lies between runs on real numbers in float32.
    """

    name = "simulate"

    def plan(self) -> Sequence[Step]:
        """One step for each layer; float layers that multiply and accumulate run in onnxruntime (see `lower`)."""
        return lower(
            self.net,
            self.shapes,
            self.keep,
            self.arithmetic,
            quantized=lambda layer: QuantizedStep(layer, self.arithmetic),
            trim=in_real_units,
        )


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
        x = self.layer_in.trim(real(state.blobs[bottom]), self.arithmetic)
        state.blobs[bottom] = x
        (y,) = self.layer.op.forward([x.astype(np.float64)], self.blobs)
        state.store(self.layer.name, self.layer.tops, (self.layer_out.trim(y, self.arithmetic),))
