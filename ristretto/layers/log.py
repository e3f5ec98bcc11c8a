"""Log: logarithms."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ristretto.errors import ModelError
from ristretto.layers.exp import read_base
from ristretto.net.fields import Fields
from ristretto.net.form import Form, Pointwise
from ristretto.net.op import Array, OnnxNode, Op, Shape


@dataclass(frozen=True)
class Log(Op):
    """The logarithm of ``shift + scale * x``: minus infinity at zero, NaN below, as in Caffe."""

    type = "Log"

    base: float = math.e
    scale: float = 1.0
    shift: float = 0.0

    @classmethod
    def parse(cls, fields: Fields) -> Log:
        """Read ``log_param``."""
        param = fields.message("log_param")
        base = read_base(param)
        if base == 1:
            raise ModelError("base 1 has no logarithms")
        return cls(base=base, scale=param.number("scale"), shift=param.number("shift"))

    def forward(self, bottoms: Sequence[Array], blobs: Sequence[Array]) -> tuple[Array, ...]:
        """Scale, shift, take the natural logarithm, scale."""
        x = bottoms[0]
        number = x.dtype.type
        with np.errstate(divide="ignore", invalid="ignore"):
            natural = np.log(np.asarray(number(self.scale) * x + number(self.shift), np.float64)).astype(x.dtype)
        return (np.asarray(natural * number(1 / math.log(self.base))),)

    def form(self, bottoms: Sequence[Shape]) -> Form:
        """Give a function of one number."""
        return Pointwise()

    def onnx(self, bottoms: Sequence[Shape]) -> tuple[OnnxNode, ...]:
        """Give Mul, Add, Log and Mul."""
        scale, shift, factor = (np.array(v, np.float32) for v in (self.scale, self.shift, 1 / math.log(self.base)))
        return (
            OnnxNode("Mul", ("b0", "scale"), ("scaled",), constants={"scale": scale}),
            OnnxNode("Add", ("scaled", "shift"), ("shifted",), constants={"shift": shift}),
            OnnxNode("Log", ("shifted",), ("natural",)),
            OnnxNode("Mul", ("natural", "factor"), ("t0",), constants={"factor": factor}),
        )
