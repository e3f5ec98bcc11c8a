"""Evaluation: the simulating executor with its sums in torch, on whatever device that works."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping

import numpy as np
import torch
from torch import Tensor

from ristretto.execute import SimulateExecutor
from ristretto.execute.exact import EXACT_IN_FLOAT64
from ristretto.execute.executor import Step
from ristretto.execute.lower import Lowered, trimmed_blobs
from ristretto.execute.values import State
from ristretto.finetune.functions import Run
from ristretto.finetune.nodes import Nodes
from ristretto.finetune.trimming import trimmed
from ristretto.formats import EXACT, Arithmetic, Format
from ristretto.net import Layer, LayerQuant, Net, Shape
from ristretto.net.op import Array


class Evaluation(SimulateExecutor):
    """Gives the bits of the simulating executor, which it is but for one thing.

    A quantized layer adds up its products in torch, in float64, where they lie on a grid of integers and their sums
    stay below 2**53 steps of it: they are exact there, whatever the order. All else (minifloat, whose sums are
    rounded, and what lies between quantized layers) runs as the simulating executor has it.

    Parameters
    ----------
    net, inputs, keep, arithmetic, threads
        As of every executor.
    device : torch.device or str
        Where sums are computed.
    """

    name = "torch"

    def __init__(
        self,
        net: Net,
        inputs: Mapping[str, Shape],
        *,
        keep: Collection[str] = (),
        arithmetic: Arithmetic = EXACT,
        threads: int = 1,
        device: torch.device | str = "cpu",
    ) -> None:
        self.device = torch.device(device)
        super().__init__(net, inputs, keep=keep, arithmetic=arithmetic, threads=threads)

    def steps_of(self, lowered: Lowered) -> Iterator[Step]:
        """Give the steps of one layer, its sums in torch where they are exact."""
        layer = lowered.layer
        if lowered.in_full and not layer.op.trims_inside:
            (bottom,) = self.net.bottom_shapes(self.net[layer.name], self.shapes)
            if has_exact_sums(layer, bottom):
                yield TorchStep(layer, bottom, self.arithmetic, self.device)
                return
        yield from super().steps_of(lowered)


def has_exact_sums(layer: Layer, bottom: Shape) -> bool:
    """Whether float64 holds every sum of a quantized layer's products."""
    quant, walk = layer.quant, layer.op.geometry(bottom)
    if walk is None or quant is None or quant.layer_in is None or quant.params is None:
        return False
    formats = (quant.layer_in, quant.params)
    if not all(fmt.on_one_grid for fmt in formats):
        return False
    return math.prod(map(_steps_of, formats)) * walk.terms < EXACT_IN_FLOAT64


def _steps_of(fmt: Format) -> float:
    """Give how many steps of its grid a format's largest number has."""
    return max(fmt.high, -fmt.low) / float(fmt.decode(np.array([1]))[0])


def _no_chance(shape: object) -> Tensor:
    raise AssertionError("nothing is random in TEST")


class TorchStep:
    """A quantized layer whose sums of products are exact in float64.

    The bias is added to the whole sum, as in `Op.forward`: with power-of-two weights it lies on no grid, and the result
    is rounded, once.
    """

    def __init__(self, layer: Layer, bottom: Shape, arithmetic: Arithmetic, device: torch.device) -> None:
        assert isinstance(layer.quant, LayerQuant)
        assert layer.quant.layer_in is not None
        assert layer.quant.layer_out is not None
        self.layer, self.arithmetic, self.device = layer, arithmetic, device
        self.layer_in, self.layer_out = layer.quant.layer_in, layer.quant.layer_out
        forms = layer.op.onnx([bottom])
        assert forms is not None, "a multiply-accumulate layer has a form in ONNX"
        self.nodes = Nodes(forms, Run(torch.float64, device, _no_chance))
        shapes = layer.op.blob_shapes([bottom])
        weights, *bias = (
            torch.as_tensor(blob.reshape(shape).astype(np.float64), device=device)
            for blob, shape in zip(trimmed_blobs(layer, arithmetic), shapes, strict=True)
        )
        self.blobs = (weights, *(torch.zeros_like(blob) for blob in bias))
        # Without inputs nothing but the bias is left, wherever the layer puts it.
        nothing = torch.zeros(bottom, dtype=torch.float64, device=device)
        self.bias = self._products(nothing, (torch.zeros_like(weights), *bias)) if bias else None

    def _products(self, x: Tensor, blobs: tuple[Tensor, ...]) -> Tensor:
        # cuDNN may take a way that rounds, as through Fourier transforms.
        with torch.no_grad(), torch.backends.cudnn.flags(enabled=False):
            return self.nodes([x], blobs, 1).tops[0]

    def run(self, state: State) -> None:
        """Trim, compute, trim."""
        bottom = self.layer.bottoms[0]
        x = self.layer_in.trim(state.blobs[bottom], self.arithmetic)
        state.blobs[bottom] = x
        y = self.sums(torch.as_tensor(x, device=self.device).to(torch.float64))
        state.store(self.layer.name, self.layer.tops, (self._trimmed(y),))

    def sums(self, x: Tensor) -> Tensor:
        """Give the sums of products with the bias, float64, for a trimmed input."""
        y = self._products(x, self.blobs)
        return y if self.bias is None else y + self.bias

    def _trimmed(self, y: Tensor) -> Array:
        if self.device.type == "cpu" or self.arithmetic != EXACT:
            return self.layer_out.trim(y.cpu().numpy(), self.arithmetic)
        array: Array = trimmed(self.layer_out, y).to(torch.float32).cpu().numpy()
        return array
