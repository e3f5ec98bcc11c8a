"""The simulating executor: real units, trimmed; the readable truth that the integer executor must equal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ristretto.execute.executor import Executor, Step
from ristretto.execute.reference import ReferenceStep
from ristretto.execute.values import State, real
from ristretto.formats import Rounding
from ristretto.net import Layer, LayerQuant


class SimulateExecutor(Executor):
    """Runs every layer's reference forward; a quantized layer as ``semantics`` of the fork has it in TEST.

    1. The input blob is trimmed in place: every later reader sees the trimmed one.
    2. Weights and bias are trimmed.
    3. Products are summed in float64, which is exact below 2**53 steps of the accumulator's grid. (The fork sums
       in float32: the same wherever that is exact.)
    4. The output blob is trimmed.
    """

    name = "simulate"

    def plan(self) -> Sequence[Step]:
        """One step for each layer."""
        return [
            QuantizedStep(layer, layer.quant, self.rounding) if layer.quant else ReferenceStep(layer)
            for layer in self.net
            if not layer.op.is_data
        ]


@dataclass(frozen=True, eq=False)
class QuantizedStep:
    """A quantized layer in real units."""

    layer: Layer
    quant: LayerQuant
    rounding: Rounding

    def run(self, state: State) -> None:
        """Trim, compute, trim."""
        layer, quant = self.layer, self.quant
        x = real(state.blobs[layer.bottoms[0]])
        if quant.layer_in:
            x = quant.layer_in.trim(x, self.rounding)
            state.blobs[layer.bottoms[0]] = x
        blobs = [quant.params.trim(blob, self.rounding) if quant.params else blob for blob in layer.blobs]
        (y,) = layer.op.forward([x.astype(np.float64)], [blob.astype(np.float64) for blob in blobs])
        top = quant.layer_out.trim(y, self.rounding) if quant.layer_out else y.astype(np.float32)
        state.store(layer.name, layer.tops, (top,))
