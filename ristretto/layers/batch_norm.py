"""BatchNorm: each channel with mean 0 and variance 1."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ristretto.errors import ModelError
from ristretto.net.fields import Fields
from ristretto.net.filler import Filler
from ristretto.net.form import Channelwise, Form, Pointwise
from ristretto.net.op import Array, OnnxNode, Op, Shape
from ristretto.net.phase import Phase


@dataclass(frozen=True)
class BatchNorm(Op):
    """``(x - mean) / sqrt(variance + eps)`` with a mean and a variance for each channel.

    Those are the ones that training stored, or where `use_global_stats` is false the batch's own. Unless the prototxt
    says which, TEST takes the stored ones and TRAIN the batch's.

    The blobs are the means, the variances, and a number that both are divided by: training keeps decaying sums, and in
    the third blob the sum of their weights. A zero there stands for nothing stored, and makes both zero.
    """

    type = "BatchNorm"
    is_affine = True
    learns = False

    eps: float = 1e-5
    use_global_stats: bool | None = None
    moving_average_fraction: float = 0.999

    @classmethod
    def parse(cls, fields: Fields) -> BatchNorm:
        """Read ``batch_norm_param``."""
        param = fields.message("batch_norm_param")
        stated = param.flag("use_global_stats") if param.has("use_global_stats") else None
        return cls(param.number("eps"), stated, param.number("moving_average_fraction"))

    @classmethod
    def parse_fillers(cls, fields: Fields) -> tuple[Filler, ...]:
        """Give means of 0 and variances of 1, with which the layer does as good as nothing.

        Caffe itself starts all three blobs at 0, where training adds to them; a TEST net with these divides by nearly
        nothing.
        """
        return Filler(value=0.0), Filler(value=1.0), Filler(value=1.0)

    def in_phase(self, phase: Phase) -> Op:
        """Choose the statistics where the prototxt does not."""
        if self.use_global_stats is not None:
            return self
        return replace(self, use_global_stats=phase is Phase.TEST)

    def infer(self, bottoms: Sequence[Shape]) -> tuple[Shape, ...]:
        """Give the bottom's shape."""
        if len(bottoms[0]) < 2:
            raise ModelError(f"its bottom has {len(bottoms[0])} axes; (n, channels, ...) is needed")
        return (bottoms[0],)

    def blob_shapes(self, bottoms: Sequence[Shape]) -> tuple[Shape, ...]:
        """Give (channels,) twice, and one number."""
        channels = bottoms[0][1]
        return (channels,), (channels,), (1,)

    def statistics(self, blobs: Sequence[Array]) -> tuple[Array, Array]:
        """Give the stored means and variances, (channels,) each."""
        means, variances, weight = (blob.reshape(-1) for blob in blobs)
        factor = np.zeros_like(weight) if weight[0] == 0 else 1 / weight
        return means * factor, variances * factor

    def _deviations(self, variances: Array, kind: np.dtype[Any]) -> Array:
        deviations: Array = np.sqrt(variances + kind.type(self.eps))
        return deviations

    def channelwise(self, blobs: Sequence[Array], channels: int) -> Channelwise | None:
        """Give means and deviations from the stored statistics; None where the batch's own are taken."""
        if self.use_global_stats is False or [blob.size for blob in blobs] != [channels, channels, 1]:
            return None
        means, variances = self.statistics(blobs)
        return Channelwise(mean=means, deviation=self._deviations(variances, variances.dtype))

    def forward(self, bottoms: Sequence[Array], blobs: Sequence[Array]) -> tuple[Array, ...]:
        """Subtract the mean, divide by the deviation."""
        x = bottoms[0]
        if self.use_global_stats is False:
            others = (0, *range(2, x.ndim))
            centred = x - x.mean(axis=others, keepdims=True)
            variances = np.square(centred).mean(axis=others, keepdims=True)
        else:
            means, variances = (value.reshape(-1, *(1,) * (x.ndim - 2)) for value in self.statistics(blobs))
            centred = x - means
        return (centred / self._deviations(variances, x.dtype),)

    def form(self, bottoms: Sequence[Shape]) -> Form | None:
        """Give a function of the number and its channel; None for the batch's own statistics."""
        return None if self.use_global_stats is False else Pointwise(by_channel=True)

    def onnx(self, bottoms: Sequence[Shape]) -> tuple[OnnxNode, ...]:
        """Give a BatchNormalization behind the division of the blobs, or all steps for the batch's statistics."""
        if self.use_global_stats is False:
            mean = {"axes": [0, *range(2, len(bottoms[0]))], "keepdims": 1}
            eps = {"eps": np.array(self.eps, np.float32)}
            return (
                OnnxNode("ReduceMean", ("b0",), ("mean",), mean),
                OnnxNode("Sub", ("b0", "mean"), ("centred",)),
                OnnxNode("Mul", ("centred", "centred"), ("squares",)),
                OnnxNode("ReduceMean", ("squares",), ("variance",), mean),
                OnnxNode("Add", ("variance", "eps"), ("raised",), constants=eps),
                OnnxNode("Sqrt", ("raised",), ("deviation",)),
                OnnxNode("Div", ("centred", "deviation"), ("t0",)),
            )
        ones = np.ones(bottoms[0][1], np.float32)
        inputs = ("b0", "ones", "zeros", "mean", "variance")
        return (
            OnnxNode("Reciprocal", ("w2",), ("inverse",)),
            OnnxNode("Equal", ("w2", "zero"), ("empty",), constants={"zero": np.zeros(1, np.float32)}),
            OnnxNode("Where", ("empty", "zero", "inverse"), ("factor",)),
            OnnxNode("Mul", ("w0", "factor"), ("mean",)),
            OnnxNode("Mul", ("w1", "factor"), ("variance",)),
            OnnxNode("BatchNormalization", inputs, ("t0",), {"epsilon": self.eps}, {"ones": ones, "zeros": 0 * ones}),
        )

    def training_form(self, bottoms: Sequence[Shape]) -> tuple[OnnxNode, ...]:
        """Give the stored statistics' form, or that of the batch's own, which are added to the decaying sums.

        What is stored is the unbiased variance; the batch itself is divided by the root of the biased one.
        """
        if self.use_global_stats is not False:
            return self.onnx(bottoms)
        channels = bottoms[0][1]
        count = math.prod(bottoms[0]) // channels
        numbers = {
            "ones": np.ones(channels, np.float32),
            "zeros": np.zeros(channels, np.float32),
            "fraction": np.array(self.moving_average_fraction, np.float32),
            "correction": np.array(count / (count - 1) if count > 1 else 1, np.float32),
            "one": np.array(1, np.float32),
        }
        inputs = ("b0", "ones", "zeros", "zeros", "ones")
        # A momentum of 0 makes the last two outputs the batch's own mean and variance.
        settings = {"epsilon": self.eps, "momentum": 0.0, "training_mode": 1}
        return (
            OnnxNode("BatchNormalization", inputs, ("t0", "mean", "variance"), settings, numbers),
            OnnxNode("Mul", ("w0", "fraction"), ("means",)),
            OnnxNode("Add", ("means", "mean"), ("w0",)),
            OnnxNode("Mul", ("variance", "correction"), ("unbiased",)),
            OnnxNode("Mul", ("w1", "fraction"), ("variances",)),
            OnnxNode("Add", ("variances", "unbiased"), ("w1",)),
            OnnxNode("Mul", ("w2", "fraction"), ("weight",)),
            OnnxNode("Add", ("weight", "one"), ("w2",)),
        )
