"""MVN: each picture, or each of its channels, with mean 0 and variance 1."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ristretto.errors import ModelError
from ristretto.layers.reshaping import reshape_node
from ristretto.net.fields import Fields
from ristretto.net.op import Array, OnnxNode, Op, Shape


@dataclass(frozen=True)
class MVN(Op):
    """``(x - mean) / (sqrt(variance) + eps)``, or the difference alone; eps stands outside the root, as in Caffe.

    The top has four axes always, (n, c, h, w), with 1 for those that the bottom lacks.
    """

    type = "MVN"

    normalize_variance: bool = True
    across_channels: bool = False
    eps: float = 1e-9

    @classmethod
    def parse(cls, fields: Fields) -> MVN:
        """Read ``mvn_param``."""
        param = fields.message("mvn_param")
        return cls(
            normalize_variance=param.flag("normalize_variance"),
            across_channels=param.flag("across_channels"),
            eps=param.number("eps"),
        )

    def infer(self, bottoms: Sequence[Shape]) -> tuple[Shape, ...]:
        """Give (n, c, h, w)."""
        missing = 4 - len(bottoms[0])
        if missing < 0:
            raise ModelError(f"its bottom has {len(bottoms[0])} axes; no more than (n, c, h, w) are supported")
        return ((*bottoms[0], *(1,) * missing),)

    def _rows(self, top: Shape) -> Shape:
        """Give the shape (pictures, or pictures times channels; numbers in each)."""
        rows = top[0] if self.across_channels else top[0] * top[1]
        return rows, math.prod(top[1 if self.across_channels else 2 :])

    def forward(self, bottoms: Sequence[Array], blobs: Sequence[Array]) -> tuple[Array, ...]:
        """Subtract the mean, divide by the deviation."""
        (top,) = self.infer([bottoms[0].shape])
        x = bottoms[0].reshape(self._rows(top))
        y = x - x.mean(axis=1, keepdims=True)
        if self.normalize_variance:
            y = y / (np.sqrt(np.square(y).mean(axis=1, keepdims=True)) + x.dtype.type(self.eps))
        return (y.reshape(top),)

    def onnx(self, bottoms: Sequence[Shape]) -> tuple[OnnxNode, ...]:
        """Give all steps over rows: ONNX's own MeanVarianceNormalization has another eps."""
        (top,) = self.infer(bottoms)
        mean = {"axes": [1], "keepdims": 1}
        nodes = [
            reshape_node("b0", "rows", self._rows(top)),
            OnnxNode("ReduceMean", ("rows",), ("mean",), mean),
            OnnxNode("Sub", ("rows", "mean"), ("centred",)),
        ]
        if self.normalize_variance:
            eps = {"eps": np.array(self.eps, np.float32)}
            nodes += [
                OnnxNode("Mul", ("centred", "centred"), ("squares",)),
                OnnxNode("ReduceMean", ("squares",), ("variance",), mean),
                OnnxNode("Sqrt", ("variance",), ("root",)),
                OnnxNode("Add", ("root", "eps"), ("deviation",), constants=eps),
                OnnxNode("Div", ("centred", "deviation"), ("normalized",)),
            ]
        return (*nodes, reshape_node(nodes[-1].outputs[0], "t0", top))
