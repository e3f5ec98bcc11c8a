"""Eltwise: several blobs joined number by number."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np

from ristretto.errors import ModelError
from ristretto.net.fields import Fields
from ristretto.net.form import Form, Join
from ristretto.net.op import Array, OnnxNode, Op, Shape


@dataclass(frozen=True)
class Eltwise(Op):
    """The product, the weighted sum or the maximum of its bottoms; they have one shape.

    A maximum takes no coefficients into account, as in Caffe.
    """

    type = "Eltwise"

    operation: str = "SUM"
    coeff: tuple[float, ...] = ()

    @classmethod
    def parse(cls, fields: Fields) -> Eltwise:
        """Read ``eltwise_param``."""
        param = fields.message("eltwise_param")
        op = cls(operation=param.text("operation"), coeff=param.numbers("coeff"))
        if op.coeff and op.operation == "PROD":
            raise ModelError("a PROD takes no coeff", hint="leave coeff out, or use SUM")
        return op

    def bottom_counts(self) -> tuple[int, int]:
        """Two or more."""
        return 2, 1 << 16

    def infer(self, bottoms: Sequence[Shape]) -> tuple[Shape, ...]:
        """Give the one shape that all have."""
        for other in bottoms[1:]:
            if other != bottoms[0]:
                raise ModelError(f"bottoms of shapes {bottoms[0]} and {other} cannot be joined")
        if self.coeff and len(self.coeff) != len(bottoms):
            raise ModelError(f"{len(self.coeff)} coeff for {len(bottoms)} bottoms", hint="give one each, or none")
        return (bottoms[0],)

    def _weights(self, count: int) -> tuple[float, ...]:
        return self.coeff or (1.0,) * count

    def forward(self, bottoms: Sequence[Array], blobs: Sequence[Array]) -> tuple[Array, ...]:
        """Join from the first bottom to the last."""
        if self.operation == "MAX":
            return (np.asarray(reduce(np.maximum, bottoms)),)
        if self.operation == "PROD":
            return (np.asarray(math.prod(bottoms[1:], start=bottoms[0])),)
        weights = self._weights(len(bottoms))
        terms = [x.dtype.type(weight) * x for weight, x in zip(weights, bottoms, strict=True)]
        return (np.asarray(sum(terms[1:], start=terms[0])),)

    def form(self, bottoms: Sequence[Shape]) -> Form:
        """Join."""
        return Join(self.operation, self._weights(len(bottoms)))

    def onnx(self, bottoms: Sequence[Shape]) -> tuple[OnnxNode, ...]:
        """Give a Max, a chain of Muls, or a Sum behind one Mul for each coefficient."""
        names = [f"b{i}" for i in range(len(bottoms))]
        if self.operation == "MAX":
            return (OnnxNode("Max", tuple(names), ("t0",)),)
        if self.operation == "PROD":
            results = [*(f"product{i}" for i in range(1, len(names) - 1)), "t0"]
            lefts = [names[0], *results]
            return tuple(
                OnnxNode("Mul", pair, (result,))
                for pair, result in zip(zip(lefts, names[1:], strict=False), results, strict=True)
            )
        nodes = []
        for i, weight in enumerate(self._weights(len(bottoms))):
            if weight != 1:
                constant = {f"coeff{i}": np.array(weight, np.float32)}
                nodes.append(OnnxNode("Mul", (names[i], f"coeff{i}"), (f"term{i}",), constants=constant))
                names[i] = f"term{i}"
        return (*nodes, OnnxNode("Sum", tuple(names), ("t0",)))
