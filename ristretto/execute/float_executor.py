"""The float executor: the net before quantization, in onnxruntime; baseline and source of the ranges."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ristretto.execute.executor import Executor, Step
from ristretto.execute.segments import segment


class FloatExecutor(Executor):
    """Runs every layer unquantized, whatever formats the net carries."""

    name = "float"

    def plan(self) -> Sequence[Step]:
        """One onnxruntime session, and the layers that ONNX has no form for."""
        layers = [replace(layer, quant=None) for layer in self.net if not layer.op.is_data]
        return segment(self.net, layers, self.shapes, self.keep, self.outputs)
