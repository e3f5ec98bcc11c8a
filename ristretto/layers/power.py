"""Power: numbers shifted, scaled and raised to a power."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ristretto.net.fields import Fields
from ristretto.net.form import Channelwise, Form, Pointwise
from ristretto.net.op import Array, OnnxNode, Op, Shape


@dataclass(frozen=True)
class Power(Op):
    """``(shift + scale * x) ** power``.

    With a scale or a power of zero the bottom does not matter, not even where it is no number; a negative base under
    a broken power gives NaN. Both as in Caffe.
    """

    type = "Power"

    power: float = 1.0
    scale: float = 1.0
    shift: float = 0.0

    @classmethod
    def parse(cls, fields: Fields) -> Power:
        """Read ``power_param``."""
        param = fields.message("power_param")
        return cls(power=param.number("power"), scale=param.number("scale"), shift=param.number("shift"))

    @property
    def _is_constant(self) -> bool:
        return self.power * self.scale == 0

    def _raise(self, base: Array) -> Array:
        with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
            return np.asarray(np.power(base.astype(np.float64), self.power)).astype(base.dtype)

    def forward(self, bottoms: Sequence[Array], blobs: Sequence[Array]) -> tuple[Array, ...]:
        """Scale, shift, raise."""
        x = bottoms[0]
        number = x.dtype.type
        if self._is_constant:
            return (self._raise(np.full(x.shape, self.shift, x.dtype)),)
        base = np.asarray(number(self.scale) * x + number(self.shift))
        return (base if self.power == 1 else self._raise(base),)

    def channelwise(self, blobs: Sequence[Array], channels: int) -> Channelwise | None:
        """Give scale and shift, where they are all."""
        if self._is_constant or self.power != 1:
            return None
        return Channelwise(factor=np.full(channels, self.scale), summand=np.full(channels, self.shift))

    def form(self, bottoms: Sequence[Shape]) -> Form:
        """Give a function of one number."""
        return Pointwise()

    def onnx(self, bottoms: Sequence[Shape]) -> tuple[OnnxNode, ...]:
        """Give Mul, Add and Pow, or Expand of one number where the bottom does not matter."""
        if self._is_constant:
            constants = {
                "value": self._raise(np.array(self.shift, np.float32)),
                "shape": np.array(bottoms[0], np.int64),
            }
            return (OnnxNode("Expand", ("value", "shape"), ("t0",), constants=constants),)
        scale, shift, power = (np.array(v, np.float32) for v in (self.scale, self.shift, self.power))
        scaled = OnnxNode("Mul", ("b0", "scale"), ("scaled",), constants={"scale": scale})
        if self.power == 1:
            return (scaled, OnnxNode("Add", ("scaled", "shift"), ("t0",), constants={"shift": shift}))
        return (
            scaled,
            OnnxNode("Add", ("scaled", "shift"), ("base",), constants={"shift": shift}),
            OnnxNode("Pow", ("base", "power"), ("t0",), constants={"power": power}),
        )
