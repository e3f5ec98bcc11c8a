"""LRN: local response normalization."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ristretto.errors import ModelError
from ristretto.layers.pooling import Pooling
from ristretto.net.fields import Fields
from ristretto.net.op import Array, OnnxNode, Op, Shape


@dataclass(frozen=True)
class LRN(Op):
    """``x * (k + alpha * mean of x**2 over a neighbourhood) ** -beta``.

    The neighbourhood is `local_size` channels, or a square of that size within a channel; what lies outside counts
    as zero, and the mean always divides by the full size. Within a channel Caffe's k is 1.
    """

    type = "LRN"

    local_size: int = 5
    alpha: float = 1.0
    beta: float = 0.75
    k: float = 1.0
    within_channel: bool = False

    @classmethod
    def parse(cls, fields: Fields) -> LRN:
        """Read ``lrn_param``."""
        param = fields.message("lrn_param")
        within = param.text("norm_region") == "WITHIN_CHANNEL"
        op = cls(
            local_size=param.integer("local_size"),
            alpha=param.number("alpha"),
            beta=param.number("beta"),
            k=1.0 if within else param.number("k"),
            within_channel=within,
        )
        if op.local_size < 1 or op.local_size % 2 == 0:
            raise ModelError(f"local_size {op.local_size} is even", hint="Caffe normalizes over odd sizes only")
        return op

    def infer(self, bottoms: Sequence[Shape]) -> tuple[Shape, ...]:
        """Give the bottom's shape."""
        if len(bottoms[0]) != 4:
            raise ModelError(f"its bottom has {len(bottoms[0])} axes; (n, c, h, w) is needed")
        return (bottoms[0],)

    def _square(self) -> Pooling:
        side = (self.local_size, self.local_size)
        reach = (self.local_size // 2, self.local_size // 2)
        return Pooling(method="AVE", kernel=side, stride=(1, 1), pad=reach)

    def forward(self, bottoms: Sequence[Array], blobs: Sequence[Array]) -> tuple[Array, ...]:
        """Average the squares, then scale."""
        x = bottoms[0]
        squares = x * x
        if self.within_channel:
            mean = self._square().forward([squares], ())[0]
        else:
            reach = self.local_size // 2
            padded = np.pad(squares, ((0, 0), (reach, reach), (0, 0), (0, 0)))
            total = np.zeros_like(x)
            for offset in range(self.local_size):
                total += padded[:, offset : offset + x.shape[1]]
            mean = total / x.dtype.type(self.local_size)
        number = x.dtype.type
        return (x * (number(self.k) + number(self.alpha) * mean) ** number(-self.beta),)

    def onnx(self, bottoms: Sequence[Shape]) -> tuple[OnnxNode, ...]:
        """Give an LRN, or its parts where the neighbourhood lies within a channel."""
        if not self.within_channel:
            attributes = {"size": self.local_size, "alpha": self.alpha, "beta": self.beta, "bias": self.k}
            return (OnnxNode("LRN", ("b0",), ("t0",), attributes),)
        pool = self._square().onnx(bottoms)[0]
        numbers = {
            "alpha": np.array(self.alpha, np.float32),
            "k": np.array(self.k, np.float32),
            "power": np.array(-self.beta, np.float32),
        }
        return (
            OnnxNode("Mul", ("b0", "b0"), ("squares",)),
            OnnxNode("AveragePool", ("squares",), ("mean",), pool.attributes),
            OnnxNode("Mul", ("mean", "alpha"), ("scaled",), constants={"alpha": numbers["alpha"]}),
            OnnxNode("Add", ("scaled", "k"), ("base",), constants={"k": numbers["k"]}),
            OnnxNode("Pow", ("base", "power"), ("factor",), constants={"power": numbers["power"]}),
            OnnxNode("Mul", ("b0", "factor"), ("t0",)),
        )
