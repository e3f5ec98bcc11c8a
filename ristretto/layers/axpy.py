"""Axpy: one blob scaled channel by channel, plus another (SENet)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ristretto.errors import ModelError
from ristretto.layers.reshaping import reshape_node
from ristretto.net.fields import Fields
from ristretto.net.form import Form, Gate
from ristretto.net.op import Array, OnnxNode, Op, Shape


@dataclass(frozen=True)
class Axpy(Op):
    """``a * x + y`` of bottoms a (n, c) or (n, c, 1, 1), x and y (n, c, ...)."""

    type = "Axpy"

    @classmethod
    def parse(cls, fields: Fields) -> Axpy:
        """Read nothing: there are no settings."""
        return cls()

    def bottom_counts(self) -> tuple[int, int]:
        """Factors, and the two blobs."""
        return 3, 3

    def infer(self, bottoms: Sequence[Shape]) -> tuple[Shape, ...]:
        """Give the shape of x."""
        factors, x, y = bottoms
        if len(x) < 2 or x != y:
            raise ModelError(f"blobs of shapes {x} and {y} cannot be added")
        if factors[:2] != x[:2] or any(size != 1 for size in factors[2:]):
            raise ModelError(f"factors of shape {factors} for a blob of shape {x}", hint="(n, c, 1, 1) is needed")
        return (x,)

    def _spread(self, x: Shape) -> Shape:
        """Give the factors' shape with as many axes as x has."""
        return (*x[:2], *(1 for _ in x[2:]))

    def forward(self, bottoms: Sequence[Array], blobs: Sequence[Array]) -> tuple[Array, ...]:
        """Scale and add."""
        factors, x, y = bottoms
        return (factors.reshape(self._spread(x.shape)) * x + y,)

    def form(self, bottoms: Sequence[Shape]) -> Form:
        """Multiply the second bottom by the first, and add the third."""
        return Gate(pictures=1, factors=0)

    def onnx(self, bottoms: Sequence[Shape]) -> tuple[OnnxNode, ...]:
        """Give a Reshape, a Mul and an Add."""
        return (
            reshape_node("b0", "factors", self._spread(bottoms[1])),
            OnnxNode("Mul", ("factors", "b1"), ("scaled",)),
            OnnxNode("Add", ("scaled", "b2"), ("t0",)),
        )
