"""LRN: local response normalization."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ristretto.errors import ModelError
from ristretto.kernels.power import power
from ristretto.layers.pooling import Pooling
from ristretto.net.fields import Fields
from ristretto.net.form import Form, Response
from ristretto.net.op import Array, OnnxNode, Op, Shape


@dataclass(frozen=True)
class LRN(Op):
    """``x * (k + alpha * mean of x**2 over a neighbourhood) ** -beta``.

    The neighbourhood is `local_size` channels, or a square of that size within a channel; what lies outside counts
    as zero, and the mean always divides by the full size. Within a channel Caffe's k is 1.
    """

    type = "LRN"
    quantized_type = "LRNRistretto"
    trims_inside = True

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
            raise ModelError(f"local_size {op.local_size} is not odd", hint="Caffe normalizes over odd sizes only")
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
        # No further than there is anything to add up: a prototxt may ask for any size.
        if self.within_channel:
            reach = min(self.local_size // 2, max(x.shape[2:]) - 1)
            around = 2 * reach + 1
            padded = np.pad(squares, ((0, 0), (0, 0), (reach, reach), (reach, reach)))
            places = [
                padded[:, :, i : i + x.shape[2], j : j + x.shape[3]] for i in range(around) for j in range(around)
            ]
        else:
            reach = min(self.local_size // 2, x.shape[1] - 1)
            padded = np.pad(squares, ((0, 0), (reach, reach), (0, 0), (0, 0)))
            places = [padded[:, offset : offset + x.shape[1]] for offset in range(2 * reach + 1)]
        total = np.zeros_like(x)
        for place in places:
            total += place
        return (x * self._factors(total),)

    def _factors(self, total: Array) -> Array:
        """Give what sums of squares make of the numbers in their middle."""
        neighbours = self.local_size**2 if self.within_channel else self.local_size
        return self._powers(total / total.dtype.type(neighbours))

    def _powers(self, mean: Array) -> Array:
        number = mean.dtype.type
        base = number(self.k) + number(self.alpha) * mean
        factor = np.empty(base.shape, base.dtype)
        power(base.reshape(-1), factor.reshape(-1), -self.beta)
        return factor

    def forward_trimmed(self, bottoms: Sequence[Array], trim: Callable[[Array], Array]) -> tuple[Array, ...]:
        """Slide a window over the channels, adding and subtracting squares, as the fork's GPU code does.

        The running sum is trimmed after each step, so what leaves the window need not leave the sum: that is the
        arithmetic of the original (its CPU code has none). Within a channel it has no quantized form.
        """
        if self.within_channel:
            raise ModelError("LRNRistretto within a channel does not exist", hint="the original has it across channels")
        x = trim(bottoms[0])
        squares = trim(x * x)
        channels, reach = x.shape[1], self.local_size // 2
        number = np.float32
        total = np.zeros_like(x[:, 0])
        factors = np.empty_like(x)
        raised = np.empty_like(total)
        for head in range(channels + reach):
            if head < channels:
                total = trim(total + squares[:, head])
            if head >= self.local_size:
                total = trim(total - squares[:, head - self.local_size])
            if head >= reach:
                base = trim(number(self.k) + trim(total * (number(self.alpha) / number(self.local_size))))
                power(base.reshape(-1), raised.reshape(-1), -self.beta)
                factors[:, head - reach] = raised
        return (trim(x * trim(factors)),)

    def form(self, bottoms: Sequence[Shape]) -> Form:
        """Give the response."""
        return Response(self.within_channel, self.local_size, self.alpha, self.beta, self.k, self._factors)

    def onnx(self, bottoms: Sequence[Shape]) -> tuple[OnnxNode, ...]:
        """Give an LRN, or its parts where the neighbourhood lies within a channel."""
        if not self.within_channel:
            attributes = {"size": self.local_size, "alpha": self.alpha, "beta": self.beta, "bias": self.k}
            return (OnnxNode("LRN", ("b0",), ("t0",), attributes),)
        pools = self._square().onnx(bottoms)
        assert pools, "an average always has an ONNX form"
        numbers = {
            "alpha": np.array(self.alpha, np.float32),
            "k": np.array(self.k, np.float32),
            "power": np.array(-self.beta, np.float32),
        }
        return (
            OnnxNode("Mul", ("b0", "b0"), ("squares",)),
            OnnxNode("AveragePool", ("squares",), ("mean",), pools[0].attributes),
            OnnxNode("Mul", ("mean", "alpha"), ("scaled",), constants={"alpha": numbers["alpha"]}),
            OnnxNode("Add", ("scaled", "k"), ("base",), constants={"k": numbers["k"]}),
            OnnxNode("Pow", ("base", "power"), ("factor",), constants={"power": numbers["power"]}),
            OnnxNode("Mul", ("b0", "factor"), ("t0",)),
        )
