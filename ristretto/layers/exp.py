"""Exp: a base raised to numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ristretto.errors import ModelError
from ristretto.net.fields import Fields
from ristretto.net.form import Form, Pointwise
from ristretto.net.op import Array, OnnxNode, Op, Shape

EULER = -1.0
"""What stands for e in a prototxt."""


def read_base(param: Fields) -> float:
    """Read the base of an Exp or a Log; e where the prototxt has -1.

    Raises
    ------
    ModelError
        When it is not above zero, or not finite.
    """
    base = param.number("base")
    if base == EULER:
        return math.e
    if not 0 < base < math.inf:
        raise ModelError(f"base {base:g} is not a finite number above zero", hint="-1 stands for e")
    return base


@dataclass(frozen=True)
class Exp(Op):
    """``base ** (shift + scale * x)``."""

    type = "Exp"

    base: float = math.e
    scale: float = 1.0
    shift: float = 0.0

    @classmethod
    def parse(cls, fields: Fields) -> Exp:
        """Read ``exp_param``."""
        param = fields.message("exp_param")
        return cls(base=read_base(param), scale=param.number("scale"), shift=param.number("shift"))

    @property
    def _factors(self) -> tuple[float, float]:
        """What x is multiplied by, and what its exponential is."""
        return math.log(self.base) * self.scale, float(np.power(self.base, self.shift))

    def forward(self, bottoms: Sequence[Array], blobs: Sequence[Array]) -> tuple[Array, ...]:
        """Scale, raise e to it, scale."""
        x = bottoms[0]
        inner, outer = (x.dtype.type(factor) for factor in self._factors)
        with np.errstate(over="ignore"):
            raised = np.exp(np.asarray(inner * x, np.float64)).astype(x.dtype)
            return (np.asarray(raised * outer),)

    def form(self, bottoms: Sequence[Shape]) -> Form:
        """Give a function of one number."""
        return Pointwise()

    def onnx(self, bottoms: Sequence[Shape]) -> tuple[OnnxNode, ...]:
        """Give Exp between two Muls."""
        inner, outer = (np.array(factor, np.float32) for factor in self._factors)
        return (
            OnnxNode("Mul", ("b0", "inner"), ("exponent",), constants={"inner": inner}),
            OnnxNode("Exp", ("exponent",), ("raised",)),
            OnnxNode("Mul", ("raised", "outer"), ("t0",), constants={"outer": outer}),
        )
